//! Reports about inline BTF: generation, verification, what
//! tracing can see, and the sites of one function.

mod generation;
mod listing;
mod probes;
mod split;
mod verified;
mod whole;

pub use generation::{json as generation_json, text as generation_text};
pub use listing::Listing;
pub use probes::{probes_json, probes_notes, probes_text};
pub use split::{json as split_json, text as split_text};
pub use verified::{json as verified_json, text as verified_text};
pub use whole::{Size, Whole, compressed};

use crate::base::units::grouped;
use crate::debuginfo::inline_btf::summary::{self, Summary};
use crate::report::style::{Style, Tone, pad, pad_left};
use std::fmt::Write as _;

/// The schema version of the JSON output.
pub const SCHEMA: u32 = 2;

/// `68.2 %`; nothing where there is nothing to be a share of.
fn percent(part: u64, of: u64) -> String {
    summary::percent(part, of).unwrap_or_default()
}

/// `21.3 a site`
fn per_site(bytes: u64, sites: u64) -> String {
    summary::share(bytes, sites).map(|bytes| format!("{bytes:.1} a site")).unwrap_or_default()
}

/// Aligned lines of a name, a number and a remark.
#[derive(Debug, Default)]
struct Lines(Vec<(String, String, String)>);

impl Lines {
    fn add(&mut self, name: impl Into<String>, number: impl Into<String>, more: impl Into<String>) {
        self.0.push((name.into(), number.into(), more.into()));
    }

    fn count(&mut self, name: impl Into<String>, count: u64, more: impl Into<String>) {
        self.add(name, grouped(count), more);
    }

    fn share(&mut self, name: impl Into<String>, part: u64, of: u64) {
        self.add(name, grouped(part), percent(part, of));
    }

    fn draw(&self, out: &mut String, style: Style) {
        use unicode_width::UnicodeWidthStr as _;
        let names = self.0.iter().map(|(name, _, _)| name.width()).max().unwrap_or(0);
        let numbers = self.0.iter().map(|(_, number, _)| number.width()).max().unwrap_or(0);
        for (name, number, more) in &self.0 {
            let line = format!(
                "  {}  {}  {}",
                pad(name, names),
                style.paint(Tone::Strong, &pad_left(number, numbers)),
                style.paint(Tone::Dim, more)
            );
            let _ = writeln!(out, "{}", line.trim_end());
        }
    }
}

// Outcome of every DW_TAG_inlined_subroutine.
fn account_for(summary: &Summary) -> Lines {
    let mut lines = Lines::default();
    lines.count("DW_TAG_inlined_subroutine", summary.inlined_subroutines, "");
    lines.share("sites", summary.sites, summary.inlined_subroutines);
    for skipped in &summary.skipped {
        lines.count(format!("skipped: {}", skipped.title), skipped.count, "");
    }
    if !summary.adds_up {
        lines.add("these do not add up", "", "a defect of crossmill");
    }
    lines
}

fn availability(summary: &Summary) -> Lines {
    let mut lines = Lines::default();
    if summary.sites == 0 {
        lines.add("no sites", "", "");
        return lines;
    }
    lines.share("every parameter (or none to have)", summary.all, summary.sites);
    lines.add(
        "some parameters",
        grouped(summary.partial),
        format!("{}; {} lack exactly one", percent(summary.partial, summary.sites), grouped(summary.lack_one)),
    );
    lines.share("no parameter", summary.none, summary.sites);
    lines
}

fn missing(summary: &Summary) -> Lines {
    let mut lines = Lines::default();
    lines.share("available", summary.params_available, summary.params);
    for reason in &summary.missing {
        lines.share(reason.title, reason.count, summary.params);
    }
    if summary.strangers > 0 {
        lines.count("of no known parameter", summary.strangers, "left out");
    }
    lines
}

fn heading(out: &mut String, text: &str, style: Style) {
    let gap = if out.is_empty() { "" } else { "\n" };
    let _ = writeln!(out, "{gap}{}", style.paint(Tone::Strong, text));
}

fn damage(out: &mut String, damage: &[(u64, String)], style: Style) {
    for (offset, why) in damage.iter().take(8) {
        let lead = style.paint(Tone::Bad, "damaged:");
        let _ = writeln!(out, "{lead} unit at {offset:#x} of .debug_info: {}", crate::report::style::harmless(why));
    }
    if damage.len() > 8 {
        let _ = writeln!(out, "… and {} more damaged units", damage.len() - 8);
    }
}

/// Addresses are strings: JSON readers round numbers above 2^53.
fn hex(number: u64) -> String {
    format!("{number:#x}")
}

fn damage_json(damage: &[(u64, String)]) -> Vec<serde_json::Value> {
    damage.iter().map(|(offset, why)| serde_json::json!({ "offset": offset, "why": why })).collect()
}
