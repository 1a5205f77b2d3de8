//! Files of `.BTF.ext` that break one rule each, and hostile ones.

use super::{Context, validate_ext};
use crate::debuginfo::btf::{Btf, Builder, Endian, Kind, Order};
use proptest::prelude::*;

// Type 1 `int`, 2 `int ()`, 3 the function `f`, 4 `struct s { int a; int b[4]; }`, 5 an array, 6 `enum e { ONE }`.
fn btf() -> Vec<u8> {
    let mut builder = Builder::new(None, Endian::Little, false).order(Order::AsPushed);
    let [int, s, a, b, e, one] = ["int", "s", "a", "b", "e", "ONE"].map(|name| builder.string(name));
    builder.push(Kind::Int, int, false, 0, 4, &[1 << 24 | 32]);
    builder.func_proto(1, &[]);
    builder.func("f", 2, 1);
    builder.push(Kind::Struct, s, false, 2, 20, &[a, 1, 0, b, 5, 32]);
    builder.push(Kind::Array, 0, false, 0, 0, &[1, 1, 4]);
    builder.push(Kind::Enum, e, false, 1, 4, &[one, 1]);
    for text in [".text", ".other", "file.c", "0", "0:1:3", "0:2", "1", "zero", "\u{f6}"] {
        builder.string(text);
    }
    builder.finish().unwrap()
}

fn at(text: &str) -> u32 {
    let bytes = btf();
    let btf = Btf::parse(&bytes, None).unwrap();
    let place = btf
        .strings()
        .windows(text.len() + 2)
        .position(|part| part[0] == 0 && part[text.len() + 1] == 0 && part[1..=text.len()] == *text.as_bytes());
    place.unwrap() as u32 + 1
}

fn context() -> Context {
    Context { sections: Some(vec![(".text".to_owned(), 32)]), pointer: None }
}

// Tables of a section each, record sizes 8, 16 and 16.
fn built(functions: &[[u32; 2]], lines: &[[u32; 4]], relocations: &[[u32; 4]]) -> Vec<u8> {
    fn table<const N: usize>(records: &[[u32; N]]) -> Vec<u32> {
        if records.is_empty() {
            return Vec::new();
        }
        [&[N as u32 * 4, at(".text"), records.len() as u32][..], &records.concat()].concat()
    }
    let tables = [table(functions), table(lines), table(relocations)];
    let mut words = vec![32];
    let mut offset = 0;
    for table in &tables {
        words.extend([offset, table.len() as u32 * 4]);
        offset += table.len() as u32 * 4;
    }
    words.extend(tables.concat());
    let mut bytes = vec![0x9f, 0xeb, 1, 0];
    bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    bytes
}

fn good() -> Vec<u8> {
    let (file, field, itself) = (at("file.c"), at("0:1:3"), at("0"));
    let lines = [[0, file, 0, 1 << 10], [16, file, 0, 2 << 10]];
    built(&[[0, 3]], &lines, &[[24, 4, field, 0], [8, 4, itself, 9], [8, 6, itself, 11]])
}

fn codes(bytes: &[u8]) -> Vec<&'static str> {
    let btf = btf();
    let btf = Btf::parse(&btf, None).unwrap();
    validate_ext(bytes, Some(&btf), &context()).findings.counts().map(|(code, _)| code).collect()
}

fn changed(place: usize, value: u32) -> Vec<u8> {
    let mut bytes = good();
    bytes[place..place + 4].copy_from_slice(&value.to_le_bytes());
    bytes
}

