//! A software bill of materials in CycloneDX 1.6 JSON: the archive, the sources that it was built from with their patches
//! and licences, and the host's compiler. It has no serial number and the date of the archive's members, so the same
//! archive has the same document.

use super::Error;
use super::archive::Digested;
use super::ingredients::{Ingredient, Ingredients};
use serde_json::{Value, json};

/// Subject of the document.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The archive's name.
    pub name: &'a str,
    /// The version of the package that it is named after.
    pub version: &'a str,
    /// Its uncompressed tar.
    pub tar: Digested,
    /// The date of its members, in seconds since 1970.
    pub date: u64,
}

/// Returns the document.
pub fn text(subject: Subject<'_>, from: &Ingredients) -> Result<String, Error> {
    let root = format!("archive:{}", subject.name);
    let sources: Vec<Value> = from.sources.iter().map(component).collect();
    let tools: Vec<Value> = from.tools.iter().map(|(name, version)| tool(name, version)).collect();
    let refs: Vec<String> = from.sources.iter().map(reference).collect();
    let mut dependencies = vec![json!({ "ref": root, "dependsOn": refs })];
    dependencies.extend(refs.iter().map(|name| json!({ "ref": name })));
    let document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": timestamp(subject.date)?,
            "tools": { "components": [{
                "type": "application", "name": "crossmill", "version": env!("CARGO_PKG_VERSION"),
            }] },
            "component": {
                "type": "application", "bom-ref": root, "name": subject.name, "version": subject.version,
                // Of the uncompressed tar, which does not depend on an encoder.
                "hashes": [{ "alg": "SHA-256", "content": subject.tar.sha256 }],
            },
        },
        "components": sources.into_iter().chain(tools).collect::<Vec<_>>(),
        "dependencies": dependencies,
    });
    let text = serde_json::to_string_pretty(&document).map_err(std::io::Error::other)?;
    Ok(format!("{text}\n"))
}

// A package may be in a plan with several sets of patches.
fn reference(source: &Ingredient) -> String {
    let patches: Vec<&str> = source.patches.iter().map(|(name, _)| name.as_str()).collect();
    if patches.is_empty() { source.purl() } else { format!("{}#{}", source.purl(), patches.join("+")) }
}

fn component(source: &Ingredient) -> Value {
    let mut value = json!({
        "type": "application", "bom-ref": reference(source), "name": source.package, "version": source.version,
        "purl": source.purl(),
    });
    let mut reference = json!({ "type": "source-distribution", "url": source.url });
    if let Some(sha256) = source.sha256() {
        reference["hashes"] = json!([{ "alg": "SHA-256", "content": sha256 }]);
    } else {
        reference["comment"] = json!(source.digest);
    }
    value["externalReferences"] = json!([reference]);
    if let Some(license) = &source.license {
        value["licenses"] = json!([{ "expression": license }]);
    }
    let patches: Vec<Value> = source.patches.iter().map(patch).collect();
    if !patches.is_empty() {
        value["pedigree"] = json!({ "patches": patches });
    }
    value
}

fn patch((name, text): &(String, Option<String>)) -> Value {
    let content = text.as_ref().map_or_else(
        || json!({ "content": format!("{name}, a member of the source package"), "contentType": "text/plain" }),
        |text| json!({ "content": text, "contentType": "text/x-diff" }),
    );
    json!({ "type": "unofficial", "diff": { "text": content } })
}

fn tool(name: &str, version: &str) -> Value {
    json!({
        "type": "application", "bom-ref": format!("host:{name}"), "name": name, "version": version, "scope": "excluded",
        "description": "a tool of the machine that built the archive",
    })
}

/// Returns a date as RFC 3339 has it.
pub(super) fn timestamp(date: u64) -> Result<String, Error> {
    let seconds = i64::try_from(date).map_err(std::io::Error::other)?;
    Ok(jiff::Timestamp::from_second(seconds).map_err(std::io::Error::other)?.to_string())
}
