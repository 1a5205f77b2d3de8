// import_generic(20) = 21
// What is compiled where it is used.
#![feature(no_core)]
#![feature(lang_items)]
#![no_core]

#[lang = "sized"]
pub trait Sized {}

pub fn same<T>(n: T) -> T {
    n
}

//// the importing crate
#![feature(no_core)]
#![feature(lang_items)]
#![no_core]

extern crate export_generic;

use export_generic::same;

#[no_mangle]
pub extern "C" fn import_generic(n: i32) -> i32 {
    let same = same(n);
    same + 1
}
