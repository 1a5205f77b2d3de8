//! `crossmill cache gc`.

use super::{OneCache, runtime};
use crate::base::units;
use crate::cache::gc::plan;
use crate::cli::{CliResult, exit, print};
use clap::Args;
use std::time::{Duration, SystemTime};

/// Remove results and sources that were stored long ago, and what nothing leads to any more
///
/// Objects of the last day stay: a writer stores them before the result that leads to them.
#[derive(Debug, Args)]
pub(super) struct Gc {
    #[command(flatten)]
    cache: OneCache,
    /// Keep what was stored in the last N days
    #[arg(long, value_name = "N")]
    keep_days: u32,
    /// Only print what would be removed
    #[arg(long)]
    dry_run: bool,
}

impl Gc {
    pub(super) fn run(&self) -> CliResult {
        let (_, client) = self.cache.open()?;
        let runtime = runtime()?;
        let now = SystemTime::now();
        let age = Duration::from_secs(u64::from(self.keep_days) * 24 * 3600);
        let since = now.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
        let removal = runtime.block_on(plan(&client, since, now))?;
        for path in &removal.paths {
            if !self.dry_run {
                runtime.block_on(client.remove(path))?;
            }
            print(&format!("{}: {path}\n", if self.dry_run { "would remove" } else { "removed" }))?;
        }
        let bytes = units::bytes(removal.bytes);
        print(&format!(
            "{} files, {bytes} of objects; {} objects and entries stay\n",
            removal.paths.len(),
            removal.kept
        ))?;
        Ok(exit::DONE)
    }
}
