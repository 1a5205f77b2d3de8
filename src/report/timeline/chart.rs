//! The drawing: a band for each row of the table, in it a bar for each stage
//! cut into its steps, and below how busy the processors were.

use super::{escape, seconds, state_word, strip};
use crate::base::units;
use crate::exec::event::{Kind, State};
use crate::report::model::{Phase, Picture, Stage, cpu};
use std::fmt::Write as _;
use std::time::Duration;
use unicode_width::UnicodeWidthStr as _;

/// The drawing's size and the place of the bars in it.
pub(super) const WIDTH: f64 = 1200.0;
pub(super) const LEFT: f64 = 120.0;
/// Room for the name of a stage that ends last.
pub(super) const RIGHT: f64 = 64.0;
const TOP: f64 = 30.0;
/// One lane: a line of text, the bar, a gap.
const LANE: f64 = 40.0;
/// A lane of short bars with their name behind them.
const SLIM_LANE: f64 = 22.0;
const BAR: f64 = 17.0;
/// Between two bands.
const GAP: f64 = 8.0;
/// A letter's width at the size of the labels, on the wide side.
const LETTER: f64 = 6.6;

/// Where a time is.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    whole_ms: f64,
}

impl Scale {
    pub(super) fn x(self, ms: u64) -> f64 {
        LEFT + (ms as f64 / self.whole_ms).clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }
}

/// A row of the table with the lanes its stages need.
struct Band<'a> {
    row: &'a str,
    lanes: Vec<Vec<&'a Stage>>,
    /// Whether it only brings sources: many short stages, a lane for each package.
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

pub(super) fn draw(picture: &Picture, page: &mut String) {
    let bands = bands(picture);
    if bands.is_empty() {
        return;
    }
    let scale = Scale { whole_ms: whole_ms(picture) as f64 };
    let below = TOP + bands.iter().map(Band::height).sum::<f64>();
    let strips = strip::height(picture);
    let height = below + strips + 14.0;
    page.push_str("<h2>Timeline</h2>\n");
    legend(picture, page);
    let _ = writeln!(
        page,
        "<div class=\"wide\"><svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"timeline of the run\">"
    );
    stripes(&bands, page);
    ticks(picture, scale, below + strips, page);
    let mut y = TOP;
    for band in &bands {
        let middle = y + band.height() / 2.0 + 5.0;
        let _ = writeln!(page, "<text class=\"row\" x=\"14\" y=\"{middle:.1}\">{}</text>", escape(band.row));
        for (number, lane) in band.lanes.iter().enumerate() {
            let top = y + GAP / 2.0 + number as f64 * band.lane();
            let bar = if band.slim { top + 3.0 } else { top + 14.0 };
            lane.iter().for_each(|one| stage(one, picture, scale, bar, page));
            if band.slim {
                names_behind(lane, picture, scale, bar, page);
            } else {
                lane.iter().for_each(|one| name_above(one, scale, bar, page));
            }
        }
        y += band.height();
    }
    strip::draw(picture, scale, below, page);
    page.push_str("</svg></div>\n");
}

/// The time the drawing spans.
pub(super) fn whole_ms(picture: &Picture) -> u64 {
    let ends = picture.stages.values().filter_map(|stage| stage.ended_ms);
    ends.chain([picture.latest_ms]).max().unwrap_or(0).max(1)
}

fn end_ms(stage: &Stage, picture: &Picture) -> u64 {
    stage.ended_ms.unwrap_or(picture.latest_ms).max(stage.started_ms.unwrap_or(0))
}

