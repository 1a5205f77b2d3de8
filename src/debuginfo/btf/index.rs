//! Types by their names.

use super::{Btf, Kind, LONGEST_NAME};
use std::collections::HashMap;

/// Where a chain of equal names ends.
const NONE: u32 = u32::MAX;

/// The named types of one kind, of a file and its bases; names longer than any kernel's are left out.
#[derive(Debug)]
pub struct NameIndex<'a> {
    // By name: a place in `ids`, of the lowest id.
    first: HashMap<&'a [u8], u32>,
    ids: Vec<u32>,
    // For each place in `ids` the next of the same name.
    next: Vec<u32>,
}

/// FUNCs by name.
pub type FuncIndex<'a> = NameIndex<'a>;

impl<'a> NameIndex<'a> {
    /// Returns the FUNCs of a file and its bases.
    #[must_use]
    pub fn functions(btf: &Btf<'a>) -> Self {
        Self::new(btf, Kind::Func)
    }

    /// Returns the types of a kind, of a file and its bases.
    #[must_use]
    pub fn new(btf: &Btf<'a>, kind: Kind) -> Self {
        let named: Vec<(&'a [u8], u32)> = btf
            .all_types()
            .filter(|found| found.kind == kind && found.name_off != 0)
            .filter_map(|found| Some((btf.name(found.name_off).filter(|name| name.len() <= LONGEST_NAME)?, found.id)))
            .collect();
        let mut index = Self {
            first: HashMap::with_capacity(named.len()),
            ids: named.iter().map(|(_, id)| *id).collect(),
            next: vec![NONE; named.len()],
        };
        // From the back, so that each chain goes up.
        for (place, (name, _)) in named.iter().enumerate().rev() {
            let place_id = u32::try_from(place).expect("there are fewer types than ids");
            if let (Some(later), Some(next)) = (index.first.insert(name, place_id), index.next.get_mut(place)) {
                *next = later;
            }
        }
        index
    }

    /// Returns the lowest id of this name.
    #[must_use]
    pub fn first(&self, name: &[u8]) -> Option<u32> {
        self.ids(name).next()
    }

    /// Returns all ids of this name, rising. Static functions share names.
    pub fn ids(&self, name: &[u8]) -> impl Iterator<Item = u32> + '_ {
        let mut place = self.first.get(name).copied().unwrap_or(NONE);
        std::iter::from_fn(move || {
            let index = usize::try_from(place).ok()?;
            let id = self.ids.get(index).copied()?;
            place = self.next.get(index).copied().unwrap_or(NONE);
            Some(id)
        })
    }

    /// Returns how many types it knows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Returns whether it knows none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}
