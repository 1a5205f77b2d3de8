//! Estimates the remaining time of a run.
//!
//! The rest of a running stage is what its log shows: the pieces of work done, of
//! those that its last build had, along the curve that they followed then. The
//! rate is the share of a processor that a job really gets on this machine.

use crate::run::log::event::{StageOutcome, StepTime};
use crate::run::log::model::{RunModel, Stage, StagePhase, cpu};
use std::collections::BTreeMap;
use std::time::Duration;

/// Expected seconds that must pass before their ratio to real ones is believed.
const DOUBT: f64 = 30.0;
/// The time over which the share of a processor is averaged.
const WINDOW_MS: u64 = 120_000;
/// A step that does more than last time is not finished before it ends.
const ALMOST: f64 = 0.98;

/// The rest of a stage: seconds of processor time, and of wall-clock time on as many processors as it can use.
#[derive(Debug, Clone, Copy, Default)]
struct Rest {
    cpu: f64,
    alone: f64,
}

impl RunModel {
    /// Returns the time left at `now_ms`; `None` while nothing is known of what remains.
    ///
    /// It is the larger of two: all the processor time that remains, at the rate of all
    /// jobs; and the longest chain of stages, each on the processors that it can use.
    pub fn time_left(&self, now_ms: u64) -> Option<Duration> {
        let unfinished = |stage: &Stage| !matches!(stage.phase, StagePhase::Over(_));
        if !self.stages.values().any(unfinished) {
            return Some(Duration::ZERO);
        }
        if self.stages.values().filter(|stage| unfinished(stage)).all(|stage| expected(stage) == 0.0) {
            return None;
        }
        let jobs = self.run.jobs.max(1) as f64;
        let share = self.processor_share(now_ms);
        let correction = self.correction();
        let mut all = 0.0;
        let mut ends: BTreeMap<&str, f64> = BTreeMap::new();
        let mut longest: f64 = 0.0;
        // A stage comes after those that it needs.
        for (name, stage) in self.stages.iter().filter(|(_, stage)| unfinished(stage)) {
            let rest = self.rest(stage, now_ms, correction, share, jobs);
            all += rest.cpu;
            let begin =
                stage.info.needs.iter().filter_map(|need| ends.get(need.as_str())).fold(0.0, |a: f64, b| a.max(*b));
            let end = begin + rest.alone / share;
            longest = longest.max(end);
            ends.insert(name.as_str(), end);
        }
        Duration::try_from_secs_f64((all / (jobs * share)).max(longest)).ok()
    }

    /// Returns the processors that a job token stood for lately: 1 on a machine of our own, less where others compute too.
    fn processor_share(&self, now_ms: u64) -> f64 {
        let since = now_ms.saturating_sub(WINDOW_MS);
        let recent = self.loads.iter().rev().take_while(|load| load.at_ms >= since).filter(|load| load.tokens > 0);
        // Twenty seconds of a machine of our own, until more was seen.
        let (mut cores, mut tokens) = (7.0, 7.0);
        for load in recent {
            cores += load.cores;
            tokens += load.tokens as f64;
        }
        (cores / tokens).clamp(0.02, 1.0)
    }

    /// Returns real processor seconds per expected one, of the steps and stages that are over.
    fn correction(&self) -> f64 {
        let (mut real, mut thought) = (DOUBT, DOUBT);
        for stage in self.stages.values().filter(|stage| stage.has_run()) {
            if stage.info.steps.is_empty() {
                let used: f64 = stage.steps.iter().map(|step| cpu(&step.usage)).sum();
                // A stage that was resumed used only a part of its usual time.
                let whole =
                    stage.phase == StagePhase::Over(StageOutcome::Done) && !stage.steps.iter().any(|step| step.resumed);
                if whole && used > 0.0 && expected(stage) > 0.0 {
                    real += used;
                    thought += expected(stage);
                }
                continue;
            }
            for step in stage.steps.iter().filter(|step| step.ended.is_some_and(|(_, ok)| ok) && !step.resumed) {
                if let Some(last) = stage.info.steps.iter().find(|last| last.name == step.name) {
                    real += cpu(&step.usage);
                    thought += seconds(last.cpu);
                }
            }
        }
        (real / thought).clamp(0.1, 10.0)
    }

    fn rest(&self, stage: &Stage, now_ms: u64, correction: f64, share: f64, jobs: f64) -> Rest {
        let known = &stage.info.steps;
        if stage.is_fetch() {
            return fetch(stage, now_ms, share);
        }
        if known.is_empty() {
            // Between two steps nothing runs; a stage without steps has run from its start.
            let since = match (stage.step(), stage.steps.is_empty()) {
                (Some(step), _) => Some(step.started_ms),
                (None, true) => stage.started_ms,
                (None, false) => None,
            };
            let by_share = |since| now_ms.saturating_sub(since) as f64 / 1000.0 * share * jobs;
            let running =
                since.map_or(0.0, |since| self.processor_time(since, now_ms).unwrap_or_else(|| by_share(since)));
            return whole(stage, running / self.running_stages(), correction, jobs);
        }
        // The steps that this run has not reached yet, and the rest of the one that it is at.
        let reached = stage.steps.last().and_then(|step| known.iter().position(|last| last.name == step.name));
        let mut rest = Rest::default();
        for (index, last) in known.iter().enumerate() {
            let left = match (reached, stage.steps.last()) {
                (Some(reached), _) if index < reached => 0.0,
                (Some(reached), Some(step)) if index == reached => match step.ended {
                    Some(_) => 0.0,
                    None => 1.0 - done(last, step.units, now_ms.saturating_sub(step.started_ms), share),
                },
                _ => 1.0,
            };
            let cpu = seconds(last.cpu) * left * correction;
            rest.cpu += cpu;
            rest.alone += cpu / width(last, jobs);
        }
        rest
    }

