//! A plain-text mail in the manner of the 0-day robot: the first error of each failure, the configuration, and how to
//! reproduce it.

use super::Report;
use crate::base::text::harmless;
use crate::report::diff;
use crate::report::table;
use crate::run::log::model::Stage;
use crate::run::log::verdict::reason;
use std::fmt::Write as _;

pub(super) fn text(report: &Report<'_>) -> String {
    let (run, counts) = (&report.model.run, report.model.counts());
    let failed: Vec<&Stage> = report.model.failed().collect();
    // Writing to a string cannot fail.
    let mut out = String::new();
    let _ = writeln!(out, "Subject: [crossmill] {}", subject(report, &failed));
    let _ = writeln!(out, "Content-Type: text/plain; charset=utf-8\n");
    let _ = writeln!(out, "run:      {}", harmless(report.name));
    let _ = writeln!(out, "started:  {}", harmless(&run.started));
    let _ = writeln!(out, "command:  {}", harmless(&run.command.join(" ")));
    let _ =
        writeln!(out, "result:   {}, {} of {} stages, {} failed", report.end(), counts.over, counts.all, counts.failed);
    if let Some(choice) = &run.choice {
        let set: Vec<String> = choice.set.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let words = [("profile", &choice.profile), ("release set", &choice.release_set)];
        let words = words.iter().filter_map(|(name, value)| Some(format!("{name} {}", value.as_ref()?)));
        let config: Vec<String> = words.chain(set).collect();
        let _ = writeln!(out, "config:   {}", harmless(&config.join(", ")));
    }
    if let Some(remark) = report.remark() {
        let _ = writeln!(out, "note:     {remark}");
    }
    for stage in failed {
        out.push_str(&one_failure(stage));
    }
    if let Some((_, changes)) = report.since {
        let _ = write!(out, "\nsince run {}:\n\n", harmless(&changes.before));
        for line in diff::lines(changes) {
            let _ = writeln!(out, "    {line}");
        }
    }
    let _ = write!(out, "\n{}", table::text(report.model, crate::report::Style::PLAIN));
    out
}

fn subject(report: &Report<'_>, failed: &[&Stage]) -> String {
    match failed {
        [] => format!("{}: run {}", report.end(), harmless(report.name)),
        [one] => format!("{} failed: {}", harmless(&one.info.name), harmless(&reason(one).unwrap_or_default())),
        [one, others @ ..] => format!("{} and {} more failed", harmless(&one.info.name), others.len()),
    }
}

fn one_failure(stage: &Stage) -> String {
    let mut out = String::new();
    let info = &stage.info;
    let _ = write!(
        out,
        "\n{} {}: {}\n",
        harmless(&info.name),
        harmless(&info.version),
        harmless(&reason(stage).unwrap_or_default())
    );
    let Some(failure) = &stage.failure else { return out };
    let _ = writeln!(out, "class: {}\n", failure.class.words());
    for (number, line) in failure.excerpt.iter().enumerate() {
        let mark = if number == first_error(&failure.excerpt) { ">> " } else { "   " };
        let _ = writeln!(out, "{mark}{}", harmless(line));
    }
    if !failure.log.is_empty() {
        let command = if failure.reproduce.is_empty() {
            crate::report::failure::reproduce_command(&info.name)
        } else {
            failure.reproduce.clone()
        };
        let _ = write!(
            out,
            "\nlog: {}\n\nreproduce:\n        {} -o reproduce.sh\n        sh reproduce.sh\n",
            harmless(&failure.log),
            harmless(&command)
        );
    }
    out
}

fn first_error(lines: &[String]) -> usize {
    lines.iter().position(|line| line.to_ascii_lowercase().contains("error")).unwrap_or(0)
}
