//! Resolves a unit's sites to functions and locations, once every
//! unit has been scanned: an origin may be in another unit.

use super::dwarf::Debug;
use super::expression::{Want, translate};
use super::location::{LocParam, Location, Missing};
use super::unit::{Die, Function, Param, Place, Scan, Skip, Skipped};
use crate::debuginfo::btf::is_identifier;
use gimli::{EndianSlice, Endianity};
use std::collections::HashMap;

/// A function of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FunctionRef {
    /// Index of the unit.
    pub unit: u32,
    /// Index of the function in it.
    pub function: u32,
}

/// The function that a site is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Callee<'d> {
    /// Its name, never empty.
    pub name: &'d [u8],
    /// The entry that has its parameters.
    pub abstracted: FunctionRef,
}

/// Availability of a parameter's value: a location of the unit's, or why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Index of the location.
    At(u32),
    /// Why not.
    Missing(Missing),
}

/// A site with its function.
#[derive(Debug, Clone, Copy)]
pub struct Resolved<'d> {
    /// Index of the site in its unit.
    pub site: u32,
    /// The function.
    pub callee: Callee<'d>,
    first: u32,
    count: u32,
}

/// A unit's sites, resolved.
#[derive(Debug, Default)]
pub struct UnitSites<'d> {
    /// By offset.
    pub sites: Vec<Resolved<'d>>,
    outcomes: Vec<Outcome>,
    /// Each once.
    pub locations: Vec<LocParam>,
    /// Sites that lead to no function.
    pub skipped: Skipped,
    /// Parameters of sites that no parameter of the function corresponds to.
    pub strangers: u64,
    /// Functions with code of their own that are the out-of-line copy of an abstract one.
    pub copies: Vec<Copy>,
}

/// A function with code of its own.
#[derive(Debug, Clone)]
pub struct Copy {
    /// The entry that has its parameters.
    pub abstracted: FunctionRef,
    /// The entry that has its code.
    pub concrete: FunctionRef,
    /// Where that begins; 0 where it is not known.
    pub address: u64,
    /// The locations of its parameters at its entry; empty where they were not asked for.
    pub params: Vec<Result<LocParam, Missing>>,
}

impl<'d> UnitSites<'d> {
    /// Returns where a site's parameters are, in the order of the function's.
    #[must_use]
    pub fn outcomes(&self, site: &Resolved<'d>) -> &[Outcome] {
        let start = site.first as usize;
        self.outcomes.get(start..start.saturating_add(site.count as usize)).unwrap_or_default()
    }
}

/// Entries that may refer to each other one after the other before it is a circle.
const LONGEST_CHAIN: usize = 256;

/// The functions of all units.
#[derive(Debug, Clone, Copy)]
pub struct Functions<'w, 'd> {
    /// By offset.
    pub scans: &'w [Scan<'d>],
}

impl<'w, 'd> Functions<'w, 'd> {
    /// Returns the function entry at an offset of `.debug_info`; `near` is the unit tried first.
    #[must_use]
    pub fn find(self, die: Die, near: u32) -> Option<FunctionRef> {
        let at = u64::from(die);
        let within = |scan: &Scan<'_>| scan.span.0 <= at && at < scan.span.1;
        let unit = if self.scans.get(near as usize).is_some_and(within) {
            near as usize
        } else {
            self.scans.partition_point(|scan| scan.span.0 <= at).checked_sub(1)?
        };
        let function = self.scans.get(unit).filter(|scan| within(scan))?.function_at(die)?;
        Some(FunctionRef { unit: unit as u32, function })
    }

    /// Returns the function of a reference.
    #[must_use]
    pub fn get(self, at: FunctionRef) -> Option<&'w Function<'d>> {
        self.scans.get(at.unit as usize)?.functions.get(at.function as usize)
    }

