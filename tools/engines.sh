#!/usr/bin/env bash
# The pipeline on the servers of Debian's newer suites, unpacked into the build folder
# and installed nowhere: engines.sh [NAME...]. The table "Tested on" in docs/install.md is
# filled from what it prints. NAME is one of those below; without one, all are run.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/lib.sh
. tools/lib.sh

engines=$(realpath -m "${CARGO_TARGET_DIR:-target}")/engines
names=(mariadb-11.8 redis-8 valkey-8 valkey-9 mosquitto-2.0 mosquitto-2.1)
[ $# -eq 0 ] || names=("$@")
filter=${ENGINES_FILTER:-}

# What each server is asked to carry: all of the line's tests in the shapes that use it,
# and the tests of the crate that speaks to it.
line='package(nemeses-e2e) & binary(line) & (test(stations) | test(node_on_servers))'
declare -A tests=(
    [mariadb]="$line | package(nemeses-store) & test(mariadb)"
    [redis]="$line | package(nemeses-store) & (binary(live_redis) | binary(live_stream) | binary(live_many))"
    [mosquitto]="package(nemeses-mqtt) & kind(test) | package(nemeses-e2e) & (binary(mosquitto_secure) | binary(line) & test(stations) | binary(chaos) & test(mosquitto))"
)

# mariadb-install-db wants a tree as an installation has it, and the server its files.
arrange_mariadb() {
    local folder=$1 base=$1/base files
    mkdir -p "$base/bin" "$base/sbin" "$folder/tests"
    ln -sfn ../usr/share "$base/share"
    files="--lc-messages-dir=$folder/usr/share/mariadb --character-sets-dir=$folder/usr/share/mariadb/charsets"
    printf '#!/bin/sh\nexec "%s" "$@" %s --plugin-dir="%s"\n' \
        "$folder/bin/mariadbd" "$files" "$folder/usr/lib/mysql/plugin" >"$folder/tests/mariadbd"
    printf '#!/bin/sh\nexec "%s" "$@" --basedir="%s"\n' \
        "$folder/usr/bin/mariadb-install-db" "$base" >"$folder/tests/mariadb-install-db"
    chmod 755 "$folder/tests"/*
    ln -sf "$folder/tests/mariadbd" "$base/sbin/mariadbd"
    ln -sf "$folder/bin/my_print_defaults" "$base/bin/my_print_defaults"
    ln -sf "$folder/bin/resolveip" "$base/bin/resolveip"
}

# The tests start redis-server, whoever answers to it.
arrange_valkey() {
    local folder=$1 program
    mkdir -p "$folder/tests"
    for program in server cli sentinel; do
        ln -sf "$folder/bin/valkey-$program" "$folder/tests/redis-$program"
    done
    [ -e "$folder/bin/valkey-sentinel" ] || ln -sf valkey-server "$folder/bin/valkey-sentinel"
}

run() {
    local name=$1 suite=$2 kind=$3 folder=$engines/$1
    shift 3
    printf '\n== %s, of the suite %s\n' "$name" "$suite"
    tools/unpack-debian.sh "$suite" "$folder" "$@" || fail "$name cannot be had"
    case $name in
    mariadb-*) arrange_mariadb "$folder" ;;
    valkey-*) arrange_valkey "$folder" ;;
    esac
    grep "^$1 " "$folder/VERSIONS"
    PATH=$folder/tests:$folder/bin:$PATH \
        cargo nextest run --locked --workspace --no-fail-fast -E "${filter:-${tests[$kind]}}"
    echo "TESTED: $(grep "^$1 " "$folder/VERSIONS"), $(date +%F), make engines ENGINE=$name"
}

for name in "${names[@]}"; do
    case $name in
    mariadb-11.8) run "$name" trixie mariadb mariadb-server-core mariadb-client-core ;;
    redis-8) run "$name" trixie redis redis-server ;;
    valkey-8) run "$name" trixie redis valkey-server ;;
    valkey-9) run "$name" unstable redis valkey-server ;;
    mosquitto-2.0) run "$name" trixie mosquitto mosquitto ;;
    mosquitto-2.1) run "$name" unstable mosquitto mosquitto ;;
    *) fail "there is no engine $name; there are ${names[*]}" ;;
    esac
done
