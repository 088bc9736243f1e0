# Shared by the scripts beside it; sourced, not run.

# Says what is wrong and what to do, and ends the script.
fail() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

have() {
    command -v "$1" >/dev/null 2>&1
}

need_cargo() {
    have cargo || fail "cargo is missing: install Rust $(rust_version) or later (rustup.rs), then run this again"
}

# What runs the tests, brought into the build folder where it is missing.
need_nextest() {
    local version=0.9.114 tools
    tools=$(realpath -m "${CARGO_TARGET_DIR:-target}")/tools
    PATH=$PATH:$tools/bin
    cargo nextest --version >/dev/null 2>&1 ||
        phase "cargo-nextest $version, once" cargo install --quiet --locked --root "$tools" "cargo-nextest@$version"
}

# The oldest Rust that builds this workspace, from Cargo.toml.
rust_version() {
    sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml
}

# Runs a command as one named phase and says how long it took.
phase() {
    local name=$1 began=$SECONDS
    shift
    printf '\n== %s\n' "$name"
    "$@" || fail "phase '$name' failed after $((SECONDS - began)) s: $*"
    printf '== %s: %d s\n' "$name" "$((SECONDS - began))"
}
