#!/usr/bin/env bash
# Everything that must hold, quickest first; `lint` stops before the tests.
# The tests start their own servers on free loopback ports in temporary folders.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/lib.sh
. tools/lib.sh
PATH=$PATH:/usr/sbin:/sbin

need_cargo
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}

phase "servers for the tests" tools/setup.sh

cargo fmt --version >/dev/null 2>&1 ||
    fail "rustfmt is missing: rustup component add rustfmt (or apt-get install rustfmt)"
cargo clippy --version >/dev/null 2>&1 ||
    fail "clippy is missing: rustup component add clippy (or apt-get install rust-clippy)"

phase "format" cargo fmt --all --check
phase "self-test of the dependency check" tools/check-deps.py --self-test
phase "dependencies" tools/check-deps.py
phase "self-test of the house rules" tools/tidy.py --self-test
phase "house rules" tools/tidy.py
phase "lints" cargo clippy --locked --workspace --all-targets -- -D warnings
[ "${1:-}" = lint ] && exit 0

# Before the program is built, so that what is tested has the page in it.
phase "page" tools/web.sh test

# One build for doc tests, unit tests and the binary that the end-to-end tests start.
phase "build" cargo build --locked --workspace --all-targets
phase "page in a browser" tools/web.sh flows
phase "doc tests" cargo test --locked --workspace --doc --quiet
phase "monitoring: rules, dashboards, Prometheus" tools/check-monitoring.py
phase "accounts of the stores" tools/check-accounts.py
phase "back-up and restore" tools/check-backup.py
printf '\n== tests (after %d s)\n' "$SECONDS"
if cargo nextest --version >/dev/null 2>&1; then
    exec cargo nextest run --locked --workspace
fi

# Without nextest: the same tests, few at a time since many start servers, and
# its last line made up from cargo's.
echo "cargo nextest is missing (cargo install --locked cargo-nextest); using cargo test"
output=$(mktemp)
trap 'rm -f "$output"' EXIT
cargo test --locked --workspace --lib --bins --tests -- --test-threads=1 2>&1 | tee "$output" ||
    fail "tests failed, see above"
awk '/^test result:/ { passed += $4; skipped += $8 }
     END { printf "     Summary [%8.3fs] %d tests run: %d passed, %d skipped\n", t, passed, passed, skipped }' \
    t="$SECONDS" "$output"
