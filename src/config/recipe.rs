//! A checked recipe. Its templates are still text with locations: [`crate::plan`] renders them for
//! each target.

use super::access::Access;
use super::file::{Placed, SourceFile};
use super::limits::Limits;
use super::raw_recipe::{RawRecipe, RawSource, RawSourceCheck, RawStep, RawVersion};
use super::source::{Keyring, Origin, PatchFrom, PatchSpec, Pin, SourceSpec};
use super::version_range::VersionRange;
use crate::base::{Diagnostic, PackageName, Version, suggest, units};
use std::collections::BTreeMap;
use std::time::Duration;
use toml::Spanned;

/// The instances for which a package is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    /// This machine: libraries that all compilers share.
    Host,
    /// A toolchain, which several targets may share.
    Toolchain,
    /// A target.
    Target,
}

/// A recipe.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The package.
    pub name: PackageName,
    /// A summary of one line.
    pub summary: String,
    /// The licence of its source, as an SPDX expression.
    pub license: Option<String>,
    /// The instances for which it is built.
    pub per: Per,
    /// Whether it is a check.
    pub check: bool,
    /// A condition on the target.
    pub when: Option<Placed>,
    /// Host tools.
    pub tools: Vec<Placed>,
    /// Packages whose results it needs.
    pub needs: Vec<Need>,
    /// Newest first; empty for a recipe without a source of its own.
    pub versions: Vec<Release>,
    /// Where a source tree records its version.
    pub version_from: Option<VersionFrom>,
    /// The publisher's git repository, for `--with PACKAGE=git:REVISION`.
    pub repository: Option<String>,
    /// Additional needs of a checkout of its repository.
    pub snapshot: Option<Snapshot>,
    /// The package whose source it is built from instead, with its location for messages.
    pub source_of: Option<(PackageName, Placed)>,
    /// Patches that apply to every candidate.
    pub patches: Vec<RecipePatch>,
    /// Combinations that cannot work, each with the reason.
    pub refuse: Vec<(Placed, String)>,
    /// For a check: combinations for which `unsupported` is expected.
    pub unsupported: Vec<Placed>,
    /// Files that steps read (templates: a name may depend on the target).
    pub files: Vec<Placed>,
    /// Environment of every step.
    pub env: Vec<(String, Placed)>,
    /// In order.
    pub steps: Vec<Step>,
    /// Access of its steps beyond their isolation.
    pub access: Access,
    /// The resource limits of its steps.
    pub limits: Limits,
    /// Requirements on its source.
    pub source_checks: Vec<SourceCheck>,
    /// Files that must exist after the last step.
    pub result: Vec<Placed>,
    /// Its approximate cost, unless a condition of `cost_with` is true.
    pub cost: Cost,
    /// Costs under conditions; the last one that is true is used.
    pub cost_with: Vec<(Placed, Cost)>,
    /// The file, whose directory the other files are relative to.
    pub file: SourceFile,
    /// The location of its name, for messages about the whole recipe.
    pub at: Placed,
}

/// Where a source tree records its version.
#[derive(Debug, Clone)]
pub struct VersionFrom {
    /// The file, relative to the tree.
    pub file: String,
    /// The prefixes of the lines with the parts of the version, in order.
    pub after: Vec<String>,
}

impl VersionFrom {
    /// Reads the version from the text of the file.
    pub fn read(&self, text: &str) -> Option<Version> {
        let part = |begin: &String| {
            let rest = text.lines().find_map(|line| line.trim_start().strip_prefix(begin.as_str()))?.trim_start();
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(rest.len());
            rest.get(..end).filter(|part| !part.is_empty())
        };
        let parts: Option<Vec<&str>> = self.after.iter().map(part).collect();
        Version::new(&parts?.join(".")).ok()
    }
}

/// Additional needs of a checkout, compared with a release.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// A file that releases have and checkouts lack.
    pub lacks: String,
    /// The host tools that generate it and similar files.
    pub tools: Vec<Placed>,
}

/// A requirement on the source, checked before anything is built from it.
#[derive(Debug, Clone)]
pub struct SourceCheck {
    /// A condition.
    pub when: Option<Placed>,
    /// The condition.
    pub demand: SourceDemand,
    /// The problem if it is not met.
    pub why: Placed,
}

