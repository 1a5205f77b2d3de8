//! Which compilation unit an address is of, by `.debug_aranges`: what tells a
//! function that an assembler lost from one whose object never had SFrame data.

use gimli::{DebugAranges, EndianSlice, RunTimeEndian};
use std::collections::BTreeSet;

/// Ranges of addresses and the units they belong to, by address.
#[derive(Debug, Default)]
pub(super) struct Units(Vec<(u64, u64, u32)>);

impl Units {
    /// Reads as much as can be read.
    pub(super) fn read(data: &[u8], big: bool) -> Self {
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

    fn of(&self, address: u64) -> Option<u32> {
        let after = self.0.partition_point(|(start, ..)| *start <= address);
        let (_, end, unit) = self.0.get(after.checked_sub(1)?)?;
        (address < *end).then_some(*unit)
    }

    /// Of `lost`, those whose unit is known and has none of the functions at `known`.
    pub(super) fn bare(&self, lost: &[u64], known: impl Iterator<Item = u64>) -> BTreeSet<u64> {
        let described: BTreeSet<u32> = known.filter_map(|start| self.of(start)).collect();
        let is_bare = |start: &&u64| self.of(**start).is_some_and(|unit| !described.contains(&unit));
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
        assert_eq!(bare, BTreeSet::from([0x210]), "0x3f0 is of no unit, so nothing excuses it");
        assert!(Units::read(&[0xff; 64], false).0.is_empty());
    }
}
