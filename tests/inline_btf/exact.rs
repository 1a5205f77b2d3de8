//! Locations of written debug information, each known to the bit.

use crate::{Sites, assemble, sites, with};
use crossmill::debuginfo::inline_btf::location::FRAME_BASE;
use crossmill::debuginfo::inline_btf::unit::Skip;
use crossmill::debuginfo::inline_btf::{EmptyRanges, Extraction, Location as L, Missing as M, Options};

fn of(found: &Extraction<'_>, name: &str) -> Sites {
    sites(&found.sites_of(name.as_bytes()))
}

// Empty ranges are not used.
fn strict() -> Options {
    Options { empty_ranges: EmptyRanges::Ignore, ..Options::default() }
}

#[test]
fn every_form_of_location_is_what_it_says() {
    with(&assemble(include_str!("exact.s")), strict(), |elf, found| {
        let text = elf.section(".text").unwrap().address;
        assert_eq!(
            of(found, "take"),
            [
                (0x04, vec![Ok(L::Register(5))]),
                (0x08, vec![Ok(L::Memory(6, -16))]),
                (0x0c, vec![Ok(L::Sum(6, -16))]),
                (0x10, vec![Ok(L::Memory(FRAME_BASE, -24))]),
                (0x14, vec![Ok(L::Constant((-2_i64).cast_unsigned()))]),
                (0x18, vec![Ok(L::Address(text))]),
                (0x1c, vec![Err(M::EntryValue)]),
                (0x20, vec![Err(M::NoLocation)]),
                (0x24, vec![Err(M::NotMentioned)]),
                (0x28, vec![Ok(L::Register(3))]),
                (0x2c, vec![Err(M::NotCovered)]),
                (0x30, vec![Err(M::EmptyRange)]),
                (0x54, vec![Ok(L::Register(5))]),
                (0x58, vec![Ok(L::Register(0))]),
                (0x5a, vec![Ok(L::Register(1))]),
                // entry_pc, not the first range: and the list entry that covers it.
                (0x70, vec![Ok(L::Register(12))]),
            ]
        );
        assert_eq!(
            of(found, "take_int"),
            [(0x34, vec![Ok(L::Constant(u64::MAX))]), (0x38, vec![Ok(L::Constant(0x201))])]
        );
        assert_eq!(of(found, "take_pair"), [(0x3c, vec![Ok(L::Pair(5, 4))])]);
        assert_eq!(of(found, "take_big"), [(0x40, vec![Err(M::Size)])]);
        assert_eq!(
            of(found, "two"),
            [
                (0x44, vec![Err(M::NotMentioned), Ok(L::Register(1))]),
                (0x48, vec![Ok(L::Register(0)), Ok(L::Register(1))]),
            ],
            "a missing parameter never shifts the others"
        );
        assert_eq!(of(found, "variadic"), [(0x4c, vec![Ok(L::Register(5))])]);
        assert_eq!(of(found, "nothing"), [0x50, 0x68, 0x98, 0xb0, 8].map(|at| (at, vec![])));
        assert_eq!(found.merged.skipped.of(Skip::Duplicate), 1);
        assert_eq!(found.merged.skipped.total(), 1);
    });
}

#[test]
fn a_variadic_function_has_a_trailing_zero() {
    with(&assemble(include_str!("exact.s")), strict(), |_, found| {
        let index = found.merged.called.iter().position(|called| called.name == b"variadic").unwrap();
        let entry = found.merged.entries.iter().find(|entry| entry.called as usize == index).unwrap();
        let params: Vec<_> = found.merged.locations_of(entry).collect();
        assert_eq!((params.len(), params.last()), (2, Some(&None)));
    });
}

#[test]
fn an_empty_range_is_taken_only_where_asked() {
    let options = Options { empty_ranges: EmptyRanges::Accept, ..Options::default() };
    with(&assemble(include_str!("exact.s")), options, |_, found| {
        let take = of(found, "take");
        assert!(take.contains(&(0x30, vec![Ok(L::Register(4))])), "{take:?}");
        assert!(take.contains(&(0x2c, vec![Err(M::NotCovered)])), "{take:?}");
    });
}

#[test]
fn the_report_tells_what_tracers_ask() {
    with(&assemble(include_str!("exact.s")), strict(), |_, found| {
        let (summary, functions) = found.summary();
        assert_eq!(summary.inlined_subroutines, 29);
        assert_eq!(summary.sites, 28);
        assert_eq!((summary.fragmented, summary.interleaved, summary.init), (2, 2, 1));
        // Entered in the second range; within the only range; in a first listed range that is not the lowest.
        assert_eq!(summary.entry_differs, 2);
        assert_eq!(summary.entry_value_sites, 1);
        assert_eq!(summary.all + summary.partial + summary.none, summary.sites);
        assert_eq!((summary.partial, summary.lack_one), (1, 1));
        let two = functions.iter().find(|function| function.name == "two").unwrap();
        assert!(two.has_copy);
        assert_eq!((two.sites, two.all, two.partial), (2, 1, 1));
        let listed = found.sites_of(b"take");
        let nested = listed.functions[0].sites.iter().find(|site| site.section.1 == 0x5a).unwrap();
        assert_eq!((nested.caller.as_str(), nested.function.as_str()), ("take", "caller"));
    });
}
