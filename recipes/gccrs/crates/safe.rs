// import_safe(20) = 21
// The same, called as Rust calls a function of Rust.
#![feature(no_core)]
#![feature(lang_items)]
#![no_core]

pub fn next(n: i32) -> i32 {
    n + 1
}

//// the importing crate
#![feature(no_core)]
#![feature(lang_items)]
#![no_core]

extern crate export_safe;

#[no_mangle]
pub extern "C" fn import_safe(n: i32) -> i32 {
    export_safe::next(n)
}
