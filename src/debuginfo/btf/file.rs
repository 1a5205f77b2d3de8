//! BTF in files: raw, or in the sections of an ELF file, each on its base.

use crate::base::rule::{Finding, Severity};
use crate::base::{Diagnose, Diagnostic};
use crate::debuginfo::btf::validate::{Checked, CheckedExt, Context, ExtCounts, rules, validate, validate_ext};
use crate::debuginfo::btf::{self, Btf};
use crate::debuginfo::elf::{self, Elf};
use crate::debuginfo::input::Input;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// Sections that hold BTF, in the order they are looked at. The first is the
/// file's own; `.BTF.base` is its base, and it is the base of the others.
const SECTIONS: [&str; 5] = [".BTF.base", ".BTF", ".BTF.inline", ".BTF_inline", ".BTF.extra"];
/// Not BTF itself: what a BPF object says of its instructions, in the types and strings of `.BTF`.
const EXT: &str = ".BTF.ext";
/// How a section is called whose file has none: detached or raw BTF.
const RAW: &str = "";

/// Why a file's BTF cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ELF file is damaged.
    #[error("cannot read {path}")]
    Elf {
        /// The file.
        path: PathBuf,
        /// Why.
        source: elf::Error,
    },
    /// An ELF file without BTF.
    #[error("{path} has no .BTF section")]
    None {
        /// The file.
        path: PathBuf,
    },
    /// A base is damaged.
    #[error("{path} cannot be the base of split BTF")]
    Base {
        /// The file.
        path: PathBuf,
        /// Why.
        source: btf::Error,
    },
    /// BTF that others are based on breaks the rules.
    #[error("{path}: {section} breaks the rules of BTF ({count}), the first: {first}", count = counted(*errors))]
    Broken {
        /// The file.
        path: PathBuf,
        /// Its section, or `BTF`.
        section: &'static str,
        /// How many errors.
        errors: u64,
        /// The first.
        first: String,
    },
    /// Split BTF was given no base.
    #[error("{path} has split BTF, as a module has, and no base was given")]
    NoBase {
        /// The file.
        path: PathBuf,
    },
    /// Split BTF was given another base than the one it was written with.
    #[error("{path} was not built against {base}: {first}")]
    Misfit {
        /// The file with the split BTF.
        path: PathBuf,
        /// The file that was given as its base.
        base: PathBuf,
        /// The first finding that shows it.
        first: String,
    },
    /// The file itself cannot be read to its end.
    #[error("cannot read the BTF of {path}")]
    Btf {
        /// The file.
        path: PathBuf,
        /// Why.
        source: btf::Error,
    },
}

impl Diagnose for Error {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::None { .. } => {
                vec!["kernels have it with CONFIG_DEBUG_INFO_BTF; `pahole -J FILE` adds it from DWARF".to_owned()]
            }
            Self::Base { .. } => vec!["give the bases in order, innermost base first".to_owned()],
            Self::NoBase { .. } => vec!["give the kernel it was built for: `--base vmlinux`".to_owned()],
            Self::Misfit { .. } => vec!["`--base` needs the vmlinux of the very build that the file is of".to_owned()],
            Self::Broken { path, .. } => vec![format!("`crossmill btf check {}` lists all of them", path.display())],
            Self::Btf { path, .. } => vec![format!("`crossmill btf check {}` lists its faults", path.display())],
            Self::Elf { .. } => Vec::new(),
        }
    }
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self::from_error(&error)
    }
}

fn counted(count: u64) -> String {
    if count == 1 { "1 error".to_owned() } else { format!("{count} errors") }
}

/// A file with its BTF sections.
#[derive(Debug)]
pub struct Loaded<'i> {
    /// The file.
    pub path: PathBuf,
    /// Name and bytes; one without a name for a file that is BTF as it stands.
    pub sections: Vec<(&'static str, Cow<'i, [u8]>)>,
    /// The allocated sections of the ELF file: name and size.
    pub elf_sections: Option<Vec<(String, u64)>>,
    /// Bytes of a pointer of the ELF file.
    pub pointer: Option<u8>,
    /// `.BTF.ext`, where there is one.
    pub ext: Option<Cow<'i, [u8]>>,
}

