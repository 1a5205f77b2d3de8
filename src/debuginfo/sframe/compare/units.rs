//! The compilation unit of an address. It distinguishes a function whose entry is missing from one whose object
//! never had SFrame data. `.debug_info` has the ranges of every unit; `.debug_aranges` is not written by clang, and
//! serves where the former cannot be read.

use crate::debuginfo::elf::Elf;
use gimli::{DebugAranges, Dwarf, EndianSlice, RunTimeEndian};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// The most ranges that are kept; a kernel has some 100,000.
const MOST_RANGES: usize = 1 << 22;

/// Ranges of addresses and the units they belong to, by address.
#[derive(Debug, Default)]
pub(super) struct Units(Vec<(u64, u64, u32)>);

impl Units {
    /// Reads as much of a file as can be read.
    pub(super) fn of(elf: &Elf<'_>) -> Self {
        let big = elf.endian() == object::Endianness::Big;
        let from_info = Self::from_info(elf, big);
        if !from_info.0.is_empty() {
            return from_info;
        }
        let aranges = elf.data_named(".debug_aranges").ok().flatten();
        aranges.map(|data| Self::from_aranges(&data.bytes, big)).unwrap_or_default()
    }

    fn from_info(elf: &Elf<'_>, big: bool) -> Self {
        let endian = if big { RunTimeEndian::Big } else { RunTimeEndian::Little };
        // A unit is only read with its line table, and its name with the strings.
        let load = |id: gimli::SectionId| {
            let data = elf.data_named(id.name()).ok().flatten();
            Ok::<Cow<'_, [u8]>, gimli::Error>(data.map(|data| data.bytes).unwrap_or_default())
        };
        let Ok(sections) = gimli::DwarfSections::load(load) else { return Self::default() };
        let dwarf: Dwarf<EndianSlice<'_, _>> = sections.borrow(|bytes| EndianSlice::new(bytes, endian));
        let mut ranges = Vec::new();
        let mut headers = dwarf.units();
        let mut number = 0;
        while let Ok(Some(header)) = headers.next() {
            if let Ok(unit) = dwarf.unit(header)
                && let Ok(mut found) = dwarf.unit_ranges(&unit)
            {
                // More ranges than bytes of the section: lists that are shared without end.
                while let Ok(Some(range)) = found.next() {
                    if ranges.len() >= MOST_RANGES {
                        break;
                    }
                    if range.begin < range.end {
                        ranges.push((range.begin, range.end, number));
                    }
                }
            }
            number += 1;
        }
        ranges.sort_unstable();
        Self(ranges)
    }

    /// Returns whether the unit of an address is known.
    pub(super) fn has(&self, address: u64) -> bool {
        self.unit(address).is_some()
    }

    fn from_aranges(data: &[u8], big: bool) -> Self {
        let endian = if big { RunTimeEndian::Big } else { RunTimeEndian::Little };
        let aranges: DebugAranges<EndianSlice<'_, _>> = EndianSlice::new(data, endian).into();
        let mut ranges = Vec::new();
        let mut headers = aranges.headers();
        let mut unit = 0;
        while let Ok(Some(header)) = headers.next() {
            let mut entries = header.entries();
            while let Ok(Some(entry)) = entries.next() {
                ranges.push((entry.address(), entry.address().saturating_add(entry.length()), unit));
            }
            unit += 1;
        }
        ranges.sort_unstable();
        Self(ranges)
    }

    fn unit(&self, address: u64) -> Option<u32> {
        let after = self.0.partition_point(|(start, ..)| *start <= address);
        let (_, end, unit) = self.0.get(after.checked_sub(1)?)?;
        (address < *end).then_some(*unit)
    }

    /// Of `lost`, those whose unit is known and has none of the functions at `known`.
    pub(super) fn bare(&self, lost: &[u64], known: impl Iterator<Item = u64>) -> BTreeSet<u64> {
        let described: BTreeSet<u32> = known.filter_map(|start| self.unit(start)).collect();
        let is_bare = |start: &&u64| self.unit(**start).is_some_and(|unit| !described.contains(&unit));
        lost.iter().filter(is_bare).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_lost_only_where_its_unit_has_others() {
        let units = Units(vec![(0x100, 0x200, 0), (0x200, 0x300, 1), (0x400, 0x500, 0)]);
        let bare = units.bare(&[0x110, 0x210, 0x3f0, 0x410], [0x100].into_iter());
        assert_eq!(bare, BTreeSet::from([0x210]), "0x3f0 is of no unit");
        assert!(!units.has(0x3f0) && units.has(0x210));
        assert!(Units::from_aranges(&[0xff; 64], false).0.is_empty());
    }
}
