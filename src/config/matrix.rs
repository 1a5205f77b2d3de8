//! The resolved target matrix: inheritance and overlays are applied, and every name is checked.

use super::archive::Archive;
use super::expect::{Expected, KnownFailure};
use super::file::Placed;
use super::setting::{Setting, Value};
use super::snapshot::Snapshots;
use super::version_range::VersionRange;
use crate::base::{Diagnostic, PackageName, TargetName, Version, suggest};
use std::collections::BTreeMap;

/// The `toolchain` of a target that uses this machine's compiler.
pub const HOST: &str = "host";
/// The tiers, as in buildall.
pub const TIERS: [&str; 3] = ["primary", "secondary", "tertiary"];

/// The content of `targets.toml` and its overlays.
#[derive(Debug, Clone)]
pub struct Matrix {
    /// The targets that can be built.
    pub targets: BTreeMap<TargetName, Target>,
    /// Known targets that cannot be built.
    pub not_built: BTreeMap<TargetName, NotBuilt>,
    /// Named lists of targets; the tiers and `all` are among them.
    pub groups: BTreeMap<String, Vec<TargetName>>,
    /// Declared settings.
    pub settings: BTreeMap<String, Setting>,
    /// Declared facts of targets.
    pub facts: BTreeMap<String, Fact>,
    /// Named sets of settings.
    pub profiles: BTreeMap<String, Profile>,
    /// Named sets of versions.
    pub release_sets: BTreeMap<String, ReleaseSet>,
    /// Versions that the configuration adds to recipes, by the names that they have there.
    pub snapshots: Snapshots,
    /// Kinds of archives.
    pub archives: BTreeMap<String, Archive>,
    /// The environment of every step.
    pub environment: BTreeMap<String, String>,
    /// Defaults of the command line.
    pub defaults: Defaults,
    /// Every use of a name that recipes define, checked once the recipes are loaded.
    pub mentions: Vec<Mention>,
}

/// A use of a package's or check's name.
#[derive(Debug, Clone)]
pub struct Mention {
    /// The name and its location.
    pub at: Placed,
    /// Whether it must be a check.
    pub check: bool,
}

/// A target that can be built.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its name in the kernel.
    pub name: TargetName,
    /// A summary of one line.
    pub summary: String,
    /// The tier, one of [`TIERS`].
    pub tier: String,
    /// The GNU triple of its toolchain.
    pub triple: String,
    /// The target whose toolchain it uses: often itself.
    pub toolchain: TargetName,
    /// Whether it uses this machine's compiler instead of a toolchain of its own.
    pub host_toolchain: bool,
    /// The kernel's `ARCH`.
    pub arch: String,
    /// Other names for it.
    pub aliases: Vec<String>,
    /// How its kernel is built; `None` for a target that has only a toolchain.
    pub kernel: Option<Kernel>,
    /// The release set that `pins` come from, if it names one.
    pub release_set: Option<String>,
    /// Versions that it is built from unless the user overrides them, with their locations for messages.
    pub pins: BTreeMap<PackageName, Pin>,
    /// Additional arguments for a package's configure or make.
    pub options: BTreeMap<PackageName, Vec<ExtraOption>>,
    /// Versions that it needs.
    pub requires: Vec<Requires>,
    /// The expected result of each check; `pass` if not given.
    pub expect: BTreeMap<PackageName, Expected>,
    /// Known failures of checks.
    pub known_failures: BTreeMap<PackageName, KnownFailure>,
    /// A value for every declared fact.
    pub facts: BTreeMap<String, String>,
    /// Settings that it changes regardless of the profile.
    pub set: BTreeMap<String, Value>,
    /// Differences from other targets beside options and versions.
    pub quirks: Vec<Quirk>,
    /// Remarks.
    pub notes: Vec<String>,
}

/// How a target's kernel is built. File names are relative to the recipe directory, `image` to the
/// kernel's build directory.
#[derive(Debug, Clone, Default)]
pub struct Kernel {
    /// The configuration target of a standard build.
    pub defconfig: String,
    /// Fragments added to it.
    pub fragments: Vec<String>,
    /// Fragments of a tiny kernel.
    pub tiny_fragments: Vec<String>,
    /// The bootable image.
    pub image: String,
    /// The make target that builds it.
    pub make_target: String,
}

/// A declared fact of targets.
#[derive(Debug, Clone)]
pub struct Fact {
    /// Its subject.
    pub summary: String,
    /// The value for targets that do not give one.
    pub default: String,
}

/// Additional options with their reason.
#[derive(Debug, Clone)]
pub struct ExtraOption {
    /// The options.
    pub add: Vec<String>,
    /// The reason.
    pub why: String,
    /// The source.
    pub from: Option<String>,
    /// The package versions they apply to.
    pub versions: VersionRange,
}

/// A version that a target is built from.
#[derive(Debug, Clone)]
pub struct Pin {
    /// The version.
    pub version: Version,
    /// Whether the target pins it itself, and not its release set.
    pub own: bool,
    /// For messages.
    pub at: Placed,
}

/// A documented difference of a target, tested by its builds.
#[derive(Debug, Clone)]
pub struct Quirk {
    /// The difference.
    pub what: String,
    /// Why.
    pub why: String,
    /// The source: who found it, or where it is documented.
    pub from: String,
    /// The affected versions, by package.
    pub versions: BTreeMap<PackageName, VersionRange>,
}

