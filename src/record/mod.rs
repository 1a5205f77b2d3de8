//! The recorded results of each target, kept from run to run: `docs/matrix.json`
//! is the record, `docs/matrix.md` what people read of it.
//!
//! A record is only ever added to from event logs ([`gather`]), newest last;
//! the page is drawn from the record alone, so the two cannot disagree.

pub mod gather;
pub mod history;
mod lines;
pub mod markdown;
mod merge;
mod words;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

pub use gather::{Gathered, StoredResult, gather};
pub use history::History;
pub use lines::text;
pub use merge::merge;
pub use words::{Standing, standing};

/// The schema version. Version 1 had one result for each target, and called `tested` `proven`.
pub const SCHEMA: u32 = 2;
/// The record's file name.
pub const JSON: &str = "matrix.json";
/// The page's.
pub const MARKDOWN: &str = "matrix.md";

/// The recorded results of the whole matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Origin of this file, for readers who open it.
    pub generated: String,
    /// Stages that are built once for the machine.
    pub host: Vec<StageResult>,
    /// By the target's name, then by [`TargetResults::label`].
    pub targets: BTreeMap<String, BTreeMap<String, TargetResults>>,
    /// The runs that produced these results, by name.
    pub runs: BTreeMap<String, RunFigures>,
}

/// The recorded results of a target in one profile and release set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetResults {
    /// The GNU triple of its toolchain.
    pub triple: String,
    /// The kernel's `ARCH`.
    pub arch: String,
    /// Its tier.
    pub tier: String,
    /// The target whose toolchain it uses: often itself.
    pub toolchain: String,
    /// When the newest run with results of it began: RFC 3339, UTC.
    pub tested: String,
    /// That run.
    pub run: String,
    /// The profile, if its log has it.
    pub profile: Option<String>,
    /// The release set, likewise.
    pub release_set: Option<String>,
    /// The settings.
    pub set: BTreeMap<String, String>,
    /// The versions it was built from, those of a shared toolchain too.
    pub versions: BTreeMap<String, String>,
    /// Its builds and checks, in the order of the run.
    pub stages: Vec<StageResult>,
}

impl TargetResults {
    /// Returns `RELEASE-SET-PROFILE`, as in the store's directory of results; without the parts that an old log lacks.
    pub fn label(&self) -> String {
        let parts: Vec<&str> = [&self.release_set, &self.profile].into_iter().flatten().map(String::as_str).collect();
        parts.join("-")
    }
}

/// The result of one stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageResult {
    /// The package.
    pub package: String,
    /// The scope that it is built for: `host`, `toolchain`, `target`.
    pub per: String,
    /// Whether it is a check.
    pub check: bool,
    /// Empty for a package without a source.
    pub version: String,
    /// Its state.
    pub state: Outcome,
    /// Why it is not `built` or `pass`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// A summary of the findings of a check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The figures of a check.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<String, f64>,
    /// The cause of a failure, from its log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Evidence>,
    /// Its key.
    pub key: String,
    /// The run that built it, not one that found it cached; `None` if its log is gone.
    pub run: Option<String>,
    /// Seconds of wall-clock time it took.
    pub wall: f64,
    /// Seconds of processor time.
    pub cpu: f64,
    /// The largest process, KiB.
    pub memory_kib: u64,
    /// Bytes of the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// Recorded state of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Its result is there.
    Built,
    /// A check that found all as it should be.
    Pass,
    /// It failed.
    Failed,
    /// A stage that it needs failed.
    Blocked,
    /// The target or these versions have no such thing.
    Unsupported,
    /// The machine could not look.
    Skipped,
    /// It failed as the matrix expects.
    KnownFailure,
}

/// The cause of a failure, from its log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// The step that failed.
    pub step: String,
    /// End of the run.
    pub ended: String,
    /// The first real error lines.
    pub excerpt: Vec<String>,
}

/// The cost of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunFigures {
    /// When it began: RFC 3339, UTC.
    pub started: String,
    /// The crossmill version.
    pub crossmill: String,
    /// Job tokens.
    pub jobs: usize,
    /// Cores of the machine.
    pub cores: usize,
    /// Bytes of memory it planned with.
    pub memory: u64,
    /// Whether it finished, successfully or not.
    pub ended: bool,
    /// Seconds of wall-clock time.
    pub wall: f64,
    /// Seconds of processor time of all steps.
    pub cpu: f64,
    /// Seconds outside fetch and the final tail.
    pub busy_wall: f64,
    /// Processor seconds within them.
    pub busy_cpu: f64,
    /// The largest sum of memory in use by steps, KiB; 0 when not measured.
    pub peak_kib: u64,
    /// The host tools that belong to keys.
    pub tools: BTreeMap<String, String>,
}

impl Record {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self {
            schema: SCHEMA,
            generated: "by `crossmill record`, which adds the results of newer runs; never edited".to_owned(),
            host: Vec::new(),
            targets: BTreeMap::new(),
            runs: BTreeMap::new(),
        }
    }

    /// Reads a record, also one of schema 1.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match value.get("schema").and_then(Value::as_u64) {
            Some(1) => Self::from_schema_1(value),
            Some(schema) if schema == u64::from(SCHEMA) => serde_json::from_value(value),
            Some(schema) => return Err(format!("its schema is {schema}; this crossmill reads 1 and {SCHEMA}")),
            None => return Err("it has no number `schema`".to_owned()),
        }
        .map_err(|error| error.to_string())
    }

    fn from_schema_1(mut value: Value) -> serde_json::Result<Self> {
        let targets = value.get_mut("targets").and_then(Value::as_object_mut).map(std::mem::take).unwrap_or_default();
        value["schema"] = SCHEMA.into();
        let mut record: Self = serde_json::from_value(value)?;
        for (name, mut results) in targets {
            if let Some(began) = results.as_object_mut().and_then(|results| results.remove("proven")) {
                results["tested"] = began;
            }
            let results: TargetResults = serde_json::from_value(results)?;
            record.targets.insert(name, BTreeMap::from([(results.label(), results)]));
        }
        Ok(record)
    }

    /// Returns the results of every target, profile and release set.
    pub fn results(&self) -> impl Iterator<Item = (&str, &TargetResults)> {
        self.targets.iter().flat_map(|(name, all)| all.values().map(move |results| (name.as_str(), results)))
    }

    /// Returns the results of a target, the newest first.
    pub fn newest(&self, target: &str) -> Vec<&TargetResults> {
        let mut all: Vec<_> = self.targets.get(target).into_iter().flat_map(BTreeMap::values).collect();
        all.sort_by(|a, b| b.tested.cmp(&a.tested));
        all
    }

    /// Returns the name of a row: the target's, with the profile and release set if it has results of several.
    pub fn row(&self, name: &str, results: &TargetResults) -> String {
        let several = self.targets.get(name).is_some_and(|all| all.len() > 1);
        if several { format!("{name} ({})", results.label()) } else { name.to_owned() }
    }

    /// Returns every stage, with the row it belongs to.
    pub fn stages(&self) -> impl Iterator<Item = (String, &StageResult)> {
        let targets = self.results().flat_map(|(name, results)| {
            let row = self.row(name, results);
            results.stages.iter().map(move |stage| (row.clone(), stage))
        });
        self.host.iter().map(|stage| ("host".to_owned(), stage)).chain(targets)
    }
}

impl Default for Record {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
