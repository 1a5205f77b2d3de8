//! Merges the sites of all units: functions are distinguished by name and prototype,
//! locations and prototypes of locations each once, sites in sections.

use super::base_types::BaseTypes;
use super::location::{LocParam, Missing};
use super::resolve::{Copy, FunctionRef, Functions, Outcome, UnitSites};
use super::types::{Extra, TypeRef};
use super::unit::{Scan, Skip, Skipped};
use crate::debuginfo::btf::Kind;
use crate::debuginfo::elf::Elf;
use indexmap::{IndexMap, IndexSet};
use std::collections::{HashMap, HashSet};

/// A section that holds sites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `.text`
    pub name: String,
    /// Where it begins.
    pub address: u64,
    /// Where it ends.
    pub end: u64,
}

/// The allocated sections of a file, by address.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// By address.
    pub all: Vec<Place>,
    /// The lowest allocated address.
    pub base: u64,
}

impl Places {
    /// Of a file. Where sections overlap, as per-CPU data at address 0 may, code wins.
    #[must_use]
    pub fn of(elf: &Elf<'_>) -> Self {
        let allocated = || elf.sections().iter().filter(|section| section.is_allocated());
        let place = |section: &crate::debuginfo::elf::Section| Place {
            name: section.name.clone(),
            address: section.address,
            end: section.address.saturating_add(section.size),
        };
        let mut all: Vec<Place> =
            allocated().filter(|section| section.is_code() && section.size > 0).map(place).collect();
        all.sort_by_key(|place| place.address);
        Self { all, base: allocated().map(|section| section.address).min().unwrap_or(0) }
    }

    /// Returns which section an address is in.
    #[must_use]
    pub fn find(&self, address: u64) -> Option<u32> {
        let index = self.all.partition_point(|place| place.address <= address).checked_sub(1)?;
        let place = self.all.get(index)?;
        let fits = address < place.end && u32::try_from(address - place.address).is_ok();
        fits.then_some(index as u32)
    }
}

/// A function that was inlined somewhere.
#[derive(Debug, Clone)]
pub struct Called<'d> {
    /// Its name.
    pub name: &'d [u8],
    /// Its return type.
    pub returns: TypeRef,
    /// Its parameters.
    pub params: Vec<(&'d [u8], TypeRef)>,
    /// It ends in `...`.
    pub variadic: bool,
    /// It is seen from other units.
    pub external: bool,
    /// The base's FUNC of this name and prototype.
    pub known: Option<u32>,
    /// Its copies out of line.
    pub copies: u32,
    /// Where the first of them begins; 0 where there is none.
    pub address: u64,
}

/// A site, ready to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Index into [`Merged::called`].
    pub called: u32,
    /// Its address.
    pub pc: u64,
    /// Index into [`Merged::protos`].
    pub proto: u32,
    /// Index into [`Places::all`].
    pub section: u32,
    /// Index of the unit.
    pub unit: u32,
    /// Index of the resolved site in the unit.
    pub site: u32,
}

/// Sites by how many of their parameters are available.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Availability {
    /// Every one, or there are none.
    pub all: u64,
    /// Some.
    pub partial: u64,
    /// Those of `partial` that lack exactly one.
    pub lack_one: u64,
    /// None of at least one.
    pub none: u64,
}

impl Availability {
    /// Counts a site of `have` available parameters out of `of`.
    pub fn add(&mut self, have: usize, of: usize) {
        if have == of {
            self.all += 1;
        } else if have == 0 {
            self.none += 1;
        } else {
            self.partial += 1;
            self.lack_one += u64::from(of - have == 1);
        }
    }

    /// Returns all of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.all + self.partial + self.none
    }
}

/// How often each reason was met, and how many parameters there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Parameters whose value is available.
    pub available: u64,
    missing: [u64; Missing::ALL.len()],
}

impl Histogram {
    /// Counts a parameter.
    pub fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::At(_) => self.available += 1,
            Outcome::Missing(reason) => {
                if let Some(slot) = self.missing.get_mut(reason as usize) {
                    *slot += 1;
                }
            }
        }
    }

    /// Returns how many were missing for this reason.
    #[must_use]
    pub fn of(&self, reason: Missing) -> u64 {
        self.missing.get(reason as usize).copied().unwrap_or(0)
    }

    /// Returns all parameters.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.available + self.missing.iter().sum::<u64>()
    }
}

