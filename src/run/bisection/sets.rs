//! Which difference between two sets of versions and settings brings a failure: each is exchanged alone, then one after the
//! other. What decides is then known by its name, and a package's history can be bisected.

use super::outcome::Outcome;
use super::progress::{Progress, Step};
use super::signature::Signature;
use super::tester::Tester;
use super::{Begun, Error, Trial, Watcher, asked, interrupt, judge};
use crate::base::PackageName;
use crate::config::source::Origin;
use crate::plan::Request;
use crate::run;
use crate::source::history::Verdict;
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

/// Two sets, as they were asked for.
#[derive(Debug)]
pub struct Sets<'a> {
    /// What is tested, and how.
    pub trial: Trial<'a>,
    /// The request with the good set.
    pub good: Request,
    /// The request with the bad set.
    pub bad: Request,
    /// The sets, as the user named them.
    pub names: [String; 2],
}

/// A part in which two sets may differ.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The version or the source of a package.
    Package(PackageName),
    /// The value of a setting.
    Setting(String),
}

impl Part {
    /// Returns the name of the package or the setting.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Package(name) => name.as_str(),
            Self::Setting(name) => name,
        }
    }
}

/// A part in which two sets differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The part.
    pub part: Part,
    /// Its version, source or value in the good set.
    pub good: String,
    /// Its version, source or value in the bad set.
    pub bad: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} -> {}", self.part.name(), self.good, self.bad)
    }
}

/// What is tested next.
#[derive(Debug)]
pub enum Trying<'a> {
    /// A set, by its name.
    Set(&'a str),
    /// The good set with these parts of the bad one.
    With(&'a str, Vec<&'a Difference>),
}

/// The result.
#[derive(Debug)]
pub struct Decision {
    /// The bisection's name, and that of its directory.
    pub id: String,
    /// Its directory.
    pub dir: PathBuf,
    /// All differences between the sets.
    pub differences: Vec<Difference>,
    /// The difference that brings the failure; `None` if what was tested does not show it.
    pub decides: Option<usize>,
    /// The differences that have to be there for that: none if it does so alone.
    pub with: Vec<usize>,
    /// The failures of the bad set.
    pub signatures: Vec<Signature>,
    /// All verdicts. The name of a step is that of its parts.
    pub steps: Vec<Step>,
}

/// The commits of the package that decides, with everything else as it has to be for the failure.
#[derive(Debug)]
pub struct Commits {
    /// What is built; the source of the package is that of the good set.
    pub request: Request,
    /// The package.
    pub package: PackageName,
    /// Its repository.
    pub repository: String,
    /// The revision of the good set.
    pub good: String,
    /// The revision of the bad set.
    pub bad: String,
}

impl Decision {
    /// Returns the commits to bisect next; `None` if no package decides, or not by revisions of one repository.
    #[must_use]
    pub fn commits(&self, sets: &Sets<'_>) -> Option<Commits> {
        let decides = self.differences.get(self.decides?)?;
        let Part::Package(package) = &decides.part else { return None };
        let recipe = sets.trial.session.config.recipes.get(package)?;
        let git = |request: &Request| {
            let own = request.sources.get(package).map(|source| &source.from);
            // A snapshot is a version with a revision.
            let released =
                || recipe.release(request.versions.get(package)?)?.sources.first().map(|source| &source.from);
            match own.or_else(released)? {
                Origin::Git { url, rev } => Some((url.clone(), rev.clone())),
                _ => None,
            }
        };
        let ((repository, good), (other, bad)) = (git(&sets.good)?, git(&sets.bad)?);
        let with: Vec<&Part> = self.with.iter().filter_map(|with| Some(&self.differences.get(*with)?.part)).collect();
        let mut request = exchanged(&sets.good, &sets.bad, &with);
        // The version is that of each commit.
        request.fixed_versions.retain(|name| name != package);
        request.sources.remove(package);
        (repository == other).then(|| Commits { request, package: package.clone(), repository, good, bad })
    }
}

// The names of steps that are no parts.
const GOOD: &str = "good";
const BAD: &str = "bad";

