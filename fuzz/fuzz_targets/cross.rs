#![no_main]

#[path = "../targets.rs"]
#[allow(dead_code, reason = "the other target's half")]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::cross(bytes));
