//! Whose turn a stage is among the clients of a cache: this one's, or that of another client, whose result is waited for
//! while other stages run.

use super::build::{Runner, Turn};
use super::pull;
use crate::cache::claim::{Claimed, Watch};
use crate::run::log::event::Event;
use crate::run::{Error, Stop};
use std::time::{Duration, Instant};

/// The first pause between looks at another client's claim, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(4));
/// The least time that another client gets. It gets four times what the stage is expected to take: one that builds for
/// ever keeps nobody from building.
const LEAST: Duration = Duration::from_secs(120);

impl Runner<'_> {
    /// Claims the stage, or waits for who has. The token is given back while waiting. What is wrong with the cache is no
    /// reason not to build.
    pub(super) async fn turn(&mut self) -> Result<Turn, Error> {
        let context = self.context;
        if !context.caches.is_shared() {
            return Ok(Turn::Here(None));
        }
        let (name, key) = (self.work.name.clone(), self.work.key);
        let (mut watch, began, mut pause) = (Watch::default(), Instant::now(), PAUSES.0);
        let longest = LEAST.max(self.work.expected.saturating_mul(4));
        let mut waiting = None;
        loop {
            let holder = match context.caches.claim(&key, &name, &mut watch).await {
                Ok(Claimed::Here(claim)) => {
                    // Whoever held it before may have stored the result.
                    let stored = pull::look_again(context, &name, key).await?;
                    drop(waiting);
                    return match stored {
                        Some(stored) => {
                            claim.release().await;
                            Ok(Turn::Done(stored))
                        }
                        None if self.take_token().await? => Ok(Turn::Here(Some(claim))),
                        None => {
                            claim.release().await;
                            Ok(Turn::Stopped)
                        }
                    };
                }
                Ok(Claimed::Elsewhere(holder)) if began.elapsed() < longest => {
                    // Servers that let nobody remove files keep the claims of what is finished.
                    if let Some(stored) = pull::look_again(context, &name, key).await? {
                        return Ok(Turn::Done(stored));
                    }
                    holder
                }
                Ok(Claimed::Elsewhere(holder)) => {
                    let text = format!("{holder} takes too long to build it; building it here as well");
                    context.emitter.notice(Some(&name), true, text);
                    return self.alone().await;
                }
                Err(error) => {
                    context.note_claim(&name, &error);
                    return self.alone().await;
                }
            };
            if waiting.is_none() {
                // Each holds an open lock file.
                let Ok(turn) = context.waiting.acquire().await else { return self.alone().await };
                waiting = Some(turn);
                self.give_token();
                let what = format!("{holder}, which builds it for the same cache");
                context.emitter.emit(Event::StageWaiting { stage: name.clone(), what });
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = context.asked_to_stop(Stop::No) => return Ok(Turn::Stopped),
            }
            pause = (pause * 3 / 2).min(PAUSES.1);
        }
    }

    async fn alone(&mut self) -> Result<Turn, Error> {
        Ok(if self.take_token().await? { Turn::Here(None) } else { Turn::Stopped })
    }
}
