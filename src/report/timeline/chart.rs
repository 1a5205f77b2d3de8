//! The drawing: a band for each row of the table, in it a bar for each stage
//! cut into its steps, and below how busy the processors were.

use super::scale::{Scale, WIDTH, px, whole_ms};
use super::{clean, seconds, state_word, strip};
use crate::base::units;
use crate::run::log::event::{Kind, StageOutcome};
use crate::run::log::model::{RunModel, Stage, StagePhase, Step, cpu};
use maud::{Markup, PreEscaped, html};
use std::fmt::Write as _;
use std::time::Duration;
use unicode_width::UnicodeWidthStr as _;

const TOP: f64 = 30.0;
/// Height of a lane: a line of text, the bar, a gap.
const LANE: f64 = 40.0;
/// A lane of short bars with their name behind them.
const SLIM_LANE: f64 = 22.0;
const BAR: f64 = 17.0;
/// Between two bands.
const GAP: f64 = 8.0;
/// Around a picture of its own.
const MARGIN: f64 = 10.0;
/// A letter's width at the size of the labels, on the wide side.
const LETTER: f64 = 6.6;

/// A row of the table with the lanes its stages need.
struct Band<'a> {
    row: &'a str,
    lanes: Vec<Vec<&'a Stage>>,
    /// Whether it only fetches and unpacks sources: many short stages, a lane for each package.
    slim: bool,
}

impl Band<'_> {
    fn lane(&self) -> f64 {
        if self.slim { SLIM_LANE } else { LANE }
    }

    fn height(&self) -> f64 {
        self.lanes.len() as f64 * self.lane() + GAP
    }
}

/// The colours, and what the drawing is styled with.
pub(super) const STYLE: &str = include_str!("chart.css");

pub(in crate::report) fn draw(model: &RunModel) -> Markup {
    let Some((height, drawing)) = drawing(model) else { return html! {} };
    html! {
        h2 { "Timeline" } "\n"
        (legend(model))
        div class="wide" {
            svg viewBox={ "0 0 " (WIDTH) " " (format!("{height:.0}")) } role="img" aria-label="timeline of the run" {
                "\n"
                (drawing)
            }
        }
        "\n"
    }
}

/// Returns the drawing as a picture that needs no other file, with the command and the totals above it.
pub(in crate::report) fn picture(model: &RunModel) -> Markup {
    const HEAD: f64 = 66.0;
    let (below, drawing) = drawing(model).unwrap_or_else(|| (0.0, html! {}));
    let (width, height) = (WIDTH + 2.0 * MARGIN, HEAD + below + MARGIN);
    html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (width) " " (format!("{height:.0}")) } role="img" {
            "\n" title { "timeline of the run " (clean(&model.run.name)) }
            "\n" style { "\n" (PreEscaped(STYLE)) }
            "\n" rect class="page" width=(width) height=(px(height)) rx="8" {}
            "\n" text class="head" x=(MARGIN + 14.0) y="34" { (clean(&command(model))) }
            "\n" text class="name" x=(MARGIN + 14.0) y="54" { (summary(model)) }
            "\n"
            @for (number, (class, word)) in kinds(model).iter().rev().enumerate() {
                @let x = width - MARGIN - 90.0 * (number as f64 + 1.0);
                rect class=(class) x=(px(x)) y="44" width="12" height="12" rx="3" {}
                text class="name" x=(px(x + 18.0)) y="54" { (word) } "\n"
            }
            g transform={ "translate(" (MARGIN) " " (HEAD) ")" } { "\n" (drawing) }
            "\n"
        }
        "\n"
    }
}

/// Returns the command as it was given; the program without its directories.
fn command(model: &RunModel) -> String {
    let mut words = model.run.command.clone();
    if let Some(program) = words.first_mut() {
        *program = program.rsplit('/').next().unwrap_or_default().to_owned();
    }
    words.join(" ")
}

