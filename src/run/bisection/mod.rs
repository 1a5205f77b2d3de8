//! Bisects the history of one package to the commit that brought a failure, while everything else of a request stays.
//!
//! ```text
//! history ── next commit ──> run of the request ── outcome ── compared with the bad end's failure ── verdict
//!   ^        (git bisect)    or a script                                                              │
//!   └──────────────────────────────── progress.json <─────────────────────────────────────────────────┘
//! ```
//!
//! A commit is only bad if it fails as the bad end does; one that fails otherwise, or does not build where a check is
//! bisected, is skipped. A failure of the machine ends the command and is no verdict.

mod error;
mod evidence;
mod interrupt;
mod outcome;
mod progress;
mod script;
mod sets;
mod signature;
mod tester;

pub use error::Error;
pub use outcome::{Outcome, Surroundings};
pub use progress::{Progress, SCHEMA, Step};
pub use script::NAME as SCRIPT;
pub use sets::{Commits, Decision, Difference, Part, Sets, Trying, decide};
pub use signature::Signature;

use super::comparison::Comparison;
use super::log::Sink;
use super::{RunOptions, Session, newest};
use crate::base::{Key, PackageName, Sha256, files};
use crate::plan::Request;
use crate::source::history::{Bisection, Commit, Left, Next, Verdict};
use crate::source::{Fetcher, History};
use crate::store::{Lock, Store};
use std::path::{Path, PathBuf};
use tester::Tester;

/// What shows the failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The build of the packages: the stage that fails.
    Build,
    /// A check.
    Check(PackageName),
    /// A script, by its absolute path.
    Script(PathBuf),
}

/// What is tested, and how.
#[derive(Debug)]
pub struct Trial<'a> {
    /// The configuration and the store.
    pub session: &'a Session,
    /// What shows the failure.
    pub subject: Subject,
    /// The number of runs of each test.
    pub repeat: u32,
    /// Whether earlier progress is discarded.
    pub restart: bool,
    /// Options of the runs.
    pub options: RunOptions,
}

/// A bisection of a history, as it was asked for.
#[derive(Debug)]
pub struct Setup<'a> {
    /// What is tested, and how.
    pub trial: Trial<'a>,
    /// What is built; the source of `package` is replaced.
    pub request: Request,
    /// The package whose history is bisected.
    pub package: PackageName,
    /// Its repository.
    pub repository: String,
    /// The good end, as the user named it.
    pub good: String,
    /// The bad end, as the user named it.
    pub bad: String,
    /// Commits that are not tested.
    pub skip: Vec<String>,
}

/// Receives what happens.
pub trait Watcher {
    /// Verdicts of an earlier command are used.
    fn resumed(&mut self, steps: usize);
    /// A commit is tested. `left` is unknown for an end.
    fn testing(&mut self, commit: &Commit, left: Option<Left>);
    /// Two sets of versions are tested, or one with parts of the other.
    fn trying(&mut self, what: &Trying<'_>);
    /// A commit has its verdict.
    fn verdict(&mut self, name: &str, verdict: Verdict, why: Option<&str>);
    /// Returns the sink for the events of the next run.
    fn sink(&mut self) -> Box<dyn Sink + Send>;
}

/// The result of a bisection.
#[derive(Debug)]
pub struct Report {
    /// The bisection's name, and that of its directory.
    pub id: String,
    /// Its directory.
    pub dir: PathBuf,
    /// The good end.
    pub good: Commit,
    /// The bad end.
    pub bad: Commit,
    /// The failures of the bad end.
    pub signatures: Vec<Signature>,
    /// All verdicts.
    pub steps: Vec<Step>,
    /// The first bad commit, or the commits of which one is, oldest first.
    pub candidates: Vec<Commit>,
    /// The good commit to compare with: a parent of the oldest candidate where that was tested.
    pub before: Commit,
    /// The files that the first bad commit changed; empty for several candidates.
    pub files: String,
    /// The runs of the good commit and of the bad one compared, where their logs are kept.
    pub comparison: Option<Comparison>,
    /// The difference of the evidence, as a patch; empty if there is none.
    pub evidence: String,
}

impl Report {
    /// Returns the file with the variables that the script had for a target.
    #[must_use]
    pub fn environment(&self, commit: &str, target: &str) -> PathBuf {
        evidence::dir_of(&self.dir, commit).join("logs").join(format!("{target}.env"))
    }

