#!/usr/bin/env bash
# Measures the line against its parts and writes docs/benchmarks.md and .json.
# BENCH_RUNS and BENCH_SECONDS change how often and how long; arguments go to
# `nemeses-bench run` (with `--only ID` the documents are left alone).
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/lib.sh
. tools/lib.sh
PATH=$PATH:/usr/sbin:/sbin

need_cargo
tools/setup.sh
# A connection is a file for the generator and one for the node.
ulimit -n "$(ulimit -H -n)"
phase "release build" cargo build --locked --release --package nemeses --package nemeses-bench

write=(--write docs)
for argument in "$@"; do
    [[ $argument == --only* ]] && write=()
done
target=${CARGO_TARGET_DIR:-target}
phase "the line against its parts" "$target/release/nemeses-bench" run \
    --runs "${BENCH_RUNS:-3}" --seconds "${BENCH_SECONDS:-6}" "${write[@]}" "$@"
