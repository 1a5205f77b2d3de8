//! The circuit breaker of a cache: after a few failures it is not asked again in this run.

use super::Error;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// So many failures in a row, or so many answers that were lies.
const MOST: u32 = 3;

#[derive(Debug, Default)]
struct State {
    failures: u32,
    lies: u32,
    off: Option<String>,
}

/// The state of a cache.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    state: Mutex<State>,
}

impl Circuit {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns why the cache is not used any more.
    pub(super) fn off(&self) -> Option<String> {
        self.state().off.clone()
    }

    /// A request was answered.
    pub(super) fn answered(&self) {
        self.state().failures = 0;
    }

    /// A request failed, or its answer was a lie.
    pub(super) fn failed(&self, error: &Error) {
        let mut state = self.state();
        state.failures += u32::from(error.is_outage());
        state.lies += u32::from(error.is_lie());
        if state.off.is_none() && (state.failures >= MOST || state.lies >= MOST) {
            state.off = Some(format!("it failed {MOST} times, the last time with: {error}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_open_it_and_an_answer_between_them_does_not() {
        let slow = || Error::Slow { place: "x".into(), after: std::time::Duration::from_secs(1) };
        let circuit = Circuit::default();
        for _ in 0..9 {
            circuit.failed(&slow());
            circuit.failed(&slow());
            circuit.answered();
        }
        assert_eq!(circuit.off(), None);
        for _ in 0..3 {
            circuit.failed(&slow());
        }
        assert!(circuit.off().unwrap().contains("no answer within 1.0s"));
    }

    #[test]
    fn a_cache_that_answers_with_lies_is_off_too() {
        let circuit = Circuit::default();
        for _ in 0..3 {
            circuit.answered();
            circuit.failed(&Error::Missing { what: "x".into() });
        }
        assert!(circuit.off().is_some());
    }
}
