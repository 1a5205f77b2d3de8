//! Both tables of one function side by side.

use super::cross::{DwarfFunction, SframeFunction, dwarf_functions, sframe_functions, sframe_rows, union};
use super::load::{Loaded, View};
use crate::debuginfo::cfi::{Evaluator, Reason};
use crate::debuginfo::elf::{self, Elf};
use crate::debuginfo::frame::{Named, Row};

/// A function in both tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sides {
    /// Its name.
    pub name: String,
    /// Its address, as laid out.
    pub start: u64,
    /// Bytes in SFrame, if it is there.
    pub sframe: Option<u64>,
    /// Bytes in DWARF, if it is there.
    pub dwarf: Option<u64>,
    /// Why an assembler might have declined it.
    pub reasons: Vec<Reason>,
    /// Where one of both changes.
    pub segments: Vec<Segment>,
}

/// The rules from an address on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Bytes from the start of the function.
    pub start: u64,
    /// In SFrame.
    pub sframe: Option<Side>,
    /// In DWARF.
    pub dwarf: Option<Side>,
    /// Whether both find the same caller; `None` where that cannot be said.
    pub agree: Option<bool>,
}

/// A row in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// `sp+16`
    pub cfa: String,
    /// `c-8`
    pub ra: String,
    /// `u`
    pub fp: String,
}

/// Returns all functions of this name, or at this hexadecimal address, in an ELF file.
pub fn side_by_side(bytes: &[u8], function: &str) -> Result<Vec<Sides>, elf::Error> {
    let elf = Elf::parse(bytes)?;
    let loaded = Loaded::read(&elf)?;
    let view = View::of(&loaded);
    let address = function.strip_prefix("0x").and_then(|hex| u64::from_str_radix(hex, 16).ok());
    let mut starts: Vec<(u64, String)> = elf
        .functions()
        .into_iter()
        .filter(|symbol| symbol.name == function || Some(symbol.address) == address)
        .map(|symbol| (symbol.address, symbol.name))
        .collect();
    if let (true, Some(address)) = (starts.is_empty(), address) {
        starts.push((address, function.to_owned()));
    }
    starts.dedup_by_key(|(start, _)| *start);
    let sframe = sframe_functions(&view.tables);
    let (dwarf, _) = dwarf_functions(&view, &loaded);
    let sides = starts.into_iter().map(|(start, name)| {
        let one = sframe.iter().rfind(|function| function.start == start);
        let two =
            dwarf.binary_search_by_key(&start, |function| function.fde.start).ok().and_then(|index| dwarf.get(index));
        sides(&view, name, start, one, two)
    });
    Ok(sides.filter(|sides| sides.sframe.is_some() || sides.dwarf.is_some()).collect())
}

fn sides(
    view: &View<'_>,
    name: String,
    start: u64,
    one: Option<&SframeFunction>,
    two: Option<&DwarfFunction<'_>>,
) -> Sides {
    let table = view.tables.get(one.map_or(0, |function| function.table));
    let mut sides = Sides {
        name,
        start,
        sframe: one.map(|function| function.end - function.start),
        dwarf: two.map(|function| function.fde.len),
        reasons: Vec::new(),
        segments: Vec::new(),
    };
    let Some(table) = table else { return sides };
    let abi = table.table.abi();
    let mut left = Vec::new();
    if let Some(entry) = one.and_then(|function| table.table.entry(function.index).ok().flatten()) {
        sframe_rows(table, &entry, &mut left);
    }
    let mut evaluator = Evaluator::new(abi, table.table.header().version);
    let mut right: &[_] = &[];
    if let Some(Ok((steps, reasons))) = two.map(|function| evaluator.run(function.cie, &function.fde)) {
        right = steps;
        sides.reasons = reasons.iter().collect();
    }
    let side = |row: Row| {
        let named = Named { row, sp: abi.sp(), fp: abi.fp() };
        Side { cfa: named.cfa(), ra: named.ra(), fp: named.fp() }
    };
    let len = sides.sframe.into_iter().chain(sides.dwarf).max().unwrap_or(0);
    for pair in union(&left, right, len) {
        let agree = match (pair.sframe, pair.dwarf) {
            (Some(_), Some(row)) if row.is_opaque() => None,
            (Some(one), Some(two)) => Some(one.agrees(two)),
            _ if one.is_none() || two.is_none() => None,
            _ => Some(false),
        };
        let segment = Segment { start: pair.start, sframe: pair.sframe.map(side), dwarf: pair.dwarf.map(side), agree };
        sides.segments.push(segment);
    }
    sides
}
