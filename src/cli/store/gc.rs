//! `crossmill store gc`.

use crate::base::{Key, units};
use crate::cli::options::PathArgs;
use crate::cli::{CliError, CliResult, exit, print};
use crate::run::last_use::last_use;
use crate::store::Store;
use clap::Args;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Remove the results and source trees that no recent run used
///
/// The dependencies of a kept result are kept too. Nothing is removed while a run uses the store.
#[derive(Debug, Args)]
pub(super) struct Gc {
    /// Keep what runs of the last N days used
    #[arg(long, value_name = "N", default_value_t = 30)]
    keep_days: u32,
    /// Keep what the last N runs used, however old they are
    #[arg(long, value_name = "N", default_value_t = 10)]
    keep_runs: usize,
    /// Keep at most this much (50GiB): what was not used for the longest time is removed, even if it is recent
    #[arg(long, value_name = "SIZE", value_parser = units::parse_bytes)]
    keep_size: Option<u64>,
    /// Only print what would be removed
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    paths: PathArgs,
}

impl Gc {
    pub(super) fn run(&self) -> CliResult {
        let store = self.paths.session()?.store()?;
        let keep = self.kept(&store)?;
        let removed = store.gc(&keep, self.dry_run)?;
        let word = if self.dry_run { "would remove" } else { "removed" };
        for unused in &removed {
            let name = unused.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
            let bytes = units::bytes(unused.bytes);
            print(&format!("{word}: {}{name} {} ({bytes})\n", unused.kind, unused.key.short()))?;
        }
        let bytes = units::bytes(removed.iter().map(|unused| unused.bytes).sum());
        print(&format!("{word} {} in all, {bytes}\n", removed.len()))?;
        Ok(exit::DONE)
    }

    fn kept(&self, store: &Store) -> Result<BTreeSet<Key>, CliError> {
        let since = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * i64::from(self.keep_days));
        let since = since.strftime("%Y%m%d-%H%M%S").to_string();
        // Names have whole seconds, so without days no run is recent, not even one of this second.
        let is_recent = |name: &str| self.keep_days > 0 && *name >= *since;
        let used = last_use(store, |later, name| later < self.keep_runs || is_recent(name))?;
        let mut kept: BTreeSet<Key> = used.keys().copied().collect();
        let Some(limit) = self.keep_size else { return Ok(kept) };
        let mut contents = store.contents()?;
        contents.retain(|content| kept.contains(&content.key));
        // The last used stays longest; of one run, results longer than what is unpacked or built again soon.
        let is_result = |kind: &str| kind == "result";
        contents
            .sort_by_key(|content| (Reverse(used.get(&content.key)), Reverse(is_result(content.kind)), content.key));
        let mut total: u64 = 0;
        for content in contents {
            total = total.saturating_add(content.bytes);
            if total > limit {
                kept.remove(&content.key);
            }
        }
        Ok(kept)
    }
}
