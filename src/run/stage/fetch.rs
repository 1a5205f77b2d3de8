//! The fetch stage: downloads one source into the cache.

use crate::base::StageName;
use crate::plan::graph::{Chosen, SourceSet};
use crate::run::context::{RunContext, StageEnd};
use crate::run::log::event::{Event, StageOutcome, Usage};
use crate::run::{Error, Stop};
use crate::source::Progress;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

pub(super) struct ProgressReporter<'a> {
    context: &'a RunContext,
    stage: StageName,
    last: AtomicU64,
}

impl<'a> ProgressReporter<'a> {
    pub(super) fn new(context: &'a RunContext, stage: StageName) -> Self {
        Self { context, stage, last: AtomicU64::new(0) }
    }

    // A few times a second is as often as anybody looks.
    fn due(&self) -> bool {
        let now = (self.context.emitter.elapsed() * 1000.0) as u64;
        let last = self.last.load(Ordering::Relaxed);
        now >= last + 200 && self.last.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl Progress for ProgressReporter<'_> {
    fn bytes(&self, done: u64, total: Option<u64>) {
        if self.due() || total == Some(done) {
            self.context.emitter.emit(Event::FetchProgress { stage: self.stage.clone(), done, total });
        }
    }

    fn retry(&self, source: &str, why: &str, next: &str) {
        self.context.emitter.emit(Event::FetchRetry {
            stage: self.stage.clone(),
            source: source.to_owned(),
            why: why.to_owned(),
            next: next.to_owned(),
        });
    }
}

pub(super) fn end(state: StageOutcome, began: Instant) -> StageEnd {
    let usage = Usage { wall: began.elapsed().as_secs_f64(), ..Usage::default() };
    StageEnd { state, usage, failure: None, result: None, time: None, chosen: None, check_result: None }
}

/// Brings one source into the cache.
pub async fn fetch(context: &RunContext, set: &SourceSet) -> Result<StageEnd, Error> {
    let began = Instant::now();
    let stage = StageName::new("fetch", &set.label);
    let reporter = ProgressReporter::new(context, stage.clone());
    let fetched = tokio::select! {
        fetched = context.fetcher.fetch(&set.candidates, &reporter) => fetched?,
        // Dropping the download keeps what has arrived.
        () = context.asked_to_stop(Stop::No) => return Ok(end(StageOutcome::Interrupted, began)),
    };
    context.emitter.emit(Event::FetchUsed {
        stage,
        source: fetched.source.clone(),
        cached: fetched.from_cache,
        bytes: fetched.bytes,
    });
    let state = if fetched.from_cache { StageOutcome::Cached } else { StageOutcome::Done };
    let chosen = Chosen { candidate: fetched.candidate, digest: fetched.digest };
    Ok(StageEnd { chosen: Some(chosen), ..end(state, began) })
}
