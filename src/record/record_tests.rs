//! Tests of merging, and of the runs that built results.

use super::*;
use crate::base::Key;
use crate::run::log::event::{Event, Kind, StageInfo, StageOutcome, Stamped, Usage};
use crate::run::log::{RunModel, sample};

fn at(at_ms: u64, event: Event) -> Stamped {
    Stamped { at_ms, event }
}

fn usage(wall: f64) -> Usage {
    Usage { wall, user: wall, system: 0.0, max_rss_kib: wall as u64 }
}

// A run that does `steps` of one stage, a second each, and ends it with `state`.
fn run(name: &str, steps: &[(&str, bool)], state: Option<StageOutcome>) -> RunModel {
    let info = StageInfo {
        name: "a/tool".into(),
        kind: Kind::Build,
        scope: "a".into(),
        package: "tool".into(),
        version: "1".into(),
        key: Key::of(b"key"),
        expected: 1.0,
        cached: steps.is_empty(),
        needs: Vec::new(),
        steps: Vec::new(),
        expectation: None,
    };
    let mut events = vec![at(
        0,
        Event::RunStarted {
            run: name.into(),
            version: "0".into(),
            command: Vec::new(),
            started: name.into(),
            jobs: 1,
            memory: 1,
            stages: vec![info],
            borrowed: Vec::new(),
            choice: None,
        },
    )];
    for (step, resumed) in steps {
        let (stage, step) = (crate::base::StageName::from("a/tool"), (*step).to_owned());
        events.push(at(
            0,
            Event::StepStarted { stage: stage.clone(), step: step.clone(), log: String::new(), resumed: *resumed },
        ));
        events.push(at(1000, Event::StepFinished { stage, step, ok: true, usage: usage(1.0) }));
    }
    if let Some(state) = state {
        let usage = usage(steps.len() as f64);
        let (failure, result, check_result) = (None, None, None);
        events.push(at(
            1000,
            Event::StageFinished { stage: "a/tool".into(), state, usage, failure, result, check_result },
        ));
    }
    RunModel::of(&events)
}

#[test]
fn what_went_on_where_a_run_was_stopped_took_the_time_of_both() {
    let key = Key::of(b"key");
    let built = |runs: &[RunModel]| History::of(runs).get(&key).map(|built| (built.run.clone(), built.usage.wall));
    let stopped = run("1", &[("configure", false), ("build", false)], Some(StageOutcome::Interrupted));
    let resumed = run("2", &[("build", true), ("install", false)], Some(StageOutcome::Done));
    assert_eq!(built(&[stopped.clone(), resumed.clone()]), Some(("2".to_owned(), 4.0)));
    // A step done again shows by what is missing before it.
    let redone = run("2", &[("install", false)], Some(StageOutcome::Done));
    assert_eq!(built(&[stopped.clone(), redone]), Some(("2".to_owned(), 3.0)));
    let again = run("2", &[("configure", false), ("build", false), ("install", false)], Some(StageOutcome::Done));
    assert_eq!(built(&[stopped.clone(), again.clone()]), Some(("2".to_owned(), 3.0)));
    // A killed run has no end; a later one that finds the result builds nothing.
    let killed = run("1", &[("configure", false)], None);
    assert_eq!(built(&[killed, resumed, run("3", &[], None)]), Some(("2".to_owned(), 3.0)));
    assert_eq!(built(&[stopped, run("2", &[], None)]), None);
    // All steps of a failed run were good and its result was not: the next one only looks again.
    let why = || Some(StageOutcome::Failed { why: "left no file".into() });
    let failed = run("1", &[("configure", false), ("build", false)], why());
    assert_eq!(built(&[failed.clone(), run("2", &[], Some(StageOutcome::Done))]), Some(("2".to_owned(), 2.0)));
    assert_eq!(built(&[failed, again]), Some(("2".to_owned(), 3.0)));
}

#[test]
fn the_final_key_is_read_from_where_the_logs_are() {
    let mut model = run("1", &[("configure", false)], Some(StageOutcome::Done));
    let stage = model.stages.get_mut("a/tool").unwrap();
    assert_eq!(history::key_of(stage), Key::of(b"key"));
    stage.steps[0].log = format!("/store/work/{}/logs/01-configure.log", Key::of(b"final"));
    assert_eq!(history::key_of(stage), Key::of(b"final"));
}

