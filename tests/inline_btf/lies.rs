//! Debug information that lies: counted, never followed for ever.

use crate::{assemble, sites, with};
use crossmill::debuginfo::btf::Endian;
use crossmill::debuginfo::elf::Elf;
use crossmill::debuginfo::inline_btf::unit::Skip;
use crossmill::debuginfo::inline_btf::write::{SectionNames, write};
use crossmill::debuginfo::inline_btf::{
    self as inline, BaseTypes, Error, Location as L, Missing as M, Options, Sections,
};

#[test]
fn every_lie_is_counted_by_its_reason() {
    with(&assemble(include_str!("lies.s")), Options::default(), |_, found| {
        let skipped = &found.merged.skipped;
        assert_eq!(skipped.of(Skip::OriginLoop), 2);
        assert_eq!(skipped.of(Skip::Unnamed), 1);
        assert_eq!(skipped.of(Skip::OriginMissing), 3);
        assert_eq!(skipped.of(Skip::NoOrigin), 1);
        assert_eq!(skipped.of(Skip::NoAddress), 2, "and ranges beyond the section");
        assert_eq!(skipped.of(Skip::ZeroAddress), 1);
        assert_eq!(skipped.of(Skip::OutsideSections), 1);
        assert_eq!(found.merged.strangers, 1);
        assert_eq!(
            sites(&found.sites_of(b"take")),
            [(0x20, vec![Err(M::Damaged)]), (0x24, vec![Err(M::Damaged)]), (0x28, vec![Err(M::NotMentioned)]),]
        );
        // The pointer to itself has a size, the typedef of itself and what is nowhere have none.
        let odd = sites(&found.sites_of(b"odd"));
        assert_eq!(odd, [(0x2c, vec![Ok(L::Register(0)), Err(M::Size), Err(M::Size)])]);
        assert!(found.damage.is_empty());
    });
}

#[test]
fn a_stripped_file_is_told_as_such() {
    let bytes = assemble("\t.text\n");
    let elf = Elf::parse(&bytes).unwrap();
    let sections = Sections::load(&elf).unwrap();
    let outcome = inline::extract(&elf, &sections, &BaseTypes::default(), Options::default(), &());
    assert_eq!(outcome.unwrap_err(), Error::Stripped { link: None });
}

// Any file gives a result or an error, and written data can be read.
fn survive(bytes: &[u8]) {
    let Ok(elf) = Elf::parse(bytes) else { return };
    let Ok(sections) = Sections::load(&elf) else { return };
    let Ok(found) = inline::extract(&elf, &sections, &BaseTypes::default(), Options::default(), &()) else {
        return;
    };
    assert!(found.merged.adds_up(), "{:?}", found.merged);
    let _ = found.summary();
    let _ = found.sites_of(b"take");
    let _ = write(&found.merged, None, Endian::Little, SectionNames::default()).unwrap();
}

// Where the debug sections are in the file: their bytes, and the word in the section header that has their size.
fn debug_sections(bytes: &[u8]) -> Vec<(std::ops::Range<usize>, usize)> {
    let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    let headers = long(0x28);
    let elf = Elf::parse(bytes).unwrap();
    let wanted = elf.sections().iter().filter(|section| section.name.starts_with(".debug_"));
    let found: Vec<_> = wanted
        .map(|section| {
            let header = headers + section.index.0 * 64;
            let start = long(header + 0x18);
            (start..start + long(header + 0x20), header + 0x20)
        })
        .collect();
    assert!(found.len() >= 2);
    found
}

#[test]
fn truncation_at_every_byte_ends_in_an_answer() {
    let bytes = assemble(include_str!("exact.s"));
    for len in 0..bytes.len() {
        survive(&bytes[..len]);
    }
    for (range, size) in debug_sections(&bytes) {
        let mut cut = bytes.clone();
        for len in 0..range.len() {
            cut[size..size + 8].copy_from_slice(&(len as u64).to_le_bytes());
            survive(&cut);
        }
    }
}

#[test]
fn every_byte_of_the_debug_information_may_be_wrong() {
    let bytes = assemble(include_str!("lies.s"));
    let mut changed = bytes.clone();
    for (range, _) in debug_sections(&bytes) {
        for at in range {
            for value in [0, 0xff, bytes[at] ^ 1] {
                changed[at] = value;
                survive(&changed);
            }
            changed[at] = bytes[at];
        }
    }
}

// A unit cut short is reported as damage; the sites before it are kept.
#[test]
fn a_unit_that_breaks_off_is_damage() {
    let case =
        include_str!("exact.s").replace("\tDIE 7\n\t.asciz \"init_caller\"", "\tDIE 99\n\t.asciz \"init_caller\"");
    with(&assemble(&case), Options::default(), |_, found| {
        assert_eq!(found.damage.len(), 1);
        assert_eq!(found.merged.seen, 28);
    });
}

#[test]
fn an_expression_of_ten_megabytes_is_no_trouble() {
    let case = "
	UNIT
.Ltake:	FUNCTION take
.Lv:	PARAM v, .Llong
	END
	DIE 7
	.asciz \"caller\"
	.8byte caller
	.8byte 0x200
	SITE .Ltake, 4
	DIE 9
	REF .Lv
	.uleb128 10485762
	.byte 0x76, 0
	.skip 10485760, 0x1f
	END
	END
	END
.Lcu_end:
";
    with(&assemble(case), Options::default(), |_, found| {
        assert_eq!(sites(&found.sites_of(b"take")), [(4, vec![Err(M::Arithmetic)])]);
    });
}
