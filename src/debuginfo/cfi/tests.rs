//! Our reading compared with gimli's, wherever gimli can read.

use super::*;
use crate::debuginfo::elf::Elf;
use crate::debuginfo::frame::{Cfa, Place};
use gimli::{BaseAddresses, CfaRule, EhFrame, RegisterRule, UnwindContext, UnwindSection as _};
use std::path::Path;

fn fixture(name: &str) -> Vec<u8> {
    fs_err::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sframe").join(name)).unwrap()
}

fn abi(elf: &Elf<'_>) -> Abi {
    Abi::of_machine(elf.machine(), elf.endian() == object::Endianness::Big).unwrap()
}

fn section<'a>(elf: &Elf<'_>, data: &'a [u8]) -> Section<'a> {
    Section {
        data,
        address: elf.section(".eh_frame").unwrap().address,
        is_eh: true,
        big: elf.endian() == object::Endianness::Big,
        address_size: 8,
        abi: abi(elf),
    }
}

fn same_place(place: Place, rule: Option<RegisterRule<usize>>) -> bool {
    match (place, rule) {
        (Place::Same, None | Some(RegisterRule::SameValue))
        | (Place::Undefined, Some(RegisterRule::Undefined))
        | (
            Place::AtRegister { .. } | Place::Other,
            Some(RegisterRule::Expression(_) | RegisterRule::ValExpression(_)),
        ) => true,
        (Place::AtCfa(one), Some(RegisterRule::Offset(two))) => one == two,
        (Place::ValCfa(one), Some(RegisterRule::ValOffset(two))) => one == two,
        (Place::Register(one), Some(RegisterRule::Register(two))) => one == u32::from(two.0),
        _ => false,
    }
}

fn same_cfa(cfa: Cfa, rule: &CfaRule<usize>) -> bool {
    match (cfa, rule) {
        (Cfa::Offset { register, offset }, CfaRule::RegisterAndOffset { register: other, offset: far }) => {
            register == u32::from(other.0) && offset == *far
        }
        (_, CfaRule::Expression(_)) => true,
        _ => false,
    }
}

// How many rows were compared.
fn compare(name: &str) -> usize {
    let bytes = fixture(name);
    let elf = Elf::parse(&bytes).unwrap();
    let data = elf.data_named(".eh_frame").unwrap().unwrap();
    let source = section(&elf, &data.bytes);
    let frames = Frames::read(&source);
    assert_eq!(frames.damaged, [], "{name}");
    let endian = if source.big { RunTimeEndian::Big } else { RunTimeEndian::Little };
    let mut theirs = EhFrame::new(&data.bytes, endian);
    theirs.set_address_size(8);
    if source.abi.is_aarch64() {
        theirs.set_vendor(gimli::Vendor::AArch64);
    }
    let bases = BaseAddresses::default().set_eh_frame(source.address);
    let mut ours = Evaluator::new(source.abi, 3);
    let mut context = UnwindContext::new();
    let mut compared = 0;
    for fde in &frames.fdes {
        let Ok(their) = theirs.fde_from_offset(&bases, (fde.offset as usize).into(), EhFrame::cie_from_offset) else {
            // Augmentation `B`.
            assert!(frames.cies[fde.cie as usize].is_b_key, "{name}: {fde:?}");
            continue;
        };
        assert_eq!((fde.start, fde.len), (their.initial_address(), their.len()));
        let (steps, _) = ours.run(&frames.cies[fde.cie as usize], fde).unwrap();
        let mut rows = their.rows(&theirs, &bases, &mut context).unwrap();
        while let Some(row) = rows.next_row().unwrap() {
            let at = row.start_address() - fde.start;
            let after = steps.partition_point(|step| step.start <= at);
            let step = steps[after - 1];
            assert!(same_cfa(step.row.cfa, row.cfa()), "{name} {fde:?} {at:#x}: {step:?}, {:?}", row.cfa());
            for (number, place) in [(source.abi.ra(), step.row.ra), (source.abi.fp(), step.row.fp)] {
                let rule = row.register(gimli::Register(number as u16));
                assert!(same_place(place, rule.clone()), "{name} {fde:?} {at:#x}: {step:?}, {rule:?}");
            }
            compared += 1;
        }
    }
    compared
}

#[test]
fn rows_are_those_that_gimli_finds() {
    let mut compared = 0;
    for name in [
        "amd64-v3.o",
        "amd64-v3.so",
        "amd64-new-v3.o",
        "aarch64-v3.o",
        "aarch64-v3.so",
        "aarch64-new-v3.o",
        "aarch64be-v3.so",
        "s390x-v3.so",
        "faults/nested-remember.o",
        "faults/offset-then-register.o",
        "faults/expression-on-aarch64.o",
    ] {
        compared += compare(name);
    }
    assert!(compared >= 150, "{compared}");
}

