//! Every site of one function, for people who want to put a probe there.

use super::Extraction;
use super::location::{LocParam, Location, Missing};
use super::merge::Entry;
use super::resolve::Outcome;
use super::summary::{Interleaving, Traits};

/// The functions of one name.
#[derive(Debug, Clone, Default)]
pub struct SitesOf {
    /// Static functions share names.
    pub functions: Vec<ListedFunction>,
}

/// A function with its sites.
#[derive(Debug, Clone, Default)]
pub struct ListedFunction {
    /// Its name.
    pub name: String,
    /// Its parameters' names.
    pub params: Vec<String>,
    /// It ends in `...`.
    pub variadic: bool,
    /// Where its first copy out of line is, if there is one. 0 where that is not known.
    pub copy: Option<u64>,
    /// By address.
    pub sites: Vec<ListedSite>,
}

/// A site.
#[derive(Debug, Clone)]
pub struct ListedSite {
    /// Its address.
    pub address: u64,
    /// Where it is in its section.
    pub section: (String, u64),
    /// The function that it was inlined into.
    pub caller: String,
    /// The function whose code it is in.
    pub function: String,
    /// Index of the unit, and of the file in its line table.
    pub file: (u32, u32),
    /// The line of the call; 0 if unknown.
    pub line: u32,
    /// How many ranges it has, the lowest address and the one after the highest.
    pub extent: (u32, u64, u64),
    /// Its remarkable properties.
    pub traits: Traits,
    /// Where each parameter is, with its size and whether it is signed.
    pub params: Vec<Result<(Location, LocParam), Missing>>,
}

impl SitesOf {
    /// Returns the files that the calls are in: unit, and number in its line table.
    #[must_use]
    pub fn files(&self) -> Vec<(u32, u32)> {
        let mut files: Vec<_> =
            self.functions.iter().flat_map(|function| &function.sites).map(|site| site.file).collect();
        files.sort_unstable();
        files.dedup();
        files
    }
}

impl Extraction<'_> {
    /// Returns every site of the functions of a name.
    #[must_use]
    pub fn sites_of(&self, name: &[u8]) -> SitesOf {
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        let interleaving = Interleaving::of(&self.scans);
        let wanted = self.merged.called.iter().enumerate().filter(|(_, called)| called.name == name);
        let functions = wanted.map(|(index, called)| ListedFunction {
            name: text(called.name),
            params: called.params.iter().map(|(name, _)| text(name)).collect(),
            variadic: called.variadic,
            copy: (called.copies > 0).then_some(called.address),
            // Entries are sorted by function and address.
            sites: self.sites_of_called(index as u32).map(|entry| self.list(entry, &interleaving)).collect(),
        });
        SitesOf { functions: functions.filter(|function| !function.sites.is_empty()).collect() }
    }

    pub(super) fn sites_of_called(&self, called: u32) -> impl Iterator<Item = &Entry> {
        let entries = &self.merged.entries;
        let start = entries.partition_point(|entry| entry.called < called);
        entries.iter().skip(start).take_while(move |entry| entry.called == called)
    }

    fn list(&self, entry: &Entry, interleaving: &Interleaving) -> ListedSite {
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        let caller = self.caller(entry);
        let place = self.merged.places.all.get(entry.section as usize);
        let raw = self.raw(entry);
        let base = self.merged.places.base;
        let located = self.outcomes(entry).iter().zip(self.merged.locations_of(entry));
        let params = located.map(|(outcome, location)| match (outcome, location) {
            (Outcome::Missing(missing), _) => Err(*missing),
            (_, Some(param)) => param.decode(base).map(|location| (location, param)).ok_or(Missing::Damaged),
            _ => Err(Missing::Damaged),
        });
        ListedSite {
            address: entry.pc,
            section: place.map_or_else(Default::default, |place| (place.name.clone(), entry.pc - place.address)),
            caller: text(caller.direct),
            function: text(caller.function),
            file: (entry.unit, raw.map_or(0, |site| site.file)),
            line: raw.map_or(0, |site| site.line),
            extent: raw.map_or((0, 0, 0), |site| (site.extent.ranges, site.extent.low, site.extent.high)),
            traits: self.traits(entry, interleaving),
            params: params.collect(),
        }
    }
}
