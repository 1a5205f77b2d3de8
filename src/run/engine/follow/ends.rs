//! What becomes of the stages of a job: their ends, and what happens to those that have none when it is over.

use super::{Follower, How, TRIES, end, listed};
use crate::base::StageName;
use crate::run::build_log::Class;
use crate::run::context::StageEnd;
use crate::run::engine::submission::Refusal;
use crate::run::engine::{End, JobState};
use crate::run::log::event::{Failure, StageOutcome};
use std::path::Path;
use std::time::Instant;
use tokio::sync::oneshot;

impl Follower {
    pub(super) fn stage_ended(&mut self, at: usize, stage: &StageName, end: StageEnd) {
        if !self.is_open(at, stage) {
            return;
        }
        if self.dispatch.own_stores {
            // Its result is on its way to the cache until the job is over.
            self.jobs[at].ends.push((stage.clone(), end));
        } else {
            self.deliver(stage, end);
        }
    }

    pub(super) fn deliver(&mut self, stage: &StageName, end: StageEnd) {
        let Some(done) = self.open.remove(stage) else { return };
        self.last_end = Instant::now();
        self.ledger.end(end.usage.user + end.usage.system);
        if !end.state.has_result() {
            self.failed.insert(stage.clone());
        }
        // Nobody waits for a stage that something blocks.
        let _: Result<(), StageEnd> = done.send(end);
    }

    // Of these stages, those that still can and have to run. What needs a stage that failed has its end from the scheduler.
    pub(super) fn left(&mut self, stages: &[StageName]) -> Vec<StageName> {
        let mut left = Vec::new();
        for stage in stages {
            if self.open.get(stage).is_none_or(oneshot::Sender::is_closed) {
                continue;
            }
            if self.needs.get(stage).is_some_and(|needs| needs.iter().any(|need| self.failed.contains(need))) {
                self.failed.insert(stage.clone());
                self.open.remove(stage);
                continue;
            }
            left.push(stage.clone());
        }
        left
    }

    pub(super) fn fail(&mut self, stages: &[StageName], why: &str, details: Vec<String>, dir: &Path) {
        for stage in stages {
            // Those that need another of them are blocked by it.
            if self.left(std::slice::from_ref(stage)).is_empty() {
                continue;
            }
            let failure = Failure {
                step: String::new(),
                ended: why.to_owned(),
                class: Class::Other,
                excerpt: details.clone(),
                log: dir.display().to_string(),
                reproduce: String::new(),
                evidence: Vec::new(),
            };
            let state = StageOutcome::Failed { why: why.to_owned() };
            self.deliver(stage, StageEnd { failure: Some(failure), ..end(state) });
        }
    }

    // A job is over, and its log is read.
    pub(super) fn ended(&mut self, at: usize) {
        self.jobs[at].over = true;
        self.jobs[at].load = None;
        for (stage, end) in std::mem::take(&mut self.jobs[at].ends) {
            self.deliver(&stage, end);
        }
        let stages = self.jobs[at].stages.clone();
        let left = self.left(&stages);
        if left.is_empty() {
            return;
        }
        if self.is_stopping() {
            left.iter().for_each(|stage| self.deliver(stage, end(StageOutcome::Interrupted)));
            return;
        }
        let refusal = self.jobs[at].log.current().and_then(|dir| Refusal::read(&dir));
        match refusal {
            Some(refusal) => self.refused(at, &left, &refusal),
            None => self.lost(at, left),
        }
    }

    fn refused(&mut self, at: usize, left: &[StageName], refusal: &Refusal) {
        let job = &self.jobs[at];
        let mut how = job.how.clone();
        let (dir, node) = (job.dir.clone(), if job.node.is_empty() { refusal.node.clone() } else { job.node.clone() });
        let why = format!("node {node}: {}", refusal.message);
        if !refusal.elsewhere || how.tries >= TRIES {
            self.fail(left, &why, refusal.details.clone(), &dir);
            return;
        }
        how.exclude.push(node);
        how.tries += 1;
        let details: Vec<&str> =
            refusal.details.iter().map(String::as_str).filter(|line| !line.starts_with("hint: ")).collect();
        let details = if details.is_empty() { String::new() } else { format!(": {}", details.join("; ")) };
        match self.submit(left.to_vec(), how) {
            Ok(()) => self.emitter.notice(None, true, format!("{why}{details}; trying another node")),
            // No other node takes it: what this one said is the reason.
            Err(_) => self.fail(left, &why, refusal.details.clone(), &dir),
        }
    }

    fn lost(&mut self, at: usize, left: Vec<StageName>) {
        let job = &self.jobs[at];
        let JobState::Over(end) = job.state.clone() else { return };
        let (id, dir) = (job.id.clone(), job.dir.clone());
        let place = if job.node.is_empty() { String::new() } else { format!(" on {}", job.node) };
        let outside = left.iter().filter_map(|stage| self.needs.get(stage)).flatten();
        let is_early = outside.filter(|need| !left.contains(need)).any(|need| self.open.contains_key(need));
        if is_early && end == End::Exited {
            // It began after a job that was lost, and had to leave to that one's successor what it needs.
            let how = job.how.clone();
            self.submit_or_fail(left, how);
            return;
        }
        let why = format!("{} ended its job {id}{place}: {end}", self.dispatch.engine.name());
        if end == End::Cancelled || job.how.tries >= TRIES {
            let output = format!("its output: {}/slurm-{id}.out", dir.display());
            self.fail(&left, &why, vec![output, "hint: the same command submits it again".to_owned()], &dir);
            return;
        }
        let resources = match end {
            End::TimeLimit => job.how.resources.larger(false, &self.dispatch.limits),
            End::OutOfMemory => job.how.resources.larger(true, &self.dispatch.limits),
            _ => job.how.resources,
        };
        let how = How { resources, tries: job.how.tries + 1, ..job.how.clone() };
        self.emitter.notice(None, true, format!("{why}; submitting {} again", listed(&left)));
        self.submit_or_fail(left, how);
    }
}
