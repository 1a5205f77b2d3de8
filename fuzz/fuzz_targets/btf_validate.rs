//! Any bytes as BTF on a base: check it, dump it, write it again.

#![no_main]

#[expect(dead_code, reason = "each target runs one of them")]
#[path = "../bodies/btf.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::check(data));
