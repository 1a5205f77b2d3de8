use super::*;
use crate::base::check_result::CheckResult;
use crate::run::log::event::{Event, Stamped, Usage};
use crate::run::log::sample;

fn subject(name: &str, change: impl Fn(&mut Stamped)) -> Subject {
    let mut events = sample::run();
    events.iter_mut().for_each(change);
    Subject { name: name.to_owned(), model: RunModel::of(&events), ..Subject::default() }
}

// The sample run with another outcome of one stage.
fn with(stage: &str, outcome: StageOutcome) -> Subject {
    subject("other", |stamped| {
        if let Event::StageFinished { stage: name, state, failure, .. } = &mut stamped.event
            && name == stage
        {
            *state = outcome.clone();
            *failure = None;
        }
    })
}

fn kinds(before: &Subject, after: &Subject) -> Vec<(String, ChangeKind)> {
    let found = compare(before, after, Judging::Unusual(&History::default())).unwrap();
    found.states.into_iter().map(|change| (change.stage.to_string(), change.kind)).collect()
}

#[test]
fn a_run_differs_in_nothing_from_itself() {
    let run = subject("a", |_| ());
    let found = compare(&run, &run, Judging::Unusual(&History::default())).unwrap();
    assert!(found.states.is_empty() && found.warnings.is_empty() && found.times.is_empty() && found.sizes.is_empty());
}

#[test]
fn a_stage_regresses_and_is_fixed() {
    let (failed, good) = (subject("a", |_| ()), with("arm64/gcc", StageOutcome::Done));
    let change = |kind| vec![("arm64/gcc".to_owned(), kind)];
    assert_eq!(kinds(&good, &failed), change(ChangeKind::Regression));
    assert_eq!(kinds(&failed, &good), change(ChangeKind::Fixed));
    let interrupted = with("arm64/gcc", StageOutcome::Interrupted);
    assert_eq!(kinds(&interrupted, &failed), change(ChangeKind::NewFailure));
    // An interrupted run shows neither that it works nor that it does not.
    assert_eq!(kinds(&failed, &interrupted), change(ChangeKind::Other));
    assert_eq!(kinds(&good, &interrupted), change(ChangeKind::NotReached));
    let blocked = with("arm64/gcc", StageOutcome::Blocked { by: "fetch/gcc-16.2.0".into() });
    assert_eq!(kinds(&good, &blocked), change(ChangeKind::NotReached));
    let cached = with("arm64/gcc", StageOutcome::Cached);
    assert_eq!(kinds(&good, &cached), []);
}

#[test]
fn a_warning_is_new_unless_only_its_numbers_differ() {
    let before = subject("a", |_| ());
    let text = |new: &str| {
        subject("b", |stamped| {
            if let Event::Notice { text, .. } = &mut stamped.event {
                *text = new.to_owned();
            }
        })
    };
    assert_eq!(
        compare(&before, &text("7 GiB of disk are left"), Judging::Unusual(&History::default())).unwrap().warnings,
        []
    );
    let found =
        compare(&before, &text("the clock runs backwards"), Judging::Unusual(&History::default())).unwrap().warnings;
    assert_eq!(found, [NewWarning { stage: Some("arm64/gcc".into()), text: "the clock runs backwards".into() }]);
}

#[test]
fn findings_and_figures_of_checks_are_compared() {
    let check_result = |fdes: f64, finding: &str| {
        let finding = finding.to_owned();
        subject("x", move |stamped| {
            if let Event::StageFinished { stage, check_result, .. } = &mut stamped.event
                && stage == "x86_64/gcc"
            {
                *check_result = Some(CheckResult {
                    figures: vec![("fdes".into(), fdes)],
                    findings: vec![finding.clone()],
                    ..CheckResult::default()
                });
            }
        })
    };
    let found =
        compare(&check_result(10.0, "f +0x30"), &check_result(12.0, "g +0x30"), Judging::Unusual(&History::default()))
            .unwrap();
    assert_eq!(
        found.figures[0],
        FigureChange { stage: "x86_64/gcc".into(), figure: "fdes".into(), before: 10.0, after: 12.0 }
    );
    assert_eq!(found.warnings.len(), 1);
}

