//! An archive's entry in the index and its documents, from the plan and the run that it came from.

use super::Error;
use super::archive::Archive;
use super::check::Portability;
use super::contents::Wanted;
use super::index::{Check, Entry, File};
use super::ingredients::{self, Ingredients};
use super::provenance::{self, Invocation};
use super::release::{Described, Release};
use super::sbom::{self, Subject};
use super::sign::Signer;
use crate::config::Config;
use crate::plan::{HostFacts, Plan, Request};
use crate::run::Summary;
use crate::run::log::event::StageOutcome;
use std::collections::BTreeMap;

/// Origin of the archives.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// Targets and recipes.
    pub config: &'a Config,
    /// The plan, with every source known.
    pub plan: &'a Plan,
    /// The machine.
    pub host: &'a HostFacts,
    /// The requested targets and versions.
    pub request: &'a Request,
    /// Outcomes of its stages.
    pub summary: &'a Summary,
    /// The name of the run.
    pub run: &'a str,
    /// The `[archive.NAME]` of the archives.
    pub kind: &'a str,
    /// The date of all members, in seconds since 1970.
    pub date: u64,
    /// The time now, in seconds since 1970.
    pub now: u64,
}

/// Adds an archive that was written to the directory of `wanted` in `release`.
pub fn add(
    release: &mut Release,
    origin: Origin<'_>,
    wanted: &Wanted,
    made: &Archive,
    portability: &Portability,
    signer: Option<&Signer>,
) -> Result<(), Error> {
    let stages: Vec<&str> = wanted.parts.iter().map(|part| part.stage.as_str()).collect();
    let from = ingredients::of(origin.config, origin.plan, &stages, &origin.host.tools)?;
    let files: Vec<File> = made.files.iter().map(|file| release.file(&file.path, file.digest)).collect();
    let texts = Described {
        sbom: sbom::text(subject(wanted, made, origin.date), &from)?,
        provenance: provenance::text(&files, &from, &invocation(origin, wanted))?,
    };
    let (sbom, provenance) = release.describe(&wanted.name, &texts)?;
    release.unsign_tar(&wanted.name, &wanted.directory)?;
    let signature = signer.map(|signer| release.sign_tar(made, &wanted.name, &wanted.directory, signer)).transpose()?;
    release.add(Entry {
        name: wanted.name.clone(),
        kind: origin.kind.to_owned(),
        targets: wanted.parts.iter().map(|part| part.target.to_string()).collect(),
        triples: wanted.parts.iter().map(|part| part.triple.clone()).filter(|triple| !triple.is_empty()).collect(),
        host: origin.host.arch.clone(),
        prefix: wanted.prefix.display().to_string(),
        versions: versions(&from),
        profile: origin.request.profile.clone(),
        keys: keys(&from, &stages),
        tar: made.tar,
        files,
        members: made.members,
        unpacked_bytes: made.unpacked_bytes,
        glibc: portability.glibc.map(|version| version.to_string()),
        checks: checks(wanted, origin.summary),
        sbom,
        provenance,
        signature,
    });
    Ok(())
}

fn subject<'a>(wanted: &'a Wanted, made: &Archive, date: u64) -> Subject<'a> {
    // The name begins with the package's version or has it in it.
    let versions = wanted.parts.first().map(|part| &part.versions);
    let in_name = versions.into_iter().flat_map(BTreeMap::values).filter(|version| wanted.name.contains(*version));
    let version = in_name.max_by_key(|version| version.len()).map_or("", String::as_str);
    Subject { name: &wanted.name, version, tar: made.tar, date }
}

fn invocation(origin: Origin<'_>, wanted: &Wanted) -> Invocation {
    let settings = origin.request.settings.iter().map(|(name, value)| (name.clone(), value.to_string()));
    Invocation {
        run: origin.run.to_owned(),
        kind: origin.kind.to_owned(),
        targets: wanted.parts.iter().map(|part| part.target.to_string()).collect(),
        profile: origin.request.profile.clone(),
        release_set: origin.request.release_set.clone(),
        settings: settings.collect(),
        finished: origin.now,
    }
}

fn versions(from: &Ingredients) -> BTreeMap<String, String> {
    from.sources.iter().map(|source| (source.package.clone(), source.version.clone())).collect()
}

fn keys(from: &Ingredients, stages: &[&str]) -> BTreeMap<String, String> {
    let own = from.stages.iter().filter(|stage| stages.contains(&stage.name.as_str()));
    own.map(|stage| (stage.name.clone(), stage.key.clone())).collect()
}

fn checks(wanted: &Wanted, summary: &Summary) -> BTreeMap<String, Check> {
    let names = wanted.parts.iter().flat_map(|part| &part.checks);
    let found = names.filter_map(|name| {
        let (state, why) = match summary.states.get(name.as_str())? {
            StageOutcome::Done | StageOutcome::Cached | StageOutcome::BuiltElsewhere | StageOutcome::Pulled => {
                ("pass", None)
            }
            StageOutcome::Skipped { why } => ("skipped", Some(why.clone())),
            StageOutcome::Unsupported { why } => ("unsupported", Some(why.clone())),
            StageOutcome::KnownFailure { why } => ("known-failure", Some(why.clone())),
            // An archive with such a check is not written.
            StageOutcome::Failed { .. } | StageOutcome::Blocked { .. } | StageOutcome::Interrupted => return None,
        };
        Some((name.clone(), Check { state: state.to_owned(), why }))
    });
    found.collect()
}
