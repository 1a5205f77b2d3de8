//! The events of a run, their log, and the model derived from them.

pub mod download;
mod emitter;
pub mod event;
pub mod event_log;
pub mod model;
mod redaction;
#[cfg(test)]
pub(crate) mod sample;
pub mod verdict;

pub use emitter::Emitter;
pub use model::RunModel;

use event::Stamped;

/// Receives the events of a run as they happen.
pub trait Sink {
    /// Receives the next event.
    fn event(&mut self, event: &Stamped);
    /// Ends the output: no event follows.
    fn finish(&mut self);
}
