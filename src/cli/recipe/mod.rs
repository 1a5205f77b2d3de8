//! `crossmill recipe`: what the scripts of check recipes leave to crossmill.

mod elf;
mod initramfs;

use super::{CliError, CliResult, exit};
use crate::base::Diagnostic;
use crate::base::check_result::{CheckResult, Verdict};
use crate::run::build_log::boot::{self, Boot};
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

/// Verbs for the scripts of check recipes
///
/// A check is a script that runs the new tools. Reading logs and ELF headers, writing result files
/// and packing an initramfs is left to these. docs/checks.md describes the file that a check leaves.
#[derive(Debug, Args)]
pub struct Recipe {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Result(ResultFile),
    BootLog(BootLog),
    Elf(elf::ElfFacts),
    Initramfs(initramfs::Initramfs),
}

/// Write the result file of a check, or change the one that exists
///
/// States, reasons and summaries replace those of the file; figures, findings and evidence
/// are added to them.
#[derive(Debug, Args)]
struct ResultFile {
    /// The result file
    file: PathBuf,
    /// Begin with another check's result instead of the file's own
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Leave the figures of `--from` out
    #[arg(long, requires = "from")]
    no_figures: bool,
    /// Add the figures of another result, with a prefix to their names
    #[arg(long, value_name = "PREFIX=FILE", value_parser = pair)]
    figures_of: Vec<(String, String)>,
    /// pass, fail, unsupported or skipped
    #[arg(long, value_name = "STATE", value_parser = state)]
    state: Option<Verdict>,
    /// The reason
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// A few words for the table
    #[arg(long, value_name = "TEXT")]
    summary: Option<String>,
    /// A number
    #[arg(long, value_name = "NAME=NUMBER", value_parser = figure)]
    figure: Vec<(String, f64)>,
    /// A finding in words
    #[arg(long, value_name = "TEXT")]
    finding: Vec<String>,
    /// A file beside the result that shows it; left out where it does not exist or is empty
    #[arg(long, value_name = "FILE")]
    evidence: Vec<String>,
    /// Fail where a figure, a share, is smaller than in this earlier result; no earlier result is no failure
    #[arg(long, value_name = "FILE", requires = "compare")]
    previous: Option<PathBuf>,
    /// The figure to compare with `--previous`, and the percentage points that it may fall
    #[arg(long, value_name = "FIGURE=POINTS", value_parser = figure, requires = "previous")]
    compare: Option<(String, f64)>,
    /// The meaning of the figure, for the message: "… % WHAT, … % in the last result of OF"
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    what: String,
    /// Subject of both results, for the message
    #[arg(long, value_name = "TEXT", default_value = "it", hide_default_value = true)]
    of: String,
}

/// Classify a boot by its console and write the result file
#[derive(Debug, Args)]
struct BootLog {
    /// The result file; its directory gets console.log
    #[arg(long, value_name = "FILE")]
    result: PathBuf,
    /// Output of the console
    #[arg(long, value_name = "FILE")]
    console: PathBuf,
    /// Output of the emulator itself
    #[arg(long, value_name = "FILE")]
    emulator_log: PathBuf,
    /// The emulator
    #[arg(long, value_name = "PROGRAM")]
    emulator: String,
    /// The first line of the emulator's `--version`
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    emulator_version: String,
    /// The emulated machine
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    machine: String,
    /// The emulated CPU
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    cpu: String,
    /// The kernel's name of the console
    #[arg(long, value_name = "NAME")]
    name: String,
    /// How init ends the machine
    #[arg(long, value_name = "poweroff|restart")]
    end: String,
    /// The emulator's exit code
    #[arg(long, value_name = "CODE")]
    ended: i32,
    /// The seconds that it ran
    #[arg(long, value_name = "N")]
    seconds: u64,
    /// The time limit in seconds
    #[arg(long, value_name = "N")]
    limit: u64,
    /// The most bytes that were kept of the console
    #[arg(long, value_name = "N")]
    log_bytes: u64,
    /// The first line of the compiler's `--version`
    #[arg(long, value_name = "TEXT")]
    compiler: String,
    /// The first line of the linker's `--version`
    #[arg(long, value_name = "TEXT")]
    linker: String,
    /// The size of the section .BTF, or `none`
    #[arg(long, value_name = "BYTES")]
    btf: String,
    /// The modules that init tries to load, separated by blanks; one of them must load
    #[arg(long, value_name = "NAMES", default_value = "", hide_default_value = true)]
    modules: String,
}

fn state(text: &str) -> Result<Verdict, String> {
    CheckResult::parse(&format!("state {text}")).map(|result| result.state).map_err(|error| error.to_string())
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (left, right) = text.split_once('=').ok_or("it lacks its `=`")?;
    Ok((left.to_owned(), right.to_owned()))
}

