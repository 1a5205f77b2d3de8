//! `crossmill reduce`.

use super::log::stage_dirs;
use super::options::PathArgs;
use super::{CliResult, exit, print};
use crate::process::probe;
use crate::run::reduction;
use clap::Args;
use std::num::NonZeroUsize;

/// Reduce the source that crashes a compiler to a small one, with C-Vise
///
/// A stage that fails with an internal compiler error leaves the compiler's command and the preprocessed
/// source beside its logs. The small source, which crashes the compiler in the same way, is written there
/// too, with the test that accepts it.
#[derive(Debug, Args)]
pub struct Reduce {
    /// The stage, as `arm64/gcc`
    stage: String,
    /// Number of compilations at a time
    #[arg(long, short, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    #[command(flatten)]
    paths: PathArgs,
}

impl Reduce {
    /// Reduces.
    pub fn run(self) -> CliResult {
        let session = self.paths.session()?;
        let dirs = stage_dirs(&session.store()?, &self.stage)?;
        let reducer = reduction::reducer(&session.config.host_tools, &session.machine())?;
        let jobs = self.jobs.map_or_else(probe::processors, NonZeroUsize::get);
        let found = reduction::reduce(&self.stage, &dirs, &reducer, jobs)?;
        print(&format!(
            "crash: internal compiler error: {}\nreduced: {} ({} lines, {} bytes; it had {} lines, {} bytes)\ntest: {}\n",
            crate::base::text::harmless(&found.crash),
            found.path.display(),
            found.after.0,
            found.after.1,
            found.before.0,
            found.before.1,
            found.test.display(),
        ))?;
        Ok(exit::DONE)
    }
}
