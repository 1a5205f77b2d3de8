//! The options of a run, the context that its stages share, and how stages end.

use super::engine::Dispatch;
use super::engine::submission::Part;
use super::flush::Flusher;
use super::log::Emitter;
use super::log::event::{BorrowedToolchain, Event, Failure, RunEnd, StageOutcome, Usage};
use super::memory_pressure::{self, Budget};
use super::removal::Removal;
use super::uploads::Uploads;
use super::{Error, Goal, Stop};
use crate::base::check_result::CheckResult;
use crate::base::{Key, StageName};
use crate::cache::{self, Caches};
use crate::host::compiler_launcher::CompilerLauncher;
use crate::plan::graph::Chosen;
use crate::process::isolation::Support;
use crate::process::{JobServer, Token};
use crate::source::Fetcher;
use crate::store::history::StageTime;
use crate::store::{Lock, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::watch as channel;

/// Interval between attempts to take a lock that another process holds.
const RETRY: Duration = Duration::from_millis(250);
/// Stages that wait for other clients of a cache at a time: each has a lock file open, and asks every few seconds.
pub(super) const WAITING: usize = 128;

/// Options of a run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Job tokens.
    pub jobs: usize,
    /// Bytes of memory to plan with; what is available now if not given.
    pub memory: Option<u64>,
    /// The longest a stage may take.
    pub stage_timeout: Option<Duration>,
    /// When the run began; its time budget counts from here.
    pub began: std::time::Instant,
    /// The longest that the run may take.
    pub time_budget: Option<Duration>,
    /// Bytes that unpacked sources and work trees may take at a time.
    pub disk_budget: Option<u64>,
    /// Stop everything after the first failure.
    pub fail_fast: bool,
    /// Keep the build trees of finished stages.
    pub keep_work: bool,
    /// Whether steps are isolated.
    pub isolation: IsolationMode,
    /// The goal of the run.
    pub goal: Goal,
    /// Start although the disk seems too small.
    pub ignore_space: bool,
    /// The time between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// Cells of the table that stand for another row's stage.
    pub borrowed: Vec<BorrowedToolchain>,
    /// The request, for the log.
    pub choice: super::log::event::Choice,
    /// Paths of tools that steps need and that are not on their PATH, by name.
    pub tool_dirs: BTreeMap<String, PathBuf>,
    /// The program that runs the host's compilers. It changes no result, so it is no part of keys.
    pub launcher: Option<CompilerLauncher>,
    /// Checks that this machine cannot run, by stage name: what it lacks.
    pub skips: BTreeMap<StageName, String>,
    /// The engine that runs the stages; this machine if there is none.
    pub engine: Option<Dispatch>,
    /// The part of the plan that this run is for.
    pub part: Option<Part>,
    /// The day by which known failures expire.
    pub today: jiff::civil::Date,
    /// The run's name.
    pub run: String,
    /// The command line, for people.
    pub command: Vec<String>,
}

/// Whether steps run isolated from the rest of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum IsolationMode {
    /// As far as the kernel allows
    Auto,
    /// Fail where it does not allow all of it
    Required,
    /// Not at all
    Off,
}

/// The context that all stages of a run share.
#[derive(Debug)]
pub struct RunContext {
    /// The store.
    pub store: Store,
    /// The source layer.
    pub fetcher: Fetcher,
    /// The job server of the run.
    pub jobs: JobServer,
    /// Flushes the store's disk.
    pub flusher: Flusher,
    /// Removes the work directories of finished stages.
    pub removal: Removal,
    /// The caches of finished stages.
    pub caches: Caches,
    /// The keys that were looked up in them before the run began.
    pub asked: BTreeSet<Key>,
    /// What is being stored in a cache.
    pub uploads: Uploads,
    /// The stages that may wait for other clients of a cache at a time.
    pub waiting: tokio::sync::Semaphore,
    /// Declared memory.
    pub budget: Budget,
    /// Held while a damaged archive is fetched again.
    pub repair: tokio::sync::Mutex<()>,
    /// Measured use.
    pub ledger: memory_pressure::UsageLedger,
    /// Sink of the events.
    pub emitter: Emitter,
    /// The isolation of steps; `None` for no isolation.
    pub isolation: Option<Support>,
    /// Options of the run.
    pub options: Options,
    /// Request to stop.
    pub stop: channel::Receiver<Stop>,
}

