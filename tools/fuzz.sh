#!/usr/bin/env bash
# Runs every fuzz target for FUZZ_SECONDS (60). New inputs go to target/fuzz/corpus,
# beside the committed corpora (a file a target, a line of hex an input), which `make test`
# replays without any of this; a new one worth keeping is added there as a line.
# With a nightly toolchain and FUZZ_SANITIZER=address under the address sanitizer;
# otherwise without one, which the stable toolchain can do too.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/lib.sh
. tools/lib.sh

need_cargo
seconds=${FUZZ_SECONDS:-60}
sanitizer=${FUZZ_SANITIZER:-none}
root=$PWD
cargo fuzz --version >/dev/null 2>&1 ||
    fail "cargo-fuzz is missing: cargo install --locked cargo-fuzz (the corpora are replayed by make test without it)"
have c++ || fail "a C++ compiler is missing: apt-get install g++ (libFuzzer is written in C++)"

toolchain=()
if cargo +nightly --version >/dev/null 2>&1; then
    toolchain=(+nightly)
elif [ "$sanitizer" = none ]; then
    # libFuzzer's instrumentation is an unstable flag of a stable compiler.
    export RUSTC_BOOTSTRAP=1
else
    fail "FUZZ_SANITIZER=$sanitizer needs a nightly toolchain: rustup toolchain install nightly"
fi

found=0
for folder in */fuzz crates/*/fuzz; do
    [ -f "$folder/Cargo.toml" ] || continue
    crate=$(dirname "$folder")
    for target in $(cd "$crate" && cargo "${toolchain[@]}" fuzz list); do
        found=1
        grown=$root/target/fuzz/corpus/$(basename "$crate")-$target
        known=$root/target/fuzz/known/$(basename "$crate")-$target
        rm -rf "$known"
        mkdir -p "$grown" "$known"
        # The committed corpus: a line of hex an input.
        python3 -c 'import pathlib, sys
for number, line in enumerate(open(sys.argv[1])):
    pathlib.Path(sys.argv[2], str(number)).write_bytes(bytes.fromhex(line))' \
            "$folder/corpus/$target.hex" "$known"
        echo "== $crate: $target for $seconds s"
        (cd "$crate" && cargo "${toolchain[@]}" fuzz run --sanitizer "$sanitizer" \
            --target-dir "$root/target/fuzz" "$target" "$grown" "$known" -- \
            -max_total_time="$seconds" -max_len=1024 -print_final_stats=1)
    done
done
[ "$found" -eq 1 ] || fail "no fuzz target found"
