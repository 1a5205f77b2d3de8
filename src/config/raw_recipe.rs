//! `recipes/NAME.toml` exactly as written, as [`super::raw`] is the target matrix.

use super::access::RawAccess;
use super::file::Text;
use super::limits::RawLimits;
use super::version_range::VersionRange;
use crate::base::{PackageName, Sha256, Version};
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

/// `recipes/NAME.toml`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawRecipe {
    /// The version of this format; 1.
    pub schema: u32,
    /// The package; the file has the same name.
    pub name: Spanned<PackageName>,
    /// A summary of one line.
    pub summary: String,
    /// The licence of its source, as an SPDX expression.
    pub license: Option<String>,
    /// The instances for which it is built: `host`, `toolchain` or `target`.
    pub per: Text,
    /// `build` (the default) or `check`.
    pub kind: Option<Text>,
    /// A condition: other targets have no such stage.
    pub when: Option<Text>,
    /// Host tools it needs, as named in `host-tools.toml`.
    #[serde(default)]
    pub tools: Vec<Text>,
    /// Packages whose results it needs.
    #[serde(default)]
    pub needs: Vec<RawNeed>,
    /// Its versions, newest first.
    #[serde(default)]
    pub version: Vec<RawVersion>,
    /// Where a source tree records its version.
    pub version_from: Option<RawVersionFrom>,
    /// The publisher's git repository.
    pub repository: Option<String>,
    /// Additional needs of a checkout of its repository.
    pub snapshot: Option<RawSnapshot>,
    /// Instead of its own versions: the package whose source it is built from.
    pub source_of: Option<Spanned<PackageName>>,
    /// Patches that apply to every candidate.
    #[serde(default)]
    pub patch: Vec<RawPatch>,
    /// Combinations that cannot work.
    #[serde(default)]
    pub refuse: Vec<RawRefuse>,
    /// For a check: combinations for which `unsupported` is expected on every target.
    #[serde(default)]
    pub unsupported: Vec<RawRefuse>,
    /// Files of the recipe directory that steps read.
    #[serde(default)]
    pub files: Vec<Text>,
    /// Environment of every step.
    #[serde(default)]
    pub env: BTreeMap<Text, Text>,
    /// The steps, in order.
    #[serde(default)]
    pub step: Vec<RawStep>,
    /// Access of its steps beyond their isolation.
    #[serde(default)]
    pub access: RawAccess,
    /// The resource limits of its steps.
    #[serde(default)]
    pub limits: RawLimits,
    /// Requirements on its source.
    #[serde(default)]
    pub source_check: Vec<RawSourceCheck>,
    /// Its result.
    #[serde(default)]
    pub result: RawResult,
    /// Its approximate cost.
    #[serde(default)]
    pub cost: RawCost,
}

/// `[[source-check]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawSourceCheck {
    /// A condition.
    pub when: Option<Text>,
    /// A file of the source that must exist …
    pub exists: Option<Text>,
    /// … or a command that must succeed in the source.
    pub run: Option<Vec<Text>>,
    /// The problem if it is not met.
    pub why: Text,
}

/// `version-from`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawVersionFrom {
    /// The file of the source tree.
    pub file: String,
    /// The prefixes of the lines with the parts of the version, in order.
    pub after: Vec<String>,
}

/// `snapshot`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawSnapshot {
    /// A file that releases have and checkouts lack.
    pub lacks: String,
    /// The host tools that generate it and similar files.
    pub tools: Vec<Text>,
}

/// `[[needs]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawNeed {
    /// The package.
    pub package: Spanned<PackageName>,
    /// A condition.
    pub when: Option<Text>,
    /// Directories of its result that go on the `PATH`.
    #[serde(default)]
    pub path: Vec<String>,
}

/// `[[version]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawVersion {
    /// The version.
    pub version: Spanned<Version>,
    /// The size of its unpacked tree.
    pub unpacked: Option<Text>,
    /// Its candidates, in order of preference.
    #[serde(default)]
    pub source: Vec<Spanned<RawSource>>,
}

/// `[snapshot.NAME]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawSnapshotVersion {
    /// The package.
    pub package: Spanned<PackageName>,
    /// Its version, which the recipe's conditions see, with the date or the revision: `17.0-20261020`.
    pub version: Spanned<Version>,
    /// The size of its unpacked tree.
    pub unpacked: Option<Text>,
    /// Its candidates, as those of a recipe.
    #[serde(default)]
    pub source: Vec<Spanned<RawSource>>,
}

