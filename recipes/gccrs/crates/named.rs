// import_named(20) = 21
// What is called by its own name.
#![feature(no_core)]
#![feature(lang_items)]
#![no_core]

#[no_mangle]
pub fn next_of_named(n: i32) -> i32 {
    n + 1
}

//// the importing crate
#![feature(no_core)]
#![feature(lang_items)]
#![no_core]

extern crate export_named;

#[no_mangle]
pub extern "C" fn import_named(n: i32) -> i32 {
    unsafe { export_named::next_of_named(n) }
}
