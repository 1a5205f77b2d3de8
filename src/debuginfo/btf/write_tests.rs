use super::sample::all;
use super::*;
use proptest::prelude::*;

fn names(btf: &Btf<'_>) -> Vec<String> {
    btf.types().map(|found| format!("{} {}", found.kind, btf.text(found.name_off))).collect()
}

#[test]
fn types_are_sorted_by_name_and_their_ids_follow() {
    let mut builder = Builder::new(None, Endian::Little, true);
    let zebra = builder.func("zebra", 2, 1);
    let proto = builder.func_proto(0, &[]);
    let ant = builder.func("ant", proto, 0);
    let param = builder.loc_param(8, flags::REG, &[3]);
    let loc_proto = builder.loc_proto(&[param]);
    assert_eq!((zebra, proto, ant, param, loc_proto), (1, 2, 3, 4, 5));
    builder.locsec(".text", [LocSite { func: zebra, offset: 4, loc_proto }]);
    builder.locsec(".init.text", [LocSite { func: ant, offset: 9, loc_proto }]);
    builder.locsec(".text", [LocSite { func: ant, offset: 8, loc_proto }]);
    let (bytes, ids) = builder.finish_with_ids().unwrap();
    let btf = Btf::parse(&bytes, None).unwrap();
    assert_eq!(
        names(&btf),
        ["FUNC_PROTO ", "LOC_PARAM ", "LOC_PROTO ", "LOCSEC .init.text", "LOCSEC .text", "FUNC ant", "FUNC zebra"]
    );
    assert_eq!([zebra, proto, ant, param, loc_proto].map(|id| ids.get(id)), [7, 1, 6, 2, 3]);
    assert_eq!((ids.get(0), ids.get(99)), (0, 99));
    assert_eq!(btf.type_by_id(7).unwrap().size_or_type, 1);
    assert_eq!(btf.type_by_id(3).unwrap().loc_proto().unwrap().iter().collect::<Vec<_>>(), [2]);
    let sites: Vec<LocSite> = btf.type_by_id(5).unwrap().loc_sites().collect();
    assert_eq!(sites, [LocSite { func: 6, offset: 8, loc_proto: 3 }, LocSite { func: 7, offset: 4, loc_proto: 3 }]);
}

#[test]
fn equal_locations_and_strings_are_written_once() {
    let mut builder = Builder::new(None, Endian::Little, false);
    let one = builder.loc_param(8, flags::REG, &[3]);
    assert_eq!(builder.loc_param(8, flags::REG, &[3]), one);
    assert_ne!(builder.loc_param(4, flags::REG, &[3]), one);
    assert_ne!(builder.loc_param(8, flags::REG, &[3, 4]), one);
    assert_ne!(builder.loc_param(8, flags::REG | flags::DEREF, &[3]), one);
    let proto = builder.loc_proto(&[one, 0]);
    assert_eq!(builder.loc_proto(&[one, 0]), proto);
    assert_ne!(builder.loc_proto(&[one]), proto);
    let none = builder.func_proto(0, &[]);
    assert_eq!(builder.func_proto(0, &[]), none);
    assert_ne!(builder.func_proto(1, &[]), none);
    assert_eq!(builder.string("x"), builder.string("x"));
    assert_eq!(builder.string("x\0y"), builder.string("x"));
    assert_eq!(builder.string(""), 0);
    assert_eq!((builder.len(), builder.count(Kind::LocParam)), (8, 4));
}

#[test]
fn too_many_sites_become_several_sections() {
    let mut builder = Builder::new(None, Endian::Little, false);
    builder.most_sites = 4;
    let proto = builder.func_proto(0, &[]);
    let func = builder.func("f", proto, 0);
    let loc_proto = builder.loc_proto(&[]);
    builder.locsec(".text", (0..10).rev().map(|offset| LocSite { func, offset, loc_proto }));
    let bytes = builder.finish().unwrap();
    let btf = Btf::parse(&bytes, None).unwrap();
    let sections: Vec<Vec<u32>> = btf
        .types()
        .filter(|found| found.kind == Kind::LocSec)
        .map(|found| found.loc_sites().map(|site| site.offset).collect())
        .collect();
    assert_eq!(sections, [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9]]);
}

#[test]
fn a_count_that_the_info_word_cannot_hold_is_refused() {
    for (grammar, count) in [(Grammar::Wide, 0x0100_0000), (Grammar::Narrow, 0x1_0000)] {
        let mut builder = Builder::new(None, Endian::Little, false).grammar(grammar);
        builder.push(Kind::Struct, 0, false, count, 0, &[]);
        let error = builder.finish().unwrap_err();
        assert_eq!(error, WriteError::Count { kind: Kind::Struct, count: count.into() });
    }
}

