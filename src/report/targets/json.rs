//! The matrix as JSON.

use crate::config::matrix::{Matrix, Target};
use crate::record::{Record, standing};
use serde_json::{Map, Value, json};

/// Returns all targets, and those that cannot be built.
pub fn list(matrix: &Matrix, record: &Record) -> String {
    let targets: Vec<Value> = matrix.targets.values().map(|target| value(target, record)).collect();
    let not_built = matrix
        .not_built
        .iter()
        .map(|(name, known)| json!({ "name": name.as_str(), "why": known.why, "last": known.last }));
    let not_built: Vec<Value> = not_built.collect();
    format!("{:#}\n", json!({ "schema": 4, "targets": targets, "not_built": not_built }))
}

/// Returns one target with all that is recorded of it.
pub fn one(target: &Target, record: &Record) -> String {
    let mut value = value(target, record);
    if let Some(results) = record.targets.get(target.name.as_str())
        && let Ok(whole) = serde_json::to_value(results)
    {
        value["tested"]["results"] = whole;
    }
    value["schema"] = json!(4);
    format!("{value:#}\n")
}

fn value(target: &Target, record: &Record) -> Value {
    let options: Map<_, _> = target
        .options
        .iter()
        .map(|(package, options)| {
            let options: Vec<_> = options
                .iter()
                .map(|option| {
                    json!({ "add": option.add, "why": option.why, "from": option.from, "versions": option.versions.to_string() })
                })
                .collect();
            (package.to_string(), json!(options))
        })
        .collect();
    let ranges = |versions: &std::collections::BTreeMap<
        crate::base::PackageName,
        crate::config::version_range::VersionRange,
    >| {
        versions.iter().map(|(name, range)| (name.to_string(), json!(range.to_string()))).collect::<Map<_, _>>()
    };
    json!({
        "name": target.name.as_str(), "summary": target.summary, "tier": target.tier, "triple": target.triple,
        "arch": target.arch, "toolchain": target.toolchain.as_str(), "options": options,
        "release_set": target.release_set,
        "with": target.pins.iter().map(|(name, pin)| (name.to_string(), json!(pin.version.as_str()))).collect::<Map<_, _>>(),
        "set": target.set.iter().map(|(name, value)| (name.clone(), json!(value.to_string()))).collect::<Map<_, _>>(),
        "kernel": target.kernel.as_ref().map(|kernel| json!({
            "defconfig": kernel.defconfig, "fragments": kernel.fragments, "tiny_fragments": kernel.tiny_fragments,
            "image": kernel.image, "make_target": kernel.make_target,
        })),
        "requires": target.requires.iter().map(|requires| json!({
            "package": requires.package.as_str(), "versions": requires.versions.to_string(), "why": requires.why,
            "from": requires.from,
        })).collect::<Vec<_>>(),
        "quirks": target.quirks.iter().map(|quirk| json!({
            "what": quirk.what, "why": quirk.why, "from": quirk.from, "versions": ranges(&quirk.versions),
        })).collect::<Vec<_>>(),
        "expect": target.expect.iter().map(|(check, word)| (check.to_string(), json!(word))).collect::<Map<_, _>>(),
        "known_failures": target.known_failures.iter().map(|(check, known)| (check.to_string(), json!({
            "why": known.why, "until": known.until.map(|day| day.to_string()), "versions": ranges(&known.versions),
        }))).collect::<Map<_, _>>(),
        "aliases": target.aliases,
        "facts": target.facts,
        "notes": target.notes,
        "tested": record.newest(target.name.as_str()).first().map(|results| {
            let standing = standing(results);
            json!({ "state": standing.state, "day": standing.day })
        }),
    })
}