/// Finds the difference that brings the failure of the bad set.
pub fn decide(sets: &Sets<'_>, watcher: &mut dyn Watcher) -> Result<Decision, Error> {
    let differences = differences(&sets.good, &sets.bad);
    if differences.is_empty() {
        return Err(Error::SameSets { good: sets.names[0].clone(), bad: sets.names[1].clone() });
    }
    let interrupts = interrupt::Interrupts::receive()?;
    let store = sets.trial.session.store()?;
    store.writable()?;
    let Begun { id, dir, progress, _lock } = Begun::new(&sets.trial, &store, question(sets)?, watcher)?;
    let tester = Tester::new(&sets.trial, &store, &dir, &interrupts);
    let mut state = State { sets, differences: &differences, tester, progress, dir: dir.clone(), watcher };
    state.ends()?;
    let found = state.exchange()?;
    let (decides, with) = found.map_or((None, Vec::new()), |(decides, with)| (Some(decides), with));
    let Progress { signatures, steps, .. } = state.progress;
    Ok(Decision { id, dir, decides, with, signatures, steps, differences })
}

/// Returns the request of the good set with parts of the bad one.
#[must_use]
pub fn exchanged(good: &Request, bad: &Request, parts: &[&Part]) -> Request {
    let mut request = good.clone();
    for part in parts {
        match part {
            Part::Package(name) => {
                match bad.versions.get(name) {
                    Some(version) => request.versions.insert(name.clone(), version.clone()),
                    None => request.versions.remove(name),
                };
                match bad.sources.get(name) {
                    Some(source) => request.sources.insert(name.clone(), source.clone()),
                    None => request.sources.remove(name),
                };
                // No target's own version may take its place.
                if !request.fixed_versions.contains(name) {
                    request.fixed_versions.push(name.clone());
                }
            }
            Part::Setting(name) => {
                if let Some(value) = bad.settings.get(name) {
                    request.settings.insert(name.clone(), value.clone());
                }
                if !request.fixed.contains(name) {
                    request.fixed.push(name.clone());
                }
            }
        }
    }
    request
}

// Packages first, in the order of their names.
fn differences(good: &Request, bad: &Request) -> Vec<Difference> {
    let of_package = |request: &Request, name: &PackageName| {
        let source = request.sources.get(name).map(|source| source.label());
        source.or_else(|| request.versions.get(name).map(ToString::to_string)).unwrap_or_else(|| "-".to_owned())
    };
    let names: BTreeSet<&PackageName> =
        [good, bad].iter().flat_map(|request| request.versions.keys().chain(request.sources.keys())).collect();
    let packages = names.into_iter().map(|name| {
        let (good, bad) = (of_package(good, name), of_package(bad, name));
        Difference { part: Part::Package(name.clone()), good, bad }
    });
    let settings = good.settings.iter().filter_map(|(name, value)| {
        let (good, bad) = (value.to_string(), bad.settings.get(name)?.to_string());
        Some(Difference { part: Part::Setting(name.clone()), good, bad })
    });
    packages.chain(settings).filter(|difference| difference.good != difference.bad).collect()
}

fn question(sets: &Sets<'_>) -> Result<String, Error> {
    let words = |names: Vec<String>| names.join(" ");
    let whole = |request: &Request| {
        let versions = request.versions.iter().map(|(name, version)| format!("{name}={version}")).collect();
        let sources = request.sources.iter().map(|(name, source)| format!("{name}={}", source.label())).collect();
        let settings = request.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!(
            "profile {} {}\nversions {}\nsources {}\nsettings {}\n",
            request.profile,
            request.release_set,
            words(versions),
            words(sources),
            words(settings)
        )
    };
    let targets = words(sets.good.targets.iter().map(ToString::to_string).collect());
    let packages = words(sets.good.packages.iter().map(ToString::to_string).collect());
    let subject = asked(&sets.trial.subject)?;
    Ok(format!("sets\n{subject}\ntargets {targets}\npackages {packages}\n{}{}", whole(&sets.good), whole(&sets.bad)))
}

struct State<'a> {
    sets: &'a Sets<'a>,
    differences: &'a [Difference],
    tester: Tester<'a>,
    progress: Progress,
    dir: PathBuf,
    watcher: &'a mut dyn Watcher,
}

