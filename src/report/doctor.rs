//! Text of the report about a machine's tools.

use super::style::{Style, Tone, harmless, pad, pad_left};
use crate::base::isolation::Isolation;
use crate::host::tools::{HostReport, ToolState, ToolStatus};
use serde::Serialize;
use std::fmt::Write as _;
use unicode_width::UnicodeWidthStr as _;

/// The schema version of the JSON output.
pub const SCHEMA: u32 = 1;

/// For people, ending in a newline.
pub fn text(host_report: &HostReport, isolation: &Isolation, style: Style) -> String {
    let wide = host_report.tools.iter().map(|tool| tool.name.width()).max().unwrap_or(0);
    let mut out = String::new();
    for tool in &host_report.tools {
        let (word, tone, more) = match &tool.status {
            ToolState::Found { path, version } => {
                let path = path.as_ref().map(|path| path.display().to_string());
                let words: Vec<String> = version.clone().into_iter().chain(path).collect();
                ("found", Tone::Good, words.join("  "))
            }
            ToolState::TooOld { path, version, minimum } => {
                ("too old", Tone::Bad, format!("{version}, {minimum} or newer is needed  {}", path.display()))
            }
            ToolState::Broken { path, why } => ("broken", Tone::Bad, format!("{}  {}", harmless(why), path.display())),
            ToolState::Missing { why } => ("missing", Tone::Bad, harmless(why)),
        };
        let lead = style.paint(tone, &pad_left(word, 7));
        let line = format!("{lead}  {}  {more}", style.paint(Tone::Strong, &pad(&tool.name, wide)));
        let _ = writeln!(out, "{}", line.trim_end());
        if !tool.is_good() {
            let _ = writeln!(out, "         {}  {}", pad("", wide), style.paint(Tone::Dim, &tool.why));
        }
    }
    out.push('\n');
    let _ = writeln!(out, "isolation of steps: {}", harmless(&isolation.to_string()));
    let bad = host_report.tools.iter().filter(|tool| !tool.is_good()).count();
    let _ = match (&host_report.install, bad) {
        (_, 0) => writeln!(out, "everything is there: {} tools", host_report.tools.len()),
        (Some(command), _) => {
            writeln!(
                out,
                "{bad} of {} are missing or too old; this installs them:\n  {}",
                host_report.tools.len(),
                command.join(" ")
            )
        }
        (None, _) => {
            writeln!(
                out,
                "{bad} of {} are missing or too old, and no known package manager is here",
                host_report.tools.len()
            )
        }
    };
    out
}

#[derive(Serialize)]
struct Form<'a> {
    schema: u32,
    ok: bool,
    tools: &'a [ToolStatus],
    manager: Option<&'a str>,
    install: Option<&'a [String]>,
    isolation: &'a Isolation,
}

/// As JSON, ending in a newline.
pub fn json(host_report: &HostReport, isolation: &Isolation) -> serde_json::Result<String> {
    let form = Form {
        schema: SCHEMA,
        ok: host_report.is_good(),
        tools: &host_report.tools,
        manager: host_report.manager.as_deref(),
        install: host_report.install.as_deref(),
        isolation,
    };
    serde_json::to_string_pretty(&form).map(|text| text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::isolation::{Mechanism, State};
    use std::path::PathBuf;

    fn sample() -> HostReport {
        let tool = |name: &str, status: ToolState, packages: &[&str]| ToolStatus {
            name: name.into(),
            why: format!("what {name} is for"),
            status,
            packages: packages.iter().map(|name| (*name).to_owned()).collect(),
        };
        let found = ToolState::Found { path: Some(PathBuf::from("/usr/bin/gcc")), version: Some("12.2.0".into()) };
        let old =
            ToolState::TooOld { path: PathBuf::from("/usr/bin/make"), version: "3.81".into(), minimum: "4.0".into() };
        let missing = ToolState::Missing { why: "t.c:1:10: fatal error: libelf.h: No such file or directory".into() };
        HostReport {
            tools: vec![
                tool("cc", found, &["gcc"]),
                tool("make", old, &["make"]),
                tool("libelf", missing, &["libelf-dev"]),
            ],
            manager: Some("apt".into()),
            install: Some(["sudo", "apt-get", "install", "-y", "make", "libelf-dev"].map(String::from).to_vec()),
        }
    }

    fn isolation() -> Isolation {
        let why = "user namespaces are disabled (kernel.unprivileged_userns_clone=0)";
        let missing = [Mechanism::ReadOnlyView, Mechanism::Network, Mechanism::Processes];
        Isolation { state: State::Partial, missing: missing.map(|mechanism| (mechanism, why.to_owned())).into() }
    }

    #[test]
    fn an_examination_reads_as_text_and_json() {
        insta::assert_snapshot!("text", text(&sample(), &isolation(), Style::PLAIN));
        insta::assert_snapshot!("json", json(&sample(), &isolation()).unwrap());
    }
}
