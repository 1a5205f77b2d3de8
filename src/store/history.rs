//! Durations of stages on this machine, so that the next run starts the longest first and can
//! estimate the remaining time. Losing this file only makes estimates worse.

use super::{Error, Store};
use crate::base::files;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The form of `times.json`. Another one is not read: the times are measured again.
const SCHEMA: u32 = 2;

/// Points of a step's [`StepTime::curve`].
pub const CURVE: usize = 16;

/// The cost of a stage when it was last built completely.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StageTime {
    /// Seconds of processor time.
    pub cpu: f64,
    /// Its steps, in order.
    pub steps: Vec<StepTime>,
}

/// The cost of a step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StepTime {
    /// Its name.
    pub name: String,
    /// Seconds of processor time.
    pub cpu: f64,
    /// The most processors that it kept busy on average while nothing else ran; 0 when it never ran alone.
    #[serde(default)]
    pub cores: f64,
    /// Pieces of work that its log reported; 0 for a step whose log reports none.
    #[serde(default)]
    pub units: u64,
    /// The share of its time that had passed after each sixteenth of the units.
    #[serde(default)]
    pub curve: Vec<f64>,
}

/// The times of stages, by stage name, version and configuration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    schema: u32,
    stages: BTreeMap<String, StageTime>,
}

impl StepTime {
    /// Returns the share of the step's time that has passed after `units`, from 0 to 1; `None` where its log reports nothing.
    #[must_use]
    pub fn share(&self, units: u64) -> Option<f64> {
        if self.units == 0 || self.curve.len() != CURVE || !self.curve.iter().all(|share| share.is_finite()) {
            return None;
        }
        let at = units as f64 / self.units as f64 * CURVE as f64;
        let index = at.floor() as usize;
        if index >= CURVE {
            return Some(1.0);
        }
        let before = if index == 0 { 0.0 } else { self.curve[index - 1] };
        Some((before + (self.curve[index] - before) * (at - index as f64)).clamp(0.0, 1.0))
    }
}

/// Returns the curve of a step from what was observed: units done and seconds passed, in order.
#[must_use]
pub fn curve(marks: &[(u64, f64)], units: u64, seconds: f64) -> Vec<f64> {
    if units == 0 || seconds <= 0.0 {
        return Vec::new();
    }
    let share_at = |wanted: f64| {
        let at = marks.partition_point(|(units, _)| (*units as f64) < wanted);
        let after = marks.get(at).copied().unwrap_or((units, seconds));
        let before = if at == 0 { (0, 0.0) } else { marks[at - 1] };
        let part = if after.0 > before.0 { (wanted - before.0 as f64) / (after.0 - before.0) as f64 } else { 1.0 };
        ((before.1 + (after.1 - before.1) * part) / seconds).clamp(0.0, 1.0)
    };
    (1..=CURVE).map(|point| share_at(units as f64 * point as f64 / CURVE as f64)).collect()
}

fn key(stage: &str, version: &str, configuration: &str) -> String {
    format!("{stage} {version} {configuration}")
}

impl Times {
    /// Reads the text of a `times.json`; `None` if it was cut short or has another schema.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok().filter(|times: &Self| times.schema == SCHEMA)
    }

    /// Returns what a stage took; of another version of the same configuration where this one was never built.
    #[must_use]
    pub fn get(&self, stage: &str, version: &str, configuration: &str) -> Option<&StageTime> {
        let of_configuration = || {
            let (before, after) = (format!("{stage} "), format!(" {configuration}"));
            self.stages.iter().rev().find(|(key, _)| key.starts_with(&before) && key.ends_with(&after)).map(|it| it.1)
        };
        let found = self.stages.get(&key(stage, version, configuration)).or_else(of_configuration);
        found.filter(|time| time.cpu.is_finite() && time.cpu >= 0.0)
    }

    /// Returns what the stages of a package took, whatever they were built for.
    pub fn of_package<'a>(&'a self, package: &str) -> impl Iterator<Item = &'a StageTime> {
        let name = format!("/{package} ");
        self.stages.iter().filter(move |(key, _)| key.contains(&name)).map(|(_, time)| time)
    }

    /// Keeps what a stage took this time.
    pub fn set(&mut self, stage: &str, version: &str, configuration: &str, time: StageTime) {
        self.stages.insert(key(stage, version, configuration), time);
    }

    // A step that ran beside others this time may have run alone before: the wider figure is the better one.
    fn merge(&mut self, new: Self) {
        for (key, mut time) in new.stages {
            let before = self.stages.get(&key);
            for step in &mut time.steps {
                let known = before.and_then(|before| before.steps.iter().find(|other| other.name == step.name));
                step.cores = step.cores.max(known.map_or(0.0, |known| known.cores));
            }
            self.stages.insert(key, time);
        }
    }
}

impl Store {
    /// Returns the times of earlier runs; none if the file is missing, was cut short, or has another schema.
    pub fn times(&self) -> Result<Times, Error> {
        let text = files::read_if_present(&self.root().join("times.json"))?.unwrap_or_default();
        Ok(Times::parse(&text).unwrap_or_default())
    }

    /// Adds `new` to what is kept, where the store can be written.
    pub fn add_times(&self, new: Times) -> Result<(), Error> {
        if new.stages.is_empty() || !self.is_writable() {
            return Ok(());
        }
        // Read again: another run may have added its own since.
        let mut times = self.times()?;
        times.schema = SCHEMA;
        times.merge(new);
        let text = serde_json::to_vec_pretty(&times).map_err(|error| Error::Io(error.into()))?;
        Ok(files::write_atomic(&self.root().join("times.json"), &text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_gives_back_what_was_observed() {
        // The first half of the units takes a quarter of the time.
        let marks: Vec<(u64, f64)> =
            (1..=100).map(|at| (at, if at <= 50 { at as f64 } else { 50.0 + (at - 50) as f64 * 3.0 })).collect();
        let step = StepTime { units: 100, curve: curve(&marks, 100, 200.0), ..StepTime::default() };
        for (units, share) in [(0, 0.0), (25, 0.125), (50, 0.25), (75, 0.625), (100, 1.0), (400, 1.0)] {
            let found = step.share(units).unwrap();
            assert!((found - share).abs() < 0.01, "{units}: {found}");
        }
        assert_eq!(StepTime::default().share(3), None);
    }

    #[test]
    fn another_version_of_one_configuration_is_the_next_best_guess() {
        let mut times = Times::default();
        times.set("arm64/gcc", "16.2.0", "aa", StageTime { cpu: 900.0, ..StageTime::default() });
        assert_eq!(times.get("arm64/gcc", "16.3.0", "aa").map(|time| time.cpu), Some(900.0));
        assert_eq!(times.get("arm64/gcc", "16.2.0", "bb"), None);
        assert_eq!(times.get("arm/gcc", "16.2.0", "aa"), None);
    }
}
