use super::*;
use crate::base::check_result::{CheckResult, Verdict};
use crate::run::comparison::spread::History;
use crate::run::comparison::{Judging, Subject, compare};
use crate::run::log::event::{Class, Event, Failure, Kind, StageInfo, StageOutcome, Stamped, Usage};
use crate::run::log::sample;
use serde_json::Value;

fn finished(stage: &str, state: StageOutcome, check_result: Option<CheckResult>, failure: Option<Failure>) -> Stamped {
    let event = Event::StageFinished {
        stage: stage.into(),
        state,
        usage: Usage { wall: 2.0, user: 1.5, system: 0.25, max_rss_kib: 4096 },
        failure,
        result: None,
        check_result,
    };
    Stamped { at_ms: 569_000, event }
}

// The sample run with checks that end in every way.
fn run() -> Vec<Stamped> {
    let mut events = sample::run();
    let last = events.pop().unwrap();
    let checks = ["boot", "sframe", "btf", "load", "late"];
    if let Event::RunStarted { stages, .. } = &mut events[0].event {
        let template = stages.iter().find(|info| info.name == "i386/linux").unwrap().clone();
        let checks = checks.iter().map(|check| StageInfo {
            name: crate::base::StageName::new("i386", check),
            kind: Kind::Check,
            package: (*check).into(),
            version: "1".into(),
            expectation: Some("pass".into()),
            ..template.clone()
        });
        stages.extend(checks.collect::<Vec<_>>());
    }
    let check_result = |state, summary: &str| CheckResult {
        state,
        summary: Some(summary.into()),
        figures: vec![("fdes".into(), 15_399.0), ("share".into(), 0.25)],
        ..CheckResult::default()
    };
    let pass = Some(check_result(Verdict::Pass, "v3, 15,399 FDEs"));
    events.push(finished("i386/boot", StageOutcome::Done, pass, None));
    let fail = Some(check_result(Verdict::Fail, "3 differ"));
    let known = StageOutcome::KnownFailure { why: "binutils #34567".into() };
    events.push(finished("i386/sframe", known, fail.clone(), None));
    let why = || "qemu is missing".to_owned();
    events.push(finished("i386/load", StageOutcome::Skipped { why: why() }, None, None));
    let failure = |class, ended: &str| Failure {
        step: "check".into(),
        ended: ended.into(),
        class,
        excerpt: vec!["FAIL \x1b[31m<b>#1</b> a|b ``` ]]> \u{fffd}".into()],
        log: "/runs/1/x y%.log".into(),
        reproduce: "crossmill reproduce i386/btf".into(),
        evidence: Vec::new(),
    };
    let failed = |why: &str| StageOutcome::Failed { why: why.into() };
    events.push(finished("i386/btf", failed("3 differ"), fail, Some(failure(Class::Other, "3 differ"))));
    let late = failed("check: time limit of 45m");
    events.push(finished("i386/late", late, None, Some(failure(Class::Timeout, "time limit of 45m"))));
    events.push(last);
    events
}

fn render(events: &[Stamped], format: Format) -> String {
    let model = RunModel::of(events);
    let report = Report {
        name: &model.run.name,
        model: &model,
        skipped_lines: 0,
        since: None,
        is_kernel: &|package| package == "linux",
        exit_code: |end| u8::from(end != RunEnd::Done),
    };
    report.render(format).unwrap()
}

#[test]
fn each_form_of_one_run() {
    for (name, format) in [
        ("junit", Format::Junit),
        ("ktap", Format::Ktap),
        ("markdown", Format::Markdown),
        ("kcidb", Format::Kcidb),
        ("mail", Format::Mail),
    ] {
        insta::assert_snapshot!(name, render(&run(), format));
    }
}

#[test]
fn the_page_has_every_part() {
    let page = render(&run(), Format::Html);
    assert!(!page.contains("<script") && !page.contains("http-equiv") && !page.contains("<link"));
    let at = page.find("</style>").unwrap();
    for part in ["Matrix", "Failures", "Figures of checks", "Warnings", "Timeline", "Stages"] {
        assert!(page[at..].contains(&format!("<h2>{part}</h2>")), "{part}");
    }
    assert!(page.contains("15,399") && page.contains("binutils #34567") && page.contains("time limit"));
    // Every link inside the page has its place, and every link out of it is a file.
    for link in page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        match link.strip_prefix('#') {
            Some(id) => assert!(page.contains(&format!("id=\"{id}\"")), "{link}"),
            None => assert!(link.starts_with("file:///"), "{link}"),
        }
    }
    assert!(page.contains("file:///runs/1/arm64.gcc.all-gcc.log"));
}

