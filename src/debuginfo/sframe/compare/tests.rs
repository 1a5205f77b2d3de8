use super::*;
use crate::debuginfo::sframe::rules::*;
use std::path::Path;

fn fixture(name: &str) -> Vec<u8> {
    fs_err::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sframe").join(name)).unwrap()
}

fn report(name: &str) -> Report {
    examine(name, &fixture(name)).unwrap()
}

fn codes(report: &Report) -> Vec<&'static str> {
    report.findings.counts().map(|(code, ..)| code).collect()
}

#[test]
fn what_assemblers_and_linkers_made_is_right() {
    let old = [PROGBITS.code];
    let old_linked = [PROGBITS.code, LINK_SECTION.code];
    for (name, functions, known) in [
        ("amd64-v1.o", 6, &old[..]),
        ("amd64-v1.so", 6, &old_linked),
        ("amd64-v2.o", 6, &old),
        ("amd64-v2.so", 6, &old_linked),
        ("amd64-v3.o", 6, &[]),
        ("amd64-v3.so", 6, &[]),
        ("amd64-v3-r.o", 6, &[]),
        ("aarch64-v1.o", 6, &old),
        ("aarch64-v1.so", 6, &old_linked),
        ("aarch64be-v1.o", 6, &old),
        ("aarch64-v2.o", 6, &old),
        ("aarch64be-v2.o", 6, &old),
        ("aarch64be-v2.so", 6, &old_linked),
        ("aarch64-v3.o", 6, &[]),
        ("aarch64-v3.so", 6, &[]),
        ("aarch64be-v3.o", 6, &[]),
        ("aarch64be-v3.so", 6, &[]),
        ("s390x-v3.o", 5, &[]),
        ("s390x-v3.so", 5, &[]),
    ] {
        let report = report(name);
        assert_eq!(codes(&report), known, "{name}: {:?}", report.findings.kept());
        let cross = report.cross.unwrap();
        assert_eq!((cross.functions, cross.covered, cross.missing_fdes), (functions, functions, 0), "{name}");
        assert_eq!((cross.mismatched_rows, cross.opaque), (0, 0), "{name}");
        assert!(cross.rows > 14, "{name}: {}", cross.rows);
    }
}

#[test]
fn what_version_3_added_agrees_and_declines_have_reasons() {
    let amd64 = report("amd64-new-v3.o").cross.unwrap();
    assert_eq!((amd64.functions, amd64.covered, amd64.missing_fdes, amd64.mismatched_rows), (5, 4, 0, 0));
    assert_eq!(amd64.not_representable, BTreeMap::from([(Reason::CfaExpression, 1)]));
    let aarch64 = report("aarch64-new-v3.o").cross.unwrap();
    assert_eq!((aarch64.functions, aarch64.covered, aarch64.missing_fdes, aarch64.mismatched_rows), (4, 2, 0, 0));
    assert_eq!(aarch64.not_representable, BTreeMap::from([(Reason::CfaRegister, 1), (Reason::FpWithoutRa, 1)]));
}

#[test]
fn the_known_faults_of_the_assembler_are_found() {
    let nested = report("faults/nested-remember.o");
    assert!(codes(&nested).contains(&MISMATCH.code));
    assert_eq!(nested.cross.as_ref().unwrap().mismatched_rows, 1);
    let words = nested.findings.kept().iter().find(|finding| finding.rule == &MISMATCH).unwrap().to_string();
    assert!(words.contains("nested at") && words.contains("cfa=sp+32") && words.contains("cfa=sp+16"), "{words}");

    let both = report("faults/offset-then-register.o");
    assert_eq!(codes(&both), [MISMATCH.code]);
    let words = both.findings.kept()[0].to_string();
    assert!(words.contains("cfa=fp+0") && words.contains("cfa=fp+64"), "{words}");

    let expression = report("faults/expression-on-aarch64.o");
    assert_eq!(codes(&expression), [FLEXIBLE_ABI.code, REGISTER.code, MISMATCH.code]);

    // No object can be had of the fourth: the assembler's own words are what is kept.
    let said = String::from_utf8(fixture("faults/signal-crash.said")).unwrap();
    assert!(said.contains("Internal error (Segmentation fault)"), "{said}");
}