    /// Returns the parameters of a function.
    #[must_use]
    pub fn params(self, at: FunctionRef) -> &'w [Param<'d>] {
        let scan = self.scans.get(at.unit as usize);
        scan.zip(self.get(at)).map(|(scan, function)| scan.params_of(function)).unwrap_or_default()
    }

    /// Follows an origin to what it ends in; all on the way, the end last.
    pub fn follow(self, origin: Die, near: u32) -> Result<Vec<FunctionRef>, Skip> {
        let mut chain = Vec::with_capacity(2);
        let (mut at, mut near) = (origin, near);
        loop {
            let found = self.find(at, near).ok_or(Skip::OriginMissing)?;
            let function = self.get(found).ok_or(Skip::OriginMissing)?;
            if chain.len() == LONGEST_CHAIN {
                return Err(Skip::OriginLoop);
            }
            chain.push(found);
            if function.origin == 0 {
                return Ok(chain);
            }
            (at, near) = (function.origin, found.unit);
        }
    }

    /// Returns the callee at the end of a chain.
    pub fn callee(self, chain: &[FunctionRef]) -> Result<Callee<'d>, Skip> {
        // Through a specification there is a name, and no parameter that refers to it.
        let specified = |at: &FunctionRef| self.get(*at).is_some_and(|function| function.specified);
        let end = chain.iter().position(specified).unwrap_or(chain.len().saturating_sub(1));
        let abstracted = *chain.get(end).ok_or(Skip::OriginMissing)?;
        let mut names = chain.iter().rev().filter_map(|at| self.get(*at)).map(|function| function.name);
        let name = names.find(|name| !name.is_empty()).ok_or(Skip::Unnamed)?;
        if is_identifier(name) {
            return Ok(Callee { name, abstracted });
        }
        // Generics, operators, lambdas: the symbol's name often is an identifier.
        let mut symbols = chain.iter().filter_map(|at| self.get(*at)).map(|function| function.linkage_name);
        let name = symbols.find(|name| is_identifier(name)).ok_or(Skip::NotIdentifier)?;
        Ok(Callee { name, abstracted })
    }

    /// Returns the name of a function entry, its own or its origin's.
    #[must_use]
    pub fn name(self, at: FunctionRef) -> &'d [u8] {
        let Some(function) = self.get(at) else { return &[] };
        if !function.name.is_empty() || function.origin == 0 {
            return function.name;
        }
        let chain = self.follow(function.origin, at.unit);
        chain.and_then(|chain| self.callee(&chain)).map_or(&[], |callee| callee.name)
    }
}

/// All that was scanned.
#[derive(Debug)]
pub struct World<'w, 'd, E: Endianity> {
    /// For indexed addresses.
    pub debug: &'w Debug<'d, E>,
    /// The units.
    pub functions: Functions<'w, 'd>,
    /// The lowest allocated address.
    pub base: u64,
    /// The byte order.
    pub endian: E,
}

