//! `crossmill cache pull`.

use crate::cli::build::RunArgs;
use crate::cli::options::{CacheArgs, NetworkArgs, Select};
use crate::cli::{CliResult, Diagnostic};
use clap::Args;

/// Take the results of targets from a cache into the store, and build nothing
///
/// A result that the cache does not have is `blocked`, and the exit code is then 1.
#[derive(Debug, Args)]
pub(super) struct Pull {
    #[command(flatten)]
    select: Select,
    #[command(flatten)]
    cache: CacheArgs,
    #[command(flatten)]
    run: RunArgs,
}

impl Pull {
    pub(super) fn run(self) -> CliResult {
        let session = self.select.session_cached(&NetworkArgs::default(), &self.cache)?;
        if session.caches()?.from.is_empty() {
            return Err(Diagnostic::new("no cache is named")
                .hint("name it with `--cache-from URL`, CROSSMILL_CACHE_FROM, or `[cache] from` in crossmill.toml")
                .into());
        }
        let request = self.select.request(&session, false)?;
        self.run.pull(&session, &request)
    }
}
