//! `crossmill store export` and `crossmill store import`.

use super::find_key;
use crate::base::{Key, units};
use crate::cli::options::PathArgs;
use crate::cli::{CliError, CliResult, exit, print};
use crate::run::{bundle, last_use::with_inputs};
use clap::Args;
use std::path::PathBuf;

/// Write results and downloads to one file, for machines without a network
///
/// Without a stage every result is exported; with stages, these and what they were built with.
#[derive(Debug, Args)]
pub(super) struct Export {
    /// The file to write
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Stages as `arm64/gcc`, or keys or the beginnings of some
    #[arg(value_name = "KEY|STAGE")]
    what: Vec<String>,
    /// Leave the downloads out
    #[arg(long)]
    no_sources: bool,
    #[command(flatten)]
    paths: PathArgs,
}

/// Add the results and downloads of a bundle to the store
///
/// A bundle that is damaged or cut short changes nothing. Import only from where you would take a compiler.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// The file that `crossmill store export` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    paths: PathArgs,
}

impl Export {
    pub(super) fn run(&self) -> CliResult {
        let store = self.paths.session()?.store()?;
        // Nothing is removed meanwhile.
        let _in_use = store.use_it()?;
        let keys: Vec<Key> = if self.what.is_empty() {
            store.keys()?
        } else {
            self.what.iter().map(|what| find_key(&store, what)).collect::<Result<_, _>>()?
        };
        let existing = store.keys()?;
        let mut keys = with_inputs(&store, keys)?;
        keys.retain(|key| existing.contains(key));
        let done = bundle::export(&store, &keys, !self.no_sources, &self.file)?;
        if (done.results, done.downloads) == (0, 0) {
            return Err(CliError::usage("the store has nothing to export"));
        }
        let bytes = units::bytes(done.bytes);
        print(&format!("{}: {} results, {} downloads, {bytes}\n", self.file.display(), done.results, done.downloads))?;
        Ok(exit::DONE)
    }
}

impl Import {
    pub(super) fn run(&self) -> CliResult {
        let store = self.paths.session()?.store()?;
        let done = bundle::import(&store, &self.file)?;
        print(&format!(
            "{} results and {} downloads imported; {} and {} existed\n",
            done.results, done.downloads, done.known_results, done.known_downloads
        ))?;
        Ok(exit::DONE)
    }
}
