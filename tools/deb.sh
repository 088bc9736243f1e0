#!/usr/bin/env bash
# Builds the Debian package into target/debian: program, units, man pages, completions
# of bash, zsh and fish, account scripts, documents, bill of materials. With NEMESES_PROFILE=debug it
# takes the program that the tests built, which is quicker and larger.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/lib.sh
. tools/lib.sh

need_cargo
version=3.8.0
target=${CARGO_TARGET_DIR:-target}
profile=${NEMESES_PROFILE:-release}

deb=$target/tools/bin/cargo-deb
if [ "$("$deb" --version 2>/dev/null || true)" != "cargo-deb $version" ]; then
    if [ "$(cargo deb --version 2>/dev/null || true)" = "cargo-deb $version" ]; then
        deb=$(command -v cargo-deb)
    else
        phase "cargo-deb $version" cargo install --quiet --locked --no-default-features \
            --root "$target/tools" "cargo-deb@$version"
    fi
fi

# Of the release, cargo-deb looks for its assets in target/release, whatever it is given.
case $profile in
release) cargo build --locked --release --package nemeses ;;
debug) cargo build --locked --workspace --bins ;;
*) fail "NEMESES_PROFILE is '$profile'; it is release or debug" ;;
esac

# Here whatever CARGO_TARGET_DIR says: cli/Cargo.toml names these files.
made=target/deb
rm -rf "$made"
mkdir -p "$made/man"
program=$target/$profile/nemeses
"$program" man "$made/man"
"$program" completions bash >"$made/nemeses.bash"
"$program" completions zsh >"$made/_nemeses"
"$program" completions fish >"$made/nemeses.fish"
tools/sbom.py "$made/nemeses.cdx.json"

rm -f "$target"/debian/nemeses_*.deb
[ "$profile" = release ] || set -- --profile dev "$@"
"$deb" --quiet --no-build --no-dbgsym --package nemeses --output "$target/debian/" "$@"
