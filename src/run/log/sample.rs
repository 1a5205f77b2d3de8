//! A small run with every kind of event, for tests.

use crate::base::Key;
use crate::run::log::event::{
    BorrowedToolchain, Class, Event, Failure, Kind, RunEnd, StageInfo, StageOutcome, Stamped, Usage,
};

fn info(name: &str, kind: Kind, scope: &str, package: &str, version: &str, expected: f64, cached: bool) -> StageInfo {
    StageInfo {
        name: name.into(),
        kind,
        scope: scope.to_owned(),
        package: package.to_owned(),
        version: version.to_owned(),
        key: Key::of(name.as_bytes()),
        expected,
        cached,
        needs: Vec::new(),
        steps: Vec::new(),
        expectation: (kind == Kind::Check).then(|| "pass".to_owned()),
    }
}

fn used(wall: f64, cores: f64) -> Usage {
    // Eighths survive being written and read as text.
    let eighths = |seconds: f64| (seconds * 8.0).round() / 8.0;
    let (user, system) = (eighths(wall * cores * 0.9), eighths(wall * cores * 0.1));
    Usage { wall, user, system, max_rss_kib: (wall * 4096.0) as u64 }
}

/// Returns the events of the run, in order.
pub fn run() -> Vec<Stamped> {
    let mut run = Recorder::default();
    run.at(0, started());
    run.stage_start(100, "fetch/gcc-16.2.0");
    run.stage_start(100, "x86_64/binutils");
    run.step(150, "x86_64/binutils", "configure");
    run.at(
        900,
        Event::FetchRetry {
            stage: "fetch/gcc-16.2.0".into(),
            source: "https://ftp.gnu.org/gnu/gcc/gcc-16.2.0.tar.xz".into(),
            why: "connection refused".into(),
            next: "next source".into(),
        },
    );
    run.fetched(1_000, 10 << 20);
    run.fetched(2_500, 60 << 20);
    run.activity(2_600, "x86_64/binutils", "checking for strerror");
    run.at(3_000, Event::Load { cores: 1.2, tokens: 1, memory_kib: 90_000 });
    run.at(
        4_000,
        Event::FetchUsed {
            stage: "fetch/gcc-16.2.0".into(),
            source: "debian:pool/main/g/gcc-16/gcc-16-source_16.2.0-4_all.deb".into(),
            cached: false,
            bytes: 105_328_596,
        },
    );
    run.over(4_000, "fetch/gcc-16.2.0", StageOutcome::Done, Usage { wall: 3.9, ..Usage::default() });
    run.step_end(20_000, "x86_64/binutils", "configure", true, used(19.8, 0.9));
    run.step(20_000, "x86_64/binutils", "build");
    run.activity(60_000, "x86_64/binutils", "elf64-x86-64.c");
    run.at(70_000, Event::Load { cores: 1.95, tokens: 2, memory_kib: 600_000 });
    run.step_end(140_000, "x86_64/binutils", "build", true, used(120.0, 1.9));
    run.over(140_100, "x86_64/binutils", StageOutcome::Done, used(140.0, 1.8));
    run.stage_start(140_200, "x86_64/gcc");
    run.stage_start(140_200, "arm64/gcc");
    run.step(140_300, "x86_64/gcc", "all-gcc");
    run.step(140_300, "arm64/gcc", "all-gcc");
    run.activity(200_000, "x86_64/gcc", "insn-emit.cc");
    run.at(210_000, Event::Load { cores: 2.0, tokens: 2, memory_kib: 1_400_000 });
    run.at(
        230_000,
        Event::Notice { stage: Some("arm64/gcc".into()), warning: true, text: "12 GiB of disk are left".into() },
    );
    run.step_end(380_000, "arm64/gcc", "all-gcc", false, used(239.7, 1.0));
    run.failed(380_000);
    run.at(
        380_001,
        Event::StageFinished {
            stage: "arm64/linux".into(),
            state: StageOutcome::Blocked { by: "arm64/gcc".into() },
            usage: Usage::default(),
            failure: None,
            result: None,
            check_result: None,
        },
    );
    run.step_end(560_000, "x86_64/gcc", "all-gcc", true, used(419.7, 1.4));
    run.over(560_000, "x86_64/gcc", StageOutcome::Done, used(419.8, 1.4));
    run.stage_start(560_000, "i386/linux");
    run.at(560_100, Event::StageWaiting { stage: "i386/linux".into(), what: "another crossmill".into() });
    run.over(570_000, "i386/linux", StageOutcome::BuiltElsewhere, Usage::default());
    run.at(
        570_000,
        Event::RunFinished {
            wall: 570.0,
            cpu: 1040.0,
            busy_wall: 540.0,
            busy_cpu: 1035.0,
            peak_kib: 1_400_000,
            end: RunEnd::Failed,
        },
    );
    run.0
}