fn summary(model: &RunModel) -> String {
    let counts = model.counts();
    let time = match &model.totals {
        Some(totals) => format!("{}, {} of processor time", seconds(totals.wall), seconds(totals.cpu)),
        None => format!("{} so far", units::duration(Duration::from_millis(model.latest_ms))),
    };
    let failed = if counts.failed > 0 { format!(", {} failed", counts.failed) } else { String::new() };
    format!("{} of {} stages{failed}, {time}, {} jobs", counts.over, counts.all, model.run.jobs)
}

/// Returns the height of the drawing and what it consists of; `None` if nothing has run.
fn drawing(model: &RunModel) -> Option<(f64, Markup)> {
    let bands = bands(model);
    if bands.is_empty() {
        return None;
    }
    let scale = Scale { whole_ms: whole_ms(model) as f64 };
    let below = TOP + bands.iter().map(Band::height).sum::<f64>();
    let bottom = below + strip::height(model);
    let drawing = html! {
        (stripes(&bands))
        (ticks(model, scale, bottom))
        @for (band, top) in bands.iter().zip(tops(&bands)) { (draw_band(band, top, model, scale)) }
        (strip::draw(model, scale, below))
    };
    Some((bottom + 14.0, drawing))
}

/// Returns where each band begins.
fn tops(bands: &[Band<'_>]) -> Vec<f64> {
    let begin = |y: &mut f64, band: &Band<'_>| Some(std::mem::replace(y, *y + band.height()));
    bands.iter().scan(TOP, begin).collect()
}

fn draw_band(band: &Band<'_>, top: f64, model: &RunModel, scale: Scale) -> Markup {
    let bar = |number: usize| {
        let lane = top + GAP / 2.0 + number as f64 * band.lane();
        if band.slim { lane + 3.0 } else { lane + 14.0 }
    };
    html! {
        text class="row" x="14" y=(px(top + band.height() / 2.0 + 5.0)) { (clean(band.row)) } "\n"
        @for (number, lane) in band.lanes.iter().enumerate() {
            @for one in lane { (stage(one, model, scale, bar(number))) }
            @if band.slim {
                (names_behind(lane, model, scale, bar(number)))
            } @else {
                @for one in lane { (name_above(one, scale, bar(number))) }
            }
        }
    }
}

fn end_ms(stage: &Stage, model: &RunModel) -> u64 {
    stage.ended_ms.unwrap_or(model.latest_ms).max(stage.started_ms.unwrap_or(0))
}

/// Returns the rows in the table's order. Stages of a row share a lane where neither their bars nor
/// their names meet.
fn bands(model: &RunModel) -> Vec<Band<'_>> {
    let scale = Scale { whole_ms: whole_ms(model) as f64 };
    let mut bands: Vec<Band<'_>> = Vec::new();
    for stage in model.stages.values().filter(|stage| stage.has_run()) {
        if !bands.iter().any(|band| band.row == stage.info.scope) {
            bands.push(Band { row: &stage.info.scope, lanes: Vec::new(), slim: false });
        }
    }
    for band in &mut bands {
        let here = |stage: &&Stage| stage.has_run() && stage.info.scope == band.row;
        let mut stages: Vec<&Stage> = model.stages.values().filter(here).collect();
        stages.sort_by_key(|stage| stage.started_ms);
        band.slim = stages.iter().all(|stage| matches!(stage.info.kind, Kind::Fetch | Kind::Unpack));
        for stage in stages {
            let from = scale.x(stage.started_ms.unwrap_or(0));
            let free = |lane: &&mut Vec<&Stage>| match lane.last() {
                Some(last) if band.slim => last.info.package == stage.info.package,
                Some(last) => right(last, model, scale) <= from + 0.5,
                None => true,
            };
            match band.lanes.iter_mut().find(free) {
                Some(lane) => lane.push(stage),
                None => band.lanes.push(vec![stage]),
            }
        }
    }
    bands
}

/// Returns how far to the right a stage's bar and name reach.
fn right(stage: &Stage, model: &RunModel, scale: Scale) -> f64 {
    let name = scale.x(stage.started_ms.unwrap_or(0)) + label(stage).width() as f64 * LETTER;
    scale.x(end_ms(stage, model)).max(name)
}

