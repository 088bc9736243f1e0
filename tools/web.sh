#!/usr/bin/env bash
# Builds the live page into web/dist, from where api/build.rs puts it into the
# program. Does nothing when it is up to date. `test` also checks its style and types
# and runs its unit tests; `lint` checks its style alone, `fmt` formats its sources; `flows` visits it in Chromium,
# served by the program as it was built last, `bench` measures it, `screenshots` takes
# pictures of every view.
set -euo pipefail
cd "$(dirname "$0")/../web"
# shellcheck source=tools/lib.sh
. ../tools/lib.sh

have npm || fail "npm is missing: install Node.js 18 or later with npm (apt-get install npm)"

# The mark bears the lock file that was installed.
mark=node_modules/.installed
if ! cmp -s package-lock.json "$mark"; then
    npm ci --no-audit --no-fund --loglevel=error
    cp package-lock.json "$mark"
fi
if [ "${1:-}" = test ]; then
    # The types are those of the document as it is now.
    npm run --silent api-types >/dev/null
    npm run --silent lint
    npm run --silent check
    npm run --silent test
fi
[ "${1:-}" = fmt ] && exec npm run --silent format
[ "${1:-}" = lint ] && exec npm run --silent lint
if [ "${1:-}" = flows ]; then
    npm run --silent flows && exit 0
    # As for the other tests with real servers: once more, and said aloud.
    echo "FLAKY? the flows failed; a second try"
    exec npm run --silent flows
fi
if [ "${1:-}" = screenshots ]; then
    # Of the node that `make up` has started.
    shift
    password=../${NEMESES_DATA_DIR:-data}/demo-password
    [ -s "$password" ] || fail "start make up in another terminal first; pictures are taken of what it shows"
    # The demo account sees what an operator sees; the pictures show an administrator's views, too.
    "../${CARGO_TARGET_DIR:-target}/release/nemeses" user role demo@nemeses.example admin \
        --data-dir "../${NEMESES_DATA_DIR:-data}" >/dev/null
    exec npm run --silent screenshots -- --url "http://${NEMESES_HTTP_LISTEN:-127.0.0.1:5000}" \
        --email demo@nemeses.example --password "$(cat "$password")" "$@"
fi
if [ ! -e dist/index.html ] ||
    [ -n "$(find src public tools index.html package-lock.json vite.config.ts -newer dist/index.html -print -quit)" ]; then
    npm run --silent build
fi
if [ "${1:-}" = bench ]; then
    cd .. && need_cargo
    cargo build --locked --release --package nemeses
    cd web && NEMESES_PROFILE=release exec npm run --silent bench
fi
