//! Faults of assemblers and linkers, each with a minimal source; recorded objects of them, and the same sources and a
//! generated corpus through the assemblers of this machine.

#![expect(clippy::disallowed_types, reason = "a test starts programs itself")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

#[path = "support/sframe_corpus/mod.rs"]
mod sframe_corpus;

use crossmill::base::rule::Severity;
use crossmill::debuginfo::sframe::compare::{Report, examine};
use object::{Object as _, ObjectSection as _};
use sframe_corpus::generate::MACHINES;
use sframe_corpus::{is_patched, machine, run};
use std::path::{Path, PathBuf};
use std::process::Command;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sframe")
}

fn report(name: &str) -> Report {
    examine(name, &fs_err::read(directory().join(name)).unwrap()).unwrap()
}

fn errors(report: &Report) -> Vec<&'static str> {
    let errors = report.findings.counts().filter(|(_, severity, _)| *severity == Severity::Error);
    errors.map(|(code, ..)| code).collect()
}

/// The assembler's reaction to a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// It ends with an internal or fatal error.
    Crash,
    /// The object has errors of these codes; none where the assembler is right.
    Codes(&'static [&'static str]),
}

use Expected::{Codes, Crash};

/// Source, machine, what GNU as 2.47 does, and what it does with the patch of crossmill's recipe.
const FAULTS: &[(&str, &str, Expected, Expected)] = &[
    ("gas/restore-shared-cie", "x86_64-linux", Codes(&["SF092"]), Codes(&[])),
    ("gas/restore-own-cie", "x86_64-linux", Codes(&["SF093"]), Codes(&[])),
    ("gas/restore-edges", "x86_64-linux", Crash, Codes(&[])),
    ("gas/restore-ra", "x86_64-linux", Codes(&["SF080"]), Codes(&["SF080"])),
    ("gas/same-value-ra", "x86_64-linux", Codes(&["SF080"]), Codes(&["SF080"])),
    ("gas/val-offset-ra", "x86_64-linux", Codes(&["SF080"]), Codes(&["SF080"])),
    ("gas/undefined-then-offset", "x86_64-linux", Codes(&["SF080"]), Codes(&["SF080"])),
    ("gas/expression-base", "x86_64-linux", Codes(&["SF061", "SF080"]), Codes(&["SF061", "SF080"])),
    ("gas/offset-ra-huge", "x86_64-linux", Codes(&["SF080"]), Codes(&["SF080"])),
    ("gas/offset-fp-huge", "x86_64-linux", Crash, Crash),
    ("gas/restore-state-in-row", "x86_64-linux", Crash, Crash),
    ("faults/nested-remember", "x86_64-linux", Codes(&["SF080"]), Codes(&["SF080"])),
    ("faults/offset-then-register", "aarch64-linux", Codes(&["SF080"]), Codes(&["SF080"])),
    ("faults/expression-on-aarch64", "aarch64-linux", Codes(&["SF061", "SF080"]), Codes(&["SF061", "SF080"])),
    ("faults/signal-crash", "x86_64-linux", Crash, Crash),
];

#[test]
fn the_recorded_objects_of_the_assemblers_faults_have_their_codes() {
    for (name, _, expected, _) in FAULTS {
        let object = format!("{name}.o");
        match expected {
            Crash => assert!(!directory().join(&object).exists(), "{name}"),
            Codes(codes) => assert_eq!(errors(&report(&object)), *codes, "{name}"),
        }
    }
    // Every source has its line above.
    for entry in fs_err::read_dir(directory().join("gas")).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("gas/{}", path.file_stem().unwrap().to_str().unwrap());
        assert!(FAULTS.iter().any(|(fault, ..)| *fault == name), "{name}");
    }
    for fault in sframe_corpus::faults::FAULTS {
        assert!(FAULTS.iter().any(|(name, ..)| format!("{name}.s") == fault.fixture), "{}", fault.fixture);
    }
}

