//! Takes the result of a stage from a cache and publishes it as one that was built: the manifest is compared byte by byte,
//! the disk is flushed, and one rename makes it visible, all under the lock of the key, which the caller holds.

use crate::base::{Key, StageName, files};
use crate::cache::{self, Found};
use crate::run::context::RunContext;
use crate::run::log::event::Event;
use crate::run::{Error, Stop};
use crate::store::Stored;
use std::path::Path;

/// Takes a result from a cache. `None` when the run is asked to stop meanwhile.
pub async fn take(context: &RunContext, name: &StageName, key: Key, found: &Found) -> Result<Option<Stored>, Error> {
    let staged = context.store.work_dir(&key).with_extension("pull");
    let stored = tokio::select! {
        stored = publish(context, key, found, &staged) => stored,
        () = context.asked_to_stop(Stop::No) => {
            files::remove_tree(&staged)?;
            return Ok(None);
        }
    };
    match stored {
        Ok(stored) => {
            found.client.count(|stats| stats.pulled += 1);
            context.emitter.emit(Event::StagePulled {
                stage: name.clone(),
                cache: found.client.name().to_owned(),
                signer: found.signer.clone(),
                bytes: found.statement.bytes,
            });
            Ok(Some(stored))
        }
        Err(error) => {
            found.client.count(|stats| stats.failed += 1);
            if let Error::Cache(error) = &error {
                found.client.note(error);
            }
            files::remove_tree(&staged)?;
            Err(error)
        }
    }
}

async fn publish(context: &RunContext, key: Key, found: &Found, staged: &Path) -> Result<Stored, Error> {
    cache::pull::stage(found, staged).await?;
    let (store, dir) = (context.store.clone(), staged.to_owned());
    let prepared = tokio::task::spawn_blocking(move || store.prepare_import(&key, &dir)).await;
    let prepared = prepared.map_err(|error| Error::Defect(error.to_string()))??;
    context.flusher.flush().await?;
    let Some(prepared) = prepared else {
        return context.store.find(&key)?.ok_or_else(|| Error::Defect("a result that vanished".to_owned()));
    };
    Ok(context.store.commit(prepared)?)
}

/// Looks for a result whose key was not known before the run began. What is wrong with a cache is no reason not to build.
pub async fn look(context: &RunContext, name: &StageName, key: Key) -> Result<Option<Stored>, Error> {
    if context.caches.from.is_empty() || context.asked.contains(&key) {
        return Ok(None);
    }
    let found = look_again(context, name, key).await?;
    if found.is_none() {
        context.caches.from.iter().take(1).for_each(|client| client.count(|stats| stats.missed += 1));
    }
    Ok(found)
}

/// Looks for a result that may have been stored meanwhile.
pub async fn look_again(context: &RunContext, name: &StageName, key: Key) -> Result<Option<Stored>, Error> {
    let taken = match context.caches.find(&key).await {
        Ok(Some(found)) => take(context, name, key, &found).await,
        Ok(None) => Ok(None),
        Err(error) => Err(error.into()),
    };
    match taken {
        Ok(stored) => Ok(stored),
        Err(Error::Cache(cache::Error::Off { .. })) => Ok(None),
        Err(error) => {
            context.emitter.notice(Some(name), true, format!("not taken from the cache: {error}; building it"));
            Ok(None)
        }
    }
}
