//! Requirements of a program or shared library on the machine that runs it: the versions of glibc's symbols in
//! `.gnu.version_r` (System V ABI, "Symbol Versioning" of the LSB core specification 10.7), and the entries of `.dynamic`.

use crate::config::archive::Glibc;
use object::elf::{DT_NEEDED, DT_RPATH, DT_RUNPATH, FileHeader32, FileHeader64};
use object::read::elf::{Dyn as _, FileHeader};
use object::{Endianness, StringTable};

/// Requirements of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// The highest version of glibc's symbols.
    pub glibc: Option<Glibc>,
    /// Shared libraries.
    pub libraries: Vec<String>,
    /// Directories searched first (RUNPATH).
    pub search_path: Option<String>,
}

const MAGIC: &[u8] = b"\x7fELF";
/// Index of the class in `e_ident`, and the class of 64-bit files (gABI, figure 4-5).
const EI_CLASS: usize = 4;
const ELFCLASS64: u8 = 2;

/// Returns what a file needs; `None` if it is not dynamically linked.
pub(super) fn needs(bytes: &[u8]) -> Result<Option<Needs>, String> {
    if !bytes.starts_with(MAGIC) {
        return Ok(None);
    }
    let read = match bytes.get(EI_CLASS) {
        Some(&ELFCLASS64) => read::<FileHeader64<Endianness>>(bytes),
        _ => read::<FileHeader32<Endianness>>(bytes),
    };
    read.map_err(|error| error.to_string())
}

fn read<E: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> object::read::Result<Option<Needs>> {
    let header = E::parse(bytes)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, bytes)?;
    let mut needs = Needs::default();
    if let Some((mut entries, strings)) = sections.gnu_verneed(endian, bytes)? {
        let strings = sections.strings(endian, bytes, strings)?;
        while let Some((_, mut versions)) = entries.next()? {
            while let Some(version) = versions.next()? {
                let name = text(version.name(endian, strings)?);
                needs.glibc = needs.glibc.max(name.strip_prefix("GLIBC_").and_then(|version| version.parse().ok()));
            }
        }
    }
    let Some((entries, strings)) = sections.dynamic(endian, bytes)? else { return Ok(None) };
    let strings = sections.strings(endian, bytes, strings)?;
    for entry in entries {
        let string = |strings: StringTable<'_>| entry.string(endian, strings).map(text);
        match entry.tag(endian) {
            DT_NEEDED => needs.libraries.push(string(strings)?),
            DT_RPATH | DT_RUNPATH => needs.search_path = Some(string(strings)?),
            _ => {}
        }
    }
    Ok(Some(needs))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