fn stage(package: &str, state: Outcome) -> StageResult {
    StageResult {
        package: package.into(),
        per: if package == "tool" { "toolchain" } else { "target" }.into(),
        check: package == "boot",
        version: if package == "boot" { String::new() } else { "1".into() },
        state,
        why: (state != Outcome::Built && state != Outcome::Pass).then(|| "a | reason".to_owned()),
        summary: (state == Outcome::Pass).then(|| "booted in 2 s".to_owned()),
        figures: BTreeMap::new(),
        failure: (state == Outcome::Failed).then(|| Evidence {
            step: "build".into(),
            ended: "exit code 2".into(),
            excerpt: vec!["x.c:1: error: ```no".into()],
        }),
        key: format!("key of {package}"),
        run: None,
        wall: 75.0,
        cpu: 100.0,
        memory_kib: 2048,
        bytes: Some(1 << 20),
    }
}

fn gathered(run: &str, stages: Vec<StageResult>, profile: &str) -> Gathered {
    let stages: Vec<_> = stages.into_iter().map(|stage| StageResult { run: Some(run.to_owned()), ..stage }).collect();
    let results = TargetResults {
        triple: "a-linux".into(),
        arch: "a".into(),
        tier: "primary".into(),
        toolchain: "a".into(),
        tested: format!("{run}T00:00:00Z"),
        run: run.into(),
        profile: Some(profile.into()),
        release_set: None,
        set: BTreeMap::new(),
        versions: stages
            .iter()
            .filter(|s| !s.version.is_empty())
            .map(|s| (s.package.clone(), s.version.clone()))
            .collect(),
        stages,
    };
    let figures = RunFigures {
        started: format!("{run}T00:00:00Z"),
        crossmill: "0".into(),
        jobs: 2,
        cores: 2,
        memory: 8 << 30,
        ended: true,
        wall: 100.0,
        cpu: 150.0,
        busy_wall: 90.0,
        busy_cpu: 150.0,
        peak_kib: 4096,
        tools: BTreeMap::from([("cc".to_owned(), "gcc 12".to_owned())]),
    };
    Gathered {
        run: run.into(),
        figures,
        host: Vec::new(),
        targets: BTreeMap::from([("a".to_owned(), results)]),
        unknown: Vec::new(),
    }
}

#[test]
fn the_newest_results_of_each_profile_take_precedence_and_nothing_else_is_lost() {
    use Outcome::{Built, Failed, Pass, Skipped};
    let of = |record: &Record| -> Vec<(String, Outcome)> {
        record.targets["a"]["quick"].stages.iter().map(|stage| (stage.package.clone(), stage.state)).collect()
    };
    let is =
        |what: &[(&str, Outcome)]| what.iter().map(|(name, state)| ((*name).to_owned(), *state)).collect::<Vec<_>>();
    let mut record = Record::new();
    let whole = || vec![stage("tool", Built), stage("kernel", Built), stage("boot", Pass)];
    assert!(merge(&mut record, gathered("2026-01-02", whole(), "quick")).is_empty());
    // An older run changes nothing; it is not kept either.
    merge(&mut record, gathered("2026-01-01", vec![stage("boot", Failed)], "quick"));
    assert_eq!(of(&record), is(&[("tool", Built), ("kernel", Built), ("boot", Pass)]));
    assert_eq!(record.runs.keys().collect::<Vec<_>>(), ["2026-01-02"]);
    // A part of the same is laid over it; a machine that cannot look undoes nothing.
    merge(&mut record, gathered("2026-01-03", vec![stage("kernel", Failed), stage("boot", Skipped)], "quick"));
    assert_eq!(of(&record), is(&[("tool", Built), ("kernel", Failed), ("boot", Pass)]));
    // A setting that did not exist then is no other setting.
    let mut run = gathered("2026-01-03", vec![stage("kernel", Built)], "quick");
    run.targets.get_mut("a").unwrap().set.insert("new".into(), "yes".into());
    assert!(merge(&mut record, run).is_empty());
    assert_eq!(of(&record), is(&[("tool", Built), ("kernel", Built), ("boot", Pass)]));
    // Fewer stages from another version replace nothing.
    let other_version = |stages: Vec<StageResult>| {
        let mut run = gathered("2026-01-04", stages, "quick");
        let results = run.targets.get_mut("a").unwrap();
        results.versions = results.versions.keys().map(|package| (package.clone(), "2".to_owned())).collect();
        run
    };
    assert_eq!(
        merge(&mut record, other_version(vec![stage("tool", Built)])),
        [
            "2026-01-04: `a` keeps its quick results of 2026-01-03, which are from other versions or settings and have more \
          stages"
        ]
    );
    assert_eq!(of(&record), is(&[("tool", Built), ("kernel", Built), ("boot", Pass)]));
    merge(&mut record, other_version(whole()));
    assert_eq!(record.targets["a"]["quick"].versions["tool"], "2");
    // Another profile has results of its own.
    assert!(merge(&mut record, gathered("2026-01-05", vec![stage("tool", Built)], "standard")).is_empty());
    assert_eq!(of(&record), is(&[("tool", Built), ("kernel", Built), ("boot", Pass)]));
    assert_eq!(record.targets["a"]["standard"].stages.len(), 1);
    assert_eq!(record.newest("a")[0].profile.as_deref(), Some("standard"));
    assert_eq!(record.runs.keys().collect::<Vec<_>>(), ["2026-01-04", "2026-01-05"]);
    let page = markdown::text(&record);
    assert!(page.contains("| **a** | a-linux | quick |") && page.contains("| **a** | a-linux | standard |"), "{page}");
    assert!(page.contains("| a (standard) |"), "{page}");
}

