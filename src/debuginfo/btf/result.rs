//! The result of a check of BTF files.

use super::file::{Loaded, Section};
use super::{Btf, Grammar, Kind};
use crate::base::check_result::{CheckResult, Verdict};
use crate::base::rule::{Finding, Severity};
use std::fmt::Write as _;

/// A file that was checked.
#[derive(Debug)]
pub struct File<'l> {
    /// The file.
    pub loaded: &'l Loaded<'l>,
    /// Its sections.
    pub sections: Vec<Section<'l>>,
}

/// Returns whether some file has no BTF at all.
#[must_use]
pub fn lacks_btf(files: &[File<'_>]) -> bool {
    files.iter().any(|file| file.sections.iter().all(|section| section.ext.is_some()))
}

/// Returns the form of inline BTF that a section has, if any.
#[must_use]
pub fn form(section: &Section<'_>) -> Option<&'static str> {
    match &section.checked.btf {
        _ if section.checked.is_obsolete => Some("i"),
        Some(btf) if btf.has_inline_kinds() => Some(if btf.grammar() == Grammar::Wide { "iii" } else { "ii" }),
        _ => None,
    }
}

/// Returns how many types of each kind there are.
#[must_use]
pub fn counts(btf: &Btf<'_>) -> Vec<(Kind, u64)> {
    let mut counts = [0_u64; 128];
    for found in btf.types() {
        if let Some(count) = counts.get_mut(usize::from(found.kind.number())) {
            *count += 1;
        }
    }
    let numbered = counts.iter().enumerate().filter(|(_, count)| **count > 0);
    numbered.filter_map(|(number, count)| Some((Kind::from_number(u8::try_from(number).ok()?), *count))).collect()
}

/// Returns the number of sites of all LOCSECs.
#[must_use]
pub fn site_count(btf: &Btf<'_>) -> u64 {
    btf.types().filter(|found| found.kind == Kind::LocSec).map(|found| u64::from(found.vlen)).sum()
}

/// Returns `1 error, 2 warnings`; empty without either.
#[must_use]
pub fn amounts(errors: u64, warnings: u64) -> String {
    let one = |count: u64, what: &str| match count {
        0 => None,
        1 => Some(format!("1 {what}")),
        _ => Some(format!("{count} {what}s")),
    };
    [one(errors, "error"), one(warnings, "warning")].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Sums a count over all sections.
pub fn total(files: &[File<'_>], count: impl Fn(&Section<'_>) -> u64) -> u64 {
    files.iter().flat_map(|file| &file.sections).map(count).sum()
}

fn first<'f>(files: &'f [File<'_>], worst: Severity) -> Option<&'f Finding> {
    let findings = || files.iter().flat_map(|file| &file.sections).flat_map(|section| section.checked.findings.list());
    findings()
        .find(|finding| finding.rule.severity == Severity::Error)
        .or_else(|| findings().find(|finding| finding.rule.severity >= worst))
}

/// How many findings a result quotes.
const QUOTED: usize = 3;

fn quoted(files: &[File<'_>], worst: Severity) -> Vec<String> {
    let findings = files.iter().flat_map(|file| &file.sections).flat_map(|section| section.checked.findings.list());
    let mut findings: Vec<&Finding> = findings.filter(|finding| finding.rule.severity >= worst).collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.rule.severity));
    findings.iter().take(QUOTED).map(ToString::to_string).collect()
}

/// Returns what the check of all files comes to. Findings as severe as `worst` fail it.
#[must_use]
pub fn result(files: &[File<'_>], worst: Severity) -> CheckResult {
    let types = total(files, |section| section.checked.btf.as_ref().map_or(0, |btf| btf.len() as u64));
    let sites = total(files, |section| section.checked.btf.as_ref().map_or(0, site_count));
    let errors = total(files, |section| section.checked.findings.errors());
    let warnings = total(files, |section| section.checked.findings.warnings());
    let mut summary = format!("{types} types");
    if sites > 0 {
        let _ = write!(summary, ", {sites} inline sites");
    }
    if errors + warnings > 0 {
        let _ = write!(summary, ", {}", amounts(errors, warnings));
    }
    let failed = errors > 0 || (worst == Severity::Warning && warnings > 0);
    let obsolete = files.iter().flat_map(|file| &file.sections).any(|section| section.checked.is_obsolete);
    let (state, why) = if failed {
        (Verdict::Fail, first(files, worst).map(ToString::to_string))
    } else if lacks_btf(files) {
        (Verdict::Unsupported, Some("there is no BTF section".to_owned()))
    } else if obsolete {
        (Verdict::Unsupported, Some("inline BTF is in the obsolete form of April 2025".to_owned()))
    } else {
        (Verdict::Pass, None)
    };
    let figures = [("types", types), ("sites", sites), ("errors", errors), ("warnings", warnings)];
    let figures = figures.map(|(name, value)| (name.to_owned(), value as f64)).to_vec();
    let findings = if state == Verdict::Fail { quoted(files, worst) } else { Vec::new() };
    let findings_total = match (state, worst) {
        (Verdict::Fail, Severity::Warning) => errors + warnings,
        (Verdict::Fail, Severity::Error) => errors,
        _ => 0,
    };
    CheckResult { state, why, summary: Some(summary), figures, findings, findings_total, ..CheckResult::default() }
}
