//! Any bytes as BTF: read everything that can be read.

#![no_main]

#[expect(dead_code, reason = "each target runs one of them")]
#[path = "../bodies/btf.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::read(data));
