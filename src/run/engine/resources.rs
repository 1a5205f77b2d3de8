//! What a job asks of its node: processors by the measured width of its steps, memory by what recipes declare, and time
//! with a margin. Pure.

use super::super::budget::wall_seconds;
use crate::store::history::StageTime;
use std::time::Duration;

/// What a job may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Processors of the largest node.
    pub cores: usize,
    /// Bytes of memory of the largest node, where the service knows it.
    pub memory: Option<u64>,
    /// The longest time.
    pub time: Option<Duration>,
    /// Processors of all nodes together.
    pub all_cores: usize,
}

/// What a job asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resources {
    /// Processors.
    pub cores: usize,
    /// Bytes of memory; `None` where the service does not manage it.
    pub memory: Option<u64>,
    /// Time.
    pub time: Duration,
}

/// A stage as its job sees it.
#[derive(Debug, Clone)]
pub struct Load<'a> {
    /// What it is expected to take.
    pub time: &'a StageTime,
    /// Bytes that its largest step declares.
    pub memory: u64,
}

/// Processors for a stage whose width was never measured.
const UNMEASURED: usize = 16;
/// The least time: a node may be slow to start, and a store slow to answer.
const LEAST_TIME: Duration = Duration::from_secs(20 * 60);
/// Expected times are of one machine, and limits are for another.
const TIME_MARGIN: f64 = 4.0;
/// Memory of crossmill itself, and of files that are written.
const BASE_MEMORY: u64 = 512 << 20;

/// Returns what stages that ride together need. `longest` is the expected time of their longest chain, in seconds on as
/// many processors as its steps can use.
#[must_use]
pub fn of(stages: &[Load<'_>], longest: f64, limits: &Limits) -> Resources {
    let work: f64 = stages.iter().map(|stage| seconds(stage.time)).sum();
    let is_measured = stages.iter().all(|stage| stage.time.steps.iter().any(|step| step.cores > 0.0));
    let useful = match stages {
        [_] if !is_measured => UNMEASURED,
        _ => (work / longest.max(0.1)).ceil().clamp(1.0, 4096.0) as usize,
    };
    let cores = useful.clamp(1, limits.cores.max(1));
    let mut declared: Vec<u64> = stages.iter().map(|stage| stage.memory).collect();
    declared.sort_unstable_by(|a, b| b.cmp(a));
    let together: u64 = declared.iter().take(cores).fold(0, |sum, bytes| sum.saturating_add(*bytes));
    // Stages that do not fit beside each other run one after the other.
    let memory = limits.memory.map(|most| (together / 4).saturating_mul(5).saturating_add(BASE_MEMORY).min(most));
    let wall = work / cores as f64 + longest;
    let time = Duration::try_from_secs_f64(wall * TIME_MARGIN).unwrap_or(Duration::MAX).max(LEAST_TIME);
    Resources { cores, memory, time: time.min(limits.time.unwrap_or(Duration::MAX)) }
}

/// Returns the processor seconds that a stage is expected to take; every stage costs something.
#[must_use]
pub fn seconds(time: &StageTime) -> f64 {
    if time.cpu.is_finite() { time.cpu.max(0.5) } else { 0.5 }
}

/// Returns the seconds that a stage takes at least, on as many processors as it can use.
#[must_use]
pub fn shortest(time: &StageTime, limits: &Limits) -> f64 {
    wall_seconds(time, 0, limits.cores.min(UNMEASURED) as f64).max(0.1)
}

impl Resources {
    /// Returns the resources for another try after a job ended at one of its limits.
    #[must_use]
    pub fn larger(self, memory: bool, limits: &Limits) -> Self {
        if memory {
            let most = limits.memory.unwrap_or(u64::MAX);
            return Self { memory: self.memory.map(|bytes| bytes.saturating_mul(2).min(most)), ..self };
        }
        Self { time: self.time.saturating_mul(2).min(limits.time.unwrap_or(Duration::MAX)), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::history::StepTime;

    const LIMITS: Limits =
        Limits { cores: 32, memory: Some(64 << 30), time: Some(Duration::from_secs(86400)), all_cores: 64 };

    fn step(cpu: f64, cores: f64) -> StepTime {
        StepTime { cpu, cores, ..StepTime::default() }
    }

    #[test]
    fn a_stage_gets_the_processors_that_its_steps_used() {
        let time = StageTime { cpu: 1000.0, steps: vec![step(100.0, 1.0), step(900.0, 9.0)] };
        let found = of(&[Load { time: &time, memory: 4 << 30 }], shortest(&time, &LIMITS), &LIMITS);
        assert_eq!((found.cores, found.memory), (5, Some((5 << 30) + BASE_MEMORY)));
        assert_eq!(found.time, Duration::from_secs(1600));
        let unknown = StageTime { cpu: 1000.0, steps: Vec::new() };
        assert_eq!(of(&[Load { time: &unknown, memory: 0 }], 100.0, &LIMITS).cores, UNMEASURED);
    }

    #[test]
    fn no_job_asks_for_more_than_a_node_has() {
        let time = StageTime { cpu: 1e9, steps: vec![step(1e9, 500.0)] };
        let found = of(&[Load { time: &time, memory: u64::MAX }], shortest(&time, &LIMITS), &LIMITS);
        assert!(found.cores <= 32 && found.memory == LIMITS.memory && Some(found.time) == LIMITS.time);
        assert_eq!(found.larger(true, &LIMITS).larger(false, &LIMITS), found);
    }
}
