//! Rules for the header, sections, layout entries and the string section.

use super::rules;
use super::{Findings, Say};
use crate::debuginfo::btf::{Btf, Grammar, HEADER_24, HEADER_32, Kind, LayoutEntry, Span};

pub(super) fn check(bytes: &[u8], btf: &Btf<'_>, findings: &mut Findings) {
    words(bytes, btf, findings);
    places(bytes, btf, findings);
    strings(btf, findings);
    layout(btf, findings);
    if !btf.is_split() && btf.header().types.len == 0 {
        findings.add(&rules::NO_TYPES, |finding| finding.with_message("the type section is empty"));
    }
}

/// Returns whether it is split BTF without a base: the first string of BTF that is not split is the empty one.
pub(super) fn lacks_base(btf: &Btf<'_>) -> bool {
    !btf.is_split() && btf.strings().first() != Some(&0)
}

fn words(bytes: &[u8], btf: &Btf<'_>, findings: &mut Findings) {
    let header = btf.header();
    if header.flags != 0 {
        findings
            .add(&rules::HEADER_WORDS, |finding| finding.with_message(format!("flags are {:#x}", header.flags)).at(3));
    }
    if header.len > HEADER_24 && header.len < HEADER_32 {
        findings.add(&rules::HEADER_WORDS, |finding| {
            finding
                .with_message(format!("the header's length is {}, between the 24 and 32 that are known", header.len))
                .at(4)
        });
    }
    let end = bytes.len() - header.body(bytes).len();
    let known = if header.len < HEADER_32 { HEADER_24 } else { HEADER_32 };
    let beyond = bytes.get(known as usize..end).unwrap_or_default();
    if let Some(place) = beyond.iter().position(|byte| *byte != 0) {
        let at = u64::from(known) + place as u64;
        findings.add(&rules::HEADER_WORDS, |finding| {
            finding.with_message("header bytes beyond those known are not 0").at(at)
        });
    }
}

fn places(bytes: &[u8], btf: &Btf<'_>, findings: &mut Findings) {
    let header = btf.header();
    let body = header.body(bytes).len() as u64;
    let layout = header.layout.filter(|span| span.len > 0);
    let mut sections = vec![("type", header.types), ("string", header.strings)];
    sections.extend(layout.map(|span| ("layout", span)));
    // An empty section takes no place, wherever it claims to be.
    sections.retain(|(_, span)| span.len > 0);
    sections.sort_by_key(|(_, span)| span.offset);
    let mut at = 0;
    let mut before = "header";
    for (name, span) in &sections {
        let start = u64::from(span.offset);
        if start != at {
            let what = if start > at { "a gap" } else { "an overlap" };
            findings.add(&rules::GAPS, |finding| {
                let message = format!("{what} of {} bytes between {before} and {name} section", start.abs_diff(at));
                finding.with_message(message).at(u64::from(header.len) + at.min(start))
            });
        }
        (at, before) = (span.end(), name);
    }
    if at < body {
        let message = || format!("{} bytes come after the {before} section", body - at);
        findings.add(&rules::GAPS, |finding| finding.with_message(message()).at(u64::from(header.len) + at));
    }
    if header.len < HEADER_32 && sections.last().is_some_and(|(name, _)| *name != "string") && header.strings.len > 0 {
        findings.add(&rules::STRINGS_LAST, |finding| finding.with_message("the type section comes after the strings"));
    }
    aligned("type", header.types, 1, findings);
    if let Some(span) = layout {
        aligned("layout", span, 4, findings);
    }
}

fn aligned(name: &'static str, span: Span, unit: u32, findings: &mut Findings) {
    if !span.offset.is_multiple_of(4) || !span.len.is_multiple_of(unit) {
        findings.add(&rules::ALIGNMENT, |finding| {
            finding.with_message(format!("the {name} section has offset {} and length {}", span.offset, span.len))
        });
    }
}

fn strings(btf: &Btf<'_>, findings: &mut Findings) {
    let (section, at) = (btf.strings(), u64::from(btf.header().len) + u64::from(btf.header().strings.offset));
    if lacks_base(btf) {
        let what = if section.is_empty() { "there are no strings" } else { "the strings do not begin with a NUL" };
        findings.add(&rules::NO_BASE, |finding| finding.with_message(what).at(at));
    }
    if section.last().is_some_and(|last| *last != 0) {
        let end = at + section.len() as u64;
        findings.add(&rules::STRING_SECTION, |finding| finding.with_message("it does not end with a NUL").at(end));
    }
}

fn layout(btf: &Btf<'_>, findings: &mut Findings) {
    let layout = btf.layout();
    if layout.is_empty() {
        return;
    }
    for kind in Kind::all() {
        let expected = LayoutEntry::of(*kind, btf.grammar());
        // A file without inline kinds does not show their form.
        let other = LayoutEntry::of(*kind, Grammar::Narrow);
        let (Some(entry), Some(expected)) = (layout.entry(kind.number()), expected) else { continue };
        let is_other = !btf.has_inline_kinds() && Some(entry) == other;
        let same = entry.info_size == expected.info_size && entry.element_size == expected.element_size;
        if !same && !is_other {
            findings.add(&rules::LAYOUT_ENTRY, |finding| {
                let message = format!(
                    "{{{}, {}}} bytes, it has {{{}, {}}}",
                    entry.info_size, entry.element_size, expected.info_size, expected.element_size
                );
                finding.with_message(message).about(kind.to_string())
            });
        }
    }
    let mut seen = [false; 128];
    for found in btf.types() {
        if let Some(slot) = seen.get_mut(usize::from(found.kind.number())) {
            *slot = true;
        }
    }
    for kind in Kind::all() {
        let used = seen.get(usize::from(kind.number())) == Some(&true);
        if used && layout.entry(kind.number()).is_none() {
            findings.add(&rules::LAYOUT_MISSING, |finding| {
                finding.with_message(format!("the section has {} entries", layout.len())).about(kind.to_string())
            });
        }
    }
}