impl<'i> Loaded<'i> {
    /// Finds the BTF of a file. An ELF file may have none; that is not looked at here.
    pub fn new(path: &Path, input: &'i Input) -> Result<Self, Error> {
        let bytes = input.bytes();
        let mut loaded =
            Self { path: path.to_owned(), sections: Vec::new(), elf_sections: None, pointer: None, ext: None };
        if !bytes.starts_with(b"\x7fELF") {
            loaded.sections.push((RAW, Cow::Borrowed(bytes)));
            return Ok(loaded);
        }
        let fail = |source| Error::Elf { path: path.to_owned(), source };
        let elf = Elf::parse(bytes).map_err(fail)?;
        for name in SECTIONS {
            if let Some(data) = elf.data_named(name).map_err(fail)? {
                loaded.sections.push((name, data.bytes));
            }
        }
        // As it is: its relocations count from the sections that its records are about.
        loaded.ext = elf.section(EXT).map(|section| elf.data_as_stored(section)).transpose().map_err(fail)?;
        loaded.pointer = Some(elf.address_size());
        let allocated = elf.sections().iter().filter(|section| section.is_allocated());
        loaded.elf_sections = Some(allocated.map(|section| (section.name.clone(), section.size)).collect());
        Ok(loaded)
    }

    /// Returns the bytes of a section.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&[u8]> {
        self.sections.iter().find(|(other, _)| *other == name).map(|(_, bytes)| bytes.as_ref())
    }

    /// Returns the file's own BTF: `.BTF`, or all of a file that is BTF as it stands.
    pub fn main(&self) -> Result<&[u8], Error> {
        let found = self.section(RAW).or_else(|| self.section(".BTF"));
        found.ok_or_else(|| Error::None { path: self.path.clone() })
    }

    /// Returns the file's own BTF, read on the base it has or is given.
    pub fn read<'l>(&'l self, base: Option<&Btf<'l>>) -> Result<Btf<'l>, Error> {
        let fail = |source| Error::Btf { path: self.path.clone(), source };
        let own_base = self.section(".BTF.base").map(|bytes| Btf::parse(bytes, None)).transpose().map_err(fail)?;
        Btf::parse(self.main()?, own_base.as_ref().or(base)).map_err(fail)
    }

    /// Returns the file's own BTF on the base it has or is given, if both follow the rules of [`check`] and fit
    /// each other.
    pub fn sound<'l>(&'l self, base: Option<(&Btf<'l>, &Path)>) -> Result<Btf<'l>, Error> {
        let context = Context { sections: self.elf_sections.clone(), pointer: self.pointer };
        let own_base = match self.section(".BTF.base") {
            Some(bytes) => Some(self.accept(".BTF.base", validate(bytes, None, &context), None)?),
            None => None,
        };
        let base = own_base.as_ref().map(|base| (base, self.path.as_path())).or(base);
        let section = if self.section(RAW).is_some() { "BTF" } else { ".BTF" };
        let checked = validate(self.main()?, base.map(|(base, _)| base), &context);
        self.accept(section, checked, base.map(|(_, path)| path))
    }

    fn accept<'l>(&self, section: &'static str, checked: Checked<'l>, base: Option<&Path>) -> Result<Btf<'l>, Error> {
        let path = self.path.clone();
        let findings = &checked.findings;
        if findings.count(&rules::NO_BASE) > 0 {
            return Err(Error::NoBase { path });
        }
        let first = |wanted: &dyn Fn(&Finding) -> bool| {
            findings.list().iter().find(|finding| wanted(finding)).map(ToString::to_string)
        };
        // Names and ids that the base does not have are what another base looks like.
        let strange = [&rules::WRONG_BASE, &rules::NAME_OFFSET, &rules::NO_SUCH_TYPE, &rules::WRONG_KIND];
        if let Some(base) = base.filter(|base| *base != self.path)
            && let Some(first) = first(&|finding| strange.iter().any(|rule| rule.code == finding.rule.code))
        {
            return Err(Error::Misfit { path, base: base.to_owned(), first });
        }
        let is_error = |finding: &Finding| finding.rule.severity == Severity::Error;
        if let (Some(first), errors) = (first(&is_error), findings.errors()) {
            return Err(Error::Broken { path, section, errors, first });
        }
        match checked.btf {
            Some(btf) => Ok(btf),
            // The obsolete form is a warning, and no base.
            None => Err(Error::Base { path, source: btf::Error::Obsolete }),
        }
    }
}

