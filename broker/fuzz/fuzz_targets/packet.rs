//! See `checks::packet` for what must hold.
#![no_main]

#[path = "../../tests/checks/packet.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::packet(bytes));
