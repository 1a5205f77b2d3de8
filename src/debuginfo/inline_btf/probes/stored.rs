//! The calls of a function, from inline BTF: no DWARF is needed.

use super::dwarf::class_of;
use super::{Call, Class, Fetch, Frame, Function, Image, Origin, Parameter};
use crate::debuginfo::btf::{Btf, Grammar, Kind, elf_section_name};
use crate::debuginfo::inline_btf::compare::read_proto;
use crate::debuginfo::inline_btf::location::Missing;
use std::collections::{BTreeMap, HashMap};

/// Why the calls cannot be taken from inline BTF.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoredError {
    /// The narrow form of 2025.
    #[error("unsupported: inline BTF in the form of October 2025, which has no function types")]
    Narrow,
    /// A LOCSEC of a section that the file does not have.
    #[error("inline BTF has sites in section {section}, which the kernel does not have")]
    Section {
        /// The section.
        section: String,
    },
    /// An entry refers to what it must not.
    #[error("a site of inline BTF cannot be read: {what}")]
    Damaged {
        /// The problem.
        what: &'static str,
    },
}

/// Returns the functions of a name that were inlined, each with its calls.
pub fn of_btf(btf: &Btf<'_>, name: &str, image: &Image) -> Result<Vec<Function>, StoredError> {
    if btf.has_inline_kinds() && btf.grammar() == Grammar::Narrow {
        return Err(StoredError::Narrow);
    }
    let mut found: BTreeMap<u32, Function> = BTreeMap::new();
    let mut wanted: HashMap<u32, bool> = HashMap::new();
    for section in btf.types().filter(|found| found.kind == Kind::LocSec) {
        let written = btf.text(section.name_off).into_owned();
        let plain = String::from_utf8_lossy(elf_section_name(written.as_bytes())).into_owned();
        for site in section.loc_sites() {
            let is_wanted = *wanted.entry(site.func).or_insert_with(|| {
                let func = btf.type_by_id(site.func).filter(|found| found.kind == Kind::Func);
                func.is_some_and(|func| btf.string(func.name_off) == Some(name.as_bytes()))
            });
            if !is_wanted {
                continue;
            }
            let start = image.section_start(&plain).ok_or_else(|| StoredError::Section { section: written.clone() })?;
            let address = start.wrapping_add(u64::from(site.offset));
            let function = match found.entry(site.func) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => entry.insert(Function {
                    name: name.to_owned(),
                    params: parameters(btf, site.func)?,
                    calls: Vec::new(),
                }),
            };
            let call = call(btf, image, name, &plain, address, site.loc_proto, function.params.len())?;
            function.calls.push(call);
        }
    }
    for function in found.values_mut() {
        let sizes = function.params.len();
        let args = convention(btf, image, name, sizes);
        function.calls.extend(image.addresses_of(name).map(|address| Call {
            address,
            section: None,
            origin: Origin::Copy,
            frame: Frame::Unknown("not needed"),
            args: args.clone(),
        }));
        function.calls.sort_by_key(|call| call.address);
    }
    Ok(found.into_values().collect())
}

fn parameters(btf: &Btf<'_>, func: u32) -> Result<Vec<Parameter>, StoredError> {
    let proto = proto_of(btf, func).ok_or(StoredError::Damaged { what: "its function has no prototype" })?;
    // The one without a type at the end is `...`.
    let params = proto.params().filter(|param| param.type_id != 0);
    let params = params
        .map(|param| Parameter { name: btf.text(param.name_off).into_owned(), class: class_of(btf, param.type_id) });
    Ok(params.collect())
}

fn proto_of<'a>(btf: &Btf<'a>, func: u32) -> Option<crate::debuginfo::btf::Type<'a>> {
    let func = btf.type_by_id(func).filter(|found| found.kind == Kind::Func)?;
    btf.type_by_id(func.size_or_type).filter(|found| found.kind == Kind::FuncProto)
}

fn call(
    btf: &Btf<'_>,
    image: &Image,
    name: &str,
    section: &str,
    address: u64,
    proto: u32,
    params: usize,
) -> Result<Call, StoredError> {
    let located = read_proto(btf, proto).ok_or(StoredError::Damaged { what: "its LOC_PROTO" })?;
    let mut args: Vec<Result<(Fetch, u32), Missing>> = located
        .into_iter()
        .map(|param| {
            let param = param.ok_or(Missing::NoLocation)?;
            let location = param.decode(image.base()).ok_or(Missing::Damaged)?;
            Ok((Fetch::At(location), param.size))
        })
        .collect();
    args.truncate(params);
    let around = image.symbol_at(address).map(|symbol| symbol.name.clone()).unwrap_or_default();
    // A compiler adds to the name where it splits: `name.part.0`, `name.cold`.
    let plain = around.split('.').next().unwrap_or_default();
    Ok(Call {
        address,
        section: Some(section.to_owned()),
        origin: Origin::Site { own_copy: plain == name, caller: around, end: None },
        frame: Frame::Unknown("inline BTF does not define the frame base"),
        args,
    })
}

// The arguments of the function's own symbol, by the calling convention.
fn convention(btf: &Btf<'_>, image: &Image, name: &str, count: usize) -> Vec<Result<(Fetch, u32), Missing>> {
    let funcs = btf.all_types().filter(|found| found.kind == Kind::Func);
    let func = funcs.into_iter().find(|func| btf.string(func.name_off) == Some(name.as_bytes()));
    let proto = func.and_then(|func| proto_of(btf, func.id));
    let Some(proto) = proto else { return vec![Err(Missing::NoLocation); count] };
    let sizes: Vec<Option<u32>> = proto
        .params()
        .filter(|param| param.type_id != 0)
        .map(|param| match class_of(btf, param.type_id) {
            Class::Aggregate | Class::Float => None,
            Class::Pointer => Some(u32::from(image.address_size())),
            _ => size_of(btf, param.type_id),
        })
        .collect();
    // A value that takes two registers or none moves all that follow.
    let whole = u32::from(image.address_size());
    let regular = sizes.iter().take_while(|size| size.is_some_and(|size| size <= whole)).count();
    let mut args = vec![Err(Missing::NoLocation); count];
    for (index, (slot, size)) in args.iter_mut().zip(&sizes).take(regular).enumerate() {
        if let Some(size) = size {
            *slot = Ok((Fetch::Convention(index as u32), *size));
        }
    }
    args
}

fn size_of(btf: &Btf<'_>, id: u32) -> Option<u32> {
    let mut id = id;
    for _ in 0..64 {
        let found = btf.type_by_id(id)?;
        if !found.kind.is_modifier() {
            return Some(found.size_or_type);
        }
        id = found.size_or_type;
    }
    None
}
