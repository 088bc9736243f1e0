//! See `checks::session` for what must hold.
#![no_main]

#[path = "../../tests/checks/session.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::session(bytes));
