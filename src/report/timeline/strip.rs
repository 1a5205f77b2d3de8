//! Below the bars: how busy the processors were, and how much memory was used.

use super::scale::{LEFT, RIGHT, Scale, WIDTH, px, whole_ms};
use crate::base::units;
use crate::run::log::model::{Load, RunModel, cpu};
use maud::{Markup, html};
use std::fmt::Write as _;
use std::time::Duration;

const CPU: f64 = 84.0;
const MEMORY: f64 = 62.0;
/// Above the area of each.
const SPACE: f64 = 16.0;

/// Combined height of both.
pub(super) fn height(model: &RunModel) -> f64 {
    CPU + if peak_kib(model) > 0 { MEMORY } else { 0.0 }
}

fn peak_kib(model: &RunModel) -> u64 {
    model.loads.iter().map(|load| load.memory_kib).max().unwrap_or(0)
}

/// Processors: as measured, or else spread from what each step used. Memory where it was measured.
pub(super) fn draw(model: &RunModel, scale: Scale, top: f64) -> Markup {
    let jobs = model.run.jobs.max(1) as f64;
    let measured = !model.loads.is_empty();
    let loads = if measured { model.loads.clone() } else { spread(model) };
    let most = loads.iter().map(|load| load.cores).fold(jobs, f64::max).min(jobs * 1.5);
    let bottom = top + CPU;
    let room = CPU - SPACE;
    let points: Vec<(u64, f64)> = loads.iter().map(|load| (load.at_ms, load.cores / most)).collect();
    let full = bottom - jobs / most * room;
    let note = if measured { format!("of {} cores", model.run.jobs) } else { "from the steps".to_owned() };
    let peak = peak_kib(model);
    html! {
        (area("cpu", "processor cores kept busy by steps", &points, scale, bottom, room))
        (level("limit", full))
        (title("CPU", &note, bottom - room / 2.0))
        @if peak > 0 { (memory(model, scale, bottom + MEMORY, peak)) }
    }
}

fn memory(model: &RunModel, scale: Scale, bottom: f64, peak_kib: u64) -> Markup {
    let room = MEMORY - SPACE;
    let share = |load: &Load| (load.at_ms, load.memory_kib as f64 / peak_kib as f64);
    let points: Vec<(u64, f64)> = model.loads.iter().map(share).collect();
    let note = format!("up to {}", units::bytes(peak_kib.saturating_mul(1024)));
    html! {
        (area("memory", "memory used by steps", &points, scale, bottom, room))
        (title("memory", &note, bottom - room / 2.0))
    }
}

/// Returns a line from left to right.
fn level(class: &str, y: f64) -> Markup {
    html! { line class=(class) x1=(LEFT) x2=(px(WIDTH - RIGHT)) y1=(px(y)) y2=(px(y)) {} "\n" }
}

fn title(name: &str, note: &str, middle: f64) -> Markup {
    html! {
        text class="row" x="14" y=(px(middle)) { (name) }
        text class="tick" x="14" y=(px(middle + 15.0)) { (note) } "\n"
    }
}

/// Steps of height 0 to 1; each holds from the time before to its own.
fn area(class: &str, title: &str, points: &[(u64, f64)], scale: Scale, bottom: f64, room: f64) -> Markup {
    let mut path = format!("M{LEFT:.1} {bottom:.1}");
    let mut last = LEFT;
    for (at_ms, share) in points {
        let x = scale.x(*at_ms).max(last);
        let y = bottom - share.clamp(0.0, 1.0) * room;
        let _ = write!(path, "L{last:.1} {y:.1}L{x:.1} {y:.1}");
        last = x;
    }
    let _ = write!(path, "L{last:.1} {bottom:.1}Z");
    html! { path class=(class) d=(path) { title { (title) } } (level("grid", bottom)) }
}

/// Returns the load as it would be if every step had used its processors evenly.
fn spread(model: &RunModel) -> Vec<Load> {
    const SLICES: u64 = 240;
    let whole = whole_ms(model);
    let slice = (whole / SLICES).max(1);
    let steps = model.stages.values().flat_map(|stage| &stage.steps);
    let used: Vec<(u64, u64, f64)> = steps
        .filter_map(|step| step.ended.map(|(end, _)| (step.started_ms, end, cpu(&step.usage))))
        .filter(|(start, end, _)| end > start)
        .collect();
    (1..=SLICES)
        .map(|number| {
            let (from, to) = ((number - 1).saturating_mul(slice), number.saturating_mul(slice));
            let within = |(start, end, cpu): &(u64, u64, f64)| {
                let shared = to.min(*end).saturating_sub(from.max(*start));
                let took = Duration::from_millis(end - start).as_secs_f64();
                cpu / took * shared as f64 / slice as f64
            };
            Load { at_ms: to, cores: used.iter().map(within).sum(), tokens: 0, memory_kib: 0 }
        })
        .collect()
}
