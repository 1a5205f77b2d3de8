//! Progress of operations that take longer than a second: on a terminal one transient line,
//! elsewhere a line every ten seconds.

use super::ticker::Ticker;
use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const PACE: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(1);
const PLAIN_PACE: Duration = Duration::from_secs(10);

/// Shows progress until it is dropped.
#[derive(Debug)]
pub struct Meter {
    share: Arc<AtomicU64>,
    moves: bool,
    ticker: Option<Ticker>,
}

impl Meter {
    /// Shows what is being done.
    #[must_use]
    pub fn start(what: &'static str) -> Self {
        let moves = std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let share = Arc::new(AtomicU64::new(0));
        let shown = Arc::clone(&share);
        let started = Instant::now();
        let mut next = if moves { PATIENCE } else { PLAIN_PACE };
        let ticker = Ticker::start(PACE, move || {
            let elapsed = started.elapsed();
            if elapsed < next {
                return;
            }
            let percent = shown.load(Ordering::Relaxed) / 10;
            if moves {
                let _ = write!(std::io::stderr(), "\r\x1b[K{what}: {percent} %");
            } else {
                next += PLAIN_PACE;
                let _ = writeln!(std::io::stderr(), "{what}: {percent} %");
            }
        });
        Self { share, moves, ticker: Some(ticker) }
    }

    /// Updates the progress.
    pub fn set(&self, done: u64, total: u64) {
        let share = u128::from(done) * 1000 / u128::from(total.max(1));
        self.share.fetch_max(u64::try_from(share).unwrap_or(1000), Ordering::Relaxed);
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        // The line goes when no tick can draw it again.
        drop(self.ticker.take());
        if self.moves {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