    /// Returns the first bad commit; `None` if skipped commits hide it.
    #[must_use]
    pub fn first_bad(&self) -> Option<&Commit> {
        if let [commit] = &self.candidates[..] { Some(commit) } else { None }
    }
}

/// Bisects.
pub fn bisect(setup: &Setup<'_>, watcher: &mut dyn Watcher) -> Result<Report, Error> {
    let interrupts = interrupt::Interrupts::receive()?;
    let store = setup.trial.session.store()?;
    store.writable()?;
    let fetcher = setup.trial.session.fetcher(&store);
    let fetched = interrupts.unless(fetcher.history(&setup.repository, &())).ok_or(Error::Interrupted)?;
    let unreachable = |source| Error::Unreachable { repository: setup.repository.clone(), source: Box::new(source) };
    let history = fetched.map_err(unreachable)?;
    let (good, bad) = ends(setup, &history)?;
    let Begun { id, dir, progress, _lock } =
        Begun::new(&setup.trial, &store, question(setup, &good.id, &bad.id)?, watcher)?;
    let tester = Tester::new(&setup.trial, &store, &dir, &interrupts);
    let commits = Checkouts { setup, history: &history, fetcher, interrupts: &interrupts };
    let mut state = State { commits, tester, progress, dir: &dir, watcher };
    state.ends(setup, &good, &bad)?;
    let candidates = state.steps(setup, &good.id, &bad.id)?;
    let found = Found { id, good, bad, candidates };
    report(&history, &store, &dir, state.progress, found)
}

// A bisection whose progress this process alone may change.
struct Begun {
    id: String,
    dir: PathBuf,
    progress: Progress,
    _lock: Lock,
}

impl Begun {
    fn new(trial: &Trial<'_>, store: &Store, question: String, watcher: &mut dyn Watcher) -> Result<Self, Error> {
        let key = Key::of(question.as_bytes());
        let id = key.short().to_string();
        let dir = store.root().join("bisect").join(&id);
        let lock = store.try_lock(&key)?.map_err(Error::InUse)?;
        if trial.restart {
            files::remove_tree(&dir)?;
        }
        fs_err::create_dir_all(&dir)?;
        let progress = Progress::read(&dir)?.unwrap_or_else(|| Progress::new(question));
        if !progress.steps.is_empty() {
            watcher.resumed(progress.steps.len());
        }
        Ok(Self { id, dir, progress, _lock: lock })
    }
}

// The requests with the package at a commit of its history.
struct Checkouts<'a> {
    setup: &'a Setup<'a>,
    history: &'a History,
    fetcher: Fetcher,
    interrupts: &'a interrupt::Interrupts,
}

impl Checkouts<'_> {
    fn request(&self, commit: &str) -> Result<Request, Error> {
        let mut request = self.setup.request.clone();
        let package = &self.setup.package;
        let version = if request.fixed_versions.contains(package) {
            None
        } else {
            newest::version(self.setup.trial.session, package, self.history, commit)?
        };
        request.take_commit(package, &self.setup.repository, commit, version);
        // Known to be here, so that keys are final before the run.
        let sources = request.sources.get(package).cloned().into_iter().collect::<Vec<_>>();
        let fetched = self.interrupts.unless(self.fetcher.fetch(&sources, &()));
        fetched.ok_or(Error::Interrupted)??;
        Ok(request)
    }
}

// The commits of both ends.
fn ends(setup: &Setup<'_>, history: &History) -> Result<(Commit, Commit), Error> {
    let find = |rev: &str| {
        let no_such = || Error::NoRevision { rev: rev.to_owned(), repository: setup.repository.clone() };
        history.commit(rev)?.ok_or_else(no_such)
    };
    let (good, bad) = (find(&setup.good)?, find(&setup.bad)?);
    if good == bad {
        return Err(Error::Empty { good: setup.good.clone(), bad: setup.bad.clone() });
    }
    if !history.is_ancestor(&good, &bad)? {
        let hint = if history.is_ancestor(&bad, &good)? {
            format!("the ends are in the wrong order: write {}..{}", setup.bad, setup.good)
        } else if history.is_shallow()? {
            "the repository is shallow and lacks the commits between: fetch them with `git fetch --unshallow`"
                .to_owned()
        } else if let Some(base) = history.merge_base(&good, &bad)? {
            format!("the branches part at {}: use it as the good end", history.describe(&base)?.short())
        } else {
            "they have no common ancestor".to_owned()
        };
        return Err(Error::NotAncestor { good: setup.good.clone(), bad: setup.bad.clone(), hint });
    }
    Ok((history.describe(&good)?, history.describe(&bad)?))
}

