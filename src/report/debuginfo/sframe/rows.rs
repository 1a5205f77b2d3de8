//! Both tables of a function side by side.

use crate::debuginfo::sframe::compare::{Side, Sides};
use crate::report::style::{Style, Tone, harmless, pad};
use std::fmt::Write as _;

/// Returns both tables of each function, ending in a newline.
#[must_use]
pub fn rows(functions: &[Sides], style: Style) -> String {
    let mut out = String::new();
    for (index, sides) in functions.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        one(&mut out, sides, style);
    }
    out
}

fn one(out: &mut String, sides: &Sides, style: Style) {
    let size = |bytes: Option<u64>| bytes.map_or_else(|| "not there".to_owned(), |bytes| format!("{bytes} bytes"));
    let name = style.paint(Tone::Strong, &harmless(&sides.name));
    let (one, two) = (size(sides.sframe), size(sides.dwarf));
    let _ = writeln!(out, "{name} at {:#x}: SFrame {one}, DWARF {two}", sides.start);
    if !sides.reasons.is_empty() {
        let reasons: Vec<_> = sides.reasons.iter().map(|reason| reason.name()).collect();
        let _ = writeln!(out, "an assembler may decline it: {}", reasons.join(", "));
    }
    let cells = |side: &Option<Side>| match side {
        Some(side) => [side.cfa.clone(), side.ra.clone(), side.fp.clone()],
        None => ["-".to_owned(), String::new(), String::new()],
    };
    let mut table = vec![["from", "SFrame CFA", "RA", "FP", "DWARF CFA", "RA", "FP", ""].map(String::from)];
    for segment in &sides.segments {
        let [a, b, c] = cells(&segment.sframe);
        let [d, e, f] = cells(&segment.dwarf);
        let mark = match segment.agree {
            Some(false) => "<- disagree",
            _ => "",
        };
        table.push([format!("+{:#x}", segment.start), a, b, c, d, e, f, mark.to_owned()]);
    }
    let wide: Vec<usize> = (0..8).map(|at| table.iter().map(|row| row[at].len()).max().unwrap_or(0)).collect();
    for (index, row) in table.iter().enumerate() {
        let words: Vec<String> = row.iter().zip(&wide).map(|(word, wide)| pad(word, *wide)).collect();
        let line = words.join("  ");
        let tone = match index {
            0 => Tone::Dim,
            _ if row[7].is_empty() => Tone::Plain,
            _ => Tone::Bad,
        };
        let _ = writeln!(out, "  {}", style.paint(tone, line.trim_end()));
    }
}