/// Outcome of a stage.
#[derive(Debug)]
pub struct StageEnd {
    /// The state.
    pub state: StageOutcome,
    /// Its usage.
    pub usage: Usage,
    /// The details that a user needs to act.
    pub failure: Option<Failure>,
    /// Path of its result.
    pub result: Option<PathBuf>,
    /// The duration of the whole stage, if all of it ran.
    pub time: Option<StageTime>,
    /// For a fetch: which candidate served.
    pub chosen: Option<Chosen>,
    /// For a check: its result.
    pub check_result: Option<CheckResult>,
}

/// Result of a run.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Outcome of each stage, without stages that nothing needed.
    pub states: BTreeMap<StageName, StageOutcome>,
    /// Results of the goals, by stage name.
    pub results: BTreeMap<StageName, PathBuf>,
    /// End of the run.
    pub end: RunEnd,
}

impl RunContext {
    /// Returns once the run is asked to end more urgently than `than`.
    pub async fn asked_to_stop(&self, than: Stop) {
        let mut stop = self.stop.clone();
        // A closed channel asks for nothing any more.
        if stop.wait_for(|stop| *stop > than).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Returns the lock of `key` for work that needs no processor; `None` when the run is asked to stop meanwhile.
    pub async fn lock_alone(&self, stage: &StageName, key: &Key) -> Result<Option<Lock>, Error> {
        Ok(self.lock_when_free(stage, key, || ()).await?.map(|(lock, _)| lock))
    }

    /// Reports that a stage could not be claimed; a cache that is off is reported at the end.
    pub(super) fn note_claim(&self, stage: &StageName, error: &cache::Error) {
        if let Some(writer) = &self.caches.to {
            writer.client.note(error);
        }
        if !matches!(error, cache::Error::Off { .. }) {
            self.emitter.notice(Some(stage), true, format!("not claimed in the cache: {error}; building it"));
        }
    }

    /// Returns the lock of `key`, and whether it had to be waited for; `None` when the run is asked
    /// to stop meanwhile. The token is given back while waiting: somebody else's work must not cost
    /// this run a core.
    pub async fn lock(
        &self,
        stage: &StageName,
        key: &Key,
        token: &mut Option<Token>,
    ) -> Result<Option<(Lock, bool)>, Error> {
        let Some(locked) = self.lock_when_free(stage, key, || *token = None).await? else { return Ok(None) };
        if token.is_none() {
            tokio::select! {
                again = self.jobs.acquire() => *token = Some(again?),
                () = self.asked_to_stop(Stop::No) => return Ok(None),
            }
        }
        Ok(Some(locked))
    }

    // Calls `waits` before it waits for another holder. Returns the lock, and whether it had to be waited for.
    async fn lock_when_free(
        &self,
        stage: &StageName,
        key: &Key,
        mut waits: impl FnMut(),
    ) -> Result<Option<(Lock, bool)>, Error> {
        let mut waited = false;
        loop {
            let holder = match self.store.try_lock(key)? {
                Ok(lock) => return Ok(Some((lock, waited))),
                Err(holder) => holder,
            };
            waits();
            if !std::mem::replace(&mut waited, true) {
                let what = format!("{holder}, which works on the same stage");
                self.emitter.emit(Event::StageWaiting { stage: stage.clone(), what });
            }
            tokio::select! {
                () = tokio::time::sleep(RETRY) => {}
                () = self.asked_to_stop(Stop::No) => return Ok(None),
            }
        }
    }
}
