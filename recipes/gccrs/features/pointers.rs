// pointers(20) = 23
#![feature(no_core)]
#![feature(lang_items)]
#![no_core]

fn bump(n: &mut i32) {
    *n += 1;
}

static STEP: i32 = 2;

#[no_mangle]
pub extern "C" fn pointers(n: i32) -> i32 {
    let mut own = n;
    bump(&mut own);
    let raw = &own as *const i32;
    unsafe { *raw + STEP }
}