// A file whose section `name` has other bytes.
fn changed(bytes: &[u8], name: &str, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    use object::{Object as _, ObjectSection as _};
    let file = object::File::parse(bytes).unwrap();
    let (at, size) = file.section_by_name(name).unwrap().file_range().unwrap();
    let mut copy = bytes.to_vec();
    change(&mut copy[at as usize..(at + size) as usize]);
    copy
}

#[test]
fn a_function_that_only_dwarf_has_is_lost() {
    // One function fewer in the header, and its row gone from the sum.
    for (name, rule, lost) in [("amd64-v3.o", &MISSING_FDE, 1), ("amd64-v3.so", &UNKNOWN_UNIT, 0)] {
        let fewer = changed(&fixture(name), ".sframe", |bytes| bytes[8] -= 1);
        let report = examine("x", &fewer).unwrap();
        let cross = report.cross.as_ref().unwrap();
        // Of a linked file without debug information the object of the function is unknown.
        assert_eq!((cross.missing_fdes, cross.unknown_unit), (lost, 1 - lost), "{name}");
        let found = report.findings.kept().iter().find(|finding| finding.rule == rule).unwrap();
        assert!(found.subject.as_ref().unwrap().starts_with("long at 0x"), "{found}");
    }
}

#[test]
fn each_kind_of_disagreement_is_found() {
    let bytes = fixture("amd64-v3.so");
    // The size of the second function.
    let size = changed(&bytes, ".sframe", |bytes| bytes[28 + 16 + 8] -= 1);
    assert!(codes(&examine("x", &size).unwrap()).contains(&RANGE.code));
    // The signal bit of the first.
    let fres = 28 + 6 * 16;
    let signal = changed(&bytes, ".sframe", |bytes| bytes[fres + 2] |= 0x80);
    assert_eq!(codes(&examine("x", &signal).unwrap()), [SIGNAL.code]);
    // The offset of its CFA.
    let cfa = changed(&bytes, ".sframe", |bytes| bytes[fres + 7] = 24);
    assert_eq!(codes(&examine("x", &cfa).unwrap()), [MISMATCH.code]);
    // The key of a function of aarch64.
    let key = changed(&fixture("aarch64-v3.so"), ".sframe", |bytes| bytes[fres + 2] |= 0x20);
    assert_eq!(codes(&examine("x", &key).unwrap()), [KEY.code]);
    // DWARF that cannot be read: a length beyond the section.
    let dwarf = changed(&bytes, ".eh_frame", |bytes| bytes[1] = 0xff);
    assert!(codes(&examine("x", &dwarf).unwrap()).contains(&CFI_DAMAGED.code));
}

#[test]
fn relocations_that_point_nowhere_are_found() {
    let bytes = fixture("amd64-v3.o");
    let section = |change: fn(&mut [u8])| {
        let report = examine("x", &changed(&bytes, ".rela.sframe", change)).unwrap();
        codes(&report)
    };
    // The symbol's index, then the offset, then the type: 0 is NONE.
    assert!(section(|bytes| bytes[12..16].fill(0x7f)).contains(&NO_RELOCATION.code));
    assert!(section(|bytes| bytes[..8].fill(0x7f)).contains(&NO_RELOCATION.code));
    assert!(section(|bytes| bytes[8..12].fill(0)).contains(&DISCARDED.code));
}

#[test]
fn no_damage_of_a_file_makes_it_panic() {
    for name in ["amd64-new-v3.o", "aarch64be-v1.o", "s390x-v3.o", "faults/nested-remember.o"] {
        let whole = fixture(name);
        for length in 0..whole.len() {
            let _ = examine("x", &whole[..length]);
        }
        let mut bytes = whole.clone();
        for at in 0..bytes.len() {
            for value in [0, 0xff] {
                let before = std::mem::replace(&mut bytes[at], value);
                let _ = examine("x", &bytes);
                bytes[at] = before;
            }
        }
    }
}