/// Reads bases, each on the one before it.
pub fn chain<'l>(bases: &'l [Loaded<'_>]) -> Result<Option<Btf<'l>>, Error> {
    let mut chain = None;
    for loaded in bases {
        let fail = |source| Error::Base { path: loaded.path.clone(), source };
        chain = Some(Btf::parse(loaded.main()?, chain.as_ref()).map_err(fail)?);
    }
    Ok(chain)
}

/// Reads bases, each on the one before it, and refuses those that break the rules of [`check`] or do not fit.
pub fn sound_chain<'l>(bases: &'l [Loaded<'_>]) -> Result<Option<Btf<'l>>, Error> {
    let mut chain: Option<(Btf<'l>, &Path)> = None;
    for loaded in bases {
        let base = chain.as_ref().map(|(btf, path)| (btf, *path));
        chain = Some((loaded.sound(base)?, &loaded.path));
    }
    Ok(chain.map(|(btf, _)| btf))
}

/// A section that was checked.
#[derive(Debug)]
pub struct Section<'l> {
    /// The records of `.BTF.ext`; `None` for BTF.
    pub ext: Option<Option<ExtCounts>>,
    /// Its name; empty for a file that is BTF as it stands.
    pub name: &'static str,
    /// Its length, bytes.
    pub len: usize,
    /// The section found.
    pub checked: Checked<'l>,
}

/// Checks every BTF section of a file; `base` is what `.BTF`, or a raw file,
/// is based on. Where the ELF file has no `.BTF`, it is the base of its other sections too.
/// A file that is no ELF file belongs to the ELF file `about`, if that is known.
#[must_use]
pub fn check<'l>(loaded: &'l Loaded<'_>, base: Option<&Btf<'l>>, about: Option<&Loaded<'_>>) -> Vec<Section<'l>> {
    let elf = if loaded.elf_sections.is_some() { Some(loaded) } else { about };
    let context =
        Context { sections: elf.and_then(|elf| elf.elf_sections.clone()), pointer: elf.and_then(|elf| elf.pointer) };
    let mut own_base: Option<Btf<'l>> = None;
    let mut main: Option<Btf<'l>> = None;
    let mut done = Vec::new();
    for (name, bytes) in &loaded.sections {
        let base = match *name {
            ".BTF.base" => None,
            ".BTF" => own_base.as_ref().or(base),
            RAW => base,
            _ => main.as_ref().or(base),
        };
        let checked = validate(bytes, base, &context);

        match *name {
            ".BTF.base" => own_base.clone_from(&checked.btf),
            ".BTF" => main.clone_from(&checked.btf),
            _ => {}
        }
        done.push(Section { ext: None, name, len: bytes.len(), checked });
    }
    if let Some(bytes) = &loaded.ext {
        let CheckedExt { counts, findings } = validate_ext(bytes, main.as_ref(), &context);
        let checked = Checked { btf: None, findings, is_obsolete: false };
        done.push(Section { ext: Some(counts), name: EXT, len: bytes.len(), checked });
    }
    done
}
