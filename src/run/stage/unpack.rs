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
    context: &Arc<RunContext>,
    name: &StageName,
    key: Key,
    set: &SourceSet,
    token: Token,
) -> Result<StageEnd, Error> {
    let began = Instant::now();
    let mut token = Some(token);
    let Some((_lock, _)) = context.lock(name, &key, &mut token).await? else {
        return Ok(end(StageOutcome::Interrupted, began));
    };
    match context.store.check_source(&key, false) {
        Ok(true) => return Ok(end(StageOutcome::BuiltElsewhere, began)),
        Ok(false) => {}
        // The run reported this when it began.
        Err(store::Error::Corrupt { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    for _ in 0..REPAIRS {
        match unpack_once(context, name, key, set).await {
            Err(Error::Source(error)) if is_repairable(context, &error, set)? => {
                repair(context, name, &error, set).await?;
            }
            other => return other.map(|state| end(state, began)),
        }
    }
    unpack_once(context, name, key, set).await.map(|state| end(state, began))
}

/// Number of downloads of a damaged archive before that is an error.
const REPAIRS: usize = 2;

// Damaged, or gone because another stage of the same archive repairs it now.
fn is_repairable(context: &RunContext, error: &source::Error, set: &SourceSet) -> Result<bool, Error> {
    Ok(is_damage(error) || context.fetcher.cached(&[candidate(set)])?.is_none())
}

fn is_damage(error: &source::Error) -> bool {
    matches!(error, source::Error::CorruptBlob { .. } | source::Error::DamagedMirror { .. })
}

// Several packages can come from one archive, so one stage repairs at a time.
async fn repair(context: &RunContext, name: &StageName, error: &source::Error, set: &SourceSet) -> Result<(), Error> {
    let _one = context.repair.lock().await;
    let spec = [candidate(set)];
    if is_damage(error) {
        context.emitter.notice(Some(name), true, format!("{error}; fetching it again"));
        let fetched = context.fetcher.cached(&spec)?;
        context.fetcher.forget(&spec[0], fetched.as_ref())?;
    }
    let reporter = ProgressReporter::new(context, name.clone());
    context.fetcher.fetch(&spec, &reporter).await?;
    Ok(())
}

fn candidate(set: &SourceSet) -> crate::config::source::SourceSpec {
    let chosen = set.chosen.as_ref().map_or(0, |chosen| chosen.candidate);
    set.candidates[chosen].clone()
}

async fn unpack_once(
    context: &Arc<RunContext>,
    name: &StageName,
    key: Key,
    set: &SourceSet,
) -> Result<StageOutcome, Error> {
    let spec = candidate(set);
    let fetched = match context.fetcher.cached(std::slice::from_ref(&spec))? {
        Some(fetched) => fetched,
        // Removed from the cache since it was planned with.
        None => {
            let reporter = ProgressReporter::new(context, name.clone());
            context.fetcher.fetch(std::slice::from_ref(&spec), &reporter).await?
        }
    };
    let entry = context.store.root().join("work").join(format!("{key}.source"));
    files::remove_tree(&entry)?;
    fs_err::create_dir_all(&entry)?;
    let cancel = Arc::new(AtomicBool::new(false));
    let task = {
        let (context, cancel, entry) = (context.clone(), cancel.clone(), entry.clone());
        let (patches, name, declared) = (set.patches.clone(), name.clone(), set.unpacked);
        tokio::task::spawn_blocking(move || {
            let reporter = ProgressReporter::new(&context, name);
            let progress = |done: u64, total: u64| reporter.bytes(done, Some(total));
            context.fetcher.unpack(&spec, &fetched, &patches, Some(declared), &entry.join("tree"), &cancel, &progress)
        })
    };
    let mut task = task;
    let result = tokio::select! {
        result = &mut task => result,
        () = context.asked_to_stop(Stop::No) => {
            cancel.store(true, Ordering::Relaxed);
            let _ = task.await;
            files::remove_tree(&entry)?;
            return Ok(StageOutcome::Interrupted);
        }
    };
    result.map_err(|error| Error::Defect(error.to_string()))??;
    context.store.publish_source(&key, &entry)?;
    Ok(StageOutcome::Done)
}