// What is asked, as text: a bisection with another target or version is another one.
fn question(setup: &Setup<'_>, good: &str, bad: &str) -> Result<String, Error> {
    let request = &setup.request;
    let words = |names: Vec<String>| names.join(" ");
    let targets = words(request.targets.iter().map(ToString::to_string).collect());
    let packages = words(request.packages.iter().map(ToString::to_string).collect());
    let versions = request.versions.iter().filter(|(name, _)| **name != setup.package);
    let versions = words(versions.map(|(name, version)| format!("{name}={version}")).collect());
    let sources = words(request.sources.iter().map(|(name, source)| format!("{name}={}", source.label())).collect());
    let settings = words(request.settings.iter().map(|(name, value)| format!("{name}={value}")).collect());
    let subject = asked(&setup.trial.subject)?;
    Ok(format!(
        "{} {good}..{bad} of {}\n{subject}\ntargets {targets}\npackages {packages}\nprofile {} {}\nversions {versions}\n\
         sources {sources}\nsettings {settings}\n",
        setup.package, setup.repository, request.profile, request.release_set
    ))
}

// What is tested, as text.
fn asked(subject: &Subject) -> Result<String, Error> {
    Ok(match subject {
        Subject::Build => "build".to_owned(),
        Subject::Check(check) => format!("check {check}"),
        Subject::Script(path) => {
            let wrong = |error: std::io::Error| Error::Script { path: path.clone(), why: error.to_string() };
            format!("script {} {}", path.display(), Sha256::of(&fs_err::read(path).map_err(wrong)?))
        }
    })
}

struct State<'a> {
    commits: Checkouts<'a>,
    tester: Tester<'a>,
    progress: Progress,
    dir: &'a Path,
    watcher: &'a mut dyn Watcher,
}

