// function(20) = 41
#![feature(no_core)]
#![feature(lang_items)]
#![no_core]

#[no_mangle]
pub extern "C" fn function(n: i32) -> i32 {
    n * 2 + 1
}
