//! Which runs used what is in the store.

use super::Error;
use super::log::event::Event;
use super::log::event_log;
use crate::base::{Diagnostic, Key, files};
use crate::plan::KeyInputs;
use crate::store::{self, Store};
use std::collections::{BTreeMap, BTreeSet};

/// The keys that runs used, with the newest run that used each.
pub type LastUse = BTreeMap<Key, String>;

/// Returns what the runs that `counts` accepts used, and what that was built with. `counts` gets the number of later runs
/// and the run's name, which begins with its time. A log that exists and cannot be read is an error: it must not count as
/// a run that used nothing.
pub fn last_use(store: &Store, counts: impl Fn(usize, &str) -> bool) -> Result<LastUse, Error> {
    let runs = store.root().join("runs");
    let mut names = files::names_in(&runs)?;
    names.reverse();
    let mut used = LastUse::new();
    for (_, name) in names.iter().enumerate().filter(|(later, name)| counts(*later, name)) {
        let log = runs.join(name).join("events.jsonl");
        if files::lstat(&log)?.is_none() {
            continue;
        }
        let mut keys = Vec::new();
        for event in event_log::open(&log).map_err(|error| Diagnostic::from_error(&error))? {
            match event.map_err(|error| Diagnostic::from_error(&error))?.event {
                Event::RunStarted { stages, .. } => keys.extend(stages.iter().map(|stage| stage.key)),
                // Keys above a source are known only after its fetch.
                Event::StageFinished { result: Some(path), .. } => {
                    let parts = path.split('/').rev().filter_map(|part| part.parse::<Key>().ok());
                    keys.extend(parts.take(1));
                }
                _ => {}
            }
        }
        keys.retain(|key| !used.contains_key(key));
        for key in with_inputs(store, keys)? {
            used.entry(key).or_insert_with(|| name.clone());
        }
    }
    Ok(used)
}

/// Returns keys together with those of the results that they were built with.
pub fn with_inputs(store: &Store, keys: impl IntoIterator<Item = Key>) -> Result<BTreeSet<Key>, store::Error> {
    let mut todo: Vec<Key> = keys.into_iter().collect();
    let mut found = BTreeSet::new();
    while let Some(key) = todo.pop() {
        if !found.insert(key) {
            continue;
        }
        if let Some(record) = store.record_if_whole::<KeyInputs>(&key)? {
            let results = record.inputs.iter().filter(|input| input.what.starts_with("result of "));
            todo.extend(results.filter_map(|input| input.value.parse::<Key>().ok()));
        }
    }
    Ok(found)
}
