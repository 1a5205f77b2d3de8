use super::cases::all;
use super::rules::RULES;
use super::*;
use crate::debuginfo::btf::sample;
use crate::debuginfo::btf::{Builder, Endian, Grammar, Kind, LocSite, Order};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn codes(bytes: &[u8], base: Option<&Btf<'_>>, context: &Context) -> Vec<&'static str> {
    // The lifetimes of file and base are one.
    let base = base.cloned();
    validate(bytes, base.as_ref(), context).findings.counts().map(|(code, _)| code).collect()
}

#[test]
fn each_mistake_breaks_its_rule_and_no_other() {
    for case in all() {
        let base = case.base.as_deref().map(|bytes| Btf::parse(bytes, None).unwrap());
        let checked = validate(&case.bytes, base.as_ref(), &case.context);
        let found: Vec<_> = checked.findings.counts().map(|(code, _)| code).collect();
        assert_eq!(found, case.codes, "{}: {:#?}", case.name, checked.findings.list());
    }
}

#[test]
fn every_rule_is_broken_by_some_case() {
    let mut broken: BTreeSet<&str> = all().iter().flat_map(|case| case.codes.clone()).collect();
    broken.extend(super::ext_tests::cases().into_iter().flat_map(|(_, _, codes)| codes));
    // Of a kind that no release defines; `kinds_that_are_not_known` below.
    broken.insert("BT013");
    let missing: Vec<_> = RULES.iter().map(|rule| rule.code).filter(|code| !broken.contains(code)).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn a_file_of_every_kind_is_valid() {
    for bytes in sample::all() {
        let found = codes(&bytes, None, &Context::default());
        // The sample is in the order of kinds.
        assert!(found.iter().all(|code| *code == "BT073"), "{found:?}");
    }
}

#[test]
fn kinds_that_are_not_known_are_said() {
    let mut builder = Builder::new(None, Endian::Little, true).order(Order::AsPushed);
    builder.push(Kind::Ptr, 0, false, 0, 0, &[]);
    builder.push(Kind::Other(23), 0, false, 0, 0, &[]);
    let mut bytes = builder.finish().unwrap();
    let at = 32 + u32::from_le_bytes(bytes[16..20].try_into().unwrap()) as usize;
    bytes.splice(at..at, [0; 4]);
    bytes[16] += 4;
    bytes[28] += 4;
    assert_eq!(codes(&bytes, None, &Context::default()), ["BT013"]);
}

#[test]
fn fifty_thousand_pointers_take_no_stack() {
    let count = 50_000;
    for closed in [false, true] {
        for kind in [Kind::Ptr, Kind::Const] {
            let mut builder = Builder::new(None, Endian::Little, false).order(Order::AsPushed);
            for id in 1..count {
                builder.push(kind, 0, false, 0, id + 1, &[]);
            }
            builder.push(kind, 0, false, 0, u32::from(closed), &[]);
            let bytes = builder.finish().unwrap();
            let expected: &[&str] = if closed { &["BT037"] } else { &[] };
            assert_eq!(codes(&bytes, None, &Context::default()), expected);
        }
    }
}

#[test]
fn fifty_thousand_structures_in_each_other_take_no_stack() {
    let count = 50_000;
    for closed in [false, true] {
        let mut builder = Builder::new(None, Endian::Little, false).order(Order::AsPushed);
        for id in 1..count {
            builder.push(Kind::Struct, 0, false, 1, 4, &[0, id + 1, 0]);
        }
        if closed {
            builder.push(Kind::Struct, 0, false, 1, 4, &[0, 1, 0]);
        } else {
            builder.push(Kind::Int, 0, false, 0, 4, &[32]);
        }
        let bytes = builder.finish().unwrap();
        let expected: &[&str] = if closed { &["BT038"] } else { &[] };
        assert_eq!(codes(&bytes, None, &Context::default()), expected);
    }
}

#[test]
fn arrays_of_arrays_are_resolved_once() {
    let count = 50_000;
    let mut builder = Builder::new(None, Endian::Little, false).order(Order::AsPushed);
    builder.push(Kind::Int, 0, false, 0, 4, &[32]);
    for id in 2..count {
        builder.push(Kind::Array, 0, false, 0, 0, &[id - 1, 1, 1]);
    }
    let bytes = builder.finish().unwrap();
    assert_eq!(codes(&bytes, None, &Context::default()), [""; 0]);
}

#[test]
fn a_wrong_base_is_noticed() {
    let right = sample::everything(Endian::Little, false, Grammar::Wide);
    let right = Btf::parse(&right, None).unwrap();
    let mut builder = Builder::new(Some(&right), Endian::Little, true);
    let name = builder.string("work");
    let (proto, loc_proto) = (13, builder.loc_proto(&[21, 0]));
    let own = builder.push(Kind::Func, name, false, 0, proto, &[]);
    builder.locsec(".text", [LocSite { func: own, offset: 0, loc_proto }]);
    let inline = builder.finish().unwrap();
    assert_eq!(codes(&inline, Some(&right), &Context::default()), [""; 0]);
    let wrong = {
        let mut builder = Builder::new(None, Endian::Little, false);
        let name = builder.string("a_longer_name_than_any");
        builder.push(Kind::Typedef, name, false, 0, 0, &[]);
        builder.finish().unwrap()
    };
    let wrong = Btf::parse(&wrong, None).unwrap();
    let found = codes(&inline, Some(&wrong), &Context::default());
    assert!(found.contains(&"BT020") && found.contains(&"BT030"), "{found:?}");
}

#[test]
fn findings_of_one_rule_are_counted_and_few_are_kept() {
    let mut builder = Builder::new(None, Endian::Little, false);
    for _ in 0..1000 {
        builder.push(Kind::Ptr, 0, false, 0, 5000, &[]);
    }
    let bytes = builder.finish().unwrap();
    let checked = validate(&bytes, None, &Context::default());
    assert_eq!(checked.findings.errors(), 1000);
    assert_eq!(checked.findings.count(&rules::NO_SUCH_TYPE), 1000);
    assert_eq!(checked.findings.list().len() as u64, MOST_KEPT);
    let first = checked.findings.list()[0].to_string();
    assert_eq!(
        first,
        "error[BT030]: type id beyond the last type: [1] PTR: id 5000 (reference 0), the last is 1000 (at offset 0x0)"
    );
}

#[test]
fn pointers_of_four_bytes_are_believed() {
    let file = |long: u32| {
        let mut builder = Builder::new(None, Endian::Little, false).order(Order::AsPushed);
        let name = builder.string("long int");
        builder.push(Kind::Int, name, false, 0, long, &[(1 << 24) | (long * 8)]);
        builder.push(Kind::Ptr, 0, false, 0, 1, &[]);
        builder.push(Kind::Struct, 0, false, 2, 8, &[0, 2, 0, 0, 2, 32]);
        builder.finish().unwrap()
    };
    assert_eq!(codes(&file(4), None, &Context::default()), [""; 0]);
    assert_eq!(codes(&file(8), None, &Context::default()), ["BT045"]);
    assert_eq!(codes(&file(8), None, &Context { pointer: Some(4), ..Context::default() }), [""; 0]);
}

#[test]
fn what_is_cut_off_anywhere_is_found() {
    for bytes in sample::all() {
        for len in 0..bytes.len() {
            let checked = validate(&bytes[..len], None, &Context::default());
            assert!(checked.findings.errors() > 0, "{len}");
        }
    }
}

#[test]
fn a_long_string_that_all_members_are_named_by_costs_no_time() {
    let (count, len) = (100_000, 4_000_000);
    let mut builder = Builder::new(None, Endian::Little, false).order(Order::AsPushed);
    let name = builder.string(vec![b'x'; len]);
    builder.push(Kind::Int, name, false, 0, 4, &[32]);
    let members: Vec<u32> = (0..count).flat_map(|_| [name, 1, 0]).collect();
    builder.push(Kind::Union, name, false, count, 4, &members);
    let bytes = builder.finish().unwrap();
    let start = std::time::Instant::now();
    let checked = validate(&bytes, None, &Context::default());
    assert_eq!(checked.findings.count(&rules::IDENTIFIER), u64::from(count) + 1);
    // By its length each name would take a millisecond.
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
    assert!(checked.findings.list().iter().all(|finding| finding.to_string().len() < 2000));
}

proptest! {
    #[test]
    fn changed_bytes_never_panic_a_check(which in 0_usize..8, changes in prop::collection::vec((any::<u16>(), any::<u8>()), 1..6)) {
        let mut bytes = sample::all().swap_remove(which);
        for (at, byte) in changes {
            let at = usize::from(at) % bytes.len();
            bytes[at] = byte;
        }
        let checked = validate(&bytes, None, &Context::default());
        for finding in checked.findings.list() {
            prop_assert!(!finding.to_string().is_empty() && !finding.message.is_empty());
        }
    }
}

// Larger ones add nothing.
const MOST_BYTES: usize = 1 << 16;

/// With `CROSSMILL_UPDATE_CORPUS` set it writes what is missing.
#[test]
fn the_corpus_of_the_fuzz_targets_has_every_case() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let update = std::env::var_os("CROSSMILL_UPDATE_CORPUS").is_some();
    let samples = sample::all().into_iter().enumerate().map(|(index, bytes)| (format!("sample {index}"), None, bytes));
    let cases = all().into_iter().map(|case| (case.name.to_owned(), case.base, case.bytes));
    for (name, base, bytes) in samples.chain(cases).filter(|(_, _, bytes)| bytes.len() < MOST_BYTES) {
        let base = base.unwrap_or_default();
        let mut pair = u16::try_from(base.len()).unwrap().to_le_bytes().to_vec();
        pair.extend(base.iter().chain(&bytes));
        for (target, content) in [("btf_read", &bytes), ("btf_validate", &pair)] {
            let path = corpus.join(target).join(name.replace(' ', "-").to_lowercase());
            if update {
                fs_err::create_dir_all(corpus.join(target)).unwrap();
                fs_err::write(&path, content).unwrap();
            }
            let there = fs_err::read(&path).unwrap_or_default();
            assert!(there == *content, "{}: run this test with CROSSMILL_UPDATE_CORPUS=1", path.display());
        }
    }
}