#[test]
fn an_empty_file_is_a_header_and_the_empty_string() {
    let bytes = Builder::new(None, Endian::Big, false).finish().unwrap();
    let expected = [0xeb, 0x9f, 1, 0, 0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0];
    assert_eq!(bytes, expected);
}

#[test]
fn what_is_read_and_written_again_is_the_same() {
    for bytes in all() {
        let btf = Btf::parse(&bytes, None).unwrap();
        let header_32 = btf.header().len == HEADER_32;
        let mut builder = Builder::new(None, btf.endian(), header_32).order(Order::AsPushed).grammar(btf.grammar());
        builder.copy(&btf).unwrap();
        assert_eq!(builder.string("work"), btf.type_by_id(12).unwrap().name_off);
        assert_eq!(builder.finish().unwrap(), bytes);
    }
}

#[derive(Debug, Clone)]
struct Site {
    func: usize,
    section: usize,
    offset: u32,
    params: Vec<Option<(u32, u32, Vec<u32>)>>,
}

fn site() -> impl Strategy<Value = Site> {
    let param = prop_oneof![
        1 => Just(None),
        4 => (1_u32..=16, Just(flags::REG), prop::collection::vec(0_u32..4, 1..=2)).prop_map(Some),
        2 => (1_u32..=4, Just(flags::CONST), prop::collection::vec(any::<u32>(), 1..=1)).prop_map(Some),
    ];
    // The function has as many parameters as its number.
    (0_usize..4, 0_usize..2, 0_u32..64).prop_flat_map(move |(func, section, offset)| {
        let params = prop::collection::vec(param.clone(), func);
        params.prop_map(move |params| Site { func, section, offset, params })
    })
}

const FUNCS: [&str; 4] = ["zero", "one", "two", "three"];
const SECTIONS: [&str; 2] = [".text", ".init.text"];

fn build(base: &Btf<'_>, sites: &[Site], header_32: bool) -> Vec<u8> {
    let mut builder = Builder::new(Some(base), base.endian(), header_32);
    for site in sites {
        let name_off = builder.string("x");
        let params = vec![Param { name_off, type_id: 1 }; site.func];
        let proto = builder.func_proto(1, &params);
        let func = builder.func(FUNCS[site.func], proto, 0);
        let locations: Vec<u32> = site
            .params
            .iter()
            .map(|param| param.as_ref().map_or(0, |(size, flags, values)| builder.loc_param(*size, *flags, values)))
            .collect();
        let loc_proto = builder.loc_proto(&locations);
        builder.locsec(SECTIONS[site.section], [LocSite { func, offset: site.offset, loc_proto }]);
    }
    builder.finish().unwrap()
}

// The sites of a file, without ids.
fn messages(btf: &Btf<'_>) -> Vec<String> {
    let mut messages = Vec::new();
    for section in btf.types().filter(|found| found.kind == Kind::LocSec) {
        for site in section.loc_sites() {
            let func = btf.text(btf.type_by_id(site.func).unwrap().name_off);
            let proto = btf.type_by_id(site.loc_proto).unwrap().loc_proto().unwrap();
            let params: Vec<_> = proto
                .iter()
                .map(|id| {
                    let param = btf.type_by_id(id)?.loc_param()?;
                    Some((param.size, param.flags, param.values.iter().collect::<Vec<_>>()))
                })
                .collect();
            messages.push(format!("{} {func} {} {params:?}", btf.text(section.name_off), site.offset));
        }
    }
    messages.sort();
    messages
}

proptest! {
    #[test]
    fn sites_come_back_valid_and_copies_are_equal(sites in prop::collection::vec(site(), 0..40), which in 0_usize..8, header_32: bool) {
        let base = all().swap_remove(which);
        let base = Btf::parse(&base, None).unwrap();
        let bytes = build(&base, &sites, header_32);
        let btf = Btf::parse(&bytes, Some(&base)).unwrap();
        let mut expected: Vec<String> = sites
            .iter()
            .map(|site| format!("{} {} {} {:?}", SECTIONS[site.section], FUNCS[site.func], site.offset, site.params))
            .collect();
        expected.sort();
        prop_assert_eq!(messages(&btf), expected);
        let checked = validate::validate(&bytes, Some(&base), &validate::Context::default());
        prop_assert!(checked.findings.is_empty(), "{:?}", checked.findings.list());
        let mut copy = Builder::new(Some(&base), base.endian(), header_32).order(Order::AsPushed);
        copy.copy(&btf).unwrap();
        prop_assert_eq!(copy.finish().unwrap(), bytes);
    }
}
