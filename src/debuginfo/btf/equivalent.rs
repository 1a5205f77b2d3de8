//! Whether two files describe the same types and sites, whatever their ids, strings and order.
//!
//! Every type gets a digest of its own words in which ids stand for the digests that their types had in
//! the round before. After some rounds, two types have the same digest only if they are equal to that
//! depth of references. Types of a common base keep their ids.

use super::{Btf, Head, Kind, Type};
use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The depth to which references are followed.
const ROUNDS: usize = 8;

/// The first difference of two files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// What there are different numbers of.
    pub what: String,
    /// How many the first file has.
    pub first: u64,
    /// How many the second has.
    pub second: u64,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} and {}", self.what, self.first, self.second)
    }
}

/// Returns a difference between a file and a chain of files that share its base, or `None` if both describe the
/// same types and sites. Locations are compared as those of the sites: how they are shared does not matter.
#[must_use]
pub fn mismatch(whole: &Btf<'_>, parts: &Btf<'_>) -> Option<Mismatch> {
    let first_id = whole.first_id();
    let (first, second) = (Described::of(whole, first_id), Described::of(parts, first_id));
    first.differs(&second)
}

/// How often each type and site occurs, with a name to show.
struct Described {
    counts: HashMap<u64, (u64, String)>,
}

impl Described {
    fn of(btf: &Btf<'_>, first_id: u32) -> Self {
        let own: Vec<Type<'_>> = btf.all_types().filter(|found| found.id >= first_id).collect();
        let mut digests: Vec<u64> = vec![0; own.len()];
        for _ in 0..ROUNDS {
            digests = own.iter().map(|found| digest(btf, found, first_id, &digests)).collect();
        }
        let mut counts = HashMap::new();
        let mut count = |digest: u64, shown: &dyn Fn() -> String| {
            counts.entry(digest).or_insert_with(|| (0, shown())).0 += 1;
        };
        for (found, digest) in own.iter().zip(&digests) {
            match found.kind {
                Kind::LocParam | Kind::LocProto => {}
                Kind::LocSec => {
                    let section = btf.string(found.name_off).unwrap_or_default();
                    for site in found.loc_sites() {
                        let of = |id| referred(id, first_id, &digests);
                        let site_digest = hash(&(section, of(site.func), of(site.loc_proto), site.offset));
                        let place = || format!("sites at {}+{:#x}", String::from_utf8_lossy(section), site.offset);
                        count(site_digest, &place);
                    }
                }
                kind => count(*digest, &|| format!("types {kind} '{}'", btf.text(found.name_off))),
            }
        }
        Self { counts }
    }

    fn differs(&self, other: &Self) -> Option<Mismatch> {
        let count = |of: &Self, digest| of.counts.get(digest).map_or(0, |(count, _)| *count);
        let mut found: Vec<Mismatch> = Vec::new();
        for (digest, (_, what)) in self.counts.iter().chain(&other.counts) {
            let (first, second) = (count(self, digest), count(other, digest));
            if first != second {
                found.push(Mismatch { what: what.clone(), first, second });
            }
        }
        found.into_iter().min_by(|a, b| a.what.cmp(&b.what))
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn referred(id: u32, first_id: u32, digests: &[u64]) -> (bool, u64) {
    let own = id.checked_sub(first_id).and_then(|index| digests.get(index as usize));
    own.map_or((false, u64::from(id)), |digest| (true, *digest))
}

fn digest(btf: &Btf<'_>, found: &Type<'_>, first_id: u32, digests: &[u64]) -> u64 {
    let mut hasher = DefaultHasher::new();
    // A LOCSEC's entries are compared one by one.
    let data = if found.kind == Kind::LocSec { found.data.skip(found.data.len()) } else { found.data };
    (found.kind.number(), found.kind_flag, found.vlen).hash(&mut hasher);
    btf.string(found.name_off).hash(&mut hasher);
    let shape = found.kind.shape(found.grammar);
    match shape {
        Some(shape) if shape.head == Head::Type => {
            referred(found.size_or_type, first_id, digests).hash(&mut hasher);
        }
        _ => found.size_or_type.hash(&mut hasher),
    }
    let (fixed, element) = shape.map_or((0, 1), |shape| (usize::from(shape.fixed), usize::from(shape.element).max(1)));
    for (place, word) in data.iter().enumerate() {
        let (types, names, bit) = match (shape, place.checked_sub(fixed)) {
            (None, _) => (0, 0, 0),
            (Some(shape), None) => (shape.fixed_types, 0, place),
            (Some(shape), Some(place)) => (shape.element_types, shape.element_names, place % element),
        };
        if types >> bit & 1 != 0 {
            referred(word, first_id, digests).hash(&mut hasher);
        } else if names >> bit & 1 != 0 {
            btf.string(word).hash(&mut hasher);
        } else {
            word.hash(&mut hasher);
        }
    }
    hasher.finish()
}
