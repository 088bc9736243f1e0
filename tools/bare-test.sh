#!/usr/bin/env bash
# Tries the README's two commands, `make up` and `make test`, on a machine that has only
# what the README names: a Debian root made by debootstrap, with make, a C compiler and
# curl, and this machine's Rust toolchain at /opt/rust (Debian's own is too old; only the
# toolchain's folder, so none of the cargo programs that were installed beside it). What is
# committed is what is tried.
#
#   tools/bare-test.sh [up] [test]      both without a word
#
# As root on Debian or Ubuntu. Builds from nothing, so it takes an hour and more. The root
# stays in target/bare for the next time; DEBIAN_SUITE and DEBIAN_MIRROR choose another.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/lib.sh
. tools/lib.sh
PATH=$PATH:/usr/sbin:/sbin

root=$(realpath -m "${CARGO_TARGET_DIR:-target}")/bare
suite=${DEBIAN_SUITE:-bookworm}

# Within mounts and process ids of their own, which end with this script.
if [ "${1:-}" != inside ]; then
    [ "$(id -u)" -eq 0 ] || fail "a root can be made and entered by root only"
    need_cargo
    have debootstrap || apt-get install -y -qq debootstrap >/dev/null ||
        fail "debootstrap is missing: apt-get install debootstrap"
    [ $# -gt 0 ] || set -- up test
    exec unshare --mount --pid --fork --kill-child "$0" inside "$@"
fi
shift

debian() {
    local mirror
    mirror=${DEBIAN_MIRROR:-$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
        grep -oE 'https?://[^ ]+/debian/?( |$)' | head -n 1)}
    debootstrap --variant=minbase --include=make,gcc,libc6-dev,curl,ca-certificates \
        "$suite" "$root" "${mirror:-http://deb.debian.org/debian}" >"$root.log" ||
        fail "debootstrap failed; its log is $root.log"
}
if [ ! -e "$root/made" ]; then
    rm -rf "$root"
    phase "a bare Debian $suite" debian
    touch "$root/made"
fi

# How this machine reaches its registries, if in a way of its own.
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
mkdir -p "$root/root/.cargo" "$root/opt/rust"
for file in .cargo/config.toml .npmrc .config/pip/pip.conf; do
    [ ! -e "$HOME/$file" ] || install -D "$HOME/$file" "$root/root/$file"
done
mapfile -t reach < <(env | grep -E '^([A-Za-z_]*(proxy|PROXY)|PIP_[A-Z_]+|NPM_CONFIG_[A-Z_]+|[A-Z0-9_]*(CERT|CERTS|CERT_FILE|CERT_DIR|CA_BUNDLE|CAINFO))=')

rm -rf "$root/src/"{tools,web,docs} && mkdir -p "$root/src"
git archive HEAD | tar -x -C "$root/src"

mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind "$(rustc --print sysroot)" "$root/opt/rust"

# bare COMMAND...: in the root, with nothing of this machine's environment but the way to
# its registries.
ports=("NEMESES_MQTT_LISTEN=127.0.0.1:21883" "NEMESES_HTTP_LISTEN=127.0.0.1:25000" "NEMESES_ADMIN_LISTEN=127.0.0.1:29180")
bare() {
    chroot "$root" env -i "HOME=/root" "PATH=/opt/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
        "LANG=C.UTF-8" "${reach[@]}" "$@"
}

# `make up` says that it is up, answers, and ends at Ctrl-C.
try_up() {
    local log=$root.up.log
    : >"$log"
    setsid chroot "$root" env -i "HOME=/root" "PATH=/opt/rust/bin:/usr/sbin:/usr/bin:/sbin:/bin" "LANG=C.UTF-8" \
        "${reach[@]}" "${ports[@]}" make -C /src up >"$log" 2>&1 &
    local up=$!
    until grep -q "Ctrl-C stops everything" "$log"; do
        kill -0 "$up" 2>/dev/null || { tail -n 20 "$log" >&2; return 1; }
        sleep 1
    done
    curl -fsS http://127.0.0.1:25000/readyz || return 1
    grep -q '"status":"online"' "$log" || { tail -n 20 "$log" >&2; return 1; }
    kill -INT -- "-$up"
    wait "$up" || true
    if curl -fsS http://127.0.0.1:25000/readyz 2>/dev/null; then
        echo "the node is still there after Ctrl-C" >&2
        return 1
    fi
}
try_test() {
    bare make -C /src test
}

for what in "$@"; do
    case $what in
    up) phase "make up, bare" try_up ;;
    test) phase "make test, bare" try_test ;;
    *) fail "'$what' is neither up nor test" ;;
    esac
done
