//! The corpus of the fuzz targets, replayed.

use crate::{body, fixture};
use std::path::{Path, PathBuf};

fn files(target: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    fs_err::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn the_corpus_of_the_reader_is_harmless() {
    let files = files("btf_read");
    assert!(files.len() > 60, "{}", files.len());
    for file in files {
        body::read(&fs_err::read(&file).unwrap());
    }
}

#[test]
fn the_corpus_of_the_check_is_harmless() {
    let files = files("btf_validate");
    assert!(files.len() > 60, "{}", files.len());
    for file in files {
        body::check(&fs_err::read(&file).unwrap());
    }
}

#[test]
fn fixtures_cut_off_at_every_byte_are_harmless() {
    for name in ["program.btf", "kinds-big.btf", "inline-new-little.btf", "inline-old-big.btf"] {
        let bytes = fs_err::read(fixture(name)).unwrap();
        for len in 0..bytes.len() {
            let cut = &bytes[..len];
            body::read(cut);
            let mut input = vec![0, 0];
            input.extend(cut);
            body::check(&input);
        }
    }
}
