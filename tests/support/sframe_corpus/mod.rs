//! A generated corpus of call-frame instructions, through an assembler and `crossmill sframe check`: what the check
//! finds must be a known fault of the assembler.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

pub mod faults;
pub mod generate;
pub mod run;

use faults::{Effect, FAULTS, Fault};
use generate::{MACHINES, Machine};
use run::Outcome;
use std::path::Path;
use std::process::Command;

/// The machine of a triple.
pub fn machine(triple: &str) -> &'static Machine {
    MACHINES.iter().find(|machine| machine.triple == triple).unwrap()
}

/// Runs the corpus of a machine and explains every finding. Returns what to print.
pub fn examine(machine: &Machine, program: &Path, is_patched: bool) -> String {
    let since = std::time::Instant::now();
    let results = run::run(machine, program);
    let faults: Vec<&Fault> = FAULTS.iter().filter(|fault| !(fault.is_patched && is_patched)).collect();
    let mut seen = vec![0_u64; faults.len()];
    let mut unexplained = Vec::new();
    for (sequence, outcome) in &results.sequences {
        if *outcome == Outcome::default() {
            continue;
        }
        let effect = if outcome.crashed { Effect::Crash } else { Effect::Row };
        let mut is_explained = false;
        for (fault, seen) in faults.iter().zip(&mut seen) {
            if fault.effect == effect && (fault.applies)(machine, sequence) {
                *seen += 1;
                is_explained = true;
            }
        }
        // An entry that is missing is no row.
        if !is_explained || outcome.codes.iter().any(|code| code == "SF081") {
            unexplained.push(format!("{}: {outcome:?}\n{}", sequence.name, sequence.source("f")));
        }
    }
    let first: Vec<_> = unexplained.iter().take(5).cloned().collect();
    assert!(
        unexplained.is_empty(),
        "{} findings that no known fault explains:\n{}",
        unexplained.len(),
        first.join("\n")
    );
    // The assembler says of each function why it has no entry, so none is missing silently.
    assert_eq!(results.warnings, results.without, "warnings of the assembler, functions without rows");
    assert!(results.rows > 5_000 && results.covered > 4_000, "{results:?}");
    let mut out = format!(
        "{}: {} sequences, {} functions, {} with SFrame, {} rows in {:.1} s\n",
        program.display(),
        results.sequences.len(),
        results.functions,
        results.covered,
        results.rows,
        since.elapsed().as_secs_f64()
    );
    let is_known_version = version(program).contains(" 2.47");
    for (fault, seen) in faults.iter().zip(seen) {
        let can_have = results.sequences.iter().any(|(sequence, _)| (fault.applies)(machine, sequence));
        assert!(!is_known_version || !can_have || seen > 0, "no sequence has the fault: {}", fault.what);
        out += &format!("  {seen:6} {} ({})\n", fault.what, fault.fixture);
    }
    out
}

/// The first line of `--version`.
pub fn version(program: &Path) -> String {
    let output = Command::new(program).arg("--version").output().unwrap();
    String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned()
}

/// Whether the assembler has the patch of crossmill's recipe, or is a later release with its effect.
pub fn is_patched(machine: &Machine, program: &Path) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let (source, object) = (dir.path().join("edge.s"), dir.path().join("edge.o"));
    let (_, restore) = machine.instructions.iter().find(|(name, _)| *name == "restore fp").unwrap();
    let text = format!("f:\t.cfi_startproc simple\n\t{restore}\n\tnop\n\t.cfi_endproc\n");
    fs_err::write(&source, text).unwrap();
    // Without the patch an internal error.
    Command::new(program).arg("--gsframe-3").arg(&source).arg("-o").arg(&object).output().unwrap().status.success()
}
