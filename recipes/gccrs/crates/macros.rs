// import_macros(20) = 21
// A macro.
#![feature(no_core)]
#![feature(lang_items)]
#![no_core]

#[macro_export]
macro_rules! next {
    ($n:expr) => { $n + 1 };
}

//// the importing crate
#![feature(no_core)]
#![feature(lang_items)]
#![no_core]

#[macro_use]
extern crate export_macros;

#[no_mangle]
pub extern "C" fn import_macros(n: i32) -> i32 {
    next!(n)
}
