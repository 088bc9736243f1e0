#!/usr/bin/env bash
# The long form of the test that holds a running node against its own OpenAPI
# document: API_EXAMPLES made-up requests for each route instead of 20.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/lib.sh
. tools/lib.sh

need_cargo
tools/setup.sh
cargo build --locked --package nemeses
NEMESES_API_EXAMPLES=${API_EXAMPLES:-500} cargo test --locked --package nemeses-e2e --test line -- \
    described::schemathesis --nocapture
