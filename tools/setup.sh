#!/usr/bin/env bash
# Installs the servers and clients that the tests start themselves, if they are
# missing, and what checks answers and files, and MySQL, into the build folder. Further
# commands may be named as COMMAND:PACKAGE. Starts no system service.
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
    haproxy:haproxy
    prometheus-node-exporter:prometheus-node-exporter
    "$@"
)

# In the build folder, for tests only: what holds a running node against its OpenAPI
# document, what speaks MQTT and gRPC to it as people's clients do, and what opens the files that
# the API gives out.
schemathesis=4.32.5
paho=2.2.0
grpcio=1.85.3
grpcio_tools=1.85.1
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target"
# Cargo marks only a folder that it makes itself; tests find it by the mark.
[ -e "$target/CACHEDIR.TAG" ] ||
    printf 'Signature: 8a477f597d28d172789f06886806bc55\n' >"$target/CACHEDIR.TAG"

# python_tools FOLDER PROGRAM REQUIREMENT...: a virtual environment of its own.
python_tools() {
    local folder=$target/$1 program=$2
    shift 2
    # It bears the path of its folder: moved, its programs do not start.
    [ "$(cat "$folder/installed" 2>/dev/null)" = "$*" ] && "$folder/bin/$program" --version >/dev/null 2>&1 && return
    echo "installing $* into $folder"
    rm -rf "$folder"
    python3 -m venv "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check "$@"
    printf '%s\n' "$*" >"$folder/installed"
}

install_tools() {
    python_tools api-check st "schemathesis==$schemathesis"
    python_tools mqtt-check python "paho-mqtt==$paho"
    python_tools grpc-check python "grpcio==$grpcio" \
        grpcio-{tools,reflection,health-checking}"==$grpcio_tools"
    local requirements
    mapfile -t requirements < <(grep -v '^#' tools/export-requirements.txt)
    python_tools export-check python "${requirements[@]}"
}

# MySQL is not in Debian's releases: its suite of newest packages has it, which are unpacked
# and never installed. The tests that need it are left out where it cannot be had.
unpack_mysql() {
    local folder=$target/engines/mysql
    if tools/unpack-debian.sh unstable "$folder" mysql-server-core; then
        echo "MySQL for the tests: $(sed -n 's/^mysql-server-core //p' "$folder/VERSIONS")"
    else
        echo "!!! MySQL cannot be had here (see above): ALL TESTS ON MYSQL ARE SKIPPED !!!" >&2
    fi
}

# Servers live in sbin, which a user's PATH may lack.
PATH=$PATH:/usr/sbin:/sbin

missing=()
for pair in "${needed[@]}"; do
    have "${pair%%:*}" || missing+=("${pair##*:}")
done
# A plugin is no command: the file tells.
[ -e /usr/lib/mysql/plugin/ha_rocksdb.so ] || missing+=(mariadb-plugin-rocksdb)
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
if [ "${#missing[@]}" -eq 0 ]; then
    install_tools
    unpack_mysql
    exit 0
fi
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
install_tools
unpack_mysql