/// Everything that is known about a file's inlining.
#[derive(Debug, Default)]
pub struct Merged<'d> {
    /// DW_TAG_inlined_subroutine in the file.
    pub seen: u64,
    /// Those that are no sites.
    pub skipped: Skipped,
    /// The sites, by function, address and locations; no two of them equal.
    pub entries: Vec<Entry>,
    /// The functions.
    pub called: Vec<Called<'d>>,
    /// Copies of functions out of line, each with its index into `called`.
    pub copies: Vec<(u32, Copy)>,
    /// The locations.
    pub locations: IndexSet<LocParam>,
    /// A number for each parameter: 0, or 1 + the index of its location.
    pub protos: IndexSet<Box<[u32]>>,
    /// Types that the base does not have.
    pub extras: IndexSet<Extra<'d>>,
    /// The sections.
    pub places: Places,
    /// Sites by what is available.
    pub availability: Availability,
    /// Parameters by what became of them.
    pub histogram: Histogram,
    /// Parameters of sites that no parameter of their function corresponds to.
    pub strangers: u64,
    /// Parameters of functions whose type is unknown.
    pub unknown_types: u64,
}

impl<'d> Merged<'d> {
    /// Merges the units in their order. What begins at an address of `parts` is no copy of a function.
    pub fn new(
        scans: &[Scan<'d>],
        sites: &[UnitSites<'d>],
        known: &BaseTypes<'_>,
        places: Places,
        parts: &HashSet<u64>,
    ) -> Self {
        let mut merged = Self { places, ..Self::default() };
        for (scan, unit) in scans.iter().zip(sites) {
            merged.seen += scan.seen;
            merged.skipped.merge(&scan.skipped);
            merged.skipped.merge(&unit.skipped);
            merged.strangers += unit.strangers;
        }
        let numbers = merged.call(scans, sites, known);
        let mut proto = Vec::new();
        for (index, unit) in sites.iter().enumerate() {
            merged.add(index as u32, scans, unit, &numbers, &mut proto);
        }
        for unit in sites {
            for copy in unit.copies.iter().filter(|copy| !parts.contains(&copy.address)) {
                let Some(number) = numbers.get(&copy.abstracted) else { continue };
                if let Some(called) = merged.called.get_mut(*number as usize) {
                    called.copies += 1;
                    called.address = if called.address == 0 { copy.address } else { called.address };
                    merged.copies.push((*number, copy.clone()));
                }
            }
        }
        merged.deduplicate(sites);
        merged
    }

    // Functions of different units are one where name and prototype are the same.
    fn call(
        &mut self,
        scans: &[Scan<'d>],
        sites: &[UnitSites<'d>],
        known: &BaseTypes<'_>,
    ) -> HashMap<FunctionRef, u32> {
        let mut used: Vec<_> = sites.iter().flat_map(|unit| unit.sites.iter().map(|site| site.callee)).collect();
        used.sort_unstable_by_key(|callee| callee.abstracted);
        used.dedup_by_key(|callee| callee.abstracted);
        let functions = Functions { scans };
        let mut numbers = HashMap::with_capacity(used.len());
        let mut found: IndexMap<(&'d [u8], Vec<TypeRef>, bool), Called<'d>> = IndexMap::new();
        for of_unit in used.chunk_by(|a, b| a.abstracted.unit == b.abstracted.unit) {
            let Some(first) = of_unit.first() else { continue };
            let Some(scan) = scans.get(first.abstracted.unit as usize) else { continue };
            let wanted = of_unit.iter().filter_map(|callee| functions.get(callee.abstracted)).flat_map(|function| {
                let params = scan.params_of(function).iter().map(|param| param.facts.id);
                params.chain(std::iter::once(function.returns))
            });
            let map = self.carry_over(&scan.extras, wanted);
            let global = |id: TypeRef| match id.index() {
                Some(index) => map.get(index).copied().flatten().unwrap_or(TypeRef::VOID),
                None => id,
            };
            for callee in of_unit {
                let Some(function) = functions.get(callee.abstracted) else { continue };
                let returns = global(function.returns);
                let mut params = Vec::new();
                for param in scan.params_of(function) {
                    let mut id = global(param.facts.id);
                    // A parameter cannot be void: that would read as `...`.
                    if id == TypeRef::VOID {
                        self.unknown_types += 1;
                        id = self.untyped(known);
                    }
                    params.push((param.name, id));
                }
                let shape: Vec<TypeRef> = std::iter::once(returns).chain(params.iter().map(|(_, id)| *id)).collect();
                let entry = found.entry((callee.name, shape, function.variadic));
                let number = entry.index() as u32;
                let called = entry.or_insert_with(|| {
                    let ids: Vec<Option<u32>> = params.iter().map(|(_, id)| id.base()).collect();
                    let known = known.function(callee.name, returns.base(), &ids, function.variadic);
                    let (variadic, external) = (function.variadic, function.external);
                    let name = callee.name;
                    Called { name, returns, params, variadic, external, known, copies: 0, address: 0 }
                });
                called.external |= function.external;
                numbers.insert(callee.abstracted, number);
            }
        }
        self.called = found.into_values().collect();
        numbers
    }

    fn untyped(&mut self, known: &BaseTypes<'_>) -> TypeRef {
        if let Some(id) = known.wrapper(Kind::Ptr, 0) {
            return TypeRef(id);
        }
        let (index, _) = self.extras.insert_full(Extra::Wrapper(Kind::Ptr, TypeRef::VOID));
        TypeRef::extra(index).unwrap_or(TypeRef::VOID)
    }

    // Takes a unit's extra types that are wanted, and those that they refer to. The map is
    // from the unit's index to the number among all.
    fn carry_over(&mut self, extras: &[Extra<'d>], wanted: impl Iterator<Item = TypeRef>) -> Vec<Option<TypeRef>> {
        let mut needed = vec![false; extras.len()];
        let mark = |id: TypeRef, needed: &mut Vec<bool>| {
            if let Some(slot) = id.index().and_then(|index| needed.get_mut(index)) {
                *slot = true;
            }
        };
        wanted.for_each(|id| mark(id, &mut needed));
        // A type comes after those that it refers to.
        for (index, extra) in extras.iter().enumerate().rev() {
            if needed.get(index).copied().unwrap_or(false) {
                extra.references().for_each(|id| mark(id, &mut needed));
            }
        }
        let mut map: Vec<Option<TypeRef>> = vec![None; extras.len()];
        for (index, extra) in extras.iter().enumerate() {
            if needed.get(index).copied().unwrap_or(false) {
                let moved = extra.moved(|id| match id.index() {
                    Some(index) => map.get(index).copied().flatten().unwrap_or(TypeRef::VOID),
                    None => id,
                });
                let (number, _) = self.extras.insert_full(moved);
                if let Some(slot) = map.get_mut(index) {
                    *slot = TypeRef::extra(number);
                }
            }
        }
        map
    }

    fn add(
        &mut self,
        unit: u32,
        scans: &[Scan<'d>],
        sites: &UnitSites<'d>,
        numbers: &HashMap<FunctionRef, u32>,
        proto: &mut Vec<u32>,
    ) {
        let Some(scan) = scans.get(unit as usize) else { return };
        let locations: Vec<u32> =
            sites.locations.iter().map(|location| self.locations.insert_full(*location).0 as u32 + 1).collect();
        for (index, site) in sites.sites.iter().enumerate() {
            let Some(raw) = scan.sites.get(site.site as usize) else { continue };
            let Some(section) = self.places.find(raw.pc) else {
                self.skipped.add(Skip::OutsideSections);
                continue;
            };
            let Some(called) = numbers.get(&site.callee.abstracted).copied() else { continue };
            proto.clear();
            proto.extend(sites.outcomes(site).iter().map(|outcome| match outcome {
                Outcome::At(number) => locations.get(*number as usize).copied().unwrap_or(0),
                Outcome::Missing(_) => 0,
            }));
            // For `...`, so that the counts of both prototypes agree.
            if self.called.get(called as usize).is_some_and(|called| called.variadic) {
                proto.push(0);
            }
            let number = match self.protos.get_index_of(proto.as_slice()) {
                Some(number) => number,
                None => self.protos.insert_full(proto.as_slice().into()).0,
            };
            let (site, proto) = (index as u32, number as u32);
            self.entries.push(Entry { called, pc: raw.pc, proto, section, unit, site });
        }
    }

    // The first of equal ones stays.
    fn deduplicate(&mut self, sites: &[UnitSites<'d>]) {
        self.entries.sort_unstable();
        let before = self.entries.len();
        self.entries.dedup_by_key(|entry| (entry.called, entry.pc, entry.proto, entry.section));
        self.skipped.add_many(Skip::Duplicate, (before - self.entries.len()) as u64);
        for entry in &self.entries {
            let unit = sites.get(entry.unit as usize);
            let Some((unit, site)) = unit.and_then(|unit| Some((unit, unit.sites.get(entry.site as usize)?))) else {
                continue;
            };
            let outcomes = unit.outcomes(site);
            let have = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::At(_))).count();
            self.availability.add(have, outcomes.len());
            outcomes.iter().for_each(|outcome| self.histogram.add(*outcome));
        }
    }

    /// Returns whether every DW_TAG_inlined_subroutine is a site or skipped for a reason.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        self.seen == self.entries.len() as u64 + self.skipped.total()
    }

    /// Returns the locations of a site's parameters, nothing for one that is not available.
    pub fn locations_of(&self, entry: &Entry) -> impl Iterator<Item = Option<LocParam>> + '_ {
        let proto = self.protos.get_index(entry.proto as usize).map(|proto| &**proto).unwrap_or_default();
        proto.iter().map(|number| self.locations.get_index((*number as usize).checked_sub(1)?).copied())
    }
}
