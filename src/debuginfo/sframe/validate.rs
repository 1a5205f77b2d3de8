//! Validates a section: headers, function tables, and what
//! the ELF file around them must be. Rows are in `validate_rows`.

use super::findings::Findings;
use super::header::{Abi, Error, Header};
use super::rules::*;
use super::validate_rows::{Rows, row_error};
use super::{Addressing, Entry, SHT_GNU_SFRAME, Table, Tables};
use crate::base::rule::{Finding, Rule};

/// Facts about the section from the ELF file.
#[derive(Debug, Clone, Copy)]
pub struct Container<'a> {
    /// `.sframe`
    pub name: &'a str,
    /// `sh_type`
    pub kind: u32,
    /// Its address, as laid out.
    pub address: u64,
    /// Whether the file is relocatable.
    pub relocatable: bool,
    /// The ABI of the file's machine and byte order; `None` if that has none.
    pub machine: Option<Abi>,
    /// Addresses from and to of `PT_GNU_SFRAME`; `None` without one.
    pub segment: Option<(u64, u64)>,
    /// Executable sections, from and to, by address.
    pub code: &'a [(u64, u64)],
    /// Relocations of the section, by offset; empty in a linked file.
    pub relocations: &'a [(u64, Relocation)],
}

/// Effect of a relocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relocation {
    /// It was applied.
    Applied,
    /// `R_*_NONE`
    None,
    /// It could not be applied: this is why.
    Broken(&'static str),
}

impl Container<'_> {
    /// Returns whether a start field, given by its offset in the section, is relocated to a function.
    #[must_use]
    pub fn is_placed(&self, field: u64) -> bool {
        !self.relocatable || self.relocation(field) == Some(Relocation::Applied)
    }

    fn relocation(&self, field: u64) -> Option<Relocation> {
        let index = self.relocations.binary_search_by_key(&field, |(offset, _)| *offset).ok()?;
        self.relocations.get(index).map(|(_, relocation)| *relocation)
    }

    /// Base of the addresses in the section's tables.
    #[must_use]
    pub fn addressing(&self) -> Addressing {
        Addressing { address: self.address, relocatable: self.relocatable }
    }

    // An orphan that no linker merges and no unwinder looks for.
    fn is_renamed(&self) -> bool {
        self.name != ".sframe"
    }

    fn has_code(&self, start: u64, end: u64) -> bool {
        let after = self.code.partition_point(|(from, _)| *from <= start);
        let Some((_, to)) = after.checked_sub(1).and_then(|index| self.code.get(index)) else { return false };
        // A function without bytes (`__builtin_unreachable()` alone) may be at the end of its section.
        end <= *to && (start < *to || start == end)
    }
}

/// Counts collected during validation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Rows that were read.
    pub fres: u64,
    /// Rows that equal the row before them.
    pub duplicates: u64,
    /// Functions of the type MASK.
    pub masked: u64,
    /// Flexible functions.
    pub flexible: u64,
    /// Signal frames.
    pub signals: u64,
    /// Functions share so many rows that there are more than the section can
    /// hold: reading them all could take for ever.
    pub excessive: bool,
}

impl std::ops::AddAssign for Statistics {
    fn add_assign(&mut self, other: Self) {
        self.fres += other.fres;
        self.duplicates += other.duplicates;
        self.masked += other.masked;
        self.flexible += other.flexible;
        self.signals += other.signals;
        self.excessive |= other.excessive;
    }
}

fn header_rule(error: Error) -> &'static Rule {
    match error {
        Error::Short { .. } => &SHORT,
        Error::Magic { .. } => &MAGIC_WRONG,
        Error::Version { .. } => &VERSION,
        Error::Abi { .. } => &ABI,
        Error::Extent { .. } => &EXTENT,
        other => row_error(other),
    }
}