// The fault of `.cfi_restore` is counted apart from other disagreements, and so are rows that DWARF has wrong.
#[test]
fn the_fault_of_cfi_restore_is_named_and_counted() {
    let cross = report("gas/restore-shared-cie.o").cross.unwrap();
    assert_eq!((cross.mismatched_rows, cross.restore_fault_rows, cross.restore_faults), (1, 1, 1));
    assert_eq!((cross.impossible_rows, cross.impossible), (0, 0));
    let cross = report("gas/restore-own-cie.o").cross.unwrap();
    assert_eq!((cross.mismatched_rows, cross.restore_fault_rows), (0, 0));
    assert_eq!((cross.impossible_rows, cross.impossible), (1, 1));
    let cross = report("gas/restore-ra.o").cross.unwrap();
    assert_eq!((cross.mismatched_rows, cross.restore_fault_rows), (1, 0));
    let (_, shown) = check(&["gas/restore-shared-cie.o", "gas/restore-own-cie.o"]);
    insta::assert_snapshot!("restore", shown);
}

fn check(files: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossmill"));
    command.args(["sframe", "check"]).args(files).env_clear().env("PATH", "/usr/bin:/bin").current_dir(directory());
    let output = command.output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

fn assemble(program: &Path, name: &str, dir: &Path) -> Option<Report> {
    let object = dir.join("out.o");
    let source = directory().join(format!("{name}.s"));
    let output = Command::new(program).arg("--gsframe-3").arg(source).arg("-o").arg(&object).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        return Some(examine(name, &fs_err::read(&object).unwrap()).unwrap());
    }
    assert!(run::has_died(&output.status, &said), "{name}: {said}");
    None
}

#[test]
fn the_assemblers_of_this_machine_have_the_known_faults() {
    let dir = tempfile::tempdir().unwrap();
    let mut tried = 0;
    for (name, triple, released, patched) in FAULTS {
        for program in run::assemblers(triple) {
            if !sframe_corpus::version(&program).contains(" 2.47") {
                continue;
            }
            let expected = if is_patched(machine(triple), &program) { patched } else { released };
            let report = assemble(&program, name, dir.path());
            let is_expected = match (&report, expected) {
                (None, Crash) => true,
                (Some(report), Codes(codes)) => errors(report) == *codes,
                _ => false,
            };
            let found = report.as_ref().map(errors);
            assert!(is_expected, "{name} by {}: {found:?}, expected {expected:?}", program.display());
            tried += 1;
        }
    }
    if tried == 0 {
        eprintln!("{UNSUPPORTED}");
    }
}

const UNSUPPORTED: &str = "unsupported: no assembler here writes SFrame version 3; CROSSMILL_TEST_BINUTILS lists \
                           directories with x86_64-linux-as, aarch64-linux-as, s390x-linux-as of binutils 2.47";

// Thousands of functions for each machine: every call-frame instruction after every other. The test end_to_end runs
// it for s390x, with the assembler that it builds.
#[test]
fn every_finding_in_the_corpus_is_a_known_fault() {
    let mut found = false;
    for machine in MACHINES {
        for program in run::assemblers(machine.triple) {
            let said = sframe_corpus::examine(machine, &program, is_patched(machine, &program));
            println!("{said}");
            found = true;
        }
    }
    if !found {
        eprintln!("{UNSUPPORTED}");
    }
}

// (file, declined, lost); the assembler's own warning is what decides.
const ESCAPES: &[(&str, u64, u64)] = &[
    ("esc-a-expr-x19-2b", 1, 0),
    ("esc-a-z8", 1, 0),
    ("esc-argsize-sp", 1, 0),
    ("esc-cfa-bregx-rbp-deref", 1, 0),
    ("esc-cfa-rbp-2byte-deref", 1, 0),
    ("esc-cfa-rsp-deref", 1, 0),
    ("esc-expr-r10-deref", 1, 0),
    ("esc-nops", 0, 0),
    // The bytes are those of `.cfi_offset`, which the assembler takes: the file does not distinguish it from a lost entry.
    ("esc-plain-offset-r12", 0, 1),
    ("esc-rbp-via-rbx", 0, 0),
    ("esc-val-expr-rcx", 1, 0),
    ("esc-val-offset-rcx", 0, 0),
];