/// `[[version.source]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawSource {
    /// An upstream or mirror URL.
    pub url: Option<Text>,
    /// A path below the Debian mirror's base.
    pub debian: Option<Text>,
    /// A file or directory, relative to the recipe.
    pub file: Option<Text>,
    /// A git repository.
    pub git: Option<Text>,
    /// The revision to use.
    pub rev: Option<Text>,
    /// The digest of the file as downloaded.
    pub sha256: Option<Sha256>,
    /// A detached signature, instead of a digest.
    pub signature: Option<RawSignature>,
    /// The size in bytes.
    pub size: Option<u64>,
    /// The archive within a `.deb`.
    pub member: Option<String>,
    /// Leading path components to drop; 1 by default.
    pub strip: Option<u32>,
    /// Patches that only this candidate needs.
    #[serde(default)]
    pub patches: Vec<RawSourcePatch>,
}

/// `signature = { url = …, keyring = …, uncompressed = true }`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawSignature {
    /// Where the signature is.
    pub url: Text,
    /// An armoured keyring, a file of the recipe directory.
    pub keyring: Text,
    /// Whether it signs the decompressed archive.
    #[serde(default)]
    pub uncompressed: bool,
}

/// `patches = [{ member = …, strip = 2 }]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawSourcePatch {
    /// A member of the same `.deb`.
    pub member: Option<Text>,
    /// A file of the recipe directory.
    pub file: Option<Text>,
    /// `patch -p`; 1 by default.
    pub strip: Option<u32>,
}

/// `[[patch]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawPatch {
    /// A file of the recipe directory.
    pub file: Text,
    /// `patch -p`; 1 by default.
    pub strip: Option<u32>,
    /// The versions it applies to.
    pub versions: Option<VersionRange>,
    /// A condition; targets for which it is false use the unpatched tree.
    pub when: Option<Text>,
    /// Why it is needed.
    pub why: String,
    /// Its upstream reference.
    pub upstream: Option<String>,
}

/// `[[refuse]]` and `[[unsupported]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawRefuse {
    /// The combination.
    pub when: Text,
    /// The reason, and what to do instead.
    pub why: String,
}

/// `[[step]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawStep {
    /// Its name, in logs and output.
    pub name: Text,
    /// A condition.
    pub when: Option<Text>,
    /// A program and its arguments.
    pub run: Option<Vec<Text>>,
    /// Or a script for `sh -eu`.
    pub script: Option<Text>,
    /// Whether the target's extra options for this package are appended.
    #[serde(default)]
    pub target_options: bool,
    /// Environment of this step.
    #[serde(default)]
    pub env: BTreeMap<Text, Text>,
    /// Additions under conditions.
    #[serde(default)]
    pub with: Vec<RawWith>,
    /// How the next run continues if this step was interrupted: `restart` the stage (the default),
    /// `continue` in the build tree if the stop was clean, or `redo` it with an empty destination.
    pub interrupted: Option<Text>,
    /// The approximate peak memory of all its processes.
    pub memory: Option<Text>,
}

/// `[[step.with]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawWith {
    /// The condition.
    pub when: Text,
    /// Arguments that are appended.
    #[serde(default)]
    pub args: Vec<Text>,
    /// Variables that are set.
    #[serde(default)]
    pub env: BTreeMap<Text, Text>,
    /// A comment.
    pub why: Option<String>,
}

/// `[result]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawResult {
    /// Files that must exist after the last step.
    #[serde(default)]
    pub files: Vec<Text>,
}

/// `[cost]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawCost {
    /// Processor time, measured on the author's machine.
    pub time: Option<Text>,
    /// The build tree's size.
    pub build: Option<Text>,
    /// The result's size.
    pub result: Option<Text>,
    /// Figures under a condition; the last one that is true is used.
    #[serde(default)]
    pub with: Vec<RawCostWith>,
}

/// `[[cost.with]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawCostWith {
    /// The condition.
    pub when: Text,
    /// Processor time.
    pub time: Option<Text>,
    /// Size of the build tree.
    pub build: Option<Text>,
    /// Size of the result.
    pub result: Option<Text>,
}
