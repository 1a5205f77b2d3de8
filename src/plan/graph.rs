//! The graph of stages in topological order: a stage comes after the stages it needs, so one
//! forward pass computes every key.

use super::job::Job;
use super::key_inputs::KeyInputs;
pub use super::stage_id::StageId;
use crate::base::{Key, PackageName, StageName};
use crate::config::expect::Expectation;
use crate::config::source::{PatchSpec, SourceSpec};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A package's source in one plan: an index into [`Plan::sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct SourceId(pub u32);

/// All stages of a request.
#[derive(Debug, Clone)]
pub struct Plan {
    /// In topological order.
    pub stages: Vec<Stage>,
    /// The sources of fetch and unpack stages.
    pub sources: Vec<SourceSet>,
    /// The requested stages.
    pub goals: Vec<StageId>,
}

/// A stage.
#[derive(Debug, Clone)]
pub struct Stage {
    /// `arm64/gcc`, `fetch/gcc-16.2.0`
    pub name: StageName,
    /// The scope: a target, `host` or `sources`.
    pub scope: String,
    /// The package.
    pub package: PackageName,
    /// The version, empty for a recipe without a source.
    pub version: String,
    /// The stages it needs.
    pub needs: Vec<StageId>,
    /// Its key inputs, without its source and needs.
    pub own: KeyInputs,
    /// Its work.
    pub work: Work,
    /// For a check: the expected result. Not part of the key, because it does not affect the
    /// result.
    pub expect: Option<Expectation>,
    /// The processor time declared by its recipe.
    pub cost: Duration,
    /// The key; provisional while a source below it is unknown.
    pub key: Key,
}

/// The work of a stage.
#[derive(Debug, Clone)]
pub enum Work {
    /// Downloads a source's archive into the cache.
    Fetch(SourceId),
    /// Unpacks and patches it.
    Unpack(SourceId),
    /// Runs steps and publishes what they install.
    Build(Job),
    /// Runs the steps of a check.
    Check(Job),
}

/// A source with its candidates and, once known, the chosen one.
#[derive(Debug, Clone)]
pub struct SourceSet {
    /// `gcc-16.2.0`; with a patch for some targets only, `gcc-16.2.0+NAME-OF-THE-PATCH`
    pub label: String,
    /// In order of preference.
    pub candidates: Vec<SourceSpec>,
    /// Patches of the recipe, which apply to every candidate.
    pub patches: Vec<PatchSpec>,
    /// Bytes of the unpacked tree, roughly.
    pub unpacked: u64,
    /// The chosen candidate and the digest of its file.
    pub chosen: Option<Chosen>,
}

/// The chosen candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    /// Its index.
    pub candidate: usize,
    /// `sha256:…`, `git:…`, `tree:…`
    pub digest: String,
}

impl Stage {
    /// Returns `fetch`, `unpack`, `build` or `check`.
    pub fn kind(&self) -> &'static str {
        match self.work {
            Work::Fetch(_) => "fetch",
            Work::Unpack(_) => "unpack",
            Work::Build(_) => "build",
            Work::Check(_) => "check",
        }
    }

    /// Returns the source that a fetch or unpack stage is about.
    pub fn source(&self) -> Option<SourceId> {
        match self.work {
            Work::Fetch(source) | Work::Unpack(source) => Some(source),
            Work::Build(_) | Work::Check(_) => None,
        }
    }

    /// Returns the steps of a build or check.
    pub fn job(&self) -> Option<&Job> {
        match &self.work {
            Work::Build(job) | Work::Check(job) => Some(job),
            Work::Fetch(_) | Work::Unpack(_) => None,
        }
    }
}

impl Plan {
    /// Returns a stage.
    pub fn stage(&self, id: StageId) -> &Stage {
        &self.stages[id.0 as usize]
    }

    /// Returns a source.
    pub fn source(&self, id: SourceId) -> &SourceSet {
        &self.sources[id.0 as usize]
    }

