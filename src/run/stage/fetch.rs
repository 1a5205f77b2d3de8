//! The fetch stage: downloads one source into the cache.

use crate::base::StageName;
use crate::cache;
use crate::plan::graph::{Chosen, SourceSet};
use crate::run::context::{RunContext, StageEnd};
use crate::run::log::event::{Event, StageOutcome, Usage};
use crate::run::preflight::pinned;
use crate::run::{Error, Stop};
use crate::source::{Fetched, Progress};
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

// Takes a source from a cache by the digest that its recipe pins: the candidate that the keys are computed with, else the
// first that a cache has.
async fn from_cache(context: &RunContext, stage: &StageName, set: &SourceSet) -> Option<Fetched> {
    let pins = pinned(set);
    if pins.is_empty() || context.caches.from.is_empty() || context.fetcher.cached(&set.candidates).ok()?.is_some() {
        return None;
    }
    let first = set.chosen.as_ref().map(|chosen| chosen.candidate);
    let mut order = pins;
    order.sort_by_key(|(at, _)| Some(*at) != first);
    for client in &context.caches.from {
        for (at, sha256) in &order {
            let (sha256, candidate) = (*sha256, set.candidates.get(*at)?);
            let source = format!("{} from the cache {}", candidate.label(), client.name());
            // Trouble of this machine's disk: the download meets it too.
            let adoption = context.fetcher.begin_adoption(sha256).await.ok()?;
            match cache::sources::pull(client, sha256, candidate.size, &adoption.path).await {
                Ok(true) => return context.fetcher.adopt(adoption, *at, &source).await.ok(),
                Ok(false) | Err(cache::Error::Off { .. }) => {}
                Err(error) => {
                    client.note(&error);
                    let (why, next) = (error.to_string(), "next source".to_owned());
                    context.emitter.emit(Event::FetchRetry { stage: stage.clone(), source, why, next });
                }
            }
        }
    }
    None
}

fn to_cache(context: &RunContext, stage: &StageName, set: &SourceSet, fetched: &Fetched) {
    let pins = pinned(set);
    let chosen = pins.iter().find(|(at, _)| *at == fetched.candidate).map(|(_, sha256)| *sha256);
    if let (Some(file), Some(chosen)) = (context.fetcher.file(fetched), chosen) {
        context.uploads.source(&context.caches, &context.emitter, stage, (set.label.clone(), chosen), file);
    }
}

/// Brings one source into the cache.
pub async fn fetch(context: &RunContext, set: &SourceSet) -> Result<StageEnd, Error> {
    let began = Instant::now();
    let stage = StageName::new("fetch", &set.label);
    let reporter = ProgressReporter::new(context, stage.clone());
    let pulled = tokio::select! {
        pulled = from_cache(context, &stage, set) => pulled,
        () = context.asked_to_stop(Stop::No) => return Ok(end(StageOutcome::Interrupted, began)),
    };
    let fetched = match pulled {
        Some(fetched) => fetched,
        None => tokio::select! {
        fetched = context.fetcher.fetch(&set.candidates, &reporter) => fetched?,
        // Dropping the download keeps what has arrived.
        () = context.asked_to_stop(Stop::No) => return Ok(end(StageOutcome::Interrupted, began)),
        },
    };
    to_cache(context, &stage, set, &fetched);
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
