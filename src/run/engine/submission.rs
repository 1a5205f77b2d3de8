//! The files that a submission leaves for its jobs, and a job's comparison of its own keys with the submitted ones.
//!
//! ```text
//! DIR/submission.json           the request, as it was given, and the key of every stage
//! DIR/inputs.json               the inputs of these keys, read only to explain a difference
//! DIR/jobs/N/job.json           the stages of a job and their keys
//! DIR/jobs/N/RESTART/           the event log of each start of the job; refused.json if it ran no stage
//! DIR/jobs/N/slurm-ID.out       what the job printed
//! ```

use super::Error;
use crate::base::{Diagnostic, Key, StageName, files};
use crate::plan::explain::differences;
use crate::plan::graph::Chosen;
use crate::plan::request::RequestArgs;
use crate::plan::{KeyInputs, Plan, StageId, Work};
use crate::run::Setup;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The form of the files.
const SCHEMA: u32 = 1;

/// What a job needs to know of the command line. Nothing in it is secret: credentials are in the job's environment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// The working directory.
    pub cwd: PathBuf,
    /// The store of the nodes.
    pub store: PathBuf,
    /// The directory of targets.toml and recipes/.
    pub data: PathBuf,
    /// Overlays of targets.toml.
    pub overlays: Vec<PathBuf>,
    /// Directories of the user's own recipes.
    pub recipes: Vec<PathBuf>,
    /// Whether the network may not be used.
    pub offline: bool,
    /// The base of a Debian mirror.
    pub debian_mirror: Option<String>,
    /// Whether no cache is used.
    pub no_cache: bool,
    /// Target names.
    pub targets: Vec<String>,
    /// Group names.
    pub groups: Vec<String>,
    /// `--profile`
    pub profile: Option<String>,
    /// `--release-set`
    pub release_set: Option<String>,
    /// `--with`
    pub with: Vec<String>,
    /// `--set`
    pub set: Vec<String>,
    /// `--source`
    pub source: Vec<String>,
    /// `--package`
    pub packages: Vec<String>,
    /// `--stage-timeout`, in seconds.
    pub stage_timeout: Option<u64>,
    /// `--isolation`
    pub isolation: String,
    /// `--keep-work`
    pub keep_work: bool,
    /// `--ignore-space`
    pub ignore_space: bool,
    /// `--ccache`
    pub ccache: bool,
}

impl Arguments {
    /// Returns where a job's session has its files; its caches are in its environment.
    #[must_use]
    pub fn setup(&self) -> Setup {
        Setup {
            store: Some(self.store.clone()),
            data: Some(self.data.clone()),
            overlays: self.overlays.clone(),
            recipes: self.recipes.clone(),
            offline: self.offline,
            debian_mirror: self.debian_mirror.clone(),
            cache: None,
        }
    }

    /// Returns the request, not yet resolved.
    #[must_use]
    pub fn request(&self) -> RequestArgs<'_> {
        RequestArgs {
            targets: &self.targets,
            groups: &self.groups,
            profile: self.profile.as_deref(),
            release_set: self.release_set.as_deref(),
            with: &self.with,
            set: &self.set,
            source: &self.source,
            packages: &self.packages,
        }
    }
}

/// `submission.json`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Submission {
    schema: u32,
    /// The command line.
    pub arguments: Arguments,
    /// The chosen candidate of each source, by label.
    pub sources: BTreeMap<String, Chosen>,
    /// The key of each stage.
    pub keys: BTreeMap<StageName, Key>,
}

/// `job.json`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobFile {
    schema: u32,
    /// Processors that it asked for.
    pub cores: usize,
    /// Bytes of memory that it asked for.
    pub memory: Option<u64>,
    /// Its stages and their keys.
    pub stages: BTreeMap<StageName, Key>,
}

/// `refused.json`: why a job ran no stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The machine.
    pub node: String,
    /// Whether another machine may do better.
    pub elsewhere: bool,
    /// The message.
    pub message: String,
    /// Its causes, then its hints.
    pub details: Vec<String>,
}

/// The part of a plan that a job runs.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its stages.
    pub stages: BTreeSet<StageName>,
    /// Where this start of the job keeps its event log.
    pub dir: PathBuf,
    submission: Submission,
    inputs: PathBuf,
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = fs_err::read(path)?;
    serde_json::from_slice(&text).map_err(|error| Error::File { path: path.to_owned(), why: error.to_string() })
}

fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), Error> {
    let text = serde_json::to_vec(value).map_err(|error| Error::Io(error.into()))?;
    Ok(files::write_atomic(path, &text)?)
}

/// Writes what all jobs of a submission read.
pub fn write_submission(dir: &Path, arguments: &Arguments, plan: &Plan) -> Result<(), Error> {
    let chosen = plan.sources.iter().filter_map(|set| Some((set.label.clone(), set.chosen.clone()?)));
    let keys = plan.stages.iter().map(|stage| (stage.name.clone(), stage.key));
    let submission =
        Submission { schema: SCHEMA, arguments: arguments.clone(), sources: chosen.collect(), keys: keys.collect() };
    let inputs: BTreeMap<&StageName, KeyInputs> =
        plan.ids().map(|id| (&plan.stage(id).name, plan.key_inputs(id))).collect();
    fs_err::create_dir_all(dir.join("jobs"))?;
    write(&dir.join("inputs.json"), &inputs)?;
    write(&dir.join("submission.json"), &submission)
}

