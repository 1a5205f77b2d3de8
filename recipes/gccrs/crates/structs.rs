// import_structs(20) = 21
// A type and its layout.
#![feature(no_core)]
#![feature(lang_items)]
#![no_core]

pub struct Pair {
    pub a: i32,
    pub b: i64,
}

//// the importing crate
#![feature(no_core)]
#![feature(lang_items)]
#![no_core]

extern crate export_structs;

use export_structs::Pair;

#[no_mangle]
pub extern "C" fn import_structs(n: i32) -> i32 {
    let pair = Pair { a: n, b: 1 };
    pair.a + pair.b as i32
}
