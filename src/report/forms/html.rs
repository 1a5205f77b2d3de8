//! One page that needs no other file: the matrix, the timeline with processor and memory use, failures, the figures of
//! checks, warnings, what changed since another run, and every stage with its steps and logs.

use super::Report;
use crate::base::units;
use crate::report::diff;
use crate::report::table::{Cell, Table, totals};
use crate::report::timeline::{chart, clean, head, one_failure, page as whole_page, seconds, tone_class};
use crate::run::comparison::{ChangeKind, Comparison};
use crate::run::log::RunModel;
use crate::run::log::event::{Class, StageOutcome};
use crate::run::log::model::{Stage, StagePhase, Step, cpu};
use crate::run::log::verdict::reason;
use maud::{Markup, PreEscaped, html};

pub(super) fn page(report: &Report<'_>) -> String {
    let model = report.model;
    let style = html! { (PreEscaped(include_str!("report.css"))) };
    let body = html! {
        (head(model))
        @if let Some(remark) = report.remark() { p class="remark warn" { (remark) } "\n" }
        (matrix(model))
        (failures(model))
        @if let Some((_, changes)) = report.since { (changed(changes)) }
        (figures(model, report.since.map(|(before, _)| before)))
        (warnings(model))
        (chart::draw(model))
        (stages(model))
    };
    whole_page(report.name, &style, &body)
}

// A name for a link inside the page, whatever the row and the column are called.
fn anchor(row: &str, column: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '.' { c } else { '_' };
    format!("s-{}-{}", row.chars().map(plain).collect::<String>(), column.chars().map(plain).collect::<String>())
}

fn is_listed(stage: &Stage) -> bool {
    stage.has_run() || stage.check_result.is_some() || reason(stage).is_some()
}

fn matrix(model: &RunModel) -> Markup {
    let table = Table::of(model);
    html! {
        @if !table.rows.is_empty() {
            h2 { "Matrix" } "\n"
            div class="wide" {
                table {
                    "\n" thead { tr { th {} @for column in &table.columns { th scope="col" { (clean(column)) } } } }
                    "\n" tbody {
                        "\n"
                        @for (row, cells) in &table.rows {
                            tr {
                                th scope="row" { (clean(row)) }
                                @for (column, found) in table.columns.iter().zip(cells) {
                                    (cell(model, row, column, found.as_ref()))
                                }
                            }
                            "\n"
                        }
                    }
                }
            }
            "\n"
            @for line in totals(model) { p class="quiet total" { (clean(&line)) } "\n" }
        }
    }
}

fn cell(model: &RunModel, row: &str, column: &str, cell: Option<&Cell>) -> Markup {
    let Some(cell) = cell else { return html! { td {} } };
    let here = |stage: &&Stage| stage.info.scope == row && stage.info.package == column && is_listed(stage);
    let stage = model.stages.values().find(here);
    let why = stage.and_then(reason).unwrap_or_default();
    html! {
        td class=(tone_class(cell.tone)) title=(clean(&why)) {
            @if stage.is_some() {
                a href={ "#" (anchor(row, column)) } { (clean(&cell.text)) }
            } @else {
                (clean(&cell.text))
            }
        }
    }
}

fn failures(model: &RunModel) -> Markup {
    html! {
        @if model.counts().failed > 0 {
            h2 { "Failures" } "\n"
            @for stage in model.failed() {
                @if let StagePhase::Over(StageOutcome::Failed { why }) = &stage.phase {
                    @let class = stage.failure.as_ref().map(|failure| failure.class).filter(|class| *class != Class::Other);
                    @if let Some(class) = class { p class="class" { (class.words()) } "\n" }
                    (one_failure(stage, why)) "\n"
                }
            }
        }
    }
}

fn changed(changes: &Comparison) -> Markup {
    let kinds = |kind| changes.states.iter().filter(|change| change.kind == kind).count();
    let summary = format!(
        "{} worse, {} fixed, {} new warnings",
        kinds(ChangeKind::Regression) + kinds(ChangeKind::NewFailure),
        kinds(ChangeKind::Fixed),
        changes.warnings.len()
    );
    html! {
        h2 { "Since run " (clean(&changes.before)) } "\n"
        p class="quiet" { (summary) } "\n"
        ul { @for line in diff::lines_without_figures(changes) { li { (clean(&line)) } "\n" } }
        "\n"
    }
}

// A table for each check that reports figures: a row for each target, with the value of the other run where it differs.
fn figures(model: &RunModel, before: Option<&RunModel>) -> Markup {
    let mut checks: Vec<&str> = Vec::new();
    for stage in model.stages.values() {
        let has_figures = stage.check_result.as_ref().is_some_and(|check_result| !check_result.figures.is_empty());
        if has_figures && !checks.contains(&stage.info.package.as_str()) {
            checks.push(&stage.info.package);
        }
    }
    html! {
        @if !checks.is_empty() { h2 { "Figures of checks" } "\n" }
        @for check in checks { (figures_of(model, before, check)) }
    }
}

