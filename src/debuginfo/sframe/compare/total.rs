//! The sum over all files, and the result of a check.

use super::{Bytes, Cross, Report};
use crate::base::check_result::{CheckResult, Verdict};
use crate::base::rule::{Finding, Severity};
use std::collections::BTreeSet;

/// All files together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Total {
    /// ELF files and members of archives.
    pub files: u64,
    /// Of these, with SFrame data.
    pub with_sframe: u64,
    /// The versions that were seen.
    pub versions: BTreeSet<u8>,
    /// The ABIs that were seen.
    pub abis: BTreeSet<&'static str>,
    /// SFrame functions.
    pub fdes: u64,
    /// SFrame rows.
    pub fres: u64,
    /// The comparison with DWARF.
    pub cross: Cross,
    /// Bytes, of files with SFrame data only: so that sizes can be compared.
    pub bytes: Bytes,
    /// Findings that are errors.
    pub errors: u64,
    /// Findings that are warnings.
    pub warnings: u64,
}

impl Total {
    /// Adds up.
    #[must_use]
    pub fn of(reports: &[Report]) -> Self {
        let mut total = Self::default();
        for report in reports {
            total.add(report);
        }
        total
    }

    fn add(&mut self, report: &Report) {
        self.files += 1;
        self.errors += report.findings.count(Severity::Error);
        self.warnings += report.findings.count(Severity::Warning);
        if !report.has_sframe() {
            return;
        }
        self.with_sframe += 1;
        for table in &report.tables {
            self.versions.insert(table.version);
            self.abis.insert(table.abi.name());
            self.fdes += u64::from(table.fdes);
            self.fres += u64::from(table.fres);
        }
        if let Some(cross) = &report.cross {
            self.cross += cross;
        }
        let bytes = report.bytes;
        self.bytes.sframe += bytes.sframe;
        self.bytes.eh_frame += bytes.eh_frame;
        self.bytes.debug_frame += bytes.debug_frame;
        self.bytes.text += bytes.text;
        self.bytes.covered += bytes.covered;
    }

    /// Returns whether everything is as it should be.
    #[must_use]
    pub fn is_good(&self, deny_warnings: bool) -> bool {
        self.with_sframe > 0 && self.errors == 0 && !(deny_warnings && self.warnings > 0)
    }

    /// `v3`, `v1+v2`
    #[must_use]
    pub fn version_words(&self) -> String {
        self.versions.iter().map(|version| format!("v{version}")).collect::<Vec<_>>().join("+")
    }
}

/// Summary of a check.
#[must_use]
pub fn check_result(total: &Total, reports: &[Report], deny_warnings: bool) -> CheckResult {
    let good = total.is_good(deny_warnings);
    let cross = &total.cross;
    let why = (!good).then(|| {
        if total.with_sframe == 0 {
            return format!("no SFrame data in {} files", total.files);
        }
        let mut words = vec![format!("{} errors, {} warnings", total.errors, total.warnings)];
        if cross.missing_fdes > 0 {
            words.push(format!("{} missing FDEs", cross.missing_fdes));
        }
        if cross.plt_without > 0 {
            words.push(format!("{} PLTs without SFrame", cross.plt_without));
        }
        if cross.mismatched_rows > 0 {
            words.push(format!("{} rows in {} functions disagree with DWARF", cross.mismatched_rows, cross.mismatched));
        }
        if cross.restore_fault_rows > 0 {
            words.push(format!("{} of them by the assembler's fault with .cfi_restore", cross.restore_fault_rows));
        }
        if cross.impossible_rows > 0 {
            let (rows, functions) = (cross.impossible_rows, cross.impossible);
            words.push(format!("{rows} rows in {functions} functions are impossible in DWARF"));
        }
        words.join(", ")
    });
    let summary = match total.with_sframe {
        0 => "no SFrame data".to_owned(),
        _ => format!("{} {} FDEs", total.version_words(), crate::base::units::grouped(total.fdes)),
    };
    let mut figures: Vec<(String, f64)> = [
        ("files", total.files),
        ("fdes", total.fdes),
        ("fres", total.fres),
        ("functions", cross.functions),
        ("covered", cross.covered),
        ("not_representable", cross.all_not_representable()),
        ("missing_fdes", cross.missing_fdes),
        ("in_units_without_sframe", cross.in_units_without_sframe),
        ("unknown_unit", cross.unknown_unit),
        ("extra", cross.extra),
        ("compared_rows", cross.rows),
        ("mismatched_rows", cross.mismatched_rows),
        ("restore_fault_rows", cross.restore_fault_rows),
        ("restore_fault_functions", cross.restore_faults),
        ("impossible_dwarf_rows", cross.impossible_rows),
        ("plt_without_sframe", cross.plt_without),
        ("bytes", total.bytes.sframe),
        ("eh_frame_bytes", total.bytes.eh_frame),
        ("debug_frame_bytes", total.bytes.debug_frame),
        ("text_bytes", total.bytes.text),
        ("covered_text_bytes", total.bytes.covered),
        ("error_findings", total.errors),
        ("warning_findings", total.warnings),
    ]
    .map(|(name, number)| (name.to_owned(), number as f64))
    .to_vec();
    for (reason, count) in &cross.not_representable {
        figures.push((format!("not_representable.{reason}"), *count as f64));
    }
    let state = if good { Verdict::Pass } else { Verdict::Fail };
    let mut check_result = CheckResult { state, why, summary: Some(summary), figures, ..CheckResult::default() };
    if !good {
        (check_result.findings, check_result.findings_total) = first_findings(reports, deny_warnings);
    }
    check_result
}

/// Number of findings that a result quotes.
const QUOTED: usize = 3;

// The first findings that fail the check, with their files where there are several, and how many there are.
fn first_findings(reports: &[Report], deny_warnings: bool) -> (Vec<String>, u64) {
    let counts = |severity: Severity| severity == Severity::Error || deny_warnings;
    let of_file = |report: &Report, finding: &Finding| match reports.len() {
        0 | 1 => finding.to_string(),
        _ => format!("{}: {finding}", report.name),
    };
    let mut all: Vec<(&Report, &Finding)> =
        reports.iter().flat_map(|report| report.findings.kept().iter().map(move |finding| (report, finding))).collect();
    all.retain(|(_, finding)| counts(finding.rule.severity));
    // Errors before warnings, otherwise in the order they were found.
    all.sort_by_key(|(_, finding)| std::cmp::Reverse(finding.rule.severity));
    let total = reports.iter().flat_map(|report| report.findings.counts());
    let total = total.filter(|(_, severity, _)| counts(*severity)).map(|(_, _, count)| count).sum();
    (all.iter().take(QUOTED).map(|(report, finding)| of_file(report, finding)).collect(), total)
}
