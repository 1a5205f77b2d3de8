//! Job matrices in the forms of CI services. GitLab and Buildkite read JSON where they read YAML.

use crate::run::shards::Shard;
use clap::ValueEnum;
use serde_json::{Map, Value, json};

/// A CI service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Service {
    /// A matrix for `strategy.matrix: ${{ fromJSON(…) }}`
    Github,
    /// A child pipeline
    Gitlab,
    /// A pipeline for `buildkite-agent pipeline upload`
    Buildkite,
    /// A line of targets for each job
    List,
}

/// The most jobs of a matrix at GitHub; the other services are kept to it as well.
pub const MOST_JOBS: usize = 256;
/// The most bytes of a matrix: an output of a GitHub job may have 1 MiB in UTF-16.
pub const MOST_BYTES: usize = 500_000;

impl Service {
    /// Returns the longest a job may take, in minutes, on the machines of the service itself; `None` if it has no limit.
    #[must_use]
    pub fn limit_minutes(self) -> Option<u64> {
        match self {
            Self::Github => Some(360),
            Self::Gitlab => Some(180),
            Self::Buildkite | Self::List => None,
        }
    }
}

/// A job: its number from 1, how many there are, and what it builds.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// From 1.
    pub number: usize,
    /// Of how many.
    pub of: usize,
    /// Targets and packages that it builds.
    pub shard: &'a Shard,
    /// Minutes that it is expected to take.
    pub minutes: u64,
}

/// Returns the jobs as a service reads them, ending in a newline; `command` is completed with the targets.
#[must_use]
pub fn text(service: Service, jobs: &[Job<'_>], command: &str) -> String {
    let value = match service {
        Service::Github => github(jobs),
        Service::Gitlab => gitlab(jobs, command),
        Service::Buildkite => buildkite(jobs, command),
        Service::List => {
            return jobs.iter().map(|job| job.shard.targets.join(" ") + "\n").collect();
        }
    };
    // On a single line, because it becomes the value of an output.
    format!("{value}\n")
}

fn name(job: &Job<'_>) -> String {
    format!("{}-of-{}", job.number, job.of)
}

fn build(job: &Job<'_>, command: &str) -> String {
    format!("{command} {}", job.shard.targets.join(" "))
}

fn github(jobs: &[Job<'_>]) -> Value {
    let include: Vec<Value> = jobs
        .iter()
        .map(|job| json!({ "shard": name(job), "targets": job.shard.targets.join(" "), "minutes": job.minutes }))
        .collect();
    json!({ "include": include })
}

fn gitlab(jobs: &[Job<'_>], command: &str) -> Value {
    let mut pipeline = Map::new();
    for job in jobs {
        let described = json!({
            "stage": "build",
            "script": [build(job, command)],
            "after_script": [
                "crossmill report --format junit -o junit.xml",
                "crossmill report -o report.html",
            ],
            "artifacts": { "when": "always", "paths": ["report.html"], "reports": { "junit": "junit.xml" } },
        });
        pipeline.insert(format!("crossmill-{}", name(job)), described);
    }
    Value::Object(pipeline)
}

fn buildkite(jobs: &[Job<'_>], command: &str) -> Value {
    let steps: Vec<Value> = jobs
        .iter()
        .map(|job| {
            json!({
                "label": format!("crossmill {}/{}", job.number, job.of),
                "key": format!("crossmill-{}", name(job)),
                "command": build(job, command),
                "artifact_paths": ["report.html"],
            })
        })
        .collect();
    json!({ "steps": steps })
}
