//! The cross-check: every DWARF function and its SFrame function, row by row
//! over the union of their breakpoints.

use super::Cross;
use super::judge::{Function, Judgement, Pair};
use super::load::{Loaded, TableIn, View};
use super::units::Units;
use crate::base::rule::{Finding, Rule};
use crate::debuginfo::cfi::{Cie, Error, Evaluator, Fde, Reason, Reasons, Restored, Step};
use crate::debuginfo::elf::Elf;
use crate::debuginfo::frame::{Named, Row};
use crate::debuginfo::sframe::{Abi, Entry, Findings, rules};
use rayon::prelude::*;

/// How many functions one thread takes at once.
const CHUNK: usize = 1024;
/// The most blocks of a repeating function (PLT) that are compared.
const MOST_REPEATS: u32 = 4;

/// The most rows of a function that are compared; version 3 cannot count as many.
const MOST_ROWS: usize = 1 << 20;

/// An SFrame function: where, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SframeFunction {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) table: usize,
    pub(super) index: u32,
}

/// A DWARF function.
#[derive(Debug, Clone, Copy)]
pub(super) struct DwarfFunction<'l> {
    pub(super) cie: &'l Cie<'l>,
    pub(super) fde: Fde<'l>,
}

/// Returns the SFrame functions of all tables, by address. Discarded ones are left out.
pub(super) fn sframe_functions(tables: &[TableIn<'_>]) -> Vec<SframeFunction> {
    let mut sframe = Vec::with_capacity(tables.iter().map(|table| table.table.len() as usize).sum());
    for (index, table) in tables.iter().enumerate() {
        for entry in table.table.entries().flatten() {
            if table.container.is_placed(table.offset + entry.offset) {
                let end = entry.start.saturating_add(u64::from(entry.size));
                sframe.push(SframeFunction { start: entry.start, end, table: index, index: entry.index });
            }
        }
    }
    if !sframe.is_sorted() {
        sframe.sort_unstable();
    }
    sframe
}

/// Returns the DWARF functions with bytes in executable sections, by address, each once; and how
/// many are nowhere.
pub(super) fn dwarf_functions<'l>(view: &'l View<'l>, loaded: &Loaded<'_>) -> (Vec<DwarfFunction<'l>>, u64) {
    let mut dwarf = Vec::with_capacity(view.frames.iter().map(|frames| frames.fdes.len()).sum());
    let mut discarded = 0;
    for frames in &view.frames {
        for fde in &frames.fdes {
            let Some(cie) = frames.cies.get(fde.cie as usize) else { continue };
            if fde.len == 0 {
                continue;
            }
            if loaded.is_code(fde.start) {
                dwarf.push(DwarfFunction { cie, fde: *fde });
            } else {
                discarded += 1;
            }
        }
    }
    // Stable, so that of two entries of one function .eh_frame's is kept.
    dwarf.sort_by_key(|dwarf| dwarf.fde.start);
    dwarf.dedup_by_key(|dwarf| dwarf.fde.start);
    (dwarf, discarded)
}

/// Compares both; also returns the bytes of code that SFrame covers.
pub(super) fn cross(elf: &Elf<'_>, view: &View<'_>, loaded: &Loaded<'_>, findings: &mut Findings) -> (Cross, u64) {
    let sframe = sframe_functions(&view.tables);
    let (dwarf, discarded) = dwarf_functions(view, loaded);
    let covered = covered_bytes(&sframe);
    if dwarf.is_empty() {
        return (Cross::default(), covered);
    }
    let parts: Vec<(Cross, Findings, Vec<u64>)> = dwarf
        .par_chunks(CHUNK)
        .map(|chunk| {
            let mut part = Part::new(&view.tables, &sframe, loaded);
            chunk.iter().for_each(|dwarf| part.function(dwarf));
            (part.cross, part.findings, part.lost)
        })
        .collect();
    let mut cross = Cross { discarded, ..Cross::default() };
    let mut lost = Vec::new();
    for (part, found, more) in parts {
        cross += &part;
        findings.merge(found);
        lost.extend(more);
    }
    judge_lost(&lost, &sframe, elf, &mut cross, findings);
    for function in sframe.iter().filter(|function| function.start < function.end) {
        let after = dwarf.partition_point(|dwarf| dwarf.fde.start <= function.start);
        let around = after.checked_sub(1).and_then(|index| dwarf.get(index));
        if around.is_none_or(|dwarf| dwarf.fde.end() <= function.start) {
            cross.extra += 1;
            findings.add(&rules::NO_DWARF, || {
                let (rule, size) = (&rules::NO_DWARF, function.end - function.start);
                Finding::new(rule, format!("{size} bytes")).about(format!("{:#x}", function.start))
            });
        }
    }
    (cross, covered)
}

