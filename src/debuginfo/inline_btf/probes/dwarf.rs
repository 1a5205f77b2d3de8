//! The calls of a function, from DWARF.

use super::frame::Frames;
use super::{Call, Class, Fetch, Frame, Function, Image, Origin, Parameter};
use crate::debuginfo::btf::{Btf, Kind, Type};
use crate::debuginfo::inline_btf::Extraction;
use crate::debuginfo::inline_btf::location::{FRAME_BASE, LocParam, Location, Missing};
use crate::debuginfo::inline_btf::merge::{Called, Entry};
use crate::debuginfo::inline_btf::resolve::{Copy, FunctionRef, Functions, Outcome};
use crate::debuginfo::inline_btf::summary::Interleaving;
use crate::debuginfo::inline_btf::types::{Extra, TypeRef};
use crate::debuginfo::inline_btf::unit::{FrameBase, Owner};
use indexmap::IndexSet;
use std::collections::HashSet;

/// Types that may refer to each other before the last is reached.
const LONGEST_CHAIN: usize = 64;

/// Returns the functions of a name that were inlined, each with its calls. Static functions share names.
#[must_use]
pub fn of_extraction(
    found: &Extraction<'_>,
    name: &[u8],
    base: Option<&Btf<'_>>,
    frames: &Frames<'_>,
    image: &Image,
) -> Vec<Function> {
    let interleaving = Interleaving::of(&found.scans);
    let wanted = found.merged.called.iter().enumerate().filter(|(_, called)| called.name == name);
    let functions = wanted.filter_map(|(index, called)| {
        let index = index as u32;
        let entries: Vec<&Entry> = found.sites_of_called(index).collect();
        if entries.is_empty() {
            return None;
        }
        let mut calls: Vec<Call> = entries.into_iter().map(|entry| site(found, entry, &interleaving, frames)).collect();
        let copies = found.merged.copies.iter().filter(|(number, copy)| *number == index && copy.address != 0);
        calls.extend(copies.map(|(_, copy)| out_of_line(found, copy, frames)));
        calls.sort_by_key(|call| call.address);
        Some(Function { name: text(name), params: parameters(called, base, &found.merged.extras), calls })
    });
    let mut functions: Vec<Function> = functions.collect();
    if let Some(first) = functions.first_mut() {
        let params = first.params.len();
        first.calls.extend(undescribed(found, name, image).map(|address| Call {
            address,
            section: None,
            origin: Origin::Copy,
            frame: Frame::Unknown("not needed"),
            args: vec![Err(Missing::NotMentioned); params],
        }));
        first.calls.sort_by_key(|call| call.address);
    }
    functions
}