impl State<'_> {
    // The bad end has to fail, and the good end to pass, before anything else is tested.
    fn ends(&mut self, setup: &Setup<'_>, good: &Commit, bad: &Commit) -> Result<(), Error> {
        let untestable = |end, rev: &str, why| Error::Untestable { end, rev: rev.to_owned(), why };
        if self.progress.step(&bad.id).is_none() {
            let (outcome, run) = self.outcome(bad, None)?;
            let signatures = match outcome {
                Outcome::Fail(signatures) => signatures,
                Outcome::Pass => {
                    return Err(Error::BadPasses { rev: setup.bad.clone(), what: self.tester.subject() });
                }
                Outcome::Untestable(why) => return Err(untestable("bad", &setup.bad, why)),
            };
            let why = signatures.first().map(ToString::to_string);
            self.progress.signatures = signatures;
            self.keep(bad, Verdict::Bad, why, run)?;
        }
        if self.progress.step(&good.id).is_none() {
            let (outcome, run) = self.outcome(good, None)?;
            match outcome {
                Outcome::Pass => self.keep(good, Verdict::Good, None, run)?,
                Outcome::Fail(signatures) => {
                    let why = signatures.first().map(ToString::to_string).unwrap_or_default();
                    return Err(Error::GoodFails { rev: setup.good.clone(), why });
                }
                Outcome::Untestable(why) => return Err(untestable("good", &setup.good, why)),
            }
        }
        Ok(())
    }

    // Tests commits until the first bad one is known; returns the candidates, oldest first.
    fn steps(&mut self, setup: &Setup<'_>, good: &str, bad: &str) -> Result<Vec<Commit>, Error> {
        for rev in &setup.skip {
            let no_such = || Error::NoRevision { rev: rev.clone(), repository: setup.repository.clone() };
            let history = self.commits.history;
            let commit = history.commit(rev)?.ok_or_else(no_such)?;
            if self.progress.step(&commit).is_none() {
                self.keep(&history.describe(&commit)?, Verdict::Skip, Some("named with `--skip`".to_owned()), None)?;
            }
        }
        let history = self.commits.history;
        let bisection = Bisection::start(history, &self.dir.join("git"), good, bad)?;
        for step in self.progress.steps.iter().filter(|step| step.commit != good && step.commit != bad) {
            bisection.mark(&step.commit, step.verdict)?;
        }
        loop {
            let candidates = match bisection.next()? {
                Next::Test(commit, left) => {
                    let commit = history.describe(&commit)?;
                    let (outcome, run) = self.outcome(&commit, Some(left))?;
                    let (verdict, why) = judge(outcome, &self.progress.signatures);
                    bisection.mark(&commit.id, verdict)?;
                    self.keep(&commit, verdict, why, run)?;
                    continue;
                }
                Next::Found(commit) => vec![commit],
                Next::OneOf(commits) => commits,
            };
            files::remove_tree(&self.dir.join("git"))?;
            let described = candidates.iter().map(|commit| history.describe(commit));
            return Ok(described.collect::<Result<_, _>>()?);
        }
    }

    fn outcome(&mut self, commit: &Commit, left: Option<Left>) -> Result<(Outcome, Option<String>), Error> {
        self.watcher.testing(commit, left);
        let request = self.commits.request(&commit.id)?;
        let package = Some(&self.commits.setup.package);
        self.tester.test((&commit.id, &request), package, &self.progress.signatures, self.watcher)
    }

    fn keep(
        &mut self,
        commit: &Commit,
        verdict: Verdict,
        why: Option<String>,
        run: Option<String>,
    ) -> Result<(), Error> {
        self.watcher.verdict(commit.short(), verdict, why.as_deref());
        let (id, subject) = (commit.id.clone(), commit.subject.clone());
        self.progress.steps.push(Step { commit: id, subject, verdict, why, run });
        self.progress.write(self.dir)
    }
}

// Only the failure of the bad end is bad.
fn judge(outcome: Outcome, signatures: &[Signature]) -> (Verdict, Option<String>) {
    match outcome {
        Outcome::Pass => (Verdict::Good, None),
        Outcome::Untestable(why) => (Verdict::Skip, Some(why)),
        Outcome::Fail(found) => {
            let wanted = |one: &&Signature| signatures.iter().any(|known| known.is_same(one));
            match (found.iter().find(wanted), found.first()) {
                (Some(same), _) => (Verdict::Bad, Some(same.to_string())),
                (None, Some(other)) => (Verdict::Skip, Some(format!("another failure: {other}"))),
                (None, None) => (Verdict::Skip, Some("a failure without a cause".to_owned())),
            }
        }
    }
}

struct Found {
    id: String,
    good: Commit,
    bad: Commit,
    candidates: Vec<Commit>,
}

fn report(history: &History, store: &Store, dir: &Path, progress: Progress, found: Found) -> Result<Report, Error> {
    let Found { id, good, bad, candidates } = found;
    let has = |commit: &str, verdict| progress.step(commit).is_some_and(|step| step.verdict == verdict);
    let oldest = candidates.first().unwrap_or(&bad);
    let parent = oldest.parents.iter().find(|parent| has(parent, Verdict::Good));
    // Behind a merge the parent may have been ruled out without a test.
    let last_good = progress.steps.iter().rev().find(|step| step.verdict == Verdict::Good).map(|step| &step.commit);
    let before = match parent.or(last_good) {
        Some(commit) => history.describe(commit)?,
        None => good.clone(),
    };
    let first_bad = candidates.last().unwrap_or(&bad);
    let files = if candidates.len() == 1 { history.files_changed(&first_bad.id)? } else { String::new() };
    let run = |commit: &str| progress.step(commit)?.run.as_deref();
    let comparison = run(&before.id).zip(run(&first_bad.id)).and_then(|(old, new)| evidence::compare(store, old, new));
    let evidence = evidence::difference(dir, &before.id, &first_bad.id)?;
    let Progress { signatures, steps, .. } = progress;
    Ok(Report {
        id,
        dir: dir.to_owned(),
        good,
        bad,
        signatures,
        steps,
        candidates,
        before,
        files,
        comparison,
        evidence,
    })
}
