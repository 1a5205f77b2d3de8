//! The unpack stage: unpacks and patches a fetched source into a read-only tree in the store.

use super::fetch::{ProgressReporter, end};
use crate::base::{Key, StageName, files};
use crate::plan::graph::SourceSet;
use crate::process::Token;
use crate::run::context::{RunContext, StageEnd};
use crate::run::log::event::StageOutcome;
use crate::run::{Error, Stop};
use crate::source::{self, Progress as _};
use crate::store;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Unpacks and patches one source into a read-only tree of the store.
pub async fn unpack(
    shared: &Arc<RunContext>,
    name: &StageName,
    key: Key,
    set: &SourceSet,
    token: Token,
) -> Result<StageEnd, Error> {
    let began = Instant::now();
    let mut token = Some(token);
    let Some((_lock, _)) = shared.lock(name, &key, &mut token).await? else {
        return Ok(end(StageOutcome::Interrupted, began));
    };
    match shared.store.check_source(&key, false) {
        Ok(true) => return Ok(end(StageOutcome::BuiltElsewhere, began)),
        Ok(false) => {}
        // The run has said so when it began.
        Err(store::Error::Corrupt { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    for _ in 0..REPAIRS {
        match unpack_once(shared, name, key, set).await {
            Err(Error::Source(error)) if is_repairable(shared, &error, set)? => {
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
fn is_repairable(shared: &RunContext, error: &source::Error, set: &SourceSet) -> Result<bool, Error> {
    Ok(is_damage(error) || shared.fetcher.cached(&[candidate(set)])?.is_none())
}

fn is_damage(error: &source::Error) -> bool {
    matches!(error, source::Error::CorruptBlob { .. } | source::Error::DamagedMirror { .. })
}

// Several packages can come from one archive, so one stage repairs at a time.
async fn repair(shared: &RunContext, name: &StageName, error: &source::Error, set: &SourceSet) -> Result<(), Error> {
    let _one = shared.repair.lock().await;
    let spec = [candidate(set)];
    if is_damage(error) {
        shared.emitter.notice(Some(name), true, format!("{error}; fetching it again"));
        let fetched = shared.fetcher.cached(&spec)?;
        shared.fetcher.forget(&spec[0], fetched.as_ref())?;
    }
    let teller = ProgressReporter::new(shared, name.clone());
    shared.fetcher.fetch(&spec, &teller).await?;
    Ok(())
}

fn candidate(set: &SourceSet) -> crate::config::source::SourceSpec {
    let chosen = set.chosen.as_ref().map_or(0, |chosen| chosen.candidate);
    set.candidates[chosen].clone()
}

async fn unpack_once(
    shared: &Arc<RunContext>,
    name: &StageName,
    key: Key,
    set: &SourceSet,
) -> Result<StageOutcome, Error> {
    let spec = candidate(set);
    let fetched = match shared.fetcher.cached(std::slice::from_ref(&spec))? {
        Some(fetched) => fetched,
        // Removed from the cache since it was planned with.
        None => {
            let teller = ProgressReporter::new(shared, name.clone());
            shared.fetcher.fetch(std::slice::from_ref(&spec), &teller).await?
        }
    };
    let made = shared.store.root().join("work").join(format!("{key}.source"));
    files::remove_tree(&made)?;
    fs_err::create_dir_all(&made)?;
    let cancel = Arc::new(AtomicBool::new(false));
    let task = {
        let (shared, cancel, made) = (shared.clone(), cancel.clone(), made.clone());
        let (patches, name, declared) = (set.patches.clone(), name.clone(), set.unpacked);
        tokio::task::spawn_blocking(move || {
            let teller = ProgressReporter::new(&shared, name);
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
            return Ok(StageOutcome::Interrupted);
        }
    };
    unpacked.map_err(|error| Error::Defect(error.to_string()))??;
    shared.store.publish_source(&key, &made)?;
    Ok(StageOutcome::Done)
}