/// Holds a section against every rule of its structure.
pub fn validate(section: &[u8], container: &Container<'_>, findings: &mut Findings) -> Statistics {
    let mut sum = Statistics::default();
    if section.is_empty() {
        findings.whole(&EMPTY, || format!("{} has no bytes", container.name));
        return sum;
    }
    section_kind(section, container, findings);
    let mut first: Option<Table<'_>> = None;
    for (offset, table) in Tables::new(section, container.addressing()) {
        let table = match table {
            Ok(table) => table,
            // The first bytes are the section's own header; later ones only may be another's.
            Err(error) if first.is_some() && matches!(error, Error::Magic { .. } | Error::Short { .. }) => {
                findings.at(&TRAILING, offset, || error.to_string());
                break;
            }
            Err(error) => {
                findings.at(header_rule(error), offset, || error.to_string());
                break;
            }
        };
        match &first {
            None => first = Some(table),
            Some(first) => following(first, &table, offset, container, findings),
        }
        sum += Check { table, offset, container, findings: &mut *findings, sum: Statistics::default() }.run();
    }
    sum
}

fn section_kind(section: &[u8], container: &Container<'_>, findings: &mut Findings) {
    let current = Header::read(section).is_ok_and(|(header, _)| header.version == 3 || header.is_pcrel());
    if container.kind != SHT_GNU_SFRAME {
        let rule = if current || container.kind != object::elf::SHT_PROGBITS.0 { &SECTION_TYPE } else { &PROGBITS };
        findings.whole(rule, || format!("{} has the type {:#x}", container.name, container.kind));
    }
    if container.relocatable || container.is_renamed() {
        return;
    }
    let end = container.address.saturating_add(section.len() as u64);
    match container.segment {
        Some((from, to)) if from <= container.address && end <= to => {}
        Some((from, to)) => findings.whole(&SEGMENT, || {
            format!(
                "{} is at {:#x} to {end:#x}, the segment at {from:#x} to {to:#x}",
                container.name, container.address
            )
        }),
        // Linkers before 2.45 knew no such segment for a section of the type PROGBITS.
        None if current => {
            findings.whole(&NO_SEGMENT, || "the linker script has program headers of its own".to_owned())
        }
        None => {}
    }
}

fn following(first: &Table<'_>, table: &Table<'_>, offset: u64, container: &Container<'_>, findings: &mut Findings) {
    let rule = if container.is_renamed() { &RENAMED } else { &CONCATENATED };
    findings.at(rule, offset, || format!("another header of {} functions in {}", table.len(), container.name));
    let (one, two) = (first.header(), table.header());
    let of = |header: &Header| (header.version, header.abi, header.fixed_fp, header.fixed_ra);
    if of(one) != of(two) {
        findings.at(&MIXED, offset, || {
            format!(
                "version {}, ABI {}, fixed offsets {} and {}; the first has version {}, ABI {}, {} and {}",
                two.version, two.abi, two.fixed_fp, two.fixed_ra, one.version, one.abi, one.fixed_fp, one.fixed_ra
            )
        });
    }
}

struct Check<'f, 'a> {
    table: Table<'a>,
    /// Of the table in its section.
    offset: u64,
    container: &'f Container<'f>,
    findings: &'f mut Findings,
    sum: Statistics,
}

impl Check<'_, '_> {
    fn run(mut self) -> Statistics {
        self.header();
        let header = *self.table.header();
        // Start and end in the FRE area of each function's rows. The FDE table is in
        // the section, so this is not larger than the section.
        let mut areas: Vec<(u64, u64)> = Vec::with_capacity(header.fdes as usize);
        let mut ranges: Vec<(u64, u64, u64)> = Vec::with_capacity(header.fdes as usize);
        let mut last: Option<u64> = None;
        let mut claimed = 0_u64;
        for index in 0..header.fdes {
            let entry = match self.table.entry(index) {
                Ok(Some(entry)) => entry,
                Ok(None) => break,
                Err(error) => {
                    self.findings.at(&ATTRIBUTES, self.offset, || error.to_string());
                    continue;
                }
            };
            claimed += u64::from(entry.fres);
            self.entry(&entry);
            if self.is_placed(&entry) {
                ranges.push((entry.start, entry.end(), entry.offset));
                if header.is_sorted() && last.is_some_and(|last| last > entry.start) {
                    self.say(&UNSORTED, &entry, || format!("it comes after {:#x}", last.unwrap_or(0)));
                }
                last = Some(entry.start);
            }
            areas.push(self.rows(&entry));
        }
        self.counts(claimed, areas);
        self.ranges(ranges);
        self.sum
    }

