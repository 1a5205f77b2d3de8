//! Text and JSON of inline BTF that was generated.

use super::{Lines, SCHEMA, Style, Tone, account_for, availability, damage, grouped, heading, per_site, verified};
use crate::base::units;
use crate::debuginfo::inline_btf::generation::Generation;
use serde_json::json;

/// Returns the text for people, ending in a newline.
#[must_use]
pub fn text(of: &Generation<'_>, style: Style) -> String {
    let mut out = String::new();
    heading(&mut out, "inlined subroutines", style);
    account_for(&of.summary).draw(&mut out, style);
    heading(&mut out, "sites with", style);
    availability(&of.summary).draw(&mut out, style);
    heading(&mut out, "written", style);
    lines(of).draw(&mut out, style);
    heading(&mut out, "checked", style);
    verified::draw("read again", of.verified, &mut out, style);
    for (name, own) in of.own {
        verified::draw(&format!("{name} of the kernel's build"), own, &mut out, style);
    }
    damage(&mut out, of.damage, style);
    if let Some(why) = of.fault() {
        out.push_str(&format!("\n{} {why}\n", style.paint(Tone::Bad, "failed:")));
    }
    out
}

fn lines(generation: &Generation<'_>) -> Lines {
    let of = &generation.written;
    let mut lines = Lines::default();
    let functions = of.functions_known + of.functions_new;
    lines.add("functions", grouped(functions), format!("{} of them in the base", grouped(of.functions_known)));
    let more = format!("{} of them without their members", grouped(of.types_opaque));
    lines.add("types that the base lacks", grouped(of.types_new), more);
    lines.add("LOC_PARAM", grouped(of.loc_params), format!("from {}", grouped(generation.summary.params_available)));
    lines.add("LOC_PROTO", grouped(of.loc_protos), format!("from {}", grouped(generation.summary.loc_protos_before)));
    lines.add("LOCSEC", grouped(of.sections), "");
    lines.add("bytes", grouped(of.bytes), per_site(of.bytes, of.sites));
    lines.add("time", units::duration(generation.took), "");
    lines
}

/// Returns the JSON, ending in a newline.
pub fn json(of: &Generation<'_>) -> serde_json::Result<String> {
    let own: Vec<_> = of.own.iter().map(|(name, own)| verified::value(name, own)).collect();
    let fault = of.fault();
    let whole = json!({
        "schema": SCHEMA,
        "ok": fault.is_none(),
        "why": fault,
        "summary": of.summary,
        "share_all": of.summary.share_complete(),
        "written": of.written,
        "bytes_per_site": of.bytes_per_site(),
        "verified": verified::value("generated", of.verified),
        "own": own,
        "damage": super::damage_json(of.damage),
        "seconds": of.took.as_secs_f64(),
    });
    serde_json::to_string_pretty(&whole).map(|text| text + "\n")
}
