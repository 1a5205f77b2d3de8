//! KCIDB v5.3 (<https://kcidb.dev>): a checkout for each kernel version, a build for each kernel, a test for each
//! check of its target; an issue for each known failure and for each failure of the surroundings.
//!
//! The states differ in their meaning for the kernel: FAIL is its fault; ERROR is a build or a check that broke; MISS
//! did not run because something before it failed; SKIP does not apply.

use super::{Error, Report};
use crate::base::Key;
use crate::base::text::harmless;
use crate::run::log::event::{Class, Kind};
use crate::run::log::model::Stage;
use crate::run::log::verdict::{Meaning, meaning, reason};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const ORIGIN: &str = "crossmill";
/// Bytes of a log excerpt that KCIDB takes.
const EXCERPT: usize = 16_384;

pub(super) fn json(report: &Report<'_>) -> Result<String, Error> {
    let kernels: Vec<&Stage> = report.model.stages.values().filter(|stage| is_kernel(report, stage)).collect();
    let mut checkouts = BTreeMap::new();
    let mut builds = Vec::new();
    let mut tests = Vec::new();
    let mut found = Issues::default();
    for kernel in &kernels {
        let checkout = id(&format!("{}-{}", kernel.info.package, kernel.info.version));
        checkouts.entry(checkout.clone()).or_insert_with(|| checkout_of(report, kernel, &checkout));
        builds.push(build(report, kernel, &checkout));
        found.add(report, kernel, "build_id");
        let checks = report.model.stages.values().filter(|stage| stage.info.kind == Kind::Check);
        for check in checks.filter(|check| check.info.scope == kernel.info.scope) {
            // A target may build several packages; each check belongs to the first kernel.
            let first = kernels.iter().find(|other| other.info.scope == check.info.scope);
            if first.is_some_and(|first| first.info.name == kernel.info.name) {
                tests.push(test(report, kernel, check));
                found.add(report, check, "test_id");
            }
        }
    }
    let whole = json!({
        "version": { "major": 5, "minor": 3 },
        "checkouts": checkouts.into_values().collect::<Vec<_>>(),
        "builds": builds,
        "tests": tests,
        "issues": found.issues.into_values().collect::<Vec<_>>(),
        "incidents": found.incidents,
    });
    Ok(serde_json::to_string_pretty(&whole)? + "\n")
}

pub(super) fn is_kernel(report: &Report<'_>, stage: &Stage) -> bool {
    stage.info.kind == Kind::Build && (report.is_kernel)(&stage.info.package)
}

fn id(name: &str) -> String {
    format!("{ORIGIN}:{}", harmless(name))
}

fn stage_id(report: &Report<'_>, stage: &Stage) -> String {
    id(&format!("{}:{}", report.name, stage.info.name))
}

fn status(stage: &Stage) -> &'static str {
    match meaning(stage) {
        Meaning::Pass => "PASS",
        Meaning::Fail | Meaning::KnownFailure => "FAIL",
        Meaning::Error => "ERROR",
        Meaning::Skip => "SKIP",
        Meaning::Missed => "MISS",
    }
}

// The time of an event, where the run's own start is known.
fn time(report: &Report<'_>, at_ms: u64) -> Option<String> {
    let started: jiff::Timestamp = report.model.run.started.parse().ok()?;
    let at = jiff::SignedDuration::from_millis(i64::try_from(at_ms).ok()?);
    started.checked_add(at).ok().map(|time| time.to_string())
}

fn add(object: &mut Value, name: &str, value: Option<impl Into<Value>>) {
    if let (Some(object), Some(value)) = (object.as_object_mut(), value) {
        object.insert(name.to_owned(), value.into());
    }
}

fn checkout_of(report: &Report<'_>, kernel: &Stage, id: &str) -> Value {
    let mut checkout = json!({
        "id": id,
        "origin": ORIGIN,
        "tree_name": harmless(&kernel.info.package),
        "git_commit_name": harmless(&kernel.info.version),
        "valid": true,
    });
    add(&mut checkout, "start_time", time(report, 0));
    checkout
}

