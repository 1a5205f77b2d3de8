//! Inlined calls of a whole file that tracing can see.

use super::{
    Lines, SCHEMA, Style, Tone, account_for, availability, damage, grouped, heading, missing, pad, pad_left, per_site,
    percent,
};
use crate::debuginfo::inline_btf::Machine;
use crate::debuginfo::inline_btf::summary::{FunctionFigures, Summary};
use crate::debuginfo::inline_btf::write::Written;
use crate::report::style::{harmless, shorten};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{self, Write as _};

/// Size in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// The written sections.
    pub written: Written,
    /// Bytes by xz.
    pub compressed: u64,
}

/// Everything about a file.
#[derive(Debug)]
pub struct Whole<'w> {
    /// The figures.
    pub summary: Summary,
    /// Those of each function, the most inlined first.
    pub functions: Vec<FunctionFigures>,
    /// Size as BTF; `None` without a base.
    pub size: Option<Size>,
    /// Units that could not be read to their end.
    pub damage: &'w [(u64, String)],
    /// Whose code it is.
    pub machine: Machine,
    /// Number of functions shown in lists.
    pub top: usize,
}

/// Returns how long bytes are when compressed by xz.
pub fn compressed(bytes: &[u8]) -> io::Result<u64> {
    let mut encoder = xz2::write::XzEncoder::new(Vec::new(), 6);
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.len() as u64)
}

/// x86-64, whose full kernels the published figures are of.
const PUBLISHED_MACHINE: u16 = 62;
/// Fewer sites than this are no full kernel.
const FULL_KERNEL: u64 = 200_000;

/// Published figures and their source. The split into all, partial and none is approximate.
const PUBLISHED: [(&str, &str, &str); 5] = [
    ("sites", "443,354", "RFC of 8 October 2025, gcc 14, x86-64"),
    ("every, some, no parameter", "318,161, 76,520, 48,673", "the same; 67,070 lack exactly one"),
    ("LOC_PARAM, LOC_PROTO", "12,010, 37,061", "the same, after deduplication"),
    ("bytes", "9.2 MB, about 22 a site", "the same; 2.8 MB compressed"),
    ("full, partial", "65 %, 17 %", "GNU Tools Cauldron 2025"),
];