impl State<'_> {
    // The bad set has to fail, and the good one to pass.
    fn ends(&mut self) -> Result<(), Error> {
        let [good, bad] = &self.sets.names;
        let untestable = |end, rev: &String, why| Error::Untestable { end, rev: rev.clone(), why };
        if self.progress.step(BAD).is_none() {
            let (outcome, run) = self.outcome(BAD, &Trying::Set(bad), &self.sets.bad)?;
            let signatures = match outcome {
                Outcome::Fail(signatures) => signatures,
                Outcome::Pass => return Err(Error::BadPasses { rev: bad.clone(), what: self.tester.subject() }),
                Outcome::Untestable(why) => return Err(untestable("bad", bad, why)),
            };
            let why = signatures.first().map(ToString::to_string);
            self.progress.signatures = signatures;
            self.keep(BAD, bad, Verdict::Bad, why, run)?;
        }
        if self.progress.step(GOOD).is_none() {
            let (outcome, run) = self.outcome(GOOD, &Trying::Set(good), &self.sets.good)?;
            match outcome {
                Outcome::Pass => self.keep(GOOD, good, Verdict::Good, None, run)?,
                Outcome::Fail(signatures) => {
                    let why = signatures.first().map(ToString::to_string).unwrap_or_default();
                    return Err(Error::GoodFails { rev: good.clone(), why });
                }
                Outcome::Untestable(why) => return Err(untestable("good", good, why)),
            }
        }
        Ok(())
    }

    // The difference that decides, and those that it needs.
    fn exchange(&mut self) -> Result<Option<(usize, Vec<usize>)>, Error> {
        let count = self.differences.len();
        if count == 1 {
            return Ok(Some((0, Vec::new())));
        }
        for one in 0..count {
            if self.verdict(&[one])? == Verdict::Bad {
                return Ok(Some((one, Vec::new())));
            }
        }
        // No difference alone: one after the other until the failure is there, which it is with all of them.
        let mut before = self.verdict(&[0])?;
        for last in 1..count {
            let parts: Vec<usize> = (0..=last).collect();
            let verdict = if last + 1 == count { Verdict::Bad } else { self.verdict(&parts)? };
            if verdict == Verdict::Bad {
                // It would be blamed for what could not be tested without it.
                return Ok((before == Verdict::Good).then(|| (last, (0..last).collect())));
            }
            before = verdict;
        }
        Ok(None)
    }

    fn verdict(&mut self, parts: &[usize]) -> Result<Verdict, Error> {
        let chosen: Vec<&Difference> = parts.iter().filter_map(|part| self.differences.get(*part)).collect();
        let name = chosen.iter().map(|difference| difference.part.name()).collect::<Vec<_>>().join("+");
        if let Some(step) = self.progress.step(&name) {
            return Ok(step.verdict);
        }
        let names: Vec<&Part> = chosen.iter().map(|difference| &difference.part).collect();
        let request = exchanged(&self.sets.good, &self.sets.bad, &names);
        let text = chosen.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let trying = Trying::With(&self.sets.names[0], chosen);
        let (outcome, run) = match self.outcome(&name, &trying, &request) {
            // The two sets are possible; this mixture need not be.
            Err(Error::Run(run::Error::Usage(problems))) => {
                let why = problems.first().map(|problem| problem.message.clone()).unwrap_or_default();
                (Outcome::Untestable(why), None)
            }
            other => other?,
        };
        let (verdict, why) = judge(outcome, &self.progress.signatures);
        self.keep(&name, &text, verdict, why, run)?;
        Ok(verdict)
    }

    fn outcome(
        &mut self,
        name: &str,
        trying: &Trying<'_>,
        request: &Request,
    ) -> Result<(Outcome, Option<String>), Error> {
        self.watcher.trying(trying);
        self.tester.test((name, request), None, &self.progress.signatures, self.watcher)
    }

    fn keep(
        &mut self,
        name: &str,
        text: &str,
        verdict: Verdict,
        why: Option<String>,
        run: Option<String>,
    ) -> Result<(), Error> {
        self.watcher.verdict(text, verdict, why.as_deref());
        let (commit, subject) = (name.to_owned(), text.to_owned());
        self.progress.steps.push(Step { commit, subject, verdict, why, run });
        self.progress.write(&self.dir)
    }
}
