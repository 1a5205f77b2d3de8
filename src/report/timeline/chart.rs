//! The drawing: a band for each row of the table, in it a bar for each stage
//! cut into its steps, and below how busy the processors were.

use super::{escape, seconds, state_word};
use crate::base::units;
use crate::exec::event::{Kind, State};
use crate::report::model::{Load, Phase, Picture, Stage, cpu};
use std::fmt::Write as _;
use std::time::Duration;
use unicode_width::UnicodeWidthStr as _;

/// The drawing's size and the place of the bars in it.
const WIDTH: f64 = 1200.0;
const LEFT: f64 = 120.0;
const RIGHT: f64 = 18.0;
const TOP: f64 = 30.0;
/// One lane: a line of text, the bar, a gap.
const LANE: f64 = 40.0;
const BAR: f64 = 17.0;
const STRIP: f64 = 86.0;
/// A letter's width at the size of the labels, on the wide side.
const LETTER: f64 = 6.6;

/// Where a time is.
#[derive(Clone, Copy)]
struct Scale {
    whole_ms: f64,
}

impl Scale {
    fn x(self, ms: u64) -> f64 {
        LEFT + (ms as f64 / self.whole_ms).clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }
}

/// A row of the table with the lanes its stages need.
struct Band<'a> {
    row: &'a str,
    lanes: Vec<Vec<&'a Stage>>,
}

pub(super) fn draw(picture: &Picture, page: &mut String) {
    let bands = bands(picture);
    if bands.is_empty() {
        return;
    }
    let scale = Scale { whole_ms: whole_ms(picture) as f64 };
    let lanes: usize = bands.iter().map(|band| band.lanes.len()).sum();
    let below = TOP + lanes as f64 * LANE + bands.len() as f64 * 8.0;
    let height = below + STRIP + 26.0;
    page.push_str("<h2>Timeline</h2>\n");
    legend(picture, page);
    let _ = writeln!(
        page,
        "<div class=\"wide\"><svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"timeline of the run\">"
    );
    let stripes = stripes(&bands);
    page.push_str(&stripes);
    ticks(picture, scale, below + STRIP, page);
    let mut y = TOP;
    for band in &bands {
        let middle = y + 4.0 + (band.lanes.len() as f64 * LANE) / 2.0 + 5.0;
        let _ = writeln!(page, "<text class=\"row\" x=\"14\" y=\"{middle:.1}\">{}</text>", escape(band.row));
        for lane in &band.lanes {
            for one in lane {
                stage(one, picture, scale, y + 4.0, page);
            }
            y += LANE;
        }
        y += 8.0;
    }
    strip(picture, scale, below, page);
    page.push_str("</svg></div>\n");
}

/// The time the drawing spans.
fn whole_ms(picture: &Picture) -> u64 {
    let ends = picture.stages.values().filter_map(|stage| stage.ended_ms);
    ends.chain([picture.latest_ms]).max().unwrap_or(0).max(1)
}

fn end_ms(stage: &Stage, picture: &Picture) -> u64 {
    stage.ended_ms.unwrap_or(picture.latest_ms).max(stage.started_ms.unwrap_or(0))
}

