//! Inline BTF of whole files: generated, validated, read again and compared with
//! DWARF. Sections that a kernel's own build wrote are compared in the same way.

use crate::base::check_result::{CheckResult, Verdict};
use crate::base::units::grouped;
use crate::base::{Diagnose, Diagnostic};
use crate::debuginfo::btf::file::{self as btf, Loaded};
use crate::debuginfo::btf::validate::{Checked, Context, validate};
use crate::debuginfo::btf::{self as format, Btf, WriteError};
use crate::debuginfo::elf::{self, Elf};
use crate::debuginfo::inline_btf::compare::{Comparison, OtherReading, compare};
use crate::debuginfo::inline_btf::write::{SectionNames, Written, write};
use crate::debuginfo::inline_btf::{self as inline, BaseTypes, Extraction, Options, Sections, Watch};
use crate::debuginfo::input::Input;
use std::path::{Path, PathBuf};

/// Sections in which a kernel's own build writes inline BTF.
pub const OWN_SECTIONS: [&str; 3] = [".BTF.inline", ".BTF_inline", ".BTF.extra"];

/// Why there is no inline BTF of a file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ELF file is damaged, or is none.
    #[error("cannot read {path}")]
    Elf {
        /// The file.
        path: PathBuf,
        /// Why.
        source: elf::Error,
    },
    /// Its debug information cannot be read.
    #[error("cannot read the debug information of {path}")]
    Dwarf {
        /// The file.
        path: PathBuf,
        /// Why.
        source: inline::Error,
    },
    /// Its base BTF.
    #[error(transparent)]
    Btf(#[from] btf::Error),
    /// It cannot be written.
    #[error("the inline BTF of {path} cannot be written")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: WriteError,
    },
    /// The given file is no BTF.
    #[error("cannot read the inline BTF")]
    Given {
        /// Why.
        source: format::Error,
    },
}

impl Diagnose for Error {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Dwarf { source: inline::Error::Stripped { link: Some(link) }, .. } => {
                vec![format!("its .gnu_debuglink names `{link}`: use that file")]
            }
            Self::Dwarf { source: inline::Error::Stripped { link: None }, .. } => {
                vec!["use the file before it is stripped; kernels have debug information with CONFIG_DEBUG_INFO".into()]
            }
            Self::Dwarf { source: inline::Error::Split { .. }, .. } => {
                vec!["build without -gsplit-dwarf (kernels: without CONFIG_DEBUG_INFO_SPLIT)".into()]
            }
            Self::Dwarf { source: inline::Error::Supplementary { .. }, .. } => {
                vec!["use the file as it was before `dwz -m`".into()]
            }
            Self::Btf(error) => error.hints(),
            _ => Vec::new(),
        }
    }
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self::from_error(&error)
    }
}

/// A file with its debug information.
#[derive(Debug)]
pub struct File<'i> {
    /// Where it is.
    pub path: PathBuf,
    /// Its headers.
    pub elf: Elf<'i>,
    /// Its debug information.
    pub debug: Sections<'i>,
    /// Its BTF sections.
    pub btf: Loaded<'i>,
    input: &'i Input,
}

struct Reading<'r> {
    input: &'r Input,
    progress: &'r (dyn Fn(u64, u64) + Sync),
}

impl Watch for Reading<'_> {
    fn progress(&self, done: u64, total: u64) {
        (self.progress)(done, total);
    }

    fn done_with(&self, part: &[u8]) {
        self.input.forget(part);
    }
}

