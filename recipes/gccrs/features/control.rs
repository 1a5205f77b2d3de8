// control(20) = 6786
#![feature(no_core)]
#![feature(lang_items)]
#![no_core]

fn fibonacci(n: i32) -> i32 {
    if n < 2 {
        n
    } else {
        fibonacci(n - 1) + fibonacci(n - 2)
    }
}

#[no_mangle]
pub extern "C" fn control(n: i32) -> i32 {
    let mut sum = 0;
    let mut i = 0;
    while i < n {
        i += 1;
        if i == 12 {
            break;
        }
        sum += i;
    }
    loop {
        sum -= 1;
        if sum > 61 {
            continue;
        }
        break;
    }
    let found = loop {
        i -= 1;
        if i < 3 {
            break i;
        }
    };
    // 6765 + 61 - 2 - 38
    fibonacci(n) + sum - found - 38
}