#[test]
fn a_truncated_section_is_found_at_every_byte() {
    // The section's own size in its header, so that the file around it stays whole.
    let bytes = fixture("amd64-v3.so");
    let elf = Elf::parse(&bytes).unwrap();
    let size = elf.section(".sframe").unwrap().size;
    let field = size_field(&bytes, ".sframe");
    for length in 0..size {
        let mut short = bytes.clone();
        short[field..field + 8].copy_from_slice(&length.to_le_bytes());
        let report = examine("x", &short).unwrap();
        if length == 0 {
            // As `ld --discard-sframe` leaves it: no SFrame data, which fails a check as a whole.
            assert_eq!(codes(&report), [EMPTY.code]);
            assert!(!Total::of(&[report]).is_good(false));
            continue;
        }
        assert!(report.findings.count(crate::base::rule::Severity::Error) > 0, "{length} of {size}");
    }
}

// Where in the file the size of a section stands (64-bit, little-endian).
fn size_field(bytes: &[u8], name: &str) -> usize {
    let elf = Elf::parse(bytes).unwrap();
    let index = elf.section(name).unwrap().index.0;
    let headers = u64::from_le_bytes(bytes[0x28..0x30].try_into().unwrap());
    headers as usize + index * 64 + 32
}

#[test]
fn code_sections_as_large_as_the_address_space_do_not_overflow_their_sum() {
    let mut bytes = fixture("amd64-v3.so");
    for name in [".text", ".gnu.hash"] {
        let field = size_field(&bytes, name);
        bytes[field..field + 8].fill(0xff);
        // SHF_ALLOC and SHF_EXECINSTR.
        bytes[field - 24] = 2 | 4;
    }
    let report = examine("x", &bytes).unwrap();
    assert_eq!(report.bytes.text, u64::MAX);
}

#[test]
fn without_dwarf_only_the_structure_is_checked() {
    let bytes = fixture("amd64-v3.so");
    let field = size_field(&bytes, ".eh_frame");
    let mut without = bytes.clone();
    without[field..field + 8].fill(0);
    let report = examine("x", &without).unwrap();
    assert_eq!(codes(&report), [NO_CFI.code]);
    assert!(report.cross.is_none());
}

#[test]
fn a_function_that_only_sframe_has_is_told() {
    let bytes = fixture("amd64-v3.so");
    let elf = Elf::parse(&bytes).unwrap();
    let loaded = Loaded::read(&elf).unwrap();
    let view = View::of(&loaded);
    // Behind length, CIE and start stands the size of a DWARF function: without bytes it is none.
    let at = view.frames[0].fdes[1].offset as usize + 12;
    let without = changed(&bytes, ".eh_frame", |bytes| bytes[at..at + 4].fill(0));
    let report = examine("x", &without).unwrap();
    assert_eq!(codes(&report), [NO_DWARF.code]);
    assert_eq!(report.cross.unwrap().extra, 1);
}

#[test]
fn a_file_without_the_section_is_told() {
    let mut bytes = fixture("amd64-v1.o");
    let at = bytes.windows(8).rposition(|window| window == b".sframe\0").unwrap();
    bytes[at..at + 7].copy_from_slice(b".nothin");
    let report = examine("x", &bytes).unwrap();
    assert_eq!(codes(&report), [NO_SECTION.code]);
    assert!(!Total::of(&[report]).is_good(false));
}

// The sum of a PLT: two SFrame functions, one repeating, and one DWARF entry.
#[test]
fn several_functions_in_a_row_may_be_one_of_dwarf() {
    let report = report("amd64-plt-v3.so");
    assert_eq!(codes(&report), [""; 0], "{:?}", report.findings.kept());
    let cross = report.cross.unwrap();
    assert_eq!((cross.functions, cross.covered, cross.extra, cross.mismatched_rows), (2, 2, 0, 0));
    assert!(cross.opaque > 0, "DWARF has an expression for the slots");
}