    /// Returns the ids of all stages in topological order.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = StageId> + use<> {
        (0..self.stages.len() as u32).map(StageId)
    }

    /// Records which candidate served a source and computes the keys above it again,
    /// except those of stages that are `finished`: what was built keeps its key.
    pub fn choose(&mut self, source: SourceId, chosen: Chosen, finished: impl Fn(StageId) -> bool) {
        if self.sources[source.0 as usize].chosen.as_ref() == Some(&chosen) {
            return;
        }
        self.sources[source.0 as usize].chosen = Some(chosen);
        let mut above = vec![false; self.stages.len()];
        for id in self.ids() {
            let stage = self.stage(id);
            let is_above = stage.source() == Some(source) || stage.needs.iter().any(|need| above[need.0 as usize]);
            above[id.0 as usize] = is_above;
            if is_above && !finished(id) {
                self.compute_key(id);
            }
        }
    }

    /// Returns everything that determines a stage's result.
    pub fn key_inputs(&self, id: StageId) -> KeyInputs {
        let stage = self.stage(id);
        let mut inputs = stage.own.clone();
        match &stage.work {
            Work::Fetch(source) | Work::Unpack(source) => {
                let set = self.source(*source);
                match &set.chosen {
                    Some(chosen) => inputs.add("source", &chosen.digest),
                    // Not a digest: a provisional key is never looked up in a store.
                    None => inputs.add("source", format!("not yet known: {}", set.label)),
                }
                if let Work::Unpack(_) = stage.work {
                    add_unpack_inputs(&mut inputs, set);
                }
            }
            Work::Build(_) | Work::Check(_) => {}
        }
        for need in &stage.needs {
            let need = self.stage(*need);
            inputs.add(format!("result of `{}` ({})", need.package, need.kind()), need.key.to_string());
        }
        inputs
    }

    /// Returns a short name of what a stage runs, whatever its version, source and needs: times are kept by it.
    pub fn configuration(&self, id: StageId) -> String {
        let mut rendered = KeyInputs::default();
        if let Some(job) = self.stage(id).job() {
            for step in &job.steps {
                rendered.add(&step.name, step.argv.join("\0"));
            }
            for (name, content) in &job.files {
                rendered.add(name, content);
            }
        }
        rendered.key().to_string()[..8].to_owned()
    }

    /// Returns for every stage whether its key is final: every source below it is known.
    pub fn known(&self) -> Vec<bool> {
        let mut known: Vec<bool> = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            let own = stage.source().is_none_or(|source| self.source(source).chosen.is_some());
            known.push(own && stage.needs.iter().all(|need| known[need.0 as usize]));
        }
        known
    }

    /// Computes every key, what is needed first.
    pub fn compute_keys(&mut self) {
        for id in self.ids() {
            self.compute_key(id);
        }
    }

    fn compute_key(&mut self, id: StageId) {
        let key = self.key_inputs(id).key();
        self.stages[id.0 as usize].key = key;
    }
}

// Adds how the tree is unpacked from the archive, which differs by candidate.
fn add_unpack_inputs(inputs: &mut KeyInputs, set: &SourceSet) {
    use crate::config::source::PatchFrom;
    let spec = set.chosen.as_ref().and_then(|chosen| set.candidates.get(chosen.candidate));
    if let Some(spec) = spec {
        if let Some(member) = &spec.member {
            inputs.add("archive member", member);
        }
        inputs.add("leading path components dropped", spec.strip.to_string());
    }
    for patch in spec.into_iter().flat_map(|spec| &spec.patches).chain(&set.patches) {
        match &patch.from {
            PatchFrom::Member(member) => inputs.add("patch", format!("-p{} {member}", patch.strip)),
            PatchFrom::File { text, .. } => inputs.add("patch", format!("-p{}\n{text}", patch.strip)),
        }
    }
}
