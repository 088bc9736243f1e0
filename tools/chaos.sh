#!/usr/bin/env bash
# The long form of the chaos suite: the same tests as in `make test`, with more
# kills, longer outages and more rubbish. CHAOS_KILLS, CHAOS_OUTAGE_S and
# HOSTILE_MESSAGES override its figures.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/lib.sh
. tools/lib.sh
PATH=$PATH:/usr/sbin:/sbin

need_cargo
tools/setup.sh
export CHAOS_KILLS=${CHAOS_KILLS:-20}
export CHAOS_OUTAGE_S=${CHAOS_OUTAGE_S:-300}
export HOSTILE_MESSAGES=${HOSTILE_MESSAGES:-10000000}
echo "chaos: $CHAOS_KILLS kills of each kind, outages of $CHAOS_OUTAGE_S s, $HOSTILE_MESSAGES messages of rubbish"
cargo build --locked --package nemeses
need_nextest
exec cargo nextest run --locked --package nemeses-e2e --profile chaos --no-capture