/// Versions that a target needs.
#[derive(Debug, Clone)]
pub struct Requires {
    /// The package.
    pub package: PackageName,
    /// The versions that work.
    pub versions: VersionRange,
    /// Why other versions do not work.
    pub why: String,
    /// The source.
    pub from: Option<String>,
    /// For messages.
    pub at: Placed,
}

/// A target known by name that cannot be built.
#[derive(Debug, Clone)]
pub struct NotBuilt {
    /// The reason.
    pub why: String,
    /// The last versions that supported it, by project.
    pub last: BTreeMap<String, String>,
}

/// A named set of settings.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Its purpose.
    pub summary: String,
    /// The settings it changes.
    pub set: BTreeMap<String, Value>,
}

/// A named set of versions.
#[derive(Debug, Clone)]
pub struct ReleaseSet {
    /// Its purpose.
    pub summary: String,
    /// The versions, with their locations for messages.
    pub versions: BTreeMap<PackageName, (Version, Placed)>,
}

/// Defaults of the command line.
#[derive(Debug, Clone, Default)]
pub struct Defaults {
    /// The profile.
    pub profile: String,
    /// The release set.
    pub release_set: String,
    /// The packages that `crossmill build TARGET` builds.
    pub packages: Vec<PackageName>,
    /// Job tokens.
    pub jobs: Option<usize>,
    /// The directory of the store.
    pub store: Option<String>,
    /// The base URL of the Debian mirror.
    pub debian_mirror: Option<String>,
    /// The caches of finished stages.
    pub cache: CacheDefaults,
    /// Settings changed by an overlay.
    pub set: BTreeMap<String, Value>,
    /// Versions chosen by an overlay.
    pub with: BTreeMap<PackageName, Version>,
}

/// The caches of finished stages.
#[derive(Debug, Clone, Default)]
pub struct CacheDefaults {
    /// Caches to read.
    pub from: Vec<String>,
    /// The cache to write.
    pub to: Option<String>,
    /// Public keys whose entries are used: their text or their files.
    pub keys: Vec<String>,
    /// The file of the secret key that signs entries.
    pub sign_key: Option<String>,
}

impl Matrix {
    /// Resolves a name, an alias or a GNU triple to its target.
    pub fn target(&self, name: &str) -> Result<&Target, Diagnostic> {
        if let Some(target) = self.named(name).or_else(|| self.with_triple(name)) {
            return Ok(target);
        }
        if let Some(known) = self.not_built.get(name) {
            let last: Vec<_> = known.last.iter().map(|(project, version)| format!("{project} {version}")).collect();
            let mut diagnostic = Diagnostic::new(format!("target `{name}` cannot be built")).cause(known.why.clone());
            if !last.is_empty() {
                diagnostic = diagnostic.hint(format!("the last version that supports it: {}", last.join(", ")));
            }
            return Err(diagnostic);
        }
        let mut diagnostic = Diagnostic::new(format!("unknown target `{name}`"));
        diagnostic.hints = match suggest::nearest(name, self.words()).and_then(|word| Some((word, self.named(word)?))) {
            Some((word, target)) if target.name.as_str() == word => vec![format!("did you mean `{word}`?")],
            Some((word, target)) => vec![format!("did you mean `{word}`, another name of `{}`?", target.name)],
            None => vec![format!("valid targets are {}", suggest::list(self.targets.keys().map(TargetName::as_str)))],
        };
        Err(diagnostic)
    }

    // Every name and alias.
    fn words(&self) -> impl Iterator<Item = &str> {
        let aliases = self.targets.values().flat_map(|target| target.aliases.iter().map(String::as_str));
        self.targets.keys().map(TargetName::as_str).chain(aliases)
    }

    fn named(&self, word: &str) -> Option<&Target> {
        let is_alias = |target: &&Target| target.aliases.iter().any(|alias| alias == word);
        self.targets.get(word).or_else(|| self.targets.values().find(is_alias))
    }

    // `aarch64-linux`, or with vendor and C library as distributions write it:
    // `aarch64-unknown-linux-gnu`. A triple shared by several targets names the target that owns
    // the toolchain.
    fn with_triple(&self, word: &str) -> Option<&Target> {
        let own = |target: &&Target| target.toolchain == target.name && target.triple == word;
        let (cpu, system) = word.split_once('-')?;
        let same_system = |target: &&Target| {
            target.triple.split('-').nth(1).is_some_and(|own| system.split('-').any(|part| part == own))
        };
        self.targets.values().find(own).or_else(|| self.named(cpu).filter(same_system))
    }

    /// A kind of archive.
    pub fn archive(&self, name: &str) -> Result<&Archive, Diagnostic> {
        self.archives.get(name).ok_or_else(|| {
            let mut diagnostic = Diagnostic::new(format!("no `[archive.{name}]` is declared"));
            diagnostic.hints = suggest::hints(name, "archives", self.archives.keys().map(String::as_str));
            diagnostic
        })
    }

    /// Returns the targets of a group.
    pub fn group(&self, name: &str) -> Result<&[TargetName], Diagnostic> {
        self.groups.get(name).map(Vec::as_slice).ok_or_else(|| {
            let mut diagnostic = Diagnostic::new(format!("unknown group `{name}`"));
            diagnostic.hints = suggest::hints(name, "groups", self.groups.keys().map(String::as_str));
            diagnostic
        })
    }
}

#[cfg(test)]
#[path = "matrix_tests.rs"]
mod tests;
