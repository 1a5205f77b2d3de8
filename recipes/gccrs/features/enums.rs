// enums(20) = 36
#![feature(no_core)]
#![feature(lang_items)]
#![no_core]

enum Shape {
    Nothing,
    Square(i32),
    Box { w: i32, h: i32 },
}

fn area(shape: Shape) -> i32 {
    match shape {
        Shape::Nothing => 7,
        Shape::Square(side) => side * side,
        Shape::Box { w, h } => w * h,
    }
}

#[no_mangle]
pub extern "C" fn enums(n: i32) -> i32 {
    area(Shape::Nothing) + area(Shape::Square(3)) + area(Shape::Box { w: n, h: 1 })
}