#[test]
fn the_picture_is_xml_that_needs_nothing_else() {
    let picture = render(&run(), Format::Svg);
    let mut reader = quick_xml::Reader::from_str(&picture);
    let mut bars = 0;
    loop {
        match reader.read_event().unwrap() {
            quick_xml::events::Event::Eof => break,
            quick_xml::events::Event::Start(element) => {
                let class = element.try_get_attribute("class").unwrap();
                bars += usize::from(class.is_some_and(|class| class.value.starts_with(b"bar ")));
            }
            _ => {}
        }
    }
    let model = RunModel::of(&run());
    assert!(bars >= model.stages.values().filter(|stage| stage.has_run()).count());
    assert!(picture.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\"") && !picture.contains("href"));
    // The command without the program's directory, and the totals.
    assert!(picture.contains(">crossmill build ") && picture.contains(" stages, 3 failed, "), "{}", &picture[..900]);
}

#[test]
fn a_page_shows_what_changed() {
    let before = Subject { name: "before".into(), model: RunModel::of(&sample::run()), ..Subject::default() };
    let after = Subject { name: "after".into(), model: RunModel::of(&run()), ..Subject::default() };
    let changes = compare(&before, &after, Judging::Unusual(&History::default())).unwrap();
    let report = Report {
        name: "after",
        model: &after.model,
        skipped_lines: 2,
        since: Some((&before.model, &changes)),
        is_kernel: &|_| false,
        exit_code: |_| 0,
    };
    let page = report.render(Format::Html).unwrap();
    assert!(page.contains("Since run before") && page.contains("only in after: i386/boot"));
    assert!(page.contains("2 lines of the event log could not be read"));
    assert!(report.render(Format::Markdown).unwrap().contains("### Since run before"));
    assert!(report.render(Format::Mail).unwrap().contains("since run before:"));
}

#[test]
fn a_run_killed_at_any_point_has_a_report_in_every_form() {
    let events = run();
    for count in 0..events.len() {
        for format in Format::value_variants() {
            let text = render(&events[..count], *format);
            assert!(text.ends_with('\n'), "{format:?} {count}");
        }
    }
    let page = render(&events[..20], Format::Html);
    assert!(page.contains("the run has not ended, or was killed"));
    // A check that did not run is not a success.
    let junit = render(&events[..20], Format::Junit);
    assert!(junit.contains("type=\"not-run\""), "{junit}");
    let kcidb: Value = serde_json::from_str(&render(&events[..20], Format::Kcidb)).unwrap();
    let states: Vec<&str> =
        kcidb["builds"].as_array().unwrap().iter().map(|build| build["status"].as_str().unwrap()).collect();
    assert_eq!(states, ["MISS", "MISS"]);
}

#[test]
fn nothing_from_outside_is_taken_for_markup() {
    let evil = "<script>\x1b]0;x\x07'\"&\u{0}|`</script>\n# Subject: x\r\nBcc: y";
    let mut events = run();
    for stamped in &mut events {
        match &mut stamped.event {
            Event::RunStarted { run, command, stages, started, version, .. } => {
                (*run, *started, *version) = (evil.into(), evil.into(), evil.into());
                *command = vec![evil.into()];
                for stage in stages {
                    (stage.scope, stage.version) = (evil.into(), evil.into());
                }
            }
            Event::StepStarted { step, log, .. } => (*step, *log) = (evil.into(), evil.into()),
            Event::StageFinished { failure, check_result, state, .. } => {
                if let Some(failure) = failure {
                    (failure.excerpt, failure.log, failure.ended) = (vec![evil.into()], evil.into(), evil.into());
                }
                if let Some(check_result) = check_result {
                    check_result.summary = Some(evil.into());
                    check_result.figures = vec![(evil.into(), f64::NAN)];
                    check_result.evidence = vec![evil.into(), format!("/{evil}")];
                }
                if let StageOutcome::Failed { why } | StageOutcome::Skipped { why } = state {
                    *why = evil.into();
                }
            }
            Event::Notice { text, .. } => *text = evil.into(),
            _ => {}
        }
    }
    for format in Format::value_variants() {
        let text = render(&events, *format);
        let controls = |c: char| c.is_control() && c != '\n';
        assert!(!text.contains(controls), "{format:?} has control characters: {text:?}");
        let structured = matches!(format, Format::Json | Format::Kcidb | Format::Trace | Format::Ktap | Format::Mail);
        // Inside a fence Markdown shows text as it is; every other part is outside.
        let outside = if *format == Format::Markdown { text.split("```").step_by(2).collect() } else { text.clone() };
        assert!(structured || !outside.contains("<script"), "{format:?}: {text}");
        assert!(*format != Format::Mail || !text.contains("\nBcc:"), "a header of its own");
    }
}

