//! The corpus of the fuzz target, replayed.

use std::path::Path;

#[test]
fn expressions() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/inline_expression");
    let mut replayed = 0;
    for entry in fs_err::read_dir(dir).unwrap() {
        crate::body::expression(&fs_err::read(entry.unwrap().path()).unwrap());
        replayed += 1;
    }
    assert!(replayed >= 40, "{replayed}");
}
