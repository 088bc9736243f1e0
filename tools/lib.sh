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
