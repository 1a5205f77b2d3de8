// generics(20) = 22
#![feature(no_core)]
#![feature(lang_items)]
#![no_core]

#[lang = "sized"]
pub trait Sized {}

struct Holder<T> {
    value: T,
    count: i32,
}

impl<T> Holder<T> {
    fn new(value: T) -> Holder<T> {
        Holder { value, count: 1 }
    }

    fn take(self) -> T {
        self.value
    }
}

fn first<A, B>(a: A, _b: B) -> A {
    a
}

#[no_mangle]
pub extern "C" fn generics(n: i32) -> i32 {
    let wide = Holder::new(1i64);
    let own = Holder::new(n);
    let count = own.count;
    first(own.take(), wide.take()) + count + first(1, true)
}
