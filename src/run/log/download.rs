//! The speed of a download.

/// Bytes of a download.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Download {
    /// Bytes so far.
    pub done: u64,
    /// Bytes in all, when known.
    pub total: Option<u64>,
    /// Bytes a second over the last few seconds.
    pub rate: f64,
    /// Last sample for the rate: time and bytes.
    mark: (u64, u64),
}

impl Download {
    /// Returns the first that is known.
    pub(super) fn begin(at: u64, done: u64, total: Option<u64>) -> Self {
        Self { done, total, rate: 0.0, mark: (at, done) }
    }

    /// Takes what is known at `at` milliseconds.
    pub(super) fn advance(&mut self, at: u64, done: u64, total: Option<u64>) {
        let (since, from) = self.mark;
        if done < from {
            // Another source started from the beginning.
            self.mark = (at, done);
            self.rate = 0.0;
        } else if at.saturating_sub(since) >= 1000 {
            let now = (done - from) as f64 * 1000.0 / (at - since) as f64;
            self.rate = if self.rate == 0.0 { now } else { self.rate * 0.6 + now * 0.4 };
            self.mark = (at, done);
        }
        (self.done, self.total) = (done, total);
    }
}
