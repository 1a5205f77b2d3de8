//! The rendered work of a build stage: nothing of it depends on where on this
//! machine anything is. Paths stand as tokens, see [`crate::config::template`].

use super::stage_id::StageId;
use crate::base::PackageName;
use crate::config::access::Access;
use crate::config::limits::Limits;
use crate::config::recipe::Interrupted;
use serde::Serialize;

/// What a build or check stage does.
#[derive(Debug, Clone, Serialize)]
pub struct Job {
    /// In order, each with its own whole environment.
    pub steps: Vec<JobStep>,
    /// The results it needs, seen at `deps/PACKAGE` in its work directory.
    pub deps: Vec<Dep>,
    /// The source tree it needs, seen at `source`.
    pub source: Option<StageId>,
    /// Files it reads, seen below `files`: name and content.
    pub files: Vec<(String, String)>,
    /// Host tools it needs, by their names in `host-tools.toml`.
    pub tools: Vec<String>,
    /// What its steps use beyond their isolation.
    pub access: Access,
    /// What each of its steps may use at most.
    pub limits: Limits,
    /// What its source must have or accept; no part of the key, since it decides only whether the stage starts.
    pub source_checks: Vec<SourceCheck>,
    /// Files that must be there in the end, relative to the result.
    pub result: Vec<String>,
    /// Bytes the build tree takes, roughly.
    pub build_bytes: u64,
    /// Bytes the result takes, roughly.
    pub result_bytes: u64,
}

/// What is asked of a source, rendered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceCheck {
    /// What.
    pub demand: SourceDemand,
    /// What is wrong otherwise.
    pub why: String,
}

/// What is asked of a source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum SourceDemand {
    /// A file or directory exists.
    Exists(String),
    /// A command succeeds in the source's directory.
    Run(Vec<String>),
}

/// A result that is needed.
#[derive(Debug, Clone, Serialize)]
pub struct Dep {
    /// The package, the name below `deps`.
    pub package: PackageName,
    /// The stage that makes it.
    pub stage: StageId,
}

/// One step, rendered.
#[derive(Debug, Clone, Serialize)]
pub struct JobStep {
    /// Its name.
    pub name: String,
    /// The program and its arguments, with tokens.
    pub argv: Vec<String>,
    /// The whole environment but for what the engine adds (job tokens, HOME, TMPDIR), with tokens.
    pub env: Vec<(String, String)>,
    /// What becomes of it when a run is stopped.
    #[serde(serialize_with = "interrupted")]
    pub interrupted: Interrupted,
    /// Bytes of memory at its peak, roughly.
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