    fn say(&mut self, rule: &'static Rule, entry: &Entry, message: impl FnOnce() -> String) {
        let (offset, start) = (self.offset + entry.offset, entry.start);
        self.findings.add(rule, || Finding::new(rule, message()).at(offset).about(format!("{start:#x}")));
    }

    fn is_placed(&self, entry: &Entry) -> bool {
        self.container.is_placed(self.offset + entry.offset)
    }

    fn header(&mut self) {
        let (header, abi, at) = (*self.table.header(), self.table.abi(), self.offset);
        let unknown = header.flags & !header.known_flags();
        if unknown != 0 {
            let version = header.version;
            self.findings.at(&FLAGS, at + 3, || format!("{unknown:#04x} is not defined in version {version}"));
        }
        if self.container.machine != Some(abi) {
            let file = self.container.machine.map_or("of no ABI with SFrame data", Abi::name);
            self.findings.at(&ABI_FILE, at + 4, || format!("the data is for {}, the file is {file}", abi.name()));
        }
        let (fde_off, aux) = (header.fde_off, header.aux_len);
        if fde_off != 0 || aux != 0 {
            self.findings.at(&AUX, at + 7, || format!("auxiliary header of {aux} bytes, FDE table at {fde_off:#x}"));
        }
        if header.fixed_ra != abi.fixed_ra() {
            let (found, want) = (header.fixed_ra, abi.fixed_ra());
            self.findings.at(&FIXED_RA, at + 6, || format!("{found}, {} has {want}", abi.name()));
        }
        if header.fixed_fp != 0 {
            self.findings.at(&FIXED_FP, at + 5, || format!("{}", header.fixed_fp));
        }
        if self.container.relocatable && header.version == 3 && !header.is_pcrel() {
            self.findings.at(&LINK_PCREL, at + 3, || format!("version 3, flags are {:#04x}", header.flags));
        }
        if self.container.relocatable || self.container.is_renamed() {
            return;
        }
        if !header.is_sorted() {
            self.findings.at(&LINK_UNSORTED, at + 3, || format!("flags are {:#04x}", header.flags));
        }
        if !header.is_pcrel() {
            let rule = if header.version == 3 { &LINK_PCREL } else { &LINK_SECTION };
            self.findings.at(rule, at + 3, || format!("version {}, flags are {:#04x}", header.version, header.flags));
        }
    }

    fn entry(&mut self, entry: &Entry) {
        let (version, abi) = (self.table.header().version, self.table.abi());
        self.sum.masked += u64::from(entry.is_mask());
        self.sum.signals += u64::from(version == 3 && entry.is_signal());
        if entry.fre_type() > 2 {
            self.say(&FRE_TYPE, entry, || format!("type {}", entry.fre_type()));
        } else {
            let least = if entry.size < 0x100 {
                0
            } else if entry.size < 0x1_0000 {
                1
            } else {
                2
            };
            if entry.fre_type() > least && entry.fres > 0 {
                self.say(&FRE_TYPE_WIDE, entry, || format!("type {}, {} bytes", entry.fre_type(), entry.size));
            }
        }
        match entry.fde_type() {
            0 => {}
            1 => {
                self.sum.flexible += 1;
                if !abi.has_flexible() {
                    self.say(&FLEXIBLE_ABI, entry, || abi.name().to_owned());
                }
            }
            found => self.say(&FDE_TYPE, entry, || format!("type {found}")),
        }
        if entry.info & 0x40 != 0 || entry.info2 & 0xe0 != 0 || entry.padding != 0 {
            self.say(&UNUSED_BITS, entry, || {
                format!("info {:#04x}, {:#04x}, padding {:#06x}", entry.info, entry.info2, entry.padding)
            });
        }
        if entry.is_b_key() && !abi.is_aarch64() {
            self.say(&B_KEY, entry, || abi.name().to_owned());
        }
        if entry.is_signal() && version < 3 {
            self.say(&EARLY_SIGNAL, entry, || format!("version {version}"));
        }
        let repeat = entry.rep_size;
        if entry.is_mask() && version > 1 && (repeat == 0 || u32::from(repeat) > entry.size) {
            self.say(&REP_SIZE, entry, || format!("{repeat} of {} bytes", entry.size));
        } else if !entry.is_mask() && repeat != 0 {
            self.say(&REP_SIZE_INC, entry, || format!("{repeat}"));
        }
        if entry.fres == 0 && (version < 3 || entry.fde_type() != 0) {
            self.say(&NO_ROWS, entry, || format!("{} bytes", entry.size));
        }
        self.place(entry);
    }

