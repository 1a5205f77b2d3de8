//! Inline BTF from DWARF: where functions were inlined, and where their
//! parameters are to be found there.
//!
//! ```text
//! unit      one pass over a unit's entries          parallel
//! resolve   origins, positions, locations           parallel, once all units are scanned
//! merge     one list of functions, sites, locations
//! write     BTF on the file's own BTF
//! compare   BTF read again, compared with the sites
//! ```
//!
//! Only a unit's functions, parameters and sites are kept; nothing is
//! kept of its other entries, and no text is copied. Nothing recurses over the
//! file, lists are looked at a bounded number of times in all, and of an
//! expression a bounded part.

mod attribute;
pub mod base_types;
pub mod compare;
pub mod dwarf;
pub mod expression;
pub mod file;
pub mod generation;
pub mod listing;
pub mod location;
pub mod merge;
pub mod probes;
pub mod resolve;
pub mod site;
pub mod summary;
pub mod types;
pub mod unit;
pub mod write;

pub use base_types::BaseTypes;
pub use dwarf::{Error, Sections};
pub use location::{LocParam, Location, Machine, Missing};
pub use merge::{Merged, Places};

use crate::debuginfo::elf::Elf;
use dwarf::Debug;
use gimli::{BigEndian, Endianity, LittleEndian, Section as _};
use object::Endianness;
use rayon::prelude::*;
use resolve::{Functions, UnitSites, World};
use std::collections::HashSet;
use unit::{Owner, Scan};

/// Selection of sites and locations.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Rust units too, which kernels leave out of their BTF.
    pub with_rust: bool,
    /// Treatment of locations for an empty range at the site's address.
    pub empty_ranges: EmptyRanges,
    /// Locations of parameters at the entry of functions too, which only probes need.
    pub entry_locations: bool,
}

/// Treatment of a location for an empty range at a site's address, which compilers write
/// for what holds between two views of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EmptyRanges {
    /// It is used even where another location covers the address: the call begins before the first view ends, and
    /// the other location may be of what the parameter becomes at this very address.
    #[default]
    Prefer,
    /// It is used where no other location covers the address.
    Accept,
    /// It is not used, as in readers that know nothing of views.
    Ignore,
}

impl EmptyRanges {
    /// All, by their names on the command line.
    pub const ALL: [(&'static str, Self); 3] =
        [("prefer", Self::Prefer), ("accept", Self::Accept), ("ignore", Self::Ignore)];

    /// Returns its name on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, reading)| *reading == self).map_or("", |(word, _)| word)
    }
}

/// The sites of a file.
#[derive(Debug)]
pub struct Extraction<'d> {
    /// By offset.
    pub scans: Vec<Scan<'d>>,
    /// The units' sites, in the same order.
    pub sites: Vec<UnitSites<'d>>,
    /// All of them as one.
    pub merged: Merged<'d>,
    /// Units that could not be read: offset and reason.
    pub damage: Vec<(u64, String)>,
}

/// Progress while units are read, reported from several threads.
pub trait Watch: Sync {
    /// So many of so many bytes are done.
    fn progress(&self, _done: u64, _total: u64) {}
    /// These bytes of the file will hardly be looked at again.
    fn done_with(&self, _part: &[u8]) {}
}

impl Watch for () {}

/// Takes the sites out of a file's debug information.
pub fn extract<'d>(
    elf: &Elf<'_>,
    sections: &'d Sections<'_>,
    known: &BaseTypes<'_>,
    options: Options,
    watch: &dyn Watch,
) -> Result<Extraction<'d>, Error> {
    // Compiled once for each byte order: a check in every read would cost a third.
    match elf.endian() {
        Endianness::Little => run(elf, sections, known, options, watch, LittleEndian),
        Endianness::Big => run(elf, sections, known, options, watch, BigEndian),
    }
}

fn run<'d, E: Endianity + Send + Sync>(
    elf: &Elf<'_>,
    sections: &'d Sections<'_>,
    known: &BaseTypes<'_>,
    options: Options,
    watch: &dyn Watch,
    endian: E,
) -> Result<Extraction<'d>, Error> {
    let debug = Debug::open(sections, endian)?;
    let places = Places::of(elf);
    let total: u64 = debug.units.iter().map(|header| header.length_including_self() as u64).sum();
    let done = std::sync::atomic::AtomicU64::new(0);
    let bytes = debug.dwarf.debug_info.reader().slice();
    let mut scans: Vec<Scan<'d>> = portions(&debug.units)
        .into_par_iter()
        .with_max_len(1)
        .map(|units| {
            let mut found = Vec::with_capacity(units.len());
            for header in units {
                found.push(unit::scan(&debug, known, header, options)?);
            }
            let start = found.first().map_or(0, |scan| scan.span.0);
            let end = found.last().map_or(0, |scan| scan.span.1);
            let before = done.fetch_add(end - start, std::sync::atomic::Ordering::Relaxed);
            watch.progress(before + end - start, total);
            watch.done_with(bytes.get(start as usize..end as usize).unwrap_or_default());
            Ok(found)
        })
        .collect::<Result<Vec<Vec<Scan<'d>>>, Error>>()?
        .into_iter()
        .flatten()
        .collect();
    refuse_split(&scans)?;
    let sites: Vec<UnitSites<'d>> = {
        let world = World { debug: &debug, functions: Functions { scans: &scans }, base: places.base, endian };
        (0..scans.len() as u32).into_par_iter().with_max_len(4).map(|unit| world.resolve(unit)).collect()
    };
    let mut damage: Vec<(u64, String)> =
        scans.iter().filter_map(|scan| Some((scan.span.0, debug.dwarf.format_error(scan.damaged?)))).collect();
    if let Some(error) = &debug.damaged {
        damage.push((debug.dwarf.debug_info.reader().len() as u64, error.to_string()));
    }
    for scan in &mut scans {
        scan.site_params = Vec::new();
    }
    let merged = Merged::new(&scans, &sites, known, places, &split_off_parts(elf));
    for scan in &mut scans {
        scan.extras = Vec::new();
    }
    Ok(Extraction { scans, sites, merged, damage })
}

