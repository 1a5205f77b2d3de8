//! BTF that holds the kinds of inline BTF among its other types, as pahole writes it, split into the
//! main BTF and inline BTF based on it.
//!
//! The main BTF keeps every type but the three kinds, the FUNCs that only a LOCSEC refers to and that
//! have no symbol, and the FUNC_PROTOs that only these refer to. Both files are sorted by name, as
//! kernels expect, so type ids change.

use super::equivalent::Mismatch;
use super::{Btf, Builder, Grammar, HEADER_32, Head, Kind, LocSite, Type, WriteError, equivalent};
use std::collections::HashMap;

/// Why a file cannot be split.
#[derive(Debug, thiserror::Error)]
pub enum SplitError {
    /// None of the three kinds is in it.
    #[error("it has no kinds of inline BTF")]
    Nothing,
    /// The form of October 2025 has no functions that could be moved.
    #[error("unsupported: inline BTF in the form of October 2025")]
    Narrow,
    /// A type of a kind whose references are not known.
    #[error("type {id} has the unknown kind {kind}, whose references cannot be renumbered")]
    Unknown {
        /// The type.
        id: u32,
        /// The number of its kind.
        kind: u8,
    },
    /// A type of the main BTF refers to one that is moved, which is not valid.
    #[error("type {id} of the main BTF refers to type {to}, which belongs to the inline BTF")]
    Refers {
        /// The type.
        id: u32,
        /// The one it refers to.
        to: u32,
    },
    /// It cannot be written.
    #[error("the split files cannot be written")]
    Write(#[from] WriteError),
    /// What was written cannot be read.
    #[error("the split files cannot be read again")]
    Read(#[from] super::Error),
    /// What was written describes something else.
    #[error("internal error: the split files differ from the original: {0}")]
    Differs(Mismatch),
}

/// The two files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The main BTF.
    pub main: Vec<u8>,
    /// The inline BTF, based on it.
    pub inline: Vec<u8>,
    /// Types of the main BTF.
    pub main_types: usize,
    /// Types of the inline BTF.
    pub inline_types: usize,
    /// FUNCs that were moved to the inline BTF.
    pub functions_moved: usize,
    /// FUNC_PROTOs that were moved.
    pub prototypes_moved: usize,
    /// Sites.
    pub sites: u64,
}

/// Splits a file; `has_symbol` returns whether the ELF file has a function of that name.
/// The pair is read again and compared with the original before it is returned.
pub fn split(btf: &Btf<'_>, has_symbol: &dyn Fn(&[u8]) -> bool) -> Result<Pair, SplitError> {
    if !btf.has_inline_kinds() {
        return Err(SplitError::Nothing);
    }
    if btf.grammar() == Grammar::Narrow {
        return Err(SplitError::Narrow);
    }
    if let Some(found) = btf.types().find(|found| matches!(found.kind, Kind::Other(_))) {
        return Err(SplitError::Unknown { id: found.id, kind: found.kind.number() });
    }
    let stays = Stays::of(btf, has_symbol);
    let base = btf.base();
    let header_32 = btf.header().len >= HEADER_32;

    let mut main = Builder::new(base.as_ref(), btf.endian(), header_32);
    let mut ids = HashMap::new();
    let kept = || btf.types().filter(|found| stays.has(found.id));
    for (place, found) in kept().enumerate() {
        ids.insert(found.id, btf.first_id() + place as u32);
    }
    for found in kept() {
        push(btf, &found, &ids, &mut main)?;
    }
    let (main_bytes, numbered) = main.finish_with_ids()?;
    for id in ids.values_mut() {
        *id = numbered.get(*id);
    }
    let main = Btf::parse(&main_bytes, base.as_ref())?;

    let mut inline = Builder::new(Some(&main), btf.endian(), true);
    let moved = move_types(btf, &stays, ids, &mut inline)?;
    let inline_bytes = inline.finish()?;
    let inline = Btf::parse(&inline_bytes, Some(&main))?;
    if let Some(mismatch) = equivalent::mismatch(btf, &inline) {
        return Err(SplitError::Differs(mismatch));
    }
    Ok(Pair {
        main_types: main.len(),
        inline_types: inline.len(),
        functions_moved: moved.functions,
        prototypes_moved: moved.prototypes,
        sites: moved.sites,
        main: main_bytes,
        inline: inline_bytes,
    })
}

/// Which types the main BTF keeps.
struct Stays {
    first_id: u32,
    kept: Vec<bool>,
}

impl Stays {
    fn of(btf: &Btf<'_>, has_symbol: &dyn Fn(&[u8]) -> bool) -> Self {
        let mut stays = Self { first_id: btf.first_id(), kept: vec![false; btf.len()] };
        let mut referred = Self { first_id: btf.first_id(), kept: vec![false; btf.len()] };
        let mut of_sites = Self { first_id: btf.first_id(), kept: vec![false; btf.len()] };
        for found in btf.types() {
            let by = if found.kind == Kind::LocSec { &mut of_sites } else { &mut referred };
            for id in found.references() {
                by.set(id);
            }
        }
        let mut open = Vec::new();
        for found in btf.types() {
            let keep = match found.kind {
                kind if kind.is_inline() => false,
                Kind::Func => {
                    let name = btf.string(found.name_off).unwrap_or_default();
                    referred.has(found.id) || !of_sites.has(found.id) || has_symbol(name)
                }
                // Whether it stays depends on those that refer to it.
                Kind::FuncProto => !referred.has(found.id),
                _ => true,
            };
            if keep && stays.set(found.id) {
                open.push(found.id);
            }
        }
        while let Some(id) = open.pop() {
            for to in btf.type_by_id(id).into_iter().flat_map(|found| found.references()) {
                let is_proto = btf.type_by_id(to).is_some_and(|to| to.kind == Kind::FuncProto);
                if is_proto && stays.set(to) {
                    open.push(to);
                }
            }
        }
        stays
    }

