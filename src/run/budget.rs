//! The time and the disk that a run may take. Pure: the scheduler asks before it starts a stage.

use crate::plan::StageId;
use crate::store::history::StageTime;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Time to flush the last result and to write the table, beside the grace of running steps.
const CLOSING: Duration = Duration::from_secs(5);
/// The least share of a processor that a step is taken to use.
const LEAST_CORES: f64 = 0.01;

/// The limit of a run's wall-clock time.
#[derive(Debug, Clone, Copy)]
pub struct TimeBudget {
    /// As the user gave it.
    pub total: Duration,
    stops: Instant,
}

impl TimeBudget {
    /// Begins at `began`. Running steps are asked to end early enough for `grace`, but not before nine tenths of it.
    #[must_use]
    pub fn new(began: Instant, total: Duration, grace: Duration) -> Self {
        let margin = (grace + CLOSING).min(total / 10);
        Self { total, stops: began + (total - margin) }
    }

    /// Returns when running steps are asked to end.
    #[must_use]
    pub fn stops(&self) -> Instant {
        self.stops
    }

    /// Returns whether work of so many seconds ends in time.
    #[must_use]
    pub fn fits(&self, seconds: f64, now: Instant) -> bool {
        seconds <= self.stops.saturating_duration_since(now).as_secs_f64()
    }
}

/// Returns the wall-clock seconds that a stage is expected to take from `first_step` on, with `tokens` jobs at a time.
#[must_use]
pub fn wall_seconds(time: &StageTime, first_step: usize, tokens: f64) -> f64 {
    let tokens = tokens.max(1.0);
    if time.steps.is_empty() {
        // The completed part is unknown; it continues where it stopped.
        return if first_step > 0 { 0.0 } else { time.cpu.max(0.0) / tokens };
    }
    let wall = |cpu: f64, cores: f64| {
        // A step that never ran alone may use every job.
        let cores = if cores > 0.0 { cores.clamp(LEAST_CORES, tokens) } else { tokens };
        if cpu.is_finite() { cpu.max(0.0) / cores } else { 0.0 }
    };
    time.steps.iter().skip(first_step).map(|step| wall(step.cpu, step.cores)).sum()
}

/// The limit of what unpacked sources and work trees take at a time, by the sizes that recipes declare.
#[derive(Debug, Clone)]
pub struct DiskBudget {
    /// As the user gave it.
    pub total: u64,
    sources: BTreeMap<StageId, u64>,
    work: BTreeMap<StageId, u64>,
}

impl DiskBudget {
    /// Nothing is unpacked and nothing runs.
    #[must_use]
    pub fn new(total: u64) -> Self {
        Self { total, sources: BTreeMap::new(), work: BTreeMap::new() }
    }

    /// Returns whether so many bytes more are within the limit.
    #[must_use]
    pub fn fits(&self, bytes: u64) -> bool {
        let used: u64 = self.sources.values().chain(self.work.values()).sum();
        used.saturating_add(bytes) <= self.total
    }

    /// A source tree exists from now on.
    pub fn unpacked(&mut self, unpack: StageId, bytes: u64) {
        self.sources.insert(unpack, bytes);
    }

    /// A stage's work tree exists from now on.
    pub fn started(&mut self, stage: StageId, bytes: u64) {
        self.work.insert(stage, bytes);
    }

    /// Releases the disk space that a stage used beside its result.
    pub fn removed(&mut self, stage: StageId) {
        self.work.remove(&stage);
        self.sources.remove(&stage);
    }

    /// Returns the stages whose source trees exist.
    pub fn sources(&self) -> impl Iterator<Item = StageId> + '_ {
        self.sources.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::history::StepTime;

    #[test]
    fn work_fits_until_the_steps_have_to_stop() {
        let now = Instant::now();
        let long = TimeBudget::new(now, Duration::from_secs(3600), Duration::from_secs(10));
        assert!(long.fits(3585.0, now) && !long.fits(3585.1, now));
        let short = TimeBudget::new(now, Duration::from_secs(10), Duration::from_secs(10));
        assert!(short.fits(9.0, now) && !short.fits(9.1, now));
        assert!(!short.fits(0.1, now + Duration::from_secs(60)));
    }

    #[test]
    fn a_stage_takes_what_its_steps_take_on_the_jobs_that_it_gets() {
        let step = |cpu, cores| StepTime { cpu, cores, ..StepTime::default() };
        let time = StageTime { cpu: 500.0, steps: vec![step(100.0, 1.0), step(300.0, 3.0), step(100.0, 0.0)] };
        assert_eq!(wall_seconds(&time, 0, 4.0), 100.0 + 100.0 + 25.0);
        assert_eq!(wall_seconds(&time, 0, 1.0), 500.0);
        assert_eq!(wall_seconds(&time, 2, 4.0), 25.0);
        let whole = StageTime { cpu: 8.0, steps: Vec::new() };
        assert_eq!((wall_seconds(&whole, 0, 4.0), wall_seconds(&whole, 1, 4.0)), (2.0, 0.0));
    }

    #[test]
    fn what_is_removed_makes_room() {
        let mut disk = DiskBudget::new(10);
        disk.unpacked(StageId(0), 4);
        disk.started(StageId(1), 5);
        assert!(disk.fits(1) && !disk.fits(2) && !disk.fits(u64::MAX));
        disk.removed(StageId(1));
        assert!(disk.fits(6));
        disk.removed(StageId(0));
        assert!(disk.fits(10) && disk.sources().next().is_none());
    }
}