    fn place(&mut self, entry: &Entry) {
        let field = self.offset + entry.offset;
        if self.container.relocatable {
            match self.container.relocation(field) {
                Some(Relocation::Applied) => {}
                Some(Relocation::None) => return self.say(&DISCARDED, entry, || "relocation NONE".to_owned()),
                Some(Relocation::Broken(why)) => return self.say(&NO_RELOCATION, entry, || why.to_owned()),
                None => return self.say(&NO_RELOCATION, entry, || "no relocation".to_owned()),
            }
        }
        if !self.container.has_code(entry.start, entry.start.saturating_add(u64::from(entry.size))) {
            self.say(&NOT_CODE, entry, || format!("{} bytes", entry.size));
        }
    }

    fn rows(&mut self, entry: &Entry) -> (u64, u64) {
        let attributes = if self.table.header().version == 3 { 5 } else { 0 };
        // A row has two bytes at least, so rows that share nothing are fewer than this.
        if self.sum.fres > u64::from(self.table.header().fre_len) {
            self.sum.excessive = true;
            return (entry.rows_at - attributes, entry.rows_at);
        }
        let rows = Rows { table: &self.table, entry, offset: self.offset, findings: self.findings };
        let (end, fres, duplicates) = rows.check();
        self.sum.fres += fres;
        self.sum.duplicates += duplicates;
        (entry.rows_at - attributes, end)
    }

    fn counts(&mut self, claimed: u64, mut areas: Vec<(u64, u64)>) {
        let header = *self.table.header();
        let offset = self.offset;
        if claimed != u64::from(header.fres) {
            self.findings
                .at(&FRES, offset + 12, || format!("{} in the header, {claimed} in the functions", header.fres));
        }
        let taken: u64 = areas.iter().map(|(start, end)| end - start).sum();
        if taken > u64::from(header.fre_len) {
            self.findings.at(&FRE_AREA, offset + 16, || format!("{taken} bytes of {}", header.fre_len));
        }
        areas.retain(|(start, end)| start < end);
        areas.sort_unstable();
        let (mut at, end) = header.fre_area();
        for (start, stop) in areas {
            if start > at {
                self.findings.at(&FRE_GAP, offset + at, || format!("{} bytes", start - at));
            } else if start < at {
                self.findings.at(&FRE_SHARED, offset + start, || format!("{} bytes", at.min(stop) - start));
            }
            at = at.max(stop);
        }
        if at < end {
            self.findings.at(&FRE_GAP, offset + at, || format!("{} bytes", end - at));
        }
        if self.sum.duplicates > 0 {
            let duplicates = self.sum.duplicates;
            self.findings.at(&DUPLICATE, offset, || format!("{duplicates} of {claimed} rows"));
        }
    }

    fn ranges(&mut self, mut ranges: Vec<(u64, u64, u64)>) {
        ranges.sort_unstable();
        // The furthest end so far, and whose it is.
        let mut furthest: Option<(u64, u64)> = None;
        let mut previous: Option<u64> = None;
        for (start, end, entry) in ranges {
            let field = self.offset + entry;
            if previous == Some(start) {
                self.findings.at(&EQUAL_STARTS, field, || format!("{start:#x}"));
            }
            if let Some((reach, whose)) = furthest
                && start < reach
                && start < end
            {
                self.findings.at(&OVERLAP, field, || {
                    format!("{start:#x} to {end:#x} begins inside of {whose:#x} to {reach:#x}")
                });
            }
            if start < end && furthest.is_none_or(|(reach, _)| end > reach) {
                furthest = Some((end, start));
            }
            previous = Some(start);
        }
    }
}
