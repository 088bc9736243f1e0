#!/usr/bin/env bash
# A node and the page for working on them: the node is built and started again when a
# Rust or SQL source changes, the page reloads by itself. Data lies in target/dev, apart
# from that of `make up`. Ctrl-C stops both.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/lib.sh
. tools/lib.sh

need_cargo
have npm || fail "npm is missing: install Node.js 18 or later with npm (apt-get install npm)"
data=${NEMESES_DATA_DIR:-target/dev}
mkdir -p -m 700 "$data"
tools/web.sh

node='' page=''
stop() {
    trap - EXIT INT TERM
    [ -z "$page" ] || kill "$page" 2>/dev/null || true
    stop_node
}
stop_node() {
    [ -n "$node" ] || return 0
    kill -TERM "$node" 2>/dev/null || true
    wait "$node" 2>/dev/null || true
    node=''
}
trap stop EXIT
trap 'exit 0' INT TERM

start_node() {
    cargo build --package nemeses || {
        echo "dev: the build failed; the node starts again when a source changes"
        return 0
    }
    stop_node
    "${CARGO_TARGET_DIR:-target}/debug/nemeses" up --data-dir "$data" &
    node=$!
}

sources_newer_than() {
    find api broker cli crates dbexport parser schema.sql Cargo.toml \
        -name target -prune -o \( -name '*.rs' -o -name '*.sql' -o -name 'Cargo.toml' \) -newer "$1" -print -quit
}

mark=$data/built
touch "$mark"
start_node
(cd web && exec npm run --silent dev) &
page=$!
while kill -0 "$page" 2>/dev/null; do
    if [ -n "$(sources_newer_than "$mark")" ]; then
        touch "$mark"
        start_node
    fi
    sleep 1
done
fail "the page's server ended"
