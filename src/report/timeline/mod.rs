//! A run as one HTML file that needs nothing else: what ran when, how busy the
//! machine was, the table, the failures. Drawn from the events alone; every
//! text is escaped by the type that markup has.

pub(super) mod chart;
mod scale;
mod strip;

use super::failure;
use super::style::Tone;
use super::table::{Cell, Table, totals};
use crate::base::units;
use crate::run::log::event::RunEnd;
use crate::run::log::event::StageOutcome;
use crate::run::log::model::{RunModel, Stage, StagePhase};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::time::Duration;

/// Returns the page for the run in `model`, finished or not.
pub fn html(model: &RunModel) -> String {
    let body = html! {
        (head(model))
        (chart::draw(model))
        (table(model))
        (failures(model))
    };
    page(&model.run.name, &html! {}, &body)
}

/// Returns a page with the style of all pages; `style` is added to it.
pub(super) fn page(name: &str, style: &Markup, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE) "\n"
        html lang="en" {
            "\n" meta charset="utf-8";
            "\n" meta name="viewport" content="width=device-width";
            "\n" title { "crossmill run " (clean(name)) }
            "\n" style { "\n" (PreEscaped(chart::STYLE)) (PreEscaped(include_str!("style.css"))) (style) }
            "\n" main { "\n" (body) }
            "\n"
        }
        "\n"
    };
    page.into_string()
}

/// Text from outside without control characters, which `html!` leaves as they are.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}