#[test]
fn times_and_sizes_are_judged_by_their_history() {
    let scaled = |factor: f64| {
        subject("x", move |stamped| {
            if let Event::StageFinished { usage, .. } = &mut stamped.event {
                *usage = Usage { user: usage.user * factor, system: usage.system * factor, ..*usage };
            }
        })
    };
    let mut history = History::default();
    for percent in [100.0, 101.0, 99.0, 100.0, 102.0] {
        history.add(&scaled(percent / 100.0).model, &BTreeMap::new());
    }
    let found = compare(&scaled(1.0), &scaled(1.5), Judging::Unusual(&history)).unwrap();
    assert_eq!(found.times.len(), 2, "binutils and gcc of x86_64");
    assert!((found.times[0].change() - 0.5).abs() < 1e-9 && found.times_unjudged == 0);
    assert!(compare(&scaled(1.0), &scaled(1.01), Judging::Unusual(&history)).unwrap().times.is_empty());
    assert_eq!(compare(&scaled(1.0), &scaled(1.5), Judging::Unusual(&History::default())).unwrap().times_unjudged, 2);

    let sized = |bytes: u64| Subject { sizes: BTreeMap::from([("x86_64/gcc".into(), bytes)]), ..scaled(1.0) };
    let found = compare(&sized(1000), &sized(1030), Judging::Unusual(&history)).unwrap();
    assert!((found.sizes[0].change() - 0.03).abs() < 1e-9 && found.sizes[0].usual.is_none());
    assert!(compare(&sized(1000), &sized(1000), Judging::Unusual(&history)).unwrap().sizes.is_empty());
}

#[test]
fn runs_without_a_common_target_are_refused() {
    let other = subject("b", |stamped| {
        if let Event::RunStarted { stages, borrowed, .. } = &mut stamped.event {
            stages.retain(|info| info.scope == "arm64" || info.scope == "host");
            borrowed.clear();
        }
    });
    let mut first = subject("a", |_| ());
    first.model.stages.retain(|_, stage| stage.info.scope != "arm64");
    let error = compare(&first, &other, Judging::Unusual(&History::default())).unwrap_err();
    assert_eq!(error.to_string(), "runs `a` and `b` have no target in common");
    assert_eq!((error.before_rows.join(" "), error.after_rows.join(" ")), ("i386 x86_64".into(), "arm64".into()));
    let empty = Subject { name: "e".into(), ..Subject::default() };
    assert!(compare(&empty, &other, Judging::Unusual(&History::default())).is_err());
}

#[test]
fn of_two_sets_of_versions_every_result_that_differs_counts() {
    let built = |key: &[u8], seconds: f64, bytes: u64| {
        let mut run = subject("a", |_| ());
        run.built.insert("arm64/gcc".into(), (Key::of(key), seconds));
        run.sizes.insert("arm64/gcc".into(), bytes);
        run
    };
    let of = |before: &Subject, after: &Subject| {
        let found = compare(before, after, Judging::Every).unwrap();
        (found.times.iter().map(Difference::change).collect::<Vec<f64>>(), found.sizes.len(), found.times_unjudged)
    };
    let before = built(b"a", 100.0, 1000);
    assert_eq!(of(&before, &built(b"b", 101.0, 1001)).0.len(), 1);
    assert_eq!(of(&before, &built(b"b", 150.0, 1001)), (vec![0.5], 1, 0));
    assert_eq!(of(&before, &built(b"b", 150.0, 1000)).1, 0);
    // The same result, whose time another run measured.
    assert_eq!(of(&before, &built(b"a", 150.0, 1000)), (vec![], 0, 0));
    // Too short for the kernel's clock.
    assert!(of(&built(b"a", 0.01, 1), &built(b"b", 0.02, 1)).0.is_empty());
}
