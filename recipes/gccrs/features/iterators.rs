// iterators(4) = 10
#![feature(no_core)]
#![feature(lang_items)]
#![no_core]

// What `for` is made of, as rustc's core declares it.
#[lang = "sized"]
pub trait Sized {}

pub enum Option<T> {
    #[lang = "None"]
    None,
    #[lang = "Some"]
    Some(T),
}

pub trait Iterator {
    type Item;

    #[lang = "next"]
    fn next(&mut self) -> Option<Self::Item>;
}

pub trait IntoIterator {
    type Item;
    type IntoIter: Iterator;

    #[lang = "into_iter"]
    fn into_iter(self) -> Self::IntoIter;
}

impl<I: Iterator> IntoIterator for I {
    type Item = I::Item;
    type IntoIter = I;

    fn into_iter(self) -> I {
        self
    }
}

struct Down(i32);

impl Iterator for Down {
    type Item = i32;

    fn next(&mut self) -> Option<i32> {
        if self.0 == 0 {
            Option::None
        } else {
            self.0 -= 1;
            Option::Some(self.0 + 1)
        }
    }
}

#[no_mangle]
pub extern "C" fn iterators(n: i32) -> i32 {
    let mut sum = 0;
    for i in Down(n) {
        sum += i;
    }
    sum
}