pub(super) fn seconds(seconds: f64) -> String {
    units::duration(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

pub(super) fn head(model: &RunModel) -> Markup {
    let (word, class) = match &model.totals {
        _ if model.counts().failed > 0 => ("failed", "bad"),
        Some(totals) if totals.end == RunEnd::Done => ("done", "good"),
        Some(_) => ("incomplete", "warn"),
        None => ("not finished", "warn"),
    };
    let run = &model.run;
    html! {
        header {
            "\n" h1 { (clean(&run.name)) " " span class={ "badge " (class) } { (word) } }
            "\n" p class="quiet" { code { (clean(&run.command.join(" "))) } }
            "\n" p class="quiet" {
                (clean(&run.started)) " · crossmill " (clean(&run.version)) " · " (run.jobs) " jobs"
            }
            "\n"
        }
        "\n" dl class="tiles" {
            "\n"
            @for (name, value, note) in tiles(model) {
                div { dt { (name) } dd { (value) } dd class="quiet" { (note) } } "\n"
            }
        }
        "\n"
    }
}

/// Returns the figures at the top: name, value, note.
fn tiles(model: &RunModel) -> Vec<(&'static str, String, String)> {
    let (run, counts) = (&model.run, model.counts());
    let jobs = run.jobs.max(1) as f64;
    let share = |cpu: f64, wall: f64| {
        let share = 100.0 * cpu / (wall * jobs);
        if wall > 0.0 && share.is_finite() { format!("{share:.0} %") } else { "–".to_owned() }
    };
    let note = format!("{} failed, {} cached", counts.failed, counts.cached);
    let mut tiles = vec![("stages", format!("{} of {}", counts.over, counts.all), note)];
    match &model.totals {
        Some(totals) => {
            tiles.push(("time", seconds(totals.wall), format!("CPU {:.0} s", totals.cpu)));
            let busy = format!("of {} cores, the whole run", run.jobs);
            tiles.push(("CPU", share(totals.cpu, totals.wall), busy));
            let note = "outside fetch and final tail".to_owned();
            tiles.push(("CPU, building", share(totals.busy_cpu, totals.busy_wall), note));
            if totals.peak_kib > 0 {
                let peak = units::bytes(totals.peak_kib.saturating_mul(1024));
                tiles.push(("memory", peak, format!("peak, of {} planned with", units::bytes(run.memory))));
            }
        }
        None => tiles.push(("time", units::duration(Duration::from_millis(model.latest_ms)), "so far".to_owned())),
    }
    tiles
}

pub(super) fn tone_class(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Bad => "bad",
        Tone::Warn => "warn",
        Tone::Dim => "quiet",
        Tone::Plain | Tone::Strong => "",
    }
}

fn table(model: &RunModel) -> Markup {
    let table = Table::of(model);
    let lines = totals(model);
    html! {
        @if !table.rows.is_empty() {
            h2 { "Results" } "\n"
            div class="wide" {
                table {
                    "\n" thead { tr { th {} @for column in &table.columns { th scope="col" { (clean(column)) } } } }
                    "\n" tbody {
                        "\n"
                        @for (row, cells) in &table.rows { (table_row(row, cells)) "\n" }
                    }
                }
            }
            "\n"
            @if !lines.is_empty() {
                ul class="quiet" { "\n" @for line in lines { li { (clean(&line)) } "\n" } } "\n"
            }
        }
    }
}

fn table_row(row: &str, cells: &[Option<Cell>]) -> Markup {
    html! {
        tr {
            th scope="row" { (clean(row)) }
            @for cell in cells {
                @match cell {
                    Some(cell) => { td class=(tone_class(cell.tone)) { (clean(&cell.text)) } },
                    None => { td {} },
                }
            }
        }
    }
}

fn failures(model: &RunModel) -> Markup {
    html! {
        @if model.counts().failed > 0 {
            h2 { "Failures" } "\n"
            @for stage in model.failed() {
                @if let StagePhase::Over(StageOutcome::Failed { why }) = &stage.phase { (one_failure(stage, why)) "\n" }
            }
        }
    }
}

pub(super) fn one_failure(stage: &Stage, why: &str) -> Markup {
    let name = &stage.info.name;
    html! {
        section {
            h3 { (clean(name)) " " small class="bad" { (clean(why)) } } "\n"
            @if let Some(failed) = &stage.failure {
                @if !failed.excerpt.is_empty() { pre { (clean(&failed.excerpt.join("\n"))) } "\n" }
                p class="quiet" { "log: " code { (clean(&failed.log)) } } "\n"
            }
            p class="quiet" {
                code { (clean(&failure::log_command(name))) } " · " code { (clean(&failure::reproduce_command(name))) }
            }
        }
    }
}

/// Returns the word of a phase in lowercase, for tooltips.
fn state_word(phase: &StagePhase) -> String {
    phase.as_str().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::log::event::{Event, Stamped};
    use crate::run::log::sample;
    use proptest::prelude::*;

    #[test]
    fn a_run_makes_a_page() {
        let page = html(&RunModel::of(&sample::run()));
        assert!(!page.contains("<script") && !page.contains("http-equiv"));
        // The style is judged by eye; the content is tested here.
        let at = page.find("</style>").unwrap();
        insta::assert_snapshot!(&page[at..]);
    }

    #[test]
    fn nothing_from_outside_is_taken_for_markup() {
        let evil = "<script>alert('\"&</script>";
        let mut events = sample::run();
        for stamped in &mut events {
            match &mut stamped.event {
                Event::RunStarted { run, command, stages, started, version, .. } => {
                    (*run, *started, *version) = (evil.into(), evil.into(), evil.into());
                    *command = vec![evil.into()];
                    for stage in stages {
                        stage.scope = evil.into();
                        stage.package = evil.into();
                        stage.version = evil.into();
                    }
                }
                Event::StepStarted { step, log, .. } => (*step, *log) = (evil.into(), evil.into()),
                Event::StageFinished { failure: Some(failure), .. } => failure.excerpt = vec![evil.into()],
                _ => {}
            }
        }
        assert!(!html(&RunModel::of(&events)).contains("<script"));
    }

    #[test]
    fn an_empty_and_a_torn_run_make_a_page_too() {
        assert!(html(&RunModel::default()).contains("</html>"));
        for count in 0..sample::run().len() {
            assert!(html(&RunModel::of(&sample::run()[..count])).contains("</html>"));
        }
    }

    proptest! {
        #[test]
        fn any_times_make_a_page(times in prop::collection::vec(any::<u64>(), 30..40), cores in any::<f64>()) {
            let mut events = sample::run();
            for (stamped, at_ms) in events.iter_mut().zip(times) {
                stamped.at_ms = at_ms;
                if let Event::Load { cores: busy, .. } = &mut stamped.event {
                    *busy = cores;
                }
            }
            let events: Vec<Stamped> = events;
            let page = html(&RunModel::of(&events));
            prop_assert!(!page.contains("NaN") && !page.contains("inf"));
        }
    }
}