impl<'i> File<'i> {
    /// Of an opened file.
    pub fn new(path: &Path, input: &'i Input) -> Result<Self, Error> {
        let fail = |source| Error::Elf { path: path.to_owned(), source };
        let elf = Elf::parse(input.bytes()).map_err(fail)?;
        let debug = Sections::load(&elf).map_err(|source| Error::Dwarf { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), elf, debug, btf: Loaded::new(path, input)?, input })
    }

    /// Returns the BTF that the file's inline BTF is based on: its own, or the last of `bases` where it has none.
    /// The whole chain is validated first: on a base that does not fit every later finding would be about the
    /// wrong file.
    pub fn main_btf<'l>(&'l self, bases: &'l [Loaded<'_>]) -> Result<Option<Btf<'l>>, Error> {
        let base = btf::sound_chain(bases)?;
        if self.btf.section(".BTF").is_none() {
            return Ok(base);
        }
        let path = bases.last().map(|last| last.path.as_path());
        Ok(Some(self.btf.sound(base.as_ref().zip(path))?))
    }

    /// Returns the sites of its debug information.
    pub fn extract(
        &self,
        known: &BaseTypes<'_>,
        options: Options,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Extraction<'_>, Error> {
        let fail = |source| Error::Dwarf { path: self.path.clone(), source };
        let watch = Reading { input: self.input, progress };
        let found = inline::extract(&self.elf, &self.debug, known, options, &watch).map_err(fail)?;
        self.input.forget(self.debug.info());
        Ok(found)
    }

    /// Writes sites as inline BTF on a base.
    pub fn write(
        &self,
        found: &Extraction<'_>,
        base: Option<&Btf<'_>>,
        names: SectionNames,
    ) -> Result<(Vec<u8>, Written), Error> {
        let endian = base.map_or(self.elf.endian(), Btf::endian);
        let written = write(&found.merged, base, endian, names)
            .map_err(|source| Error::Write { path: self.path.clone(), source })?;
        // Short names stand among the entries, so that writing them brought back much of it.
        self.input.forget(self.debug.info());
        Ok(written)
    }

    fn context(&self) -> Context {
        Context { sections: self.btf.elf_sections.clone(), pointer: self.btf.pointer }
    }

    /// Validates inline BTF and compares it with the sites, and where they differ with those of other readings.
    pub fn verify<'b>(
        &self,
        bytes: &'b [u8],
        base: Option<&Btf<'b>>,
        found: &Extraction<'_>,
        others: &[OtherReading<'_, '_>],
    ) -> Verified<'b> {
        let checked = validate(bytes, base, &self.context());
        let comparison =
            checked.btf.as_ref().filter(|_| !checked.is_obsolete).map(|btf| compare(btf, &found.merged, others));
        Verified { bytes: bytes.len() as u64, checked, comparison }
    }
}

/// Inline BTF that was validated and compared with DWARF.
#[derive(Debug)]
pub struct Verified<'b> {
    /// Its length.
    pub bytes: u64,
    /// The findings of the validator.
    pub checked: Checked<'b>,
    /// The comparison; `None` where the section could not be read or has the obsolete form.
    pub comparison: Option<Comparison>,
}

impl Verified<'_> {
    /// Returns whether nothing is wrong with it.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.checked.findings.errors() == 0 && self.comparison.as_ref().is_some_and(Comparison::is_equal)
    }

    /// Returns the first fault.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        use crate::base::rule::Severity;
        let finding = self.checked.findings.list().iter().find(|finding| finding.rule.severity == Severity::Error);
        if let Some(finding) = finding {
            return Some(finding.to_string());
        }
        match &self.comparison {
            None if self.checked.is_obsolete => Some("obsolete form of April 2025, which is not decoded".to_owned()),
            None => Some("it cannot be read".to_owned()),
            Some(comparison) if !comparison.is_equal() => Some(format!(
                "{} of {} sites are as DWARF has them ({} in DWARF): {}",
                comparison.equal,
                comparison.in_btf,
                comparison.in_dwarf,
                comparison.examples.first().map_or("", String::as_str)
            )),
            Some(_) => None,
        }
    }
}

/// The reason why there is nothing to compare.
const NO_INLINE_BTF: &str = "no inline BTF: released kernels do not write it yet";

/// Returns what the verification of a file's inline BTF comes to.
#[must_use]
pub fn result(all: &[(String, Verified<'_>)]) -> CheckResult {
    let why = all.iter().find_map(|(name, verified)| verified.fault().map(|why| format!("{name}: {why}")));
    let obsolete = all.iter().all(|(_, verified)| verified.checked.is_obsolete);
    let state = match (&why, obsolete) {
        _ if all.is_empty() => Verdict::Unsupported,
        (Some(_), true) => Verdict::Unsupported,
        (Some(_), false) => Verdict::Fail,
        (None, _) => Verdict::Pass,
    };
    let comparisons = || all.iter().filter_map(|(_, verified)| verified.comparison.as_ref());
    let sites: u64 = comparisons().map(|of| of.in_btf).sum();
    let equal: u64 = comparisons().map(|of| of.equal).sum();
    CheckResult {
        state,
        why: why.or_else(|| all.is_empty().then(|| NO_INLINE_BTF.to_owned())),
        summary: Some(match sites {
            0 => "no sites".to_owned(),
            _ => format!("{} of {} sites as in DWARF", grouped(equal), grouped(sites)),
        }),
        figures: vec![("sites".to_owned(), sites as f64), ("equal".to_owned(), equal as f64)],
        ..CheckResult::default()
    }
}
