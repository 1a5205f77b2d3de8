use super::rules::*;
use super::writer::{FIRST_FDE, Fre as FreSpec, Function, Spec, row};
use super::*;
use crate::base::rule::Rule;
use crate::debuginfo::frame::{Cfa, Place};
use proptest::prelude::*;

const TABLE: u64 = 0x1_0000;
const CODE: u64 = 0x4_0000;
const SP: u8 = 1;

fn addressing() -> Addressing {
    Addressing { address: TABLE, relocatable: false }
}

fn at(offset: i64) -> i64 {
    (CODE - TABLE) as i64 + offset
}

fn function(offset: i64, size: u32, rows: Vec<FreSpec>) -> Function {
    Function { at: at(offset), size, rows, ..Function::default() }
}

fn amd64() -> Spec {
    let framed = vec![row(0, SP, &[8]), row(1, SP, &[16, -16]), row(4, 0, &[16, -16])];
    Spec::linked(
        Abi::Amd64,
        vec![function(0, 0x20, framed), function(0x20, 0x10, vec![row(0, SP, &[8])]), function(0x40, 0x10, vec![])],
    )
}

fn container(abi: Abi) -> Container<'static> {
    Container {
        name: ".sframe",
        kind: SHT_GNU_SFRAME,
        address: TABLE,
        relocatable: false,
        machine: Some(abi),
        segment: Some((TABLE, TABLE + 0x1_0000)),
        code: &[(CODE, CODE + 0x1_0000)],
        relocations: &[],
    }
}

fn codes_in(bytes: &[u8], container: &Container<'_>) -> Vec<&'static str> {
    let mut findings = Findings::default();
    validate(bytes, container, &mut findings);
    findings.counts().map(|(code, ..)| code).collect()
}

fn codes(bytes: &[u8], abi: Abi) -> Vec<&'static str> {
    codes_in(bytes, &container(abi))
}

#[test]
fn what_is_right_has_no_findings() {
    assert_eq!(codes(&amd64().write(), Abi::Amd64), [""; 0]);
    for abi in [Abi::Aarch64Big, Abi::Aarch64Little] {
        let rows = vec![row(0, SP, &[0]), row(4, SP | 0x80, &[32, -24]), row(8, 0x80, &[32, -24, -32])];
        assert_eq!(codes(&Spec::linked(abi, vec![function(0, 0x20, rows)]).write(), abi), [""; 0]);
    }
    let rows = vec![row(0, SP, &[0]), row(6, SP, &[0, -48, -72]), row(10, 0, &[21, 0, -72])];
    assert_eq!(codes(&Spec::linked(Abi::S390x, vec![function(0, 0x20, rows)]).write(), Abi::S390x), [""; 0]);
}

#[test]
fn rows_say_what_the_abi_makes_of_them() {
    let bytes = amd64().write();
    let table = Table::parse(&bytes, addressing()).unwrap();
    let at_4 = table.row_at(CODE + 9).unwrap().unwrap();
    assert_eq!(at_4.cfa, Cfa::Offset { register: 6, offset: 16 });
    assert_eq!((at_4.ra, at_4.fp), (Place::AtCfa(-8), Place::AtCfa(-16)));
    assert_eq!(table.row_at(CODE).unwrap().unwrap().fp, Place::Same);
    assert_eq!(table.row_at(CODE + 0x3f).unwrap(), None, "between functions");
    assert_eq!(table.row_at(CODE - 1).unwrap(), None, "before the first");
    assert_eq!(table.row_at(CODE + 0x45).unwrap(), Some(Row::OUTERMOST));
    let s390x = Spec::linked(Abi::S390x, vec![function(0, 8, vec![row(0, 0, &[21, 0, -72])])]).write();
    let row = Table::parse(&s390x, addressing()).unwrap().row_at(CODE).unwrap().unwrap();
    assert_eq!(row.cfa, Cfa::Offset { register: 11, offset: 328 });
    assert_eq!((row.ra, row.fp), (Place::Same, Place::AtCfa(-72)));
}