// A function without an SFrame function is missing if its object has others.
fn judge_lost(lost: &[u64], sframe: &[SframeFunction], elf: &Elf<'_>, cross: &mut Cross, findings: &mut Findings) {
    if lost.is_empty() {
        return;
    }
    let units = Units::of(elf);
    let bare = units.bare(lost, sframe.iter().map(|sframe| sframe.start));
    // A relocatable file is one object, unless its units show otherwise.
    let is_unknown = |start: &u64| !elf.is_relocatable() && !units.has(*start);
    cross.in_units_without_sframe = bare.len() as u64;
    cross.unknown_unit = lost.iter().filter(|start| is_unknown(start)).count() as u64;
    cross.missing_fdes = lost.len() as u64 - cross.in_units_without_sframe - cross.unknown_unit;
    if !bare.is_empty() {
        findings.whole(&rules::UNIT_WITHOUT_SFRAME, || {
            let first = bare.first().copied().unwrap_or(0);
            format!("{} functions, the first at {first:#x}, are of compilation units without SFrame", bare.len())
        });
    }
    for start in lost.iter().filter(|start| !bare.contains(start)) {
        let rule = if is_unknown(start) { &rules::UNKNOWN_UNIT } else { &rules::MISSING_FDE };
        findings
            .add(rule, || Finding::new(rule, "function has DWARF CFI but no SFrame FDE").about(format!("{start:#x}")));
    }
}

fn covered_bytes(sframe: &[SframeFunction]) -> u64 {
    let mut covered = 0_u64;
    let mut reach = 0;
    for function in sframe {
        let from = function.start.max(reach);
        if function.end > from {
            covered = covered.saturating_add(function.end - from);
            reach = function.end;
        }
    }
    covered
}

// Both tables of a function.
#[derive(Clone, Copy)]
struct Rows<'r> {
    sframe: &'r [Step],
    dwarf: &'r [Step],
    /// Rules that the CIE defines.
    initial: Option<Row>,
    abi: Abi,
}

// The errors of one rule in a function.
struct Errors {
    rule: &'static Rule,
    first: Pair,
    count: u64,
}

struct Part<'p, 'l> {
    tables: &'p [TableIn<'l>],
    sframe: &'p [SframeFunction],
    loaded: &'p Loaded<'p>,
    evaluator: Option<(u8, Evaluator)>,
    rows: Vec<Step>,
    cross: Cross,
    findings: Findings,
    lost: Vec<u64>,
}