// Addresses of parts that GCC split off functions, such as `name.part.0`. In DWARF they look like copies of the
// functions, but who calls a function never enters it there.
fn split_off_parts(elf: &Elf<'_>) -> HashSet<u64> {
    let parts = elf.functions().into_iter().filter(|function| function.name.contains(".part."));
    parts.map(|function| function.address).collect()
}

// The debug information of a skeleton unit is in another file: its calls would be counted as none.
fn refuse_split(scans: &[Scan<'_>]) -> Result<(), Error> {
    let mut skeletons = scans.iter().filter_map(|scan| scan.dwo);
    let Some(first) = skeletons.next() else { return Ok(()) };
    Err(Error::Split { dwo: String::from_utf8_lossy(first).into_owned(), skeletons: 1 + skeletons.count() })
}

/// Bytes of units that one thread takes at a time: so many that their pages can be let go of as a whole.
const PORTION: usize = 512 << 10;

fn portions<R: gimli::Reader<Offset = usize>>(units: &[gimli::UnitHeader<R>]) -> Vec<&[gimli::UnitHeader<R>]> {
    let mut filled = 0;
    let same = |unit: &gimli::UnitHeader<R>, _: &gimli::UnitHeader<R>| {
        filled += unit.length_including_self();
        let goes_on = filled < PORTION;
        if !goes_on {
            filled = 0;
        }
        goes_on
    };
    units.chunk_by(same).collect()
}

impl<'d> Extraction<'d> {
    /// Returns the name of what a site was inlined into, and of the function whose code it is in.
    #[must_use]
    pub fn caller(&self, entry: &merge::Entry) -> Caller<'d> {
        let functions = Functions { scans: &self.scans };
        let scan = self.scans.get(entry.unit as usize);
        let mut owner = self.raw(entry).map_or(Owner::None, |site| site.owner);
        let mut caller = Caller { direct: &[], function: &[] };
        // Each step leads to an entry that stands before, so there is an end.
        loop {
            let (name, next) = match owner {
                Owner::None => return caller,
                Owner::Function(function) => {
                    (functions.name(resolve::FunctionRef { unit: entry.unit, function }), Owner::None)
                }
                Owner::Site(site) => {
                    let Some(site) = scan.and_then(|scan| scan.sites.get(site as usize)) else { return caller };
                    let chain = functions.follow(site.origin, entry.unit);
                    let callee = chain.and_then(|chain| functions.callee(&chain));
                    (callee.map_or(&[][..], |callee| callee.name), site.owner)
                }
            };
            if caller.direct.is_empty() {
                caller.direct = name;
            }
            if next == Owner::None {
                caller.function = name;
            }
            owner = next;
        }
    }

    /// A site as recorded in the unit.
    #[must_use]
    pub fn raw(&self, entry: &merge::Entry) -> Option<&unit::Site> {
        let scan = self.scans.get(entry.unit as usize)?;
        scan.sites.get(self.resolved(entry)?.site as usize)
    }

    /// Returns a site with what became of its parameters.
    #[must_use]
    pub fn resolved(&self, entry: &merge::Entry) -> Option<&resolve::Resolved<'d>> {
        self.sites.get(entry.unit as usize)?.sites.get(entry.site as usize)
    }

    /// Resolved parameters of a site.
    #[must_use]
    pub fn outcomes(&self, entry: &merge::Entry) -> &[resolve::Outcome] {
        let unit = self.sites.get(entry.unit as usize);
        unit.zip(self.resolved(entry)).map(|(unit, site)| unit.outcomes(site)).unwrap_or_default()
    }
}

/// Container of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller<'d> {
    /// The function it was inlined into, which may be inlined itself.
    pub direct: &'d [u8],
    /// The function whose code it is part of.
    pub function: &'d [u8],
}

/// File names of line tables, to report the location of a call.
pub fn file_names(elf: &Elf<'_>, sections: &Sections<'_>, wanted: &[(u32, u32)]) -> Result<Vec<Option<String>>, Error> {
    fn names<E: Endianity + Send + Sync>(
        sections: &Sections<'_>,
        wanted: &[(u32, u32)],
        endian: E,
    ) -> Result<Vec<Option<String>>, Error> {
        let debug = Debug::open(sections, endian)?;
        let name = |(unit, file): &(u32, u32)| debug.file_name(*unit as usize, u64::from(*file));
        Ok(wanted.par_iter().map(name).collect())
    }
    match elf.endian() {
        Endianness::Little => names(sections, wanted, LittleEndian),
        Endianness::Big => names(sections, wanted, BigEndian),
    }
}