    fn index(&self, id: u32) -> Option<usize> {
        usize::try_from(id.checked_sub(self.first_id)?).ok()
    }

    fn has(&self, id: u32) -> bool {
        self.index(id).and_then(|index| self.kept.get(index)).copied().unwrap_or(false)
    }

    // Returns whether it is new.
    fn set(&mut self, id: u32) -> bool {
        let slot = self.index(id).and_then(|index| self.kept.get_mut(index));
        slot.is_some_and(|slot| !std::mem::replace(slot, true))
    }
}

#[derive(Default)]
struct Moved {
    functions: usize,
    prototypes: usize,
    sites: u64,
}

// Prototypes come before functions and locations before their lists, so each finds the ids it needs.
fn move_types(
    btf: &Btf<'_>,
    stays: &Stays,
    mut ids: HashMap<u32, u32>,
    inline: &mut Builder<'_>,
) -> Result<Moved, SplitError> {
    let mut moved = Moved::default();
    for kind in [Kind::FuncProto, Kind::Func, Kind::LocParam, Kind::LocProto] {
        for found in btf.types().filter(|found| found.kind == kind && !stays.has(found.id)) {
            let id = match kind {
                Kind::LocParam => found.loc_param().map(|param| {
                    let values: Vec<u32> = param.values.iter().collect();
                    inline.loc_param(param.size, param.flags, &values)
                }),
                Kind::LocProto => {
                    let entries = found.data.iter().map(|id| renumbered(btf, &ids, found.id, id));
                    Some(inline.loc_proto(&entries.collect::<Result<Vec<_>, _>>()?))
                }
                _ => Some(push(btf, &found, &ids, inline)?),
            };
            moved.functions += usize::from(kind == Kind::Func);
            moved.prototypes += usize::from(kind == Kind::FuncProto);
            ids.extend(id.map(|id| (found.id, id)));
        }
    }
    for section in btf.types().filter(|found| found.kind == Kind::LocSec) {
        let mut sites = Vec::with_capacity(section.vlen as usize);
        for site in section.loc_sites() {
            let func = renumbered(btf, &ids, section.id, site.func)?;
            sites.push(LocSite { func, loc_proto: renumbered(btf, &ids, section.id, site.loc_proto)?, ..site });
        }
        moved.sites += sites.len() as u64;
        inline.locsec(btf.string(section.name_off).unwrap_or_default(), sites);
    }
    Ok(moved)
}

// Ids of the base and of void stay.
fn renumbered(btf: &Btf<'_>, ids: &HashMap<u32, u32>, of: u32, id: u32) -> Result<u32, SplitError> {
    if id < btf.first_id() {
        return Ok(id);
    }
    ids.get(&id).copied().ok_or(SplitError::Refers { id: of, to: id })
}

// Adds a type with its strings and references as they are in the new file.
fn push(btf: &Btf<'_>, found: &Type<'_>, ids: &HashMap<u32, u32>, into: &mut Builder<'_>) -> Result<u32, SplitError> {
    // Offsets of the base stay, as the base stays.
    let string = |offset: u32, into: &mut Builder<'_>| match offset < btf.first_string() {
        true => offset,
        false => into.string(btf.string(offset).unwrap_or_default()),
    };
    let Some(shape) = found.kind.shape(found.grammar) else {
        return Err(SplitError::Unknown { id: found.id, kind: found.kind.number() });
    };
    let id = |id: u32| renumbered(btf, ids, found.id, id);
    let name = string(found.name_off, into);
    let third = if shape.head == Head::Type { id(found.size_or_type)? } else { found.size_or_type };
    let mut words = Vec::with_capacity(found.data.len());
    let (fixed, element) = (usize::from(shape.fixed), usize::from(shape.element).max(1));
    for (place, word) in found.data.iter().enumerate() {
        let (types, names, bit) = match place.checked_sub(fixed) {
            None => (shape.fixed_types, 0, place),
            Some(place) => (shape.element_types, shape.element_names, place % element),
        };
        words.push(match (types >> bit & 1, names >> bit & 1) {
            (1, _) => id(word)?,
            (_, 1) => string(word, into),
            _ => word,
        });
    }
    Ok(into.push(found.kind, name, found.kind_flag, found.vlen, third, &words))
}