fn label(stage: &Stage) -> String {
    let time = units::duration(stage.elapsed(stage.ended_ms.unwrap_or(0)));
    if stage.ended_ms.is_some() { format!("{} {time}", stage.info.package) } else { stage.info.package.clone() }
}

/// Returns the name of a stage above its bar; at the right edge it ends where the drawing does.
fn name_above(stage: &Stage, scale: Scale, bar: f64) -> Markup {
    let x = scale.x(stage.started_ms.unwrap_or(0));
    let text = label(stage);
    let is_beyond = x + text.width() as f64 * LETTER > WIDTH;
    name(&text, if is_beyond { WIDTH - 4.0 } else { x }, bar - 4.0, is_beyond, is_failed(stage))
}

/// Returns the name of a package behind the last of its bars, with their time.
fn names_behind(lane: &[&Stage], model: &RunModel, scale: Scale, bar: f64) -> Markup {
    let Some(last) = lane.last() else { return html! {} };
    let end = lane.iter().map(|stage| scale.x(end_ms(stage, model))).fold(0.0, f64::max);
    let took: Duration = lane.iter().map(|stage| stage.elapsed(model.latest_ms)).sum();
    let text = format!("{} {}", last.info.package, units::duration(took));
    let is_beyond = end + text.width() as f64 * LETTER > WIDTH;
    let x = if is_beyond { scale.x(last.started_ms.unwrap_or(0)) - 6.0 } else { end + 6.0 };
    name(&text, x, bar + 12.5, is_beyond, lane.iter().any(|stage| is_failed(stage)))
}

/// Returns a name that begins, or ends, at `x`.
fn name(text: &str, x: f64, y: f64, ends: bool, failed: bool) -> Markup {
    let class = if failed { "bad" } else { "name" };
    html! { text class=(class) x=(px(x)) y=(px(y)) text-anchor=[ends.then_some("end")] { (clean(text)) } "\n" }
}

fn is_failed(stage: &Stage) -> bool {
    matches!(stage.phase, StagePhase::Over(StageOutcome::Failed { .. }))
}

fn stripes(bands: &[Band<'_>]) -> Markup {
    html! {
        @for (band, top) in bands.iter().zip(tops(bands)).step_by(2) {
            rect class="stripe" x="0" y=(px(top)) width=(WIDTH) height=(px(band.height())) {} "\n"
        }
    }
}

/// Returns the smallest round step that gives no more than a dozen ticks.
fn tick_step(whole_ms: u64) -> u64 {
    const ROUND: [u64; 18] =
        [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400];
    let seconds = whole_ms / 1000;
    ROUND.into_iter().find(|step| seconds / step <= 12).unwrap_or_else(|| (seconds / 12).max(86_400)) * 1000
}

fn ticks(model: &RunModel, scale: Scale, bottom: f64) -> Markup {
    let whole = whole_ms(model);
    let step = tick_step(whole);
    html! {
        @for ms in (0..=whole / step).map(|number| number * step) {
            line class="grid" x1=(px(scale.x(ms))) x2=(px(scale.x(ms))) y1=(TOP) y2=(px(bottom)) {}
            text class="tick" x=(px(scale.x(ms))) y="20" text-anchor="middle" { (tick(ms, step, whole)) } "\n"
        }
    }
}

fn tick(ms: u64, step: u64, whole: u64) -> String {
    match ms / 1000 {
        0 => "0".to_owned(),
        s if step < 60_000 => format!("{}:{:02}", s / 60, s % 60),
        s if whole < 7_200_000 => format!("{} min", s / 60),
        s => format!("{}:{:02} h", s / 3600, s / 60 % 60),
    }
}

fn kind_class(kind: Kind) -> &'static str {
    match kind {
        Kind::Fetch => "fetch",
        Kind::Unpack => "unpack",
        Kind::Build => "build",
        Kind::Check => "check",
    }
}