/// Returns a name, bytes and the rules that they break.
pub fn cases() -> Vec<(&'static str, Vec<u8>, Vec<&'static str>)> {
    let (file, field) = (at("file.c"), at("0:1:3"));
    let relocated = |record: [u32; 4]| built(&[], &[], &[record]);
    vec![
        ("no header", good()[..20].to_vec(), vec!["BT090"]),
        ("another magic", changed(0, 0x0001_eb9e), vec!["BT090"]),
        ("flags", changed(0, 0x0101_eb9f), vec!["BT090"]),
        ("a long header", changed(4, 4096), vec!["BT090"]),
        ("a table outside", changed(12, 4096), vec!["BT091"]),
        ("tables that overlap", changed(16, 12), vec!["BT091", "BT092"]),
        ("small records", changed(32, 4), vec!["BT092"]),
        ("too many records", changed(40, 2), vec!["BT093"]),
        ("no records", changed(40, 0), vec!["BT093"]),
        ("another section", changed(36, at(".other")), vec!["BT094"]),
        ("a section without a name", changed(36, 1 << 20), vec!["BT094"]),
        ("no instruction", built(&[[4, 3]], &[], &[]), vec!["BT095"]),
        ("outside the section", built(&[[32, 3]], &[], &[]), vec!["BT095"]),
        ("out of order", built(&[[8, 3], [0, 3]], &[], &[]), vec!["BT096"]),
        ("twice", built(&[], &[[8, file, 0, 0], [8, file, 0, 0]], &[]), vec!["BT096"]),
        ("no function", built(&[[0, 1]], &[], &[]), vec!["BT097"]),
        ("no file", built(&[], &[[0, 1 << 20, 0, 0]], &[]), vec!["BT098"]),
        ("no source line", built(&[], &[[0, file, 1 << 20, 0]], &[]), vec!["BT098"]),
        ("no type", relocated([0, 99, field, 0]), vec!["BT099"]),
        ("no access string", relocated([0, 4, 1 << 20, 0]), vec!["BT099"]),
        ("words", relocated([0, 4, at("zero"), 0]), vec!["BT099"]),
        ("no such member", relocated([0, 4, at("0:2"), 0]), vec!["BT099"]),
        ("a member of a type", relocated([0, 4, field, 8]), vec!["BT099"]),
        ("no such enumerator", relocated([0, 6, at("1"), 10]), vec!["BT099"]),
        ("an enumerator of a structure", relocated([0, 4, at("0"), 10]), vec!["BT099"]),
        ("another kind", relocated([0, 4, field, 13]), vec!["BT099"]),
    ]
}

#[test]
fn each_mistake_breaks_its_rule_and_no_other() {
    assert_eq!(codes(&good()), [""; 0]);
    for (name, bytes, expected) in cases() {
        assert_eq!(codes(&bytes), expected, "{name}");
    }
}

#[test]
fn records_are_counted() {
    let btf = btf();
    let btf = Btf::parse(&btf, None).unwrap();
    let counts = validate_ext(&good(), Some(&btf), &context()).counts.unwrap();
    assert_eq!((counts.functions, counts.lines, counts.relocations), (1, 2, 3));
    // Without BTF and sections, what does not need them is checked.
    assert!(validate_ext(&good(), None, &Context::default()).findings.is_empty());
    assert!(validate_ext(&good()[..20], None, &Context::default()).counts.is_none());
}

#[test]
fn the_other_byte_order_is_a_mistake() {
    let mut bytes = vec![0xeb, 0x9f, 1, 0];
    bytes.extend([24_u32, 0, 0, 0, 0].iter().flat_map(|word| word.to_be_bytes()));
    assert_eq!(codes(&bytes), ["BT090"]);
    assert!(validate_ext(&bytes, None, &Context::default()).findings.is_empty());
}

#[test]
fn files_cut_off_at_every_byte_are_harmless() {
    let good = good();
    for len in 0..good.len() {
        assert!(!codes(&good[..len]).is_empty(), "{len}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_that_change_are_harmless(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = good();
        for (place, value) in &changes {
            let place = place.index(bytes.len());
            bytes[place] = *value;
        }
        let btf = btf();
        let btf = Btf::parse(&btf, None).unwrap();
        let checked = validate_ext(&bytes, Some(&btf), &context());
        if let Some(counts) = checked.counts {
            let records = counts.functions * 8 + counts.lines * 16 + counts.relocations * 16;
            prop_assert!(records <= bytes.len() as u64 * 3);
        }
        prop_assert!(checked.findings.list().len() as u64 <= checked.findings.errors());
    }

    #[test]
    fn any_bytes_are_harmless(tail in prop::collection::vec(any::<u32>(), 0..64)) {
        let mut bytes = vec![0x9f, 0xeb, 1, 0, 24, 0, 0, 0];
        // Small numbers get further than random ones.
        bytes.extend(tail.iter().flat_map(|word| (word % 64).to_le_bytes()));
        let btf = btf();
        let btf = Btf::parse(&btf, None).unwrap();
        let _ = validate_ext(&bytes, Some(&btf), &context());
        let _ = validate_ext(&bytes, None, &Context::default());
    }
}
