//! A run on a terminal: finished stages scroll by, running stages are updated below.
//!
//! The moving lines are composed here to the terminal's width and drawn by one
//! indicatif bar as a whole, at most eight times a second.

use super::failure;
use super::plain::retry;
use super::style::{Line, Style, Tone, harmless, pad, pad_left, shorten};
use super::table::word;
use super::ticker::Ticker;
use super::{Sink, Verbosity};
use crate::base::units;
use crate::run::log::event::{Event, StageOutcome, Stamped};
use crate::run::log::model::{RunModel, Stage, StagePhase};
use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use unicode_width::UnicodeWidthStr as _;

/// Between two drawings.
const PACE: Duration = Duration::from_millis(150);
const HZ: u8 = 8;

/// Draws a run on stderr.
pub struct Terminal {
    screen: Arc<Mutex<Screen>>,
    ticker: Option<Ticker>,
}

impl Terminal {
    /// On stderr, which should be a terminal.
    pub fn new(verbosity: Verbosity) -> Self {
        let term = Term::buffered_stderr();
        let style = Style::of(&std::io::stderr());
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::term(term.clone(), HZ));
        bar.set_style(ProgressStyle::with_template("{msg}").expect("the template is a constant"));
        let screen = Screen { term, bar, style, verbosity, model: RunModel::default(), heard: Instant::now() };
        let screen = Arc::new(Mutex::new(screen));
        let ticked = Arc::clone(&screen);
        Self { screen, ticker: Some(Ticker::start(PACE, move || lock(&ticked).draw())) }
    }
}

fn lock(screen: &Mutex<Screen>) -> MutexGuard<'_, Screen> {
    screen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sink for Terminal {
    fn event(&mut self, event: &Stamped) {
        lock(&self.screen).event(event);
    }

    fn finish(&mut self) {
        self.ticker = None;
        lock(&self.screen).bar.finish_and_clear();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Remove partial output if the run ends early.
        self.finish();
    }
}

struct Screen {
    term: Term,
    bar: ProgressBar,
    style: Style,
    verbosity: Verbosity,
    model: RunModel,
    /// When the latest event came, by this process's clock.
    heard: Instant,
}

impl Screen {
    fn event(&mut self, stamped: &Stamped) {
        self.model.apply(stamped);
        self.heard = Instant::now();
        if let Some(text) = line_of(&self.model, &stamped.event, self.verbosity, self.style) {
            self.bar.println(text);
        }
    }

    fn draw(&self) {
        // Before the first event and after the last there is nothing that moves.
        if self.model.stages.is_empty() || self.model.totals.is_some() {
            return;
        }
        let since = u64::try_from(self.heard.elapsed().as_millis()).unwrap_or(u64::MAX);
        let now_ms = self.model.latest_ms.saturating_add(since);
        let (height, width) = self.term.size();
        // The last column stays free: a full line would wrap on some terminals.
        let width = usize::from(width).saturating_sub(1).max(1);
        let room = usize::from(height).saturating_sub(2).max(1);
        let lines = moving(&self.model, now_ms, width, room);
        let shown: Vec<String> = lines.iter().map(|line| line.fit(width, self.style)).collect();
        self.bar.set_message(shown.join("\n"));
    }
}

/// Returns the scrolling line of an event.
fn line_of(model: &RunModel, event: &Event, verbosity: Verbosity, style: Style) -> Option<String> {
    let verbose = verbosity >= Verbosity::Verbose;
    match event {
        Event::StageFinished { stage, .. } => ended(model.stages.get(stage)?, verbose, style),
        Event::StepFinished { stage, step, ok: true, usage } if verbose => {
            let took = Duration::try_from_secs_f64(usage.wall).unwrap_or_default();
            Some(style.paint(Tone::Dim, &format!("        {stage} {step} {}", units::duration(took))))
        }
        Event::FetchRetry { stage, source, why, next } => {
            Some(format!("{} {}", style.paint(Tone::Warn, "  retry"), retry(stage, source, why, next)))
        }
        Event::Notice { stage, warning, text } => {
            let lead = if *warning { style.paint(Tone::Warn, "   warn") } else { style.paint(Tone::Dim, "   note") };
            let stage = stage.as_ref().map(|stage| format!("{stage}: ")).unwrap_or_default();
            Some(format!("{lead} {stage}{}", harmless(text)))
        }
        _ => None,
    }
}

