//! Through an assembler, and through `crossmill sframe check`.

use super::generate::{Machine, Sequence, corpus};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// Sequences that are assembled at once.
const BATCH: usize = 64;

/// The result of a sequence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The codes that the check found in the function.
    pub codes: Vec<String>,
    /// The assembler ended with an internal error.
    pub crashed: bool,
}

/// The results of all of them.
#[derive(Debug)]
pub struct Results {
    pub sequences: Vec<(Sequence, Outcome)>,
    pub functions: u64,
    pub covered: u64,
    pub rows: u64,
    /// The assembler's warnings that it made no SFrame FDE.
    pub warnings: u64,
    /// Functions without one, and signal frames with an empty one.
    pub without: u64,
}

struct Assembler<'a> {
    program: &'a Path,
    dir: &'a Path,
    files: usize,
    warnings: u64,
    /// The sequence of each function, by file and label.
    functions: BTreeMap<(String, String), usize>,
}

/// Whether the assembler ended by a fault of its own.
pub fn has_died(status: &ExitStatus, said: &str) -> bool {
    status.code().is_none() || said.contains("Internal error") || said.contains("Fatal error")
}

/// Whether the program writes SFrame of version 3 for the machine.
pub fn is_usable(program: &Path) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("probe.s");
    fs_err::write(&source, "f:\t.cfi_startproc\n\tnop\n\t.cfi_endproc\n").unwrap();
    let output = Command::new(program).arg("--gsframe-3").arg(&source).arg("-o").arg(dir.path().join("o")).output();
    output.is_ok_and(|output| output.status.success())
}

/// Assembles and checks the whole corpus.
pub fn run(machine: &Machine, program: &Path) -> Results {
    let dir = tempfile::tempdir().unwrap();
    let sequences = corpus(machine);
    let mut outcomes = vec![Outcome::default(); sequences.len()];
    let mut assembler = Assembler { program, dir: dir.path(), files: 0, warnings: 0, functions: BTreeMap::new() };
    let numbers: Vec<usize> = (0..sequences.len()).collect();
    for batch in numbers.chunks(BATCH) {
        assembler.assemble(&sequences, batch, &mut outcomes);
    }
    let mut check = Command::new(env!("CARGO_BIN_EXE_crossmill"));
    let output = check.args(["sframe", "check", "--json"]).arg(dir.path()).output().unwrap();
    let form: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for file in form["files"].as_array().unwrap() {
        let name = Path::new(file["file"].as_str().unwrap()).file_name().unwrap().to_string_lossy().into_owned();
        for finding in file["findings"].as_array().unwrap() {
            // Warnings are about bytes, not about meaning.
            let Some(subject) = finding["subject"].as_str().filter(|_| finding["severity"] == "error") else {
                continue;
            };
            let label = subject.split([' ', '+']).next().unwrap().to_owned();
            let number = assembler.functions[&(name.clone(), label)];
            outcomes[number].codes.push(finding["code"].as_str().unwrap().to_owned());
        }
    }
    let cross = &form["total"]["cross"];
    let count = |key: &str| cross[key].as_u64().unwrap();
    Results {
        functions: count("functions"),
        covered: count("covered"),
        rows: count("rows"),
        warnings: assembler.warnings,
        without: count("functions") - count("covered") + count("undescribed_signal_frames"),
        sequences: sequences.into_iter().zip(outcomes).collect(),
    }
}

impl Assembler<'_> {
    // A batch that kills the assembler is halved until the sequences that do are alone.
    fn assemble(&mut self, sequences: &[Sequence], batch: &[usize], outcomes: &mut [Outcome]) {
        let name = format!("{}.o", self.files);
        self.files += 1;
        let (source, object) = (self.dir.join("batch.s"), self.dir.join(&name));
        let mut text = String::from("\t.text\n");
        for number in batch {
            text += &sequences[*number].source(&format!("f{number}"));
        }
        fs_err::write(&source, text).unwrap();
        let output =
            Command::new(self.program).arg("--gsframe-3").arg(&source).arg("-o").arg(&object).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            self.warnings += said.matches("no SFrame FDE emitted").count() as u64;
            self.functions.extend(batch.iter().map(|number| ((name.clone(), format!("f{number}")), *number)));
            return;
        }
        let _ = fs_err::remove_file(&object);
        assert!(
            has_died(&output.status, &said),
            "the assembler refuses a sequence, which is a fault of the corpus: {said}"
        );
        match batch {
            [one] => outcomes[*one].crashed = true,
            _ => {
                let (left, right) = batch.split_at(batch.len() / 2);
                self.assemble(sequences, left, outcomes);
                self.assemble(sequences, right, outcomes);
            }
        }
    }
}

/// The assemblers for a machine that write SFrame of version 3: in the directories of `CROSSMILL_TEST_BINUTILS`, else in
/// PATH.
pub fn assemblers(triple: &str) -> Vec<PathBuf> {
    let of = |name: &str| std::env::var_os(name).map(|list| std::env::split_paths(&list).collect::<Vec<_>>());
    let dirs = of("CROSSMILL_TEST_BINUTILS").or_else(|| of("PATH")).unwrap_or_default();
    let names = [format!("{triple}-as"), format!("{triple}-gnu-as")];
    let found = dirs.iter().flat_map(|dir| names.iter().map(|name| dir.join(name)));
    found.filter(|program| program.is_file() && is_usable(program)).collect()
}