fn figures_of(model: &RunModel, before: Option<&RunModel>, check: &str) -> Markup {
    let stages: Vec<&Stage> = model.stages.values().filter(|stage| stage.info.package == check).collect();
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in
        stages.iter().filter_map(|stage| stage.check_result.as_ref()).flat_map(|check_result| &check_result.figures)
    {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    html! {
        h3 { (clean(check)) } "\n"
        div class="wide" {
            table class="figures" {
                "\n" thead { tr { th {} @for name in &names { th scope="col" { (clean(name)) } } } }
                "\n" tbody {
                    @for stage in stages.iter().filter(|stage| stage.check_result.is_some()) {
                        "\n" tr {
                            th scope="row" { (clean(&stage.info.scope)) }
                            @for name in &names {
                                @let was = before.and_then(|model| figure(model.stages.get(&stage.info.name)?, name));
                                (figure_cell(figure(stage, name), was))
                            }
                        }
                    }
                }
            }
        }
        "\n"
    }
}

fn figure(stage: &Stage, name: &str) -> Option<f64> {
    stage.check_result.as_ref()?.figures.iter().find(|(other, _)| other == name).map(|(_, value)| *value)
}

fn figure_cell(now: Option<f64>, was: Option<f64>) -> Markup {
    let Some(now) = now else { return html! { td {} } };
    html! {
        td {
            (diff::number(now))
            @if let Some(was) = was.filter(|was| *was != now) { " " span class="quiet" { "was " (diff::number(was)) } }
        }
    }
}

fn warnings(model: &RunModel) -> Markup {
    let warnings: Vec<_> = model.notices.iter().filter(|notice| notice.warning).collect();
    html! {
        @if !warnings.is_empty() {
            h2 { "Warnings" } "\n"
            ul {
                "\n"
                @for warning in warnings {
                    li {
                        @if let Some(stage) = &warning.stage { code { (clean(stage)) } " " }
                        (clean(&warning.text))
                    }
                    "\n"
                }
            }
            "\n"
        }
    }
}

fn stages(model: &RunModel) -> Markup {
    let mut seen: Vec<String> = Vec::new();
    // The first stage of a cell is the target of its link.
    let mut id = |stage: &Stage| {
        let id = anchor(&stage.info.scope, &stage.info.package);
        let first = !seen.contains(&id);
        seen.push(id.clone());
        first.then_some(id)
    };
    html! {
        @if model.stages.values().any(is_listed) {
            h2 { "Stages" } "\n"
            div class="wide" {
                table class="stages" {
                    "\n" thead { tr {
                        @for name in ["stage", "version", "state", "time", "CPU", "largest process", "steps and logs"] {
                            th scope="col" { (name) }
                        }
                    } }
                    "\n" tbody {
                        "\n"
                        @for stage in model.stages.values().filter(|stage| is_listed(stage)) {
                            (stage_row(stage, model.latest_ms, id(stage))) "\n"
                        }
                    }
                }
            }
            "\n"
        }
    }
}

fn stage_row(stage: &Stage, latest_ms: u64, id: Option<String>) -> Markup {
    let ran = stage.has_run();
    let memory = stage.usage.max_rss_kib;
    html! {
        tr id=[id] {
            th scope="row" { (clean(&stage.info.name)) }
            td { (clean(&stage.info.version)) }
            td class="why" {
                (stage.phase.as_str())
                @if let Some(why) = reason(stage) { ": " (clean(&why)) }
                @if let Some(summary) = stage.check_result.as_ref().and_then(|check_result| check_result.summary.as_deref()) {
                    br; span class="quiet" { (clean(summary)) }
                }
            }
            td { @if ran { (units::duration(stage.elapsed(latest_ms))) } }
            td { @if ran { (seconds(cpu(&stage.usage))) } }
            td { @if memory > 0 { (units::bytes(memory.saturating_mul(1024))) } }
            td class="why" {
                @for step in &stage.steps { (step_link(step)) " " }
                @for file in stage.check_result.iter().flat_map(|check_result| &check_result.evidence) { (file_link(file, file_name(file))) " " }
            }
        }
    }
}

fn step_link(step: &Step) -> Markup {
    let time = step.ended.map(|_| format!(" {}", seconds(step.usage.wall))).unwrap_or_default();
    let mark = match step.ended {
        Some((_, false)) => " (failed)",
        None => " (not finished)",
        Some(_) => "",
    };
    html! { (file_link(&step.log, &format!("{}{time}{mark}", step.name))) }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

// Only absolute paths of this machine become links: a log must not lead a reader elsewhere.
fn file_link(path: &str, text: &str) -> Markup {
    html! {
        @if path.starts_with('/') {
            a href=(file_url(path)) { (clean(text)) }
        } @else {
            (clean(text))
        }
    }
}

fn file_url(path: &str) -> String {
    let mut url = String::from("file://");
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~+".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    url
}
