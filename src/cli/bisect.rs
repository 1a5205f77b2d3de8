//! `crossmill bisect`.

use super::build::Building;
use super::version_set::VersionSet;
use super::{CliError, CliResult, exit, print};
use crate::base::text::harmless;
use crate::base::{Diagnostic, PackageName, suggest};
use crate::config::Config;
use crate::report::{self, Sink, Verbosity, bisection, decision};
use crate::run::Session;
use crate::run::bisection::{Commits, Sets, Setup, Subject, Trial, Trying, Watcher, bisect, decide};
use crate::run::workspace::quote;
use crate::source::history::{Commit, Left, Verdict};
use clap::Args;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

/// Find the commit, the version or the setting that broke a build, a check or a script
///
/// PACKAGE=GOOD..BAD are commits of a package. SET..SET are two sets, each a release set, or versions and settings with
/// commas between them: the differences are exchanged one at a time, and where a package decides that has
/// both versions in one git repository, its commits are bisected next.
///
/// Both ends are tested first: GOOD has to pass, and BAD to fail. A commit between them is bad if it
/// fails as BAD does, and skipped if it fails otherwise. The command can be interrupted at any time,
/// with Ctrl-C or kill -9: the same command continues it (docs/bisect.md).
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 the first bad commit was found, 7 it is hidden by skipped commits, which are listed, \
                        2 the range or an end is wrong, 130 interrupted; others as `crossmill --help` lists them."
)]
pub struct Bisect {
    /// The package and the ends of its history (tags, branches or commits), or two sets
    #[arg(value_name = "PACKAGE=GOOD..BAD|SET..SET")]
    range: String,
    #[command(flatten)]
    building: Building,
    /// A target, as the arguments behind the range
    #[arg(long = "target", short = 't', value_name = "TARGET")]
    more_targets: Vec<String>,
    /// The git repository of the package; that of `--source PACKAGE=git+URL`, or the recipe's, if not given
    #[arg(long, value_name = "URL_OR_DIR")]
    repository: Option<String>,
    /// Bisect this check instead of the build of the packages
    #[arg(long, value_name = "NAME", conflicts_with_all = ["script", "package"])]
    check: Option<String>,
    /// Bisect by this program: exit code 0 is good, 125 skips the commit, 1 to 124 are bad
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Test each commit this many times, and skip it if the outcomes differ
    #[arg(long, value_name = "N", default_value = "1", hide_default_value = true)]
    repeat: NonZeroU32,
    /// Do not test this commit
    #[arg(long, value_name = "REV")]
    skip: Vec<String>,
    /// Discard the progress of an earlier command and begin again
    #[arg(long)]
    restart: bool,
    /// The form of the result
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text", help_heading = "Output")]
    format: bisection::Format,
}

impl Bisect {
    /// Bisects.
    pub fn run(mut self) -> CliResult {
        self.building.select.targets.append(&mut self.more_targets);
        let session = self.building.session()?;
        if let Some(sets) = two_sets(&session.config, &self.range)? {
            return self.sets(&session, sets);
        }
        let (package, good, bad) = range(&session.config, &self.range)?;
        let repository = self.repository(&session.config, &package)?;
        let trial = self.trial(&session)?;
        self.building.select.package = self.packages(Some(&package), &trial.subject);
        let request = self.building.select.request(&session, false)?;
        let skip = std::mem::take(&mut self.skip);
        let (text, code) = self.history(Setup { trial, request, package, repository, good, bad, skip })?;
        print(&text)?;
        Ok(code)
    }

