//! Inline BTF read again and compared with DWARF, site by site.
//!
//! The reading side shares nothing with the writing side but the names of the
//! flags: ids are followed in the bytes that were written.

use super::EmptyRanges;
use super::location::{LocParam, Location, Machine, Shown, flag};
use super::merge::{Entry, Merged};
use crate::debuginfo::btf::{Btf, Grammar, Kind, OldPlace, Type, elf_section_name, old_flags};
use serde::Serialize;

/// A site as BTF has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadSite<'b> {
    /// Its address.
    pub pc: u64,
    /// The function's name.
    pub function: &'b [u8],
    /// Where its parameters are; nothing for one that is not available.
    pub params: Vec<Option<LocParam>>,
}

/// Differences of single sites, a few of each kind in words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Sites of the BTF.
    pub in_btf: u64,
    /// Sites of the DWARF.
    pub in_dwarf: u64,
    /// The same function at the same address with the same locations.
    pub equal: u64,
    /// The same function at the same address with other locations.
    pub other_locations: u64,
    /// Only in the BTF.
    pub only_btf: u64,
    /// Only in the DWARF.
    pub only_dwarf: u64,
    /// Sites of the BTF that cannot be read.
    pub unreadable: u64,
    /// Of the equal ones, those that are equal only by another reading of empty ranges; those that did not occur are
    /// left out.
    pub other_readings: Vec<ReadingCount>,
    /// The first of each.
    pub examples: Vec<String>,
}

/// Sites that are equal by another reading of empty ranges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReadingCount {
    /// `prefer`, `accept` or `ignore`.
    pub reading: &'static str,
    /// How many.
    pub sites: u64,
}

/// How many examples of each kind are kept.
const EXAMPLES: usize = 4;

impl Comparison {
    /// Returns whether both agree.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.equal == self.in_btf && self.equal == self.in_dwarf && self.unreadable == 0
    }

    fn example(&mut self, count: u64, text: impl FnOnce() -> String) {
        if count <= EXAMPLES as u64 {
            self.examples.push(text());
        }
    }
}

/// Sites of the same DWARF by another reading of empty ranges, by address and name.
#[derive(Debug)]
pub struct OtherReading<'m, 'd> {
    reading: EmptyRanges,
    merged: &'m Merged<'d>,
    sorted: Vec<&'m Entry>,
}

impl<'m, 'd> OtherReading<'m, 'd> {
    /// Of the sites.
    #[must_use]
    pub fn new(reading: EmptyRanges, merged: &'m Merged<'d>) -> Self {
        let mut sorted: Vec<&Entry> = merged.entries.iter().collect();
        sorted.sort_unstable_by_key(|entry| (entry.pc, name_of(merged, entry)));
        Self { reading, merged, sorted }
    }

    fn has(&self, site: &ReadSite<'_>) -> bool {
        let key = |entry: &Entry| (entry.pc, name_of(self.merged, entry));
        let start = self.sorted.partition_point(|entry| key(entry) < (site.pc, site.function));
        let mut same = self.sorted.iter().skip(start).take_while(|entry| key(entry) == (site.pc, site.function));
        same.any(|entry| self.merged.locations_of(entry).eq(site.params.iter().copied()))
    }
}

fn name_of<'d>(merged: &Merged<'d>, entry: &Entry) -> &'d [u8] {
    merged.called.get(entry.called as usize).map(|called| called.name).unwrap_or_default()
}

/// Compares the sites of a file of inline BTF with those of the DWARF. Sites that are different are compared with
/// other readings too: encoders differ in them.
#[must_use]
pub fn compare(btf: &Btf<'_>, merged: &Merged<'_>, others: &[OtherReading<'_, '_>]) -> Comparison {
    let mut outcome = Comparison { in_dwarf: merged.entries.len() as u64, ..Comparison::default() };
    // By address and name; several of one key are rare. Numbers alone, for there may be half a million.
    let name = |entry: &Entry| name_of(merged, entry);
    let mut ours: Vec<&Entry> = merged.entries.iter().collect();
    ours.sort_unstable_by_key(|entry| (entry.pc, name(entry), **entry));
    let mut taken = vec![false; ours.len()];
    // The first of a site's key that is not taken and that `fits`.
    let mut take = |pc: u64, function: &[u8], fits: &dyn Fn(&Entry) -> bool| {
        let start = ours.partition_point(|entry| (entry.pc, name(entry)) < (pc, function));
        let same =
            ours.iter().enumerate().skip(start).take_while(|(_, entry)| (entry.pc, name(entry)) == (pc, function));
        let (place, entry) =
            same.into_iter().find(|(place, entry)| !taken.get(*place).copied().unwrap_or(true) && fits(entry))?;
        if let Some(slot) = taken.get_mut(place) {
            *slot = true;
        }
        Some(**entry)
    };
    let mut unmatched = Vec::new();
    read(btf, merged, &mut outcome, &mut |outcome, site| {
        outcome.in_btf += 1;
        let fits = |entry: &Entry| merged.locations_of(entry).eq(site.params.iter().copied());
        match take(site.pc, site.function, &fits) {
            Some(_) => outcome.equal += 1,
            None => unmatched.push(site),
        }
    });
    for site in unmatched {
        let function = String::from_utf8_lossy(site.function).into_owned();
        if let Some(entry) = take(site.pc, site.function, &|_| true) {
            if let Some(other) = others.iter().find(|other| other.has(&site)) {
                outcome.equal += 1;
                let reading = other.reading.word();
                match outcome.other_readings.iter_mut().find(|count| count.reading == reading) {
                    Some(count) => count.sites += 1,
                    None => outcome.other_readings.push(ReadingCount { reading, sites: 1 }),
                }
                continue;
            }
            outcome.other_locations += 1;
            outcome.example(outcome.other_locations, || {
                let dwarf = merged.locations_of(&entry).collect::<Vec<_>>();
                format!("{function} at {:#x}: {}", site.pc, difference(&site.params, &dwarf, merged.places.base))
            });
        } else {
            outcome.only_btf += 1;
            outcome.example(outcome.only_btf, || format!("{function} at {:#x}: not in DWARF", site.pc));
        }
    }
    let rest = || ours.iter().zip(&taken).filter(|(_, taken)| !**taken).map(|(entry, _)| entry);
    outcome.only_dwarf = rest().count() as u64;
    for entry in rest().take(EXAMPLES) {
        outcome.examples.push(format!("{} at {:#x}: not in BTF", String::from_utf8_lossy(name(entry)), entry.pc));
    }
    outcome
}

