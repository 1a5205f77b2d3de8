//! Checks the SFrame data of a file: its structure, and each of its rows compared
//! with the DWARF call-frame information of the same function.

mod cross;
mod files;
mod judge;
mod load;
mod rows;
mod total;
mod units;

#[cfg(test)]
mod tests;

pub use files::{Error, Progress, ScanResult, scan};
pub use rows::{Segment, Side, Sides, side_by_side};
pub use total::{Total, check_result};

use crate::debuginfo::cfi::Reason;
use crate::debuginfo::elf::{self, Elf};
use crate::debuginfo::sframe::{Abi, Findings, Statistics, rules};
use load::{Loaded, View};
use std::collections::BTreeMap;

/// Findings of a file, or a member of an archive.
#[derive(Debug, Default)]
pub struct Report {
    /// The file, or `archive(member)`.
    pub name: String,
    /// Its SFrame tables; more than one where sections were not merged.
    pub tables: Vec<TableFacts>,
    /// The comparison with DWARF; `None` where the file lacks one of the two.
    pub cross: Option<Cross>,
    /// Bytes of its sections.
    pub bytes: Bytes,
    /// The problem.
    pub findings: Findings,
}

/// A table.
#[derive(Debug, Clone)]
pub struct TableFacts {
    /// `.sframe`
    pub section: String,
    /// Where it is in the section.
    pub offset: u64,
    /// 1, 2 or 3
    pub version: u8,
    /// Its ABI.
    pub abi: Abi,
    /// The flag bits.
    pub flags: u8,
    /// Functions.
    pub fdes: u32,
    /// Rows.
    pub fres: u32,
    /// Bytes, headers included.
    pub bytes: u64,
}

/// Bytes of a file's sections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bytes {
    /// All SFrame sections.
    pub sframe: u64,
    /// All `.eh_frame` sections.
    pub eh_frame: u64,
    /// All `.debug_frame` sections, unpacked.
    pub debug_frame: u64,
    /// All executable sections.
    pub text: u64,
    /// Of these, what SFrame functions cover.
    pub covered: u64,
}

/// The comparison of SFrame with DWARF.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cross {
    /// DWARF functions with bytes, in executable sections.
    pub functions: u64,
    /// DWARF functions that are nowhere: discarded by the linker.
    pub discarded: u64,
    /// With an SFrame function.
    pub covered: u64,
    /// Without one, because SFrame cannot represent them; counted by the first reason.
    pub not_representable: BTreeMap<Reason, u64>,
    /// Without, for no such reason.
    pub missing_fdes: u64,
    /// Without, in compilation units that have no SFrame function at all: their
    /// objects were assembled without.
    pub in_units_without_sframe: u64,
    /// Without, in a linked file and in no compilation unit that it has debug information of.
    pub unknown_unit: u64,
    /// SFrame functions without a DWARF one.
    pub extra: u64,
    /// Signal frames that SFrame marks and does not describe.
    pub undescribed_signal_frames: u64,
    /// Ranges of the union of both tables' rows that were compared.
    pub rows: u64,
    /// Of these, those that disagree.
    pub mismatched_rows: u64,
    /// Functions with such rows.
    pub mismatched: u64,
    /// Of the rows that disagree, those where the assembler's fault with `.cfi_restore` explains it.
    pub restore_fault_rows: u64,
    /// Functions with such rows.
    pub restore_faults: u64,
    /// Rows that cannot be right in DWARF, whatever SFrame has.
    pub impossible_rows: u64,
    /// Functions with such rows.
    pub impossible: u64,
    /// PLTs that the linker described in DWARF alone.
    pub plt_without: u64,
    /// Ranges that could not be compared, as DWARF has an expression there.
    pub opaque: u64,
}

