//! What changed of the code of kernels, as `scripts/bloat-o-meter` prints it.

use crate::base::units;
use crate::report::style::harmless;
use crate::run::comparison::code::{CodeChange, Growth};

/// Functions that are shown; the JSON form has all.
const SHOWN: usize = 20;

/// Returns the lines of one file.
pub fn lines(change: &CodeChange) -> Vec<String> {
    let CodeChange { stage, file, sections, functions, first, before, after } = change;
    let count = |is: fn(&Growth) -> bool| functions.iter().filter(|growth| is(growth)).count();
    let (new, gone) = (count(|growth| growth.before.is_none()), count(|growth| growth.after.is_none()));
    let both = |growth: &Growth| growth.before.is_some() && growth.after.is_some();
    let grown = functions.iter().filter(|growth| both(growth) && growth.delta() > 0).count();
    let shrunk = functions.iter().filter(|growth| both(growth) && growth.delta() < 0).count();
    let mut lines = vec![format!(
        "code of {} {}: {} -> {} bytes in functions (add/remove: {new}/{gone} grow/shrink: {grown}/{shrunk})",
        harmless(stage),
        harmless(file),
        units::grouped(*before),
        units::grouped(*after),
    )];
    lines.extend(first.as_deref().map(|name| format!("  the first in the order of addresses: {}", harmless(name))));
    lines.extend(sections.iter().map(|section| line("section", section)));
    lines.extend(functions.iter().take(SHOWN).map(|function| line("function", function)));
    if functions.len() > SHOWN {
        lines.push(format!("  … and {} more functions", functions.len() - SHOWN));
    }
    lines
}

fn line(kind: &str, growth: &Growth) -> String {
    let size = |size: Option<u64>| size.map_or_else(|| "-".to_owned(), units::grouped);
    let (before, after) = (size(growth.before), size(growth.after));
    format!("  {kind} {}: {before} -> {after} ({:+})", harmless(&growth.name), growth.delta())
}
