//! Text and JSON of the comparison of inline BTF with the DWARF of its file.

use super::{SCHEMA, Style, Tone, grouped};
use crate::base::check_result::Verdict;
use crate::debuginfo::inline_btf::file::{self, Verified};
use crate::report::style::harmless;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Writes the lines of a section.
pub(super) fn draw(name: &str, verified: &Verified<'_>, out: &mut String, style: Style) {
    let findings = &verified.checked.findings;
    let (tone, word) = if verified.is_good() { (Tone::Good, "good") } else { (Tone::Bad, "WRONG") };
    let mut line = format!(
        "  {name}: {}, {} errors, {} warnings",
        style.paint(tone, word),
        grouped(findings.errors()),
        grouped(findings.warnings())
    );
    if let Some(of) = &verified.comparison {
        let _ = match (of.in_btf, of.in_dwarf) {
            (0, 0) => write!(line, "; no sites to compare"),
            _ => write!(line, "; {} of {} sites as in DWARF", grouped(of.equal), grouped(of.in_btf)),
        };
        for (count, what) in [
            (of.other_locations, "with other locations"),
            (of.only_btf, "not in DWARF"),
            (of.only_dwarf, "of DWARF missing"),
            (of.unreadable, "not readable"),
        ] {
            if count > 0 {
                let _ = write!(line, ", {} {what}", grouped(count));
            }
        }
        for other in &of.other_readings {
            let _ = write!(line, ", {} of them by `--empty-ranges {}`", grouped(other.sites), other.reading);
        }
    } else if verified.checked.is_obsolete {
        line.push_str("; obsolete form of April 2025, not decoded");
    }
    let _ = writeln!(out, "{line}");
    for finding in findings.list().iter().take(8) {
        let _ = writeln!(out, "    {}", harmless(&finding.to_string()));
    }
    for example in verified.comparison.iter().flat_map(|of| &of.examples) {
        let _ = writeln!(out, "    {}", harmless(example));
    }
}

/// Returns a section as JSON.
pub(super) fn value(name: &str, verified: &Verified<'_>) -> Value {
    let findings = &verified.checked.findings;
    json!({
        "name": name,
        "ok": verified.is_good(),
        "bytes": verified.bytes,
        "obsolete": verified.checked.is_obsolete,
        "errors": findings.errors(),
        "warnings": findings.warnings(),
        "findings": findings.list(),
        "comparison": verified.comparison,
    })
}

const NONE: &str = "no inline BTF: released kernels do not write it yet";

/// Returns the text for people, ending in a newline.
#[must_use]
pub fn text(all: &[(String, Verified<'_>)], style: Style) -> String {
    let mut out = String::new();
    if all.is_empty() {
        let _ = writeln!(out, "{NONE}");
    }
    for (name, verified) in all {
        draw(&harmless(name), verified, &mut out, style);
    }
    out
}

/// Returns the JSON, ending in a newline.
pub fn json(all: &[(String, Verified<'_>)]) -> serde_json::Result<String> {
    let list: Vec<Value> = all.iter().map(|(name, verified)| value(name, verified)).collect();
    let state = file::result(all).state;
    let whole = json!({ "schema": SCHEMA, "ok": state == Verdict::Pass, "state": state, "files": list });
    serde_json::to_string_pretty(&whole).map(|text| text + "\n")
}
