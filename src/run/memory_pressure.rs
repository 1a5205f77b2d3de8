//! Watches the machine while steps run: withdraws job tokens while memory is short, and samples
//! resource usage.

use super::log::Emitter;
use super::log::event::Event;
use crate::base::units;
use crate::process::{JobServer, Memory, Token, UsageSampler};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

const EVERY: Duration = Duration::from_secs(1);
/// Seconds between two reports of the load.
const LOAD_EVERY: f64 = 3.0;

/// Below this share of all memory available, one token after the other is taken out.
const SHORT: f64 = 0.04;
/// Above this share they are given back.
const PLENTY: f64 = 0.10;

/// The usage of the run so far, sampled once a second.
#[derive(Debug, Default)]
pub struct Ledger {
    ended_cpu: f64,
    samples: Vec<Sample>,
    peak_kib: u64,
    rss_kib: u64,
    reported: (f64, f64),
    runnable: usize,
    fetching: bool,
}

/// The run at one moment.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: f64,
    cpu: f64,
    runnable: usize,
    fetching: bool,
}

/// A ledger that tasks share.
#[derive(Debug, Clone, Default)]
pub struct UsageLedger(Arc<Mutex<Ledger>>);

impl UsageLedger {
    fn with<T>(&self, act: impl FnOnce(&mut Ledger) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A step is over, and all its processes used this many seconds.
    pub fn end(&self, cpu: f64) {
        self.with(|ledger| ledger.ended_cpu += cpu);
    }

    /// The number of steps that could run now, for the figures outside fetch and tail.
    pub fn set_phase(&self, runnable: usize, fetching: bool) {
        self.with(|ledger| (ledger.runnable, ledger.fetching) = (runnable, fetching));
    }

    /// Processor seconds of everything the run did, as of the last look.
    pub fn used(&self) -> f64 {
        self.with(|ledger| ledger.samples.last().map_or(0.0, |sample| sample.cpu))
    }

    /// Processor seconds of ended steps, and the peak of all steps' memory, KiB.
    pub fn totals(&self) -> (f64, u64) {
        self.with(|ledger| (ledger.ended_cpu, ledger.peak_kib))
    }

    /// Wall-clock and processor seconds from the end of fetching until less
    /// than two stages could run: the time in which every core can be kept busy.
    pub fn busy(&self) -> (f64, f64) {
        self.with(|ledger| {
            let start = ledger.samples.iter().rposition(|sample| sample.fetching).map_or(0, |at| at + 1);
            let Some(end) = ledger.samples.iter().rposition(|sample| sample.runnable >= 2) else { return (0.0, 0.0) };
            match (ledger.samples.get(start), ledger.samples.get(end)) {
                (Some(first), Some(last)) if start < end => (last.at - first.at, last.cpu - first.cpu),
                _ => (0.0, 0.0),
            }
        })
    }

    // The cores kept busy since the last time this was asked, and the memory in use; every few seconds.
    fn load(&self) -> Option<(f64, u64)> {
        self.with(|ledger| {
            let now = *ledger.samples.last()?;
            let (at, cpu) = ledger.reported;
            if now.at - at < LOAD_EVERY {
                return None;
            }
            ledger.reported = (now.at, now.cpu);
            Some(((now.cpu - cpu) / (now.at - at), ledger.rss_kib))
        })
    }

    // Everything the run does is this process or below it: steps by way of
    // their supervisors, and unpacking and hashing in this one.
    fn sample(&self, at: f64, sampler: &mut UsageSampler) {
        let Ok(now) = sampler.sample(&[std::process::id()]) else { return };
        self.with(|ledger| {
            let cpu = now.cpu.max(ledger.samples.last().map_or(0.0, |sample| sample.cpu));
            ledger.rss_kib = now.rss_kib;
            ledger.peak_kib = ledger.peak_kib.max(now.rss_kib);
            let (runnable, fetching) = (ledger.runnable, ledger.fetching);
            ledger.samples.push(Sample { at, cpu, runnable, fetching });
        });
    }
}

/// Runs until dropped.
pub async fn watch(ledger: UsageLedger, jobs: JobServer, emitter: Emitter) {
    let mut sampler = UsageSampler::new();
    let mut withheld: Vec<Token> = Vec::new();
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        ledger.sample(emitter.elapsed(), &mut sampler);
        if let Some((cores, memory_kib)) = ledger.load() {
            let tokens = jobs.total() - jobs.available().unwrap_or(0).min(jobs.total());
            emitter.emit(Event::Load { cores, tokens, memory_kib });
        }
        if let Ok(excess @ 1..) = jobs.trim() {
            emitter.notice(None, true, format!("a step wrote {excess} bytes to the job server that are no tokens"));
        }
        let Ok(memory) = Memory::now() else { continue };
        let share = memory.available as f64 / memory.total.max(1) as f64;
        if share < SHORT && withheld.len() + 1 < jobs.total() {
            if let Ok(Some(token)) = jobs.try_acquire() {
                let free = units::bytes(memory.available);
                withheld.push(token);
                emitter.notice(
                    None,
                    true,
                    format!("memory is short ({free} available): {} fewer jobs at a time", withheld.len()),
                );
            }
        } else if share > PLENTY && withheld.pop().is_some() {
            emitter.notice(None, false, format!("memory is back: {} fewer jobs at a time", withheld.len()));
        }
    }
}

