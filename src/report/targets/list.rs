//! The list of targets, one line each.

use super::{expectations, last_results};
use crate::base::text::escape;
use crate::config::matrix::{Matrix, NotBuilt, Target};
use crate::record::Record;
use crate::report::style::pad;
use unicode_width::UnicodeWidthStr as _;

const HEADS: [&str; 8] = ["TARGET", "TRIPLE", "TIER", "ARCH", "TOOLCHAIN", "SUMMARY", "EXPECTED", "TESTED"];

fn cells(target: &Target, record: &Record) -> [String; 8] {
    [
        target.name.to_string(),
        target.triple.clone(),
        target.tier.clone(),
        target.arch.clone(),
        if target.toolchain == target.name { "own".to_owned() } else { format!("of {}", target.toolchain) },
        target.summary.clone(),
        expectations(target),
        last_results(record, target),
    ]
}

fn gone(known: &NotBuilt) -> String {
    let last: Vec<String> = known.last.iter().map(|(project, version)| format!("{project} {version}")).collect();
    if last.is_empty() { known.why.clone() } else { format!("{} (last supported by {})", known.why, last.join(", ")) }
}

/// As columns.
pub fn text(matrix: &Matrix, record: &Record) -> String {
    let rows: Vec<[String; 8]> = matrix.targets.values().map(|target| cells(target, record)).collect();
    let heads = HEADS.map(str::to_owned);
    let all = || std::iter::once(&heads).chain(&rows);
    let widths: Vec<usize> = (0..HEADS.len()).map(|at| all().map(|row| row[at].width()).max().unwrap_or(0)).collect();
    let mut out = String::new();
    for row in all() {
        let line: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| pad(cell, *width)).collect();
        out += line.join("  ").trim_end();
        out.push('\n');
    }
    for (name, known) in &matrix.not_built {
        out += &format!("{}  not built: {}\n", pad(name.as_str(), widths[0]), gone(known));
    }
    out
}

/// As a table of a page.
pub fn markdown(matrix: &Matrix, record: &Record) -> String {
    let mut out = format!("| {} |\n|{}\n", HEADS.map(str::to_lowercase).join(" | "), "---|".repeat(HEADS.len()));
    for target in matrix.targets.values() {
        out += &format!("| {} |\n", cells(target, record).map(|cell| escape(&cell)).join(" | "));
    }
    if !matrix.not_built.is_empty() {
        out += "\nNot built:\n\n";
        for (name, known) in &matrix.not_built {
            out += &format!("- **{}**: {}\n", escape(name.as_str()), escape(&gone(known)));
        }
    }
    out
}
