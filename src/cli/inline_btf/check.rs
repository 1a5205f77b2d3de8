//! `crossmill inline-btf check`

use super::{Subject, conclude, extract, open};
use crate::base::Diagnostic;
use crate::cli::{CliError, CliResult, print};
use crate::debuginfo::btf::Btf;
use crate::debuginfo::inline_btf::Extraction;
use crate::debuginfo::inline_btf::file::{File, OWN_SECTIONS, Verified, result};
use crate::report::Style;
use crate::report::debuginfo::inline_btf as report;
use clap::Args;
use std::path::PathBuf;

/// Compare inline BTF with DWARF, site by site
///
/// Without INLINE the file's own sections are compared: .BTF.inline or .BTF.extra, as a kernel's build writes them.
#[derive(Debug, Args)]
pub struct CheckInline {
    #[command(flatten)]
    subject: Subject,
    /// A file of inline BTF
    inline: Option<PathBuf>,
    /// Write the result to FILE; a file without inline BTF is then `unsupported`, not a failure
    #[arg(long, value_name = "FILE")]
    verdict: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl CheckInline {
    pub fn run(self) -> CliResult {
        let inputs = self.subject.open()?;
        let given = self.inline.as_ref().map(|path| open(path)).transpose()?;
        let file = inputs.file(&self.subject.vmlinux)?;
        let bases = inputs.bases()?;
        let Some(base) = file.main_btf(&bases)? else {
            let message = format!("{} has no .BTF section, which inline BTF needs as its base", file.path.display());
            return Err(Diagnostic::new(message).hint("give it with `--base`").into());
        };
        let found = extract(&file, Some(&base), self.subject.options())?;
        let verified = match (&given, &self.inline) {
            (Some(input), Some(path)) => {
                let name = path.display().to_string();
                vec![(name, file.verify(input.bytes(), Some(&base), &found))]
            }
            _ => own(&file, &base, &found),
        };
        let text = if self.json {
            report::verified_json(&verified).map_err(|error| CliError::usage(error.to_string()))?
        } else {
            report::verified_text(&verified, Style::of(&std::io::stdout()))
        };
        print(&text)?;
        conclude(&result(&verified), self.verdict.as_deref())
    }
}

/// What the kernel's own build wrote, compared with the sites.
pub fn own<'l>(file: &'l File<'_>, base: &Btf<'l>, found: &Extraction<'_>) -> Vec<(String, Verified<'l>)> {
    let sections = OWN_SECTIONS.iter().filter_map(|name| Some((*name, file.btf.section(name)?)));
    sections.map(|(name, bytes)| (name.to_owned(), file.verify(bytes, Some(base), found))).collect()
}