    // The processor seconds that the run used since then, as they were sampled; `None` before the first sample.
    fn processor_time(&self, since: u64, now_ms: u64) -> Option<f64> {
        let first = self.loads.partition_point(|load| load.at_ms <= since);
        let mut from = since;
        let mut used = 0.0;
        for load in &self.loads[first..] {
            used += load.cores.max(0.0) * load.at_ms.saturating_sub(from) as f64 / 1000.0;
            from = load.at_ms;
        }
        let last = self.loads[first..].last()?;
        Some(used + last.cores.max(0.0) * now_ms.saturating_sub(from) as f64 / 1000.0)
    }

    fn running_stages(&self) -> f64 {
        self.stages.values().filter(|stage| stage.is_running()).count().max(1) as f64
    }
}

// A download uses no processor and is as slow on a busy machine as on another.
fn fetch(stage: &Stage, now_ms: u64, share: f64) -> Rest {
    let so_far = stage.elapsed(now_ms).as_secs_f64();
    let left = if stage.is_running() { (expected(stage) - so_far).max(so_far * 0.1) } else { expected(stage) };
    Rest { cpu: 0.0, alone: left * share }
}

// A stage of which only the whole is known; `running` is the processor time of the step that runs.
fn whole(stage: &Stage, running: f64, correction: f64, jobs: f64) -> Rest {
    let all = expected(stage) * correction;
    let used: f64 = stage.steps.iter().map(|step| cpu(&step.usage)).sum();
    let used = if stage.is_running() { used + running } else { used };
    // A stage that exceeds its expected time does not end at once: add a tenth.
    let cpu = if stage.is_running() { (all - used).max(used * 0.1) } else { all };
    Rest { cpu, alone: cpu / jobs }
}

// The share of a running step that is done.
fn done(last: &StepTime, units: u64, elapsed_ms: u64, share: f64) -> f64 {
    let by_time = elapsed_ms as f64 / 1000.0 * share / seconds(last.cpu).max(1.0);
    last.share(units).unwrap_or(by_time).min(ALMOST)
}

// The processors that a step can use; all jobs where it was never seen alone.
fn width(last: &StepTime, jobs: f64) -> f64 {
    if last.cores.is_finite() && last.cores > 0.0 { last.cores.clamp(0.5, jobs) } else { jobs }
}

fn expected(stage: &Stage) -> f64 {
    seconds(stage.info.expected)
}

