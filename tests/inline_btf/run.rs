//! A program is run and stopped at its sites; what their locations say is held
//! against what the inlined function then hands on.

use crate::compile;
use crate::tracee::{Tracee, peek, register};
use crossmill::debuginfo::btf::{Btf, Endian, Kind, LocParam, flags};
use crossmill::debuginfo::elf::Elf;
use crossmill::debuginfo::inline_btf::write::{SectionNames, write};
use crossmill::debuginfo::inline_btf::{self as inline, BaseTypes, EmptyRanges, Options, Sections};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::path::Path;

/// A parameter as the BTF says it.
#[derive(Debug, Clone)]
struct Param {
    size: u32,
    flags: u32,
    values: Vec<u32>,
}

/// A site as the BTF says it: function and parameters, nothing for one that is not available.
type Site = (String, Vec<Option<Param>>);

// Only what was written is looked at: sections, offsets and ids, as a tracer would.
fn read_sites(bytes: &[u8], elf: &Elf<'_>) -> BTreeMap<u64, Vec<Site>> {
    let btf = Btf::parse(bytes, None).unwrap();
    let mut found: BTreeMap<u64, Vec<Site>> = BTreeMap::new();
    for section in btf.types().filter(|found| found.kind == Kind::LocSec) {
        let start = elf.section(&btf.text(section.name_off)).unwrap().address;
        for site in section.loc_sites() {
            let name = btf.text(btf.type_by_id(site.func).unwrap().name_off).into_owned();
            let params = btf.type_by_id(site.loc_proto).unwrap().loc_proto().unwrap();
            let params = params.iter().map(|id| {
                let param: LocParam<'_> = btf.type_by_id(id)?.loc_param().unwrap();
                Some(Param { size: param.size, flags: param.flags, values: param.values.iter().collect() })
            });
            found.entry(start + u64::from(site.offset)).or_default().push((name, params.collect()));
        }
    }
    found
}

// The value, one or two words of it.
fn evaluate(pid: Pid, regs: &nix::libc::user_regs_struct, param: &Param) -> Vec<u64> {
    let word = |index: usize| param.values[index];
    let long = |index: usize, signed: bool| match param.values.get(index + 1) {
        Some(high) => u64::from(*high) << 32 | u64::from(word(index)),
        None if signed => i64::from(word(index).cast_signed()).cast_unsigned(),
        None => u64::from(word(index)),
    };
    let of = |flag: u32| param.flags & flag != 0;
    if of(flags::CONST) {
        assert!(!of(flags::ADDR), "no address is passed here");
        return vec![long(0, of(flags::SIGNED))];
    }
    if !of(flags::OFFSET) && param.values.len() == 2 {
        return vec![register(regs, word(0)), register(regs, word(1))];
    }
    let offset = if of(flags::OFFSET) { long(1, of(flags::SIGNED)) } else { 0 };
    let sum = register(regs, word(0)).wrapping_add(offset);
    if !of(flags::DEREF) {
        return vec![sum];
    }
    (0..u64::from(param.size.div_ceil(8))).map(|index| peek(pid, sum + index * 8)).collect()
}

// The lowest bytes, as the function's own conversion to long extends them.
fn narrowed(value: u64, size: u32, name: &str) -> u64 {
    let unused = 64 - 8 * size.min(8);
    // `unsigned char` is the only unsigned one of the program.
    if name == "bytes" && size == 1 {
        value << unused >> unused
    } else {
        ((value << unused).cast_signed() >> unused).cast_unsigned()
    }
}

fn check(optimisation: &str, options: Options) -> (u32, u32) {
    let (_dir, path) = compile(
        Path::new("gcc"),
        "run.c",
        &[optimisation, "-g", "-no-pie", "-fno-omit-frame-pointer", "-fcf-protection=none"],
    );
    let bytes = fs_err::read(&path).unwrap();
    let elf = Elf::parse(&bytes).unwrap();
    let sections = Sections::load(&elf).unwrap();
    let found = inline::extract(&elf, &sections, &BaseTypes::default(), options, &()).unwrap();
    let (written, _) = write(&found.merged, None, Endian::Little, SectionNames::default()).unwrap();
    let sites = read_sites(&written, &elf);
    assert!(sites.len() >= 10, "{sites:#?}");
    let record = elf.functions().into_iter().find(|function| function.name == "record").unwrap().address;
    let ids = BTreeMap::from([("numbers", 1), ("bytes", 2), ("whole", 3), ("slots", 4), ("inner", 5), ("outer", 6)]);

    let mut tracee = Tracee::start(&path);
    tracee.set(record);
    for address in sites.keys() {
        tracee.set(*address);
    }
    // Values from the sites before the next call of record() with an id.
    let mut said: BTreeMap<u64, (u64, Vec<Option<u64>>)> = BTreeMap::new();
    let (mut read, mut held) = (0, 0);
    while let Some((address, regs)) = tracee.next() {
        if address == record {
            let (id, truth) = (regs.rdi, [regs.rsi, regs.rdx]);
            if let Some((site, values)) = said.remove(&id) {
                held += 1;
                for (value, truth) in values.iter().zip(truth) {
                    if let Some(value) = value {
                        assert_eq!(*value, truth, "site {site:#x} of function {id}, {optimisation}");
                        read += 1;
                    }
                }
            }
        }
        for (name, params) in sites.get(&address).into_iter().flatten() {
            let mut values = Vec::new();
            for param in params {
                match param {
                    Some(param) if param.size > 8 => {
                        values.extend(evaluate(tracee.pid, &regs, param).into_iter().map(Some));
                    }
                    Some(param) => {
                        let value = evaluate(tracee.pid, &regs, param)[0];
                        values.push(Some(narrowed(value, param.size, name)));
                    }
                    None => values.push(None),
                }
            }
            said.insert(ids[name.as_str()], (address, values));
        }
        tracee.step(address);
    }
    (held, read)
}

// Values read where DWARF gives them without location views, and where it needs these.
#[test]
fn values_read_through_locations_are_the_true_ones() {
    for optimisation in ["-O1", "-O2", "-Os"] {
        let (held, strict) = check(optimisation, Options { empty_ranges: EmptyRanges::Ignore, ..Options::default() });
        assert!(held >= 8, "{held} calls were held against the truth with {optimisation}");
        assert!(strict >= 6, "{strict} values were read with {optimisation}");
        let (_, all) = check(optimisation, Options { empty_ranges: EmptyRanges::Prefer, ..Options::default() });
        assert!(all >= strict);
        eprintln!("{optimisation}: {held} calls, {strict} values read, {all} with empty ranges");
    }
}
