//! `crossmill inline-btf check`

use super::{Subject, conclude, extract, main_btf, open};
use crate::base::Diagnostic;
use crate::cli::{Outcome, Trouble, print};
use crate::debuginfo::btf::Btf;
use crate::debuginfo::inline_btf::Extraction;
use crate::debuginfo::inline_btf::file::{File, Held, OWN_SECTIONS};
use crate::report::Style;
use crate::report::debuginfo::inline_btf as report;
use clap::Args;
use std::path::PathBuf;

/// Hold inline BTF against the debug information of its file, site by site
///
/// Without INLINE it is that of the file itself: .BTF.inline or .BTF.extra, as a kernel's own build writes them.
#[derive(Debug, Args)]
pub struct CheckInline {
    #[command(flatten)]
    subject: Subject,
    /// Inline BTF in a file of its own
    inline: Option<PathBuf>,
    /// Write an account of the check to this file; a file without inline BTF is then no failure but `unsupported`
    #[arg(long, value_name = "FILE")]
    verdict: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl CheckInline {
    pub fn run(self) -> Outcome {
        let inputs = self.subject.open()?;
        let given = self.inline.as_ref().map(|path| open(path)).transpose()?;
        let file = inputs.file(&self.subject.vmlinux)?;
        let bases = inputs.bases()?;
        let Some(base) = main_btf(&file, &bases)? else {
            let message = format!("{} has no .BTF section, and inline BTF stands on one", file.path.display());
            return Err(Diagnostic::new(message).hint("give it with `--base`").into());
        };
        let found = extract(&file, Some(&base), self.subject.options())?;
        let held = match (&given, &self.inline) {
            (Some(input), Some(path)) => {
                let name = path.display().to_string();
                vec![(name, file.hold(input.bytes(), Some(&base), &found))]
            }
            _ => own(&file, &base, &found),
        };
        let text = if self.json {
            report::held_json(&held).map_err(|error| Trouble::usage(error.to_string()))?
        } else {
            report::held_text(&held, Style::of(&std::io::stdout()))
        };
        print(&text)?;
        conclude(&report::held_account(&held), self.verdict.as_deref())
    }
}

/// What the kernel's own build wrote, held against the sites.
pub fn own<'l>(file: &'l File<'_>, base: &Btf<'l>, found: &Extraction<'_>) -> Vec<(String, Held<'l>)> {
    let sections = OWN_SECTIONS.iter().filter_map(|name| Some((*name, file.btf.section(name)?)));
    sections.map(|(name, bytes)| (name.to_owned(), file.hold(bytes, Some(base), found))).collect()
}