fn seconds(seconds: f64) -> f64 {
    if seconds.is_finite() { seconds.clamp(0.0, 1e9) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Key, StageName};
    use crate::run::log::event::{Event, Kind, StageInfo, Stamped, Usage};

    /// Stages of 100 expected seconds each on two tokens.
    fn announced(count: usize) -> RunModel {
        let stages = (0..count)
            .map(|number| StageInfo {
                name: StageName::new("t", format_args!("s{number}")),
                kind: Kind::Build,
                scope: format!("r{number}"),
                package: "c".into(),
                version: "1".into(),
                key: Key::of(b""),
                expected: 100.0,
                cached: false,
                expectation: None,
                needs: Vec::new(),
                steps: Vec::new(),
            })
            .collect();
        let mut model = RunModel::default();
        at(
            &mut model,
            0,
            Event::RunStarted {
                run: String::new(),
                version: String::new(),
                command: Vec::new(),
                started: String::new(),
                jobs: 2,
                memory: 0,
                stages,
                borrowed: Vec::new(),
                choice: None,
            },
        );
        model
    }

    fn at(model: &mut RunModel, second: u64, event: Event) {
        model.apply(&Stamped { at_ms: second * 1000, event });
    }

    fn start(model: &mut RunModel, second: u64, number: usize) {
        at(model, second, Event::StageStarted { stage: StageName::new("t", format_args!("s{number}")) });
    }

    fn step(model: &mut RunModel, second: u64, number: usize, step: &str) {
        let (stage, step) = (StageName::new("t", format_args!("s{number}")), step.to_owned());
        at(model, second, Event::StepStarted { stage, step, log: String::new(), resumed: false });
    }

    fn done(model: &mut RunModel, second: u64, number: usize, wall: f64) {
        let usage = Usage { wall, ..Usage::default() };
        let (stage, state) = (StageName::new("t", format_args!("s{number}")), StageOutcome::Done);
        at(
            model,
            second,
            Event::StageFinished { stage, state, usage, failure: None, result: None, check_result: None },
        );
    }

    fn left(model: &RunModel, second: u64) -> f64 {
        model.time_left(second * 1000).unwrap().as_secs_f64()
    }

    #[test]
    fn before_anything_ran_the_tokens_decide() {
        assert_eq!(left(&announced(4), 0), 200.0);
    }

    #[test]
    fn running_stages_count_their_remainder() {
        let mut model = announced(2);
        start(&mut model, 0, 0);
        start(&mut model, 0, 1);
        assert_eq!(left(&model, 60), 40.0);
    }

    #[test]
    fn a_slower_machine_than_thought_is_noticed() {
        let mut model = announced(3);
        start(&mut model, 0, 0);
        step(&mut model, 0, 0, "build");
        let usage = Usage { wall: 200.0, user: 200.0, ..Usage::default() };
        at(&mut model, 200, Event::StepFinished { stage: "t/s0".into(), step: "build".into(), ok: true, usage });
        done(&mut model, 200, 0, 200.0);
        // (30 + 200) / (30 + 100) of 100 s for each of two, on two tokens.
        let slow = left(&model, 200);
        assert!((slow - 100.0 * 230.0 / 130.0).abs() < 1.0, "{slow}");
        // Resumed stages used only the rest of their time: the others are expected to take all of theirs.
        model.stages[0].steps[0].resumed = true;
        assert_eq!(left(&model, 200), 100.0);
    }

    #[test]
    fn a_running_stage_is_as_far_as_its_log_shows() {
        let mut model = announced(1);
        let linear = (1..=16).map(|point| f64::from(point) / 16.0).collect();
        let known = |name: &str, cpu, cores, units| StepTime {
            name: name.into(),
            cpu,
            cores,
            units,
            curve: Vec::clone(&linear),
        };
        model.stages[0].info.steps = vec![known("configure", 20.0, 1.0, 100), known("build", 80.0, 2.0, 1000)];
        // Configure uses one processor, the rest two.
        assert_eq!(left(&model, 0), 60.0);
        start(&mut model, 0, 0);
        step(&mut model, 0, 0, "configure");
        step(&mut model, 20, 0, "build");
        at(&mut model, 60, Event::StepActivity { stage: "t/s0".into(), what: "x.c".into(), done: 250 });
        // However late it is: a quarter is done.
        assert_eq!(left(&model, 60), 30.0);
        // Half of the processor goes to somebody else.
        for second in 60..180 {
            at(&mut model, second, Event::Load { cores: 1.0, tokens: 2, memory_kib: 0 });
        }
        let busy = left(&model, 180);
        assert!((busy - 60.0).abs() < 3.0, "{busy}");
    }

    #[test]
    fn a_chain_of_stages_is_the_least_it_can_take() {
        let mut model = announced(4);
        for number in 0..4 {
            let step = StepTime { name: "build".into(), cpu: 100.0, cores: 1.0, ..StepTime::default() };
            model.stages[number].info.steps = vec![step];
        }
        // Four that each use one processor: two at a time.
        assert_eq!(left(&model, 0), 200.0);
        for number in 1..4 {
            model.stages[number].info.needs = vec![StageName::new("t", format_args!("s{}", number - 1))];
        }
        assert_eq!(left(&model, 0), 400.0);
    }

    #[test]
    fn an_overdue_stage_is_not_over_at_once() {
        let mut model = announced(1);
        start(&mut model, 0, 0);
        let mut before = f64::MAX;
        for second in [5, 25, 45, 50] {
            let now = left(&model, second);
            assert!(now <= before && now > 0.0, "{second}: {now}");
            before = now;
        }
        assert!(left(&model, 400) >= 40.0);
    }

    /// Replays a recorded log; returns the error of the estimate, relative to the time that was left, at three moments.
    fn errors(log: &str) -> [f64; 3] {
        let events: Vec<Stamped> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let end = events.last().unwrap().at_ms;
        [0.25, 0.5, 0.75].map(|part| {
            let now = (end as f64 * part) as u64;
            let mut model = RunModel::default();
            events.iter().take_while(|event| event.at_ms <= now).for_each(|event| model.apply(event));
            let real = (end - now) as f64 / 1000.0;
            model.time_left(now).unwrap().as_secs_f64() / real - 1.0
        })
    }

    // x86_64's defconfig kernel, built for the first time on a machine that did much else.
    #[test]
    fn a_recorded_first_build_was_estimated_well() {
        let found = errors(include_str!("../../tests/fixtures/estimate/x86_64-defconfig-first-build.jsonl"));
        // Later, more than the kernel's own share of the time goes to steps that use one processor.
        assert!(found[0].abs() < 0.2 && found[1].abs() < 0.2 && found[2].abs() < 0.3, "{found:?}");
    }

    #[test]
    fn without_expectations_nothing_is_claimed() {
        let mut model = announced(1);
        model.stages[0].info.expected = 0.0;
        assert_eq!(model.time_left(5_000), None);
    }
}
