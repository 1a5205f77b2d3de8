//! Text and JSON of BTF that was split.

use super::{Lines, Style, grouped};
use crate::debuginfo::btf::split::Pair;
use serde_json::json;
use std::path::Path;

/// The schema version of the JSON output.
const SCHEMA: u32 = 1;

/// Returns the text for people, ending in a newline.
#[must_use]
pub fn text(pair: &Pair, main: &Path, inline: &Path, by_symbols: bool) -> String {
    let mut lines = Lines::default();
    let (main, inline) = (main.display().to_string(), inline.display().to_string());
    lines.add(main, format!("{} bytes", grouped(pair.main.len() as u64)), types(pair.main_types));
    let more = format!("{}, {} sites", types(pair.inline_types), grouped(pair.sites));
    lines.add(inline, format!("{} bytes", grouped(pair.inline.len() as u64)), more);
    let more = match by_symbols {
        true => "without a symbol, moved to the inline BTF",
        false => "moved: without an ELF file, all functions stay in the main BTF",
    };
    lines.add("functions", grouped(pair.functions_moved as u64), more);
    let mut out = String::new();
    lines.draw(&mut out, Style::default());
    out
}

fn types(count: usize) -> String {
    format!("{} types", grouped(count as u64))
}

/// Returns the JSON, ending in a newline.
pub fn json(pair: &Pair, main: &Path, inline: &Path) -> serde_json::Result<String> {
    let file = |path: &Path, bytes: &[u8], types| json!({ "path": path.display().to_string(), "bytes": bytes.len(), "types": types });
    let whole = json!({
        "schema": SCHEMA,
        "main": file(main, &pair.main, pair.main_types),
        "inline": file(inline, &pair.inline, pair.inline_types),
        "sites": pair.sites,
        "functions_moved": pair.functions_moved,
        "prototypes_moved": pair.prototypes_moved,
    });
    serde_json::to_string_pretty(&whole).map(|text| text + "\n")
}
