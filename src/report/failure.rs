//! Renders a failure: the step, an excerpt of its output, its log, and the next command to run.

use super::style::{Style, Tone, harmless};
use crate::run::log::event::{Class, Failure, StageOutcome};
use crate::run::log::model::Stage;

/// Returns all lines of a failed stage's failure, without a newline at the end.
pub fn render(stage: &str, failure: &Failure, style: Style) -> String {
    let class = match failure.class {
        Class::Other => String::new(),
        class => format!(" ({})", class.words()),
    };
    let step = if failure.step.is_empty() { String::new() } else { format!("{} failed: ", harmless(&failure.step)) };
    let head = format!("{stage}: {step}{}{class}", harmless(&failure.ended));
    let mut lines = vec![format!("{} {}", style.paint(Tone::Bad, "failed:"), style.paint(Tone::Strong, &head))];
    for line in &failure.excerpt {
        lines.push(format!("  {} {}", style.paint(Tone::Dim, "|"), harmless(line)));
    }
    let hint = |what: &str, text: &str| format!("  {} {text}", style.paint(Tone::Dim, what));
    if !failure.log.is_empty() {
        lines.push(hint("log:      ", &failure.log));
    }
    for file in &failure.evidence {
        lines.push(hint("evidence: ", &harmless(file)));
    }
    // Without a log no step ran: there is nothing to read or to reproduce.
    if !failure.log.is_empty() {
        lines.push(hint("read it:  ", &log_command(stage)));
        let again = if failure.reproduce.is_empty() { reproduce_command(stage) } else { failure.reproduce.clone() };
        lines.push(hint("reproduce:", &again));
    }
    lines.join("\n")
}

/// Returns the failure of `stage`, if it failed: in full, or the reason alone where no step ran.
pub fn of_stage(stage: &Stage, style: Style) -> Option<String> {
    let crate::run::log::model::StagePhase::Over(StageOutcome::Failed { why }) = &stage.phase else { return None };
    Some(match &stage.failure {
        Some(failure) => render(&stage.info.name, failure, style),
        None => {
            let head = format!("{}: {}", stage.info.name, harmless(why));
            format!("{} {}", style.paint(Tone::Bad, "failed:"), style.paint(Tone::Strong, &head))
        }
    })
}

/// Returns the command that shows a stage's log.
pub fn log_command(stage: &str) -> String {
    format!("crossmill log {stage}")
}

/// Returns the command that writes a script which runs the failed step again.
pub fn reproduce_command(stage: &str) -> String {
    format!("crossmill reproduce {stage}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_where_and_what_next() {
        let failure = Failure {
            step: "all-gcc".to_owned(),
            ended: "exit code 2".to_owned(),
            class: Class::CompileError,
            excerpt: vec![
                "../../src/gcc/tree-vrp.cc: In function 'void f()':".to_owned(),
                "../../src/gcc/tree-vrp.cc:12:3: error: 'x' was not declared in this scope".to_owned(),
                "   12 |   x = 1;".to_owned(),
                "\x1b]0;title\x07   |   ^".to_owned(),
            ],
            log: "/home/u/.cache/crossmill/runs/7/arm64.gcc.all-gcc.log".to_owned(),
            reproduce: String::new(),
            evidence: Vec::new(),
        };
        insta::assert_snapshot!(render("arm64/gcc", &failure, Style::PLAIN));
    }
}
