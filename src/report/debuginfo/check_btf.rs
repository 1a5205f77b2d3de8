//! Text and JSON of checks of BTF.

use crate::base::check_result::Verdict;
use crate::base::rule::{Rule, Severity};
use crate::debuginfo::btf::Endian;
use crate::debuginfo::btf::file::Section;
use crate::debuginfo::btf::result::{File, amounts, counts, form, result, site_count, total};
use crate::debuginfo::btf::validate::rules::NO_BASE;
use crate::report::style::{Style, Tone, harmless};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// The schema version of the JSON output.
pub const SCHEMA: u32 = 1;

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

// `32,559 types, 547,614 bytes of strings, little-endian`
fn facts(section: &Section<'_>) -> String {
    if let Some(ext) = &section.ext {
        return ext.map_or("not readable".to_owned(), |of| {
            let (functions, lines) = (counted(of.functions, "function"), counted(of.lines, "line"));
            format!("{functions}, {lines}, {}", counted(of.relocations, "CO-RE relocation"))
        });
    }
    let Some(btf) = &section.checked.btf else {
        return if section.checked.is_obsolete {
            "obsolete form (i), not decoded".into()
        } else {
            "not readable".into()
        };
    };
    let mut words = vec![format!("{} types", btf.len()), format!("{} bytes of strings", btf.strings().len())];
    words.push(if btf.endian() == Endian::Little { "little-endian".into() } else { "big-endian".into() });
    if btf.is_split() {
        words.push(format!("split, ids from {}", btf.first_id()));
    }
    if !btf.layout().is_empty() {
        words.push(format!("layout of {} kinds", btf.layout().len()));
    }
    if let Some(form) = form(section) {
        words.push(format!("inline form ({form}), {} sites", site_count(btf)));
    }
    words.join(", ")
}

fn label(file: &File<'_>, section: &Section<'_>) -> String {
    let path = harmless(&file.loaded.path.display().to_string());
    if section.name.is_empty() { path } else { format!("{path} {}", section.name) }
}

