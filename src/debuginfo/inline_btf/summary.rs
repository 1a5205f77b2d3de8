//! Figures about a kernel's inlining for people who trace it.

use super::Extraction;
use super::location::Missing;
use super::merge::{Availability, Entry};
use super::resolve::Outcome;
use super::unit::{Owner, Scan, Skip};
use serde::Serialize;
use std::collections::BTreeMap;

/// A number with the word for what it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The stable word.
    pub what: &'static str,
    /// The same for people.
    pub title: &'static str,
    /// How many.
    pub count: u64,
}

/// Returns what share a part is of a whole. No part of nothing is a share.
#[must_use]
pub fn share(part: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| part as f64 / of as f64)
}

/// Returns the same in words: `68.2 %`.
#[must_use]
pub fn percent(part: u64, of: u64) -> Option<String> {
    share(part, of).map(|share| format!("{:.1} %", share * 100.0))
}

/// The sites of a file.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// DW_TAG_inlined_subroutine in the file.
    pub inlined_subroutines: u64,
    /// Sites.
    pub sites: u64,
    /// The others, by reason; those that did not occur are left out.
    pub skipped: Vec<Count>,
    /// Whether every one is a site or skipped.
    pub adds_up: bool,
    /// Functions that were inlined.
    pub functions: u64,
    /// Those with a copy out of line.
    pub functions_with_copy: u64,
    /// Sites with every parameter (those without any included).
    pub all: u64,
    /// Sites with some.
    pub partial: u64,
    /// Those of them that lack exactly one.
    pub lack_one: u64,
    /// Sites with none of at least one.
    pub none: u64,
    /// Parameters of sites.
    pub params: u64,
    /// Those available, which is LOC_PARAM before deduplication.
    pub params_available: u64,
    /// LOC_PARAM
    pub loc_params: u64,
    /// LOC_PROTO before deduplication: one a site.
    pub loc_protos_before: u64,
    /// LOC_PROTO
    pub loc_protos: u64,
    /// Parameters that are not available, by reason; those that did not occur are left out.
    pub missing: Vec<Count>,
    /// Parameters of sites that no parameter of their function corresponds to.
    pub strangers: u64,
    /// Sites of more than one range.
    pub fragmented: u64,
    /// Sites whose ranges lie among those of another in the same function or site.
    pub interleaved: u64,
    /// Sites whose entry_pc is not where the first range begins.
    pub entry_differs: u64,
    /// Sites in code that is thrown away after boot.
    pub init: u64,
    /// Sites where an entry_value is all there is for a parameter.
    pub entry_value_sites: u64,
    /// Split-off parts of functions, inlined into their function's own copy: no calls of their own.
    pub own_copy: u64,
    /// Functions with a copy whose sites are all such parts: a probe on the symbol misses nothing.
    pub functions_within_copy: u64,
    /// Sites by section.
    pub sections: Vec<(String, u64)>,
    /// Unknown types of parameters.
    pub unknown_types: u64,
    /// Units that could not be read to their end.
    pub damaged_units: u64,
}

/// The sites of one function.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FunctionFigures {
    /// Its name.
    pub name: String,
    /// Parameters, `...` not counted.
    pub params: u64,
    /// Whether there is a copy out of line that a probe on the symbol meets.
    pub has_copy: bool,
    /// Whether the base BTF has its FUNC.
    pub known: bool,
    /// Sites.
    pub sites: u64,
    /// With every parameter.
    pub all: u64,
    /// With some.
    pub partial: u64,
    /// With none of at least one.
    pub none: u64,
    /// Of more than one range.
    pub fragmented: u64,
    /// Whose ranges lie among a sibling's.
    pub interleaved: u64,
    /// Whose entry_pc is not where the first range begins.
    pub entry_differs: u64,
    /// In code that is thrown away after boot.
    pub init: u64,
    /// Where an entry_value is all there is for a parameter.
    pub entry_value: u64,
    /// Split-off parts inlined into the function's own copy, which are no calls.
    pub own_copy: u64,
}