    fn trial<'a>(&self, session: &'a Session) -> Result<Trial<'a>, CliError> {
        Ok(Trial {
            session,
            subject: self.subject(&session.config)?,
            repeat: self.repeat.get(),
            restart: self.restart,
            options: self.building.running.options(self.building.ccache),
        })
    }

    // Bisects the history of a package; returns what to print, and the exit code.
    fn history(&self, setup: Setup<'_>) -> Result<(String, u8), CliError> {
        let session = setup.trial.session;
        let mut watcher = Lines { verbosity: self.building.running.verbosity() };
        let found = bisect(&setup, &mut watcher)?;
        let commands = self.commands(session, &setup, &found);
        let question = bisection::Question {
            package: setup.package.as_str(),
            repository: &setup.repository,
            targets: setup.request.targets.iter().map(ToString::to_string).collect(),
            subject: &setup.trial.subject,
            commands: &commands,
            script: &found.dir.join("reproduce.sh"),
        };
        fs_err::write(question.script, bisection::reproduce(&found, &question))?;
        let text = match self.format {
            bisection::Format::Text => bisection::text(&found, &question, report::Style::of(&std::io::stdout())),
            bisection::Format::Json => bisection::json(&found, &question),
        };
        Ok((text, if found.first_bad().is_some() { exit::DONE } else { exit::CANDIDATES }))
    }

    // Finds the difference between two sets that decides, and bisects its commits if it has some.
    fn sets(mut self, session: &Session, [good, bad]: [(String, VersionSet); 2]) -> CliResult {
        if let Some(word) = self.skip.first() {
            return Err(Diagnostic::new(format!("`--skip {word}` names a commit, and two sets have none"))
                .hint("bisect the package that decides: PACKAGE=GOOD..BAD")
                .into());
        }
        let trial = self.trial(session)?;
        self.building.select.package = self.packages(None, &trial.subject);
        let request = |set: &VersionSet| set.select(&self.building.select).request(session, false);
        let sets = Sets { good: request(&good.1)?, bad: request(&bad.1)?, names: [good.0, bad.0], trial };
        let found = decide(&sets, &mut Lines { verbosity: self.building.running.verbosity() })?;
        let next = found.commits(&sets);
        let targets: Vec<String> = sets.good.targets.iter().map(ToString::to_string).collect();
        let asked = decision::Asked { sets: &sets.names, targets: &targets, subject: &sets.trial.subject };
        if self.format == bisection::Format::Text {
            // It is known before the commits are.
            print(&decision::text(&found, &asked, report::Style::of(&std::io::stdout())))?;
        }
        let (bisected, code) = match next {
            Some(Commits { request, package, repository, good, bad }) => {
                let trial = self.trial(session)?;
                let setup = Setup { trial, request, package, repository, good, bad, skip: Vec::new() };
                let (text, code) = self.history(setup)?;
                (Some(text), code)
            }
            None if found.decides.is_some() => (None, exit::DONE),
            None => (None, exit::CANDIDATES),
        };
        match self.format {
            bisection::Format::Text => print(&bisected.unwrap_or_default())?,
            bisection::Format::Json => print(&decision::json(&found, &asked, bisected.as_deref()))?,
        }
        Ok(code)
    }

    // The repository, a directory as an absolute path.
    fn repository(&mut self, config: &Config, package: &PackageName) -> Result<String, CliError> {
        let prefix = format!("{package}=git+");
        let of_source = self.building.select.source.iter().find_map(|word| word.strip_prefix(&prefix));
        let of_source = of_source.map(|git| git.rsplit_once('#').map_or(git, |(url, _)| url).to_owned());
        let own = format!("{package}=");
        self.building.select.source.retain(|word| !word.starts_with(&own));
        let of_recipe = config.recipes.get(package).and_then(|recipe| recipe.repository.clone());
        let Some(named) = self.repository.clone().or(of_source).or(of_recipe) else {
            return Err(Diagnostic::new(format!("the repository of `{package}` is not known"))
                .hint("name it with `--repository URL_OR_DIR`")
                .into());
        };
        let named = named.strip_prefix("git+").unwrap_or(&named);
        let is_url = named.contains("://") || (named.contains(':') && !Path::new(named).exists());
        if is_url {
            return Ok(named.to_owned());
        }
        match fs_err::canonicalize(named) {
            Ok(path) => Ok(path.display().to_string()),
            Err(error) => Err(Diagnostic::new(format!("there is no repository `{named}`"))
                .cause(error.to_string())
                .hint("name a directory or a URL with `--repository URL_OR_DIR`")
                .into()),
        }
    }

    fn subject(&self, config: &Config) -> Result<Subject, CliError> {
        if let Some(path) = &self.script {
            let path = fs_err::canonicalize(path).map_err(|error| {
                Diagnostic::new(format!("there is no script `{}`", path.display())).cause(error.to_string())
            })?;
            return Ok(Subject::Script(path));
        }
        let Some(name) = &self.check else { return Ok(Subject::Build) };
        let checks = config.recipes.values().filter(|recipe| recipe.check).map(|recipe| recipe.name.as_str());
        match config.recipes.values().find(|recipe| recipe.check && recipe.name.as_str() == name) {
            Some(recipe) => Ok(Subject::Check(recipe.name.clone())),
            None => {
                let mut problem = Diagnostic::new(format!("no check is called `{name}`"));
                problem.hints = suggest::hints(name, "checks", checks);
                Err(problem.hint("`--package NAME` bisects the build of a package").into())
            }
        }
    }

    // What is built: not more than what the subject needs.
    fn packages(&self, package: Option<&PackageName>, subject: &Subject) -> Vec<String> {
        match (subject, package) {
            (Subject::Check(check), _) => vec![check.to_string()],
            (Subject::Script(_), Some(package)) if self.building.select.package.is_empty() => vec![package.to_string()],
            _ => self.building.select.package.clone(),
        }
    }

    // The command lines that show the failure: at the good commit, and at the first bad one.
    fn commands(
        &self,
        session: &Session,
        setup: &Setup<'_>,
        found: &crate::run::bisection::Report,
    ) -> Vec<Vec<String>> {
        let commits = [&found.before.id, found.candidates.last().map_or(&found.bad.id, |commit| &commit.id)];
        let data = std::path::absolute(&session.data).unwrap_or_else(|_| session.data.clone());
        let lines = commits.map(|commit| {
            let mut words = vec!["crossmill".to_owned(), "build".to_owned()];
            words.extend(self.building.select.targets.iter().cloned());
            words.extend(self.building.select.words());
            words.push(format!("--source={}=git+{}#{commit}", setup.package, setup.repository));
            words.push(format!("--data={}", data.display()));
            if matches!(setup.trial.subject, Subject::Script(_)) {
                words.push(format!("--out={}", found.dir.join("results").display()));
            }
            let mut lines = vec![words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")];
            if let Subject::Script(path) = &setup.trial.subject {
                lines.extend(setup.request.targets.iter().map(|target| {
                    let env = found.environment(commit, target.as_str()).display().to_string();
                    format!("(. {} && {})", quote(&env), quote(&path.display().to_string()))
                }));
            }
            lines
        });
        lines.into()
    }
}

