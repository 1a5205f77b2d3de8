// structs(20) = 463
#![feature(no_core)]
#![feature(lang_items)]
#![no_core]

struct Point {
    x: i32,
    y: i64,
}

struct Pair(i32, Point);

impl Point {
    fn dot(&self, other: &Point) -> i32 {
        self.x * other.x + (self.y * other.y) as i32
    }
}

fn moved(pair: Pair) -> Point {
    Point { x: pair.1.x + pair.0, y: pair.1.y }
}

#[no_mangle]
pub extern "C" fn structs(n: i32) -> i32 {
    let mut p = moved(Pair(1, Point { x: n, y: 2 }));
    p.x += 1;
    let q = Point { x: 21, y: 1 };
    p.dot(&q) - 1
}
