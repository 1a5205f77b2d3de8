// import_traits(20) = 21
// A trait that the importing crate implements.
#![feature(no_core)]
#![feature(lang_items)]
#![no_core]

#[lang = "sized"]
pub trait Sized {}

pub trait Next {
    fn next(self) -> i32;
}

//// the importing crate
#![feature(no_core)]
#![feature(lang_items)]
#![no_core]

extern crate export_traits;

use export_traits::Next;

struct Number(i32);

impl Next for Number {
    fn next(self) -> i32 {
        self.0 + 1
    }
}

#[no_mangle]
pub extern "C" fn import_traits(n: i32) -> i32 {
    let number = Number(n);
    number.next()
}