impl std::ops::AddAssign<&Cross> for Cross {
    fn add_assign(&mut self, other: &Cross) {
        self.functions += other.functions;
        self.discarded += other.discarded;
        self.covered += other.covered;
        for (reason, count) in &other.not_representable {
            *self.not_representable.entry(*reason).or_default() += count;
        }
        self.missing_fdes += other.missing_fdes;
        self.in_units_without_sframe += other.in_units_without_sframe;
        self.unknown_unit += other.unknown_unit;
        self.extra += other.extra;
        self.undescribed_signal_frames += other.undescribed_signal_frames;
        self.rows += other.rows;
        self.mismatched_rows += other.mismatched_rows;
        self.mismatched += other.mismatched;
        self.restore_fault_rows += other.restore_fault_rows;
        self.restore_faults += other.restore_faults;
        self.impossible_rows += other.impossible_rows;
        self.impossible += other.impossible;
        self.plt_without += other.plt_without;
        self.opaque += other.opaque;
    }
}

impl Cross {
    /// Declined for any reason.
    #[must_use]
    pub fn all_not_representable(&self) -> u64 {
        self.not_representable.values().sum()
    }
}

impl Report {
    /// Returns whether the file has SFrame data.
    #[must_use]
    pub fn has_sframe(&self) -> bool {
        !self.tables.is_empty()
    }
}

/// Checks one ELF file.
pub fn examine(name: &str, bytes: &[u8]) -> Result<Report, elf::Error> {
    let elf = Elf::parse(bytes)?;
    let loaded = Loaded::read(&elf)?;
    let mut report = Report { name: name.to_owned(), ..Report::default() };
    let mut statistics = Statistics::default();
    for section in &loaded.sframes {
        statistics += section.validate(&loaded, &mut report.findings);
    }
    let view = View::of(&loaded);
    report.tables = view.tables.iter().map(load::TableIn::facts).collect();
    report.bytes = loaded.bytes();
    compare(&elf, &view, &loaded, statistics, &mut report);
    name_functions(&elf, &mut report.findings);
    Ok(report)
}

// Compares both tables as far as the file has them.
fn compare(elf: &Elf<'_>, view: &View<'_>, loaded: &Loaded<'_>, statistics: Statistics, report: &mut Report) {
    let findings = &mut report.findings;
    for (frames, name) in view.frames.iter().zip(&view.cfis) {
        for (offset, error) in &frames.damaged {
            findings.at(&rules::CFI_DAMAGED, *offset, || format!("{name}: {error}"));
        }
    }
    let described = view.frames.iter().any(|frames| !frames.fdes.is_empty());
    let functions: u64 = view.tables.iter().map(|table| u64::from(table.table.len())).sum();
    if view.tables.is_empty() {
        if described && loaded.machine.is_some() && findings.is_empty() {
            findings.whole(&rules::NO_SECTION, || "no section .sframe".to_owned());
        }
        return;
    }
    if !described && functions > 0 {
        findings.whole(&rules::NO_CFI, || format!("{functions} functions were not compared"));
    }
    // More rows than the section can contain are a finding already, and reading them could take hours.
    if statistics.excessive {
        return;
    }
    let (cross, covered) = cross::cross(elf, view, loaded, findings);
    report.bytes.covered = covered;
    report.cross = described.then_some(cross);
}

// Findings carry addresses; names are looked up only for findings.
fn name_functions(elf: &Elf<'_>, findings: &mut Findings) {
    let is_address = |subject: &Option<String>| subject.as_ref().is_some_and(|subject| subject.starts_with("0x"));
    if !findings.kept().iter().any(|finding| is_address(&finding.subject)) {
        return;
    }
    let functions = elf.functions();
    for finding in findings.kept_mut() {
        let Some(subject) = &mut finding.subject else { continue };
        let Some(address) = subject.strip_prefix("0x").and_then(|hex| u64::from_str_radix(hex, 16).ok()) else {
            continue;
        };
        let after = functions.partition_point(|function| function.address <= address);
        // Of several names of one address the first: the list is sorted, so it is always the same.
        let Some(last) = after.checked_sub(1).and_then(|index| functions.get(index)) else { continue };
        let first = functions.partition_point(|function| function.address < last.address);
        let Some(function) = functions.get(first) else { continue };
        let into = address - function.address;
        if into == 0 {
            *subject = format!("{} at {subject}", function.name);
        } else if into < last.size {
            *subject = format!("{}+{into:#x} at {subject}", function.name);
        }
    }
}
