#!/usr/bin/env bash
# Runs tools/check-deploy.py in a virtual environment of its own, made when it is missing
# or when deploy/requirements.txt has changed.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/lib.sh
. tools/lib.sh

have kubectl || fail "kubectl is missing: install it (Debian: apt-get install kubernetes-client)"
have systemd-analyze || fail "systemd-analyze is missing: apt-get install systemd"
have promtool || tools/setup.sh
venv=target/check-deploy
if ! cmp -s deploy/requirements.txt "$venv/installed"; then
    rm -rf "$venv"
    python3 -m venv "$venv" || fail "python3 -m venv failed: apt-get install python3-venv"
    "$venv/bin/pip" install --quiet --requirement deploy/requirements.txt
    cp deploy/requirements.txt "$venv/installed"
fi
exec "$venv/bin/python" tools/check-deploy.py "$@"