fn reasons(name: &str, version: u8) -> Vec<Vec<Reason>> {
    let bytes = fixture(name);
    let elf = Elf::parse(&bytes).unwrap();
    let data = elf.data_named(".eh_frame").unwrap().unwrap();
    let source = section(&elf, &data.bytes);
    let frames = Frames::read(&source);
    let mut evaluator = Evaluator::new(source.abi, version);
    let run = |fde: &Fde<'_>| {
        let (_, reasons) = evaluator.run(&frames.cies[fde.cie as usize], fde).unwrap();
        reasons.iter().collect()
    };
    frames.fdes.iter().map(run).collect()
}

#[test]
fn what_an_assembler_may_decline_is_noted() {
    // drap, moved, first, trampoline, declined
    let none: Vec<Reason> = Vec::new();
    let found = reasons("amd64-new-v3.o", 3);
    assert_eq!(
        found,
        [none.clone(), none.clone(), none.clone(), none.clone(), vec![Reason::CfaExpression, Reason::Escape]]
    );
    let early = reasons("amd64-new-v3.o", 2);
    assert_eq!(early[0], [Reason::CfaRegister, Reason::CfaExpression, Reason::Expression, Reason::Escape]);
    assert_eq!(early[1], [Reason::Register]);
    // first, trampoline, declined, fp_alone
    let found = reasons("aarch64-new-v3.o", 3);
    assert_eq!(found, [none.clone(), none, vec![Reason::CfaRegister], vec![Reason::FpWithoutRa]]);
    assert_eq!(reasons("faults/expression-on-aarch64.o", 3), [[Reason::Expression]]);
}

#[test]
fn no_bytes_make_it_panic_and_no_truncation_is_silent_about_what_it_cut() {
    for name in ["amd64-new-v3.o", "aarch64be-v3.so", "s390x-v3.so"] {
        let bytes = fixture(name);
        let elf = Elf::parse(&bytes).unwrap();
        let data = elf.data_named(".eh_frame").unwrap().unwrap();
        let whole = Frames::read(&section(&elf, &data.bytes)).fdes.len();
        for length in 0..data.bytes.len() {
            let source = Section { data: &data.bytes[..length], ..section(&elf, &data.bytes) };
            let frames = Frames::read(&source);
            assert!(frames.fdes.len() <= whole);
            for fde in &frames.fdes {
                let _ = Evaluator::new(source.abi, 3).run(&frames.cies[fde.cie as usize], fde);
            }
        }
        let mut changed = data.bytes.to_vec();
        for at in 0..changed.len() {
            for value in [0, 0x7f, 0x80, 0xff] {
                let before = std::mem::replace(&mut changed[at], value);
                let source = Section { data: &changed, ..section(&elf, &changed) };
                let frames = Frames::read(&source);
                for fde in &frames.fdes {
                    let _ = Evaluator::new(source.abi, 3).run(&frames.cies[fde.cie as usize], fde);
                }
                changed[at] = before;
            }
        }
    }
}

// A .debug_frame of 64-bit little-endian: a CIE of these instructions, and functions that name it.
fn written(augmentation: &[u8], instructions: &[u8], functions: usize) -> Vec<u8> {
    let mut cie = [&[0xff; 4], &[1][..], augmentation, &[0, 1, 0x78, 16], instructions].concat();
    let mut out = (cie.len() as u32).to_le_bytes().to_vec();
    out.append(&mut cie);
    for _ in 0..functions {
        out.extend([20, 0, 0, 0, 0, 0, 0, 0]);
        out.extend([0; 16]);
    }
    out
}

fn read(data: &[u8]) -> Frames<'_> {
    Frames::read(&Section { data, address: 0, is_eh: false, big: false, address_size: 8, abi: Abi::Amd64 })
}

#[test]
fn what_many_functions_share_is_read_once() {
    // Quadratic, each would take minutes.
    let letters = vec![b'S'; 1_000_000];
    let bad = [&letters[..], b"?"].concat();
    let bytes = written(&bad, &[], 20_000);
    let frames = read(&bytes);
    assert_eq!((frames.cies.len(), frames.fdes.len(), frames.damaged.len()), (0, 0, 20_001));
    let bytes = written(b"", &vec![0; 1_000_000], 20_000);
    let frames = read(&bytes);
    assert_eq!((frames.cies.len(), frames.fdes.len(), frames.damaged.len()), (1, 20_000, 0));
}

#[test]
fn remembering_without_end_is_refused() {
    let bytes = written(b"", &vec![0x0a; (1 << 20) + 2], 1);
    let frames = read(&bytes);
    assert!(matches!(frames.cies[0].initial, Err(Error::Excess { what: "remembered states", .. })));
    let run = Evaluator::new(Abi::Amd64, 3).run(&frames.cies[0], &frames.fdes[0]).map(drop);
    assert!(run.is_err());
}
