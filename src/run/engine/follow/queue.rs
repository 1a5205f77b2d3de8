//! Jobs on their way into the service's queue, and out of it before they are over.

use super::{Follower, How, Job, NewJob, listed};
use crate::base::{Diagnostic, Key, StageName};
use crate::run::Stop;
use crate::run::engine::job_log::JobLog;
use crate::run::engine::submission::JobFile;
use crate::run::engine::{Error, JobId, JobRequest, JobState};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

impl Follower {
    // In their order. A service that takes no more jobs of one user is asked again when some have ended.
    pub(super) fn submit_queue(&mut self) {
        while let Some(NewJob { stages, resources }) = self.queue.pop_front() {
            if self.is_stopping() {
                self.queue.clear();
                return;
            }
            let how = How::first(resources);
            match self.submit(stages.clone(), how) {
                Ok(()) => {}
                Err(error @ Error::Refused { .. }) if self.jobs.iter().any(|job| !job.over) => {
                    if self.said.insert("refused".to_owned()) {
                        let text =
                            format!("{error}; {} jobs are submitted when others have ended", self.queue.len() + 1);
                        self.emitter.notice(None, true, text);
                    }
                    self.queue.push_front(NewJob { stages, resources });
                    return;
                }
                Err(error) => self.not_submitted(&stages, &error),
            }
        }
    }

    pub(super) fn submit(&mut self, stages: Vec<StageName>, how: How) -> Result<(), Error> {
        let dir = self.dir.join("jobs").join(self.submitted.to_string());
        self.submitted += 1;
        let id = self.submit_to(&dir, &stages, &how)?;
        self.follow(id, dir, stages, how);
        Ok(())
    }

    pub(super) fn submit_or_fail(&mut self, stages: Vec<StageName>, how: How) {
        if let Err(error) = self.submit(stages.clone(), how) {
            self.not_submitted(&stages, &error);
        }
    }

    fn not_submitted(&mut self, stages: &[StageName], error: &Error) {
        let problem = Diagnostic::from_error(error);
        let details = problem.causes.into_iter().chain(problem.hints.iter().map(|hint| format!("hint: {hint}")));
        let why = format!("it was not submitted: {}", problem.message);
        let dir = self.dir.clone();
        self.fail(stages, &why, details.collect(), &dir);
    }

    fn submit_to(
        &self,
        dir: &Path,
        stages: &[StageName],
        How { resources, exclude, .. }: &How,
    ) -> Result<JobId, Error> {
        let own: BTreeMap<StageName, Key> =
            stages.iter().filter_map(|name| Some((name.clone(), *self.keys.get(name)?))).collect();
        JobFile::new(resources.cores, resources.memory, own).write(dir)?;
        let needed = stages.iter().filter_map(|name| self.needs.get(name)).flatten();
        let held: BTreeSet<usize> = needed.filter_map(|need| self.holder.get(need).copied()).collect();
        let after = held.into_iter().map(|at| &self.jobs[at]).filter(|job| !job.over).map(|job| job.id.clone());
        let request = JobRequest {
            name: format!("crossmill {}", listed(stages)),
            dir: dir.to_owned(),
            argv: vec![self.program.display().to_string(), "__job".to_owned(), dir.display().to_string()],
            cwd: self.dispatch.arguments.cwd.clone(),
            env: self.dispatch.env.clone(),
            after: after.collect(),
            resources: *resources,
            exclude: exclude.clone(),
        };
        let mut submitted = self.dispatch.engine.submit(&request);
        for pause in [2, 5, 10] {
            if !matches!(submitted, Err(Error::Down { .. })) || self.is_stopping() {
                break;
            }
            std::thread::sleep(Duration::from_secs(pause));
            submitted = self.dispatch.engine.submit(&request);
        }
        submitted
    }

    pub(super) fn follow(&mut self, id: JobId, dir: PathBuf, stages: Vec<StageName>, how: How) {
        for name in &stages {
            self.holder.insert(name.clone(), self.jobs.len());
        }
        self.jobs.push(Job {
            id,
            log: JobLog::new(&dir),
            dir,
            stages,
            how,
            state: JobState::Queued,
            node: String::new(),
            unseen: 0,
            requeued: 0,
            load: None,
            ends: Vec::new(),
            over: false,
        });
    }

    pub(super) fn cancel_if_asked(&mut self) {
        let asked = *self.stop.borrow();
        if asked == Stop::No || self.cancelled.is_some_and(|(_, how)| how >= asked) {
            return;
        }
        let live: Vec<JobId> = self.jobs.iter().filter(|job| !job.over).map(|job| job.id.clone()).collect();
        if let Err(error) = self.dispatch.engine.cancel(&live, asked == Stop::Immediate) {
            let ids: Vec<&str> = live.iter().take(20).map(|id| id.0.as_str()).collect();
            self.emitter.notice(None, true, format!("jobs {} were not cancelled: {error}", ids.join(" ")));
        }
        self.cancelled = Some((Instant::now(), asked));
    }

    // Queued jobs whose stages all have ends: what they need failed.
    pub(super) fn cancel_useless(&mut self) {
        let is_done = |stage: &StageName| self.open.get(stage).is_none_or(oneshot::Sender::is_closed);
        let useless: Vec<usize> = (0..self.jobs.len())
            .filter(|at| {
                let job = &self.jobs[*at];
                !job.over && matches!(job.state, JobState::Queued | JobState::Held) && job.stages.iter().all(is_done)
            })
            .collect();
        let ids: Vec<JobId> = useless.iter().map(|at| self.jobs[*at].id.clone()).collect();
        // If that fails they start, find that something is missing, and end.
        let _: Result<(), Error> = self.dispatch.engine.cancel(&ids, false);
        for at in useless {
            self.jobs[at].over = true;
        }
    }
}