impl<'p, 'l> Part<'p, 'l> {
    fn new(tables: &'p [TableIn<'l>], sframe: &'p [SframeFunction], loaded: &'p Loaded<'p>) -> Self {
        Self {
            tables,
            sframe,
            loaded,
            evaluator: None,
            rows: Vec::new(),
            cross: Cross::default(),
            findings: Findings::default(),
            lost: Vec::new(),
        }
    }

    fn say(&mut self, rule: &'static Rule, start: u64, message: impl FnOnce() -> String) {
        self.findings.add(rule, || Finding::new(rule, message()).about(format!("{start:#x}")));
    }

    // The SFrame functions of a DWARF one: one, or several that follow each other
    // (the linker writes two for a PLT). The first may begin before `start`.
    fn find(&self, start: u64, end: u64) -> &'p [SframeFunction] {
        let after = self.sframe.partition_point(|sframe| sframe.start <= start);
        let Some(first) = after.checked_sub(1) else { return &[] };
        let mut reach = match self.sframe.get(first) {
            Some(sframe) if start < sframe.end => sframe.end,
            _ => return &[],
        };
        let mut last = after;
        while let Some(next) = self.sframe.get(last).filter(|next| next.start == reach && next.end <= end) {
            reach = next.end;
            last += 1;
        }
        self.sframe.get(first..last).unwrap_or_default()
    }

    // Whether an SFrame function without bytes starts here.
    fn has_empty(&self, start: u64) -> bool {
        self.sframe.binary_search_by_key(&(start, start), |sframe| (sframe.start, sframe.end)).is_ok()
    }

    fn function(&mut self, dwarf: &DwarfFunction<'_>) {
        self.cross.functions += 1;
        let found = self.find(dwarf.fde.start, dwarf.fde.end());
        if found.is_empty() && self.has_empty(dwarf.fde.start) {
            self.cross.covered += 1;
            let bytes = dwarf.fde.len;
            self.say(&rules::RANGE, dwarf.fde.start, || format!("SFrame has no bytes, DWARF {bytes} bytes"));
            return;
        }
        // The version decides what the assembler could express; without a function, that of any table.
        let table = found.first().map_or(0, |sframe| sframe.table);
        let Some(table) = self.tables.get(table) else { return };
        let version = table.table.header().version;
        let abi = table.table.abi();
        let mut evaluator = match self.evaluator.take() {
            Some((made_for, evaluator)) if made_for == version => evaluator,
            _ => Evaluator::new(abi, version),
        };
        let start = dwarf.fde.start;
        match evaluator.run(dwarf.cie, &dwarf.fde) {
            Ok((_, reasons)) if found.is_empty() => self.missing(start, reasons),
            Ok((steps, _)) => self.covered(table, found, dwarf, steps, abi),
            Err(Error::Instruction { .. }) if found.is_empty() => {
                let mut reasons = Reasons::default();
                reasons.add(Reason::Unknown);
                self.missing(start, reasons);
            }
            Err(error) => {
                self.cross.covered += u64::from(!found.is_empty());
                self.findings.add(&rules::CFI_DAMAGED, || {
                    let finding = Finding::new(&rules::CFI_DAMAGED, error.to_string()).about(format!("{start:#x}"));
                    finding.at(dwarf.fde.offset)
                });
            }
        }
        self.evaluator = Some((version, evaluator));
    }

    fn missing(&mut self, start: u64, reasons: Reasons) {
        // No assembler wrote this: the linker describes its own PLT.
        if self.loaded.is_plt(start) {
            self.cross.plt_without += 1;
            self.say(&rules::PLT, start, || "PLT has DWARF CFI but no SFrame FDE".to_owned());
            return;
        }
        match reasons.iter().next() {
            Some(reason) => *self.cross.not_representable.entry(reason).or_default() += 1,
            None => self.lost.push(start),
        }
    }

    fn covered(
        &mut self,
        table: &TableIn<'_>,
        found: &[SframeFunction],
        dwarf: &DwarfFunction<'_>,
        steps: &[Step],
        abi: Abi,
    ) {
        self.cross.covered += 1;
        let (start, end) = (dwarf.fde.start, dwarf.fde.end());
        let (Some(first), Some(last)) = (found.first(), found.last()) else { return };
        if (first.start, last.end) != (start, end) {
            self.say(&rules::RANGE, start, || {
                let (from, size) = (first.start, last.end - first.start);
                format!("SFrame {from:#x} and {size} bytes, DWARF {start:#x} and {} bytes", end - start)
            });
        }
        // An entry that begins elsewhere describes another function.
        if first.start != start {
            return;
        }
        let mut rows = std::mem::take(&mut self.rows);
        let mut part = Vec::new();
        for sframe in found {
            let Ok(Some(entry)) = table.table.entry(sframe.index) else { continue };
            self.marks(table, &entry, dwarf);
            if entry.fres == 0 && entry.is_signal() && dwarf.cie.is_signal {
                self.cross.undescribed_signal_frames += 1;
                continue;
            }
            sframe_rows(table, &entry, &mut rows);
            let initial = dwarf.cie.initial.ok().map(|initial| initial.row());
            let both = Rows { sframe: &rows, dwarf: behind(steps, sframe.start - start, &mut part), initial, abi };
            if entry.is_mask() {
                self.repeating(&entry, both);
            } else {
                self.compare(sframe.start, (sframe.end - sframe.start).min(end - sframe.start), both);
            }
        }
        self.rows = rows;
    }

    fn marks(&mut self, table: &TableIn<'_>, entry: &Entry, dwarf: &DwarfFunction<'_>) {
        let words = |set: bool| if set { "is marked" } else { "is not" };
        if table.table.header().version == 3 && entry.is_signal() != dwarf.cie.is_signal {
            let (one, two) = (words(entry.is_signal()), words(dwarf.cie.is_signal));
            self.say(&rules::SIGNAL, entry.start, || format!("in SFrame it {one}, in DWARF it {two}"));
        }
        if table.table.abi().is_aarch64() && entry.is_b_key() != dwarf.cie.is_b_key {
            let (one, two) = (words(entry.is_b_key()), words(dwarf.cie.is_b_key));
            self.say(&rules::KEY, entry.start, || format!("in SFrame it {one}, in DWARF it {two}"));
        }
    }

    fn compare(&mut self, start: u64, len: u64, rows: Rows<'_>) {
        let function =
            Function { abi: rows.abi, first: rows.sframe.first().map(|step| step.row), initial: rows.initial };
        let mut total = 0_u64;
        let mut errors: Vec<Errors> = Vec::new();
        for pair in union(rows.sframe, rows.dwarf, len) {
            match function.judge(&pair) {
                Judgement::Opaque => {
                    self.cross.opaque += 1;
                    continue;
                }
                Judgement::Agree => {}
                Judgement::Error(rule) => match errors.iter_mut().find(|errors| errors.rule == rule) {
                    Some(errors) => errors.count += 1,
                    None => errors.push(Errors { rule, first: pair, count: 1 }),
                },
            }
            total += 1;
        }
        self.cross.rows += total;
        let count =
            |rule: &Rule| errors.iter().filter(|errors| errors.rule == rule).map(|errors| errors.count).sum::<u64>();
        let (mismatch, restore, impossible) =
            (count(&rules::MISMATCH), count(&rules::RESTORE), count(&rules::IMPOSSIBLE));
        self.cross.mismatched_rows += mismatch + restore;
        self.cross.mismatched += u64::from(mismatch + restore > 0);
        self.cross.restore_fault_rows += restore;
        self.cross.restore_faults += u64::from(restore > 0);
        self.cross.impossible_rows += impossible;
        self.cross.impossible += u64::from(impossible > 0);
        for Errors { rule, first, count } in errors {
            self.say(rule, start, || {
                let more = if count > 1 { format!("; {count} of {total} rows") } else { String::new() };
                let (sframe, dwarf) = (named(first.sframe, rows.abi), named(first.dwarf, rows.abi));
                format!("from +{:#x} on SFrame has {sframe}, DWARF {dwarf}{more}", first.start)
            });
        }
    }

    // PLT slots: the rows apply to each block of rep_size bytes.
    fn repeating(&mut self, entry: &Entry, rows: Rows<'_>) {
        let repeat = match entry.rep_size {
            0 => 16,
            size => u32::from(size),
        };
        let blocks = (entry.size / repeat).clamp(1, MOST_REPEATS);
        let mut unrolled = Vec::with_capacity(rows.sframe.len() * blocks as usize);
        for block in 0..blocks {
            let at = u64::from(block) * u64::from(repeat);
            unrolled.extend(rows.sframe.iter().map(|step| Step { start: at.saturating_add(step.start), ..*step }));
        }
        let len = u64::from(entry.size).min(u64::from(blocks) * u64::from(repeat));
        self.compare(entry.start, len, Rows { sframe: &unrolled, ..rows });
    }
}

