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
# Where everything is built once and thrown away: nothing to build again from, and none of
# the debug information, which a fifth of the time goes into.
if [ "${CI:-}" = true ]; then
    export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=0
fi

flows_begin() {
    flows_log=$(mktemp)
    # In a group of its own, so that its browser and nodes end with it.
    setsid tools/web.sh flows >"$flows_log" 2>&1 &
    flows=$!
    trap 'kill -- -"$flows" 2>/dev/null; rm -f "$flows_log"' EXIT
}

flows_end() {
    local status=0
    wait "$flows" || status=$?
    cat "$flows_log"
    rm -f "$flows_log"
    trap - EXIT
    return "$status"
}

phase "servers for the tests" tools/setup.sh

cargo fmt --version >/dev/null 2>&1 ||
    fail "rustfmt is missing: rustup component add rustfmt (or apt-get install rustfmt)"
cargo clippy --version >/dev/null 2>&1 ||
    fail "clippy is missing: rustup component add clippy (or apt-get install rust-clippy)"

phase "format" cargo fmt --all --check
phase "self-test of the dependency check" tools/check-deps.py --self-test
phase "dependencies" tools/check-deps.py
phase "self-test of the advisories' check" tools/advisories.py --self-test
phase "advisories" tools/advisories.py
phase "self-test of the house rules" tools/tidy.py --self-test
phase "house rules" tools/tidy.py
have npm && phase "page's style" tools/web.sh lint
phase "lints" cargo clippy --locked --workspace --all-targets -- -D warnings
[ "${1:-}" = lint ] && exit 0

need_nextest

# Before the program is built, so that what is tested has the page in it.
phase "page" tools/web.sh test

# One build for doc tests, unit tests and the binary that the end-to-end tests start.
phase "build" cargo build --locked --workspace --all-targets
# Chromium waits most of the time; meanwhile what needs a processor runs.
flows_begin
phase "doc tests" cargo test --locked --workspace --doc --quiet
# In one process each, where what one test leaves behind meets the next; below, each test
# has a process of its own.
phase "unit tests in one process" cargo test --locked --workspace --lib --bins --test http --quiet
phase "files, opened by what people open them with" "${CARGO_TARGET_DIR:-target}/export-check/bin/python" tools/check-exports.py
phase "gRPC, as Python speaks it" "${CARGO_TARGET_DIR:-target}/grpc-check/bin/python" tools/check-grpc.py
phase "monitoring: rules, dashboards, Prometheus" tools/check-monitoring.py
phase "accounts of the stores" tools/check-accounts.py
phase "back-up and restore" tools/check-backup.py
phase "page in a browser, begun after the build" flows_end
printf '\n== tests (after %d s)\n' "$SECONDS"
# They wait for servers most of the time, so that a core carries two.
exec cargo nextest run --locked --workspace --test-threads "$((2 * $(nproc)))"
