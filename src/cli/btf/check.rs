//! `crossmill btf check`

use crate::base::Diagnostic;
use crate::base::rule::Severity;
use crate::cli::{CliError, CliResult, exit, print};
use crate::debuginfo::btf::file::{self as check, Loaded};
use crate::debuginfo::btf::result::{File, lacks_btf, result};
use crate::debuginfo::btf::validate::rules::RULES;
use crate::debuginfo::input::Input;
use crate::report::Style;
use crate::report::debuginfo::check_btf as report;
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

/// Validate BTF, inline BTF included, by the kernel's rules and stricter ones
///
/// A FILE is raw BTF, or an ELF file with any of .BTF, .BTF.base, .BTF.inline and .BTF.extra. Exit codes: 0
/// no errors, 1 errors were found (with `--deny warning`: anything), 2 a file cannot be read.
#[derive(Debug, Args)]
pub struct CheckBtf {
    /// The files to check
    #[arg(required_unless_present = "explain", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Base of split BTF: raw BTF or an ELF file; repeat it for a chain, innermost base first
    #[arg(long, value_name = "FILE")]
    base: Vec<PathBuf>,
    /// Explain a rule, such as BT037; without a code, list all
    #[arg(long, value_name = "CODE", num_args = 0..=1, default_missing_value = "", conflicts_with = "files")]
    explain: Option<String>,
    /// Also fail on findings of this severity
    #[arg(long, value_name = "SEVERITY")]
    deny: Option<Deny>,
    /// Write the result of the check to FILE; a file without BTF is then `unsupported`, not a failure
    #[arg(long, value_name = "FILE")]
    verdict: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Deny {
    Warning,
}

impl CheckBtf {
    pub fn run(self) -> CliResult {
        if let Some(code) = &self.explain {
            return explain(code, self.json);
        }
        let (base_inputs, inputs) = (open(&self.base)?, open(&self.files)?);
        let (bases, loaded) = (load(&self.base, &base_inputs)?, load(&self.files, &inputs)?);
        let base = check::chain(&bases)?;
        let about = bases.iter().rev().find(|base| base.elf_sections.is_some());
        let files: Vec<File<'_>> =
            loaded.iter().map(|loaded| File { loaded, sections: check::check(loaded, base.as_ref(), about) }).collect();
        let worst = self.deny.map_or(Severity::Error, |Deny::Warning| Severity::Warning);
        let text = if self.json {
            report::json(&files, worst).map_err(|error| CliError::usage(error.to_string()))?
        } else {
            report::text(&files, Style::of(&std::io::stdout()))
        };
        print(&text)?;
        let result = result(&files, worst);
        if let Some(path) = &self.verdict {
            fs_err::write(path, result.to_string())?;
        }
        use crate::base::check_result::Verdict;
        Ok(match result.state {
            Verdict::Pass => exit::DONE,
            Verdict::Unsupported if self.verdict.is_some() || !lacks_btf(&files) => exit::DONE,
            _ => exit::FAILED,
        })
    }
}

fn open(paths: &[PathBuf]) -> Result<Vec<Input>, CliError> {
    paths.iter().map(|path| Input::open(path).map_err(|error| Diagnostic::from(error).into())).collect()
}

fn load<'i>(paths: &[PathBuf], inputs: &'i [Input]) -> Result<Vec<Loaded<'i>>, CliError> {
    let one = |(path, input): (&PathBuf, &'i Input)| Loaded::new(Path::new(path), input).map_err(CliError::from);
    paths.iter().zip(inputs).map(one).collect()
}

impl From<check::Error> for CliError {
    fn from(error: check::Error) -> Self {
        Self::new(exit::USAGE, error.into())
    }
}

fn explain(code: &str, json: bool) -> CliResult {
    let chosen: Vec<_> =
        RULES.iter().copied().filter(|rule| code.is_empty() || rule.code.eq_ignore_ascii_case(code)).collect();
    if chosen.is_empty() {
        let hint = "`crossmill btf check --explain` lists all of them";
        return Err(Diagnostic::new(format!("no rule has the code `{code}`")).hint(hint).into());
    }
    let text = match (json, code.is_empty()) {
        (true, _) => report::rules_json(&chosen).map_err(|error| CliError::usage(error.to_string()))?,
        (false, true) => report::rules_list(&chosen),
        (false, false) => report::rules_text(&chosen),
    };
    print(&text)?;
    Ok(exit::DONE)
}
