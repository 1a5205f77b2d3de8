//! Plain lines with timestamps for a file or a CI log: no carriage returns, no colours.

use super::failure;
use super::style::{Style, harmless};
use super::ticker::Ticker;
use super::{Sink, Verbosity};
use crate::base::{StageName, units};
use crate::run::log::event::{Event, StageOutcome, Stamped, Usage};
use crate::run::log::model::{RunModel, Stage, StagePhase};
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The longest silence while something runs.
const HEARTBEAT_MS: u64 = 60_000;
/// The most consecutive heartbeats: a log may contain any time.
const MOST_BEATS: usize = 120;
/// The most stages a heartbeat names.
const NAMED: usize = 8;

/// Writes plain lines as things happen.
pub struct Plain {
    state: Arc<Mutex<Lines>>,
    ticker: Option<Ticker>,
}

impl Plain {
    /// Writes to `out`.
    pub fn new(out: Box<dyn Write + Send>, verbosity: Verbosity) -> Self {
        let state = Arc::new(Mutex::new(Lines::new(out, verbosity)));
        let ticked = Arc::clone(&state);
        let tick = move || lock(&ticked).beat_if_due();
        Self { state, ticker: Some(Ticker::start(Duration::from_secs(5), tick)) }
    }
}

fn lock(state: &Mutex<Lines>) -> MutexGuard<'_, Lines> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sink for Plain {
    fn event(&mut self, event: &Stamped) {
        lock(&self.state).event(event);
    }

    fn finish(&mut self) {
        self.ticker = None;
        // A closed pipe has no reader; the run continues.
        let _ = lock(&self.state).out.flush();
    }
}

struct Lines {
    out: Box<dyn Write + Send>,
    verbosity: Verbosity,
    model: RunModel,
    said_ms: u64,
    /// When the latest event came, by this process's clock.
    heard: Instant,
}

impl Lines {
    fn new(out: Box<dyn Write + Send>, verbosity: Verbosity) -> Self {
        Self { out, verbosity, model: RunModel::default(), said_ms: 0, heard: Instant::now() }
    }

    fn event(&mut self, stamped: &Stamped) {
        // The beats that were due before it; when a log is replayed no clock gave them.
        for _ in 0..MOST_BEATS {
            let said = self.said_ms;
            if stamped.at_ms.saturating_sub(said) > HEARTBEAT_MS {
                self.beat(said + HEARTBEAT_MS);
            }
            if self.said_ms == said {
                break;
            }
        }
        self.model.apply(stamped);
        self.heard = Instant::now();
        let text = self.line(&stamped.event);
        if let Some(text) = text {
            self.say(stamped.at_ms, &text);
        }
    }

    fn say(&mut self, at_ms: u64, text: &str) {
        self.said_ms = self.said_ms.max(at_ms);
        let seconds = at_ms / 1000;
        let stamp = format!("[{:>3}:{:02}]", seconds / 60, seconds % 60);
        let mut block = String::new();
        for line in text.lines() {
            block.push_str(&format!("{stamp} {line}\n"));
        }
        let _ = self.out.write_all(block.as_bytes()).and_then(|()| self.out.flush());
    }