/// The rows in the table's order. Stages of a row share a lane where neither
/// their bars nor their names meet.
fn bands(picture: &Picture) -> Vec<Band<'_>> {
    let scale = Scale { whole_ms: whole_ms(picture) as f64 };
    let mut bands: Vec<Band<'_>> = Vec::new();
    for stage in picture.stages.values().filter(|stage| stage.has_run()) {
        if !bands.iter().any(|band| band.row == stage.info.row) {
            bands.push(Band { row: &stage.info.row, lanes: Vec::new(), slim: false });
        }
    }
    for band in &mut bands {
        let here = |stage: &&Stage| stage.has_run() && stage.info.row == band.row;
        let mut stages: Vec<&Stage> = picture.stages.values().filter(here).collect();
        stages.sort_by_key(|stage| stage.started_ms);
        band.slim = stages.iter().all(|stage| matches!(stage.info.kind, Kind::Fetch | Kind::Unpack));
        for stage in stages {
            let from = scale.x(stage.started_ms.unwrap_or(0));
            let free = |lane: &&mut Vec<&Stage>| match lane.last() {
                Some(last) if band.slim => last.info.column == stage.info.column,
                Some(last) => right(last, picture, scale) <= from + 0.5,
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

/// How far to the right a stage's bar and name reach.
fn right(stage: &Stage, picture: &Picture, scale: Scale) -> f64 {
    let name = scale.x(stage.started_ms.unwrap_or(0)) + label(stage).width() as f64 * LETTER;
    scale.x(end_ms(stage, picture)).max(name)
}

fn label(stage: &Stage) -> String {
    let time = units::duration(stage.elapsed(stage.ended_ms.unwrap_or(0)));
    if stage.ended_ms.is_some() { format!("{} {time}", stage.info.column) } else { stage.info.column.clone() }
}

/// The name of a stage above its bar; at the right edge it ends where the drawing does.
fn name_above(stage: &Stage, scale: Scale, bar: f64, page: &mut String) {
    let x = scale.x(stage.started_ms.unwrap_or(0));
    let text = label(stage);
    let (x, anchor) =
        if x + text.width() as f64 * LETTER > WIDTH { (WIDTH - 4.0, " text-anchor=\"end\"") } else { (x, "") };
    let class = if is_failed(stage) { "bad" } else { "name" };
    let y = bar - 4.0;
    let _ = writeln!(page, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\"{anchor}>{}</text>", escape(&text));
}

/// The name of a package behind the last of its bars, with their time.
fn names_behind(lane: &[&Stage], picture: &Picture, scale: Scale, bar: f64, page: &mut String) {
    let Some(last) = lane.last() else { return };
    let end = lane.iter().map(|stage| scale.x(end_ms(stage, picture))).fold(0.0, f64::max);
    let took: Duration = lane.iter().map(|stage| stage.elapsed(picture.latest_ms)).sum();
    let class = if lane.iter().any(|stage| is_failed(stage)) { "bad" } else { "name" };
    let text = format!("{} {}", last.info.column, units::duration(took));
    let (x, anchor) = if end + text.width() as f64 * LETTER > WIDTH {
        (scale.x(last.started_ms.unwrap_or(0)) - 6.0, " text-anchor=\"end\"")
    } else {
        (end + 6.0, "")
    };
    let y = bar + 12.5;
    let _ = writeln!(page, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\"{anchor}>{}</text>", escape(&text));
}

fn is_failed(stage: &Stage) -> bool {
    matches!(stage.phase, Phase::Over(State::Failed { .. }))
}

fn stripes(bands: &[Band<'_>], page: &mut String) {
    let mut y = TOP;
    for (number, band) in bands.iter().enumerate() {
        let height = band.height();
        if number % 2 == 0 {
            let _ = writeln!(
                page,
                "<rect class=\"stripe\" x=\"0\" y=\"{y:.1}\" width=\"{WIDTH}\" height=\"{height:.1}\"/>"
            );
        }
        y += height;
    }
}

/// The smallest round step that gives no more than a dozen ticks.
fn tick_step(whole_ms: u64) -> u64 {
    const ROUND: [u64; 18] =
        [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400];
    let seconds = whole_ms / 1000;
    ROUND.into_iter().find(|step| seconds / step <= 12).unwrap_or_else(|| (seconds / 12).max(86_400)) * 1000
}

fn ticks(picture: &Picture, scale: Scale, bottom: f64, page: &mut String) {
    let whole = whole_ms(picture);
    let step = tick_step(whole);
    for number in 0..=whole / step {
        let ms = number * step;
        let x = scale.x(ms);
        let text = match ms / 1000 {
            0 => "0".to_owned(),
            s if step < 60_000 => format!("{}:{:02}", s / 60, s % 60),
            s if whole < 7_200_000 => format!("{} min", s / 60),
            s => format!("{}:{:02} h", s / 3600, s / 60 % 60),
        };
        let _ = writeln!(
            page,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom:.1}\"/>\
             <text class=\"tick\" x=\"{x:.1}\" y=\"20\" text-anchor=\"middle\">{text}</text>"
        );
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

fn stage(stage: &Stage, picture: &Picture, scale: Scale, y: f64, page: &mut String) {
    let (from, to) = (stage.started_ms.unwrap_or(0), end_ms(stage, picture));
    let (x, end) = (scale.x(from), scale.x(to));
    let kind = match &stage.phase {
        Phase::Over(State::Failed { .. }) if stage.steps.is_empty() => "failed",
        Phase::Over(State::Interrupted) if stage.steps.is_empty() => "stopped",
        _ => kind_class(stage.info.kind),
    };
    let faint = if stage.steps.is_empty() { "" } else { " span" };
    let said = tooltip(stage);
    rect(&format!("bar {kind}{faint}"), x, end, y, &said, page);
    for (number, step) in stage.steps.iter().enumerate() {
        let (over, ok) = step.ended.map_or((to, true), |(at, ok)| (at, ok));
        let (x, end) = (scale.x(step.started_ms), scale.x(over.max(step.started_ms)));
        let class = match &stage.phase {
            _ if !ok => "failed",
            Phase::Over(State::Interrupted) if step.ended.is_none() => "stopped",
            _ => kind,
        };
        let odd = if number % 2 == 1 { " odd" } else { "" };
        let mut told = format!("{} {}", stage.info.name, step.name);
        if step.ended.is_some() {
            let cores = if step.usage.wall > 0.0 { cpu(&step.usage) / step.usage.wall } else { 0.0 };
            let _ = write!(told, "\n{}, {cores:.1} cores", seconds(step.usage.wall));
            let _ = write!(told, ", {} largest process", units::bytes(step.usage.max_rss_kib.saturating_mul(1024)));
        }
        // A hair between two steps keeps them apart.
        rect(&format!("bar {class}{odd}"), x, (end - 1.0).max(x), y, &told, page);
        let name = escape(&step.name);
        if step.name.width() as f64 * LETTER + 10.0 < end - x {
            let _ = writeln!(page, "<text class=\"in\" x=\"{:.1}\" y=\"{:.1}\">{name}</text>", x + 6.0, y + 12.5);
        }
    }
}

fn tooltip(stage: &Stage) -> String {
    let mut told = format!("{} {}\n{}", stage.info.name, stage.info.version, state_word(&stage.phase));
    match &stage.phase {
        Phase::Over(State::Failed { why }) => {
            let _ = write!(told, ": {why}");
        }
        Phase::Waiting { what } => {
            let _ = write!(told, " for {what}");
        }
        _ => {}
    }
    if let Some(ended) = stage.ended_ms {
        let _ = write!(told, ", {}", units::duration(stage.elapsed(ended)));
    }
    if let Some(source) = &stage.source {
        let _ = write!(told, "\n{}, {}", source.source, units::bytes(source.bytes));
    }
    told
}

fn rect(class: &str, x: f64, end: f64, y: f64, title: &str, page: &mut String) {
    let width = (end - x).max(1.5);
    let round = (width / 2.0).min(3.0);
    let _ = writeln!(
        page,
        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR}\" rx=\"{round:.1}\">\
         <title>{}</title></rect>",
        escape(title)
    );
}

fn legend(picture: &Picture, page: &mut String) {
    let ran = |kind: Kind| picture.stages.values().any(|stage| stage.has_run() && stage.info.kind == kind);
    page.push_str("<p class=\"legend\">");
    for kind in [Kind::Fetch, Kind::Unpack, Kind::Build, Kind::Check].into_iter().filter(|kind| ran(*kind)) {
        let class = kind_class(kind);
        let _ = write!(page, "<span><i class=\"{class}\"></i>{class}</span>");
    }
    if picture.counts().failed > 0 {
        page.push_str("<span><i class=\"failed\"></i>failed</span>");
    }
    if picture.stages.values().any(|stage| stage.phase == Phase::Over(State::Interrupted)) {
        page.push_str("<span><i class=\"stopped\"></i>interrupted</span>");
    }
    page.push_str("</p>\n");
}
