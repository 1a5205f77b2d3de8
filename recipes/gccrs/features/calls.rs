// calls(20) = 63
#![feature(no_core)]
#![feature(lang_items)]
#![no_core]

extern "C" {
    fn from_c(a: i32, b: i64) -> i32;
}

#[no_mangle]
pub extern "C" fn calls(n: i32) -> i32 {
    unsafe { from_c(n, 3i64) + 3 }
}