/// The condition of a requirement.
#[derive(Debug, Clone)]
pub enum SourceDemand {
    /// A file or directory exists.
    Exists(Placed),
    /// A command succeeds in the source's directory.
    Run(Vec<Placed>),
}

/// A dependency on another package's result.
#[derive(Debug, Clone)]
pub struct Need {
    /// The package.
    pub package: PackageName,
    /// A condition.
    pub when: Option<Placed>,
    /// Directories of its result that go on the `PATH`.
    pub path: Vec<String>,
    /// For messages.
    pub at: Placed,
}

/// A version and its sources.
#[derive(Debug, Clone)]
pub struct Release {
    /// The version.
    pub version: Version,
    /// Approximate size of the unpacked tree in bytes.
    pub unpacked: u64,
    /// In order of preference.
    pub sources: Vec<SourceSpec>,
}

/// A patch that applies to every candidate.
#[derive(Debug, Clone)]
pub struct RecipePatch {
    /// The patch.
    pub patch: PatchSpec,
    /// The versions it applies to.
    pub versions: VersionRange,
    /// A condition on the target; all targets if not given.
    pub when: Option<Placed>,
}

/// How an interrupted step continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupted {
    /// The stage starts again from the beginning.
    Restart,
    /// It continues in the build tree, if all its processes ended cleanly.
    Continue,
    /// It is repeated with an empty destination.
    Redo,
}

/// The program of a step.
#[derive(Debug, Clone)]
pub enum Command {
    /// A program and its arguments.
    Run(Vec<Placed>),
    /// A script for `sh -eu`.
    Script(Placed),
}

/// A step.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its name.
    pub name: Placed,
    /// A condition.
    pub when: Option<Placed>,
    /// Its program.
    pub command: Command,
    /// Whether the target's extra options are appended.
    pub target_options: bool,
    /// Its environment in addition to the recipe's.
    pub env: Vec<(String, Placed)>,
    /// Additions under conditions.
    pub with: Vec<With>,
    /// How it continues after an interrupted run.
    pub interrupted: Interrupted,
    /// Approximate peak memory in bytes.
    pub memory: u64,
}

/// Arguments and variables added under a condition.
#[derive(Debug, Clone)]
pub struct With {
    /// The condition.
    pub when: Placed,
    /// Arguments that are appended.
    pub args: Vec<Placed>,
    /// Variables that are set.
    pub env: Vec<(String, Placed)>,
}

/// The approximate cost of a build.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Processor time.
    pub time: Duration,
    /// Size of the build tree in bytes.
    pub build: u64,
    /// Size of the result in bytes.
    pub result: u64,
}

/// The allowance of an archive beyond twice its unpacked size.
const ROOM: u64 = 1 << 20;

/// The assumed memory of a step that does not declare it.
const USUAL_MEMORY: u64 = 256 << 20;

impl Recipe {
    /// Reads and checks one recipe file.
    pub fn load(file: &SourceFile) -> Result<Self, Vec<Diagnostic>> {
        let raw: RawRecipe = file.parse().map_err(|problem| vec![problem])?;
        let mut reader = Reader { file, problems: Vec::new() };
        let recipe = reader.recipe(raw);
        if reader.problems.is_empty() { Ok(recipe) } else { Err(reader.problems) }
    }

    /// Reads and checks a version that a file adds to a recipe.
    pub(super) fn release_of(file: &SourceFile, raw: &RawVersion) -> Result<Release, Vec<Diagnostic>> {
        let mut reader = Reader { file, problems: Vec::new() };
        let release = reader.release(raw);
        if reader.problems.is_empty() { Ok(release) } else { Err(reader.problems) }
    }

    /// Returns the package whose source and version it uses: itself, unless it has `source-of`.
    pub fn source_package(&self) -> &PackageName {
        self.source_of.as_ref().map_or(&self.name, |(package, _)| package)
    }

    /// Returns the newest release that is `wanted` or within it (`7.2` includes `7.2.13`).
    pub fn release(&self, wanted: &Version) -> Option<&Release> {
        let exact = self.versions.iter().find(|release| release.version == *wanted);
        exact.or_else(|| {
            let within = self.versions.iter().filter(|release| release.version.is_within(wanted));
            within.max_by(|a, b| a.version.cmp(&b.version))
        })
    }
}

