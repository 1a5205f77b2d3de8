//! The sites of one function.

use super::{SCHEMA, Style, Tone, grouped, hex};
use crate::debuginfo::inline_btf::listing::{ListedFunction, ListedSite, SitesOf};
use crate::debuginfo::inline_btf::location::{Shown, flag};
use crate::debuginfo::inline_btf::{LocParam, Location, Machine, Missing};
use crate::report::style::harmless;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The sites of the functions of one name.
#[derive(Debug)]
pub struct Listing<'l> {
    /// The sites.
    pub sites: &'l SitesOf,
    /// Names of the files that calls are in.
    pub files: BTreeMap<(u32, u32), String>,
    /// Whose registers.
    pub machine: Machine,
}

impl Listing<'_> {
    /// For people, ending in a newline.
    #[must_use]
    pub fn text(&self, style: Style) -> String {
        let mut out = String::new();
        for function in &self.sites.functions {
            self.function(function, &mut out, style);
        }
        out
    }

    fn function(&self, function: &ListedFunction, out: &mut String, style: Style) {
        let mut params = function.params.join(", ");
        if function.variadic {
            params.push_str(if params.is_empty() { "..." } else { ", ..." });
        }
        let gap = if out.is_empty() { "" } else { "\n" };
        let head = harmless(&format!("{}({params})", function.name));
        let copy = match function.copy {
            Some(0) => "also out of line".to_owned(),
            Some(address) if function.sites.iter().all(|site| site.traits.own_copy) => {
                format!(
                    "also out of line at {address:#x}: a probe on the symbol misses nothing, as all sites are in that copy"
                )
            }
            Some(address) => format!("also out of line at {address:#x}: a probe on the symbol misses these sites"),
            None => "no copy out of line".to_owned(),
        };
        let _ = writeln!(
            out,
            "{gap}{}: {} sites, {copy}",
            style.paint(Tone::Strong, &head),
            grouped(function.sites.len() as u64)
        );
        for site in &function.sites {
            self.site(function, site, out, style);
        }
    }

    fn site(&self, function: &ListedFunction, site: &ListedSite, out: &mut String, style: Style) {
        let within = if site.caller == site.function { String::new() } else { format!(" (code of {})", site.function) };
        let mut line =
            format!("  {:#x} {}+{:#x} in {}{within}", site.address, site.section.0, site.section.1, site.caller);
        let file = self.files.get(&site.file);
        if let Some(file) = file.filter(|_| site.line > 0) {
            let _ = write!(line, " at {file}:{}", site.line);
        }
        for word in words(site) {
            let _ = write!(line, ", {word}");
        }
        let _ = writeln!(out, "{}", harmless(&line));
        for (index, param) in site.params.iter().enumerate() {
            let name = function.params.get(index).filter(|name| !name.is_empty()).cloned();
            let name = harmless(&name.unwrap_or_else(|| format!("parameter {}", index + 1)));
            let _ = match param {
                Ok(found) => writeln!(out, "      {name} = {}", self.shown(*found)),
                Err(missing) => writeln!(out, "      {name}: {}", style.paint(Tone::Warn, missing.title())),
            };
        }
    }

    fn shown(&self, (location, param): (Location, LocParam)) -> Shown {
        Shown { location, machine: self.machine, signed: param.flags & flag::SIGNED != 0 }
    }

    /// As JSON, ending in a newline.
    pub fn json(&self) -> serde_json::Result<String> {
        let functions: Vec<Value> = self
            .sites
            .functions
            .iter()
            .map(|function| {
                json!({
                    "name": function.name,
                    "params": function.params,
                    "variadic": function.variadic,
                    "has_copy": function.copy.is_some(),
                    "copy_address": function.copy.filter(|address| *address != 0).map(hex),
                    "sites": function.sites.iter().map(|site| self.site_json(site)).collect::<Vec<_>>(),
                })
            })
            .collect();
        serde_json::to_string_pretty(&json!({ "schema": SCHEMA, "functions": functions })).map(|text| text + "\n")
    }

    fn site_json(&self, site: &ListedSite) -> Value {
        let param = |param: &Result<(Location, LocParam), Missing>| match param {
            Ok(found) => json!({
                "location": self.shown(*found).to_string(),
                "size": found.1.size,
                "flags": found.1.flags,
                "values": found.1.values(),
            }),
            Err(missing) => json!({ "missing": missing.word() }),
        };
        json!({
            "address": hex(site.address),
            "section": site.section.0,
            "offset": site.section.1,
            "caller": site.caller,
            "function": site.function,
            "file": self.files.get(&site.file),
            "line": if site.line == 0 { None } else { Some(site.line) },
            "ranges": site.extent.0,
            "low": hex(site.extent.1),
            "high": hex(site.extent.2),
            "traits": site.traits,
            "params": site.params.iter().map(param).collect::<Vec<_>>(),
        })
    }
}

fn words(site: &ListedSite) -> Vec<String> {
    let mut words = Vec::new();
    if site.traits.fragmented {
        words.push(format!("{} ranges", site.extent.0));
    }
    for (is, word) in [
        (site.traits.interleaved, "interleaved with a sibling"),
        (site.traits.entry_differs, "entered elsewhere than at its first range"),
        (site.traits.init, "in init code"),
        (site.traits.own_copy, "a part of the function's own copy, not another call"),
    ] {
        if is {
            words.push(word.to_owned());
        }
    }
    words
}
