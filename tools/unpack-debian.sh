#!/usr/bin/env bash
# Unpacks packages of a Debian suite, with all that they depend on, into a folder, and
# installs nothing: unpack-debian.sh SUITE FOLDER PACKAGE...
#
# FOLDER/bin gets a starter for every program, which runs it with the
# loader and the libraries of its own suite; FOLDER/VERSIONS says what was unpacked. A
# folder that holds the same packages already is left alone; delete it to refresh it.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/lib.sh
. tools/lib.sh

[ $# -ge 3 ] || fail "usage: unpack-debian.sh SUITE FOLDER PACKAGE..."
suite=$1 folder=$(realpath -m "$2")
shift 2
asked="$suite $* in $folder"
if [ "$(cat "$folder/ASKED" 2>/dev/null)" = "$asked" ]; then
    exit 0
fi
for command in apt-get apt-cache dpkg-deb; do
    have "$command" || fail "$command is missing: packages can be unpacked on Debian and Ubuntu only"
done

# The mirror that this machine uses itself, whatever it is.
mirror() {
    local sources=(/etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources})
    { cat "${sources[@]}" 2>/dev/null || true; } | grep -E '^(URIs:|deb )' |
        grep -oE '[a-z+]+:/[^ ]*/debian/?( |$)' | sed -n 1p
}
mirror=${DEBIAN_MIRROR:-$(mirror || true)}
mirror=${mirror%% *}
[ -n "$mirror" ] || fail "no Debian mirror in /etc/apt: name one in DEBIAN_MIRROR"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[ -e "$keys" ] || fail "$keys is missing: install debian-archive-keyring"

# An apt of its own, to which nothing is installed; its lists serve later calls.
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
state=$target/debian-suites/$suite
mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$state/etc"
: >"$state/status"
echo "deb [signed-by=$keys] $mirror $suite main" >"$state/etc/sources.list"
options=(
    -qq
    -o "Dir::State=$state" -o "Dir::State::status=$state/status" -o "Dir::State::Lists=$state/lists"
    -o "Dir::Cache=$state/cache" -o "Dir::Etc::sourcelist=$state/etc/sources.list"
    -o "Dir::Etc::sourceparts=/dev/null" -o "Dir::Etc::preferencesparts=/dev/null"
    -o "Acquire::Languages=none" -o "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false"
    -o "APT::Sandbox::User=" -o "Acquire::Retries=2"
    -o "APT::Install-Recommends=false" -o "Debug::NoLocking=1"
)
exec {lock}>"$state/lock"
flock "$lock"
if [ -z "$(find "$state/fresh" -mmin -720 2>/dev/null)" ]; then
    apt-get "${options[@]}" -o APT::Update::Error-Mode=any update >&2 ||
        fail "the lists of $suite cannot be had from $mirror"
    touch "$state/fresh"
fi

wanted=$(apt-get "${options[@]}" install --print-uris -y "$@" | grep "^'") ||
    fail "$suite has no $*, or not all that it depends on"

# A package that the programs run without: they are for maintainer scripts and are large.
needless='^(debconf|perl-base|dpkg|adduser|passwd|init-system-helpers|systemd.*|tzdata|coreutils|libperl.*|perl.*)_'
rm -rf "$folder"
mkdir -p "$folder"
names=()
while read -r name; do
    [[ $name =~ $needless ]] || names+=("${name%%_*}")
done < <(cut -d' ' -f2 <<<"$wanted")
(cd "$state/cache/archives" && rm -f ./*.deb && apt-get "${options[@]}" download "${names[@]}" >&2) ||
    fail "packages of $suite cannot be had from $mirror"
for package in "$state"/cache/archives/*.deb; do
    dpkg-deb --extract "$package" "$folder"
    dpkg-deb --showformat='${Package} ${Version}\n' --show "$package" >>"$folder/VERSIONS"
done
rm -rf "$state"/cache/archives/*.deb "$folder"/usr/share/{doc,man,locale,lintian}

loader=$(find "$folder" -name 'ld-linux-*.so.*' -o -name 'ld64.so.*' | head -n 1)
[ -n "$loader" ] || fail "no loader came with $*"
libraries=$(find "$folder" -regex "$folder/\(usr/\)?lib.*" -name '*.so.*' -printf '%h\n' | sort -u | paste -sd:)
# Some libraries get the name that programs ask for only when they are installed.
PATH=$PATH:/usr/sbin:/sbin
have ldconfig || fail "ldconfig is missing (package libc-bin)"
while read -r libraries_in; do ldconfig -n "$libraries_in"; done < <(tr : '\n' <<<"$libraries")
mkdir -p "$folder/bin"
for program in "$folder"/usr/{sbin,bin}/*; do
    [ -f "$program" ] && [ -x "$program" ] || continue
    starter=$folder/bin/$(basename "$program")
    if [ "$(head -c 4 "$program" | tail -c 3)" = ELF ]; then
        printf '#!/bin/sh\nexec "%s" --argv0 "%s" --library-path "%s" "%s" "$@"\n' \
            "$loader" "$program" "$libraries" "$program" >"$starter"
        chmod 755 "$starter"
    else
        ln -s "$program" "$starter"
    fi
done
echo "$asked" >"$folder/ASKED"