#[test]
fn version_2_of_s390x_keeps_registers_in_odd_words() {
    let mut spec = Spec::linked(Abi::S390x, vec![function(0, 8, vec![row(0, SP, &[0, 33, 35])])]);
    spec.version = 2;
    let bytes = spec.write();
    let row = Table::parse(&bytes, addressing()).unwrap().row_at(CODE).unwrap().unwrap();
    assert_eq!((row.ra, row.fp), (Place::Register(16), Place::Register(17)));
}

#[test]
fn flexible_rows_have_control_words() {
    let rows = vec![
        row(0, 0, &[7 << 3 | 1, 8]),
        row(1, 0, &[10 << 3 | 1, 0, 0, 6 << 3 | 3, 0]),
        row(2, 0, &[6 << 3 | 3, -8, 2, -24, 11 << 3 | 1, 0]),
        row(3, 0, &[7 << 3 | 1, 8, 2, -16]),
    ];
    let flexible = Function { info2: 1, ..function(0, 8, rows) };
    let bytes = Spec::linked(Abi::Amd64, vec![flexible]).write();
    assert_eq!(codes(&bytes, Abi::Amd64), [""; 0]);
    let table = Table::parse(&bytes, addressing()).unwrap();
    let at = |offset| table.row_at(CODE + offset).unwrap().unwrap();
    assert_eq!((at(0).ra, at(0).fp), (Place::AtCfa(-8), Place::Same));
    assert_eq!(at(1).cfa, Cfa::Offset { register: 10, offset: 0 });
    assert_eq!((at(1).ra, at(1).fp), (Place::AtCfa(-8), Place::AtRegister { register: 6, offset: 0 }));
    assert_eq!(at(2).cfa, Cfa::Deref { register: 6, offset: -8 });
    assert_eq!((at(2).ra, at(2).fp), (Place::AtCfa(-24), Place::Register(11)));
    assert_eq!((at(3).ra, at(3).fp), (Place::AtCfa(-16), Place::Same));
}

#[test]
fn repeating_rows_are_found_by_the_rest_of_the_division() {
    let plt = Function { info: 0x10, rep_size: 16, ..function(0, 64, vec![row(0, SP, &[8]), row(11, SP, &[16])]) };
    let bytes = Spec::linked(Abi::Amd64, vec![plt]).write();
    assert_eq!(codes(&bytes, Abi::Amd64), [""; 0]);
    let table = Table::parse(&bytes, addressing()).unwrap();
    let cfa = |offset| match table.row_at(CODE + offset).unwrap().unwrap().cfa {
        Cfa::Offset { offset, .. } => offset,
        other => panic!("{other:?}"),
    };
    assert_eq!([0, 10, 11, 15, 16, 27, 63].map(cfa), [8, 8, 16, 16, 8, 16, 16]);
}

