//! Requirements of recipes on a source (`[[source-check]]`), checked as soon as it is unpacked: a stage that cannot be built
//! from it fails before anything that it needs is built.

use super::Error;
use super::context::RunContext;
use crate::base::files;
use crate::plan::job::{Job, SourceDemand};
use crate::plan::{Plan, StageId, Work};
use crate::process::isolation::View;
use crate::process::{self, Command};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// Time limit for the commands of all checks of a source.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns the stages that ask something of the tree that `unpack` makes.
pub(super) fn asking(plan: &Plan, unpack: StageId) -> Vec<StageId> {
    let asks = |id: &StageId| {
        let job = plan.stage(*id).job();
        job.is_some_and(|job| job.source == Some(unpack) && !job.source_checks.is_empty())
    };
    if matches!(plan.stage(unpack).work, Work::Unpack(_)) { plan.ids().filter(asks).collect() } else { Vec::new() }
}

/// Compares a source tree with what `stages` ask of it. Returns those that it does not satisfy, each with the reason
/// that its recipe gives.
pub(super) async fn refused(
    context: &RunContext,
    plan: &Plan,
    tree: &Path,
    stages: &[StageId],
) -> Result<Vec<(StageId, String)>, Error> {
    let jobs: Vec<(StageId, &Job)> = stages.iter().filter_map(|id| Some((*id, plan.stage(*id).job()?))).collect();
    let demands = jobs.iter().flat_map(|(_, job)| &job.source_checks);
    let commands: BTreeSet<&Vec<String>> = demands
        .filter_map(|check| match &check.demand {
            SourceDemand::Run(argv) => Some(argv),
            SourceDemand::Exists(_) => None,
        })
        .collect();
    let commands: Vec<&Vec<String>> = commands.into_iter().collect();
    let path = jobs.first().and_then(|(_, job)| job.steps.first()).map(|step| path_of(&step.env)).unwrap_or_default();
    let failed = if commands.is_empty() { Vec::new() } else { run(context, tree, &commands, path).await? };
    let mut refused = Vec::new();
    for (id, job) in &jobs {
        for check in &job.source_checks {
            let holds = match &check.demand {
                SourceDemand::Exists(path) => files::stat(&tree.join(path))?.is_some(),
                SourceDemand::Run(argv) => !failed.contains(&argv),
            };
            if !holds {
                refused.push((*id, check.why.clone()));
                break;
            }
        }
    }
    Ok(refused)
}

// The search path of a step without the directories of results, which do not exist yet.
fn path_of(env: &[(String, String)]) -> String {
    let path = env.iter().find(|(name, _)| name == "PATH").map_or("", |(_, value)| value);
    path.split(':').filter(|dir| dir.starts_with('/')).collect::<Vec<_>>().join(":")
}

// Runs all commands in one supervised process, isolated as a step is, for they belong to the source. Returns those that fail.
async fn run<'a>(
    context: &RunContext,
    tree: &Path,
    commands: &[&'a Vec<String>],
    path: String,
) -> Result<Vec<&'a Vec<String>>, Error> {
    // Named by the key of the source, so that what a killed run left is swept.
    let key = tree.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let name = format!("{}.check-", key.unwrap_or_default());
    let scratch = tempfile::Builder::new().prefix(&name).tempdir_in(context.store.root().join("work"))?;
    let dir = |name: &str| scratch.path().join(name);
    for name in ["build", "tmp", "logs"] {
        fs_err::create_dir(dir(name))?;
    }
    // Each command is its arguments after its number; `$0` and up keep every byte of them.
    let mut script = "cd \"$1\"; shift\n".to_owned();
    let mut argv = Vec::new();
    for (number, command) in commands.iter().enumerate() {
        let words: Vec<String> = (0..command.len()).map(|at| format!("\"${{{}}}\"", argv.len() + at + 1)).collect();
        script += &format!("{} </dev/null >/dev/null 2>&1 || echo {number} >> \"$TMPDIR/failed\"\n", words.join(" "));
        argv.extend(command.iter().cloned());
    }
    script += "echo end >> \"$TMPDIR/failed\"\n";
    let shell = ["/bin/sh", "-c", &script, "source-check", &tree.display().to_string()].map(str::to_owned);
    let visible = vec![context.store.root().to_owned()];
    let view = View {
        work: scratch.path().to_owned(),
        own: vec![dir("build"), dir("tmp")],
        logs: dir("logs"),
        scratch: dir("tmp"),
        visible,
        ..View::default()
    };
    let tmp = dir("tmp").display().to_string();
    let command = Command {
        step: "source-check".to_owned(),
        argv: shell.into_iter().chain(argv).collect(),
        env: BTreeMap::from([("PATH".to_owned(), path), ("HOME".to_owned(), tmp.clone()), ("TMPDIR".to_owned(), tmp)]),
        dir: dir("build"),
        log: dir("logs").join("log"),
        stop_record: scratch.path().join("stopped.json"),
        grace: Duration::ZERO,
        lock: None,
        isolation: context.isolation.clone().map(|support| (support, view)),
        limits: Default::default(),
    };
    let mut running = process::spawn(Path::new("/proc/self/exe"), &command, None)?;
    let ended = tokio::time::timeout(PATIENCE, running.wait()).await;
    if ended.is_err() {
        running.kill();
        running.wait().await?;
    }
    let printed = files::read_if_present(&dir("tmp").join("failed"))?.unwrap_or_default();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    let numbers: BTreeSet<&str> = printed.lines().collect();
    // A command that did not come to its end answered nothing, and its stage may try.
    let failed = commands.iter().enumerate().filter(|(number, _)| numbers.contains(number.to_string().as_str()));
    Ok(failed.map(|(_, command)| *command).collect())
}