impl Whole<'_> {
    fn is_comparable(&self) -> bool {
        self.machine.0 == PUBLISHED_MACHINE && self.summary.sites >= FULL_KERNEL
    }

    /// For people, ending in a newline.
    #[must_use]
    pub fn text(&self, style: Style) -> String {
        let mut out = String::new();
        heading(&mut out, "inlined subroutines", style);
        account_for(&self.summary).draw(&mut out, style);
        heading(&mut out, "sites with", style);
        availability(&self.summary).draw(&mut out, style);
        heading(&mut out, "parameters of sites", style);
        missing(&self.summary).draw(&mut out, style);
        heading(&mut out, "what a tracer has to know", style);
        self.traits().draw(&mut out, style);
        heading(&mut out, "as inline BTF", style);
        self.size().draw(&mut out, style);
        self.published(&mut out, style);
        let most: Vec<&FunctionFigures> = self.functions.iter().take(self.top).collect();
        self.table(&mut out, "most inlined", &most, style);
        self.table(&mut out, "worst: the most sites without every parameter", &self.worst(), style);
        damage(&mut out, self.damage, style);
        out
    }

    fn worst(&self) -> Vec<&FunctionFigures> {
        let mut worst: Vec<&FunctionFigures> = self.functions.iter().filter(|of| of.all < of.sites).collect();
        worst.sort_by(|a, b| (b.sites - b.all).cmp(&(a.sites - a.all)).then_with(|| a.name.cmp(&b.name)));
        worst.truncate(self.top);
        worst
    }

    fn traits(&self) -> Lines {
        let of = &self.summary;
        let mut lines = Lines::default();
        lines.count("functions inlined", of.functions, "");
        lines.add(
            "with a copy out of line too",
            grouped(of.functions_with_copy),
            "a probe on the symbol misses their inlined calls",
        );
        lines.count(
            "of these, all sites in that copy",
            of.functions_within_copy,
            "a probe on the symbol misses nothing",
        );
        lines.share("sites in their function's own copy", of.own_copy, of.sites);
        lines.share("sites in several ranges", of.fragmented, of.sites);
        lines.share("sites interleaved with a sibling", of.interleaved, of.sites);
        lines.share("sites not entered at their first range", of.entry_differs, of.sites);
        lines.share("sites in init sections", of.init, of.sites);
        lines.share("sites that need an entry value", of.entry_value_sites, of.sites);
        for (name, count) in &of.sections {
            lines.share(format!("sites in {}", harmless(name)), *count, of.sites);
        }
        lines
    }

    fn size(&self) -> Lines {
        let of = &self.summary;
        let mut lines = Lines::default();
        lines.add("LOC_PARAM", grouped(of.loc_params), format!("from {}", grouped(of.params_available)));
        lines.add("LOC_PROTO", grouped(of.loc_protos), format!("from {}", grouped(of.loc_protos_before)));
        match &self.size {
            Some(Size { written, compressed }) => {
                lines.add("bytes", grouped(written.bytes), per_site(written.bytes, written.sites));
                lines.add("compressed", grouped(*compressed), "by xz -6");
                let more = format!("{} are in the base", grouped(written.functions_known));
                lines.add("functions that need a FUNC", grouped(written.functions_new), more);
            }
            None => lines.add("bytes", "-", "no base BTF: see `--base` and `--run-pahole`"),
        }
        lines
    }

    fn published(&self, out: &mut String, style: Style) {
        if !self.is_comparable() {
            let why = "no published figures beside these: those are of full x86-64 kernels";
            let _ = writeln!(out, "  {}", style.paint(Tone::Dim, why));
            return;
        }
        heading(out, "published for comparison", style);
        let mut lines = Lines::default();
        for (what, number, source) in PUBLISHED {
            lines.add(what, number, source);
        }
        lines.draw(out, style);
    }

    fn table(&self, out: &mut String, title: &str, functions: &[&FunctionFigures], style: Style) {
        const NAMES: usize = 40;
        if functions.is_empty() {
            return;
        }
        heading(out, title, style);
        let columns = ["sites", "every", "some", "none", "ranges", "interl.", "entry≠", "init", "e.value", "copy"];
        let mut line = pad("  function", NAMES + 2);
        for column in columns {
            line.push_str(&pad_left(column, 9));
        }
        let _ = writeln!(out, "{}", style.paint(Tone::Dim, &line));
        for of in functions {
            let mut line = format!("  {}", pad(&shorten(&harmless(&of.name), NAMES), NAMES));
            let numbers = [
                of.sites,
                of.all,
                of.partial,
                of.none,
                of.fragmented,
                of.interleaved,
                of.entry_differs,
                of.init,
                of.entry_value,
            ];
            for number in numbers {
                line.push_str(&pad_left(&grouped(number), 9));
            }
            line.push_str(&pad_left(if of.has_copy { "yes" } else { "-" }, 9));
            let _ = writeln!(out, "{line}");
        }
        let of: u64 = functions.iter().map(|of| of.sites).sum();
        let _ =
            writeln!(out, "  {}", style.paint(Tone::Dim, &format!("{} of all sites", percent(of, self.summary.sites))));
    }

    /// JSON with every function, ending in a newline.
    pub fn json(&self) -> serde_json::Result<String> {
        let published: Vec<Value> = PUBLISHED
            .iter()
            .filter(|_| self.is_comparable())
            .map(|(what, number, source)| json!({ "what": what, "number": number, "source": source }))
            .collect();
        let whole = json!({
            "schema": SCHEMA,
            "summary": self.summary,
            "written": self.size.map(|size| size.written),
            "compressed": self.size.map(|size| size.compressed),
            "comparable": self.is_comparable(),
            "published": published,
            "functions": self.functions,
            "damage": super::damage_json(self.damage),
        });
        serde_json::to_string_pretty(&whole).map(|text| text + "\n")
    }
}
