//! The shape of the TOML files, exactly as written. Every table denies
//! unknown keys. Nothing here is trusted: [`super::matrix`] and
//! [`super::recipe`] turn it into what the rest of the program sees.

use super::file::{Placed, SourceFile};
use super::version_range::VersionRange;
use crate::base::{PackageName, Sha256, TargetName, Version};
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

/// A string and where it stands in its file.
pub type Text = Spanned<String>;

/// `targets.toml`, and a user's `crossmill.toml` that lies over it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawMatrix {
    /// The version of this format; 1.
    pub schema: Option<u32>,
    /// More recipe directories, relative to the file.
    #[serde(default)]
    pub recipes: Vec<String>,
    /// What is taken when the command line says nothing.
    #[serde(default)]
    pub defaults: RawDefaults,
    /// The environment of every step, and nothing else of the caller's.
    #[serde(default)]
    pub environment: BTreeMap<Text, Text>,
    /// Switches that recipes read and profiles, overlays and `--set` turn.
    #[serde(default)]
    pub setting: BTreeMap<Text, RawSetting>,
    /// What is known of targets for their checks: declared here, given by each target.
    #[serde(default)]
    pub fact: BTreeMap<Text, RawFact>,
    /// Named sets of settings.
    #[serde(default)]
    pub profile: BTreeMap<Text, RawProfile>,
    /// Named sets of versions.
    #[serde(default)]
    pub release_set: BTreeMap<Text, RawReleaseSet>,
    /// Named lists of targets, beside the tiers.
    #[serde(default)]
    pub group: BTreeMap<Text, Vec<Spanned<TargetName>>>,
    /// The targets.
    #[serde(default)]
    pub target: BTreeMap<Spanned<TargetName>, RawTarget>,
    /// Targets known by name that cannot be built, and why.
    #[serde(default)]
    pub not_built: BTreeMap<Spanned<TargetName>, RawNotBuilt>,
}

/// `[defaults]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawDefaults {
    /// `--profile`
    pub profile: Option<Text>,
    /// `--release-set`
    pub release_set: Option<Text>,
    /// What `crossmill build TARGET` builds.
    pub packages: Option<Vec<Spanned<PackageName>>>,
    /// `-j`
    pub jobs: Option<usize>,
    /// `--store`
    pub store: Option<String>,
    /// `--debian-mirror`
    pub debian_mirror: Option<String>,
    /// `--set`
    #[serde(default)]
    pub set: BTreeMap<Text, Spanned<toml::Value>>,
    /// `--with`
    #[serde(default)]
    pub with: BTreeMap<Spanned<PackageName>, Spanned<Version>>,
}

/// `[setting.NAME]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawSetting {
    /// What it does.
    pub summary: String,
    /// Its value unless something turns it; its type is the setting's.
    pub default: Spanned<toml::Value>,
    /// The values a string setting may have.
    #[serde(default)]
    pub choices: Vec<String>,
}

/// `[fact.NAME]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawFact {
    /// What it says of a target.
    pub summary: String,
    /// What holds for a target that does not give it.
    #[serde(default)]
    pub default: String,
}

/// `[profile.NAME]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawProfile {
    /// What it is for.
    pub summary: String,
    /// The settings it turns.
    #[serde(default)]
    pub set: BTreeMap<Text, Spanned<toml::Value>>,
}

/// `[release-set.NAME]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawReleaseSet {
    /// What it is for.
    pub summary: String,
    /// Package = version; a version may be a prefix (`7.2` takes the newest 7.2.x).
    pub versions: BTreeMap<Spanned<PackageName>, Spanned<Version>>,
}