#[test]
fn escapes_that_the_assembler_declines_are_not_lost() {
    for (name, declined, lost) in ESCAPES {
        let cross = report(&format!("escapes/{name}.o")).cross.unwrap();
        assert_eq!((cross.all_not_representable(), cross.missing_fdes), (*declined, *lost), "{name}");
        assert_eq!(cross.covered, 2 - declined - lost, "{name}");
    }
    let dir = tempfile::tempdir().unwrap();
    for (name, declined, lost) in ESCAPES {
        let triple = if name.starts_with("esc-a-") { "aarch64-linux" } else { "x86_64-linux" };
        for program in run::assemblers(triple) {
            let report = assemble(&program, &format!("escapes/{name}"), dir.path()).unwrap();
            let cross = report.cross.unwrap();
            assert_eq!(
                (cross.all_not_representable(), cross.missing_fdes),
                (*declined, *lost),
                "{name} by {}",
                program.display()
            );
        }
    }
}

#[test]
fn functions_without_bytes_or_rules_and_registers_of_apx_are_right() {
    for name in ["amd64-empty.o", "amd64-apx.o", "amd64-apx.so", "amd64-simple.o", "amd64-simple.so"] {
        let report = report(name);
        assert!(report.findings.is_empty(), "{name}: {:?}", report.findings.kept());
        assert!(report.has_sframe(), "{name}");
    }
    // Two functions of one address, one of them without bytes: a reader may take the wrong one.
    assert_eq!(errors(&report("amd64-empty.so")), [""; 0]);
}

// An unreachable function, compiled by this machine's own tools.
#[test]
fn an_unreachable_function_of_the_compiler_is_right() {
    let dir = tempfile::tempdir().unwrap();
    fs_err::write(dir.path().join("f.c"), "void f(void) { __builtin_unreachable(); }\n").unwrap();
    let mut gcc = Command::new("gcc");
    gcc.args(["-O2", "-Wa,--gsframe", "-ffunction-sections", "-c", "f.c"]).current_dir(dir.path());
    let output = gcc.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = examine("f.o", &fs_err::read(dir.path().join("f.o")).unwrap()).unwrap();
    assert_eq!(errors(&report), [""; 0], "{:?}", report.findings.kept());
    assert_eq!(report.tables[0].fdes, 1);
}

#[test]
fn the_linkers_faults_are_found() {
    let got = report("ld/plt-got.so");
    assert_eq!(errors(&got), ["SF080"], "the row of .plt.got");
    let large = report("ld/plt-large.so");
    let codes: Vec<_> = large.findings.counts().map(|(code, ..)| code).collect();
    assert_eq!(codes, ["SF039"], "the first entry of a large PLT");
    let dropped = report("ld/plt-gc.so");
    assert_eq!(errors(&dropped), ["SF094"]);
    let cross = dropped.cross.unwrap();
    assert_eq!((cross.plt_without, cross.all_not_representable(), cross.missing_fdes), (1, 0, 0));
    let (code, shown) = check(&["ld/plt-gc.so", "ld/discarded.so"]);
    assert_eq!(code, 1);
    insta::assert_snapshot!("linker", shown);
    assert_eq!(check(&["ld/discarded.so"]).0, 1, "no SFrame data is no success");
}

// ld refuses such an object.
#[test]
fn an_object_of_version_3_without_the_flag_of_its_addresses_is_an_error() {
    let mut bytes = fs_err::read(directory().join("amd64-new-v3.o")).unwrap();
    let file = object::File::parse(&*bytes).unwrap();
    let (start, _) = file.section_by_name(".sframe").unwrap().file_range().unwrap();
    drop(file);
    bytes[start as usize + 3] &= !4;
    assert_eq!(errors(&examine("x.o", &bytes).unwrap()), ["SF016"]);
}

