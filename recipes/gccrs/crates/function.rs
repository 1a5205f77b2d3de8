// import_function(20) = 21
// What is called by its mangled name.
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

extern crate export_function;

#[no_mangle]
pub extern "C" fn import_function(n: i32) -> i32 {
    unsafe { export_function::next(n) }
}