/// For people, ending in a newline.
#[must_use]
pub fn text(files: &[File<'_>], style: Style) -> String {
    let mut out = String::new();
    for file in files {
        if file.sections.iter().all(|section| section.ext.is_some()) {
            let path = harmless(&file.loaded.path.display().to_string());
            let _ = writeln!(out, "{path}: {}", style.paint(Tone::Warn, "no BTF section"));
        }
        for section in &file.sections {
            section_text(&mut out, file, section, style);
        }
    }
    let errors = total(files, |section| section.checked.findings.errors());
    let warnings = total(files, |section| section.checked.findings.warnings());
    if errors + warnings > 0 {
        let amounts = amounts(errors, warnings);
        let _ = writeln!(out, "\n{amounts}; `crossmill btf check --explain CODE` explains one");
    }
    out
}

fn section_text(out: &mut String, file: &File<'_>, section: &Section<'_>, style: Style) {
    let findings = &section.checked.findings;
    let (word, tone) = match (findings.errors(), findings.warnings()) {
        (0, 0) => ("valid".to_owned(), Tone::Good),
        (0, _) => (amounts(findings.errors(), findings.warnings()), Tone::Warn),
        _ => (amounts(findings.errors(), findings.warnings()), Tone::Bad),
    };
    let _ = writeln!(out, "{}: {}; {}", label(file, section), style.paint(tone, &word), facts(section));
    for finding in findings.list() {
        let tone = if finding.rule.severity == Severity::Error { Tone::Bad } else { Tone::Warn };
        let shown = harmless(&finding.to_string());
        let lead = format!("{}[{}]", finding.rule.severity, finding.rule.code);
        let rest = shown.strip_prefix(&lead).unwrap_or(&shown);
        let _ = writeln!(out, "  {}{rest}", style.paint(tone, &lead));
    }
    for (code, count) in findings.counts() {
        let kept = findings.list().iter().filter(|finding| finding.rule.code == code).count() as u64;
        if count > kept {
            let _ = writeln!(out, "  … and {} more of {code}", count - kept);
        }
    }
    if findings.count(&NO_BASE) > 0 {
        let _ = writeln!(
            out,
            "  hint: a module's BTF is based on that of vmlinux, inline BTF on the main BTF: `--base FILE`"
        );
    }
}

fn section_json(section: &Section<'_>) -> Value {
    let findings = &section.checked.findings;
    let mut value = json!({
        "name": if section.name.is_empty() { None } else { Some(section.name) },
        "bytes": section.len,
        "readable": section.checked.btf.is_some() || section.ext.is_some_and(|ext| ext.is_some()),
        "inline_form": form(section),
        "errors": findings.errors(),
        "warnings": findings.warnings(),
        "findings": findings.list(),
        "counts": findings.counts().map(|(code, count)| (code.to_owned(), json!(count))).collect::<Map<_, _>>(),

    });
    let Some(object) = value.as_object_mut() else { return value };
    if let Some(of) = section.ext.flatten() {
        let counts = [("functions", of.functions), ("lines", of.lines), ("relocations", of.relocations)];
        object.extend(counts.map(|(name, count)| (name.to_owned(), json!(count))));
    }
    let Some(btf) = &section.checked.btf else { return value };
    let kinds = counts(btf).into_iter().map(|(kind, count)| (kind.to_string(), json!(count)));
    object.extend([
        ("endian".to_owned(), json!(if btf.endian() == Endian::Little { "little" } else { "big" })),
        ("header_len".to_owned(), json!(btf.header().len)),
        ("grammar".to_owned(), json!(super::btf_json::grammar(btf))),
        ("layout_entries".to_owned(), json!(btf.layout().len())),
        ("split".to_owned(), json!(btf.is_split())),
        ("first_id".to_owned(), json!(btf.first_id())),
        ("types".to_owned(), json!(btf.len())),
        ("string_bytes".to_owned(), json!(btf.strings().len())),
        ("kinds".to_owned(), Value::Object(kinds.collect())),
        ("sites".to_owned(), json!(site_count(btf))),
    ]);
    value
}

/// As JSON, ending in a newline. What is worse than or as bad as `worst` makes it not ok.
pub fn json(files: &[File<'_>], worst: Severity) -> serde_json::Result<String> {
    let list: Vec<Value> = files
        .iter()
        .map(|file| {
            json!({
                "path": file.loaded.path.display().to_string(),
                "ext_bytes": file.loaded.ext.as_ref().map(|bytes| bytes.len()),
                "sections": file.sections.iter().map(section_json).collect::<Vec<_>>(),
            })
        })
        .collect();
    let result = result(files, worst);
    let whole = json!({ "schema": SCHEMA, "ok": result.state == Verdict::Pass, "state": result.state, "files": list });
    serde_json::to_string_pretty(&whole).map(|text| text + "\n")
}

/// Returns all there is about some rules.
#[must_use]
pub fn rules_text(rules: &[&Rule]) -> String {
    let one = |rule: &&Rule| {
        format!("{}[{}]: {}\n\n{}\n\nsource: {}\n", rule.severity, rule.code, rule.title, rule.explanation, rule.source)
    };
    rules.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// Returns a line for each rule.
#[must_use]
pub fn rules_list(rules: &[&Rule]) -> String {
    rules.iter().map(|rule| format!("{}  {:7}  {}\n", rule.code, rule.severity.to_string(), rule.title)).collect()
}

/// Rules as JSON, ending in a newline.
pub fn rules_json(rules: &[&Rule]) -> serde_json::Result<String> {
    let list: Vec<Value> = rules
        .iter()
        .map(|rule| {
            json!({
                "code": rule.code, "severity": rule.severity, "title": rule.title,
                "explanation": rule.explanation, "source": rule.source,
            })
        })
        .collect();
    serde_json::to_string_pretty(&json!({ "schema": SCHEMA, "rules": list })).map(|text| text + "\n")
}
