//! `crossmill store`.

use super::options::PathArgs;
use super::{CliError, CliResult, exit};
use crate::base::{Diagnostic, Key, files, units};
use crate::plan::KeyInputs;
use crate::run::log::event::Event;
use crate::run::log::event_log;
use crate::store::{self, Store};
use clap::{Args, Subcommand};
use std::collections::BTreeSet;

/// Inspect, verify and clean the store
#[derive(Debug, Args)]
pub struct StoreCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print the store's directory
    Path(PathArgs),
    /// Read every byte of every result and source tree and compare it with what was published
    Verify(PathArgs),
    /// Remove every damaged result and source tree; the next build that needs one makes it again
    Repair(PathArgs),
    /// Remove one result, by its key or its stage's name
    Discard(Discard),
    /// Remove the results and source trees that no recent run used
    Gc(Gc),
}

/// Remove one result, by its key or its stage's name
#[derive(Debug, Args)]
struct Discard {
    /// A stage as `arm64/gcc`, or a key or the beginning of one
    #[arg(value_name = "KEY|STAGE")]
    what: String,
    #[command(flatten)]
    paths: PathArgs,
}

/// Remove the results and source trees that no recent run used
///
/// What a kept result was built with is kept too. Nothing is removed while a run uses the store.
#[derive(Debug, Args)]
struct Gc {
    /// Keep what runs of the last N days used
    #[arg(long, value_name = "N", default_value_t = 30)]
    keep_days: u32,
    /// Keep what the last N runs used, however old they are
    #[arg(long, value_name = "N", default_value_t = 10)]
    keep_runs: usize,
    /// Only print what would be removed
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    paths: PathArgs,
}

impl StoreCommand {
    /// Does it.
    pub fn run(self) -> CliResult {
        match self.what {
            What::Path(place) => {
                super::print(&format!("{}\n", place.session()?.store_dir()?.display()))?;
                Ok(exit::DONE)
            }
            What::Verify(place) => verify(&place),
            What::Repair(place) => repair(&place),
            What::Discard(command) => discard(&command),
            What::Gc(command) => gc(&command),
        }
    }
}

fn verify(paths: &PathArgs) -> CliResult {
    let store = paths.session()?.store()?;
    let (keys, sources) = (store.keys()?, store.source_keys()?);
    let looked = keys.iter().map(|key| store.verify(key).map(drop));
    let looked = looked.chain(sources.iter().map(|key| store.check_source(key, true).map(drop)));
    let (mut damaged, mut unread) = (0, 0);
    for result in looked {
        match result {
            Ok(()) => {}
            Err(error @ store::Error::Corrupt { .. }) => {
                damaged += 1;
                super::print(&format!("damaged: {error}\n"))?;
            }
            Err(error) => {
                unread += 1;
                super::print(&format!("not read: {}\n", Diagnostic::from_error(&error)))?;
            }
        }
    }
    let unread_text = if unread == 0 { String::new() } else { format!(", {unread} could not be read") };
    super::print(&format!("{} results, {} source trees, {damaged} damaged{unread_text}\n", keys.len(), sources.len()))?;
    if damaged > 0 {
        errln!("hint: `crossmill store repair` removes what is damaged; the next build that needs it makes it again");
    }
    Ok(if damaged + unread == 0 { exit::DONE } else { exit::STORE })
}

fn repair(paths: &PathArgs) -> CliResult {
    let store = paths.session()?.store()?;
    let removed = store.repair()?;
    for (path, why) in &removed {
        super::print(&format!("removed: {}: {why}\n", path.display()))?;
    }
    super::print(&format!("{} removed\n", removed.len()))?;
    Ok(exit::DONE)
}

fn discard(command: &Discard) -> CliResult {
    let store = command.paths.session()?.store()?;
    store.writable()?;
    let key = find_key(&store, &command.what)?;
    let Ok(_lock) = store.try_lock(&key)? else {
        return Err(store::Error::InUse.into());
    };
    store.discard(&key)?;
    super::print(&format!("removed: {}\n", store.stage_dir(&key).display()))?;
    Ok(exit::DONE)
}

// A stage's name stands for its last result; a key may be shortened as far as it stays unique.
fn find_key(store: &Store, what: &str) -> Result<Key, CliError> {
    let keys = store.keys()?;
    let named = store.recall_if_whole::<KeyInputs>(what)?.map(|named| named.key).filter(|key| keys.contains(key));
    if let Some(key) = named {
        return Ok(key);
    }
    let begins: Vec<_> = keys.iter().filter(|key| what.len() >= 8 && key.to_string().starts_with(what)).collect();
    match begins[..] {
        [key] => Ok(*key),
        [] => {
            let near = store.names()?.into_iter().filter(|name| !name.starts_with("source/")).collect();
            Err(store::Error::Unknown { name: what.to_owned(), near }.into())
        }
        _ => Err(CliError::usage(format!("{} results have keys that begin with `{what}`", begins.len()))),
    }
}

fn gc(command: &Gc) -> CliResult {
    let store = command.paths.session()?.store()?;
    let keep = used(&store, command)?;
    let removed = store.gc(&keep, command.dry_run)?;
    let word = if command.dry_run { "would remove" } else { "removed" };
    for unused in &removed {
        let name = unused.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        let bytes = units::bytes(unused.bytes);
        super::print(&format!("{word}: {}{name} {} ({bytes})\n", unused.kind, unused.key.short()))?;
    }
    let bytes = units::bytes(removed.iter().map(|unused| unused.bytes).sum());
    super::print(&format!("{word} {} in all, {bytes}\n", removed.len()))?;
    Ok(exit::DONE)
}

// The keys that recent runs used, and those of all that their results were built with.
fn used(store: &Store, command: &Gc) -> Result<BTreeSet<Key>, CliError> {
    let runs = store.root().join("runs");
    // A run's name begins with its time.
    let mut names = files::names_in(&runs)?;
    names.reverse();
    let since = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * i64::from(command.keep_days));
    let since = since.strftime("%Y%m%d-%H%M%S").to_string();
    let mut todo = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let log = runs.join(name).join("events.jsonl");
        // Names have whole seconds, so without days no run is recent, not even one of this second.
        let recent = command.keep_days > 0 && *name >= since;
        // A log that exists and cannot be read must not count as a run that used nothing.
        if (index >= command.keep_runs && !recent) || files::look(&log)?.is_none() {
            continue;
        }
        for event in event_log::open(&log).map_err(|error| Diagnostic::from_error(&error))? {
            let event = event.map_err(|error| Diagnostic::from_error(&error))?;
            match event.event {
                Event::RunStarted { stages, .. } => todo.extend(stages.iter().map(|stage| stage.key)),
                // Keys above a source are known only after its fetch.
                Event::StageFinished { result: Some(path), .. } => {
                    let parts = path.split('/').rev().filter_map(|part| part.parse::<Key>().ok());
                    todo.extend(parts.take(1));
                }
                _ => {}
            }
        }
    }
    let mut used = BTreeSet::new();
    while let Some(key) = todo.pop() {
        if !used.insert(key) {
            continue;
        }
        if let Some(record) = store.record_if_whole::<KeyInputs>(&key)? {
            let results = record.inputs.iter().filter(|input| input.what.starts_with("result of "));
            todo.extend(results.filter_map(|input| input.value.parse::<Key>().ok()));
        }
    }
    Ok(used)
}
