//! Provenance of an archive: an in-toto Statement v1 with SLSA Provenance v1 as its predicate
//! (<https://in-toto.io/Statement/v1>, <https://slsa.dev/provenance/v1>). Everything that determines the result is in
//! `internalParameters`: the inputs of each key of the plan.

use super::Error;
use super::index::File;
use super::ingredients::{Ingredient, Ingredients};
use serde_json::{Map, Value, json};

/// The build type: what the parameters below mean.
const BUILD_TYPE: &str = "https://crossmill.dev/build/v1";
const BUILDER: &str = "https://crossmill.dev/builder/local";

/// An invocation of crossmill.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The run's name.
    pub run: String,
    /// The kind of archive.
    pub kind: String,
    /// The targets.
    pub targets: Vec<String>,
    /// The profile.
    pub profile: String,
    /// The release set.
    pub release_set: String,
    /// The value of every setting.
    pub settings: Vec<(String, String)>,
    /// When it ended, in seconds since 1970.
    pub finished: u64,
}

/// Returns the statement.
pub fn text(files: &[File], from: &Ingredients, invocation: &Invocation) -> Result<String, Error> {
    let subject: Vec<Value> =
        files.iter().map(|file| json!({ "name": file.path, "digest": { "sha256": file.sha256 } })).collect();
    let stages: Map<String, Value> = from
        .stages
        .iter()
        .map(|stage| {
            let inputs: Vec<Value> =
                stage.inputs.iter().map(|(what, value)| json!({ "what": what, "value": value })).collect();
            (stage.name.clone(), json!({ "key": stage.key, "inputs": inputs }))
        })
        .collect();
    let settings: Map<String, Value> =
        invocation.settings.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subject,
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "kind": invocation.kind, "targets": invocation.targets, "profile": invocation.profile,
                    "release_set": invocation.release_set, "settings": settings,
                },
                "internalParameters": { "stages": stages, "host_tools": from.tools },
                "resolvedDependencies": from.sources.iter().map(dependency).collect::<Vec<_>>(),
            },
            "runDetails": {
                "builder": { "id": BUILDER, "version": { "crossmill": env!("CARGO_PKG_VERSION") } },
                "metadata": {
                    "invocationId": invocation.run, "finishedOn": super::sbom::timestamp(invocation.finished)?,
                },
            },
        },
    });
    let text = serde_json::to_string_pretty(&statement).map_err(std::io::Error::other)?;
    Ok(format!("{text}\n"))
}

// ResourceDescriptor: the digest's algorithm is part of it.
fn dependency(source: &Ingredient) -> Value {
    let (algorithm, digest) = match source.digest.split_once(':') {
        Some(("git", commit)) => ("gitCommit", commit),
        Some(("tree", digest)) => ("blake3Tree", digest),
        Some((other, digest)) => (other, digest),
        None => ("unknown", source.digest.as_str()),
    };
    json!({ "name": format!("{} {}", source.package, source.version), "uri": source.url, "digest": { algorithm: digest } })
}