/// `[target.NAME]`
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawTarget {
    /// One line for people.
    pub summary: Option<String>,
    /// Take every field of this target that is not given here.
    pub inherits: Option<Spanned<TargetName>>,
    /// `primary`, `secondary` or `tertiary`, as in buildall.
    pub tier: Option<Text>,
    /// The GNU triple of the toolchain.
    pub triple: Option<Text>,
    /// Use this target's toolchain instead of building one; `host` is this machine's own compiler.
    pub toolchain: Option<Spanned<TargetName>>,
    /// The kernel's `ARCH`.
    pub arch: Option<Text>,
    /// The release set it is built from, where the usual one does not have it.
    pub release_set: Option<Text>,
    /// Versions of single packages that it is built from.
    #[serde(default)]
    pub with: BTreeMap<PackageName, RawPin>,
    /// How its kernel is built.
    pub kernel: Option<RawKernel>,
    /// Extra words for a package's configure or make, each with its reason.
    #[serde(default)]
    pub options: BTreeMap<Spanned<PackageName>, Vec<RawOption>>,
    /// Versions that this target needs.
    #[serde(default)]
    pub requires: Vec<RawRequires>,
    /// What is expected of each check: `pass` or `unsupported`.
    #[serde(default)]
    pub expect: BTreeMap<Spanned<PackageName>, Text>,
    /// Failures of checks that are known.
    #[serde(default)]
    pub known_failure: BTreeMap<Spanned<PackageName>, RawKnownFailure>,
    /// Values of declared facts.
    #[serde(default)]
    pub facts: BTreeMap<Text, Text>,
    /// Settings that this target turns whatever the profile says.
    #[serde(default)]
    pub set: BTreeMap<Text, Spanned<toml::Value>>,
    /// What is peculiar about it beside options and versions.
    #[serde(default)]
    pub peculiarity: Vec<RawPeculiarity>,
    /// Remarks for people.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl RawTarget {
    /// Notes the places of what is looked at only when it lies among others.
    pub fn place(&mut self, file: &SourceFile) {
        for requires in &mut self.requires {
            let word = &requires.package;
            requires.at = Some(file.placed(&Spanned::new(word.span(), word.get_ref().to_string())));
        }
        for pin in self.with.values_mut() {
            let word = &pin.version;
            pin.at = Some(file.placed(&Spanned::new(word.span(), word.get_ref().to_string())));
        }
    }
}

/// A version in `[target.NAME]` `with`.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct RawPin {
    /// The version.
    pub version: Spanned<Version>,
    /// Where it stands: a span alone forgets its file when targets are laid over each other.
    #[serde(skip)]
    pub at: Option<Placed>,
}

/// `[[target.NAME.peculiarity]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawPeculiarity {
    /// What is different.
    pub what: String,
    /// Why.
    pub why: String,
    /// Who found out, or where it can be read.
    pub from: String,
    /// The versions that it holds for, by package.
    #[serde(default)]
    pub versions: BTreeMap<PackageName, VersionRange>,
}

/// `[target.NAME.kernel]`
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawKernel {
    /// The configuration target that a standard build starts from.
    pub defconfig: Option<Text>,
    /// Config fragments added to it, files of the recipe directory.
    pub fragments: Option<Vec<Text>>,
    /// Config fragments added to `tinyconfig` for a tiny kernel.
    pub tiny_fragments: Option<Vec<Text>>,
    /// The bootable image, relative to the build directory.
    pub image: Option<Text>,
    /// The make target that builds it.
    pub make_target: Option<Text>,
}

/// `[[target.NAME.options.PACKAGE]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawOption {
    /// The options.
    pub add: Vec<String>,
    /// Why this target needs them.
    pub why: String,
    /// Who found out.
    pub from: Option<String>,
    /// The package's versions that they hold for.
    pub versions: Option<VersionRange>,
}

/// `[target.NAME.known-failure.CHECK]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawKnownFailure {
    /// The cause, with its upstream reference.
    pub why: String,
    /// `2027-01-01`: from this day on it counts again.
    pub until: Option<Text>,
    /// The versions that have it, by package.
    #[serde(default)]
    pub versions: BTreeMap<Spanned<PackageName>, VersionRange>,
}

