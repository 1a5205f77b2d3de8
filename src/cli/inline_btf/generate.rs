//! `crossmill inline-btf generate`

use super::{Inputs, Subject, conclude, extract, into};
use crate::base::check_result::{CheckResult, Verdict};
use crate::base::{Diagnostic, files};
use crate::cli::{CliError, CliResult, print, renamed};
use crate::debuginfo::btf::file::Loaded;
use crate::debuginfo::inline_btf::file::File;
use crate::debuginfo::inline_btf::generation::Generation;
use crate::debuginfo::inline_btf::write::SectionNames;
use crate::report::Style;
use crate::report::debuginfo::inline_btf as report;
use clap::Args;
use clap::builder::PossibleValuesParser;
use std::path::PathBuf;
use std::time::Instant;

/// Generate inline BTF from a file's debug information
///
/// The result is validated, read again and compared with the debug information site by site before it gets its name.
/// Exit codes: 0 written, 1 written but something is wrong with it or below `--min-complete`, 2 a file cannot be read.
#[derive(Debug, Args)]
pub struct Generate {
    #[command(flatten)]
    subject: Subject,
    /// Write the inline BTF to FILE
    #[arg(short, long, value_name = "FILE", required_unless_present = "into")]
    output: Option<PathBuf>,
    /// Write a copy of the ELF file with a section .BTF.inline
    #[arg(long, value_name = "FILE")]
    into: Option<PathBuf>,
    /// The objcopy of the file's toolchain, for `--into`
    #[arg(long, value_name = "PROGRAM", default_value = "objcopy")]
    objcopy: String,
    /// Names of LOCSECs, which are unsettled upstream: `elf` (`.text`) or `inline` (`inline.text`); readers here take both
    #[arg(long, value_name = "NAMES", value_parser = PossibleValuesParser::new(SectionNames::ALL.map(|(word, _)| word)),
          default_value = "elf")]
    section_names: String,
    /// Fail if a smaller share of sites has every parameter available: a number from 0 to 1
    #[arg(long, value_name = "SHARE", value_parser = share)]
    min_complete: Option<f64>,
    // The name before; it only names the new one.
    #[arg(long, hide = true)]
    min_all: Option<String>,
    /// Write the result to FILE; a file without BTF is then `unsupported`, not a failure
    #[arg(long, value_name = "FILE")]
    verdict: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=1.0).contains(&number) => Ok(number),
        _ => Err("a number from 0 to 1 is expected, such as 0.65".to_owned()),
    }
}

impl Generate {
    pub fn run(self) -> CliResult {
        if self.min_all.is_some() {
            return Err(renamed("--min-all", "--min-complete"));
        }
        let started = Instant::now();
        let inputs = self.subject.open()?;
        let file = inputs.file(&self.subject.vmlinux)?;
        let bases = inputs.bases()?;
        self.generate(&file, &bases, &inputs, started)
    }

    fn generate(&self, file: &File<'_>, bases: &[Loaded<'_>], inputs: &Inputs, started: Instant) -> CliResult {
        let Some(base) = file.main_btf(bases)? else { return self.without_btf() };
        let found = extract(file, Some(&base), self.subject.options())?;
        let (bytes, written) = file.write(&found, Some(&base), self.names())?;
        let verified = file.verify(&bytes, Some(&base), &found, &[]);
        if let Some(path) = &self.output {
            files::write_atomic(path, &bytes)?;
        }
        if let Some(path) = &self.into {
            into::add_section(&self.objcopy, file, inputs, &bytes, path)?;
        }
        let own = super::check::own(file, &base, &found, &[]);
        let generation = Generation {
            summary: found.summary().0,
            written,
            verified: &verified,
            own: &own,
            damage: &found.damage,
            min_complete: self.min_complete,
            took: started.elapsed(),
        };
        let text = if self.json {
            report::generation_json(&generation).map_err(|error| CliError::usage(error.to_string()))?
        } else {
            report::generation_text(&generation, Style::of(&std::io::stdout()))
        };
        print(&text)?;
        conclude(&generation.result(), self.verdict.as_deref())
    }

    fn names(&self) -> SectionNames {
        let names = SectionNames::ALL.into_iter().find(|(word, _)| *word == self.section_names);
        names.map(|(_, names)| names).unwrap_or_default()
    }

    fn without_btf(&self) -> CliResult {
        let path = self.subject.vmlinux.display();
        let why = format!("{path} has no .BTF section");
        if self.verdict.is_some() {
            let check_result = CheckResult { state: Verdict::Unsupported, why: Some(why), ..CheckResult::default() };
            return conclude(&check_result, self.verdict.as_deref());
        }
        Err(Diagnostic::new(why)
            .hint("`--run-pahole` lets pahole make it, `--base FILE` reads one that is kept apart")
            .hint("kernels have it with CONFIG_DEBUG_INFO_BTF")
            .into())
    }
}