    fn beat_if_due(&mut self) {
        let since = u64::try_from(self.heard.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.beat(self.model.latest_ms.saturating_add(since));
    }

    fn beat(&mut self, now_ms: u64) {
        let quiet = self.verbosity == Verbosity::Quiet;
        if quiet || now_ms.saturating_sub(self.said_ms) < HEARTBEAT_MS || self.model.totals.is_some() {
            return;
        }
        if let Some(text) = heartbeat(&self.model, now_ms) {
            self.say(now_ms, &text);
        }
    }

    /// Returns the line of an event at this verbosity, if any.
    fn line(&self, event: &Event) -> Option<String> {
        let normal = self.verbosity >= Verbosity::Normal;
        let verbose = self.verbosity >= Verbosity::Verbose;
        match event {
            Event::RunStarted { jobs, memory, .. } if normal => Some(self.opening(*jobs, *memory)),
            Event::StageStarted { stage } if verbose => Some(format!("{stage}: started")),
            Event::StageWaiting { stage, what } if normal => Some(format!("{stage}: waiting for {}", harmless(what))),
            Event::StepStarted { stage, step, log, resumed } if normal => {
                let resumed = if *resumed { " (resumed)" } else { "" };
                let log = if verbose { format!(", log {log}") } else { String::new() };
                Some(format!("{stage}: {step} started{resumed}{log}"))
            }
            Event::StepFinished { stage, step, ok, usage } if verbose => {
                let word = if *ok { "done" } else { "failed" };
                Some(format!("{stage}: {step} {word}{}", used(usage)))
            }
            Event::FetchRetry { stage, source, why, next } if normal => Some(retry(stage, source, why, next)),
            Event::FetchUsed { stage, source, cached: false, bytes } if normal => {
                Some(format!("{stage}: {} from {}", units::bytes(*bytes), harmless(source)))
            }
            Event::Notice { stage, warning, text } if *warning || normal => {
                let lead = if *warning { "warning: " } else { "" };
                let stage = stage.as_ref().map(|stage| format!("{stage}: ")).unwrap_or_default();
                Some(format!("{lead}{stage}{}", harmless(text)))
            }
            Event::StageFinished { stage, .. } => self.ended(self.model.stages.get(stage)?),
            _ => None,
        }
    }

    fn opening(&self, jobs: usize, memory: u64) -> String {
        let counts = self.model.counts();
        format!(
            "run {}: {} stages, {} cached; {jobs} jobs, {} of memory",
            self.model.run.name,
            counts.all,
            counts.cached,
            units::bytes(memory),
        )
    }

    fn ended(&self, stage: &Stage) -> Option<String> {
        let StagePhase::Over(state) = &stage.phase else { return None };
        if let Some(failure) = failure::of_stage(stage, Style::PLAIN) {
            return Some(failure);
        }
        if self.verbosity == Verbosity::Quiet {
            return None;
        }
        let name = &stage.info.name;
        let counts = self.model.counts();
        let so_far = format!("({}/{})", counts.over, counts.all);
        Some(match state {
            StageOutcome::Done => format!("{name}: done{}{} {so_far}", used(&stage.usage), summary(stage)),
            StageOutcome::Cached => format!("{name}: finished already{} {so_far}", summary(stage)),
            StageOutcome::BuiltElsewhere => format!("{name}: built by another crossmill {so_far}"),
            StageOutcome::Pulled => {
                let from = stage.pulled.as_ref().map(|pulled| format!(" from {}", harmless(&pulled.cache)));
                let (from, used) = (from.unwrap_or_default(), used(&stage.usage));
                format!("{name}: pulled{from}{used}{} {so_far}", summary(stage))
            }
            StageOutcome::Blocked { by } => format!("{name}: blocked by {by} {so_far}"),
            StageOutcome::Interrupted => format!("{name}: interrupted"),
            StageOutcome::Unsupported { why } => format!("{name}: unsupported: {} {so_far}", harmless(why)),
            StageOutcome::Skipped { why } => format!("{name}: skipped: {} {so_far}", harmless(why)),
            StageOutcome::KnownFailure { why } => format!("{name}: known-failure: {} {so_far}", harmless(why)),
            StageOutcome::Failed { why } => format!("{name}: failed: {}", harmless(why)),
        })
    }
}

// The findings of a check.
fn summary(stage: &Stage) -> String {
    let summary = stage.check_result.as_ref().and_then(|check_result| check_result.summary.as_deref());
    summary.map(|summary| format!(": {}", harmless(summary))).unwrap_or_default()
}

/// Returns the line about a source that did not serve.
pub(super) fn retry(stage: &StageName, source: &str, why: &str, next: &str) -> String {
    format!("{stage}: {}: {}, {}", harmless(source), reason(source, why), harmless(next))
}

/// Returns why a source did not serve, without the URL that usually is in the reason too.
pub(super) fn reason(source: &str, why: &str) -> String {
    harmless(&why.replace(&format!(" `{source}`"), ""))
}

fn used(usage: &Usage) -> String {
    let wall = Duration::try_from_secs_f64(usage.wall).unwrap_or_default();
    if wall.is_zero() { String::new() } else { format!(" in {}", units::duration(wall)) }
}

/// Returns which steps run and how long it may still take.
fn heartbeat(model: &RunModel, now_ms: u64) -> Option<String> {
    let running = model.running();
    if running.is_empty() {
        return None;
    }
    let name = |stage: &&Stage| {
        let doing = match (&stage.phase, stage.step(), &stage.download) {
            (StagePhase::Waiting { what }, ..) => format!(" waiting for {}", harmless(what)),
            (_, Some(step), _) => format!(" {}", step.name),
            (_, None, Some(download)) => format!(" {}", units::bytes(download.done)),
            _ => String::new(),
        };
        format!("{}{doing} {}", stage.info.name, units::duration(stage.elapsed(now_ms)))
    };
    let mut names: Vec<String> = running.iter().take(NAMED).map(name).collect();
    if running.len() > NAMED {
        names.push(format!("{} more", running.len() - NAMED));
    }
    let counts = model.counts();
    let left = match model.time_left(now_ms) {
        Some(left) => format!(", about {} left", units::duration(left)),
        None => String::new(),
    };
    Some(format!("{}/{} stages{left}; running: {}", counts.over, counts.all, names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::log::sample;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn shown(verbosity: Verbosity) -> String {
        let out = Shared::default();
        let mut plain = Plain::new(Box::new(out.clone()), verbosity);
        sample::run().iter().for_each(|event| plain.event(event));
        plain.finish();
        let bytes = out.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_run_reads_as_lines() {
        insta::assert_snapshot!("normal", shown(Verbosity::Normal));
        insta::assert_snapshot!("verbose", shown(Verbosity::Verbose));
    }

    #[test]
    fn quiet_tells_failures_and_warnings_only() {
        insta::assert_snapshot!("quiet", shown(Verbosity::Quiet));
    }

    #[test]
    fn no_line_moves_the_cursor() {
        assert!(!shown(Verbosity::Verbose).contains(['\r', '\x1b']));
    }

    #[test]
    fn a_step_that_hangs_is_named_once_a_minute() {
        let out = Shared::default();
        let mut lines = Lines::new(Box::new(out.clone()), Verbosity::Normal);
        sample::run().iter().take_while(|e| e.at_ms <= 3_000).for_each(|event| lines.event(event));
        let before = out.0.lock().unwrap().len();
        (0..=130).for_each(|second| lines.beat(10_000 + second * 1000));
        let text = String::from_utf8(out.0.lock().unwrap()[before..].to_vec()).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("running: "), "{text}");
    }
}