fn ended(stage: &Stage, verbose: bool, style: Style) -> Option<String> {
    if let Some(failure) = failure::of_stage(stage, style) {
        return Some(failure);
    }
    let StagePhase::Over(state) = &stage.phase else { return None };
    let (word, tone) = word(&stage.phase);
    let lead = style.paint(tone, &pad_left(word, 7));
    let name = style.paint(Tone::Strong, &stage.info.name);
    let more = match state {
        StageOutcome::Cached if !verbose => return None,
        StageOutcome::Blocked { by } => format!("by {by}"),
        StageOutcome::Unsupported { why } | StageOutcome::Skipped { why } | StageOutcome::KnownFailure { why } => {
            harmless(why)
        }
        StageOutcome::Done if stage.has_run() => format!("in {}", units::duration(stage.elapsed(0))),
        _ => String::new(),
    };
    // `fetch/gcc-16.2.0` has its version already.
    let version = if stage.info.name.ends_with(&stage.info.version) { "" } else { &stage.info.version };
    let words = [lead.as_str(), &name, version, &more];
    Some(words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "))
}

/// Returns the lines that move: one for each running stage, then the whole.
fn moving(model: &RunModel, now_ms: u64, width: usize, room: usize) -> Vec<Line> {
    let running = model.running();
    let fit = room.saturating_sub(1);
    // If not all fit, the last line shows the number of stages left out.
    let named = if running.len() > fit { fit.saturating_sub(1) } else { running.len() };
    let widest = |of: fn(&Stage) -> String| running.iter().map(|stage| of(stage).width()).max().unwrap_or(0);
    let (name, step) = (widest(|stage| stage.info.name.to_string()).min(28), widest(step).min(20));
    let mut lines: Vec<Line> = running.iter().take(named).map(|s| stage(s, now_ms, name, step)).collect();
    if running.len() > named && fit > 0 {
        lines.push(Line::default().with(Tone::Dim, format!("  … and {} more", running.len() - named)));
    }
    lines.push(overall(model, now_ms, width));
    lines
}

fn step(stage: &Stage) -> String {
    stage
        .step()
        .map_or_else(|| if stage.is_fetch() { "fetch".to_owned() } else { String::new() }, |s| harmless(&s.name))
}

fn stage(stage: &Stage, now_ms: u64, name: usize, wide: usize) -> Line {
    let line = Line::default()
        .with(Tone::Strong, format!("  {}", pad(&shorten(&stage.info.name, name), name)))
        .with(Tone::Plain, format!("  {}", pad(&shorten(&step(stage), wide), wide)))
        .with(Tone::Plain, format!("  {:>6}  ", units::duration(stage.elapsed(now_ms))));
    match (&stage.phase, &stage.download, &stage.activity) {
        (StagePhase::Waiting { what }, ..) => line.with(Tone::Warn, format!("waiting for {}", harmless(what))),
        (_, Some(download), _) if stage.is_fetch() => line.with(Tone::Dim, bytes(download)),
        (.., Some(activity)) => line.with(Tone::Dim, harmless(activity)),
        _ => line,
    }
}

fn bytes(download: &crate::run::log::model::Download) -> String {
    let mut text = units::bytes(download.done);
    if let Some(total) = download.total.filter(|total| *total > 0) {
        let share = download.done as f64 * 100.0 / total as f64;
        text.push_str(&format!(" of {} ({share:.0} %)", units::bytes(total)));
    }
    if download.rate > 0.0 {
        text.push_str(&format!(", {}/s", units::bytes(download.rate as u64)));
    }
    text
}

fn overall(model: &RunModel, now_ms: u64, width: usize) -> Line {
    let counts = model.counts();
    let mut parts = vec![units::duration(Duration::from_millis(now_ms))];
    if let Some(left) = model.time_left(now_ms).filter(|left| !left.is_zero()) {
        parts.push(format!("about {} left", units::duration(left)));
    }
    if let Some(load) = model.load(now_ms) {
        let jobs = model.run.jobs.max(1);
        parts.push(format!("CPU {:.0} %", 100.0 * load.cores / jobs as f64));
        parts.push(format!("{}/{jobs} tokens", load.tokens));
    }
    let numbers = format!(" {}/{}", counts.over, counts.all);
    let failed = if counts.failed > 0 { format!(" {} failed", counts.failed) } else { String::new() };
    let rest = format!(" {}", parts.join(" · "));
    let room = width.saturating_sub(numbers.width() + failed.width() + rest.width() + 2).min(30);
    let mut line = Line::default().with(Tone::Strong, numbers);
    // Shorter than this it adds nothing to the numbers.
    if room >= 8 {
        let full = (room * counts.over).checked_div(counts.all).unwrap_or(0).min(room);
        line = line.with(Tone::Good, format!(" {}", "━".repeat(full))).with(Tone::Dim, "─".repeat(room - full));
    }
    line.with(Tone::Bad, failed).with(Tone::Plain, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::log::sample;
    use proptest::prelude::*;

    fn drawn(at_ms: u64, width: usize, room: usize) -> String {
        let model = RunModel::of(sample::run().iter().filter(|event| event.at_ms <= at_ms));
        let lines = moving(&model, at_ms, width, room);
        lines.iter().map(|line| line.fit(width, Style::PLAIN) + "\n").collect()
    }

    #[test]
    fn what_runs_is_drawn_to_the_width() {
        insta::assert_snapshot!("fetching", drawn(3_000, 100, 20));
        insta::assert_snapshot!("compiling", drawn(210_000, 100, 20));
        insta::assert_snapshot!("narrow", drawn(210_000, 40, 20));
        insta::assert_snapshot!("low", drawn(3_000, 100, 2));
        insta::assert_snapshot!("waiting", drawn(565_000, 80, 20));
    }

    #[test]
    fn what_is_over_scrolls_by() {
        let mut model = RunModel::default();
        let mut lines = Vec::new();
        for event in sample::run() {
            model.apply(&event);
            lines.extend(line_of(&model, &event.event, Verbosity::Normal, Style::PLAIN));
        }
        insta::assert_snapshot!(lines.join("\n"));
    }

    proptest! {
        #[test]
        fn every_size_is_kept_to(at in 0_u64..600_000, width in 1_usize..200, room in 1_usize..30) {
            let text = drawn(at, width, room);
            prop_assert!(text.lines().count() <= room);
            prop_assert!(text.lines().all(|line| line.width() <= width));
        }
    }
}