// Copies that DWARF does not describe: GCC makes one function of two with equal code, and keeps both symbols.
fn undescribed<'n>(found: &'n Extraction<'_>, name: &'n [u8], image: &'n Image) -> impl Iterator<Item = u64> + 'n {
    let functions = Functions { scans: &found.scans };
    let described = found.scans.iter().enumerate().flat_map(move |(unit, scan)| {
        let all = scan.functions.iter().enumerate().filter(|(_, function)| function.has_code);
        let named = all.filter(move |(index, _)| {
            functions.name(FunctionRef { unit: unit as u32, function: *index as u32 }) == name
        });
        named.map(|(_, function)| function.address)
    });
    let described: HashSet<u64> = described.collect();
    let symbols = std::str::from_utf8(name).into_iter().flat_map(|name| image.addresses_of(name));
    symbols.filter(move |address| !described.contains(address))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn parameters(called: &Called<'_>, base: Option<&Btf<'_>>, extras: &IndexSet<Extra<'_>>) -> Vec<Parameter> {
    let params = called.params.iter();
    params.map(|(name, id)| Parameter { name: text(name), class: class(*id, base, extras) }).collect()
}

fn class(id: TypeRef, base: Option<&Btf<'_>>, extras: &IndexSet<Extra<'_>>) -> Class {
    let mut id = id;
    for _ in 0..LONGEST_CHAIN {
        let Some(index) = id.index() else {
            return base.map_or(Class::Unsigned, |base| class_of(base, id.0));
        };
        id = match extras.get_index(index) {
            Some(Extra::Wrapper(Kind::Ptr, _)) => return Class::Pointer,
            Some(Extra::Wrapper(_, target) | Extra::Typedef(_, target)) => *target,
            Some(Extra::Number(Kind::Float, ..)) => return Class::Float,
            Some(Extra::Number(_, _, _, encoding)) if encoding & 1 != 0 => return Class::Signed,
            Some(Extra::Number(..) | Extra::Opaque(Kind::Enum | Kind::Enum64, ..)) => return Class::Unsigned,
            _ => return Class::Aggregate,
        };
    }
    Class::Aggregate
}

/// Returns the kind of value of a type of BTF.
pub(super) fn class_of(btf: &Btf<'_>, id: u32) -> Class {
    let mut id = id;
    for _ in 0..LONGEST_CHAIN {
        let Some(found) = btf.type_by_id(id) else { return Class::Unsigned };
        match found.kind {
            kind if kind.is_modifier() => id = found.size_or_type,
            _ => return class_of_type(&found),
        }
    }
    Class::Aggregate
}

fn class_of_type(found: &Type<'_>) -> Class {
    match found.kind {
        Kind::Ptr => Class::Pointer,
        Kind::Int if found.int().is_some_and(|int| int.encoding & 1 != 0) => Class::Signed,
        Kind::Enum | Kind::Enum64 if found.kind_flag => Class::Signed,
        Kind::Int | Kind::Enum | Kind::Enum64 => Class::Unsigned,
        Kind::Float => Class::Float,
        _ => Class::Aggregate,
    }
}

fn site(found: &Extraction<'_>, entry: &Entry, interleaving: &Interleaving, frames: &Frames<'_>) -> Call {
    let base = found.merged.places.base;
    let located = found.outcomes(entry).iter().zip(found.merged.locations_of(entry));
    let args: Vec<_> = located
        .map(|(outcome, location)| match (outcome, location) {
            (Outcome::Missing(missing), _) => Err(*missing),
            (_, Some(param)) => fetch(&param, base),
            _ => Err(Missing::Damaged),
        })
        .collect();
    let traits = found.traits(entry, interleaving);
    let raw = found.raw(entry);
    let whole = raw.filter(|site| site.extent.ranges == 1 && site.pc == site.extent.low && !traits.interleaved);
    let place = found.merged.places.all.get(entry.section as usize);
    Call {
        address: entry.pc,
        section: place.map(|place| place.name.clone()),
        origin: Origin::Site {
            caller: text(found.caller(entry).direct),
            own_copy: traits.own_copy,
            end: whole.map(|site| site.extent.high),
        },
        frame: frame(&args, entry.pc, found.owner(entry), found, frames),
        args,
    }
}

fn out_of_line(found: &Extraction<'_>, copy: &Copy, frames: &Frames<'_>) -> Call {
    let base = found.merged.places.base;
    let args: Vec<_> = copy.params.iter().map(|param| param.and_then(|param| fetch(&param, base))).collect();
    let place = found.merged.places.find(copy.address);
    let place = place.and_then(|index| found.merged.places.all.get(index as usize));
    Call {
        address: copy.address,
        section: place.map(|place| place.name.clone()),
        origin: Origin::Copy,
        frame: frame(&args, copy.address, Some(copy.concrete), found, frames),
        args,
    }
}

fn fetch(param: &LocParam, base: u64) -> Result<(Fetch, u32), Missing> {
    param.decode(base).map(|location| (Fetch::At(location), param.size)).ok_or(Missing::Damaged)
}

fn frame(
    args: &[Result<(Fetch, u32), Missing>],
    pc: u64,
    owner: Option<FunctionRef>,
    found: &Extraction<'_>,
    frames: &Frames<'_>,
) -> Frame {
    let uses = |arg: &Result<(Fetch, u32), Missing>| {
        matches!(
            arg,
            Ok((Fetch::At(Location::Sum(FRAME_BASE, _) | Location::Memory(FRAME_BASE, _)), _))
                | Ok((Fetch::At(Location::Register(FRAME_BASE)), _))
        )
    };
    if !args.iter().any(uses) {
        return Frame::Unknown("not needed");
    }
    let function = owner.and_then(|owner| Functions { scans: &found.scans }.get(owner));
    match function.map(|function| function.frame_base) {
        Some(FrameBase::Cfa) => frames.cfa(pc),
        Some(FrameBase::Register(register)) => Frame::At(register, 0),
        Some(FrameBase::Other) => Frame::Unknown("its frame base is an expression"),
        Some(FrameBase::None) | None => Frame::Unknown("its function has no frame base"),
    }
}

impl Extraction<'_> {
    /// Returns the function whose code a site is in.
    #[must_use]
    pub fn owner(&self, entry: &Entry) -> Option<FunctionRef> {
        let scan = self.scans.get(entry.unit as usize)?;
        let mut owner = self.raw(entry)?.owner;
        // Each step leads to an entry that stands before, so there is an end.
        loop {
            match owner {
                Owner::None => return None,
                Owner::Function(function) => return Some(FunctionRef { unit: entry.unit, function }),
                Owner::Site(site) => owner = scan.sites.get(site as usize)?.owner,
            }
        }
    }

    /// Returns whether a site is a part of its function that was split off and inlined into the function's own copy.
    #[must_use]
    pub fn is_in_own_copy(&self, entry: &Entry) -> bool {
        let Some(Owner::Function(function)) = self.raw(entry).map(|site| site.owner) else { return false };
        let functions = Functions { scans: &self.scans };
        let own = FunctionRef { unit: entry.unit, function };
        let callee = self.resolved(entry).map(|resolved| resolved.callee.abstracted);
        let abstracted = match functions.get(own).map(|function| function.origin) {
            None => return false,
            Some(0) => Some(own),
            Some(origin) => {
                let chain = functions.follow(origin, entry.unit);
                chain.and_then(|chain| functions.callee(&chain)).ok().map(|callee| callee.abstracted)
            }
        };
        callee.is_some() && abstracted == callee
    }
}
