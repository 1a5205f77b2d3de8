//! Annotations and folded groups in the log of a CI service.

use super::failure;
use super::style::{Style, harmless};
use super::{RunModel, Sink};
use crate::run::log::event::{Event, Failure, StageOutcome, Stamped};
use std::io::Write;

/// A service whose log has a syntax of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// GitHub Actions: workflow commands.
    Github,
    /// GitLab CI: sections.
    Gitlab,
    /// Buildkite: groups by `---` and `+++`.
    Buildkite,
}

impl Service {
    /// Returns the service in whose job this process runs, by the variables that it sets.
    pub fn detect(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let is_true = |name: &str| variable(name).is_some_and(|value| value == "true");
        let services = [("GITHUB_ACTIONS", Self::Github), ("GITLAB_CI", Self::Gitlab), ("BUILDKITE", Self::Buildkite)];
        services.into_iter().find(|(name, _)| is_true(name)).map(|(_, service)| service)
    }
}

impl std::fmt::Display for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Github => "GitHub Actions",
            Self::Gitlab => "GitLab CI",
            Self::Buildkite => "Buildkite",
        })
    }
}

/// Returns the commands that mask `values` in a job's log; `None` where the log has no such command.
#[must_use]
pub fn masks(service: Service, values: &[String]) -> Option<String> {
    let line = |value: &String| format!("::add-mask::{}\n", value.replace('%', "%25"));
    (service == Service::Github).then(|| values.iter().map(line).collect())
}

/// Returns why a service masks nothing, and what to do instead.
#[must_use]
pub fn without_masks(service: Service) -> String {
    let instead = match service {
        Service::Github => return String::new(),
        Service::Gitlab => "mark the variable as masked in the project's CI/CD settings",
        Service::Buildkite => {
            "the agent hides variables named *_TOKEN, *_PASSWORD, *_ACCESS_KEY, …, and other values after \
             `buildkite-agent redactor add`"
        }
    };
    format!(
        "unsupported: a job's log of {service} has no command that masks a value; crossmill itself prints no secret, and \
         for other programs {instead}"
    )
}

/// Writes annotations beside what another sink writes.
pub struct Annotated {
    inner: Box<dyn Sink + Send>,
    service: Service,
    out: Box<dyn Write + Send>,
    model: RunModel,
}

impl Annotated {
    /// Adds annotations for `service` on `out` to `inner`.
    pub fn new(inner: Box<dyn Sink + Send>, service: Service, out: Box<dyn Write + Send>) -> Self {
        Self { inner, service, out, model: RunModel::default() }
    }
}

impl Sink for Annotated {
    fn event(&mut self, stamped: &Stamped) {
        self.inner.event(stamped);
        self.model.apply(stamped);
        let text = match &stamped.event {
            Event::StageFinished { stage, state: StageOutcome::Failed { why }, failure, .. } => {
                Some(failed(self.service, stage, why, failure.as_ref()))
            }
            Event::Notice { stage, warning: true, text } => warning(self.service, stage.as_deref(), text),
            _ => None,
        };
        if let Some(text) = text {
            // Nobody reads a closed pipe; the run itself goes on.
            let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        }
    }

    fn finish(&mut self) {
        self.inner.finish();
    }
}

fn failed(service: Service, stage: &str, why: &str, failure: Option<&Failure>) -> String {
    let first =
        failure.and_then(|failure| first_error(&failure.excerpt)).map_or(String::new(), |line| format!(": {line}"));
    let class = failure.map_or(String::new(), |failure| format!(" ({})", failure.class.words()));
    let body = failure.map_or_else(String::new, |failure| failure::render(stage, failure, Style::PLAIN));
    let title = format!("{}: {}", harmless(stage), harmless(why));
    match service {
        Service::Github => format!(
            "::error title={}::{}\n::group::{}\n{}\n::endgroup::\n",
            property(&format!("{stage} failed{class}")),
            message(&format!("{why}{first}")),
            message(&title),
            shielded(&body),
        ),
        Service::Gitlab => {
            let id = section(stage);
            format!("\x1b[0Ksection_start:0:{id}\r\x1b[0K{title}\n{body}\n\x1b[0Ksection_end:0:{id}\r\x1b[0K\n")
        }
        Service::Buildkite => format!("+++ {title}\n{body}\n"),
    }
}

fn warning(service: Service, stage: Option<&str>, text: &str) -> Option<String> {
    let title = stage.unwrap_or("crossmill");
    (service == Service::Github).then(|| format!("::warning title={}::{}\n", property(title), message(text)))
}

