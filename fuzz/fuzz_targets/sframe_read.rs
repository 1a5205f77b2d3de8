#![no_main]

#[path = "../bodies/sframe.rs"]
#[allow(dead_code, reason = "the other target's half")]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::reader(bytes));
