//! How the examination of a machine looks.

use super::style::{Style, Tone, harmless, pad, pad_left};
use crate::base::isolation::Isolation;
use crate::host::tools::{Examination, Examined, Status};
use serde::Serialize;
use std::fmt::Write as _;
use unicode_width::UnicodeWidthStr as _;

/// The number of the JSON form.
pub const SCHEMA: u32 = 1;

/// For people, ending in a newline.
pub fn text(examination: &Examination, isolation: &Isolation, style: Style) -> String {
    let wide = examination.tools.iter().map(|tool| tool.name.width()).max().unwrap_or(0);
    let mut out = String::new();
    for tool in &examination.tools {
        let (word, tone, more) = match &tool.status {
            Status::Found { path, version } => {
                let path = path.as_ref().map(|path| path.display().to_string());
                let words: Vec<String> = version.clone().into_iter().chain(path).collect();
                ("found", Tone::Good, words.join("  "))
            }
            Status::TooOld { path, version, minimum } => {
                ("too old", Tone::Bad, format!("{version}, {minimum} or newer is needed  {}", path.display()))
            }
            Status::Broken { path, why } => ("broken", Tone::Bad, format!("{}  {}", harmless(why), path.display())),
            Status::Missing { why } => ("missing", Tone::Bad, harmless(why)),
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
    let bad = examination.tools.iter().filter(|tool| !tool.is_good()).count();
    let _ = match (&examination.install, bad) {
        (_, 0) => writeln!(out, "everything is there: {} tools", examination.tools.len()),
        (Some(command), _) => {
            writeln!(
                out,
                "{bad} of {} are missing or too old; this installs them:\n  {}",
                examination.tools.len(),
                command.join(" ")
            )
        }
        (None, _) => {
            writeln!(
                out,
                "{bad} of {} are missing or too old, and no known package manager is here",
                examination.tools.len()
            )
        }
    };
    out
}

#[derive(Serialize)]
struct Form<'a> {
    schema: u32,
    ok: bool,
    tools: &'a [Examined],
    manager: Option<&'a str>,
    install: Option<&'a [String]>,
    isolation: &'a Isolation,
}

/// As JSON, ending in a newline.
pub fn json(examination: &Examination, isolation: &Isolation) -> serde_json::Result<String> {
    let form = Form {
        schema: SCHEMA,
        ok: examination.is_good(),
        tools: &examination.tools,
        manager: examination.manager.as_deref(),
        install: examination.install.as_deref(),
        isolation,
    };
    serde_json::to_string_pretty(&form).map(|text| text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::isolation::{Mechanism, State};
    use std::path::PathBuf;

    fn examination() -> Examination {
        let tool = |name: &str, status: Status, packages: &[&str]| Examined {
            name: name.into(),
            why: format!("what {name} is for"),
            status,
            packages: packages.iter().map(|name| (*name).to_owned()).collect(),
        };
        let found = Status::Found { path: Some(PathBuf::from("/usr/bin/gcc")), version: Some("12.2.0".into()) };
        let old =
            Status::TooOld { path: PathBuf::from("/usr/bin/make"), version: "3.81".into(), minimum: "4.0".into() };
        let missing = Status::Missing { why: "t.c:1:10: fatal error: libelf.h: No such file or directory".into() };
        Examination {
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
        insta::assert_snapshot!("text", text(&examination(), &isolation(), Style::PLAIN));
        insta::assert_snapshot!("json", json(&examination(), &isolation()).unwrap());
    }
}
