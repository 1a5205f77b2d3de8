//! Tests one request: builds what it needs, and reads the outcome.

use super::interrupt::Interrupts;
use super::outcome::{self, Outcome};
use super::script::Script;
use super::signature::Signature;
use super::{Error, Subject, Trial, Watcher, evidence};
use crate::base::{Key, PackageName};
use crate::plan::Request;
use crate::run::build_log::Class;
use crate::run::execute::{self, Answer, Finished};
use crate::run::log::event::{Kind, RunEnd, StageName};
use crate::run::log::model::Stage;
use crate::run::{Goal, RunOptions};
use crate::store::Store;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Tests requests.
#[derive(Debug)]
pub struct Tester<'a> {
    trial: &'a Trial<'a>,
    store: &'a Store,
    dir: &'a Path,
    interrupts: &'a Interrupts,
    began: Instant,
}

impl<'a> Tester<'a> {
    /// Evidence is kept below `dir`.
    pub fn new(trial: &'a Trial<'a>, store: &'a Store, dir: &'a Path, interrupts: &'a Interrupts) -> Self {
        Self { trial, store, dir, interrupts, began: Instant::now() }
    }

    /// Returns what is tested, in words.
    pub fn subject(&self) -> String {
        match &self.trial.subject {
            Subject::Build => "the build".to_owned(),
            Subject::Check(check) => format!("the check `{check}`"),
            Subject::Script(path) => format!("the script `{}`", path.display()),
        }
    }

    /// Returns the outcome of a request and the name of its last run. `name` is that of its evidence; `known` are the
    /// failures that are looked for; the sources of `passing`, which no other request has, are removed.
    pub fn test(
        &self,
        (name, request): (&str, &Request),
        passing: Option<&PackageName>,
        known: &[Signature],
        watcher: &mut dyn Watcher,
    ) -> Result<(Outcome, Option<String>), Error> {
        let out_of_memory = known.iter().any(|signature| signature.class == Class::OutOfMemory);
        let mut outcomes = Vec::new();
        let mut run = None;
        while outcomes.len() < self.trial.repeat.max(1) as usize {
            let finished = self.run(request, watcher)?;
            if let Some(found) = outcome::surroundings(&finished.model, out_of_memory) {
                return Err(Error::Surroundings(found));
            }
            let outcome = self.outcome(name, request, &finished)?;
            if let Some(package) = passing {
                self.discard_sources(package, &finished)?;
            }
            run = Some(finished.run.clone());
            // What was built is in the store, and what cannot be tested stays so.
            let is_last = matches!(
                (&outcome, &self.trial.subject),
                (Outcome::Pass, Subject::Build) | (Outcome::Untestable(_), _)
            );
            outcomes.push(outcome);
            if is_last {
                break;
            }
            if outcomes.len() < self.trial.repeat as usize {
                self.forget_checks(&finished)?;
            }
        }
        Ok((outcome::of_all(outcomes), run))
    }

    fn run(&self, request: &Request, watcher: &mut dyn Watcher) -> Result<Finished, Error> {
        let mut options: RunOptions = self.trial.options.clone();
        if let Some(budget) = options.time_budget {
            let left = budget.checked_sub(self.began.elapsed()).filter(|left| !left.is_zero());
            options.time_budget = Some(left.ok_or(Error::TimeBudget)?);
        }
        if self.interrupts.came() {
            return Err(Error::Interrupted);
        }
        let skip = &mut |_: &[String]| Answer::Skip;
        let finished = execute::execute(self.trial.session, request, Goal::Build, options, watcher.sink(), skip)?;
        match finished.summary.end {
            RunEnd::Interrupted => Err(Error::Interrupted),
            RunEnd::TimeBudget => Err(Error::TimeBudget),
            _ if self.interrupts.came() => Err(Error::Interrupted),
            RunEnd::Done | RunEnd::Failed | RunEnd::SourceFailed => Ok(finished),
        }
    }

