//! The model of a run, and that every report can draw it whatever the order of events.

use crate::run::log::event::*;
use crate::run::log::model::*;
use crate::run::log::sample;
use proptest::prelude::*;
use std::time::Duration;

#[test]
fn a_run_is_folded_to_its_end() {
    let model = RunModel::of(&sample::run());
    let counts = model.counts();
    assert_eq!((counts.all, counts.over, counts.failed, counts.cached), (7, 7, 1, 1));
    assert_eq!(model.time_left(model.latest_ms), Some(Duration::ZERO));
    let gcc = &model.stages["x86_64/gcc"];
    assert_eq!(gcc.elapsed(0), Duration::from_secs_f64(419.8));
    assert_eq!(model.stages["fetch/gcc-16.2.0"].retries.len(), 1);
    assert_eq!(model.totals.map(|totals| totals.end), Some(RunEnd::Failed));
    // 19.8 x 0.9 + 120 x 1.9 + 239.7 + 419.7 x 1.4
    assert!((model.cpu_seconds() - 1073.1).abs() < 0.1, "{}", model.cpu_seconds());
}

#[test]
fn the_middle_of_a_run_tells_what_runs() {
    let model = RunModel::of(sample::run().iter().filter(|event| event.at_ms <= 210_000));
    let running: Vec<_> = model.running().iter().map(|stage| stage.info.name.as_str()).collect();
    assert_eq!(running, ["x86_64/gcc", "arm64/gcc"]);
    assert_eq!(model.stages["x86_64/gcc"].activity.as_deref(), Some("insn-emit.cc"));
    assert_eq!(model.stages["arm64/gcc"].elapsed(210_000), Duration::from_millis(69_800));
    assert_eq!(model.load(211_000).map(|load| load.tokens), Some(2));
    assert_eq!(model.load(230_000), None);
}

#[test]
fn a_rate_is_taken_over_a_second_or_more() {
    let model = RunModel::of(sample::run().iter().filter(|event| event.at_ms <= 2_600));
    let download = model.stages["fetch/gcc-16.2.0"].download.unwrap();
    assert!((download.rate - f64::from(50 << 20) / 1.5).abs() < 1.0);
}

proptest! {
    #[test]
    fn any_order_of_events_makes_a_picture(
        order in prop::collection::vec((any::<prop::sample::Index>(), any::<u64>()), 0..80),
        now in any::<u64>(),
    ) {
        let events = sample::run();
        let mut model = RunModel::default();
        for (index, at_ms) in order {
            let event = index.get(&events).event.clone();
            model.apply(&Stamped { at_ms, event });
            let _ = (model.time_left(now), model.counts(), model.load(now));
        }
        let _ = crate::report::table::text(&model, crate::report::Style::PLAIN);
        let _ = crate::report::json::text(&model, |_| 0).unwrap();
        prop_assert!(model.counts().over <= model.counts().all);
    }

    #[test]
    fn any_numbers_make_a_picture(wall in any::<f64>(), cores in any::<f64>(), expected in any::<f64>()) {
        let mut events = sample::run();
        for stamped in &mut events {
            match &mut stamped.event {
                Event::RunStarted { stages, .. } => stages.iter_mut().for_each(|stage| stage.expected = expected),
                Event::StepFinished { usage, .. } | Event::StageFinished { usage, .. } => {
                    *usage = Usage { wall, user: cores, system: wall, max_rss_kib: u64::MAX };
                }
                Event::RunFinished { wall: all, cpu, peak_kib, .. } => (*all, *cpu, *peak_kib) = (wall, cores, u64::MAX),
                Event::Load { cores: busy, .. } => *busy = cores,
                _ => {}
            }
            let model = RunModel::of([&*stamped]);
            let _ = model.time_left(stamped.at_ms);
        }
        let model = RunModel::of(&events);
        let _ = crate::report::table::text(&model, crate::report::Style::PLAIN);
    }
}
