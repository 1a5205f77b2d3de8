//! A run as one HTML file that needs nothing else: what ran when, how busy the
//! machine was, the table, the failures. Drawn from the events alone; every
//! text from outside is escaped.

mod chart;
mod strip;

use super::failure;
use super::model::{Phase, Picture};
use super::style::Tone;
use super::table::{Table, totals, word};
use crate::base::units;
use crate::exec::event::State;
use std::fmt::Write as _;
use std::time::Duration;

/// The page for the run in `picture`, finished or not.
pub fn html(picture: &Picture) -> String {
    let mut page = String::new();
    let title = escape(&format!("crossmill run {}", picture.run.name));
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>\n{}</style>\n<main>\n",
        include_str!("style.css")
    );
    head(picture, &mut page);
    chart::draw(picture, &mut page);
    table(picture, &mut page);
    failures(picture, &mut page);
    page.push_str("</main>\n</html>\n");
    page
}

/// Text that is safe as content and as a quoted attribute.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' => safe.push('\n'),
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

fn seconds(seconds: f64) -> String {
    units::duration(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

fn head(picture: &Picture, page: &mut String) {
    let counts = picture.counts();
    let (word, class) = match &picture.totals {
        _ if counts.failed > 0 => ("failed", "bad"),
        Some(totals) if totals.exit == 0 => ("done", "good"),
        Some(_) => ("incomplete", "warn"),
        None => ("not finished", "warn"),
    };
    let run = &picture.run;
    let _ = write!(
        page,
        "<header>\n<h1>{} <span class=\"badge {class}\">{word}</span></h1>\n\
         <p class=\"quiet\"><code>{}</code></p>\n<p class=\"quiet\">{} · crossmill {} · {} jobs</p>\n</header>\n",
        escape(&run.name),
        escape(&run.command.join(" ")),
        escape(&run.started),
        escape(&run.version),
        run.jobs,
    );
    page.push_str("<dl class=\"tiles\">\n");
    let mut tile = |name: &str, value: String, note: String| {
        let _ = writeln!(
            page,
            "<div><dt>{name}</dt><dd>{}</dd><dd class=\"quiet\">{}</dd></div>",
            escape(&value),
            escape(&note)
        );
    };
    let jobs = run.jobs.max(1) as f64;
    let share = |cpu: f64, wall: f64| {
        let share = 100.0 * cpu / (wall * jobs);
        if wall > 0.0 && share.is_finite() { format!("{share:.0} %") } else { "–".to_owned() }
    };
    let note = format!("{} failed, {} were there", counts.failed, counts.cached);
    tile("stages", format!("{} of {}", counts.over, counts.all), note);
    match &picture.totals {
        Some(totals) => {
            tile("time", seconds(totals.wall), format!("CPU {:.0} s", totals.cpu));
            let busy = format!("of {} cores, the whole run", run.jobs);
            tile("CPU", share(totals.cpu, totals.wall), busy);
            let note = "outside fetch and final tail".to_owned();
            tile("CPU, building", share(totals.busy_cpu, totals.busy_wall), note);
            if totals.peak_kib > 0 {
                let peak = units::bytes(totals.peak_kib.saturating_mul(1024));
                tile("memory", peak, format!("peak, of {} planned with", units::bytes(run.memory)));
            }
        }
        None => tile("time", units::duration(Duration::from_millis(picture.latest_ms)), "so far".to_owned()),
    }
    page.push_str("</dl>\n");
}

fn tone_class(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Bad => "bad",
        Tone::Warn => "warn",
        Tone::Dim => "quiet",
        Tone::Plain | Tone::Strong => "",
    }
}

fn table(picture: &Picture, page: &mut String) {
    let table = Table::of(picture);
    if table.rows.is_empty() {
        return;
    }
    page.push_str("<h2>Results</h2>\n<div class=\"wide\"><table>\n<thead><tr><th></th>");
    for column in &table.columns {
        let _ = write!(page, "<th scope=\"col\">{}</th>", escape(column));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for (row, cells) in &table.rows {
        let _ = write!(page, "<tr><th scope=\"row\">{}</th>", escape(row));
        for cell in cells {
            match cell {
                Some(cell) => {
                    let _ = write!(page, "<td class=\"{}\">{}</td>", tone_class(cell.tone), escape(&cell.text));
                }
                None => page.push_str("<td></td>"),
            }
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n");
    let lines = totals(picture);
    if !lines.is_empty() {
        page.push_str("<ul class=\"quiet\">\n");
        for line in lines {
            let _ = writeln!(page, "<li>{}</li>", escape(&line));
        }
        page.push_str("</ul>\n");
    }
}

fn failures(picture: &Picture, page: &mut String) {
    if picture.counts().failed == 0 {
        return;
    }
    page.push_str("<h2>Failures</h2>\n");
    for stage in picture.failed() {
        let Phase::Over(State::Failed { why }) = &stage.phase else { continue };
        let name = &stage.info.name;
        let _ = writeln!(page, "<section><h3>{} <small class=\"bad\">{}</small></h3>", escape(name), escape(why));
        if let Some(failed) = &stage.failure {
            if !failed.excerpt.is_empty() {
                let _ = writeln!(page, "<pre>{}</pre>", escape(&failed.excerpt.join("\n")));
            }
            let _ = writeln!(page, "<p class=\"quiet\">log: <code>{}</code></p>", escape(&failed.log));
        }
        let _ = writeln!(
            page,
            "<p class=\"quiet\"><code>{}</code> · <code>{}</code></p></section>",
            escape(&failure::log_command(name)),
            escape(&failure::reproduce_command(name))
        );
    }
}

/// The word of a phase in lowercase, for tooltips.
fn state_word(phase: &Phase) -> String {
    word(phase).0.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::event::{Event, Stamped};
    use crate::report::sample;
    use proptest::prelude::*;

    #[test]
    fn a_run_makes_a_page() {
        let page = html(&Picture::of(&sample::run()));
        assert!(!page.contains("<script") && !page.contains("http-equiv"));
        // The style is looked at by eye; what is said is held here.
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
                        stage.row = evil.into();
                        stage.column = evil.into();
                        stage.version = evil.into();
                    }
                }
                Event::StepStarted { step, log, .. } => (*step, *log) = (evil.into(), evil.into()),
                Event::StageFinished { failure: Some(failure), .. } => failure.excerpt = vec![evil.into()],
                _ => {}
            }
        }
        assert!(!html(&Picture::of(&events)).contains("<script"));
    }

    #[test]
    fn an_empty_and_a_torn_run_make_a_page_too() {
        assert!(html(&Picture::default()).contains("</html>"));
        for count in 0..sample::run().len() {
            assert!(html(&Picture::of(&sample::run()[..count])).contains("</html>"));
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
            let page = html(&Picture::of(&events));
            prop_assert!(!page.contains("NaN") && !page.contains("inf"));
        }
    }
}
