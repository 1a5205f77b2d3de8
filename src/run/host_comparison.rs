//! Why the keys of two machines differ. This machine plans the request with its own facts, with those of the other machine,
//! and with one of the other's facts at a time: what a fact concerns is computed, not guessed.

use super::{Error, Session};
use crate::base::{Diagnostic, Key, StageName};
use crate::plan::host_facts::Fact;
use crate::plan::{HostFacts, Plan, Request};
use crate::store::Store;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;

/// The schema of an export.
pub const SCHEMA: u64 = 1;
/// Larger is no export.
const MOST: u64 = 64 << 20;

/// What a machine contributes to the keys of a request, and the keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Export {
    schema: u64,
    /// The version of crossmill.
    pub version: String,
    /// The facts of the machine.
    pub host: HostFacts,
    /// The stages of the request.
    pub stages: Vec<ExportedStage>,
}

/// A stage of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportedStage {
    /// `arm64/gcc`
    pub stage: StageName,
    /// Its key.
    pub key: Key,
    /// Whether the key is final: every source below the stage is known.
    pub known: bool,
}

/// A fact in which two machines differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which.
    pub fact: Fact,
    /// What it is here; `None` for a tool that is missing.
    pub here: Option<String>,
    /// What it is there.
    pub there: Option<String>,
    /// The stages that it is an input of.
    pub stages: Vec<StageName>,
    /// The number of stages that need one of those and differ therefore.
    pub above: usize,
}

/// The comparison of two machines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// What differs.
    pub differences: Vec<Difference>,
    /// The stages that both machines have planned.
    pub compared: usize,
    /// The stages whose keys differ.
    pub differing: Vec<StageName>,
    /// Those that would differ even if the machines were equal, without those that only need one: the recipes, the settings
    /// or the sources are not the same.
    pub other_reasons: Vec<StageName>,
    /// The stages that only one of the machines has planned.
    pub unpaired: usize,
}

impl Export {
    /// Returns what this machine contributes to the keys of `request`.
    pub fn of(session: &Session, request: &Request, store: &Store) -> Result<Self, Error> {
        let host = session.host_facts();
        let plan = session.plan_on(&host, request, store, &session.fetcher(store))?;
        Ok(Self { schema: SCHEMA, version: env!("CARGO_PKG_VERSION").to_owned(), host, stages: stages(&plan) })
    }

    /// Reads the file that another machine has written.
    pub fn read(path: &Path) -> Result<Self, Diagnostic> {
        let again = || format!("`crossmill plan TARGET… --export-host > {}` writes one", path.display());
        let mut text = Vec::new();
        let read = fs_err::File::open(path).and_then(|file| file.take(MOST + 1).read_to_end(&mut text));
        read.map_err(|error| Diagnostic::new(error.to_string()).hint(again()))?;
        let wrong =
            |why: String| Diagnostic::new(format!("{} is no export of a machine: {why}", path.display())).hint(again());
        if text.len() as u64 > MOST {
            return Err(wrong(format!("it has more than {}", crate::base::units::bytes(MOST))));
        }
        let value: serde_json::Value = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        match value.get("schema").and_then(serde_json::Value::as_u64) {
            Some(SCHEMA) => {}
            Some(other) => {
                let message =
                    format!("{} is of schema {other}, and this crossmill reads schema {SCHEMA}", path.display());
                return Err(Diagnostic::new(message).hint(format!("with the same crossmill there, {}", again())));
            }
            None => return Err(wrong("it has no `schema`".to_owned())),
        }
        serde_json::from_value(value).map_err(|error| wrong(error.to_string()))
    }
}

fn stages(plan: &Plan) -> Vec<ExportedStage> {
    let known = plan.known();
    let stage = |id: crate::plan::StageId| {
        let stage = plan.stage(id);
        ExportedStage { stage: stage.name.clone(), key: stage.key, known: known[id.0 as usize] }
    };
    plan.ids().map(stage).collect()
}

/// Compares this machine with another one.
pub fn compare(session: &Session, request: &Request, store: &Store, other: &Export) -> Result<Comparison, Error> {
    let (own, fetcher) = (session.host_facts(), session.fetcher(store));
    let plan_on = |facts: &HostFacts| session.plan_on(facts, request, store, &fetcher);
    let plan = plan_on(&own)?;
    let mut comparison = compare_keys(&plan, &plan_on(&other.host)?, &other.stages)?;
    for fact in own.differences(&other.host) {
        let with = plan_on(&own.with(&fact, &other.host))?;
        let (stages, above) = concerned(&plan, &with);
        comparison.differences.push(Difference {
            here: own.get(&fact).map(str::to_owned),
            there: other.host.get(&fact).map(str::to_owned),
            fact,
            stages,
            above,
        });
    }
    Ok(comparison)
}

// `theirs` is this machine's plan with the other's facts: its keys are those of the other machine, unless something else
// differs too.
fn compare_keys(own: &Plan, theirs: &Plan, exported: &[ExportedStage]) -> Result<Comparison, Error> {
    let theirs: BTreeMap<StageName, Key> = theirs.stages.iter().map(|stage| (stage.name.clone(), stage.key)).collect();
    let exported: BTreeMap<&StageName, &ExportedStage> = exported.iter().map(|it| (&it.stage, it)).collect();
    let known = own.known();
    let mut comparison = Comparison::default();
    let mut otherwise = vec![false; own.stages.len()];
    for id in own.ids() {
        let (stage, at) = (own.stage(id), id.0 as usize);
        let Some(exported) = exported.get(&stage.name) else {
            comparison.unpaired += 1;
            continue;
        };
        comparison.compared += 1;
        let expected = theirs.get(&stage.name);
        // A key that waits for a source on one side only says nothing.
        otherwise[at] = exported.known == known[at] && expected != Some(&exported.key);
        if otherwise[at] && !stage.needs.iter().any(|need| otherwise[need.0 as usize]) {
            comparison.other_reasons.push(stage.name.clone());
        }
        if otherwise[at] || expected != Some(&stage.key) {
            comparison.differing.push(stage.name.clone());
        }
    }
    let own: BTreeSet<&StageName> = own.stages.iter().map(|stage| &stage.name).collect();
    comparison.unpaired += exported.keys().filter(|name| !own.contains(*name)).count();
    if comparison.compared == 0 {
        return Err(Diagnostic::new("the other machine has planned no stage of this request")
            .hint("name the same targets, packages and settings for `--export-host` and `--explain-host`")
            .into());
    }
    Ok(comparison)
}

// The stages of which a changed fact is an input, and how many others differ because they need one.
fn concerned(plan: &Plan, with: &Plan) -> (Vec<StageName>, usize) {
    let others: BTreeMap<&StageName, &crate::plan::Stage> =
        with.stages.iter().map(|stage| (&stage.name, stage)).collect();
    let (mut direct, mut above) = (Vec::new(), 0);
    for stage in &plan.stages {
        match others.get(&stage.name) {
            Some(other) if other.own == stage.own => above += usize::from(other.key != stage.key),
            _ => direct.push(stage.name.clone()),
        }
    }
    (direct, above)
}
