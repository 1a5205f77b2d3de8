//! `crossmill store`.

mod bundle;
mod gc;
mod ls;

use super::options::PathArgs;
use super::{CliError, CliResult, exit};
use crate::base::{Diagnostic, Key};
use crate::plan::KeyInputs;
use crate::store::{self, Store};
use clap::{Args, Subcommand};

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
    Gc(gc::Gc),
    /// List results, source trees and unfinished builds with their sizes and the last run that used each
    Ls(ls::Ls),
    /// Write results and downloads to one file, for machines without a network
    Export(bundle::Export),
    /// Add the results and downloads of a bundle to the store
    Import(bundle::Import),
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
            What::Gc(command) => command.run(),
            What::Ls(command) => command.run(),
            What::Export(command) => command.run(),
            What::Import(command) => command.run(),
        }
    }
}

fn verify(paths: &PathArgs) -> CliResult {
    let store = paths.session()?.store()?;
    let (keys, sources) = (store.keys()?, store.source_keys()?);
    let checked = keys.iter().map(|key| store.verify(key).map(drop));
    let checked = checked.chain(sources.iter().map(|key| store.check_source(key, true).map(drop)));
    let (mut damaged, mut unread) = (0, 0);
    for result in checked {
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
pub(super) fn find_key(store: &Store, what: &str) -> Result<Key, CliError> {
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
