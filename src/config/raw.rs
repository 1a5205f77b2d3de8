//! The target matrix exactly as written. Every table denies unknown keys. Nothing here is checked
//! yet: [`super::matrix`] and [`super::recipe`] turn it into the types that the rest of the program
//! uses.

use super::file::{Placed, SourceFile, Text};
use super::raw_recipe::RawSnapshotVersion;
use super::version_range::VersionRange;
use crate::base::{PackageName, TargetName, Version};
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

/// `targets.toml`, or a `crossmill.toml` that overrides it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawMatrix {
    /// The version of this format; 1.
    pub schema: Option<u32>,
    /// More recipe directories, relative to the file.
    #[serde(default)]
    pub recipes: Vec<String>,
    /// Defaults of the command line.
    #[serde(default)]
    pub defaults: RawDefaults,
    /// The environment of every step, which inherits nothing from the caller.
    #[serde(default)]
    pub environment: BTreeMap<Text, Text>,
    /// Settings, which recipes read and profiles, overlays and `--set` change.
    #[serde(default)]
    pub setting: BTreeMap<Text, RawSetting>,
    /// Facts about targets that checks read: declared here, given by each target.
    #[serde(default)]
    pub fact: BTreeMap<Text, RawFact>,
    /// Caches of finished stages.
    #[serde(default)]
    pub cache: RawCache,
    /// Named sets of settings.
    #[serde(default)]
    pub profile: BTreeMap<Text, RawProfile>,
    /// Named sets of versions.
    #[serde(default)]
    pub release_set: BTreeMap<Text, RawReleaseSet>,
    /// Versions that are added to recipes.
    #[serde(default)]
    pub snapshot: BTreeMap<Text, RawSnapshotVersion>,
    /// Kinds of archives for `crossmill package`.
    #[serde(default)]
    pub archive: BTreeMap<Text, RawArchive>,
    /// Named lists of targets in addition to the tiers.
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
    /// The packages that `crossmill build TARGET` builds.
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

/// `[cache]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawCache {
    /// `--cache-from`
    pub from: Option<Vec<String>>,
    /// `--cache-to`
    pub to: Option<String>,
    /// `--cache-key`
    pub keys: Option<Vec<String>>,
    /// `--cache-sign-key`
    pub sign_key: Option<String>,
}

/// `[setting.NAME]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawSetting {
    /// Its effect.
    pub summary: String,
    /// Its default, which also determines its type.
    pub default: Spanned<toml::Value>,
    /// The values a string setting may have.
    #[serde(default)]
    pub choices: Vec<String>,
}

/// `[fact.NAME]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawFact {
    /// Its subject.
    pub summary: String,
    /// The value for targets that do not give one.
    #[serde(default)]
    pub default: String,
}

/// `[profile.NAME]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawProfile {
    /// Its purpose.
    pub summary: String,
    /// The settings it changes.
    #[serde(default)]
    pub set: BTreeMap<Text, Spanned<toml::Value>>,
}

/// `[release-set.NAME]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawReleaseSet {
    /// Its purpose.
    pub summary: String,
    /// Package = version; a version may be a prefix (`7.2` takes the newest 7.2.x).
    pub versions: BTreeMap<Spanned<PackageName>, Spanned<Version>>,
}

/// `[archive.NAME]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawArchive {
    /// Its purpose.
    pub summary: String,
    /// `result` (the default) or `bundle`.
    pub contents: Option<Text>,
    /// The package whose result it contains.
    pub package: Spanned<PackageName>,
    /// For a bundle: the package whose program runs the tools of all its targets.
    pub driver: Option<Spanned<PackageName>>,
    /// The archive's name and, without `prefix`, that of the directory in it (a template).
    pub name: Text,
    /// The directory in it (a template).
    pub prefix: Option<Text>,
    /// Its directory below a release (a template).
    pub directory: Option<Text>,
    /// The GNU triple that it is published for (a template).
    pub triple: Option<Text>,
    /// Why a target has no such archive (a template); empty if it has one.
    pub lacks: Option<Text>,
    /// The files to write: `tar.xz`, `tar.gz`, `tar.zst`.
    pub formats: Option<Vec<Text>>,
    /// Only these files and directories of the result.
    #[serde(default)]
    pub include: Vec<String>,
    /// Not these files and directories of the result.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// The highest glibc symbol version that its programs may need.
    pub glibc: Option<Text>,
    /// The shared libraries that its programs may need.
    #[serde(default)]
    pub libraries: Vec<String>,
    /// The settings that its package needs.
    #[serde(default)]
    pub set: BTreeMap<Text, Spanned<toml::Value>>,
    /// Checks that must pass before it is created.
    #[serde(default)]
    pub checks: Vec<Spanned<PackageName>>,
}

