//! Any bytes as a DWARF expression: translate it, write the location, read it again.

#![no_main]

#[path = "../bodies/inline.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::expression(data));
