//! As JSON (docs/sframe.md).

use crate::base::rule::Finding;
use crate::debuginfo::sframe::compare::{Bytes, Cross, Report, ScanResult, Segment, Side, Sides, Total};
use serde::Serialize;
use std::collections::BTreeMap;

/// The number of the JSON form of `sframe check`.
pub const SCHEMA: u32 = 2;
/// That of `sframe rows`.
pub const ROWS_SCHEMA: u32 = 2;

#[derive(Serialize)]
struct Form<'a> {
    schema: u32,
    ok: bool,
    total: TotalForm,
    files: Vec<FileForm<'a>>,
}

#[derive(Serialize)]
struct TotalForm {
    files: u64,
    with_sframe: u64,
    others: u64,
    versions: Vec<u8>,
    abis: Vec<&'static str>,
    fdes: u64,
    fres: u64,
    cross: CrossForm,
    bytes: BytesForm,
    errors: u64,
    warnings: u64,
}

#[derive(Serialize)]
struct FileForm<'a> {
    file: &'a str,
    tables: Vec<TableForm<'a>>,
    cross: Option<CrossForm>,
    bytes: BytesForm,
    counts: BTreeMap<&'static str, u64>,
    findings: &'a [Finding],
}

#[derive(Serialize)]
struct TableForm<'a> {
    section: &'a str,
    offset: u64,
    version: u8,
    abi: &'static str,
    flags: u8,
    fdes: u32,
    fres: u32,
    bytes: u64,
}

#[derive(Serialize)]
struct CrossForm {
    functions: u64,
    discarded: u64,
    covered: u64,
    not_representable: BTreeMap<&'static str, u64>,
    missing_fdes: u64,
    in_units_without_sframe: u64,
    unknown_unit: u64,
    extra: u64,
    undescribed_signal_frames: u64,
    rows: u64,
    mismatched_rows: u64,
    mismatched_functions: u64,
    restore_fault_rows: u64,
    restore_fault_functions: u64,
    impossible_dwarf_rows: u64,
    impossible_dwarf_functions: u64,
    plt_without_sframe: u64,
    opaque: u64,
}

#[derive(Serialize)]
struct BytesForm {
    sframe: u64,
    eh_frame: u64,
    debug_frame: u64,
    text: u64,
    covered_text: u64,
}

impl From<Bytes> for BytesForm {
    fn from(bytes: Bytes) -> Self {
        let Bytes { sframe, eh_frame, debug_frame, text, covered } = bytes;
        Self { sframe, eh_frame, debug_frame, text, covered_text: covered }
    }
}

impl From<&Cross> for CrossForm {
    fn from(cross: &Cross) -> Self {
        Self {
            functions: cross.functions,
            discarded: cross.discarded,
            covered: cross.covered,
            not_representable: cross.not_representable.iter().map(|(reason, count)| (reason.name(), *count)).collect(),
            missing_fdes: cross.missing_fdes,
            in_units_without_sframe: cross.in_units_without_sframe,
            unknown_unit: cross.unknown_unit,
            extra: cross.extra,
            undescribed_signal_frames: cross.undescribed_signal_frames,
            rows: cross.rows,
            mismatched_rows: cross.mismatched_rows,
            mismatched_functions: cross.mismatched,
            restore_fault_rows: cross.restore_fault_rows,
            restore_fault_functions: cross.restore_faults,
            impossible_dwarf_rows: cross.impossible_rows,
            impossible_dwarf_functions: cross.impossible,
            plt_without_sframe: cross.plt_without,
            opaque: cross.opaque,
        }
    }
}

fn file(report: &Report) -> FileForm<'_> {
    let table = |table: &crate::debuginfo::sframe::compare::TableFacts| (table.version, table.abi.name());
    let tables = report.tables.iter().map(|facts| {
        let (version, abi) = table(facts);
        TableForm {
            section: &facts.section,
            offset: facts.offset,
            version,
            abi,
            flags: facts.flags,
            fdes: facts.fdes,
            fres: facts.fres,
            bytes: facts.bytes,
        }
    });
    FileForm {
        file: &report.name,
        tables: tables.collect(),
        cross: report.cross.as_ref().map(CrossForm::from),
        bytes: report.bytes.into(),
        counts: report.findings.counts().map(|(code, _, count)| (code, count)).collect(),
        findings: report.findings.kept(),
    }
}

/// Returns the findings as JSON that ends in a newline.
pub fn json(scan: &ScanResult, deny_warnings: bool) -> serde_json::Result<String> {
    let total = Total::of(&scan.reports);
    let form = Form {
        schema: SCHEMA,
        ok: total.is_good(deny_warnings),
        total: TotalForm {
            files: total.files,
            with_sframe: total.with_sframe,
            others: scan.others,
            versions: total.versions.iter().copied().collect(),
            abis: total.abis.iter().copied().collect(),
            fdes: total.fdes,
            fres: total.fres,
            cross: CrossForm::from(&total.cross),
            bytes: total.bytes.into(),
            errors: total.errors,
            warnings: total.warnings,
        },
        files: scan.reports.iter().map(file).collect(),
    };
    serde_json::to_string_pretty(&form).map(|text| text + "\n")
}

#[derive(Serialize)]
struct RowsForm<'a> {
    schema: u32,
    functions: Vec<FunctionForm<'a>>,
}

#[derive(Serialize)]
struct FunctionForm<'a> {
    name: &'a str,
    // JSON readers round numbers above 2^53.
    start: String,
    sframe_bytes: Option<u64>,
    dwarf_bytes: Option<u64>,
    reasons: Vec<&'static str>,
    rows: Vec<RowForm<'a>>,
}

#[derive(Serialize)]
struct RowForm<'a> {
    start: u64,
    sframe: Option<SideForm<'a>>,
    dwarf: Option<SideForm<'a>>,
    agree: Option<bool>,
}

#[derive(Serialize)]
struct SideForm<'a> {
    cfa: &'a str,
    ra: &'a str,
    fp: &'a str,
}

/// Returns both tables of functions, ending in a newline.
pub fn rows_json(functions: &[Sides]) -> serde_json::Result<String> {
    fn side(side: &Side) -> SideForm<'_> {
        SideForm { cfa: &side.cfa, ra: &side.ra, fp: &side.fp }
    }
    fn row(segment: &Segment) -> RowForm<'_> {
        RowForm {
            start: segment.start,
            sframe: segment.sframe.as_ref().map(side),
            dwarf: segment.dwarf.as_ref().map(side),
            agree: segment.agree,
        }
    }
    let functions = functions.iter().map(|sides| FunctionForm {
        name: &sides.name,
        start: format!("{:#x}", sides.start),
        sframe_bytes: sides.sframe,
        dwarf_bytes: sides.dwarf,
        reasons: sides.reasons.iter().map(|reason| reason.name()).collect(),
        rows: sides.segments.iter().map(row).collect(),
    });
    let form = RowsForm { schema: ROWS_SCHEMA, functions: functions.collect() };
    serde_json::to_string_pretty(&form).map(|text| text + "\n")
}