fn first_error(excerpt: &[String]) -> Option<&str> {
    let has_error = |line: &&String| line.to_ascii_lowercase().contains("error");
    excerpt.iter().find(has_error).or(excerpt.first()).map(String::as_str)
}

// <https://docs.github.com/actions/reference/workflow-commands>: data of a command is percent-encoded.
fn message(text: &str) -> String {
    harmless(text).replace('%', "%25")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

// A line of a log must not be a command.
fn shielded(body: &str) -> String {
    let line = |line: &str| if line.trim_start().starts_with("::") { format!(" | {line}") } else { line.to_owned() };
    body.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn section(stage: &str) -> String {
    stage.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::log::sample;
    use std::sync::{Arc, Mutex};

    struct Ignored;

    impl Sink for Ignored {
        fn event(&mut self, _: &Stamped) {}
        fn finish(&mut self) {}
    }

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

    fn written(service: Service, events: &[Stamped]) -> String {
        let out = Shared::default();
        let mut sink = Annotated::new(Box::new(Ignored), service, Box::new(out.clone()));
        events.iter().for_each(|event| sink.event(event));
        sink.finish();
        let bytes = out.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_failure_is_annotated() {
        let github = written(Service::Github, &sample::run());
        let error = "::error title=arm64/gcc failed (compile error)::all-gcc: exit code 2: ../../src/gcc/tree-vrp.cc:12:3: \
                     error: 'x' was not declared in this scope\n";
        assert!(github.contains(error), "{github}");
        assert!(github.contains("\n::group::arm64/gcc: all-gcc: exit code 2\n"), "{github}");
        assert!(github.contains("::warning title=arm64/gcc::12 GiB of disk are left\n"), "{github}");
        let buildkite = written(Service::Buildkite, &sample::run());
        assert!(buildkite.starts_with("+++ arm64/gcc: all-gcc: exit code 2\nfailed: arm64/gcc"), "{buildkite}");
        let gitlab = written(Service::Gitlab, &sample::run());
        assert!(gitlab.contains("section_start:0:arm64_gcc\r") && gitlab.contains("section_end:0:arm64_gcc\r"));
    }

    #[test]
    fn a_log_commands_nothing() {
        let mut events = sample::run();
        let evil = "::set-output name=x::y\r\n::stop-commands::t%0A::error::z";
        for stamped in &mut events {
            match &mut stamped.event {
                Event::StageFinished { state: StageOutcome::Failed { why }, failure: Some(failure), .. } => {
                    *why = evil.into();
                    (failure.ended, failure.excerpt) = (evil.into(), vec![evil.into()]);
                }
                Event::Notice { text, .. } => *text = evil.into(),
                _ => {}
            }
        }
        for line in written(Service::Github, &events).lines().filter(|line| line.trim_start().starts_with("::")) {
            let ours = ["::error title=", "::warning title=", "::group::", "::endgroup::"];
            assert!(ours.iter().any(|start| line.starts_with(start)), "{line}");
            assert!(!line.contains("%0A::"), "{line}");
        }
    }

    #[test]
    fn masks_are_commands_of_github_alone() {
        let values = ["p%40ss\u{e9}word".to_owned(), "tokentoken".to_owned()];
        let masks = masks(Service::Github, &values);
        assert_eq!(masks.as_deref(), Some("::add-mask::p%2540ss\u{e9}word\n::add-mask::tokentoken\n"));
        for service in [Service::Gitlab, Service::Buildkite] {
            assert_eq!(super::masks(service, &values), None);
            let text = without_masks(service);
            assert!(text.starts_with("unsupported: ") && !values.iter().any(|value| text.contains(value)), "{text}");
        }
    }

    #[test]
    fn a_service_is_known_by_its_variable() {
        let with = |name: &'static str, value: &'static str| {
            Service::detect(move |asked| (asked == name).then(|| value.to_owned()))
        };
        assert_eq!(with("GITHUB_ACTIONS", "true"), Some(Service::Github));
        assert_eq!(with("GITLAB_CI", "true"), Some(Service::Gitlab));
        assert_eq!(with("BUILDKITE", "true"), Some(Service::Buildkite));
        assert_eq!(with("GITHUB_ACTIONS", "false"), None);
        assert_eq!(with("GITHUB_ACTIONS", ""), None);
        assert_eq!(with("GITHUB_STEP_SUMMARY", "true"), None);
        assert_eq!(with("CI", "true"), None);
    }
}
