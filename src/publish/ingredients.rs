//! Ingredients of a result: every source and patch below its stage in the plan, and the tools of the host.

use super::Error;
use crate::config::Config;
use crate::config::source::{Origin, PatchFrom, SourceSpec};
use crate::plan::graph::SourceSet;
use crate::plan::{Plan, StageId, Work};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that a result was built from.
#[derive(Debug, Clone, Default)]
pub struct Ingredients {
    /// The sources, in the order in which the plan needs them.
    pub sources: Vec<Ingredient>,
    /// The stages, each with its key and everything that the key depends on.
    pub stages: Vec<StageInputs>,
    /// The identity of each tool of the host that belongs to keys.
    pub tools: BTreeMap<String, String>,
}

/// A source.
#[derive(Debug, Clone)]
pub struct Ingredient {
    /// The package.
    pub package: String,
    /// Its version.
    pub version: String,
    /// Its licence, as an SPDX expression.
    pub license: Option<String>,
    /// URL that it was fetched from.
    pub url: String,
    /// `sha256:…` of a file, `git:…` of a commit, `tree:…` of a directory.
    pub digest: String,
    /// The patches, by name, each with its text; none for one that is part of the source's own package.
    pub patches: Vec<(String, Option<String>)>,
}

/// A stage.
#[derive(Debug, Clone)]
pub struct StageInputs {
    /// Its name.
    pub name: String,
    /// Its key.
    pub key: String,
    /// Inputs of the key, in order.
    pub inputs: Vec<(String, String)>,
}

impl Ingredient {
    /// Returns the digest of the file, if it is one.
    #[must_use]
    pub fn sha256(&self) -> Option<&str> {
        self.digest.strip_prefix("sha256:")
    }

    /// Returns the package URL (purl) of the source.
    #[must_use]
    pub fn purl(&self) -> String {
        format!("pkg:generic/{}@{}", self.package, self.version)
    }
}

/// Returns what the stages `names` of `plan` are built from.
///
/// # Errors
/// When a stage is not in the plan, or one of its sources was never fetched.
pub fn of(
    config: &Config,
    plan: &Plan,
    names: &[&str],
    tools: &BTreeMap<String, String>,
) -> Result<Ingredients, Error> {
    let mut found = Ingredients { tools: tools.clone(), ..Ingredients::default() };
    let below = below(plan, names)?;
    for id in plan.ids().filter(|id| below.contains(id)) {
        let stage = plan.stage(id);
        match &stage.work {
            Work::Unpack(source) => {
                let set = plan.source(*source);
                let license = config.recipes.get(&stage.package).and_then(|recipe| recipe.license.clone());
                found.sources.push(ingredient(set, stage.package.as_str(), &stage.version, license)?);
            }
            Work::Build(_) | Work::Check(_) => {
                let inputs = plan.key_inputs(id);
                let inputs = inputs.iter().map(|input| (input.what.clone(), input.value.clone())).collect();
                found.stages.push(StageInputs { name: stage.name.to_string(), key: stage.key.to_string(), inputs });
            }
            Work::Fetch(_) => {}
        }
    }
    Ok(found)
}

fn below(plan: &Plan, names: &[&str]) -> Result<BTreeSet<StageId>, Error> {
    let mut found = BTreeSet::new();
    let mut pending = Vec::new();
    for name in names {
        let id = plan.ids().find(|id| plan.stage(*id).name == *name);
        pending.push(id.ok_or_else(|| Error::Unsupported { what: format!("`{name}` is not in the plan") })?);
    }
    while let Some(id) = pending.pop() {
        if found.insert(id) {
            pending.extend(plan.stage(id).needs.iter().copied());
        }
    }
    Ok(found)
}

fn ingredient(set: &SourceSet, package: &str, version: &str, license: Option<String>) -> Result<Ingredient, Error> {
    let unknown = || Error::Unsupported { what: format!("the source `{}` was never fetched", set.label) };
    let chosen = set.chosen.as_ref().ok_or_else(unknown)?;
    let spec = set.candidates.get(chosen.candidate).ok_or_else(unknown)?;
    let patches = spec.patches.iter().chain(&set.patches).map(|patch| match &patch.from {
        PatchFrom::Member(member) => (member.clone(), None),
        PatchFrom::File { text, .. } => (format!("{}.diff", patch.stem()), Some(text.clone())),
    });
    Ok(Ingredient {
        package: package.to_owned(),
        version: version.to_owned(),
        license,
        url: public_url(spec),
        digest: chosen.digest.clone(),
        patches: patches.collect(),
    })
}

// A directory of this machine is nobody else's business.
fn public_url(spec: &SourceSpec) -> String {
    match &spec.from {
        Origin::Local(path) => {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            format!("file:{name}")
        }
        // The mirror of a Debian path is the host's own.
        Origin::Debian(_) | Origin::Url(_) | Origin::Git { .. } => spec.label(),
    }
}
