// integers(20) = 1051
#![feature(no_core)]
#![feature(lang_items)]
#![no_core]

fn divide(a: i64, b: i64) -> i64 {
    a / b + a % b
}

#[no_mangle]
pub extern "C" fn integers(n: i32) -> i32 {
    // 64-bit division is libgcc's where the machine has none.
    let wide = divide((n as i64) << 32, 67108864);
    let bits = ((n as u32) ^ 15u32) & 30u32;
    let small = (n as u8) * 12u8 + 15u8;
    // 1280 + 26 - 255
    wide as i32 + bits as i32 - small as i32
}
