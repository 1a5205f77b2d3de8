//! Which run a command means: a name on the store, or the path of an event log that came from elsewhere.

use super::{CliError, exit};
use crate::base::{Diagnostic, Key, StageName, files, suggest};
use crate::plan::KeyInputs;
use crate::run::comparison::Subject;
use crate::run::comparison::spread::History;
use crate::run::log::RunModel;
use crate::run::log::event::Kind;
use crate::run::log::event_log::{self, Salvaged};
use crate::run::log::model::{Stage, StagePhase};
use crate::store::{Record, Store};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The file of a run's directory that holds its events.
const EVENTS: &str = "events.jsonl";

/// A run that was found and read.
#[derive(Debug)]
pub struct FoundRun {
    /// Its name; of a log from elsewhere the path.
    pub name: String,
    /// Model of the run, and the number of unreadable lines of its log.
    pub log: Salvaged,
}

/// Returns the names of the runs on a store that have an event log, oldest first.
pub fn names(store: &Store) -> Result<Vec<String>, CliError> {
    let dir = store.root().join("runs");
    let mut found = Vec::new();
    for name in files::names_in(&dir)? {
        // A run that was killed before its first event has no log.
        if files::lstat(&dir.join(&name).join(EVENTS))?.is_some() {
            found.push(name);
        }
    }
    Ok(found)
}

/// Finds a run and reads its event log; the newest run if none is named.
pub fn find(store: &Store, wanted: Option<&str>) -> Result<FoundRun, CliError> {
    let names = names(store)?;
    let (name, path) = match wanted {
        Some(place) if place.contains('/') => (place.to_owned(), log_at(Path::new(place))?),
        Some(name) if names.iter().any(|known| known == name) => (name.to_owned(), log_of(store, name)),
        Some(name) => {
            let mut problem = Diagnostic::new(format!("no run `{name}` on this store has an event log"));
            problem.hints = suggest::hints(name, "runs", names.iter().map(String::as_str));
            return Err(problem.hint("a path with a slash names an event log, as `./events.jsonl`").into());
        }
        None => {
            let name = names.last().ok_or_else(|| CliError::usage("there has been no run on this store"))?;
            (name.clone(), log_of(store, name))
        }
    };
    let log = event_log::salvage(&path).map_err(|error| CliError::new(exit::STORE, Diagnostic::from_error(&error)))?;
    let name = if log.model.run.name.is_empty() { name } else { log.model.run.name.clone() };
    Ok(FoundRun { name, log })
}

fn log_of(store: &Store, run: &str) -> PathBuf {
    store.run_dir(run).join(EVENTS)
}

fn log_at(place: &Path) -> Result<PathBuf, CliError> {
    let path = if place.is_dir() { place.join(EVENTS) } else { place.to_owned() };
    if path.is_file() {
        return Ok(path);
    }
    let problem = Diagnostic::new(format!("there is no event log at `{}`", place.display()));
    Err(problem.hint("name a run's directory or its events.jsonl").into())
}

impl FoundRun {
    /// Returns the run with the sizes of its results that the store still has.
    pub fn subject(&self, store: &Store) -> Subject {
        let model = self.log.model.clone();
        Subject { name: self.name.clone(), sizes: sizes(store, &model), built: built(store, &model), model }
    }
}

/// Returns the key of a stage's result: its directory is named by the final one; a cached stage has the key that was
/// announced. `None` if it has no result.
pub fn result_key(stage: &Stage) -> Option<Key> {
    if !matches!(&stage.phase, StagePhase::Over(outcome) if outcome.has_result()) {
        return None;
    }
    let from_path = stage.result.as_deref().and_then(|result| Path::new(result).parent()?.file_name()?.to_str());
    Some(from_path.and_then(|name| name.parse().ok()).unwrap_or(stage.info.key))
}

// The record of a stage's result, if the store still has it under this name.
fn record(store: &Store, stage: &Stage) -> Option<Record<KeyInputs>> {
    let record = store.record::<KeyInputs>(&result_key(stage)?).ok()?;
    (record.name == stage.info.name).then_some(record)
}

fn sizes(store: &Store, model: &RunModel) -> BTreeMap<StageName, u64> {
    let of_stage = |stage: &Stage| Some(record(store, stage)?.bytes).filter(|bytes| *bytes > 0);
    model.stages.iter().filter_map(|(name, stage)| Some((name.clone(), of_stage(stage)?))).collect()
}

fn built(store: &Store, model: &RunModel) -> BTreeMap<StageName, (Key, f64)> {
    let builds = model.stages.iter().filter(|(_, stage)| stage.info.kind == Kind::Build);
    let of_stage = |stage: &Stage| record(store, stage).map(|record| (record.key, record.cpu));
    builds.filter_map(|(name, stage)| Some((name.clone(), of_stage(stage)?))).collect()
}

/// Returns what the runs of the store measured, without those named in `except`.
pub fn history(store: &Store, except: &[&str]) -> Result<History, CliError> {
    let mut history = History::default();
    for name in names(store)?.iter().filter(|name| !except.contains(&name.as_str())) {
        // A log that cannot be opened measures nothing.
        if let Ok(log) = event_log::salvage(&log_of(store, name)) {
            history.add(&log.model, &sizes(store, &log.model));
        }
    }
    Ok(history)
}
