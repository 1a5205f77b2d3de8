//! `crossmill submit`.

use super::build::RunArgs;
use super::options::{CacheArgs, NetworkArgs, Select};
use super::{CliError, CliResult, exit};
use crate::base::{Diagnostic, secret};
use crate::run::engine::resources::Limits;
use crate::run::engine::slurm::Slurm;
use crate::run::engine::submission::Arguments;
use crate::run::engine::{Dispatch, Engine};
use crate::run::{self, Session};
use clap::{Args, ValueEnum};
use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

/// Build on the nodes of a cluster, as jobs of its queue
///
/// Sources are fetched here; everything else is divided among jobs, which this command follows to their end as `build`
/// follows its stages. Ctrl-C cancels them. If it is killed, they go on, and the same command takes them up.
#[derive(Debug, Args)]
pub struct Submit {
    /// The service that has the queue
    #[arg(long, value_enum, value_name = "ENGINE", help_heading = "Jobs")]
    engine: EngineName,
    /// The partition of the jobs
    #[arg(long, value_name = "NAME", help_heading = "Jobs")]
    partition: Option<String>,
    /// Another option of the engine's own command, sbatch: --engine-option=--account=NAME
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true, help_heading = "Jobs")]
    engine_option: Vec<String>,
    /// The store of each node, if nodes do not see this one; results come by --cache-to and --cache-from
    #[arg(long, value_name = "DIR", help_heading = "Jobs")]
    node_store: Option<PathBuf>,
    /// The directory of the jobs' files, which every node must see (the store's `runs`)
    #[arg(long, value_name = "DIR", help_heading = "Jobs")]
    job_dir: Option<PathBuf>,
    #[command(flatten)]
    select: Select,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    cache: CacheArgs,
    #[command(flatten)]
    run: RunArgs,
    /// Use ccache for the host's compilers
    #[arg(long, help_heading = "Running")]
    ccache: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EngineName {
    /// Slurm, by sbatch and squeue
    Slurm,
}

impl Submit {
    /// Submits the request and follows it.
    pub fn run(self) -> CliResult {
        self.run.running().for_jobs()?;
        let session = self.select.session_cached(&self.network, &self.cache)?;
        let request = self.select.request(&session, false)?;
        let arguments = self.arguments(&session)?;
        if self.node_store.is_some() {
            let caches = session.caches()?;
            if caches.from.is_empty() || caches.to.is_none() {
                let problem = Diagnostic::new("`--node-store` needs a cache that the nodes write and read");
                return Err(problem.hint("add `--cache-from URL --cache-to URL` (docs/cache.md)").into());
            }
        }
        let engine: Arc<dyn Engine> = match self.engine {
            EngineName::Slurm => {
                Arc::new(Slurm { partition: self.partition.clone(), options: self.engine_option.clone() })
            }
        };
        let limits = engine.limits().map_err(run::Error::from)?;
        let limits = Limits {
            cores: self.run.running().jobs().unwrap_or(usize::MAX).min(limits.cores),
            memory: match (self.run.running().memory(), limits.memory) {
                (Some(asked), Some(most)) => Some(asked.min(most)),
                (_, most) => most,
            },
            ..limits
        };
        let dispatch = Dispatch {
            engine,
            limits,
            dir: self.job_dir.as_deref().map(std::path::absolute).transpose()?,
            arguments,
            env: self.cache_environment(),
            own_stores: self.node_store.is_some(),
        };
        self.run.submit(&session, &request, dispatch)
    }

    // What the jobs' files say. Others may read them.
    fn arguments(&self, session: &Session) -> Result<Arguments, CliError> {
        let absolute = |paths: &[PathBuf]| paths.iter().map(std::path::absolute).collect::<Result<Vec<_>, _>>();
        let store = match &self.node_store {
            Some(store) => store.clone(),
            None => session.store_dir()?,
        };
        let arguments = Arguments {
            cwd: std::env::current_dir()?,
            store: std::path::absolute(store)?,
            data: std::path::absolute(&session.data)?,
            overlays: absolute(&self.select.paths.config)?,
            recipes: absolute(&self.select.paths.recipes)?,
            offline: self.network.offline,
            debian_mirror: self.network.debian_mirror.clone(),
            no_cache: self.cache.no_remote_cache,
            targets: self.select.targets.clone(),
            groups: self.select.groups(false),
            profile: self.select.profile.clone(),
            release_set: self.select.release_set.clone(),
            with: self.select.with.clone(),
            set: self.select.settings().map_err(|problem| CliError::new(exit::USAGE, problem))?,
            source: self.select.source.clone(),
            packages: self.select.package.clone(),
            ccache: self.ccache,
            ..self.run.running().job_arguments()
        };
        let words = arguments.source.iter().chain(&arguments.set).chain(&arguments.debian_mirror);
        if words.into_iter().any(|word| matches!(secret::redact(word), Cow::Owned(_))) {
            let problem = Diagnostic::new("the files of the jobs would contain a password or a token");
            let hint = "leave it out of the URL: git reads it from a credential helper";
            return Err(CliError::new(exit::USAGE, problem.hint(hint)));
        }
        Ok(arguments)
    }

    // URLs of caches may have passwords, so they are in no file and on no command line.
    fn cache_environment(&self) -> Vec<(String, String)> {
        let choice = self.cache.choice();
        let path = choice.sign_key.map(|path| path.display().to_string());
        let values = [
            ("CROSSMILL_CACHE_FROM", Some(choice.from.join(" "))),
            ("CROSSMILL_CACHE_TO", choice.to),
            ("CROSSMILL_CACHE_KEYS", Some(choice.keys.join(" "))),
            ("CROSSMILL_CACHE_SIGN_KEY", path),
        ];
        let given = values.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        given.filter(|(_, value)| !value.is_empty()).collect()
    }
}
