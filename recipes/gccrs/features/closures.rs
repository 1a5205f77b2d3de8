// closures(20) = 23
#![feature(no_core)]
#![feature(lang_items)]
#![no_core]

#[lang = "sized"]
pub trait Sized {}

#[lang = "fn_once"]
pub trait FnOnce<Args> {
    #[lang = "fn_once_output"]
    type Output;

    extern "rust-call" fn call_once(self, args: Args) -> Self::Output;
}

#[no_mangle]
pub extern "C" fn closures(n: i32) -> i32 {
    let by = 3;
    let add = |i: i32| -> i32 { i + by };
    add(n)
}