impl Submission {
    /// Reads that of the job in `dir`.
    pub fn of_job(dir: &Path) -> Result<Self, Error> {
        let path = dir.ancestors().nth(2).unwrap_or(dir).join("submission.json");
        let submission: Self = read(&path)?;
        known(submission.schema, &path)?;
        Ok(submission)
    }
}

impl JobFile {
    /// Creates it.
    #[must_use]
    pub fn new(cores: usize, memory: Option<u64>, stages: BTreeMap<StageName, Key>) -> Self {
        Self { schema: SCHEMA, cores, memory, stages }
    }

    /// Writes it to the directory of a job, which is created.
    pub fn write(&self, dir: &Path) -> Result<(), Error> {
        fs_err::create_dir_all(dir)?;
        write(&dir.join("job.json"), self)
    }

    /// Reads that of a job.
    pub fn read(dir: &Path) -> Result<Self, Error> {
        let path = dir.join("job.json");
        let file: Self = read(&path)?;
        known(file.schema, &path)?;
        Ok(file)
    }
}

impl Refusal {
    /// Returns why a command ended, for the submitter.
    #[must_use]
    pub fn new(node: String, elsewhere: bool, problem: &Diagnostic) -> Self {
        let hints = problem.hints.iter().map(|hint| format!("hint: {hint}"));
        let details = problem.causes.iter().cloned().chain(hints).collect();
        Self { node, elsewhere, message: problem.message.clone(), details }
    }

    /// Writes it to the directory of a start of a job.
    pub fn write(&self, dir: &Path) -> Result<(), Error> {
        write(&dir.join("refused.json"), self)
    }

    /// Reads that of a start of a job, if it was refused.
    #[must_use]
    pub fn read(dir: &Path) -> Option<Self> {
        read(&dir.join("refused.json")).ok()
    }
}

fn known(schema: u32, path: &Path) -> Result<(), Error> {
    if schema == SCHEMA {
        return Ok(());
    }
    Err(Error::File { path: path.to_owned(), why: format!("it has form {schema}, and this crossmill reads {SCHEMA}") })
}

impl Part {
    /// Reads the files of the job in `dir`; `restart` counts its starts.
    pub fn read(dir: &Path, restart: u32) -> Result<(Self, JobFile), Error> {
        let job = JobFile::read(dir)?;
        let submission = Submission::of_job(dir)?;
        let inputs = dir.ancestors().nth(2).unwrap_or(dir).join("inputs.json");
        let own = dir.join(restart.to_string());
        fs_err::create_dir_all(&own)?;
        let stages = job.stages.keys().cloned().collect();
        Ok((Self { stages, dir: own, submission, inputs }, job))
    }

    /// Returns the command line.
    #[must_use]
    pub fn arguments(&self) -> &Arguments {
        &self.submission.arguments
    }

    /// Takes the candidates of sources that the submitter took, makes the part's stages the goals, and refuses a plan
    /// whose keys are not those that were submitted.
    pub fn restrict(&self, plan: &mut Plan) -> Result<(), Diagnostic> {
        for id in plan.ids() {
            let Work::Fetch(source) = plan.stage(id).work else { continue };
            let set = plan.source(source);
            let chosen = self.submission.sources.get(&set.label).cloned();
            if let Some(chosen) = chosen.filter(|chosen| chosen.candidate < set.candidates.len()) {
                plan.choose(source, chosen, |_| false);
            }
        }
        plan.goals = plan.ids().filter(|id| self.stages.contains(&plan.stage(*id).name)).collect();
        self.check(plan)
    }

    /// Refuses a plan whose keys are not those that were submitted, and names the inputs that differ.
    pub fn check(&self, plan: &Plan) -> Result<(), Diagnostic> {
        let named: BTreeSet<&StageName> = plan.goals.iter().map(|id| &plan.stage(*id).name).collect();
        if let Some(missing) = self.stages.iter().find(|name| !named.contains(name)) {
            return Err(Diagnostic::new(format!("this machine's plan has no stage `{missing}`, which was submitted"))
                .hint("the matrix or a recipe changed since: submit again"));
        }
        let mut needed = vec![false; plan.stages.len()];
        for id in &plan.goals {
            needed[id.0 as usize] = true;
        }
        let needed = needed_below(plan, needed);
        let differs = |id: &StageId| self.submission.keys.get(&plan.stage(*id).name) != Some(&plan.stage(*id).key);
        // The lowest: keys above it differ for its sake.
        match plan.ids().filter(|id| needed[id.0 as usize]).find(differs) {
            Some(id) => Err(self.difference(plan, id)),
            None => Ok(()),
        }
    }

    fn difference(&self, plan: &Plan, id: StageId) -> Diagnostic {
        let name = &plan.stage(id).name;
        let inputs: BTreeMap<StageName, KeyInputs> = read(&self.inputs).unwrap_or_default();
        let lines = inputs.get(name).map(|old| differences(old, &plan.key_inputs(id))).unwrap_or_default();
        let message = format!("this machine computes another key for `{name}` than the one submitted");
        let problem = Diagnostic { causes: lines, ..Diagnostic::new(message) };
        problem
            .hint("nodes need the tools of the machine that submits: one image, or `--engine-option=--constraint=FEATURE`")
            .hint("if files changed since, submit again")
    }
}

fn needed_below(plan: &Plan, mut needed: Vec<bool>) -> Vec<bool> {
    for id in plan.ids().rev() {
        if needed[id.0 as usize] {
            plan.stage(id).needs.iter().for_each(|need| needed[need.0 as usize] = true);
        }
    }
    needed
}
