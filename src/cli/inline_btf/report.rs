//! `crossmill inline-btf report`

use super::{Subject, extract};
use crate::base::{Diagnostic, suggest};
use crate::cli::{CliError, CliResult, exit, print};
use crate::debuginfo::inline_btf::file::{Error, File};
use crate::debuginfo::inline_btf::write::SectionNames;
use crate::debuginfo::inline_btf::{self as inline, Extraction, Machine};
use crate::report::Style;
use crate::report::debuginfo::inline_btf as report;
use clap::Args;

/// Report what tracing can see of inlined functions, and what it cannot
#[derive(Debug, Args)]
pub struct Report {
    #[command(flatten)]
    subject: Subject,
    /// Every site of one function: where it is, who calls, and where its parameters are
    #[arg(long, value_name = "NAME")]
    function: Option<String>,
    /// Number of functions shown in lists
    #[arg(long, value_name = "N", default_value_t = 15)]
    top: usize,
    /// As JSON, with every function
    #[arg(long)]
    json: bool,
}

impl Report {
    pub fn run(self) -> CliResult {
        let inputs = self.subject.open()?;
        let file = inputs.file(&self.subject.vmlinux)?;
        let bases = inputs.bases()?;
        let base = file.main_btf(&bases)?;
        let found = extract(&file, base.as_ref(), self.subject.options())?;
        if let Some(name) = &self.function {
            return self.function(&file, &found, name);
        }
        let size = match &base {
            Some(base) => {
                let (bytes, written) = file.write(&found, Some(base), SectionNames::default())?;
                Some(report::Size { compressed: report::compressed(&bytes)?, written })
            }
            None => None,
        };
        let (summary, functions) = found.summary();
        let whole = report::Whole {
            summary,
            functions,
            size,
            damage: &found.damage,
            machine: Machine(file.elf.machine()),
            top: self.top,
        };
        let text = if self.json {
            whole.json().map_err(|error| CliError::usage(error.to_string()))?
        } else {
            whole.text(Style::of(&std::io::stdout()))
        };
        print(&text)?;
        Ok(exit::DONE)
    }

    fn function(&self, file: &File<'_>, found: &Extraction<'_>, name: &str) -> CliResult {
        let sites = found.sites_of(name.as_bytes());
        if sites.functions.is_empty() {
            let names: Vec<String> =
                found.merged.called.iter().map(|called| String::from_utf8_lossy(called.name).into_owned()).collect();
            let mut problem = Diagnostic::new(format!("no function `{name}` was inlined in {}", file.path.display()));
            if let Some(near) = suggest::nearest(name, names.iter().map(String::as_str)) {
                problem = problem.hint(format!("is `{near}` meant?"));
            }
            return Err(CliError::new(exit::FAILED, problem));
        }
        let wanted = sites.files();
        let names = inline::file_names(&file.elf, &file.debug, &wanted)
            .map_err(|source| Error::Dwarf { path: file.path.clone(), source })?;
        let listing = report::Listing {
            sites: &sites,
            files: wanted.into_iter().zip(names).filter_map(|(key, name)| Some((key, name?))).collect(),
            machine: Machine(file.elf.machine()),
        };
        let text = if self.json {
            listing.json().map_err(|error| CliError::usage(error.to_string()))?
        } else {
            listing.text(Style::of(&std::io::stdout()))
        };
        print(&text)?;
        Ok(exit::DONE)
    }
}
