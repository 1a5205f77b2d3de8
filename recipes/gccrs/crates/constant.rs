// import_constant(20) = 21
// A constant.
#![feature(no_core)]
#![feature(lang_items)]
#![no_core]

pub const STEP: i32 = 1;

//// the importing crate
#![feature(no_core)]
#![feature(lang_items)]
#![no_core]

extern crate export_constant;

#[no_mangle]
pub extern "C" fn import_constant(n: i32) -> i32 {
    n + export_constant::STEP
}
