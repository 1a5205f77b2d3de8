//! `crossmill inline-btf`

mod check;
mod generate;
mod into;
mod probes;
mod report;
mod split;
mod tools;

use super::{CliError, CliResult, exit, renamed};
use crate::base::Diagnostic;
use crate::base::check_result::{CheckResult, Verdict};
use crate::debuginfo::btf::Btf;
use crate::debuginfo::btf::file::Loaded;
use crate::debuginfo::inline_btf::file::{self as inline, File};
use crate::debuginfo::inline_btf::{BaseTypes, EmptyRanges, Extraction, Options};
use crate::debuginfo::input::Input;
use crate::report::meter::Meter;
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

/// Generate inline BTF, compare it with DWARF, report its coverage, and define probes
#[derive(Debug, Args)]
pub struct InlineBtf {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Generate(generate::Generate),
    Check(check::CheckInline),
    Report(report::Report),
    Probes(probes::Probes),
    Split(split::Split),
}

impl InlineBtf {
    pub fn run(self) -> CliResult {
        match self.what {
            What::Generate(command) => command.run(),
            What::Check(command) => command.run(),
            What::Report(command) => command.run(),
            What::Probes(command) => command.run(),
            What::Split(command) => command.run(),
        }
    }
}

/// The input of all three commands.
#[derive(Debug, Args)]
pub struct Subject {
    /// An ELF file with debug information (DWARF 4 or 5): a kernel, a module, a program
    vmlinux: PathBuf,
    /// The base BTF where the file has none, or the kernel's for a module: raw BTF or an ELF file
    #[arg(long, value_name = "FILE")]
    base: Vec<PathBuf>,
    /// Generate missing BTF with `pahole` (the file is not changed)
    #[arg(long)]
    run_pahole: bool,
    /// Include Rust units, which kernels leave out of their BTF
    #[arg(long)]
    with_rust: bool,
    /// Locations that are valid only between two views of the site's address: `prefer` them (the default, which
    /// yields the values at the call), `accept` them where nothing else covers the address, or `ignore` them
    #[arg(long, value_name = "READING", value_parser = PossibleValuesParser::new(EmptyRanges::ALL.map(|(word, _)| word)))]
    empty_ranges: Option<String>,
    // The names before; they only name the new one.
    #[arg(long, hide = true)]
    accept_empty_ranges: bool,
    #[arg(long, hide = true)]
    with_empty_ranges: bool,
}

/// The files behind a [`Subject`], open as long as what is read from them is used.
#[derive(Debug)]
struct Inputs {
    vmlinux: Input,
    bases: Vec<(PathBuf, Input)>,
    // Removed with this.
    _made: Option<tempfile::TempDir>,
}

impl Subject {
    fn open(&self) -> Result<Inputs, CliError> {
        if self.with_empty_ranges {
            return Err(renamed("--with-empty-ranges", "--empty-ranges accept"));
        }
        if self.accept_empty_ranges {
            return Err(renamed("--accept-empty-ranges", "--empty-ranges accept"));
        }
        let vmlinux = open(&self.vmlinux)?;
        let mut bases = Vec::new();
        for path in &self.base {
            bases.push((path.clone(), open(path)?));
        }
        let mut made = None;
        if self.run_pahole && !has_btf(&self.vmlinux, &vmlinux)? {
            let dir = tempfile::tempdir()?;
            let plain = uncompressed(&vmlinux, &self.vmlinux, dir.path(), "file")?;
            let base = bases.last().map(|(path, input)| uncompressed(input, path, dir.path(), "base")).transpose()?;
            let path = tools::run_pahole(&plain, base.as_deref(), dir.path())?;
            let input = open(&path)?;
            bases.push((path, input));
            made = Some(dir);
        }
        Ok(Inputs { vmlinux, bases, _made: made })
    }

    fn options(&self) -> Options {
        Options { with_rust: self.with_rust, empty_ranges: reading(self.empty_ranges.as_deref()), ..Options::default() }
    }
}

impl Inputs {
    fn file(&self, path: &Path) -> Result<File<'_>, CliError> {
        Ok(File::new(path, &self.vmlinux)?)
    }

    // The path of the file for other programs, decompressed into `dir` if need be.
    fn uncompressed(&self, path: &Path, dir: &Path) -> Result<PathBuf, CliError> {
        uncompressed(&self.vmlinux, path, dir, "file")
    }

    fn bases(&self) -> Result<Vec<Loaded<'_>>, CliError> {
        self.bases.iter().map(|(path, input)| Ok(Loaded::new(path, input)?)).collect()
    }
}

fn extract<'f>(file: &'f File<'_>, base: Option<&Btf<'_>>, options: Options) -> Result<Extraction<'f>, CliError> {
    let known = base.map(BaseTypes::new).unwrap_or_default();
    let meter = Meter::start("reading debug information");
    Ok(file.extract(&known, options, &|done, total| meter.set(done, total))?)
}

fn open(path: &Path) -> Result<Input, CliError> {
    Input::open(path).map_err(|error| Diagnostic::from(error).into())
}

fn uncompressed(input: &Input, path: &Path, dir: &Path, name: &str) -> Result<PathBuf, CliError> {
    if !input.was_compressed() {
        return Ok(path.to_owned());
    }
    let plain = dir.join(name);
    fs_err::write(&plain, input.bytes())?;
    Ok(plain)
}

fn has_btf(path: &Path, input: &Input) -> Result<bool, CliError> {
    Ok(Loaded::new(path, input)?.section(".BTF").is_some())
}

// A check that wrote its result has succeeded, whatever it found.
fn conclude(check_result: &CheckResult, verdict: Option<&Path>) -> CliResult {
    if let Some(path) = verdict {
        fs_err::write(path, check_result.to_string())?;
    }
    Ok(match check_result.state {
        Verdict::Pass => exit::DONE,
        Verdict::Unsupported | Verdict::Skipped if verdict.is_some() => exit::DONE,
        _ => exit::FAILED,
    })
}

impl From<inline::Error> for CliError {
    fn from(error: inline::Error) -> Self {
        Self::new(exit::USAGE, error.into())
    }
}

fn reading(word: Option<&str>) -> EmptyRanges {
    let of = |word| EmptyRanges::ALL.into_iter().find(|(known, _)| *known == word).map(|(_, reading)| reading);
    word.and_then(of).unwrap_or_default()
}
