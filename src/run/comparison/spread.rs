//! Usual variation of the stages' times and sizes between runs.
//!
//! A value is compared as the logarithm of its ratio to the median of its stage and version. The spread is the median
//! of the absolute deviations, which one disturbed run does not move. A stage with few samples borrows the spread of
//! all stages together.

use super::Difference;
use crate::base::StageName;
use crate::run::log::RunModel;
use crate::run::log::event::StageOutcome;
use crate::run::log::model::{Stage, StagePhase, cpu as cpu_of};
use std::collections::BTreeMap;

/// The measured quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// Processor seconds: wall-clock time depends on what runs beside a stage.
    Cpu,
    /// Bytes of the result.
    Size,
}

/// Samples of a stage from which its own spread is known.
const OWN: usize = 5;
/// Deviations, of all stages together, from which a spread is known.
const POOL: usize = 10;
/// The median of absolute deviations times this is the standard deviation of a normal distribution.
const SIGMA: f64 = 1.4826;
/// A difference of two values is unusual beyond three standard deviations of such a difference.
const BEYOND: f64 = 3.0 * std::f64::consts::SQRT_2;
/// Seconds below which a time is a few ticks of the kernel's clock.
pub(super) const LEAST_SECONDS: f64 = 1.0;

/// The measurements of earlier runs.
#[derive(Debug, Clone, Default)]
pub struct History {
    samples: BTreeMap<(Measure, StageName, String), Vec<f64>>,
}

/// Returns the processor seconds of a stage that was built whole in this run.
#[must_use]
pub fn cpu(stage: &Stage) -> Option<f64> {
    let whole = stage.phase == StagePhase::Over(StageOutcome::Done) && !stage.steps.iter().any(|step| step.resumed);
    let seconds = cpu_of(&stage.usage);
    (whole && seconds >= LEAST_SECONDS).then_some(seconds)
}

/// Returns whether a difference is larger than usual.
#[must_use]
pub fn is_beyond(difference: &Difference, usual: f64) -> bool {
    let ratio = (difference.after / difference.before).ln().abs();
    ratio.is_finite() && ratio > usual.ln_1p()
}

impl History {
    /// Adds what a run measured.
    pub fn add(&mut self, model: &RunModel, sizes: &BTreeMap<StageName, u64>) {
        for stage in model.stages.values() {
            let info = &stage.info;
            let mut add = |measure, value: f64| {
                let key = (measure, info.name.clone(), info.version.clone());
                self.samples.entry(key).or_default().push(value);
            };
            if let Some(seconds) = cpu(stage) {
                add(Measure::Cpu, seconds);
            }
            // A cached result is no new sample of its size.
            let built = stage.phase == StagePhase::Over(StageOutcome::Done);
            if let Some(bytes) = sizes.get(&info.name).filter(|bytes| built && **bytes > 0) {
                add(Measure::Size, *bytes as f64);
            }
        }
    }

    /// Returns the largest usual change between two runs as a fraction: 0.05 for 5 %.
    #[must_use]
    pub fn usual(&self, measure: Measure, stage: &StageName, version: &str) -> Option<f64> {
        let own = self.samples.get(&(measure, stage.clone(), version.to_owned()));
        let deviations = match own {
            Some(samples) if samples.len() >= OWN => deviations(samples),
            _ => {
                let all = self.samples.iter().filter(|((of, ..), _)| *of == measure);
                all.flat_map(|(_, samples)| deviations(samples)).collect()
            }
        };
        let enough = own.is_some_and(|samples| samples.len() >= OWN) || deviations.len() >= POOL;
        enough.then(|| (median(deviations).unwrap_or(0.0) * SIGMA * BEYOND).exp_m1())
    }
}

// A single sample has no deviation.
fn deviations(samples: &[f64]) -> Vec<f64> {
    match median(samples.to_vec()) {
        Some(middle) if samples.len() >= 2 && middle > 0.0 => {
            samples.iter().map(|sample| (sample / middle).ln().abs()).filter(|ratio| ratio.is_finite()).collect()
        }
        _ => Vec::new(),
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len().is_multiple_of(2) { (values[middle - 1] + upper) / 2.0 } else { upper })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(samples: &[(&str, &[f64])]) -> History {
        let mut history = History::default();
        for (stage, values) in samples {
            history
                .samples
                .insert((Measure::Cpu, format!("t/{stage}").as_str().into(), "1".to_owned()), values.to_vec());
        }
        history
    }

    fn is_unusual(history: &History, stage: &str, before: f64, after: f64) -> Option<bool> {
        let usual = history.usual(Measure::Cpu, &format!("t/{stage}").as_str().into(), "1")?;
        Some(is_beyond(
            &Difference { stage: format!("t/{stage}").as_str().into(), before, after, usual: Some(usual) },
            usual,
        ))
    }

    #[test]
    fn a_stage_is_judged_by_how_much_it_varies() {
        let history =
            history(&[("steady", &[100.0, 101.0, 99.0, 100.5, 99.5]), ("wild", &[100.0, 150.0, 70.0, 120.0, 80.0])]);
        assert_eq!(is_unusual(&history, "steady", 100.0, 110.0), Some(true));
        assert_eq!(is_unusual(&history, "steady", 110.0, 100.0), Some(true));
        assert_eq!(is_unusual(&history, "steady", 100.0, 101.0), Some(false));
        assert_eq!(is_unusual(&history, "wild", 100.0, 150.0), Some(false));
        assert_eq!(is_unusual(&history, "wild", 100.0, 1500.0), Some(true));
    }

    #[test]
    fn one_disturbed_run_changes_little() {
        let history = history(&[("steady", &[100.0, 101.0, 99.0, 100.5, 900.0])]);
        assert_eq!(is_unusual(&history, "steady", 100.0, 120.0), Some(true));
    }

    #[test]
    fn a_stage_with_few_samples_borrows_the_spread_of_all() {
        let pairs: Vec<(String, [f64; 2])> = (0..5).map(|n| (format!("s{n}"), [100.0, 102.0])).collect();
        let samples: Vec<(&str, &[f64])> = pairs.iter().map(|(name, pair)| (name.as_str(), &pair[..])).collect();
        assert_eq!(is_unusual(&history(&samples), "s9", 100.0, 120.0), Some(true));
        assert_eq!(is_unusual(&history(&samples), "s9", 100.0, 102.0), Some(false));
        assert_eq!(is_unusual(&history(&samples[..2]), "s0", 100.0, 120.0), None, "too little is known");
        assert_eq!(is_unusual(&History::default(), "s0", 100.0, 120.0), None);
    }
}
