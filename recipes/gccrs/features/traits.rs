// traits(20) = 66
#![feature(no_core)]
#![feature(lang_items)]
#![no_core]

#[lang = "sized"]
pub trait Sized {}

trait Weight {
    fn weight(&self) -> i32;
    fn twice(&self) -> i32 {
        self.weight() * 2
    }
}

struct Stone(i32);
struct Feather;

impl Weight for Stone {
    fn weight(&self) -> i32 {
        self.0
    }
}

impl Weight for Feather {
    fn weight(&self) -> i32 {
        1
    }

    fn twice(&self) -> i32 {
        3
    }
}

fn sum<A: Weight, B: Weight>(a: &A, b: &B) -> i32 {
    a.weight() + a.twice() + b.weight() + b.twice()
}

#[no_mangle]
pub extern "C" fn traits(n: i32) -> i32 {
    sum(&Stone(n), &Feather) + 2
}