impl<'d, E: Endianity + Send + Sync> World<'_, 'd, E> {
    /// Resolves the sites of one unit.
    #[must_use]
    pub fn resolve(&self, unit: u32) -> UnitSites<'d> {
        let mut found = UnitSites::default();
        let Some(scan) = self.functions.scans.get(unit as usize) else { return found };
        let mut callees: HashMap<Die, Result<(Callee<'d>, Vec<FunctionRef>), Skip>> = HashMap::new();
        let mut numbers: HashMap<LocParam, u32> = HashMap::new();
        found.sites.reserve_exact(scan.sites.len());
        for (index, site) in scan.sites.iter().enumerate() {
            let followed = callees.entry(site.origin).or_insert_with(|| {
                let chain = self.functions.follow(site.origin, unit)?;
                Ok((self.functions.callee(&chain)?, chain))
            });
            let (callee, chain) = match followed {
                Ok((callee, chain)) => (*callee, &*chain),
                Err(reason) => {
                    found.skipped.add(*reason);
                    continue;
                }
            };
            let params = self.functions.params(callee.abstracted);
            let first = found.outcomes.len();
            found.outcomes.resize(first + params.len(), Outcome::Missing(Missing::NotMentioned));
            for given in scan.params_at(site) {
                let Some(position) = self.position(given.origin, callee.abstracted, chain) else {
                    found.strangers += 1;
                    continue;
                };
                let Some(param) = params.get(position) else { continue };
                let located = self.locate(scan, param, &given.place);
                let outcome = match located {
                    Ok(location) => {
                        let next = numbers.len() as u32;
                        let number = *numbers.entry(location).or_insert(next);
                        if number == next {
                            found.locations.push(location);
                        }
                        Outcome::At(number)
                    }
                    Err(missing) => Outcome::Missing(missing),
                };
                // Where a site mentions one twice, what is available wins.
                if let Some(slot) = found.outcomes.get_mut(first + position)
                    && !matches!(slot, Outcome::At(_))
                {
                    *slot = outcome;
                }
            }
            let (first, count) = (first as u32, params.len() as u32);
            found.sites.push(Resolved { site: index as u32, callee, first, count });
        }
        found.outcomes.shrink_to_fit();
        found.copies = self.copies(scan, unit);
        found
    }

    // Which parameter of the callee an entry stands for. The entry may refer to one of
    // any function on the way, which refers on.
    fn position(&self, origin: Die, callee: FunctionRef, chain: &[FunctionRef]) -> Option<usize> {
        let mut wanted = origin;
        let own = |wanted: Die| self.functions.params(callee).iter().position(|param| param.die == wanted);
        if let Some(position) = own(wanted) {
            return Some(position);
        }
        for at in chain {
            if let Some(param) = self.functions.params(*at).iter().find(|param| param.die == wanted) {
                wanted = param.origin;
                if let Some(position) = own(wanted) {
                    return Some(position);
                }
            }
        }
        None
    }

    fn locate(&self, scan: &Scan<'d>, param: &Param<'d>, place: &Place<'d>) -> Result<LocParam, Missing> {
        let want = Want { encoding: scan.encoding, size: param.facts.size };
        let location = match place {
            Place::Missing(missing) => return Err(*missing),
            Place::Value(value) => Location::Constant(*value),
            Place::Block(bytes) => Location::Constant(self.number(bytes).ok_or(Missing::Size)?),
            Place::Expression(bytes) => self.translate(scan, bytes, want)?,
            Place::Short(expression) => self.translate(scan, expression.bytes(), want)?,
        };
        LocParam::encode(location, param.facts.size, param.facts.signed, self.base)
    }

    fn translate(&self, scan: &Scan<'d>, bytes: &[u8], want: Want) -> Result<Location, Missing> {
        let address = |index| {
            let size = scan.encoding.address_size;
            self.debug.dwarf.debug_addr.get_address(size, scan.addr_base, index).ok()
        };
        translate(EndianSlice::new(bytes, self.endian), want, address)
    }

    fn number(&self, bytes: &[u8]) -> Option<u64> {
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        match bytes.len() {
            1..=8 if self.endian.is_big_endian() => Some(bytes.iter().fold(0, fold)),
            1..=8 => Some(bytes.iter().rev().fold(0, fold)),
            _ => None,
        }
    }

    fn copies(&self, scan: &Scan<'d>, unit: u32) -> Vec<Copy> {
        let concrete = scan.functions.iter().enumerate().filter(|(_, function)| function.has_code);
        concrete
            .filter_map(|(index, function)| {
                let concrete = FunctionRef { unit, function: index as u32 };
                let (abstracted, chain) = match function.origin {
                    0 => (concrete, Vec::new()),
                    origin => {
                        let chain = self.functions.follow(origin, unit).ok()?;
                        (self.functions.callee(&chain).ok()?.abstracted, chain)
                    }
                };
                let params = self.at_entry(scan, abstracted, concrete, &chain);
                Some(Copy { abstracted, concrete, address: function.address, params })
            })
            .collect()
    }

    fn at_entry(
        &self,
        scan: &Scan<'d>,
        abstracted: FunctionRef,
        concrete: FunctionRef,
        chain: &[FunctionRef],
    ) -> Vec<Result<LocParam, Missing>> {
        if scan.entry_places.is_empty() {
            return Vec::new();
        }
        let params = self.functions.params(abstracted);
        let mut found = vec![Err(Missing::NotMentioned); params.len()];
        for own in self.functions.params(concrete) {
            let origin = if own.origin == 0 { own.die } else { own.origin };
            let position = self.position(origin, abstracted, chain);
            let place = scan.entry_places.get(&own.die);
            if let Some((position, place)) = position.zip(place)
                && let Some((slot, param)) = found.get_mut(position).zip(params.get(position))
            {
                *slot = self.locate(scan, param, place);
            }
        }
        found
    }
}