/// `[target.NAME]`
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawTarget {
    /// A summary of one line.
    pub summary: Option<String>,
    /// Inherit every field that is not given here from this target.
    pub inherits: Option<Spanned<TargetName>>,
    /// `primary`, `secondary` or `tertiary`, as in buildall.
    pub tier: Option<Text>,
    /// The GNU triple of the toolchain.
    pub triple: Option<Text>,
    /// Use this target's toolchain instead of building one; `host` is this machine's own compiler.
    pub toolchain: Option<Spanned<TargetName>>,
    /// The kernel's `ARCH`.
    pub arch: Option<Text>,
    /// Other names for it; never inherited.
    #[serde(default)]
    pub aliases: Vec<Text>,
    /// The release set it is built from, if the default one does not support it.
    pub release_set: Option<Text>,
    /// Versions of single packages.
    #[serde(default)]
    pub with: BTreeMap<PackageName, RawPin>,
    /// How its kernel is built.
    pub kernel: Option<RawKernel>,
    /// Additional arguments for a package's configure or make, each with its reason.
    #[serde(default)]
    pub options: BTreeMap<Spanned<PackageName>, Vec<RawOption>>,
    /// Versions that this target needs.
    #[serde(default)]
    pub requires: Vec<RawRequires>,
    /// The expected result of each check: `pass` or `unsupported`.
    #[serde(default)]
    pub expect: BTreeMap<Spanned<PackageName>, Text>,
    /// Known failures of checks.
    #[serde(default)]
    pub known_failure: BTreeMap<Spanned<PackageName>, RawKnownFailure>,
    /// Values of declared facts.
    #[serde(default)]
    pub facts: BTreeMap<Text, Text>,
    /// Settings that this target changes regardless of the profile.
    #[serde(default)]
    pub set: BTreeMap<Text, Spanned<toml::Value>>,
    /// Differences from other targets beside options and versions.
    #[serde(default)]
    pub quirk: Vec<RawQuirk>,
    /// Remarks.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl RawTarget {
    /// Records the locations of values that are checked after merging.
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
    /// Its location: a span alone does not identify its file once targets are merged.
    #[serde(skip)]
    pub at: Option<Placed>,
}

/// `[[target.NAME.quirk]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawQuirk {
    /// The difference.
    pub what: String,
    /// Why.
    pub why: String,
    /// The source: who found it, or where it is documented.
    pub from: String,
    /// The affected versions, by package.
    #[serde(default)]
    pub versions: BTreeMap<Spanned<PackageName>, VersionRange>,
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
    /// The source.
    pub from: Option<String>,
    /// The package's versions that they apply to.
    pub versions: Option<VersionRange>,
}

/// `[target.NAME.known-failure.CHECK]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawKnownFailure {
    /// The cause, with its upstream reference.
    pub why: String,
    /// `2027-01-01`: the day on which it expires.
    pub until: Option<Text>,
    /// The affected versions, by package.
    #[serde(default)]
    pub versions: BTreeMap<Spanned<PackageName>, VersionRange>,
}

/// `[[target.NAME.requires]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawRequires {
    /// The package.
    pub package: Spanned<PackageName>,
    /// The versions that work.
    pub versions: VersionRange,
    /// Why other versions do not work.
    pub why: String,
    /// The source.
    pub from: Option<String>,
    /// Its location, as [`RawPin::at`].
    #[serde(skip)]
    pub at: Option<Placed>,
}

/// `[not-built.NAME]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawNotBuilt {
    /// The reason.
    pub why: String,
    /// The last versions that supported it.
    #[serde(default)]
    pub last: BTreeMap<String, String>,
}
