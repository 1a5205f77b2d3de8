// macros(20) = 26
#![feature(no_core)]
#![feature(lang_items)]
#![no_core]

macro_rules! sum {
    ($only:expr) => { $only };
    ($first:expr, $($rest:expr),+) => { $first + sum!($($rest),+) };
}

#[no_mangle]
pub extern "C" fn macros(n: i32) -> i32 {
    sum!(n, 1, 2, 3)
}
