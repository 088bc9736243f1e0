#!/usr/bin/env bash
# Runs every fuzz target for a bounded time. The sanitizer that cargo-fuzz uses
# needs a nightly toolchain; the corpora are replayed on stable by `make test`.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/lib.sh
. tools/lib.sh

need_cargo
seconds=${FUZZ_SECONDS:-60}
cargo fuzz --version >/dev/null 2>&1 ||
    fail "cargo-fuzz is missing: cargo install --locked cargo-fuzz (the corpora are replayed by make test without it)"
cargo +nightly --version >/dev/null 2>&1 ||
    fail "fuzzing needs a nightly toolchain: rustup toolchain install nightly (the corpora are replayed by make test without it)"

found=0
for folder in fuzz */fuzz; do
    [ -f "$folder/Cargo.toml" ] || continue
    for target in $(cd "$(dirname "$folder")" && cargo +nightly fuzz list); do
        found=1
        echo "== $folder: $target for $seconds s"
        (cd "$(dirname "$folder")" && cargo +nightly fuzz run "$target" -- -max_total_time="$seconds")
    done
done
[ "$found" -eq 1 ] || fail "no fuzz target found"