/// The memory that running steps have declared. A step that does not fit
/// waits, unless nothing runs: then it has all there is.
#[derive(Debug, Clone)]
pub struct Budget {
    state: Arc<Mutex<(u64, usize)>>,
    total: u64,
    freed: Arc<Notify>,
}

/// A step's share; dropping it gives it back.
#[derive(Debug)]
pub struct Grant {
    budget: Budget,
    bytes: u64,
}

impl Budget {
    /// With this many bytes to plan with.
    pub fn new(total: u64) -> Self {
        Self { state: Arc::default(), total, freed: Arc::default() }
    }

    /// Returns a share now, or `None` if it does not fit.
    pub fn try_take(&self, bytes: u64) -> Option<Grant> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (used, steps) = *state;
        if steps > 0 && used.saturating_add(bytes) > self.total {
            return None;
        }
        *state = (used.saturating_add(bytes), steps + 1);
        Some(Grant { budget: self.clone(), bytes })
    }

    /// Returns a share as soon as it fits.
    pub async fn take(&self, bytes: u64) -> Grant {
        loop {
            let freed = self.freed.notified();
            if let Some(grant) = self.try_take(bytes) {
                return grant;
            }
            freed.await;
        }
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        let mut state = self.budget.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = (state.0.saturating_sub(self.bytes), state.1.saturating_sub(1));
        drop(state);
        self.budget.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_shared_out_and_one_step_always_runs() {
        let budget = Budget::new(100);
        let large = budget.try_take(500).unwrap();
        assert!(budget.try_take(1).is_none());
        drop(large);
        let (a, _b) = (budget.try_take(60).unwrap(), budget.try_take(40).unwrap());
        assert!(budget.try_take(1).is_none());
        drop(a);
        assert!(budget.try_take(60).is_some());
    }

    #[test]
    fn the_busy_time_lies_between_fetching_and_the_tail() {
        let ledger = UsageLedger::default();
        ledger.with(|ledger| {
            let sample = |at: u32, runnable, fetching| Sample {
                at: f64::from(at),
                cpu: f64::from(at) * 2.0,
                runnable,
                fetching,
            };
            ledger.samples = vec![sample(0, 3, true), sample(1, 3, false), sample(2, 2, false), sample(9, 1, false)];
        });
        assert_eq!(ledger.busy(), (1.0, 2.0));
        assert_eq!(UsageLedger::default().busy(), (0.0, 0.0));
    }
}