/// A remarkable property of a site.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Traits {
    /// It has more than one range.
    pub fragmented: bool,
    /// Its ranges lie among a sibling's.
    pub interleaved: bool,
    /// Its entry_pc is not where its first range begins.
    pub entry_differs: bool,
    /// It is in code that is thrown away after boot.
    pub init: bool,
    /// An entry_value is all there is for a parameter.
    pub entry_value: bool,
    /// It is a split-off part of its function, inlined into the function's own copy: no call of its own.
    pub own_copy: bool,
}

/// For each unit, which of its sites interleave with a sibling.
#[derive(Debug, Default)]
pub struct Interleaving(Vec<Vec<bool>>);

impl Interleaving {
    /// Of all units.
    #[must_use]
    pub fn of(scans: &[Scan<'_>]) -> Self {
        Self(scans.iter().map(of_unit).collect())
    }

    fn has(&self, unit: u32, site: u32) -> bool {
        self.0.get(unit as usize).and_then(|unit| unit.get(site as usize)).copied().unwrap_or(false)
    }
}

// Among siblings by address, one that begins before the furthest end so far lies among
// the ranges of the one that reaches there.
fn of_unit(scan: &Scan<'_>) -> Vec<bool> {
    let mut marked = vec![false; scan.sites.len()];
    let rank = |owner: Owner| match owner {
        Owner::None => (0, 0),
        Owner::Function(index) => (1, index),
        Owner::Site(index) => (2, index),
    };
    let mut order: Vec<(usize, &super::unit::Site)> =
        scan.sites.iter().enumerate().filter(|(_, site)| site.extent.ranges > 0).collect();
    order.sort_by_key(|(_, site)| (rank(site.owner), site.extent.low, site.extent.high));
    for siblings in order.chunk_by(|a, b| a.1.owner == b.1.owner) {
        let mut furthest: Option<(usize, super::unit::Extent)> = None;
        for (index, site) in siblings {
            // Two of one range each have no gap that the other could be in.
            let meets = |other: &super::unit::Extent| {
                site.extent.low < other.high && (site.extent.ranges > 1 || other.ranges > 1)
            };
            if let Some((other, _)) = furthest.filter(|(_, other)| meets(other)) {
                for index in [*index, other] {
                    if let Some(slot) = marked.get_mut(index) {
                        *slot = true;
                    }
                }
            }
            if furthest.is_none_or(|(_, other)| site.extent.high > other.high) {
                furthest = Some((*index, site.extent));
            }
        }
    }
    marked
}

impl Extraction<'_> {
    /// A remarkable property of a site.
    #[must_use]
    pub fn traits(&self, entry: &Entry, interleaving: &Interleaving) -> Traits {
        let Some(site) = self.raw(entry) else { return Traits::default() };
        let place = self.merged.places.all.get(entry.section as usize);
        let index = self.resolved(entry).map_or(0, |resolved| resolved.site);
        Traits {
            fragmented: site.extent.ranges > 1,
            interleaved: interleaving.has(entry.unit, index),
            entry_differs: site.has_entry && site.extent.ranges > 0 && site.pc != site.extent.first,
            init: place.is_some_and(|place| place.name.starts_with(".init")),
            entry_value: self.outcomes(entry).contains(&Outcome::Missing(Missing::EntryValue)),
            own_copy: self.is_in_own_copy(entry),
        }
    }