    fn outcome(&self, name: &str, request: &Request, finished: &Finished) -> Result<Outcome, Error> {
        let check = if let Subject::Check(check) = &self.trial.subject { Some(check) } else { None };
        let outcome = outcome::of_run(&finished.model, check);
        let is_kept = |stage: &&Stage| check.is_none_or(|check| stage.info.package == check.as_str());
        let is_kept = |stage: &&Stage| is_kept(stage) && (stage.check_result.is_some() || stage.failure.is_some());
        evidence::keep(self.dir, name, finished.model.stages.values().filter(is_kept))?;
        match (&self.trial.subject, outcome) {
            (Subject::Script(path), Outcome::Pass) => self.scripts(path, name, request, finished),
            (Subject::Script(_), Outcome::Fail(found)) => {
                let why = found.first().map(ToString::to_string).unwrap_or_default();
                Ok(Outcome::Untestable(format!("does not build: {why}")))
            }
            (_, outcome) => Ok(outcome),
        }
    }

    // The script passes if it does for every target.
    fn scripts(&self, path: &Path, name: &str, request: &Request, finished: &Finished) -> Result<Outcome, Error> {
        let results = self.dir.join("results");
        crate::base::files::remove_tree(&results)?;
        execute::link_results(&results, &finished.summary)?;
        let logs = evidence::dir_of(self.dir, name).join("logs");
        fs_err::create_dir_all(&logs)?;
        let mut failures = Vec::new();
        for name in &request.targets {
            let script = Script {
                path,
                target: name.as_str(),
                env: self.variables(name.as_str(), &results, &finished.summary.results),
                log: logs.join(format!("{name}.log")),
                limit: self.trial.options.stage_timeout,
            };
            script.write_environment(&logs.join(format!("{name}.env")))?;
            match script.run(self.interrupts)? {
                Outcome::Pass => {}
                Outcome::Fail(found) => failures.extend(found),
                untestable @ Outcome::Untestable(_) => return Ok(untestable),
            }
        }
        Ok(if failures.is_empty() { Outcome::Pass } else { Outcome::Fail(failures) })
    }

    fn variables(&self, target: &str, results: &Path, built: &BTreeMap<StageName, PathBuf>) -> Vec<(String, String)> {
        let config = &self.trial.session.config;
        let mut env = vec![
            ("CROSSMILL_RESULTS".to_owned(), results.display().to_string()),
            ("CROSSMILL_TARGET".to_owned(), target.to_owned()),
        ];
        let Ok(found) = config.matrix.target(target) else { return env };
        env.push(("CROSSMILL_TOOLCHAIN".to_owned(), found.toolchain.to_string()));
        env.push(("CROSS_COMPILE".to_owned(), format!("{}-", found.triple)));
        env.push(("ARCH".to_owned(), found.arch.clone()));
        let own = [target, found.toolchain.as_str(), crate::config::matrix::HOST];
        let mut path = Vec::new();
        for name in built.keys().filter(|name| own.contains(&name.scope())) {
            // The directories that recipes which need the package have on their PATH.
            let needs = config.recipes.values().flat_map(|recipe| &recipe.needs);
            let dirs = needs.filter(|need| need.package.as_str() == name.package()).map(|need| &need.path);
            let dirs: std::collections::BTreeSet<String> = dirs.flatten().cloned().collect();
            path.extend(
                dirs.iter().map(|dir| results.join(name.scope()).join(name.package()).join(dir).display().to_string()),
            );
        }
        path.extend(std::env::var("PATH"));
        env.push(("PATH".to_owned(), path.join(":")));
        env
    }

    // A source tree of each commit would fill the disk. One that another run may use stays.
    fn discard_sources(&self, package: &PackageName, finished: &Finished) -> Result<(), Error> {
        let Ok(_alone) = self.store.use_alone() else { return Ok(()) };
        let unpacked = finished.model.stages.values().filter(|stage| stage.info.kind == Kind::Unpack);
        for stage in unpacked.filter(|stage| stage.info.package == package.as_str()) {
            self.store.discard_source(&stage.info.key)?;
        }
        Ok(())
    }

    // A check that passed is not run again while its result is kept.
    fn forget_checks(&self, finished: &Finished) -> Result<(), Error> {
        let Subject::Check(check) = &self.trial.subject else { return Ok(()) };
        let checks = finished.model.stages.values().filter(|stage| stage.info.package == check.as_str());
        for tree in checks.filter_map(|stage| stage.result.as_deref()) {
            let key = Path::new(tree).parent().and_then(|dir| dir.file_name()?.to_str()?.parse::<Key>().ok());
            let Some(key) = key else { continue };
            if let Ok(_lock) = self.store.try_lock(&key)? {
                self.store.discard(&key)?;
            }
        }
        Ok(())
    }
}