#[test]
fn a_trace_has_slices_inside_slices() {
    let trace: Value = serde_json::from_str(&render(&run(), Format::Trace)).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let slices: Vec<&Value> = events.iter().filter(|event| event["ph"] == "X").collect();
    assert!(slices.len() > 6);
    let time = |event: &Value, name: &str| event[name].as_u64().unwrap();
    let bounds = |event: &Value| (time(event, "ts"), time(event, "ts") + time(event, "dur"));
    for step in slices.iter().filter(|event| event["cat"] == "step") {
        let stage = slices.iter().find(|event| event["tid"] == step["tid"] && event["cat"] != "step").unwrap();
        let (outer, inner) = (bounds(stage), bounds(step));
        assert!(outer.0 <= inner.0 && inner.1 <= outer.1, "{step}");
    }
    // Each process and each thread has one name.
    let named = |what: &str| events.iter().filter(|event| event["name"] == what).count();
    let stages = slices.iter().filter(|event| event["cat"] != "step").count();
    assert_eq!(named("thread_name"), stages);
    assert_eq!(events.iter().filter(|event| event["ph"] == "C" && event["name"] == "memory").count(), 3);
}

#[test]
fn ktap_has_as_many_results_as_it_announces() {
    let text = render(&run(), Format::Ktap);
    let results = text.lines().filter(|line| line.starts_with("    ok ") || line.starts_with("    not ok ")).count();
    assert!(text.contains("\n1..3\n") && text.contains("    1..5\n") && results == 5, "{text}");
    let rows = text.lines().filter(|line| line.starts_with("ok ") || line.starts_with("not ok ")).count();
    assert_eq!(rows, 3, "{text}");
}

// The events with the outcome of one stage replaced.
fn with(mut events: Vec<Stamped>, name: &str, outcome: StageOutcome) -> Vec<Stamped> {
    for stamped in &mut events {
        if let Event::StageFinished { stage, state, failure, .. } = &mut stamped.event
            && stage == name
        {
            (*state, *failure) = (outcome.clone(), None);
        }
    }
    events
}

fn ended(mut events: Vec<Stamped>, with: RunEnd) -> Vec<Stamped> {
    if let Some(Event::RunFinished { end, .. }) = events.last_mut().map(|stamped| &mut stamped.event) {
        *end = with;
    }
    events
}

#[test]
fn a_run_without_checks_is_no_success_of_its_checks() {
    // Of the sample's targets arm64 fails and no other has a check.
    let failed = sample::run();
    insta::assert_snapshot!(render(&failed, Format::Ktap), @r"
    KTAP version 1
    # crossmill run 20261122-2050-a1: failed
    1..3
    ok 1 x86_64 # SKIP the run has no check of it
    ok 2 i386 # SKIP the run has no check of it
    # arm64: gcc is not built: all-gcc: exit code 2
    # arm64: linux is not built: blocked by arm64/gcc
    not ok 3 arm64
    ");
    // A run of sources alone, which failed, was killed, or is good.
    let fetches = |end: Option<RunEnd>| {
        let mut events = failed.clone();
        if let Event::RunStarted { stages, .. } = &mut events[0].event {
            stages.retain(|stage| stage.kind == Kind::Fetch);
        }
        match end {
            Some(end) => ended(events, end),
            None => events[..events.len() - 1].to_vec(),
        }
    };
    let last = |events: &[Stamped]| render(events, Format::Ktap).lines().skip(2).collect::<Vec<_>>().join("\n");
    assert_eq!(last(&fetches(Some(RunEnd::Done))), "1..1\nok 1 run # SKIP the run has no check");
    assert!(last(&fetches(None)).ends_with("1..1\nnot ok 1 run # ERROR the run has not ended, or was killed"));
    let lost = with(fetches(Some(RunEnd::SourceFailed)), "fetch/gcc-16.2.0", StageOutcome::Failed { why: "x".into() });
    assert_eq!(last(&lost), "1..1\nnot ok 1 run");
    // Not a line of the event log could be read.
    assert!(last(&[]).ends_with("1..1\nnot ok 1 run # ERROR the event log names no stage"));
    let junit = render(&[], Format::Junit);
    assert!(junit.contains("errors=\"1\"") && junit.contains("the event log names no stage"), "{junit}");
    let json: Value =
        serde_json::from_str(&render(&ended(failed[failed.len() - 1..].to_vec(), RunEnd::Done), Format::Json)).unwrap();
    assert_eq!(json["ok"], false);
}

#[test]
fn a_target_whose_checks_were_all_skipped_is_skipped() {
    let mut events = run();
    for check in ["boot", "sframe", "btf", "load", "late"] {
        let why = "qemu is missing".to_owned();
        events = with(events, &format!("i386/{check}"), StageOutcome::Skipped { why });
    }
    let text = render(&events, Format::Ktap);
    assert!(text.contains("\nok 2 i386 # SKIP every check was skipped\n"), "{text}");
    // The package that the checks examine was not built after all.
    let text = render(&with(events, "i386/linux", StageOutcome::Interrupted), Format::Ktap);
    assert!(text.contains("\nnot ok 2 i386\n"), "{text}");
}