fn stage(stage: &Stage, model: &RunModel, scale: Scale, y: f64) -> Markup {
    let (from, to) = (stage.started_ms.unwrap_or(0), end_ms(stage, model));
    let kind = match &stage.phase {
        StagePhase::Over(StageOutcome::Failed { .. }) if stage.steps.is_empty() => "failed",
        StagePhase::Over(StageOutcome::Interrupted) if stage.steps.is_empty() => "stopped",
        _ => kind_class(stage.info.kind),
    };
    let faint = if stage.steps.is_empty() { "" } else { " span" };
    html! {
        (rect(&format!("bar {kind}{faint}"), scale.x(from), scale.x(to), y, &tooltip(stage)))
        @for (number, step) in stage.steps.iter().enumerate() { (draw_step(stage, step, number, kind, to, scale, y)) }
    }
}

fn draw_step(stage: &Stage, step: &Step, number: usize, kind: &str, to: u64, scale: Scale, y: f64) -> Markup {
    let (over, ok) = step.ended.map_or((to, true), |(at, ok)| (at, ok));
    let (x, end) = (scale.x(step.started_ms), scale.x(over.max(step.started_ms)));
    let class = match &stage.phase {
        _ if !ok => "failed",
        StagePhase::Over(StageOutcome::Interrupted) if step.ended.is_none() => "stopped",
        _ => kind,
    };
    let odd = if number % 2 == 1 { " odd" } else { "" };
    let mut details = format!("{} {}", stage.info.name, step.name);
    if step.ended.is_some() {
        let cores = if step.usage.wall > 0.0 { cpu(&step.usage) / step.usage.wall } else { 0.0 };
        let _ = write!(details, "\n{}, {cores:.1} cores", seconds(step.usage.wall));
        let _ = write!(details, ", {} largest process", units::bytes(step.usage.max_rss_kib.saturating_mul(1024)));
    }
    let fits = step.name.width() as f64 * LETTER + 10.0 < end - x;
    html! {
        // A hair between two steps keeps them apart.
        (rect(&format!("bar {class}{odd}"), x, (end - 1.0).max(x), y, &details))
        @if fits { text class="in" x=(px(x + 6.0)) y=(px(y + 12.5)) { (clean(&step.name)) } "\n" }
    }
}

fn tooltip(stage: &Stage) -> String {
    let mut title = format!("{} {}\n{}", stage.info.name, stage.info.version, state_word(&stage.phase));
    match &stage.phase {
        StagePhase::Over(StageOutcome::Failed { why }) => {
            let _ = write!(title, ": {why}");
        }
        StagePhase::Waiting { what } => {
            let _ = write!(title, " for {what}");
        }
        _ => {}
    }
    if let Some(ended) = stage.ended_ms {
        let _ = write!(title, ", {}", units::duration(stage.elapsed(ended)));
    }
    if let Some(source) = &stage.source {
        let _ = write!(title, "\n{}, {}", source.source, units::bytes(source.bytes));
    }
    title
}

fn rect(class: &str, x: f64, end: f64, y: f64, title: &str) -> Markup {
    let width = (end - x).max(1.5);
    let round = (width / 2.0).min(3.0);
    html! {
        rect class=(class) x=(px(x)) y=(px(y)) width=(px(width)) height=(BAR) rx=(px(round)) {
            title { (clean(title)) }
        }
        "\n"
    }
}

/// Returns the kinds of stages that the drawing shows: class and word.
fn kinds(model: &RunModel) -> Vec<(&'static str, &'static str)> {
    let ran = |kind: &Kind| model.stages.values().any(|stage| stage.has_run() && stage.info.kind == *kind);
    let kinds = [Kind::Fetch, Kind::Unpack, Kind::Build, Kind::Check].into_iter().filter(ran).map(kind_class);
    let failed = (model.counts().failed > 0).then_some(("failed", "failed"));
    let stopped = model.stages.values().any(|stage| stage.phase == StagePhase::Over(StageOutcome::Interrupted));
    let stopped = stopped.then_some(("stopped", "interrupted"));
    kinds.map(|class| (class, class)).chain(failed).chain(stopped).collect()
}

fn legend(model: &RunModel) -> Markup {
    html! {
        p class="legend" {
            @for (class, word) in kinds(model) { span { i class=(class) {} (word) } }
        }
        "\n"
    }
}
