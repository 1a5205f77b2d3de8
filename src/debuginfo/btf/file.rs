//! BTF in files: raw, or in the sections of an ELF file, each on its base.

use crate::base::{Diagnose, Diagnostic};
use crate::debuginfo::btf::validate::{Checked, Context, validate};
use crate::debuginfo::btf::{self, Btf};
use crate::debuginfo::elf::{self, Elf};
use crate::debuginfo::input::Input;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// Sections that hold BTF, in the order they are looked at. The first is the
/// file's own; `.BTF.base` is what that stands on, the others stand on it.
const SECTIONS: [&str; 5] = [".BTF.base", ".BTF", ".BTF.inline", ".BTF_inline", ".BTF.extra"];
/// It is not BTF, only next to it.
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
    /// A file that others stand on is damaged.
    #[error("{path} cannot be the base of split BTF")]
    Base {
        /// The file.
        path: PathBuf,
        /// Why.
        source: btf::Error,
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
    /// Bytes of `.BTF.ext`, where there is one.
    pub ext: Option<u64>,
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
        loaded.ext = elf.section(EXT).map(|section| section.size);
        loaded.pointer = Some(elf.address_size());
        let allocated = elf.sections().iter().filter(|section| section.is_allocated());
        loaded.elf_sections = Some(allocated.map(|section| (section.name.clone(), section.size)).collect());
        Ok(loaded)
    }

    /// The bytes of a section.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&[u8]> {
        self.sections.iter().find(|(other, _)| *other == name).map(|(_, bytes)| bytes.as_ref())
    }

    /// The file's own BTF: `.BTF`, or all of a file that is BTF as it stands.
    pub fn main(&self) -> Result<&[u8], Error> {
        let found = self.section(RAW).or_else(|| self.section(".BTF"));
        found.ok_or_else(|| Error::None { path: self.path.clone() })
    }

    /// The file's own BTF, read on the base it has or is given.
    pub fn read<'l>(&'l self, base: Option<&Btf<'l>>) -> Result<Btf<'l>, Error> {
        let fail = |source| Error::Btf { path: self.path.clone(), source };
        let own_base = self.section(".BTF.base").map(|bytes| Btf::parse(bytes, None)).transpose().map_err(fail)?;
        Btf::parse(self.main()?, own_base.as_ref().or(base)).map_err(fail)
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

/// A section that was checked.
#[derive(Debug)]
pub struct Section<'l> {
    /// Its name; empty for a file that is BTF as it stands.
    pub name: &'static str,
    /// Its length, bytes.
    pub len: usize,
    /// What was found.
    pub checked: Checked<'l>,
}

/// Checks every BTF section of a file; `base` is what `.BTF`, or a raw file,
/// stands on. Where the ELF file has no `.BTF`, its other sections stand on it too.
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
        done.push(Section { name, len: bytes.len(), checked });
    }
    done
}
