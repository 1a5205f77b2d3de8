// continues(10) = 50
// fault 16.2: 55
// `continue` in a `while` that is in no `loop` is dropped without a word: CompileExpr::visit (HIR::ContinueExpr &)
// asks for a loop's value, which visit (HIR::WhileLoopExpr &) does not push. gccrs 14 and 15 do not ask.
#![feature(no_core)]
#![feature(lang_items)]
#![no_core]

#[no_mangle]
pub extern "C" fn continues(n: i32) -> i32 {
    let mut sum = 0;
    let mut i = 0;
    while i < n {
        i += 1;
        if i == 5 {
            continue;
        }
        sum += i;
    }
    sum
}
