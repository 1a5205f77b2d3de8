//! `crossmill sframe`.

use crate::base::{Diagnostic, suggest};
use crate::cli::{CliError, CliResult, exit};
use crate::debuginfo::input::Input;
use crate::debuginfo::sframe::compare::{self as check, Progress, ScanResult, Total};
use crate::debuginfo::sframe::{RULES, rule};
use crate::report::Style;
use crate::report::debuginfo::sframe as report;
use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Check SFrame stack traces, and compare them with DWARF
#[derive(Debug, Args)]
pub struct SframeCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Check(Check),
    Rows(Rows),
}

impl SframeCommand {
    pub fn run(self) -> CliResult {
        match self.what {
            What::Check(command) => command.run(),
            What::Rows(command) => command.run(),
        }
    }
}

/// Validate SFrame data and compare it with DWARF row by row
///
/// Reads .sframe of versions 1, 2 and 3 in ELF files, archives and directories of both, checks it by the rules of the
/// format and compares it with .eh_frame or .debug_frame of the same functions. docs/sframe.md lists the codes.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 no errors, 1 errors were found or there is no SFrame data, \
                        2 wrong usage or a file that cannot be read.")]
struct Check {
    /// Files, archives or directories
    #[arg(required_unless_present = "explain", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Explain a code and its source
    #[arg(long, value_name = "CODE", conflicts_with_all = ["paths", "json", "verdict", "deny"])]
    explain: Option<String>,
    /// Also fail on findings of this severity
    #[arg(long, value_name = "SEVERITY")]
    deny: Option<Deny>,
    /// Write the result of the check (state, summary, figures) to FILE
    #[arg(long, value_name = "FILE")]
    verdict: Option<PathBuf>,
}

/// Print the SFrame and DWARF rows of a function side by side
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 the rows agree, 1 they disagree, 2 wrong usage or a file that cannot be read.")]
struct Rows {
    /// The function's name, or its address as 0x…
    #[arg(value_name = "FUNC")]
    function: String,
    /// ELF files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Deny {
    /// Warnings
    Warning,
}

impl Check {
    pub fn run(self) -> CliResult {
        if let Some(code) = &self.explain {
            return explain(code);
        }
        let deny_warnings = self.deny == Some(Deny::Warning);
        let bar = Bar::new();
        let scan = check::scan(&self.paths, &bar);
        bar.finish();
        let scan = scan.map_err(Diagnostic::from)?;
        self.print(&scan, deny_warnings)?;
        let total = Total::of(&scan.reports);
        if let Some(path) = &self.verdict {
            fs_err::write(path, check::check_result(&total, &scan.reports, deny_warnings).to_string())?;
        }
        Ok(if total.is_good(deny_warnings) { exit::DONE } else { exit::FAILED })
    }

    fn print(&self, scan: &ScanResult, deny_warnings: bool) -> Result<(), CliError> {
        let text = if self.json {
            report::json(scan, deny_warnings).map_err(|error| CliError::usage(error.to_string()))?
        } else {
            report::text(scan, deny_warnings, Style::of(&std::io::stdout()))
        };
        crate::cli::print(&text)
    }
}

impl Rows {
    fn run(self) -> CliResult {
        let function = &self.function;
        let mut found = Vec::new();
        for path in &self.files {
            let input = Input::open(path).map_err(Diagnostic::from)?;
            let sides = check::side_by_side(input.bytes(), function).map_err(|error| {
                Diagnostic::new(format!("cannot read {}", path.display()))
                    .cause(error.to_string())
                    .hint("`sframe rows` reads ELF files, not archives or directories")
            })?;
            found.extend(sides);
        }
        if found.is_empty() {
            let problem = Diagnostic::new(format!("no function `{function}` with frame data"))
                .hint("give the name as the symbol table has it, or the address as 0x…");
            return Err(problem.into());
        }
        let text = if self.json {
            report::rows_json(&found).map_err(|error| CliError::usage(error.to_string()))?
        } else {
            report::rows(&found, Style::of(&std::io::stdout()))
        };
        crate::cli::print(&text)?;
        let agree = found.iter().flat_map(|sides| &sides.segments).all(|segment| segment.agree != Some(false));
        Ok(if agree { exit::DONE } else { exit::FAILED })
    }
}

fn explain(code: &str) -> CliResult {
    let Some(rule) = rule(code) else {
        let mut problem = Diagnostic::new(format!("no rule `{code}`"));
        problem.hints = suggest::hints(&code.to_uppercase(), "codes", RULES.iter().map(|rule| rule.code));
        return Err(problem.into());
    };
    crate::cli::print(&report::explain(rule))?;
    Ok(exit::DONE)
}

/// Shorter checks draw no bar.
const SILENCE: Duration = Duration::from_secs(1);

/// A progress bar on a terminal, drawn once a check takes longer than `SILENCE`.
struct Bar {
    since: Instant,
    drawn: OnceLock<ProgressBar>,
}

impl Bar {
    fn new() -> Self {
        Self { since: Instant::now(), drawn: OnceLock::new() }
    }

    fn finish(&self) {
        if let Some(bar) = self.drawn.get() {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Bar {
    fn done(&self, done: usize, of: usize) {
        if self.since.elapsed() < SILENCE || !std::io::stderr().is_terminal() {
            return;
        }
        let bar = self.drawn.get_or_init(|| {
            let bar = ProgressBar::with_draw_target(Some(of as u64), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("checking {wide_bar} {pos} of {len} files");
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        bar.set_position(done as u64);
    }
}
