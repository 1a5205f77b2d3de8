//! How long a run will still take.

use crate::run::log::event::StageOutcome;
use crate::run::log::model::{Phase, RunModel, Stage};
use std::time::Duration;

/// Expected seconds that must pass before their ratio to real ones is believed.
const DOUBT: f64 = 20.0;

impl RunModel {
    /// The time left at `now_ms`; `None` while nothing is known of what remains.
    ///
    /// What remains of every unfinished stage is its expected time, corrected
    /// by how the stages so far compared with theirs, shared among as many
    /// stages as were seen to run side by side. The longest stage alone is the
    /// least it can take.
    pub fn time_left(&self, now_ms: u64) -> Option<Duration> {
        let unfinished = |stage: &&Stage| !matches!(stage.phase, Phase::Over(_));
        let count = self.stages.values().filter(unfinished).count();
        if count == 0 {
            return Some(Duration::ZERO);
        }
        let correction = self.correction(now_ms);
        let rest = |stage: &Stage| {
            let whole = expected(stage) * correction;
            let so_far = stage.elapsed(now_ms).as_secs_f64();
            // One that takes longer than thought is not done at once: a tenth more.
            if stage.is_running() { (whole - so_far).max(so_far * 0.1) } else { whole }
        };
        if self.stages.values().filter(unfinished).all(|stage| expected(stage) == 0.0) {
            return None;
        }
        let sum: f64 = self.stages.values().filter(unfinished).map(rest).sum();
        let longest = self.stages.values().filter(unfinished).map(rest).fold(0.0, f64::max);
        let side_by_side = self.parallelism(now_ms).min(count as f64);
        Duration::try_from_secs_f64((sum / side_by_side).max(longest)).ok()
    }

    /// Real seconds per expected second, of stages that are done or overdue.
    fn correction(&self, now_ms: u64) -> f64 {
        let (mut real, mut thought) = (DOUBT, DOUBT);
        for stage in self.stages.values().filter(|stage| stage.has_run() && expected(stage) > 0.0) {
            let so_far = stage.elapsed(now_ms).as_secs_f64();
            let counts = match &stage.phase {
                Phase::Over(StageOutcome::Done) => true,
                Phase::Running => so_far > expected(stage),
                _ => false,
            };
            if counts {
                real += so_far;
                thought += expected(stage);
            }
        }
        (real / thought).clamp(0.1, 10.0)
    }

    /// How many stages ran side by side on average so far; at least one.
    pub fn parallelism(&self, now_ms: u64) -> f64 {
        let ran: f64 =
            self.stages.values().filter(|s| s.has_run()).map(|s| s.elapsed(now_ms).as_secs_f64()).sum::<f64>();
        let first = self.stages.values().filter_map(|stage| stage.started_ms).min().unwrap_or(now_ms);
        let wall = now_ms.saturating_sub(first) as f64 / 1000.0;
        let running = self.stages.values().filter(|stage| stage.is_running()).count();
        // Until something was seen, as many as run now, or as there are tokens.
        let guess = if running > 0 { running } else { self.run.jobs }.max(1) as f64;
        ((ran + guess * 5.0) / (wall + 5.0)).clamp(1.0, 4096.0)
    }
}

fn expected(stage: &Stage) -> f64 {
    let seconds = stage.info.expected;
    if seconds.is_finite() { seconds.clamp(0.0, 1e9) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Key;
    use crate::run::log::event::{Event, Kind, StageInfo, Stamped, Usage};

    /// Stages of 100 expected seconds each on two tokens.
    fn announced(count: usize) -> RunModel {
        let stages = (0..count)
            .map(|number| StageInfo {
                name: format!("s{number}"),
                kind: Kind::Build,
                row: format!("r{number}"),
                column: "c".into(),
                version: "1".into(),
                key: Key::of(b""),
                expected: 100.0,
                cached: false,
                expectation: None,
            })
            .collect();
        let mut picture = RunModel::default();
        at(
            &mut picture,
            0,
            Event::RunStarted {
                run: String::new(),
                version: String::new(),
                command: Vec::new(),
                started: String::new(),
                jobs: 2,
                memory: 0,
                stages,
                shared: Vec::new(),
                choice: None,
            },
        );
        picture
    }

    fn at(picture: &mut RunModel, second: u64, event: Event) {
        picture.apply(&Stamped { at_ms: second * 1000, event });
    }

    fn start(picture: &mut RunModel, second: u64, number: usize) {
        at(picture, second, Event::StageStarted { stage: format!("s{number}") });
    }

    fn done(picture: &mut RunModel, second: u64, number: usize, wall: f64) {
        let usage = Usage { wall, ..Usage::default() };
        let (stage, state) = (format!("s{number}"), StageOutcome::Done);
        at(picture, second, Event::StageFinished { stage, state, usage, failure: None, result: None, account: None });
    }

    fn left(picture: &RunModel, second: u64) -> f64 {
        picture.time_left(second * 1000).unwrap().as_secs_f64()
    }

    #[test]
    fn before_anything_ran_the_tokens_decide() {
        assert_eq!(left(&announced(4), 0), 200.0);
    }

    #[test]
    fn running_stages_count_their_remainder() {
        let mut picture = announced(2);
        start(&mut picture, 0, 0);
        start(&mut picture, 0, 1);
        assert_eq!(left(&picture, 60), 40.0);
    }

    #[test]
    fn a_slower_machine_than_thought_is_noticed() {
        let mut picture = announced(3);
        start(&mut picture, 0, 0);
        done(&mut picture, 200, 0, 200.0);
        start(&mut picture, 200, 1);
        // (20 + 200) / (20 + 100) of 100 s, twice, one after the other.
        let slow = left(&picture, 200);
        assert!((slow - 2.0 * 100.0 * 220.0 / 120.0).abs() < 1.0, "{slow}");
    }

    #[test]
    fn an_overdue_stage_is_not_over_at_once() {
        let mut picture = announced(1);
        start(&mut picture, 0, 0);
        let mut before = f64::MAX;
        for second in [10, 50, 90, 100] {
            let now = left(&picture, second);
            assert!(now <= before && now > 0.0, "{second}: {now}");
            before = now;
        }
        assert!(left(&picture, 400) >= 40.0);
    }

    #[test]
    fn without_expectations_nothing_is_claimed() {
        let mut picture = announced(1);
        picture.stages[0].info.expected = 0.0;
        assert_eq!(picture.time_left(5_000), None);
    }

    #[test]
    fn the_longest_stage_is_the_least_it_can_take() {
        let mut picture = announced(3);
        picture.stages[2].info.expected = 1000.0;
        assert_eq!(left(&picture, 0), 1000.0);
    }
}