fn started() -> Event {
    let gcc = "16.2.0";
    Event::RunStarted {
        run: "20261122-2050-a1".into(),
        version: "0.1.0".into(),
        command: ["crossmill", "build", "x86_64", "i386", "arm64"].map(String::from).to_vec(),
        started: "2026-11-22T20:50:00Z".into(),
        jobs: 2,
        memory: 20 << 30,
        stages: vec![
            info("fetch/gcc-16.2.0", Kind::Fetch, "sources", "gcc", gcc, 4.0, false),
            info("host/gmp", Kind::Build, "host", "gmp", "6.3.0", 40.0, true),
            info("x86_64/binutils", Kind::Build, "x86_64", "binutils", "2.47", 120.0, false),
            info("x86_64/gcc", Kind::Build, "x86_64", "gcc", gcc, 400.0, false),
            info("i386/linux", Kind::Build, "i386", "linux", "7.2", 60.0, false),
            info("arm64/gcc", Kind::Build, "arm64", "gcc", gcc, 400.0, false),
            info("arm64/linux", Kind::Build, "arm64", "linux", "7.2", 200.0, false),
        ],
        borrowed: ["binutils", "gcc"]
            .map(|package| BorrowedToolchain { scope: "i386".into(), package: package.into(), owner: "x86_64".into() })
            .to_vec(),
        choice: None,
    }
}

#[derive(Default)]
struct Recorder(Vec<Stamped>);

impl Recorder {
    fn at(&mut self, at_ms: u64, event: Event) {
        self.0.push(Stamped { at_ms, event });
    }

    fn stage_start(&mut self, at: u64, stage: &str) {
        self.at(at, Event::StageStarted { stage: stage.into() });
    }

    fn fetched(&mut self, at: u64, done: u64) {
        self.at(at, Event::FetchProgress { stage: "fetch/gcc-16.2.0".into(), done, total: Some(105_328_596) });
    }

    fn step(&mut self, at: u64, stage: &str, step: &str) {
        let log = format!("/runs/1/{}.{step}.log", stage.replace('/', "."));
        self.at(at, Event::StepStarted { stage: stage.into(), step: step.into(), log, resumed: false });
    }

    fn activity(&mut self, at: u64, stage: &str, what: &str) {
        self.at(at, Event::StepActivity { stage: stage.into(), what: what.into(), done: 0 });
    }

    fn step_end(&mut self, at: u64, stage: &str, step: &str, ok: bool, usage: Usage) {
        self.at(at, Event::StepFinished { stage: stage.into(), step: step.into(), ok, usage });
    }

    fn over(&mut self, at: u64, stage: &str, state: StageOutcome, usage: Usage) {
        self.at(
            at,
            Event::StageFinished { stage: stage.into(), state, usage, failure: None, result: None, check_result: None },
        );
    }

    fn failed(&mut self, at: u64) {
        let failure = Failure {
            step: "all-gcc".into(),
            ended: "exit code 2".into(),
            class: Class::CompileError,
            excerpt: vec![
                "../../src/gcc/tree-vrp.cc:12:3: error: 'x' was not declared in this scope".into(),
                "   12 |   x = 1;".into(),
            ],
            log: "/runs/1/arm64.gcc.all-gcc.log".into(),
            reproduce: "crossmill reproduce arm64/gcc".into(),
            evidence: Vec::new(),
        };
        self.at(
            at,
            Event::StageFinished {
                stage: "arm64/gcc".into(),
                state: StageOutcome::Failed { why: "all-gcc: exit code 2".into() },
                usage: used(239.8, 1.0),
                failure: Some(failure),
                result: None,
                check_result: None,
            },
        );
    }
}