fn figure(text: &str) -> Result<(String, f64), String> {
    let (name, number) = pair(text)?;
    let number: f64 = number.trim().parse().map_err(|_| format!("`{number}` is not a number"))?;
    if number.is_finite() { Ok((name, number)) } else { Err(format!("`{number}` is not a finite number")) }
}

impl Recipe {
    /// Runs the verb.
    pub fn run(self) -> CliResult {
        match self.verb {
            Verb::Result(verb) => verb.run(),
            Verb::BootLog(verb) => verb.run(),
            Verb::Elf(verb) => verb.run(),
            Verb::Initramfs(verb) => verb.run(),
        }
    }
}

fn read(path: &Path) -> Result<CheckResult, CliError> {
    let text = fs_err::read_to_string(path)?;
    CheckResult::parse(&text).map_err(|error| Diagnostic::new(format!("`{}`: {error}", path.display())).into())
}

fn read_if_any(path: &Path) -> Result<Option<CheckResult>, CliError> {
    if path.exists() { read(path).map(Some) } else { Ok(None) }
}

impl ResultFile {
    fn run(self) -> CliResult {
        let mut result = match &self.from {
            Some(from) => read(from)?,
            None => read_if_any(&self.file)?.unwrap_or_default(),
        };
        if self.no_figures {
            result.figures.clear();
        }
        for (prefix, file) in &self.figures_of {
            let figures = read(Path::new(file))?.figures.into_iter();
            result.figures.extend(figures.map(|(name, number)| (format!("{prefix}{name}"), number)));
        }
        if let Some(state) = self.state {
            result.state = state;
        }
        result.why = self.why.clone().or(result.why);
        result.summary = self.summary.clone().or(result.summary);
        result.figures.extend(self.figure.iter().cloned());
        result.findings.extend(self.finding.iter().cloned());
        let dir = self.file.parent().unwrap_or(Path::new("."));
        let shows = |file: &&String| fs_err::metadata(dir.join(file)).is_ok_and(|about| about.len() > 0);
        result.evidence.extend(self.evidence.iter().filter(shows).cloned());
        if let (Some(previous), Some((name, points))) = (&self.previous, &self.compare) {
            let previous = read_if_any(previous)?;
            compare(&mut result, previous.as_ref(), name, *points, [&self.what, &self.of]);
        }
        fs_err::write(&self.file, result.to_string())?;
        Ok(exit::DONE)
    }
}

fn share(result: &CheckResult, name: &str) -> Option<f64> {
    result.figures.iter().find(|(figure, _)| figure == name).map(|(_, share)| *share)
}

// A share that fell turns a pass into a failure. A missing earlier result is mentioned in the summary.
fn compare(result: &mut CheckResult, previous: Option<&CheckResult>, name: &str, points: f64, words: [&str; 2]) {
    if result.state != Verdict::Pass {
        return;
    }
    let Some(now) = share(result, name) else {
        result.state = Verdict::Fail;
        result.why = Some(format!("the check reports no figure `{name}`"));
        return;
    };
    let Some(before) = previous.and_then(|previous| share(previous, name)) else {
        let summary = result.summary.take().unwrap_or_default();
        result.summary = Some(format!("{summary}; no earlier result to compare with"));
        return;
    };
    if now * 100.0 < before * 100.0 - points {
        let (now, before) = (now * 100.0, before * 100.0);
        result.state = Verdict::Fail;
        let [what, of] = words;
        result.why = Some(format!("{now:.1} % {what}, {before:.1} % in the last result of {of}"));
    }
}

impl BootLog {
    fn run(self) -> CliResult {
        let raw = fs_err::read(&self.console)?;
        let emulator_log = String::from_utf8_lossy(&fs_err::read(&self.emulator_log)?).into_owned();
        let dir = self.result.parent().unwrap_or(Path::new("."));
        fs_err::write(dir.join("console.log"), boot::console(&raw))?;
        let mut result = boot::classify(&Boot {
            emulator: &self.emulator,
            emulator_version: &self.emulator_version,
            machine: &self.machine,
            cpu: &self.cpu,
            console: &self.name,
            end: &self.end,
            limit: self.limit,
            log_bytes: self.log_bytes,
            raw: &raw,
            emulator_log: &emulator_log,
            ended: self.ended,
            seconds: self.seconds,
            tools: [&self.compiler, &self.linker],
            btf: &self.btf,
            modules: &self.modules,
        });
        let emulators = dir.join("qemu.log");
        let evidence = [("console.log", !raw.is_empty()), ("qemu.log", result.state != Verdict::Pass)];
        for (file, shows) in evidence {
            let is_there = fs_err::metadata(dir.join(file)).is_ok_and(|about| about.len() > 0);
            if shows && is_there && (file != "qemu.log" || emulators.exists()) {
                result.evidence.push(file.to_owned());
            }
        }
        fs_err::write(&self.result, result.to_string())?;
        super::print(&result.to_string())?;
        Ok(exit::DONE)
    }
}