#[test]
fn a_record_is_read_as_it_was_written_and_drawn() {
    let mut record = Record::new();
    let stages = vec![stage("tool", Outcome::Built), stage("kernel", Outcome::Failed), stage("boot", Outcome::Blocked)];
    merge(&mut record, gathered("2026-01-02", stages, "quick"));
    let written = text(&record).unwrap();
    assert_eq!(Record::parse(&written).unwrap(), record);
    insta::assert_snapshot!("json", written);
    insta::assert_snapshot!("markdown", markdown::text(&record));
    // Rows of several profiles name theirs; where all are of one, the line above the table does.
    assert!(!markdown::text(&record).contains("| profile |"));
    let mut other = gathered("2026-01-03", vec![stage("tool", Outcome::Built)], "draft");
    let of_b = other.targets.remove("a").unwrap();
    other.targets.insert("b".to_owned(), of_b);
    merge(&mut record, other);
    let page = markdown::text(&record);
    assert!(page.contains("| target | toolchain | profile | tool |"), "{page}");
    assert!(page.contains("| **b** | a's | draft | 1 |"), "{page}");
    // The owner's row names the run that built the shared toolchain.
    let found_ready = record.targets.get_mut("b").unwrap().get_mut("draft").unwrap();
    found_ready.versions.clear();
    found_ready.stages.clear();
    assert!(markdown::text(&record).contains("| **b** | a's | draft | 1 |"));
    // Schema 1 had one result for each target, and called `tested` `proven`.
    let first = r#"{"schema": 1, "generated": "", "host": [], "runs": {}, "targets": {"a": {"triple": "a-linux",
        "arch": "a", "tier": "primary", "toolchain": "a", "proven": "2026-01-01T00:00:00Z", "run": "r",
        "profile": "quick", "release_set": "latest", "set": {}, "versions": {}, "stages": []}}}"#;
    let read = Record::parse(first).unwrap();
    assert_eq!(read.schema, SCHEMA);
    assert_eq!(read.targets["a"]["latest-quick"].tested, "2026-01-01T00:00:00Z");
    assert!(Record::parse(&first.replace("proven", "tested on")).is_err());
    assert!(Record::parse("{}").is_err() && Record::parse(&written.replace("\"host\"", "\"hots\"")).is_err());
}

#[test]
fn a_whole_run_is_gathered() {
    let model = RunModel::of(&sample::run());
    let config = crate::config::Config::load(std::path::Path::new(env!("CARGO_MANIFEST_DIR")), &[], &[]).unwrap();
    let world = gather::World {
        config: &config,
        history: &History::of([&model]),
        look: &|_| None,
        hide: &|text| text.to_owned(),
        cores: 2,
    };
    let gathered = gather(&model, &world);
    let states: Vec<_> = gathered
        .targets
        .iter()
        .flat_map(|(name, results)| {
            results.stages.iter().map(move |stage| format!("{name}/{} {:?} {}", stage.package, stage.state, stage.wall))
        })
        .collect();
    insta::assert_snapshot!(states.join("\n"), @"
    arm64/gcc Failed 239.8
    arm64/linux Blocked 0
    i386/linux Built 0
    x86_64/binutils Built 140
    x86_64/gcc Built 419.8
    ");
    assert_eq!(gathered.targets["i386"].versions.get("gcc").map(String::as_str), Some("16.2.0"), "that of x86_64");
}