// Divides `SET..SET`; `None` if it is a range of a package's commits. A path in a set may have two dots as well.
fn two_sets(config: &Config, word: &str) -> Result<Option<[(String, VersionSet); 2]>, CliError> {
    let is_name = |name: &str| {
        config.matrix.settings.contains_key(name) || config.recipes.keys().any(|package| package.as_str() == name)
    };
    let is_set = |word: &str| match word.split_once('=') {
        Some((name, _)) => is_name(name),
        None => config.matrix.release_sets.contains_key(word),
    };
    for (at, _) in word.match_indices("..") {
        let (Some(good), Some(bad)) = (word.get(..at), word.get(at + 2..)) else { continue };
        if is_set(good)
            && is_set(bad)
            && let (Some(first), Some(second)) = (VersionSet::read(config, good)?, VersionSet::read(config, bad)?)
        {
            return Ok(Some([(good.to_owned(), first), (bad.to_owned(), second)]));
        }
    }
    Ok(None)
}

// Divides `PACKAGE=GOOD..BAD`.
fn range(config: &Config, word: &str) -> Result<(PackageName, String, String), CliError> {
    let wrong = |message: String| {
        let hint = "write PACKAGE=GOOD..BAD, for example `gcc=releases/gcc-15.1.0..releases/gcc-16.1.0`";
        CliError::from(Diagnostic::new(message).hint(hint))
    };
    let (name, revs) = word.split_once('=').ok_or_else(|| wrong(format!("`{word}` lacks its `=`")))?;
    let recipe = config.recipe(name)?;
    if let Some((owner, _)) = &recipe.source_of {
        return Err(Diagnostic::new(format!("`{name}` is built from the source of `{owner}`"))
            .hint(format!("bisect `{owner}={revs}` with `--package {name}`"))
            .into());
    }
    if recipe.versions.is_empty() {
        return Err(wrong(format!("`{name}` has no source of its own, so it has no history")));
    }
    let (good, bad) = revs.split_once("..").ok_or_else(|| wrong(format!("the range `{revs}` has no bad end")))?;
    if bad.starts_with('.') {
        return Err(wrong(format!("the range `{revs}` has three dots")));
    }
    match (good.is_empty(), bad.is_empty()) {
        (false, false) => Ok((recipe.name.clone(), good.to_owned(), bad.to_owned())),
        (true, _) => Err(wrong(format!("the range `{revs}` has no good end"))),
        (false, true) => Err(wrong(format!("the range `{revs}` has no bad end"))),
    }
}

// A line on stderr for each commit.
struct Lines {
    verbosity: Verbosity,
}

impl Watcher for Lines {
    fn resumed(&mut self, steps: usize) {
        errln!("bisecting: carrying on after {steps} tested commits");
    }

    fn testing(&mut self, commit: &Commit, left: Option<Left>) {
        let name = format!("{} {}", commit.short(), harmless(&commit.subject));
        match left {
            Some(Left { commits, steps }) => {
                let many = |count: u64| if count == 1 { "" } else { "s" };
                let left = format!("{commits} revision{} left, about {steps} step{}", many(commits), many(steps));
                errln!("bisecting: {left}: testing {name}");
            }
            None => errln!("bisecting: testing an end of the range: {name}"),
        }
    }

    fn trying(&mut self, what: &Trying<'_>) {
        match what {
            Trying::Set(name) => errln!("bisecting: testing {}", harmless(name)),
            Trying::With(good, parts) => {
                let parts: Vec<String> = parts.iter().map(|part| harmless(&part.to_string())).collect();
                errln!("bisecting: testing {} with {}", harmless(good), parts.join(", "));
            }
        }
    }

    fn verdict(&mut self, name: &str, verdict: Verdict, why: Option<&str>) {
        let why = why.map(|why| format!(": {}", harmless(why))).unwrap_or_default();
        errln!("bisecting: {} is {}{why}", harmless(name), bisection::word(verdict));
    }

    fn sink(&mut self) -> Box<dyn Sink + Send> {
        report::for_stderr(self.verbosity)
    }
}