// The rows from an offset on, as if the function began there.
fn behind<'s>(steps: &'s [Step], offset: u64, part: &'s mut Vec<Step>) -> &'s [Step] {
    if offset == 0 {
        return steps;
    }
    part.clear();
    let first = steps.partition_point(|step| step.start <= offset).saturating_sub(1);
    for step in steps.get(first..).unwrap_or_default() {
        part.push(Step { start: step.start.saturating_sub(offset), ..*step });
    }
    part
}

/// Returns a row in the words of an ABI.
pub(super) fn named(row: Option<Row>, abi: Abi) -> String {
    row.map_or_else(|| "no row".to_owned(), |row| Named { row, sp: abi.sp(), fp: abi.fp() }.to_string())
}

/// The rows of an SFrame function, as far as they can be read.
pub(super) fn sframe_rows(table: &TableIn<'_>, entry: &Entry, rows: &mut Vec<Step>) {
    rows.clear();
    if entry.fres == 0 && table.table.header().version == 3 {
        rows.push(Step { start: 0, row: Row::OUTERMOST, restored: Restored::default() });
    }
    for fre in table.table.fres(entry).map_while(Result::ok).take(MOST_ROWS) {
        let row = table.table.decode(entry, &fre);
        let step = Step { start: u64::from(fre.start), row, restored: Restored::default() };
        // Rows out of order are a finding of their own; a comparison could only repeat it.
        if rows.last().is_none_or(|last| last.start < step.start) {
            rows.push(step);
        }
    }
}

/// Both tables over the union of their breakpoints, up to `len`. A row that
/// starts at or after `len` covers nothing.
pub(super) fn union<'s>(sframe: &'s [Step], dwarf: &'s [Step], len: u64) -> impl Iterator<Item = Pair> + 's {
    let (mut one, mut two) = (0, 0);
    let (mut left, mut right): (_, Option<Step>) = (None, None);
    std::iter::from_fn(move || {
        let next_one = sframe.get(one).map(|step: &Step| step.start);
        let next_two = dwarf.get(two).map(|step: &Step| step.start);
        let start = match (next_one, next_two) {
            (Some(a), Some(b)) => a.min(b),
            (Some(a), None) => a,
            (None, b) => b?,
        };
        if start >= len {
            return None;
        }
        if next_one == Some(start) {
            left = sframe.get(one).map(|step| step.row);
            one += 1;
        }
        if next_two == Some(start) {
            right = dwarf.get(two).copied();
            two += 1;
        }
        let restored = right.map(|step| step.restored).unwrap_or_default();
        Some(Pair { start, sframe: left, dwarf: right.map(|step| step.row), restored })
    })
}
