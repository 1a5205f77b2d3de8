//! `crossmill cache verify`.

use super::{OneCache, runtime};
use crate::cache::verify::verify;
use crate::cli::{CliResult, exit, print};
use clap::Args;

/// Read everything that a cache has: signatures, entries, and every byte of every object
///
/// Exit code 5 if something cannot be used. Results by keys that are not trusted are counted and not read.
#[derive(Debug, Args)]
pub(super) struct Verify {
    #[command(flatten)]
    cache: OneCache,
    /// Remove what cannot be used
    #[arg(long)]
    remove: bool,
}

impl Verify {
    pub(super) fn run(&self) -> CliResult {
        let (caches, client) = self.cache.open()?;
        let runtime = runtime()?;
        let done = runtime.block_on(verify(&caches, &client))?;
        for (path, why) in &done.bad {
            print(&format!("unusable: {}: {why}\n", client.place(path)))?;
            if self.remove {
                runtime.block_on(client.remove(path))?;
                print(&format!("removed: {}\n", client.place(path)))?;
            }
        }
        print(&format!(
            "{} results, {} sources, {} objects, {} unusable, {} results by keys that are not trusted\n",
            done.good,
            done.sources,
            done.objects,
            done.bad.len(),
            done.foreign
        ))?;
        Ok(if done.bad.is_empty() || self.remove { exit::DONE } else { exit::STORE })
    }
}