/// The sites of a file of inline BTF, in either form.
fn read<'b>(
    btf: &Btf<'b>,
    merged: &Merged<'_>,
    outcome: &mut Comparison,
    found: &mut dyn FnMut(&mut Comparison, ReadSite<'b>),
) {
    for section in btf.types().filter(|found| found.kind == Kind::LocSec) {
        let name = btf.string(section.name_off).unwrap_or_default();
        let start = if section.grammar == Grammar::Narrow {
            // The RFC counts from the start of .text, in whatever section a site is.
            section_start(merged, b".text")
        } else {
            section_start(merged, name)
        };
        let Some(start) = start else {
            let count = section.vlen;
            outcome.unreadable += u64::from(count);
            outcome.examples.push(format!("LOCSEC {}: no such section", String::from_utf8_lossy(name)));
            continue;
        };
        let mut add = |site: Option<ReadSite<'b>>| match site {
            Some(site) => found(outcome, site),
            None => outcome.unreadable += 1,
        };
        for site in section.loc_sites() {
            add(read_site(btf, site.func, site.loc_proto, start.wrapping_add(u64::from(site.offset))));
        }
        for site in section.old_loc_sites() {
            let function = btf.string(site.name_off);
            let params = read_proto(btf, site.loc_proto);
            add(function.zip(params).map(|(function, params)| ReadSite {
                pc: start.wrapping_add(u64::from(site.offset)),
                function,
                params,
            }));
        }
    }
}

// The parameters that differ: `parameter 2: rdi in BTF, not available in DWARF`.
fn difference(btf: &[Option<LocParam>], dwarf: &[Option<LocParam>], base: u64) -> String {
    let shown = |param: Option<&Option<LocParam>>| match param {
        None => "no entry".to_owned(),
        Some(None) => "not available".to_owned(),
        Some(Some(param)) => match param.decode(base) {
            Some(location) => {
                let signed = param.flags & flag::SIGNED != 0;
                format!("{} ({} bytes)", Shown { location, machine: Machine(0), signed }, param.size)
            }
            None => format!("flags {:#x}", param.flags),
        },
    };
    let differing = (0..btf.len().max(dwarf.len())).filter(|index| btf.get(*index) != dwarf.get(*index));
    let words = differing.map(|index| {
        format!("parameter {}: {} in BTF, {} in DWARF", index + 1, shown(btf.get(index)), shown(dwarf.get(index)))
    });
    words.collect::<Vec<_>>().join("; ")
}

fn section_start(merged: &Merged<'_>, name: &[u8]) -> Option<u64> {
    let named = |name: &[u8]| merged.places.all.iter().find(|place| place.name.as_bytes() == name);
    named(name).or_else(|| named(elf_section_name(name))).map(|place| place.address)
}

fn read_site<'b>(btf: &Btf<'b>, func: u32, proto: u32, pc: u64) -> Option<ReadSite<'b>> {
    let func = btf.type_by_id(func).filter(|found| found.kind == Kind::Func)?;
    Some(ReadSite { pc, function: btf.string(func.name_off)?, params: read_proto(btf, proto)? })
}

pub(super) fn read_proto(btf: &Btf<'_>, proto: u32) -> Option<Vec<Option<LocParam>>> {
    let proto = btf.type_by_id(proto)?.loc_proto()?;
    proto
        .iter()
        .map(|id| match id {
            0 => Some(None),
            _ => read_param(&btf.type_by_id(id)?).map(Some),
        })
        .collect()
}

fn read_param(found: &Type<'_>) -> Option<LocParam> {
    if let Some(param) = found.loc_param() {
        let values: Vec<u32> = param.values.iter().take(4).collect();
        return LocParam::new(param.size, param.flags, &values);
    }
    let old = found.old_loc_param()?;
    let location = match old.place {
        OldPlace::Const(value) => Location::Constant(value),
        OldPlace::Register { register, flags, offset } if flags & old_flags::DEREF != 0 => {
            Location::Memory(u32::from(register), i64::from(offset))
        }
        OldPlace::Register { register, offset, .. } => Location::Sum(u32::from(register), i64::from(offset)),
    };
    LocParam::encode(location, old.size.unsigned_abs(), old.size < 0, 0).ok()
}
