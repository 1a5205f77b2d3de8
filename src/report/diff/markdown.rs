//! A comparison as Markdown: tables for a mail, an issue or a page.

use super::{names, number};
use crate::base::text::escape;
use crate::base::units;
use crate::run::comparison::code::{CodeChange, Growth};
use crate::run::comparison::{Comparison, Difference};
use std::fmt::Write as _;
use std::time::Duration;

/// Functions of a kernel that are shown; the JSON form has all.
const SHOWN: usize = 10;

/// Returns the comparison as tables, ending in a newline. Where nothing differs, that is what it says.
#[must_use]
pub fn markdown(found: &Comparison) -> String {
    let (before, after) = names(found);
    let heads = found.sets.clone().unwrap_or_else(|| ("before".to_owned(), "after".to_owned()));
    let heads = [heads.0.as_str(), heads.1.as_str()];
    // Writing to a string cannot fail.
    let mut out = format!("## {} compared with {}\n", escape(&before), escape(&after));
    let same = out.len();
    let states = found.states.iter().map(|change| {
        let why = change.why.as_deref().unwrap_or_default();
        [change.stage.to_string(), change.before.unwrap_or("-").to_owned(), change.after.to_owned(), why.to_owned()]
    });
    table(&mut out, "Outcomes", ["stage", heads[0], heads[1], "reason"], states);
    let code = found.code.iter().map(|change| {
        let CodeChange { stage, before, after, .. } = change;
        let share = Difference { stage: stage.clone(), before: *before as f64, after: *after as f64, usual: None };
        [format!("{stage} {}", change.file), units::grouped(*before), units::grouped(*after), percent(&share)]
    });
    table(&mut out, "Code: bytes in functions", ["file", heads[0], heads[1], "change"], code);
    let time = |value: f64| units::duration(Duration::try_from_secs_f64(value).unwrap_or_default());
    let rows = found.times.iter().map(|change| difference(change, &time));
    table(&mut out, "Processor time of the build", ["stage", heads[0], heads[1], "change"], rows);
    let rows = found.sizes.iter().map(|change| difference(change, &|bytes| units::bytes(bytes as u64)));
    table(&mut out, "Size of the result", ["stage", heads[0], heads[1], "change"], rows);
    let figures = found.figures.iter().map(|change| {
        [format!("{} {}", change.stage, change.figure), number(change.before), number(change.after), String::new()]
    });
    table(&mut out, "Figures of checks", ["figure", heads[0], heads[1], ""], figures);
    if !found.warnings.is_empty() {
        out.push_str("\n### New warnings\n\n");
        for warning in &found.warnings {
            let stage = warning.stage.as_ref().map(|stage| format!("{stage}: ")).unwrap_or_default();
            let _ = writeln!(out, "- {}{}", escape(&stage), escape(&warning.text));
        }
    }
    for change in &found.code {
        one_file(&mut out, change, heads);
    }
    for (stages, of) in [(&found.only_before, heads[0]), (&found.only_after, heads[1])] {
        if !stages.is_empty() {
            let names: Vec<&str> = stages.iter().map(|name| &**name).collect();
            let _ = write!(out, "\nOnly with {}: {}.\n", escape(of), escape(&names.join(", ")));
        }
    }
    if out.len() == same {
        out.push_str("\nNo difference.\n");
    }
    out
}

fn one_file(out: &mut String, change: &CodeChange, heads: [&str; 2]) {
    let size = |size: Option<u64>| size.map_or_else(|| "-".to_owned(), units::grouped);
    let row = |kind: &str, growth: &Growth| {
        let name = format!("{kind}{}", growth.name);
        [name, size(growth.before), size(growth.after), format!("{:+}", growth.delta())]
    };
    let sections = change.sections.iter().map(|section| row("section ", section));
    let functions = change.functions.iter().take(SHOWN).map(|function| row("", function));
    let title = format!("{} {}", change.stage, change.file);
    table(out, &title, ["section or function", heads[0], heads[1], "bytes"], sections.chain(functions));
    let left = change.functions.len().saturating_sub(SHOWN);
    if left > 0 {
        let _ = write!(out, "\n{left} more functions differ.");
    }
    if let Some(first) = &change.first {
        let _ = write!(out, "\nThe first in the order of addresses is `{}`.", first.replace('`', "'"));
    }
    out.push('\n');
}

fn difference(change: &Difference, shown: &dyn Fn(f64) -> String) -> [String; 4] {
    [change.stage.to_string(), shown(change.before), shown(change.after), percent(change)]
}

fn percent(change: &Difference) -> String {
    format!("{:+.1} %", change.change() * 100.0)
}

fn table(out: &mut String, title: &str, heads: [&str; 4], rows: impl Iterator<Item = [String; 4]>) {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return;
    }
    let line = |cells: [&str; 4]| format!("| {} |\n", cells.map(|cell| escape(cell).replace('\n', " ")).join(" | "));
    let _ = write!(out, "\n### {}\n\n{}| --- | ---: | ---: | ---: |\n", escape(title), line(heads));
    for row in rows {
        out.push_str(&line([&row[0], &row[1], &row[2], &row[3]]));
    }
}
