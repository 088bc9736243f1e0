#!/usr/bin/env bash
# Installs the servers and clients that the tests start themselves, if they are
# missing. Installs nothing else and starts no system service.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/lib.sh
. tools/lib.sh

# command:package, the package named as in Debian 12.
needed=(
    cc:gcc
    mosquitto:mosquitto
    mosquitto_pub:mosquitto-clients
    redis-server:redis-server
    mariadbd:mariadb-server
    mariadb-install-db:mariadb-server
    curl:curl
    jq:jq
    python3:python3
    node:nodejs
    npm:npm
    chromium:chromium
    promtool:prometheus
    sqlite3:sqlite3
    prometheus-node-exporter:prometheus-node-exporter
)

# Servers live in sbin, which a user's PATH may lack.
PATH=$PATH:/usr/sbin:/sbin

missing=()
for pair in "${needed[@]}"; do
    have "${pair%%:*}" || missing+=("${pair##*:}")
done
[ "${#missing[@]}" -eq 0 ] && exit 0
mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)

have apt-get || fail "missing: ${missing[*]} (Debian's names); install them with your package manager"
if [ "$(id -u)" -eq 0 ]; then
    as_root=()
elif have sudo; then
    as_root=(sudo)
else
    fail "missing: ${missing[*]}; run as root: apt-get install ${missing[*]}"
fi

# Debian starts a service when its package is installed, unless this file says no.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
fi
echo "installing ${missing[*]}"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