// Damage to a table, and the rule that must report it.
type Mistake = (&'static Rule, fn(&mut Spec));
type Damage = (&'static Rule, fn(&mut Vec<u8>));

const MISTAKES: &[Mistake] = &[
    (&FLAGS, |spec| spec.flags |= 0x10),
    (&FLAGS, |spec| spec.flags |= FRAME_POINTER),
    (&LINK_UNSORTED, |spec| spec.flags &= !SORTED),
    (&LINK_PCREL, |spec| spec.flags &= !PCREL),
    (&LINK_SECTION, |spec| (spec.version, spec.flags) = (2, SORTED)),
    (&FRE_TYPE, |spec| spec.functions[0].info = 3),
    (&FRE_TYPE_WIDE, |spec| spec.functions[0].info = 1),
    (&FDE_TYPE, |spec| spec.functions[0].info2 = 2),
    (&UNUSED_BITS, |spec| spec.functions[0].info = 0x40),
    (&UNUSED_BITS, |spec| spec.functions[0].info2 = 0x20),
    (&B_KEY, |spec| spec.functions[0].info = 0x20),
    (&EARLY_SIGNAL, |spec| {
        spec.version = 2;
        spec.functions[0].info = 0x80;
    }),
    (&REP_SIZE, |spec| spec.functions[0].info = 0x10),
    (&REP_SIZE_INC, |spec| spec.functions[0].rep_size = 16),
    (&NOT_CODE, |spec| spec.functions[0].at = 0),
    (&NOT_CODE, |spec| spec.functions[2].size = 0x2_0000),
    (&NO_ROWS, |spec| spec.version = 2),
    (&NO_ROWS, |spec| spec.functions[2].info2 = 1),
    (&WORD_SIZE, |spec| spec.functions[0].rows[1].size = 3),
    (&WORD_COUNT, |spec| spec.functions[0].rows[1].words = vec![8; 7]),
    (&START_ORDER, |spec| spec.functions[0].rows[2].start = 1),
    (&FIRST_START, |spec| spec.functions[0].rows.drain(..1).for_each(drop)),
    (&FIRST_START_EARLY, |spec| {
        spec.version = 2;
        spec.functions[0].rows.remove(0);
    }),
    (&START_RANGE, |spec| spec.functions[1].rows[0].start = 0x11),
    (&LEFTOVER, |spec| spec.functions[0].rows[0].words = vec![8, -16, -24]),
    (&FLEXIBLE_COUNT, |spec| spec.functions[0].info2 = 1),
    (&MANGLED, |spec| spec.functions[0].rows[0].bits |= 0x80),
    (&OUTERMOST_BITS, |spec| spec.functions[0].rows[0].words.clear()),
    (&WORD_WIDE, |spec| spec.functions[0].rows[0].size = 1),
    (&DUPLICATE, |spec| spec.functions[0].rows[1].words = vec![8]),
    (&UNSORTED, |spec| spec.functions.swap(0, 1)),
    (&EQUAL_STARTS, |spec| spec.functions[1].at = spec.functions[0].at),
    (&OVERLAP, |spec| spec.functions[0].size = 0x21),
];

#[test]
fn each_mistake_has_its_code() {
    for (index, (rule, mistake)) in MISTAKES.iter().enumerate() {
        let mut spec = amd64();
        mistake(&mut spec);
        let found = codes(&spec.write(), Abi::Amd64);
        assert!(found.contains(&rule.code), "mistake {index} for {}: found {found:?}", rule.code);
    }
}

#[test]
fn each_mistake_of_a_flexible_row_has_its_code() {
    let flexible = |words: &[i64]| {
        let mut function = Function { info2: 1, ..function(0, 8, vec![row(0, 0, words)]) };
        function.rows[0].size = 2;
        Spec::linked(Abi::Amd64, vec![function])
    };
    let has = |words: &[i64], rule: &Rule| {
        let found = codes(&flexible(words).write(), Abi::Amd64);
        assert!(found.contains(&rule.code), "{words:?}: {found:?}");
    };
    has(&[2, 8], &CFA_CONTROL);
    has(&[7 << 3 | 5, 8], &CONTROL_BIT);
    has(&[17 << 3 | 1, 8], &REGISTER);
    has(&[129 << 3 | 1, 8], &REGISTER);
    has(&[146 << 3 | 1, 8], &REGISTER);
    has(&[7 << 3 | 1, 8, 1, 3, -16], &PADDING_WORD);
    // r16 and r31 of APX.
    for register in [130, 145] {
        assert_eq!(codes(&flexible(&[register << 3 | 1, 0x1_0000]).write(), Abi::Amd64), [""; 0], "{register}");
    }
    assert_eq!(codes(&flexible(&[7 << 3 | 1, 0x1_0000, 0, 2, -16]).write(), Abi::Amd64), [""; 0]);
    has(&[536_870_911 << 3 | 1, 8], &REGISTER);
    has(&[7 << 3 | 1, 8, 0], &FLEXIBLE_COUNT);
    let mut early = flexible(&[7 << 3 | 1, 8]);
    early.abi = Abi::Aarch64Little;
    assert!(codes(&early.write(), Abi::Aarch64Little).contains(&FLEXIBLE_ABI.code));
    let unaligned = Spec::linked(Abi::S390x, vec![function(0, 8, vec![row(0, SP, &[0, -47])])]);
    assert!(codes(&unaligned.write(), Abi::S390x).contains(&UNALIGNED.code));
}

const DAMAGES: &[Damage] = &[
    (&SHORT, |bytes| bytes.truncate(27)),
    (&EMPTY, |bytes| bytes.clear()),
    (&SHORT, |bytes| bytes.truncate(1)),
    (&MAGIC_WRONG, |bytes| bytes[0] = 0),
    (&VERSION, |bytes| bytes[2] = 4),
    (&VERSION, |bytes| bytes[2] = 0),
    (&ABI, |bytes| bytes[4] = 5),
    (&ABI_FILE, |bytes| bytes[4] = 2),
    (&FIXED_FP, |bytes| bytes[5] = 0xf0),
    (&FIXED_RA, |bytes| bytes[6] = 0),
    // A million functions in a section of some hundred bytes.
    (&EXTENT, |bytes| bytes[8..12].copy_from_slice(&1_000_000_u32.to_le_bytes())),
    (&EXTENT, |bytes| bytes[8..12].fill(0xff)),
    (&FRES, |bytes| bytes[12] += 1),
    (&EXTENT, |bytes| bytes[16..20].fill(0xff)),
    (&EXTENT, |bytes| bytes[20..24].fill(0xff)),
    (&EXTENT, |bytes| bytes[24..28].fill(0xff)),
    (&AUX, |bytes| bytes[7] = 8),
    (&ATTRIBUTES, |bytes| bytes[FIRST_FDE + 12..FIRST_FDE + 16].fill(0xff)),
    (&FRE_SHARED, |bytes| bytes[FIRST_FDE + 16 + 12] = 0),
    (&FRE_AREA, |bytes| bytes[FIRST_FDE + 16 + 12] = 0),
    // The other byte order: all counts are huge.
    (&EXTENT, |bytes| bytes.swap(0, 1)),
    (&FRE_GAP, |bytes| {
        bytes.push(0);
        bytes[16] += 1;
    }),
    (&ROW_PAST, |bytes| {
        let at = FIRST_FDE + 3 * 16;
        bytes[at] = 200;
    }),
    (&TRAILING, |bytes| bytes.push(1)),
    (&TRAILING, |bytes| bytes.extend([0xe2, 0xde])),
    (&CONCATENATED, |bytes| bytes.extend(bytes.clone())),
    (&MIXED, |bytes| {
        let mut two = bytes.clone();
        two[5] = 8;
        bytes.extend(two);
    }),
];

#[test]
fn each_damage_has_its_code() {
    for (index, (rule, damage)) in DAMAGES.iter().enumerate() {
        let mut bytes = amd64().write();
        damage(&mut bytes);
        // AUX shifts both tables; the room for them is there.
        if *rule == &AUX {
            bytes.extend([0; 64]);
        }
        let found = codes(&bytes, Abi::Amd64);
        assert!(found.contains(&rule.code), "damage {index} for {}: found {found:?}", rule.code);
    }
}

#[test]
fn the_file_around_a_section_has_codes_too() {
    let bytes = amd64().write();
    let good = container(Abi::Amd64);
    assert_eq!(codes_in(&bytes, &Container { kind: 1, ..good }), [SECTION_TYPE.code]);
    assert_eq!(codes_in(&bytes, &Container { kind: 8, ..good }), [SECTION_TYPE.code]);
    assert_eq!(codes_in(&bytes, &Container { segment: None, ..good }), [NO_SEGMENT.code]);
    assert_eq!(codes_in(&bytes, &Container { segment: Some((TABLE, TABLE + 4)), ..good }), [SEGMENT.code]);
    assert_eq!(codes_in(&bytes, &Container { machine: None, ..good }), [ABI_FILE.code]);
    let renamed = Container { name: ".init.sframe", segment: None, ..good };
    assert_eq!(codes_in(&bytes, &renamed), [""; 0]);
    let two = [bytes.as_slice(), &[0; 4], &bytes].concat();
    assert!(codes_in(&two, &renamed).contains(&RENAMED.code));
    let mut old = Spec { version: 1, flags: SORTED, ..amd64() };
    old.functions.pop();
    assert_eq!(
        codes_in(&old.write(), &Container { kind: 1, segment: None, ..good }),
        [PROGBITS.code, LINK_SECTION.code]
    );
    assert_eq!(codes_in(&[], &Container { relocatable: true, ..good }), [EMPTY.code]);
    assert_eq!(codes_in(&[], &good), [EMPTY.code], "ld --discard-sframe leaves this");
    let mut unmarked = amd64();
    unmarked.flags &= !PCREL;
    assert!(codes_in(&unmarked.write(), &Container { relocatable: true, ..good }).contains(&LINK_PCREL.code));
    // Without bytes at the end of a section, and in an empty one.
    let empty = Spec::linked(Abi::Amd64, vec![function(0x1_0000, 0, vec![row(0, SP, &[8])])]).write();
    assert_eq!(codes_in(&empty, &good), [""; 0]);
    assert_eq!(codes_in(&empty, &Container { code: &[(CODE + 0x1_0000, CODE + 0x1_0000)], ..good }), [""; 0]);
    assert_eq!(codes_in(&empty, &Container { code: &[(CODE, CODE + 0xffff)], ..good }), [NOT_CODE.code]);
}

#[test]
fn a_start_field_of_a_relocatable_file_needs_its_relocation() {
    let spec = amd64();
    let fields = |relocations: &'static [(u64, Relocation)]| {
        codes_in(&spec.write(), &Container { relocatable: true, relocations, ..container(Abi::Amd64) })
    };
    use Relocation::{Applied, Broken};
    assert_eq!(fields(&[(28, Applied), (44, Applied), (60, Applied)]), [""; 0]);
    assert_eq!(fields(&[(28, Applied), (44, Relocation::None), (60, Applied)]), [DISCARDED.code]);
    assert_eq!(fields(&[(28, Applied), (44, Broken("x")), (60, Applied)]), [NO_RELOCATION.code]);
    assert_eq!(fields(&[(28, Applied), (44, Applied)]), [NO_RELOCATION.code]);
}

#[test]
fn every_truncation_is_found() {
    let whole = amd64().write();
    for length in 0..whole.len() {
        let found = codes(&whole[..length], Abi::Amd64);
        assert!(!found.is_empty(), "{length} of {} bytes", whole.len());
    }
}

#[test]
fn functions_that_share_rows_end_the_look_at_rows() {
    // 4,000 functions of the same 10,000 rows: 40 million rows that nobody may be made to read.
    let rows: Vec<_> = (0..10_000).map(|start| FreSpec { start, bits: SP, size: 0, words: vec![8] }).collect();
    let mut functions = vec![Function { info: 1, ..function(0, 20_000, rows) }];
    functions.extend((0..4000).map(|index| Function { info: 1, ..function(20_000 + index, 1, vec![]) }));
    let mut bytes = Spec::linked(Abi::Amd64, functions).write();
    for index in 1..=4000 {
        let at = FIRST_FDE + 16 * index + 12;
        bytes[at..at + 4].fill(0);
    }
    let mut findings = Findings::default();
    let statistics = validate(&bytes, &container(Abi::Amd64), &mut findings);
    assert!(statistics.excessive);
    assert!(statistics.fres < 200_000, "{} rows were read", statistics.fres);
    assert!(findings.count_of(&FRES) > 0);
}

fn any_abi() -> impl Strategy<Value = Abi> {
    prop_oneof![Just(Abi::Aarch64Big), Just(Abi::Aarch64Little), Just(Abi::Amd64), Just(Abi::S390x)]
}

fn any_row() -> impl Strategy<Value = (u32, u8, u8, Vec<i8>)> {
    (0_u32..200, any::<bool>(), 0_u8..3, prop::collection::vec(any::<i8>(), 0..=6))
        .prop_map(|(start, sp, size, words)| (start, u8::from(sp), size, words))
}

fn any_spec() -> impl Strategy<Value = Spec> {
    let functions =
        prop::collection::vec((0_u32..500, 0_u8..3, any::<u8>(), prop::collection::vec(any_row(), 0..8)), 0..8);
    (1_u8..=3, any_abi(), 0_u8..8, functions).prop_map(|(version, abi, flags, functions)| {
        let functions = functions.into_iter().enumerate().map(|(index, (size, kind, rep_size, rows))| Function {
            at: at(index as i64 * 0x1000),
            size,
            info: kind,
            info2: 0,
            rep_size,
            rows: rows
                .into_iter()
                .map(|(start, bits, size, words)| FreSpec {
                    start,
                    bits,
                    size,
                    words: words.into_iter().map(i64::from).collect(),
                })
                .collect(),
        });
        Spec { version, flags, abi, functions: functions.collect() }
    })
}

// Everything a caller can ask of a section.
fn exercise(bytes: &[u8], relocatable: bool) {
    let container = Container { relocatable, ..container(Abi::Amd64) };
    let mut findings = Findings::default();
    let statistics = validate(bytes, &container, &mut findings);
    for (_, table) in Tables::new(bytes, Addressing { address: TABLE, relocatable }) {
        let Ok(table) = table else { continue };
        for pc in [0, TABLE, CODE, CODE + 1, u64::MAX] {
            let _ = table.row_at(pc);
        }
        if statistics.excessive {
            continue;
        }
        for entry in table.entries().flatten() {
            for fre in table.fres(&entry).flatten() {
                let _ = table.decode(&entry, &fre);
            }
            let _ = table.row_in(&entry, u64::from(entry.size) / 2);
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(spec in any_spec()) {
        let bytes = spec.write();
        let table = Table::parse(&bytes, addressing()).unwrap();
        prop_assert_eq!(table.len() as usize, spec.functions.len());
        prop_assert_eq!(table.size(), bytes.len() as u64);
        for (entry, function) in table.entries().zip(&spec.functions) {
            let entry = entry.unwrap();
            prop_assert_eq!(entry.start, TABLE.wrapping_add_signed(function.at));
            prop_assert_eq!((entry.size, entry.info), (function.size, function.info));
            prop_assert_eq!(entry.rep_size, if spec.version == 1 { 0 } else { function.rep_size });
            let fres: Vec<_> = table.fres(&entry).map(Result::unwrap).collect();
            prop_assert_eq!(fres.len(), function.rows.len());
            for (fre, row) in fres.iter().zip(&function.rows) {
                prop_assert_eq!(fre.start, row.start);
                prop_assert_eq!(fre.is_sp_based(), row.bits & 1 != 0);
                let words: Vec<i64> = (0..fre.count()).map(|index| fre.signed(index).unwrap()).collect();
                prop_assert_eq!(&words, &row.words);
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..400), version in 0_u8..5, big: bool, relocatable: bool) {
        exercise(&bytes, relocatable);
        if bytes.len() > 28 {
            bytes[..2].copy_from_slice(&if big { MAGIC.to_be_bytes() } else { MAGIC.to_le_bytes() });
            bytes[2] = version;
            bytes[4] %= 5;
            // Small counts, so that more than the header is looked at.
            for field in [8_usize, 12, 16, 20, 24] {
                let value = u32::from(bytes[field]) % 64;
                bytes[field..field + 4].copy_from_slice(&if big { value.to_be_bytes() } else { value.to_le_bytes() });
            }
            exercise(&bytes, relocatable);
        }
    }

    #[test]
    fn no_changed_byte_makes_it_panic(spec in any_spec(), changes in prop::collection::vec((any::<u16>(), any::<u8>()), 1..6), relocatable: bool) {
        let mut bytes = spec.write();
        for (at, value) in changes {
            let at = usize::from(at) % bytes.len();
            bytes[at] = value;
        }
        exercise(&bytes, relocatable);
    }
}
