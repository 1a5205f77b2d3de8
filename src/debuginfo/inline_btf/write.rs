//! Sites as BTF: split on the file's own BTF, form (iii).
//!
//! Functions that the base has keep their FUNC. The others get one of their
//! own, with a FUNC_PROTO whose types are the base's where the base has them;
//! see [`super::types`] for those it has not.

use super::merge::{Called, Merged};
use super::types::{Extra, TypeRef};
use crate::debuginfo::btf::{Btf, Builder, Endian, Kind, LocSite, Param, WriteError, is_identifier};
use serde::Serialize;

/// The written sections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Written {
    /// Sites.
    pub sites: u64,
    /// Functions that are the base's.
    pub functions_known: u64,
    /// Functions that got a FUNC of their own.
    pub functions_new: u64,
    /// Types that the base does not have, other than FUNCs and their prototypes.
    pub types_new: u64,
    /// Of these: structures, unions and enumerations without what is in them.
    pub types_opaque: u64,
    /// LOC_PARAM
    pub loc_params: u64,
    /// LOC_PROTO
    pub loc_protos: u64,
    /// LOCSEC
    pub sections: u64,
    /// Bytes in all.
    pub bytes: u64,
}

/// How LOCSECs are named, which is unsettled upstream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SectionNames {
    /// As the ELF section: `.text`.
    #[default]
    Elf,
    /// With `inline` before it: `inline.text`. A section whose name does not begin with a dot keeps it.
    Inline,
}

impl SectionNames {
    /// All, by their names on the command line.
    pub const ALL: [(&'static str, Self); 2] = [("elf", Self::Elf), ("inline", Self::Inline)];

    fn of(self, section: &str) -> String {
        match self {
            Self::Inline if section.starts_with('.') => format!("inline{section}"),
            _ => section.to_owned(),
        }
    }
}

/// Writes the sites. Without a base the file stands alone, and every type is its own.
pub fn write(
    merged: &Merged<'_>,
    base: Option<&Btf<'_>>,
    endian: Endian,
    names: SectionNames,
) -> Result<(Vec<u8>, Written), WriteError> {
    let mut builder = Builder::new(base, endian, true);
    let mut written = Written::default();
    let types = extras(merged, &mut builder, &mut written);
    let mut functions = Vec::with_capacity(merged.called.len());
    for called in &merged.called {
        functions.push(match called.known {
            Some(id) => {
                written.functions_known += 1;
                id
            }
            None => {
                written.functions_new += 1;
                function(called, &types, &mut builder)
            }
        });
    }
    let locations: Vec<u32> =
        merged.locations.iter().map(|param| builder.loc_param(param.size, param.flags, param.values())).collect();
    let protos: Vec<u32> = merged.protos.iter().map(|proto| loc_proto(proto, &locations, &mut builder)).collect();
    written.loc_params = locations.len() as u64;
    written.loc_protos = protos.len() as u64;
    let mut sections: Vec<Vec<LocSite>> = vec![Vec::new(); merged.places.all.len()];
    for entry in &merged.entries {
        let site = (|| {
            let place = merged.places.all.get(entry.section as usize)?;
            Some(LocSite {
                func: *functions.get(entry.called as usize)?,
                loc_proto: *protos.get(entry.proto as usize)?,
                offset: u32::try_from(entry.pc.checked_sub(place.address)?).ok()?,
            })
        })();
        if let Some((site, sites)) = site.zip(sections.get_mut(entry.section as usize)) {
            sites.push(site);
        }
    }
    for (place, sites) in merged.places.all.iter().zip(sections).filter(|(_, sites)| !sites.is_empty()) {
        written.sites += sites.len() as u64;
        written.sections += 1;
        builder.locsec(names.of(&place.name), sites);
    }
    let bytes = builder.finish()?;
    written.bytes = bytes.len() as u64;
    Ok((bytes, written))
}

fn loc_proto(proto: &[u32], locations: &[u32], builder: &mut Builder<'_>) -> u32 {
    let id = |number: &u32| (*number as usize).checked_sub(1).and_then(|index| locations.get(index)).copied();
    let ids: Vec<u32> = proto.iter().map(|number| id(number).unwrap_or(0)).collect();
    builder.loc_proto(&ids)
}

fn function(called: &Called<'_>, types: &[u32], builder: &mut Builder<'_>) -> u32 {
    let mut params = Vec::with_capacity(called.params.len() + 1);
    for (index, (name, id)) in called.params.iter().enumerate() {
        // Kernels refuse a FUNC whose parameters have no names, or names that are no identifiers.
        let name_off =
            if !is_identifier(name) { builder.string(format!("__arg{index}")) } else { builder.string(name) };
        params.push(Param { name_off, type_id: resolve(*id, types) });
    }
    if called.variadic {
        params.push(Param { name_off: 0, type_id: 0 });
    }
    let proto = builder.func_proto(resolve(called.returns, types), &params);
    builder.func(called.name, proto, u32::from(called.external))
}

fn resolve(id: TypeRef, types: &[u32]) -> u32 {
    match id.index() {
        Some(index) => types.get(index).copied().unwrap_or(0),
        None => id.0,
    }
}

// Types come after those that they refer to, so one pass is enough.
fn extras(merged: &Merged<'_>, builder: &mut Builder<'_>, written: &mut Written) -> Vec<u32> {
    let mut ids: Vec<u32> = Vec::with_capacity(merged.extras.len());
    for extra in &merged.extras {
        let at = |id: &TypeRef| resolve(*id, &ids);
        let id = match extra {
            Extra::Wrapper(kind, target) => builder.push(*kind, 0, false, 0, at(target), &[]),
            Extra::Typedef(name, target) => {
                let name = builder.string(name);
                builder.push(Kind::Typedef, name, false, 0, at(target), &[])
            }
            Extra::Number(Kind::Float, name, size, _) => {
                let name = builder.string(name);
                builder.push(Kind::Float, name, false, 0, *size, &[])
            }
            Extra::Number(kind, name, size, encoding) => {
                let name = builder.string(name);
                let word = u32::from(*encoding) << 24 | size.saturating_mul(8);
                builder.push(*kind, name, false, 0, *size, &[word])
            }
            Extra::Opaque(kind, name, size) => {
                written.types_opaque += 1;
                let name = builder.string(name);
                builder.push(*kind, name, false, 0, *size, &[])
            }
            Extra::Forward(name, union) => {
                let name = builder.string(name);
                builder.push(Kind::Fwd, name, *union, 0, 0, &[])
            }
            Extra::Array(element, index, len) => {
                let words = [at(element), at(index), *len];
                builder.push(Kind::Array, 0, false, 0, 0, &words)
            }
            Extra::Proto(returns, params) => {
                let params: Vec<Param> = params.iter().map(|param| Param { name_off: 0, type_id: at(param) }).collect();
                builder.func_proto(at(returns), &params)
            }
        };
        ids.push(id);
    }
    written.types_new = ids.len() as u64;
    ids
}
