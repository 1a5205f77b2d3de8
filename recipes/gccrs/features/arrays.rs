// arrays(20) = 35
#![feature(no_core)]
#![feature(lang_items)]
#![no_core]

#[no_mangle]
pub extern "C" fn arrays(n: i32) -> i32 {
    let mut a = [1, 2, 3, 4];
    a[2] = n;
    let i: usize = 3;
    let pair = (8, 2u8);
    a[0] + a[1] + a[2] + a[i] + pair.0
}
