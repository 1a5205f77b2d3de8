//! `crossmill ci SERVICE --graph`: the whole file of a workflow.

use super::{Ci, options, quoted};
use crate::base::{Diagnostic, secret};
use crate::cache::{self, client::public_keys};
use crate::cli::{CliError, CliResult, exit, print};
use crate::plan::Request;
use crate::remote::{self, Access, Remote};
use crate::report::ci_graph::{self, Frame};
use crate::report::ci_jobs::{MOST_BYTES, MOST_JOBS, Service};
use crate::run::Goal;
use crate::run::job_graph::{self, Job};
use crate::run::preflight::Preflight;
use clap::Args;
use std::borrow::Cow;
use std::path::PathBuf;

/// The options of a graph.
#[derive(Debug, Args)]
pub(super) struct GraphArgs {
    /// Print a whole workflow whose jobs depend on each other and have only a cache between them: one for what all
    /// toolchains share, one for each toolchain, one for the kernel and checks of each target, and one for the table
    #[arg(long, help_heading = "Graph", conflicts_with_all = ["shards", "shard", "output"])]
    pub(super) graph: bool,
    /// The cache between the jobs: s3://BUCKET/PATH, a URL, or a directory that all runners have
    #[arg(long, value_name = "URL", requires = "graph", help_heading = "Graph")]
    cache_to: Option<String>,
    /// Take finished stages and sources from this cache too
    #[arg(long, value_name = "URL", requires = "graph", help_heading = "Graph")]
    cache_from: Vec<String>,
    /// The public key of minisign whose results jobs take from each other, and others: its text or its file
    #[arg(long = "cache-key", value_name = "KEY", requires = "graph", help_heading = "Graph")]
    cache_keys: Vec<String>,
    /// The container image that jobs run in, with crossmill and its tools; GitHub's jobs can install both instead
    #[arg(long, value_name = "IMAGE", requires = "graph", help_heading = "Graph")]
    image: Option<String>,
    /// Leave out the last job, which takes the results of all targets to draw the table
    #[arg(long, requires = "graph", help_heading = "Graph")]
    no_table: bool,
    /// Write the workflow to a file
    #[arg(short = 'o', long = "file", value_name = "FILE", requires = "graph", help_heading = "Graph")]
    file: Option<PathBuf>,
}

impl Ci {
    /// Prints the file of a service.
    pub(super) fn print_graph(&self) -> CliResult {
        let session = self.select.session()?;
        let request = self.select.request(&session, true)?;
        let frame = self.frame(&request)?;
        let Preflight { plan, forecasts, .. } = Preflight::of(&session, &request, Goal::Build, session.store()?)?;
        let seconds = |id: crate::plan::StageId| forecasts.get(id.0 as usize).map_or(0.0, |forecast| forecast.cpu);
        let jobs = job_graph::divide(&session.config, &request, &plan, seconds)?;
        self.limits(&jobs)?;
        let Some(text) = ci_graph::text(self.service, &jobs, &frame) else {
            return Err(CliError::usage("`--graph` is for `github` and `gitlab`"));
        };
        if matches!(secret::redact(&text), Cow::Owned(_)) {
            let problem = Diagnostic::new("the workflow would contain a password or a token");
            let hint = "leave it out of the URL: the jobs get it from the secrets of the service";
            return Err(CliError::new(exit::USAGE, problem.hint(hint)));
        }
        if text.len() > MOST_BYTES {
            let bytes = text.len();
            return Err(CliError::usage(format!("the workflow takes {bytes} bytes, and a service takes {MOST_BYTES}")));
        }
        match &self.graph.file {
            Some(path) => fs_err::write(path, text.as_bytes())?,
            None => print(&text)?,
        }
        Ok(exit::DONE)
    }

    fn frame(&self, request: &Request) -> Result<Frame, CliError> {
        let GraphArgs { cache_to, cache_from, cache_keys, image, no_table, .. } = &self.graph;
        let Some(cache_to) = cache_to else {
            let problem =
                Diagnostic::new("the jobs of a graph have nothing but a cache between them, and none is named");
            return Err(problem.hint("name it with `--cache-to URL`, and who fills it with `--cache-key KEY`").into());
        };
        if cache_keys.is_empty() {
            let problem = Diagnostic::new("no key is named whose results the jobs take from each other");
            let hint = "name the public key of the secret key that they sign with: `--cache-key KEY`";
            return Err(problem.hint(hint).into());
        }
        if self.service == Service::Gitlab && image.is_none() {
            let problem = Diagnostic::new("jobs of GitLab need an image that has crossmill and its tools");
            return Err(problem.hint("name it with `--image IMAGE`; `ci/builder-image` builds one").into());
        }
        let others = cache_from.iter().filter(|url| *url != cache_to);
        let cache_from: Vec<String> = [cache_to].into_iter().chain(others).cloned().collect();
        cache_from.iter().try_for_each(|url| check(url))?;
        let targets: Vec<&str> = request.targets.iter().map(|target| target.as_str()).collect();
        let packages: Vec<String> = self.select.package.iter().map(|package| format!(" --package {package}")).collect();
        let words: Vec<String> = std::env::args().skip(1).map(|word| quoted(&word)).collect();
        Ok(Frame {
            written_by: format!("crossmill {}", words.join(" ")),
            build: self.command(false)?,
            whole: (!no_table).then(|| format!("{}{}", targets.join(" "), packages.concat())),
            targets: targets.join(" "),
            doctor: options(&self.select, false),
            image: image.clone(),
            cache_to: cache_to.clone(),
            cache_from,
            cache_keys: public_keys(cache_keys)?.into_iter().map(|key| key.line).collect(),
        })
    }

    fn limits(&self, jobs: &[Job]) -> Result<(), CliError> {
        let count = jobs.len() + usize::from(!self.graph.no_table);
        if count > MOST_JOBS {
            let problem = Diagnostic::new(format!("{count} jobs are more than the {MOST_JOBS} that a service takes"));
            return Err(problem.hint("name fewer targets, and write several workflows").into());
        }
        for job in jobs {
            let minutes = (job.seconds / 60.0 / self.cores.get() as f64).ceil() as u64;
            if let Some(limit) = self.service.limit_minutes().filter(|limit| minutes > *limit) {
                let name = ci_graph::name(&job.part);
                errln!(
                    "warning: job {name} is expected to take {minutes} minutes on {} cores; the service ends it after {limit}",
                    self.cores
                );
            }
        }
        Ok(())
    }
}

// Whether jobs on other machines can reach it at all. That this machine cannot is no matter.
fn check(url: &str) -> Result<(), CliError> {
    let path = url.strip_prefix("file://").unwrap_or(url);
    if !path.contains("://") && !path.starts_with('/') {
        let problem = Diagnostic::new(format!("`{url}` is another directory in each job"));
        return Err(problem.hint("name a bucket, a URL, or an absolute directory that all runners have").into());
    }
    match Remote::open(url, "a cache at", &Access { plain_http: true, ..Access::patient(None) }) {
        Err(error @ remote::Error::Unsupported { .. }) => Err(cache::Error::from(error).into()),
        _ => Ok(()),
    }
}
