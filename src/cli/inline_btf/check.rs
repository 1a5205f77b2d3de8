//! `crossmill inline-btf check`

use super::{Subject, conclude, extract, open};
use crate::base::Diagnostic;
use crate::cli::{CliError, CliResult, print};
use crate::debuginfo::btf::{self as format, Btf};
use crate::debuginfo::inline_btf::compare::OtherReading;
use crate::debuginfo::inline_btf::file::{File, OWN_SECTIONS, Verified, result};
use crate::debuginfo::inline_btf::{EmptyRanges, Extraction, Options};
use crate::report::Style;
use crate::report::debuginfo::inline_btf as report;
use clap::Args;
use std::path::PathBuf;

/// Compare inline BTF with DWARF, site by site
///
/// Without INLINE the file's own sections are compared: .BTF.inline or .BTF.extra, as a kernel's build writes them, and
/// .BTF if it has the kinds of inline BTF, as pahole writes them before they are split.
#[derive(Debug, Args)]
pub struct CheckInline {
    #[command(flatten)]
    subject: Subject,
    /// A file of inline BTF; or of BTF that has the kinds of inline BTF among its types
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
        let options = self.subject.options();
        let found = extract(&file, Some(&base), options)?;
        let verify = |others: &[OtherReading<'_, '_>]| match (&given, &self.inline) {
            (Some(input), Some(path)) => {
                let name = path.display().to_string();
                let bytes = input.bytes();
                let own_base = base.base();
                // BTF that is not split begins with the empty string; what a module's is based on is the base's base.
                let based_on = if format::is_standalone(bytes) { own_base.as_ref() } else { Some(&base) };
                vec![(name, file.verify(bytes, based_on, &found, others))]
            }
            _ => own(&file, &base, &found, others),
        };
        let mut verified = verify(&[]);
        let differs = |(_, verified): &(String, Verified<'_>)| {
            verified.comparison.as_ref().is_some_and(|comparison| comparison.other_locations > 0)
        };
        // Which reading an encoder has is no fault, unless one was asked for.
        if self.subject.empty_ranges.is_none() && verified.iter().any(differs) {
            let mut others = Vec::new();
            for (_, reading) in EmptyRanges::ALL.into_iter().filter(|(_, reading)| *reading != options.empty_ranges) {
                others.push((reading, extract(&file, Some(&base), Options { empty_ranges: reading, ..options })?));
            }
            let others: Vec<_> =
                others.iter().map(|(reading, found)| OtherReading::new(*reading, &found.merged)).collect();
            verified = verify(&others);
        }
        let text = if self.json {
            report::verified_json(&verified).map_err(|error| CliError::usage(error.to_string()))?
        } else {
            report::verified_text(&verified, Style::of(&std::io::stdout()))
        };
        print(&text)?;
        conclude(&result(&verified), self.verdict.as_deref())
    }
}

/// Inline BTF from the kernel's own build, compared with the sites.
pub fn own<'l>(
    file: &'l File<'_>,
    base: &Btf<'l>,
    found: &Extraction<'_>,
    others: &[OtherReading<'_, '_>],
) -> Vec<(String, Verified<'l>)> {
    let sections = OWN_SECTIONS.iter().filter_map(|name| Some((*name, file.btf.section(name)?)));
    let mut verified: Vec<_> =
        sections.map(|(name, bytes)| (name.to_owned(), file.verify(bytes, Some(base), found, others))).collect();
    // As pahole writes them, before they are split.
    if let Some(bytes) = file.btf.section(".BTF").filter(|_| base.has_inline_kinds()) {
        verified.insert(0, (".BTF".to_owned(), file.verify(bytes, base.base().as_ref(), found, others)));
    }
    verified
}
