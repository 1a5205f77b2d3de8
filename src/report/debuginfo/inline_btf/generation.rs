//! What was generated.

use super::{Lines, SCHEMA, Style, account_for, availability, damage, fraction, grouped, heading, percent, verified};
use crate::base::check_result::{CheckResult, Verdict};
use crate::base::units;
use crate::debuginfo::inline_btf::file::Verified;
use crate::debuginfo::inline_btf::summary::Summary;
use crate::debuginfo::inline_btf::write::Written;
use serde_json::json;
use std::time::Duration;

/// Inline BTF that was just made, with everything known about it.
#[derive(Debug)]
pub struct Generation<'g> {
    /// The sites.
    pub summary: Summary,
    /// What was written.
    pub written: Written,
    /// Its verification.
    pub verified: &'g Verified<'g>,
    /// The verification of what the kernel's own build wrote.
    pub own: &'g [(String, Verified<'g>)],
    /// Units that could not be read to their end.
    pub damage: &'g [(u64, String)],
    /// The smallest share of sites with every parameter that will do.
    pub min_complete: Option<f64>,
    /// How long it took.
    pub took: Duration,
}

impl Generation<'_> {
    fn share(&self) -> f64 {
        fraction(self.summary.all, self.summary.sites)
    }

    fn per_site(&self) -> f64 {
        if self.written.sites == 0 { 0.0 } else { self.written.bytes as f64 / self.written.sites as f64 }
    }

    /// What is wrong first.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        if !self.summary.adds_up {
            return Some("not every DW_TAG_inlined_subroutine is accounted for".to_owned());
        }
        if let Some((offset, why)) = self.damage.first() {
            return Some(format!("damaged debug information: unit at {offset:#x}: {why}"));
        }
        if let Some(why) = self.verified.trouble() {
            return Some(why);
        }
        let min = self.min_complete.filter(|min| self.share() < *min)?;
        Some(format!(
            "{} of the sites have every parameter, {:.1} % are expected",
            percent(self.summary.all, self.summary.sites),
            min * 100.0
        ))
    }

    /// For people, ending in a newline.
    #[must_use]
    pub fn text(&self, style: Style) -> String {
        let mut out = String::new();
        heading(&mut out, "inlined subroutines", style);
        account_for(&self.summary).draw(&mut out, style);
        heading(&mut out, "sites with", style);
        availability(&self.summary).draw(&mut out, style);
        heading(&mut out, "written", style);
        self.lines().draw(&mut out, style);
        heading(&mut out, "checked", style);
        verified::draw("read again", self.verified, &mut out, style);
        for (name, own) in self.own {
            verified::draw(&format!("{name} of the kernel's build"), own, &mut out, style);
        }
        damage(&mut out, self.damage, style);
        if let Some(why) = self.trouble() {
            out.push_str(&format!("\n{} {why}\n", style.paint(super::Tone::Bad, "failed:")));
        }
        out
    }

    fn lines(&self) -> Lines {
        let of = &self.written;
        let mut lines = Lines::default();
        let functions = of.functions_known + of.functions_new;
        lines.add("functions", grouped(functions), format!("{} of them in the base", grouped(of.functions_known)));
        let more = format!("{} of them without what is in them", grouped(of.types_opaque));
        lines.add("types that the base lacks", grouped(of.types_new), more);
        lines.add("LOC_PARAM", grouped(of.loc_params), format!("from {}", grouped(self.summary.params_available)));
        lines.add("LOC_PROTO", grouped(of.loc_protos), format!("from {}", grouped(self.summary.loc_protos_before)));
        lines.add("LOCSEC", grouped(of.sections), "");
        lines.add("bytes", grouped(of.bytes), format!("{:.1} a site", self.per_site()));
        lines.add("time", units::duration(self.took), "");
        lines
    }

    /// As JSON, ending in a newline.
    pub fn json(&self) -> serde_json::Result<String> {
        let own: Vec<_> = self.own.iter().map(|(name, own)| verified::value(name, own)).collect();
        let whole = json!({
            "schema": SCHEMA,
            "ok": self.trouble().is_none(),
            "why": self.trouble(),
            "summary": self.summary,
            "share_all": self.share(),
            "written": self.written,
            "bytes_per_site": self.per_site(),
            "verified": verified::value("generated", self.verified),
            "own": own,
            "damage": self.damage.iter().map(|(offset, why)| json!({ "offset": offset, "why": why })).collect::<Vec<_>>(),
            "seconds": self.took.as_secs_f64(),
        });
        serde_json::to_string_pretty(&whole).map(|text| text + "\n")
    }

    /// What it comes to.
    #[must_use]
    pub fn account(&self) -> CheckResult {
        let (summary, written) = (&self.summary, &self.written);
        let why = self.trouble();
        let figures = [
            ("inlined_subroutines", summary.inlined_subroutines as f64),
            ("sites", summary.sites as f64),
            ("skipped", (summary.inlined_subroutines - summary.sites) as f64),
            ("functions", summary.functions as f64),
            ("functions_new", written.functions_new as f64),
            ("all", summary.all as f64),
            ("partial", summary.partial as f64),
            ("none", summary.none as f64),
            ("share_all", self.share()),
            ("loc_params", written.loc_params as f64),
            ("loc_protos", written.loc_protos as f64),
            ("bytes", written.bytes as f64),
            ("bytes_per_site", self.per_site()),
            ("errors", self.verified.checked.findings.errors() as f64),
            ("seconds", self.took.as_secs_f64()),
        ];
        CheckResult {
            state: if why.is_some() { Verdict::Fail } else { Verdict::Pass },
            why,
            summary: Some(format!(
                "{} inline sites, {} with every parameter",
                grouped(summary.sites),
                percent(summary.all, summary.sites)
            )),
            figures: figures.map(|(name, number)| (name.to_owned(), number)).to_vec(),
            ..CheckResult::default()
        }
    }
}