// Fields that builds and tests share.
fn common(report: &Report<'_>, stage: &Stage) -> Value {
    let mut object = json!({
        "id": stage_id(report, stage), "origin": ORIGIN, "status": status(stage), "misc": misc(stage),
    });
    if stage.has_run() {
        add(&mut object, "duration", Some(stage.elapsed(report.model.latest_ms).as_secs_f64()));
        add(&mut object, "start_time", stage.started_ms.and_then(|at| time(report, at)));
    }
    add(&mut object, "comment", reason(stage).map(|why| harmless(&why)));
    add(&mut object, "log_excerpt", excerpt(stage));
    object
}

fn misc(stage: &Stage) -> Value {
    let mut misc = Map::new();
    misc.insert("state".into(), stage.phase.as_str().into());
    misc.insert("key".into(), stage.info.key.to_string().into());
    if let Some(failure) = &stage.failure {
        misc.insert("failure_class".into(), failure.class.as_str().into());
    }
    let figures = stage.check_result.iter().flat_map(|check_result| &check_result.figures);
    let figures: Map<String, Value> = figures.map(|(name, value)| (harmless(name), json!(value))).collect();
    if !figures.is_empty() {
        misc.insert("figures".into(), figures.into());
    }
    misc.into()
}

fn excerpt(stage: &Stage) -> Option<String> {
    let lines: Vec<String> = stage.failure.as_ref()?.excerpt.iter().map(|line| harmless(line)).collect();
    let mut text = lines.join("\n");
    let mut end = text.len().min(EXCERPT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    (!text.is_empty()).then_some(text)
}

fn build(report: &Report<'_>, kernel: &Stage, checkout: &str) -> Value {
    let run = &report.model.run;
    let mut build = common(report, kernel);
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let architecture: String = kernel.info.scope.chars().filter(|c| plain(*c)).collect();
    add(&mut build, "checkout_id", Some(checkout));
    add(&mut build, "architecture", Some(architecture));
    add(&mut build, "command", Some(harmless(&run.command.join(" "))));
    let profile = run.choice.as_ref().and_then(|choice| choice.profile.as_deref());
    add(&mut build, "config_name", profile.map(harmless));
    build
}

fn test(report: &Report<'_>, kernel: &Stage, check: &Stage) -> Value {
    let mut test = common(report, check);
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let path: String = check.info.package.chars().map(plain).collect();
    add(&mut test, "build_id", Some(stage_id(report, kernel)));
    add(&mut test, "path", Some(format!("{ORIGIN}.{path}")));
    test
}

#[derive(Default)]
struct Issues {
    issues: BTreeMap<String, Value>,
    incidents: Vec<Value>,
}

impl Issues {
    fn add(&mut self, report: &Report<'_>, stage: &Stage, object: &str) {
        let class = stage.failure.as_ref().map_or(Class::Other, |failure| failure.class);
        let (name, subject, culprit) = match meaning(stage) {
            Meaning::KnownFailure => {
                let why = reason(stage).map(|why| harmless(&why)).unwrap_or_default();
                let digest = Key::of(why.as_bytes()).to_string();
                (format!("known-failure-{}", &digest[..16]), why, None)
            }
            Meaning::Error | Meaning::Fail if class.is_environment() => {
                (class.as_str().to_owned(), class.words().to_owned(), Some("harness"))
            }
            Meaning::Error | Meaning::Fail if class == Class::InternalCompilerError => {
                (class.as_str().to_owned(), class.words().to_owned(), Some("tool"))
            }
            _ => return,
        };
        let issue = id(&name);
        let mut described = json!({ "id": issue, "version": 1, "origin": ORIGIN, "report_subject": subject });
        add(&mut described, "culprit", culprit.map(|culprit| json!({ culprit: true })));
        self.issues.entry(issue.clone()).or_insert(described);
        let mut incident = json!({
            "id": stage_id(report, stage), "origin": ORIGIN, "issue_id": issue, "issue_version": 1, "present": true,
        });
        add(&mut incident, object, Some(stage_id(report, stage)));
        self.incidents.push(incident);
    }
}
