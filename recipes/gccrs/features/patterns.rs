// patterns(20) = 25
#![feature(no_core)]
#![feature(lang_items)]
#![no_core]

struct Point {
    x: i32,
    y: i32,
}

#[no_mangle]
pub extern "C" fn patterns(n: i32) -> i32 {
    let Point { x, y } = Point { x: n, y: 2 };
    let (a, b) = (1, 2);
    x + y + a + b
}
