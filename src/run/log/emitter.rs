//! Emits events with the time since the start of the run. A receiver that is gone does not stop the
//! run.

use super::event::{Event, Stamped};
use crate::base::StageName;
use std::time::Instant;
use tokio::sync::mpsc;

/// Sends events. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Emitter {
    began: Instant,
    sender: mpsc::UnboundedSender<Stamped>,
}

impl Emitter {
    /// Returns an emitter and the other end, which ends when all clones are dropped.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Stamped>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { began: Instant::now(), sender }, receiver)
    }

    /// Sends one event.
    pub fn emit(&self, event: Event) {
        let at_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let _ = self.sender.send(Stamped { at_ms, event });
    }

    /// A remark about a stage, or the run.
    pub fn notice(&self, stage: Option<&StageName>, warning: bool, text: impl Into<String>) {
        self.emit(Event::Notice { stage: stage.cloned(), warning, text: text.into() });
    }

    /// Seconds since the run began.
    pub fn elapsed(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }
}