    /// Returns the figures of the whole file and of each function, the most inlined first.
    #[must_use]
    pub fn summary(&self) -> (Summary, Vec<FunctionFigures>) {
        let merged = &self.merged;
        let interleaving = Interleaving::of(&self.scans);
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        let mut functions: Vec<FunctionFigures> = merged
            .called
            .iter()
            .map(|called| FunctionFigures {
                name: text(called.name),
                params: called.params.len() as u64,
                has_copy: called.copies > 0,
                known: called.known.is_some(),
                ..FunctionFigures::default()
            })
            .collect();
        let mut found = self.totals();
        let mut sections: BTreeMap<u32, u64> = BTreeMap::new();
        for entry in &merged.entries {
            let of = self.traits(entry, &interleaving);
            *sections.entry(entry.section).or_default() += 1;
            found.fragmented += u64::from(of.fragmented);
            found.interleaved += u64::from(of.interleaved);
            found.entry_differs += u64::from(of.entry_differs);
            found.init += u64::from(of.init);
            found.entry_value_sites += u64::from(of.entry_value);
            found.own_copy += u64::from(of.own_copy);
            if let Some(function) = functions.get_mut(entry.called as usize) {
                function.add(self.outcomes(entry), of);
            }
        }
        let place =
            |index: u32| merged.places.all.get(index as usize).map_or(String::new(), |place| place.name.clone());
        found.sections = sections.into_iter().map(|(index, count)| (place(index), count)).collect();
        functions.retain(|function| function.sites > 0);
        functions.sort_by(|a, b| b.sites.cmp(&a.sites).then_with(|| a.name.cmp(&b.name)));
        found.functions = functions.len() as u64;
        found.functions_within_copy =
            functions.iter().filter(|function| function.has_copy && function.own_copy == function.sites).count() as u64;
        found.functions_with_copy = functions.iter().filter(|function| function.has_copy).count() as u64;
        (found, functions)
    }

    // Figures that do not depend on single sites; the other fields are 0.
    fn totals(&self) -> Summary {
        let merged = &self.merged;
        let Availability { all, partial, lack_one, none } = merged.availability;
        let skipped = Skip::ALL.into_iter().map(|reason| Count {
            what: reason.word(),
            title: reason.title(),
            count: merged.skipped.of(reason),
        });
        let missing = Missing::ALL.into_iter().map(|reason| Count {
            what: reason.word(),
            title: reason.title(),
            count: merged.histogram.of(reason),
        });
        let mut missing: Vec<Count> = missing.filter(|count| count.count > 0).collect();
        missing.sort_by_key(|count| std::cmp::Reverse(count.count));
        Summary {
            inlined_subroutines: merged.seen,
            sites: merged.entries.len() as u64,
            skipped: skipped.filter(|count| count.count > 0).collect(),
            adds_up: merged.adds_up(),
            functions: merged.called.len() as u64,
            functions_with_copy: merged.called.iter().filter(|called| called.copies > 0).count() as u64,
            all,
            partial,
            lack_one,
            none,
            params: merged.histogram.total(),
            params_available: merged.histogram.available,
            loc_params: merged.locations.len() as u64,
            loc_protos_before: merged.entries.len() as u64,
            loc_protos: merged.protos.len() as u64,
            missing,
            strangers: merged.strangers,
            unknown_types: merged.unknown_types,
            damaged_units: self.damage.len() as u64,
            ..Summary::default()
        }
    }
}

impl Summary {
    /// Returns the share of sites with every parameter; `None` without sites.
    #[must_use]
    pub fn share_complete(&self) -> Option<f64> {
        share(self.all, self.sites)
    }
}

impl FunctionFigures {
    fn add(&mut self, outcomes: &[Outcome], of: Traits) {
        let have = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::At(_))).count();
        self.sites += 1;
        match (have, outcomes.len()) {
            (have, all) if have == all => self.all += 1,
            (0, _) => self.none += 1,
            _ => self.partial += 1,
        }
        self.fragmented += u64::from(of.fragmented);
        self.interleaved += u64::from(of.interleaved);
        self.entry_differs += u64::from(of.entry_differs);
        self.init += u64::from(of.init);
        self.entry_value += u64::from(of.entry_value);
        self.own_copy += u64::from(of.own_copy);
    }
}
