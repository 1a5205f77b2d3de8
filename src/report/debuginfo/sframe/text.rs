//! Text output.

use crate::base::rule::{Finding, Rule, Severity};
use crate::base::units::{bytes, grouped};
use crate::debuginfo::sframe::compare::{Report, ScanResult, Total};
use crate::report::style::{Style, Tone, harmless, pad};
use std::fmt::Write as _;

/// Number of findings shown for each rule and file.
const MOST_SHOWN: usize = 5;
/// Beyond this many files only those with findings are shown.
const MOST_FILES: usize = 3;

/// Returns the findings as text that ends in a newline.
#[must_use]
pub fn text(scan: &ScanResult, deny_warnings: bool, style: Style) -> String {
    let total = Total::of(&scan.reports);
    let mut out = String::new();
    let few = scan.reports.len() <= MOST_FILES;
    for report in &scan.reports {
        if few || !report.findings.is_empty() {
            file(&mut out, report, few, style);
        }
    }
    if scan.reports.len() > 1 {
        summary(&mut out, scan, &total, style);
    }
    let good = total.is_good(deny_warnings);
    let tone = match (good, total.warnings) {
        (false, _) => Tone::Bad,
        (true, 0) => Tone::Good,
        (true, _) => Tone::Warn,
    };
    let verdict = match (total.with_sframe, total.errors, total.warnings) {
        (0, 0, _) => "no SFrame data".to_owned(),
        (_, 0, 0) => "SFrame data is right".to_owned(),
        (_, errors, warnings) => format!("{} errors, {} warnings", grouped(errors), grouped(warnings)),
    };
    let _ = writeln!(out, "{}", style.paint(tone, &verdict));
    let rules = scan.reports.iter().flat_map(|report| report.findings.counts().map(|(code, ..)| code));
    if let Some(code) = rules.min() {
        let hint = format!("`crossmill sframe check --explain {code}` explains a code");
        let _ = writeln!(out, "{}", style.paint(Tone::Dim, &hint));
    }
    out
}

fn line(out: &mut String, what: &str, words: &str) {
    let _ = writeln!(out, "  {}  {words}", pad(what, 9));
}

fn file(out: &mut String, report: &Report, with_figures: bool, style: Style) {
    let _ = writeln!(out, "{}", style.paint(Tone::Strong, &harmless(&report.name)));
    if with_figures {
        for table in &report.tables {
            let (fdes, fres) = (grouped(table.fdes.into()), grouped(table.fres.into()));
            let at = if table.offset == 0 { String::new() } else { format!("+{:#x}", table.offset) };
            let words = format!(
                "v{} {}, {fdes} FDEs, {fres} FREs, {} in {}{at}",
                table.version,
                table.abi.name(),
                bytes(table.bytes),
                harmless(&table.section)
            );
            line(out, "SFrame", &words);
        }
        figures(out, &Total::of(std::slice::from_ref(report)));
    }
    findings(out, report, style);
    out.push('\n');
}

fn share(part: u64, whole: u64) -> String {
    if whole == 0 { String::new() } else { format!(" ({:.1} %)", part as f64 * 100.0 / whole as f64) }
}

fn figures(out: &mut String, total: &Total) {
    let cross = &total.cross;
    if cross.functions > 0 {
        let words = format!(
            "{} of {} covered{}, {} not representable, {} missing FDEs, {} without DWARF CFI",
            grouped(cross.covered),
            grouped(cross.functions),
            share(cross.covered, cross.functions),
            grouped(cross.all_not_representable()),
            grouped(cross.missing_fdes),
            grouped(cross.extra)
        );
        line(out, "functions", &words);
        let mut words = format!("{} compared, {} disagree", grouped(cross.rows), grouped(cross.mismatched_rows));
        if cross.restore_fault_rows > 0 {
            let _ = write!(words, " ({} by the fault of `.cfi_restore`)", grouped(cross.restore_fault_rows));
        }
        if cross.impossible_rows > 0 {
            let _ = write!(words, ", {} impossible in DWARF", grouped(cross.impossible_rows));
        }
        if cross.opaque > 0 {
            let _ = write!(words, ", {} not comparable", grouped(cross.opaque));
        }
        line(out, "rows", &words);
    }
    if cross.in_units_without_sframe > 0 {
        line(
            out,
            "without",
            &format!("{} in objects that were assembled without SFrame", grouped(cross.in_units_without_sframe)),
        );
    }
    if cross.unknown_unit > 0 {
        line(out, "without", &format!("{} in no known compilation unit", grouped(cross.unknown_unit)));
    }
    if cross.plt_without > 0 {
        line(out, "without", &format!("{} PLTs", grouped(cross.plt_without)));
    }
    for (reason, count) in &cross.not_representable {
        line(out, "omitted", &format!("{} for {reason}", grouped(*count)));
    }
    let sizes = total.bytes;
    if sizes.sframe > 0 {
        let covered = format!("{} of {}{}", bytes(sizes.covered), bytes(sizes.text), share(sizes.covered, sizes.text));
        line(out, "text", &format!("{covered} covered"));
        let ratio = |whole: u64| sizes.sframe as f64 / whole as f64;
        let mut words = bytes(sizes.sframe);
        for (name, size) in [(".eh_frame", sizes.eh_frame), (".debug_frame", sizes.debug_frame), ("text", sizes.text)] {
            if size > 0 {
                let _ = write!(words, ", {:.2} of {name}'s {}", ratio(size), bytes(size));
            }
        }
        line(out, "size", &words);
    }
}

fn findings(out: &mut String, report: &Report, style: Style) {
    for (code, severity, count) in report.findings.counts() {
        let tone = if severity == Severity::Error { Tone::Bad } else { Tone::Warn };
        let kept: Vec<&Finding> = report.findings.kept().iter().filter(|finding| finding.rule.code == code).collect();
        for finding in kept.iter().take(MOST_SHOWN) {
            let _ = writeln!(out, "  {}", style.paint(tone, &harmless(&finding.to_string())));
        }
        let shown = kept.len().min(MOST_SHOWN) as u64;
        if count > shown {
            let words = format!("… and {} more {code}", grouped(count - shown));
            let _ = writeln!(out, "  {}", style.paint(Tone::Dim, &words));
        }
    }
}

fn summary(out: &mut String, scan: &ScanResult, total: &Total, style: Style) {
    let words = format!(
        "{} files, {} with SFrame data ({} {}), {} others",
        grouped(total.files),
        grouped(total.with_sframe),
        total.version_words(),
        total.abis.iter().copied().collect::<Vec<_>>().join("+"),
        grouped(scan.others)
    );
    let _ = writeln!(out, "{}", style.paint(Tone::Strong, &words));
    line(out, "SFrame", &format!("{} FDEs, {} FREs", grouped(total.fdes), grouped(total.fres)));
    figures(out, total);
    out.push('\n');
}

/// Returns the meaning and the source of a rule.
#[must_use]
pub fn explain(rule: &Rule) -> String {
    format!("{}[{}]: {}\n\n{}\n\nsource: {}\n", rule.severity, rule.code, rule.title, rule.explanation, rule.source)
}
