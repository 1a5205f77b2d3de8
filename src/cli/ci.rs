//! `crossmill ci`.

mod graph;

use super::options::Select;
use super::service::JobFile;
use super::{CliError, CliResult, exit, print};
use crate::base::{Diagnostic, TargetName, secret, units};
use crate::plan::Request;
use crate::report::ci_jobs::{self, Job, MOST_BYTES, MOST_JOBS, Service};
use crate::run::preflight::Preflight;
use crate::run::shards::{Group, Part, Shard, divide};
use crate::run::{Goal, Session};
use clap::Args;
use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::time::Duration;

/// Print the jobs of a matrix for a CI service
///
/// Targets are divided by the times that the store has recorded, or by those of the recipes. Targets that share a
/// toolchain stay in one job.
#[derive(Debug, Args)]
pub struct Ci {
    /// The service
    #[arg(value_enum, value_name = "SERVICE")]
    service: Service,
    #[command(flatten)]
    select: Select,
    /// Maximum number of jobs
    #[arg(long, value_name = "N", default_value = "4", conflicts_with = "shard")]
    shards: NonZeroUsize,
    /// Only one of N jobs, as `2/5`
    #[arg(long, value_name = "I/N")]
    shard: Option<Part>,
    /// Processor cores of the machine that runs a job
    #[arg(long, value_name = "N", default_value = "4")]
    cores: NonZeroUsize,
    /// The time budget of each job of GitLab or Buildkite (2h45m)
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration)]
    time_budget: Option<Duration>,
    /// Append them as `NAME=…` to the outputs of this step of GitHub Actions ($GITHUB_OUTPUT) instead
    #[arg(long, value_name = "NAME", value_parser = output_name)]
    output: Option<String>,
    /// The disk budget of each job of GitLab or Buildkite (12GiB)
    #[arg(long, value_name = "SIZE", value_parser = units::parse_bytes)]
    disk_budget: Option<u64>,
    #[command(flatten)]
    graph: graph::GraphArgs,
}

impl Ci {
    /// Prints them.
    pub fn run(self) -> CliResult {
        if self.graph.graph {
            return self.print_graph();
        }
        let count = self.shard.map_or(self.shards, |part| part.of);
        if count.get() > MOST_JOBS {
            return Err(CliError::usage(format!("{count} jobs are more than the {MOST_JOBS} that a service takes")));
        }
        if self.output.is_some() && self.service != Service::Github {
            return Err(CliError::usage(
                "`--output` is for `crossmill ci github`: other services have no outputs of a step",
            ));
        }
        let command = self.command(true)?;
        let session = self.select.session()?;
        let request = self.select.request(&session, true)?;
        let preflight = Preflight::of(&session, &request, Goal::Build, session.store()?)?;
        let Groups { groups, every_job } = groups(&session, &request, &preflight);
        let shards = divide(&groups, count);
        if let Some(part) = self.shard.filter(|part| part.number > shards.len()) {
            let problem =
                Diagnostic::new(format!("shard {part} has no target: the targets make {} jobs", shards.len()));
            return Err(problem.hint("targets that share a toolchain stay in one job").into());
        }
        let minutes = |shard: &Shard| ((shard.seconds + every_job) / 60.0 / self.cores.get() as f64).ceil() as u64;
        let of = shards.len();
        let jobs = shards.iter().enumerate().map(|(index, shard)| Job {
            number: index + 1,
            of,
            shard,
            minutes: minutes(shard),
        });
        let jobs: Vec<Job<'_>> = jobs.filter(|job| self.shard.is_none_or(|part| part.number == job.number)).collect();
        for job in &jobs {
            if let Some(limit) = self.service.limit_minutes().filter(|limit| job.minutes > *limit) {
                errln!(
                    "warning: job {}/{} is expected to take {} minutes on {} cores; the service ends it after {limit}",
                    job.number,
                    job.of,
                    job.minutes,
                    self.cores
                );
            }
        }
        let text = ci_jobs::text(self.service, &jobs, &command);
        if text.len() > MOST_BYTES {
            return Err(CliError::usage(format!(
                "the jobs take {} bytes, and a service takes {MOST_BYTES}",
                text.len()
            )));
        }
        match &self.output {
            Some(name) => JobFile::Output.append(&format!("{name}={text}"))?,
            None => print(&text)?,
        }
        Ok(exit::DONE)
    }

    // The command that a job runs, without its targets. Jobs are files that many people read.
    fn command(&self, packages: bool) -> Result<String, CliError> {
        let mut command = format!("crossmill build{}", options(&self.select, packages));
        if let Some(time) = self.time_budget {
            command += &format!(" --time-budget {}s", time.as_secs());
        }
        if let Some(bytes) = self.disk_budget {
            command += &format!(" --disk-budget {bytes}");
        }
        if matches!(secret::redact(&command), Cow::Owned(_)) {
            let problem = Diagnostic::new("the command of the jobs would contain a password or a token");
            let hint = "leave it out of the URL: git reads it from a credential helper";
            return Err(CliError::new(exit::USAGE, problem.hint(hint)));
        }
        Ok(command)
    }
}

/// Targets that stay together.
pub(super) struct Groups {
    pub(super) groups: Vec<Group>,
    // Processor seconds of what every job builds: the host's libraries.
    every_job: f64,
}

/// Returns the targets of a request by the toolchains that they share.
pub(super) fn groups(session: &Session, request: &Request, preflight: &Preflight) -> Groups {
    let Preflight { plan, forecasts, .. } = preflight;
    let toolchain =
        |name: &TargetName| session.config.matrix.targets.get(name).map(|target| target.toolchain.to_string());
    let mut groups: Vec<(String, Group)> = Vec::new();
    for target in &request.targets {
        let lender = toolchain(target).unwrap_or_else(|| target.to_string());
        match groups.iter_mut().find(|(of, _)| *of == lender) {
            Some((_, group)) => group.targets.push(target.to_string()),
            None => groups.push((lender, Group { targets: vec![target.to_string()], seconds: 0.0 })),
        }
    }
    let mut every_job = 0.0;
    for id in plan.ids() {
        let (row, seconds) = (&plan.stage(id).scope, forecasts[id.0 as usize].cpu);
        let mine = |(lender, group): &&mut (String, Group)| lender == row || group.targets.contains(row);
        match groups.iter_mut().find(mine) {
            Some((_, group)) => group.seconds += seconds,
            None => every_job += seconds,
        }
    }
    Groups { groups: groups.into_iter().map(|(_, group)| group).collect(), every_job }
}

fn output_name(text: &str) -> Result<String, String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let is_valid = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(is_name);
    if is_valid {
        Ok(text.to_owned())
    } else {
        Err("the name of an output has letters, digits, `_` and `-`".to_owned())
    }
}

// The options that select what is built, each after a space.
fn options(select: &Select, packages: bool) -> String {
    let mut words = String::new();
    let mut add = |option: &str, values: &mut dyn Iterator<Item = &String>| {
        words.extend(values.map(|value| format!(" --{option} {}", quoted(value))));
    };
    add("profile", &mut select.profile.iter());
    add("release-set", &mut select.release_set.iter());
    add("with", &mut select.with.iter());
    add("set", &mut select.set.iter());
    add("languages", &mut select.languages.iter());
    add("source", &mut select.source.iter());
    if packages {
        add("package", &mut select.package.iter());
    }
    words
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=.,/+:@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
