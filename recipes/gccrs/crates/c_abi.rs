// import_c_abi(20) = 21
// What C could call.
#![feature(no_core)]
#![feature(lang_items)]
#![no_core]

#[no_mangle]
pub extern "C" fn next_of_c_abi(n: i32) -> i32 {
    n + 1
}

//// the importing crate
#![feature(no_core)]
#![feature(lang_items)]
#![no_core]

extern crate export_c_abi;

#[no_mangle]
pub extern "C" fn import_c_abi(n: i32) -> i32 {
    unsafe { export_c_abi::next_of_c_abi(n) }
}