struct Reader<'a> {
    file: &'a SourceFile,
    problems: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn recipe(&mut self, raw: RawRecipe) -> Recipe {
        let file = self.file;
        let name = raw.name.get_ref().clone();
        let at = file.placed(&Spanned::new(raw.name.span(), name.to_string()));
        if raw.schema != 1 {
            self.problems.push(at.error("unsupported `schema`").hint("this crossmill reads `schema = 1`"));
        }
        if file.path().file_stem().is_some_and(|stem| stem != name.as_str()) {
            self.problems.push(at.error(format!("the recipe of `{name}` must be called `{name}.toml`")));
        }
        let per = self.word(
            &raw.per,
            "value",
            &[("host", Per::Host), ("toolchain", Per::Toolchain), ("target", Per::Target)],
        );
        let check = raw.kind.as_ref().and_then(|kind| self.word(kind, "value", &[("build", false), ("check", true)]));
        if raw.step.is_empty() {
            self.problems.push(at.error(format!("the recipe of `{name}` has no `[[step]]`")));
        }
        let source_of = raw.source_of.as_ref().map(|package| {
            let at = file.placed(&Spanned::new(package.span(), package.get_ref().to_string()));
            if !raw.version.is_empty() || !raw.patch.is_empty() {
                let problem = at.error("a recipe with `source-of` has no `[[version]]` and no `[[patch]]` of its own");
                self.problems.push(problem.hint(format!("those of `{}` apply to both", package.get_ref())));
            }
            (package.get_ref().clone(), at)
        });
        let usual = Cost { time: Duration::from_secs(60), build: 100 << 20, result: 10 << 20 };
        let cost = self.cost(usual, [&raw.cost.time, &raw.cost.build, &raw.cost.result]);
        let cost_with = raw.cost.with.iter();
        let cost_with = cost_with
            .map(|with| (file.placed(&with.when), self.cost(cost, [&with.time, &with.build, &with.result])))
            .collect();
        let version_from = raw.version_from.map(|from| VersionFrom { file: from.file, after: from.after });
        let snapshot = raw.snapshot.as_ref();
        let snapshot = snapshot.map(|raw| Snapshot { lacks: raw.lacks.clone(), tools: self.all(&raw.tools) });
        Recipe {
            version_from,
            repository: raw.repository,
            snapshot,
            source_of,
            summary: raw.summary,
            license: raw.license,
            per: per.unwrap_or(Per::Target),
            check: check.unwrap_or(false),
            when: raw.when.as_ref().map(|when| file.placed(when)),
            tools: self.all(&raw.tools),
            needs: raw
                .needs
                .iter()
                .map(|need| Need {
                    package: need.package.get_ref().clone(),
                    when: need.when.as_ref().map(|when| file.placed(when)),
                    path: need.path.clone(),
                    at: file.placed(&Spanned::new(need.package.span(), need.package.get_ref().to_string())),
                })
                .collect(),
            versions: raw.version.iter().map(|version| self.release(version)).collect(),
            patches: raw
                .patch
                .iter()
                .filter_map(|patch| {
                    let from = self.patch_file(&patch.file)?;
                    let patch_spec = PatchSpec { from, strip: patch.strip.unwrap_or(1) };
                    Some(RecipePatch {
                        patch: patch_spec,
                        versions: patch.versions.clone().unwrap_or_default(),
                        when: patch.when.as_ref().map(|when| file.placed(when)),
                    })
                })
                .collect(),
            refuse: raw.refuse.into_iter().map(|refuse| (file.placed(&refuse.when), refuse.why)).collect(),
            unsupported: raw.unsupported.iter().map(|unsupported| file.placed(&unsupported.when)).collect(),
            files: self.all(&raw.files),
            env: self.env(&raw.env),
            steps: raw.step.iter().map(|step| self.step(step)).collect(),
            access: Access::new(&raw.access, file, &mut self.problems),
            limits: Limits::new(&raw.limits, file, &mut self.problems),
            source_checks: raw.source_check.iter().filter_map(|check| self.source_check(check)).collect(),
            result: self.all(&raw.result.files),
            cost,
            cost_with,
            file: file.clone(),
            name,
            at,
        }
    }

    // Parses `[time, build, result]`; values that are not given are taken from `usual`.
    fn cost(&mut self, usual: Cost, [time, build, result]: [&Option<Spanned<String>>; 3]) -> Cost {
        Cost {
            time: time.as_ref().map_or(usual.time, |text| self.read(text, units::parse_duration)),
            build: build.as_ref().map_or(usual.build, |text| self.read(text, units::parse_bytes)),
            result: result.as_ref().map_or(usual.result, |text| self.read(text, units::parse_bytes)),
        }
    }

    fn source_check(&mut self, raw: &RawSourceCheck) -> Option<SourceCheck> {
        let demand = match (&raw.exists, &raw.run) {
            (Some(path), None) => SourceDemand::Exists(self.file.placed(path)),
            (None, Some(run)) if !run.is_empty() => SourceDemand::Run(self.all(run)),
            _ => {
                let problem = self.file.error(&raw.why, "a `[[source-check]]` has either `exists` or `run`".to_owned());
                self.problems.push(problem);
                return None;
            }
        };
        let when = raw.when.as_ref().map(|when| self.file.placed(when));
        Some(SourceCheck { when, demand, why: self.file.placed(&raw.why) })
    }

    fn word<T: Copy>(&mut self, word: &Spanned<String>, what: &str, choices: &[(&str, T)]) -> Option<T> {
        let found = choices.iter().find(|(choice, _)| choice == word.get_ref()).map(|(_, value)| *value);
        if found.is_none() {
            let mut problem = self.file.error(word, format!("unknown {what} `{}`", word.get_ref()));
            problem.hints =
                suggest::hints(word.get_ref(), &format!("{what}s"), choices.iter().map(|(choice, _)| *choice));
            self.problems.push(problem);
        }
        found
    }

    fn read<T: Default>(&mut self, text: &Spanned<String>, parse: fn(&str) -> Result<T, String>) -> T {
        parse(text.get_ref()).unwrap_or_else(|why| {
            self.problems.push(self.file.error(text, why));
            T::default()
        })
    }

    fn all(&self, texts: &[Spanned<String>]) -> Vec<Placed> {
        texts.iter().map(|text| self.file.placed(text)).collect()
    }

    fn env(&mut self, env: &BTreeMap<Spanned<String>, Spanned<String>>) -> Vec<(String, Placed)> {
        for name in env.keys() {
            let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.get_ref().is_empty() || !name.get_ref().chars().all(fits) {
                self.problems.push(self.file.error(name, format!("`{}` is not a valid variable name", name.get_ref())));
            }
        }
        env.iter().map(|(name, value)| (name.get_ref().clone(), self.file.placed(value))).collect()
    }

    fn step(&mut self, raw: &RawStep) -> Step {
        let file = self.file;
        let name = file.placed(&raw.name);
        let command = match (&raw.run, &raw.script) {
            (Some(run), None) if !run.is_empty() => Command::Run(self.all(run)),
            (None, Some(script)) => {
                if raw.target_options || raw.with.iter().any(|with| !with.args.is_empty()) {
                    self.problems.push(name.error("arguments can be appended to `run` only, not to a `script`"));
                }
                Command::Script(file.placed(script))
            }
            _ => {
                let problem = name.error(format!("step `{}` needs either `run` or `script`", raw.name.get_ref()));
                self.problems.push(problem.hint("write `run = [\"make\", …]` or `script = \"…\"`"));
                Command::Run(Vec::new())
            }
        };
        let choices =
            [("restart", Interrupted::Restart), ("continue", Interrupted::Continue), ("redo", Interrupted::Redo)];
        Step {
            name,
            when: raw.when.as_ref().map(|when| file.placed(when)),
            command,
            target_options: raw.target_options,
            env: self.env(&raw.env),
            with: raw
                .with
                .iter()
                .map(|with| With {
                    when: file.placed(&with.when),
                    args: self.all(&with.args),
                    env: self.env(&with.env),
                })
                .collect(),
            interrupted: raw
                .interrupted
                .as_ref()
                .and_then(|word| self.word(word, "value", &choices))
                .unwrap_or(Interrupted::Restart),
            memory: raw.memory.as_ref().map_or(USUAL_MEMORY, |text| self.read(text, units::parse_bytes)),
        }
    }

    fn release(&mut self, raw: &RawVersion) -> Release {
        let mut sources: Vec<_> = raw.source.iter().filter_map(|source| self.source(source)).collect();
        if raw.source.is_empty() {
            let version = Spanned::new(raw.version.span(), raw.version.get_ref().to_string());
            let problem =
                self.file.error(&version, format!("version {} has no `[[version.source]]`", raw.version.get_ref()));
            self.problems.push(problem.hint("give at least one of `url`, `debian`, `file` or `git`"));
        }
        let unpacked = raw.unpacked.as_ref().map(|text| self.read(text, units::parse_bytes));
        let packed = sources.iter().filter_map(|source: &SourceSpec| source.size).max().unwrap_or(0);
        // No archive is larger than twice what it unpacks to, however small its files are.
        let limit = unpacked.map(|unpacked: u64| unpacked.saturating_mul(2).saturating_add(ROOM));
        sources.iter_mut().for_each(|source| source.limit = limit.filter(|_| source.size.is_none()));
        Release { version: raw.version.get_ref().clone(), unpacked: unpacked.unwrap_or(packed * 10), sources }
    }

    fn source(&mut self, spanned: &Spanned<RawSource>) -> Option<SourceSpec> {
        let raw = spanned.get_ref();
        let whole = |message: &str| self.file.error(spanned, message);
        let mut origins = Vec::new();
        origins.extend(raw.url.as_ref().map(|url| Origin::Url(url.get_ref().clone())));
        origins.extend(raw.debian.as_ref().map(|path| Origin::Debian(path.get_ref().clone())));
        origins.extend(raw.file.as_ref().map(|path| Origin::Local(self.file.dir().join(path.get_ref()))));
        if let Some(url) = &raw.git {
            let rev = raw.rev.as_ref().map_or("HEAD", |rev| rev.get_ref()).to_owned();
            origins.push(Origin::Git { url: url.get_ref().clone(), rev });
        }
        let problem = match (origins.len(), &raw.sha256, &raw.signature) {
            (1, Some(_), Some(_)) => Some(whole("a source is pinned by `sha256` or by `signature`, not by both")),
            (1, None, None) if raw.url.is_some() || raw.debian.is_some() => Some(
                whole("this source is not pinned")
                    .hint("add `sha256 = \"…\"`, or `signature = { url = …, keyring = … }`"),
            ),
            (1, ..) => None,
            _ => Some(whole("a source has exactly one of `url`, `debian`, `file` and `git`")),
        };
        if let Some(problem) = problem {
            self.problems.push(problem);
            return None;
        }
        let pin = match (&raw.sha256, &raw.signature) {
            (Some(sha256), _) => Pin::Sha256(*sha256),
            (None, Some(signature)) => {
                let path = self.file.dir().join(signature.keyring.get_ref());
                match fs_err::read_to_string(&path) {
                    Ok(armored) => Pin::Signature {
                        url: signature.url.get_ref().clone(),
                        keyring: Keyring { path, armored },
                        uncompressed: signature.uncompressed,
                    },
                    Err(error) => {
                        self.problems.push(self.file.error(&signature.keyring, error.to_string()));
                        return None;
                    }
                }
            }
            (None, None) => Pin::AsFound,
        };
        let mut patches = Vec::new();
        for patch in &raw.patches {
            let from = match (&patch.member, &patch.file) {
                (Some(member), None) => Some(PatchFrom::Member(member.get_ref().clone())),
                (None, Some(file)) => self.patch_file(file),
                _ => {
                    self.problems.push(self.file.error(spanned, "a patch has either `member` or `file`"));
                    None
                }
            };
            patches.extend(from.map(|from| PatchSpec { from, strip: patch.strip.unwrap_or(1) }));
        }
        Some(SourceSpec {
            from: origins.pop()?,
            pin,
            size: raw.size,
            limit: None,
            member: raw.member.clone(),
            strip: raw.strip.unwrap_or(1),
            patches,
        })
    }

    fn patch_file(&mut self, file: &Spanned<String>) -> Option<PatchFrom> {
        let path = self.file.dir().join(file.get_ref());
        match fs_err::read_to_string(&path) {
            Ok(text) => Some(PatchFrom::File { path: file.get_ref().into(), text }),
            Err(error) => {
                self.problems.push(self.file.error(file, error.to_string()));
                None
            }
        }
    }
}
