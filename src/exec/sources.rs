//! Fetch and unpack stages: the source layer's work as stages of a run.

use super::event::{Event, State, Usage};
use super::shared::{Shared, StageEnd};
use super::{Error, Stop};
use crate::base::{Key, files};
use crate::plan::graph::{Chosen, SourceSet};
use crate::process::Token;
use crate::source::{self, Progress};
use crate::store;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

struct Teller<'a> {
    shared: &'a Shared,
    stage: String,
    last: AtomicU64,
}

impl Teller<'_> {
    // A few times a second is as often as anybody looks.
    fn due(&self) -> bool {
        let now = (self.shared.emitter.elapsed() * 1000.0) as u64;
        let last = self.last.load(Ordering::Relaxed);
        now >= last + 200 && self.last.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl Progress for Teller<'_> {
    fn bytes(&self, done: u64, total: Option<u64>) {
        if self.due() || total == Some(done) {
            self.shared.emitter.emit(Event::FetchProgress { stage: self.stage.clone(), done, total });
        }
    }

    fn retry(&self, source: &str, why: &str, next: &str) {
        self.shared.emitter.emit(Event::FetchRetry {
            stage: self.stage.clone(),
            source: source.to_owned(),
            why: why.to_owned(),
            next: next.to_owned(),
        });
    }
}

fn end(state: State, began: Instant) -> StageEnd {
    let usage = Usage { wall: began.elapsed().as_secs_f64(), ..Usage::default() };
    StageEnd { state, usage, failure: None, result: None, expected: None, chosen: None, account: None }
}

/// Brings one source into the cache.
pub async fn fetch(shared: &Shared, set: &SourceSet) -> Result<StageEnd, Error> {
    let began = Instant::now();
    let stage = format!("fetch/{}", set.label);
    let teller = Teller { shared, stage: stage.clone(), last: AtomicU64::new(0) };
    let fetched = tokio::select! {
        fetched = shared.fetcher.fetch(&set.candidates, &teller) => fetched?,
        // Dropping the download keeps what has arrived.
        () = shared.asked_to_stop(Stop::No) => return Ok(end(State::Interrupted, began)),
    };
    shared.emitter.emit(Event::FetchUsed {
        stage,
        source: fetched.source.clone(),
        cached: fetched.from_cache,
        bytes: fetched.bytes,
    });
    let state = if fetched.from_cache { State::Cached } else { State::Done };
    let chosen = Chosen { candidate: fetched.candidate, digest: fetched.digest };
    Ok(StageEnd { chosen: Some(chosen), ..end(state, began) })
}

/// Unpacks and patches one source into a read-only tree of the store.
pub async fn unpack(
    shared: &Arc<Shared>,
    name: &str,
    key: Key,
    set: &SourceSet,
    token: Token,
) -> Result<StageEnd, Error> {
    let began = Instant::now();
    let mut token = Some(token);
    let Some((_lock, _)) = shared.lock(name, &key, &mut token).await? else {
        return Ok(end(State::Interrupted, began));
    };
    match shared.store.check_source(&key, false) {
        Ok(true) => return Ok(end(State::Shared, began)),
        Ok(false) => {}
        // The run has said so when it began.
        Err(store::Error::Corrupt { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    for _ in 0..REPAIRS {
        match unpack_once(shared, name, key, set).await {
            Err(Error::Source(error)) if is_repairable(shared, &error, set) => {
                repair(shared, name, &error, set).await?;
            }
            other => return other.map(|state| end(state, began)),
        }
    }
    unpack_once(shared, name, key, set).await.map(|state| end(state, began))
}

/// How often a damaged archive is fetched again before that is the error.
const REPAIRS: usize = 2;

// Damaged, or gone because another stage of the same archive repairs it now.
fn is_repairable(shared: &Shared, error: &source::Error, set: &SourceSet) -> bool {
    is_damage(error) || shared.fetcher.cached(&[candidate(set)]).is_none()
}

fn is_damage(error: &source::Error) -> bool {
    matches!(error, source::Error::CorruptBlob { .. } | source::Error::DamagedMirror { .. })
}

// Several packages can come from one archive, so one stage repairs at a time.
async fn repair(shared: &Shared, name: &str, error: &source::Error, set: &SourceSet) -> Result<(), Error> {
    let _one = shared.repair.lock().await;
    let spec = [candidate(set)];
    if is_damage(error) {
        shared.emitter.notice(Some(name), true, format!("{error}; fetching it again"));
        let fetched = shared.fetcher.cached(&spec);
        shared.fetcher.forget(&spec[0], fetched.as_ref())?;
    }
    let teller = Teller { shared, stage: name.to_owned(), last: AtomicU64::new(0) };
    shared.fetcher.fetch(&spec, &teller).await?;
    Ok(())
}

fn candidate(set: &SourceSet) -> crate::config::source::SourceSpec {
    let chosen = set.chosen.as_ref().map_or(0, |chosen| chosen.candidate);
    set.candidates[chosen].clone()
}

async fn unpack_once(shared: &Arc<Shared>, name: &str, key: Key, set: &SourceSet) -> Result<State, Error> {
    let spec = candidate(set);
    let fetched = match shared.fetcher.cached(std::slice::from_ref(&spec)) {
        Some(fetched) => fetched,
        // Removed from the cache since it was planned with.
        None => {
            let teller = Teller { shared, stage: name.to_owned(), last: AtomicU64::new(0) };
            shared.fetcher.fetch(std::slice::from_ref(&spec), &teller).await?
        }
    };
    let made = shared.store.root().join("work").join(format!("{key}.source"));
    files::remove_tree(&made)?;
    fs_err::create_dir_all(&made)?;
    let cancel = Arc::new(AtomicBool::new(false));
    let task = {
        let (shared, cancel, made) = (shared.clone(), cancel.clone(), made.clone());
        let (patches, name, declared) = (set.patches.clone(), name.to_owned(), set.unpacked);
        tokio::task::spawn_blocking(move || {
            let teller = Teller { shared: &shared, stage: name, last: AtomicU64::new(0) };
            let progress = |done: u64, total: u64| teller.bytes(done, Some(total));
            shared.fetcher.unpack(&spec, &fetched, &patches, Some(declared), &made.join("tree"), &cancel, &progress)
        })
    };
    let mut task = task;
    let unpacked = tokio::select! {
        unpacked = &mut task => unpacked,
        () = shared.asked_to_stop(Stop::No) => {
            cancel.store(true, Ordering::Relaxed);
            let _ = task.await;
            files::remove_tree(&made)?;
            return Ok(State::Interrupted);
        }
    };
    unpacked.map_err(|error| Error::Defect(error.to_string()))??;
    shared.store.publish_source(&key, &made)?;
    Ok(State::Done)
}