/// Stages of a row share a lane where neither their bars nor their names meet.
fn bands(picture: &Picture) -> Vec<Band<'_>> {
    let scale = Scale { whole_ms: whole_ms(picture) as f64 };
    let mut ran: Vec<&Stage> = picture.stages.values().filter(|stage| stage.has_run()).collect();
    ran.sort_by_key(|stage| stage.started_ms);
    let mut bands: Vec<Band<'_>> = Vec::new();
    for stage in ran {
        let row = stage.info.row.as_str();
        let at = match bands.iter().position(|band| band.row == row) {
            Some(at) => at,
            None => {
                bands.push(Band { row, lanes: Vec::new() });
                bands.len() - 1
            }
        };
        let lanes = &mut bands[at].lanes;
        let from = scale.x(stage.started_ms.unwrap_or(0));
        let free = |lane: &Vec<&Stage>| lane.last().is_none_or(|last| right(last, picture, scale) <= from + 0.5);
        match lanes.iter().position(free) {
            Some(lane) => lanes[lane].push(stage),
            None => lanes.push(vec![stage]),
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

fn stripes(bands: &[Band<'_>]) -> String {
    let mut out = String::new();
    let mut y = TOP;
    for (number, band) in bands.iter().enumerate() {
        let height = band.lanes.len() as f64 * LANE + 8.0;
        if number % 2 == 0 {
            let _ =
                writeln!(out, "<rect class=\"stripe\" x=\"0\" y=\"{y:.1}\" width=\"{WIDTH}\" height=\"{height:.1}\"/>");
        }
        y += height;
    }
    out
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
    let name = if matches!(stage.phase, Phase::Over(State::Failed { .. })) { "bad" } else { "name" };
    let _ =
        writeln!(page, "<text class=\"{name}\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>", y + 10.0, escape(&label(stage)));
    let faint = if stage.steps.is_empty() { "" } else { " span" };
    let said = tooltip(stage);
    rect(&format!("bar {kind}{faint}"), x, end, y + 14.0, &said, page);
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
        rect(&format!("bar {class}{odd}"), x, (end - 1.0).max(x), y + 14.0, &told, page);
        let name = escape(&step.name);
        if step.name.width() as f64 * LETTER + 10.0 < end - x {
            let _ = writeln!(page, "<text class=\"in\" x=\"{:.1}\" y=\"{:.1}\">{name}</text>", x + 6.0, y + 26.5);
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

/// How busy the processors were: measured, or else spread from what each step used.
fn strip(picture: &Picture, scale: Scale, top: f64, page: &mut String) {
    let jobs = picture.run.jobs.max(1) as f64;
    let measured = !picture.loads.is_empty();
    let loads = if measured { picture.loads.clone() } else { spread(picture) };
    let most = loads.iter().map(|load| load.cores).fold(jobs, f64::max).min(jobs * 1.5);
    let (bottom, height) = (top + STRIP, STRIP - 22.0);
    let y = |cores: f64| bottom - (cores / most).clamp(0.0, 1.0) * height;
    let mut path = format!("M{LEFT:.1} {bottom:.1}");
    let mut last = LEFT;
    for load in &loads {
        let x = scale.x(load.at_ms).max(last);
        let _ = write!(path, "L{last:.1} {0:.1}L{x:.1} {0:.1}", y(load.cores));
        last = x;
    }
    let _ = write!(path, "L{last:.1} {bottom:.1}Z");
    let full = y(jobs);
    let said = if measured { "CPU" } else { "CPU, from steps" };
    let _ = writeln!(
        page,
        "<path class=\"cpu\" d=\"{path}\"><title>processor cores kept busy by steps</title></path>\n\
         <line class=\"limit\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{full:.1}\" y2=\"{full:.1}\"/>\n\
         <line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{bottom:.1}\" y2=\"{bottom:.1}\"/>\n\
         <text class=\"row\" x=\"14\" y=\"{:.1}\">{said}</text>\n\
         <text class=\"tick\" x=\"14\" y=\"{:.1}\">dashed: {} cores</text>",
        WIDTH - RIGHT,
        WIDTH - RIGHT,
        bottom - height / 2.0,
        bottom - height / 2.0 + 16.0,
        picture.run.jobs,
    );
    memory(picture, scale, bottom, height, page);
}

fn memory(picture: &Picture, scale: Scale, bottom: f64, height: f64, page: &mut String) {
    let most = picture.loads.iter().map(|load| load.memory_kib).max().unwrap_or(0);
    if most == 0 {
        return;
    }
    // A tenth of the height stays free so that the line does not lie on the limit's.
    let y = |kib: u64| bottom - kib as f64 / most as f64 * height * 0.9;
    let points: Vec<String> = picture
        .loads
        .iter()
        .map(|load: &Load| format!("{:.1},{:.1}", scale.x(load.at_ms), y(load.memory_kib)))
        .collect();
    let peak = units::bytes(most.saturating_mul(1024));
    let _ = writeln!(
        page,
        "<polyline class=\"memory\" points=\"{}\"><title>memory of the steps, at most {peak}</title></polyline>\n\
         <text class=\"tick\" x=\"14\" y=\"{:.1}\">line: memory, to {peak}</text>",
        points.join(" "),
        bottom - height / 2.0 + 31.0
    );
}

/// The load as it would be if every step had used its processors evenly.
fn spread(picture: &Picture) -> Vec<Load> {
    const SLICES: u64 = 240;
    let whole = whole_ms(picture);
    let slice = (whole / SLICES).max(1);
    let steps = picture.stages.values().flat_map(|stage| &stage.steps);
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