/// `[[target.NAME.requires]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawRequires {
    /// Of which package.
    pub package: Spanned<PackageName>,
    /// Which versions work.
    pub versions: VersionRange,
    /// Why the others do not.
    pub why: String,
    /// Who found out.
    pub from: Option<String>,
    /// Where it stands, as [`RawPin::at`].
    #[serde(skip)]
    pub at: Option<Placed>,
}

/// `[not-built.NAME]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawNotBuilt {
    /// Why not.
    pub why: String,
    /// The last versions that had it.
    #[serde(default)]
    pub last: BTreeMap<String, String>,
}

/// `recipes/NAME.toml`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawRecipe {
    /// The version of this format; 1.
    pub schema: u32,
    /// The package; the file is called the same.
    pub name: Spanned<PackageName>,
    /// One line for people.
    pub summary: String,
    /// What there is one build for: `host`, `toolchain` or `target`.
    pub per: Text,
    /// `build` (the default) or `check`.
    pub kind: Option<Text>,
    /// Only for the targets for which this holds; the others have no such stage.
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
    /// Patches for whatever source was used.
    #[serde(default)]
    pub patch: Vec<RawPatch>,
    /// Combinations that cannot work.
    #[serde(default)]
    pub refuse: Vec<RawRefuse>,
    /// For a check: combinations with which `unsupported` is expected of every target.
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
    /// What it leaves.
    #[serde(default)]
    pub result: RawResult,
    /// What it costs, roughly.
    #[serde(default)]
    pub cost: RawCost,
}

/// `[[needs]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawNeed {
    /// The package.
    pub package: Spanned<PackageName>,
    /// Only if this holds.
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
    /// Where it can come from, in order.
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
    /// What to take from it.
    pub rev: Option<Text>,
    /// The digest of the file as downloaded.
    pub sha256: Option<Sha256>,
    /// Instead of a digest: a detached signature.
    pub signature: Option<RawSignature>,
    /// Bytes.
    pub size: Option<u64>,
    /// The archive within a `.deb`.
    pub member: Option<String>,
    /// Leading path components to drop; 1 when not given.
    pub strip: Option<u32>,
    /// Patches this candidate alone needs.
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
    /// `patch -p`; 1 when not given.
    pub strip: Option<u32>,
}

/// `[[patch]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawPatch {
    /// A file of the recipe directory.
    pub file: Text,
    /// `patch -p`; 1 when not given.
    pub strip: Option<u32>,
    /// The versions it is for.
    pub versions: Option<VersionRange>,
    /// Why it is needed.
    pub why: String,
    /// Where upstream has it.
    pub upstream: Option<String>,
}

/// `[[refuse]]` and `[[unsupported]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawRefuse {
    /// The combination.
    pub when: Text,
    /// Why it cannot work and what to do instead.
    pub why: String,
}

/// `[[step]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawStep {
    /// Its name, in logs and on the screen.
    pub name: Text,
    /// Only if this holds.
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
    /// What a run does that finds this step interrupted: `restart` the stage (the default),
    /// `continue` in the build tree if the stop was clean, or `redo` it with an empty destination.
    pub interrupted: Option<Text>,
    /// The rough peak of memory, all its processes.
    pub memory: Option<Text>,
}

/// `[[step.with]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawWith {
    /// If this holds …
    pub when: Text,
    /// … these arguments are appended …
    #[serde(default)]
    pub args: Vec<Text>,
    /// … and these variables set.
    #[serde(default)]
    pub env: BTreeMap<Text, Text>,
    /// For people.
    pub why: Option<String>,
}

/// `[result]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawResult {
    /// Files that must be there when the steps are over.
    #[serde(default)]
    pub files: Vec<Text>,
}

/// `[cost]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawCost {
    /// Processor time, on the machine this was written on.
    pub time: Option<Text>,
    /// The build tree's size.
    pub build: Option<Text>,
    /// The result's size.
    pub result: Option<Text>,
}
