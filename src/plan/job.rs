//! The rendered steps of a stage, independent of paths on this machine: these are placeholders, see
//! [`crate::config::template`].

use super::stage_id::StageId;
use crate::base::PackageName;
use crate::config::access::Access;
use crate::config::limits::Limits;
use crate::config::recipe::Interrupted;
use serde::Serialize;

/// The work of a build or check stage.
#[derive(Debug, Clone, Serialize)]
pub struct Job {
    /// In order, each with its complete environment.
    pub steps: Vec<JobStep>,
    /// The results it needs, available as `deps/PACKAGE` in its work directory.
    pub deps: Vec<Dep>,
    /// The source tree it needs, available as `source`.
    pub source: Option<StageId>,
    /// Files it reads, available below `files`: name and content.
    pub files: Vec<(String, String)>,
    /// Host tools it needs, by their names in `host-tools.toml`.
    pub tools: Vec<String>,
    /// Access beyond the isolation of its steps.
    pub access: Access,
    /// The resource limits of each step.
    pub limits: Limits,
    /// Requirements on its source; no part of the key, since it decides only whether the stage starts.
    pub source_checks: Vec<SourceCheck>,
    /// Files that must exist when it is finished, relative to the result.
    pub result: Vec<String>,
    /// Approximate size of the build tree in bytes.
    pub build_bytes: u64,
    /// Approximate size of the result in bytes.
    pub result_bytes: u64,
}

impl Job {
    /// Returns the dependencies whose directories are on the PATH of its steps.
    pub fn path_deps(&self) -> impl Iterator<Item = &Dep> {
        self.deps.iter().filter(|dep| !dep.path.is_empty())
    }
}

/// A requirement on a source, rendered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceCheck {
    /// What.
    pub demand: SourceDemand,
    /// The problem if it is not met.
    pub why: String,
}

/// The condition of a requirement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum SourceDemand {
    /// A file or directory exists.
    Exists(String),
    /// A command succeeds in the source's directory.
    Run(Vec<String>),
}

/// A dependency on another stage's result.
#[derive(Debug, Clone, Serialize)]
pub struct Dep {
    /// The package: the name below `deps`.
    pub package: PackageName,
    /// The stage that builds it.
    pub stage: StageId,
    /// The directories of its result on the PATH of every step, in order.
    pub path: Vec<String>,
}

/// A rendered step.
#[derive(Debug, Clone, Serialize)]
pub struct JobStep {
    /// Its name.
    pub name: String,
    /// The program and its arguments, with placeholders.
    pub argv: Vec<String>,
    /// The complete environment, with placeholders, except for the variables that the runner adds
    /// (job server, HOME, TMPDIR).
    pub env: Vec<(String, String)>,
    /// How it continues after an interrupted run.
    #[serde(serialize_with = "interrupted")]
    pub interrupted: Interrupted,
    /// Approximate peak memory in bytes.
    pub memory: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn interrupted<S: serde::Serializer>(value: &Interrupted, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match value {
        Interrupted::Restart => "restart",
        Interrupted::Continue => "continue",
        Interrupted::Redo => "redo",
    })
}
