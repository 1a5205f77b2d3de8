//! Stores results in a cache beside the run. An upload that fails costs a remark.

use super::Stop;
use super::log::Emitter;
use crate::base::{Diagnostic, Key, Sha256, StageName};
use crate::cache::claim::Claim;
use crate::cache::{self, Caches, Writer};
use crate::store::Store;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Results that are stored at a time; each has several requests under way.
const AT_A_TIME: usize = 2;
/// The longest that the end of a run waits for them.
const LINGER: Duration = Duration::from_secs(120);

/// The uploads of a run.
#[derive(Debug, Clone)]
pub struct Uploads {
    tasks: Arc<Mutex<JoinSet<()>>>,
    turns: Arc<Semaphore>,
}

impl Default for Uploads {
    fn default() -> Self {
        Self { tasks: Arc::default(), turns: Arc::new(Semaphore::new(AT_A_TIME)) }
    }
}

impl Uploads {
    fn start(&self, work: impl Future<Output = ()> + Send + 'static) {
        let turns = self.turns.clone();
        let task = async move {
            let Ok(_turn) = turns.acquire_owned().await else { return };
            work.await;
        };
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(task);
    }

    /// Stores the result of a stage, if there is a cache to write, and then gives up the claim.
    pub fn result(
        &self,
        caches: &Caches,
        store: &Store,
        emitter: &Emitter,
        (stage, key): (&StageName, Key),
        claim: Option<Claim>,
    ) {
        let Some(writer) = caches.to.clone() else { return };
        let (caches, store, emitter, stage) = (caches.clone(), store.clone(), emitter.clone(), stage.clone());
        self.start(async move {
            if let Err(error) = cache::push::push(&caches, &writer, &store, &key).await {
                report(&writer, &emitter, &stage, &error);
            }
            if let Some(claim) = claim {
                claim.release().await;
            }
        });
    }

    /// Stores a download, and that it was the candidate that served.
    pub fn source(
        &self,
        caches: &Caches,
        emitter: &Emitter,
        stage: &StageName,
        (label, chosen): (String, Sha256),
        file: PathBuf,
    ) {
        let Some(writer) = caches.to.clone() else { return };
        let (emitter, stage) = (emitter.clone(), stage.clone());
        self.start(async move {
            let mut done = cache::sources::push(&writer.client, chosen, &file).await.map(drop);
            if done.is_ok() {
                done = cache::sources::choose(&writer.client, &label, chosen).await;
            }
            if let Err(error) = done {
                report(&writer, &emitter, &stage, &error);
            }
        });
    }

    /// Waits for all of them: not for ever, and not when the run is asked to stop.
    pub async fn finish(&self, mut stop: watch::Receiver<Stop>, emitter: &Emitter) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        if tasks.is_empty() {
            return;
        }
        let began = tokio::time::Instant::now();
        let mut reported = false;
        loop {
            let soon = tokio::time::sleep_until(began + Duration::from_secs(2));
            tokio::select! {
                ended = tasks.join_next() => if ended.is_none() { return },
                () = soon, if !reported => {
                    reported = true;
                    emitter.notice(None, false, format!("storing {} results and sources in the cache", tasks.len()));
                }
                () = tokio::time::sleep_until(began + LINGER) => break,
                _ = stop.wait_for(|stop| *stop > Stop::No) => break,
            }
        }
        let text =
            format!("{} results or sources were not stored in the cache: `crossmill cache push` does it", tasks.len());
        emitter.notice(None, true, text);
        tasks.abort_all();
    }
}

fn report(writer: &Writer, emitter: &Emitter, stage: &StageName, error: &cache::Error) {
    // That a cache is off is reported once, at the end.
    if !matches!(error, cache::Error::Off { .. }) {
        let text = Diagnostic::from_error(error).message;
        emitter.notice(Some(stage), true, format!("not stored in the cache {}: {text}", writer.client.name()));
    }
}