// Every bit of sections with flexible functions: what readelf shows as other functions or rows is found.
#[test]
fn every_flipped_bit_that_changes_a_row_is_found() {
    for name in ["amd64-new-v3.o", "s390x-v3.so"] {
        let mut bytes = fs_err::read(directory().join(name)).unwrap();
        let file = object::File::parse(&*bytes).unwrap();
        let (start, size) = file.section_by_name(".sframe").unwrap().file_range().unwrap();
        drop(file);
        let before = errors(&examine(name, &bytes).unwrap());
        assert_eq!(before, [""; 0]);
        let flips = fs_err::read_to_string(directory().join(format!("{name}.flips"))).unwrap();
        let (mut tried, mut missed) = (0, Vec::new());
        for line in flips.lines() {
            let (at, bits) = line.split_once(' ').unwrap();
            let at = usize::from_str_radix(at, 16).unwrap();
            let bits = u8::from_str_radix(bits, 16).unwrap();
            assert!((at as u64) < size);
            for bit in (0..8).filter(|bit| bits & 1 << bit != 0) {
                tried += 1;
                bytes[start as usize + at] ^= 1 << bit;
                if errors(&examine(name, &bytes).unwrap()).is_empty() {
                    missed.push(format!("{at:#x} bit {bit}"));
                }
                bytes[start as usize + at] ^= 1 << bit;
            }
        }
        assert!(tried > 400, "{name}: {tried}");
        assert_eq!(missed, [""; 0], "{name}: of {tried}");
    }
}

// The linker beside an assembler, where both are of binutils 2.47.
#[test]
fn the_linkers_of_this_machine_have_the_known_faults() {
    let dir = tempfile::tempdir().unwrap();
    let mut tried = 0;
    for program in run::assemblers("x86_64-linux") {
        let linker = program.with_file_name("x86_64-linux-ld");
        if !linker.is_file() || !sframe_corpus::version(&linker).contains(" 2.47") {
            continue;
        }
        let link = |source: &str, options: &[&str]| {
            let object = dir.path().join("out.o");
            let output = dir.path().join("out.so");
            let source = directory().join(source);
            let assembled = Command::new(&program).arg("--gsframe-3").arg(source).arg("-o").arg(&object).status();
            assert!(assembled.unwrap().success());
            let linked =
                Command::new(&linker).arg("-shared").args(options).arg("-o").arg(&output).arg(&object).status();
            assert!(linked.unwrap().success());
            examine("out.so", &fs_err::read(&output).unwrap()).unwrap()
        };
        assert_eq!(errors(&link("ld/plt-got.s", &[])), ["SF080"]);
        assert_eq!(errors(&link("amd64-plt.s", &["--gc-sections"])), ["SF094"]);
        assert_eq!(errors(&link("amd64-plt.s", &[])), [""; 0]);
        let large = link("ld/plt-large.s", &[]);
        assert!(large.findings.counts().any(|(code, ..)| code == "SF039"));
        let discarded = link("amd64-plt.s", &["--discard-sframe"]);
        assert!(!discarded.has_sframe() && discarded.findings.counts().any(|(code, ..)| code == "SF002"));
        tried += 1;
    }
    if tried == 0 {
        eprintln!("{UNSUPPORTED}");
    }
}

#[test]
fn the_reports_for_other_projects_name_every_source() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    for entry in fs_err::read_dir(root.join("docs/upstream")).unwrap() {
        text += &fs_err::read_to_string(entry.unwrap().path()).unwrap();
    }
    for (name, ..) in FAULTS {
        assert!(text.contains(&format!("{name}.s")), "{name}");
    }
    for named in text.split(['`', '(', ')', ' ', '|']).filter(|word| word.ends_with(".s") || word.ends_with(".diff")) {
        let places = [root.join(named), directory().join(named)];
        assert!(places.iter().any(|path| path.is_file()), "{named} does not exist");
    }
}
