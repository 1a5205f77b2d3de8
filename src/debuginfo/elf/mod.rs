//! ELF files as the readers of debug information want them: sections by name,
//! decompressed and with their relocations applied.
//!
//! In a relocatable file every section starts at address 0, so two functions
//! of one file would overlap. Here each allocated section of such a file gets
//! an address of its own ([`Elf::address_of`]); relocations are applied with
//! these addresses, so that tables which speak of the same function speak of
//! the same addresses.

mod header;
mod machine;

pub use header::Header;

use object::read::{Object, ObjectSection, ObjectSymbol, RelocationTarget};
use object::{Endianness, RelocationFlags, RelocationKind, SectionFlags, SectionIndex, elf};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Where the sections of a relocatable file are laid out from. Not 0, which
/// tools take for "discarded".
const LAYOUT_BASE: u64 = 0x1000;
/// Limit of the uncompressed size of a section, bytes: 4 GiB, the largest
/// a 32-bit DWARF section can be.
const MOST_UNPACKED: u64 = 4 << 30;

/// Returns `e_machine` and the bytes of an address of the machine that this program is for; `None` for one that is not known.
#[must_use]
pub fn own_machine() -> Option<(u16, u8)> {
    match std::env::consts::ARCH {
        "x86_64" => Some((elf::EM_X86_64.0, 8)),
        "x86" => Some((elf::EM_386.0, 4)),
        "aarch64" => Some((elf::EM_AARCH64.0, 8)),
        "arm" => Some((elf::EM_ARM.0, 4)),
        "s390x" => Some((elf::EM_S390.0, 8)),
        "riscv64" => Some((elf::EM_RISCV.0, 8)),
        "powerpc64" => Some((elf::EM_PPC64.0, 8)),
        _ => None,
    }
}

/// Why a file cannot be read as ELF.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not an ELF file, or a damaged one.
    #[error("not a readable ELF file: {0}")]
    Elf(object::read::Error),
    /// A section that lies outside the file or cannot be decompressed.
    #[error("section {section} cannot be read: {why}")]
    Section {
        /// Its name.
        section: String,
        /// Why.
        why: String,
    },
}

/// A section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its index in the file.
    pub index: SectionIndex,
    /// `.text`; lossy where it is no UTF-8.
    pub name: String,
    /// `sh_type`
    pub kind: u32,
    /// `sh_flags`
    pub flags: u64,
    /// Its address; in a relocatable file the one it was laid out at.
    pub address: u64,
    /// Bytes in memory, uncompressed.
    pub size: u64,
    /// `sh_addralign`
    pub align: u64,
}

impl Section {
    /// Returns whether it holds instructions.
    #[must_use]
    pub fn is_code(&self) -> bool {
        self.flags & elf::SHF_EXECINSTR.0 != 0
    }

    /// Returns whether it is in memory when the program runs.
    #[must_use]
    pub fn is_allocated(&self) -> bool {
        self.flags & elf::SHF_ALLOC.0 != 0
    }
}

/// A function symbol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its name; lossy where it is no UTF-8.
    pub name: String,
    /// Its address, as laid out.
    pub address: u64,
    /// Bytes; 0 when the symbol has no size.
    pub size: u64,
}

/// The data of a section.
#[derive(Debug, Clone)]
pub struct Data<'a> {
    /// Decompressed, relocations applied.
    pub bytes: Cow<'a, [u8]>,
    /// Relocations that were of a kind not known here, or pointed nowhere:
    /// the bytes they stand for are as the file has them.
    pub unapplied: Vec<Unapplied>,
}

/// A relocation that was not applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unapplied {
    /// Where in the section.
    pub offset: u64,
    /// Why.
    pub why: &'static str,
}

/// An ELF file.
#[derive(Debug)]
pub struct Elf<'a> {
    file: object::File<'a>,
    sections: Vec<Section>,
    laid_out: BTreeMap<usize, u64>,
}

impl<'a> Elf<'a> {
    /// Reads the headers of the file.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let file = object::File::parse(bytes).map_err(Error::Elf)?;
        let mut elf = Self { file, sections: Vec::new(), laid_out: BTreeMap::new() };
        elf.lay_out();
        Ok(elf)
    }

    fn lay_out(&mut self) {
        let relocatable = self.is_relocatable();
        let mut next = LAYOUT_BASE;
        for section in self.file.sections() {
            let (kind, flags) = match section.flags() {
                SectionFlags::Elf { sh_type, sh_flags } => (sh_type.0, sh_flags.0),
                _ => (0, 0),
            };
            let mut address = section.address();
            if relocatable && flags & elf::SHF_ALLOC.0 != 0 && address == 0 {
                let align = section.align().clamp(1, 1 << 16).next_power_of_two();
                address = next.checked_next_multiple_of(align).unwrap_or(next);
                // A gap, so that the end of one section is not the start of the next.
                next = address.saturating_add(section.size()).saturating_add(0x10);
                self.laid_out.insert(section.index().0, address);
            }
            self.sections.push(Section {
                index: section.index(),
                name: String::from_utf8_lossy(section.name_bytes().unwrap_or_default()).into_owned(),
                kind,
                flags,
                address,
                size: section.size(),
                align: section.align(),
            });
        }
    }

    /// Returns the file as `object` sees it.
    #[must_use]
    pub fn object(&self) -> &object::File<'a> {
        &self.file
    }

    /// Returns the byte order.
    #[must_use]
    pub fn endian(&self) -> Endianness {
        self.file.endianness()
    }

    /// `e_machine`
    #[must_use]
    pub fn machine(&self) -> u16 {
        match &self.file {
            object::File::Elf32(file) => file.elf_header().e_machine.get(file.endian()).0,
            object::File::Elf64(file) => file.elf_header().e_machine.get(file.endian()).0,
            _ => 0,
        }
    }

    /// `e_flags`
    #[must_use]
    pub fn header_flags(&self) -> u32 {
        match &self.file {
            object::File::Elf32(file) => file.elf_header().e_flags.get(file.endian()).0,
            object::File::Elf64(file) => file.elf_header().e_flags.get(file.endian()).0,
            _ => 0,
        }
    }

    /// Bytes of an address, 4 or 8.
    #[must_use]
    pub fn address_size(&self) -> u8 {
        if self.file.is_64() { 8 } else { 4 }
    }

    /// Returns whether it is a `.o` (or `ld -r` output, or a kernel module).
    #[must_use]
    pub fn is_relocatable(&self) -> bool {
        self.file.kind() == object::ObjectKind::Relocatable
    }

    /// Addresses from and to of the first program header of this type.
    #[must_use]
    pub fn segment(&self, kind: u32) -> Option<(u64, u64)> {
        let endian = self.endian();
        let found: (u64, u64) = match &self.file {
            object::File::Elf32(file) => {
                let header = file.elf_program_headers().iter().find(|header| header.p_type.get(endian).0 == kind)?;
                (header.p_vaddr.get(endian).into(), header.p_memsz.get(endian).into())
            }
            object::File::Elf64(file) => {
                let header = file.elf_program_headers().iter().find(|header| header.p_type.get(endian).0 == kind)?;
                (header.p_vaddr.get(endian), header.p_memsz.get(endian))
            }
            _ => return None,
        };
        Some((found.0, found.0.saturating_add(found.1)))
    }

    /// Returns the relocations of a section: where, and whether it is one that does nothing
    /// (`R_*_NONE`).
    #[must_use]
    pub fn relocations(&self, section: &Section) -> Vec<(u64, bool)> {
        let Ok(found) = self.file.section_by_index(section.index) else { return Vec::new() };
        let nothing = |relocation: &object::Relocation| relocation.kind() == RelocationKind::None;
        found.relocations().map(|(offset, relocation)| (offset, nothing(&relocation))).collect()
    }

    /// Returns all sections, in the file's order.
    #[must_use]
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// Returns all sections of this name: a relocatable file may have several.
    pub fn sections_named<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Section> {
        self.sections.iter().filter(move |section| section.name == name)
    }

    /// Returns the first section of this name.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// Returns the address a section is laid out at.
    #[must_use]
    pub fn address_of(&self, section: SectionIndex) -> Option<u64> {
        self.sections.iter().find(|other| other.index == section).map(|section| section.address)
    }

    /// Returns the section's data, decompressed and relocated.
    pub fn data(&self, section: &Section) -> Result<Data<'a>, Error> {
        let mut bytes = self.data_as_stored(section)?;
        let mut unapplied = Vec::new();
        if self.is_relocatable() {
            let fail = |error: object::Error| Error::Section { section: section.name.clone(), why: error.to_string() };
            let found = self.file.section_by_index(section.index).map_err(fail)?;
            self.relocate(&found, section, &mut bytes, &mut unapplied);
        }
        Ok(Data { bytes, unapplied })
    }

    /// Returns the section's data, decompressed but not relocated.
    pub fn data_as_stored(&self, section: &Section) -> Result<Cow<'a, [u8]>, Error> {
        let fail = |why: String| Error::Section { section: section.name.clone(), why };
        let found = self.file.section_by_index(section.index).map_err(|error| fail(error.to_string()))?;
        let compressed = found.compressed_data().map_err(|error| fail(error.to_string()))?;
        if compressed.uncompressed_size > MOST_UNPACKED {
            return Err(fail(format!("it claims {} bytes uncompressed", compressed.uncompressed_size)));
        }
        compressed.decompress().map_err(|error| fail(error.to_string()))
    }

    /// Returns the data of the first section of this name; nothing where there is none.
    pub fn data_named(&self, name: &str) -> Result<Option<Data<'a>>, Error> {
        self.section(name).map(|section| self.data(section)).transpose()
    }

    fn relocate(
        &self,
        found: &object::Section<'a, '_>,
        section: &Section,
        bytes: &mut Cow<'a, [u8]>,
        unapplied: &mut Vec<Unapplied>,
    ) {
        let endian = self.endian();
        for (offset, relocation) in found.relocations() {
            let mut miss = |why| unapplied.push(Unapplied { offset, why });
            let mut bits = relocation.size();
            let relative = match relocation.kind() {
                RelocationKind::None => continue,
                RelocationKind::Absolute => false,
                RelocationKind::Relative | RelocationKind::PltRelative => true,
                // Used by SFrame version 3 on x86-64, and unknown to `object`.
                _ if self.machine() == elf::EM_X86_64.0
                    && matches!(relocation.flags(), RelocationFlags::Elf { r_type } if r_type == elf::R_X86_64_PC64) =>
                {
                    bits = 64;
                    true
                }
                _ => {
                    miss("relocation of an unknown kind");
                    continue;
                }
            };
            let Some(target) = self.target(relocation.target()) else {
                miss("relocation against nothing");
                continue;
            };
            let width = usize::from(bits / 8);
            let place = usize::try_from(offset).ok().and_then(|start| Some(start..start.checked_add(width)?));
            let Some(place) = place.filter(|place| place.end <= bytes.len() && matches!(width, 1 | 2 | 4 | 8)) else {
                miss("relocation outside the section");
                continue;
            };
            let field = &mut bytes.to_mut()[place];
            let mut value = target.wrapping_add_signed(relocation.addend());
            if relocation.has_implicit_addend() {
                value = value.wrapping_add(read(field, endian));
            }
            if relative {
                value = value.wrapping_sub(section.address.wrapping_add(offset));
            }
            write(field, value, endian);
        }
    }

    fn target(&self, target: RelocationTarget) -> Option<u64> {
        match target {
            RelocationTarget::Symbol(index) => {
                let symbol = self.file.symbol_by_index(index).ok()?;
                if symbol.is_undefined() {
                    return None;
                }
                Some(symbol.address().wrapping_add(self.shift(symbol.section_index())))
            }
            RelocationTarget::Section(index) => self.address_of(index),
            RelocationTarget::Absolute => Some(0),
            _ => None,
        }
    }

    // Offset that the layout added to the addresses of symbols in this section.
    fn shift(&self, section: Option<SectionIndex>) -> u64 {
        section.and_then(|section| self.laid_out.get(&section.0)).copied().unwrap_or(0)
    }

    /// Returns the functions of the symbol table, by address.
    #[must_use]
    pub fn functions(&self) -> Vec<Function> {
        let mut functions: Vec<_> = self
            .file
            .symbols()
            .filter(|symbol| symbol.kind() == object::SymbolKind::Text && symbol.is_definition())
            .map(|symbol| Function {
                name: String::from_utf8_lossy(symbol.name_bytes().unwrap_or_default()).into_owned(),
                address: symbol.address().wrapping_add(self.shift(symbol.section_index())),
                size: symbol.size(),
            })
            .collect();
        functions.sort_by(|a, b| (a.address, a.size, &a.name).cmp(&(b.address, b.size, &b.name)));
        functions
    }
}

fn read(field: &[u8], endian: Endianness) -> u64 {
    let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    match endian {
        Endianness::Big => field.iter().fold(0, fold),
        Endianness::Little => field.iter().rev().fold(0, fold),
    }
}

fn write(field: &mut [u8], value: u64, endian: Endianness) {
    let bytes = value.to_le_bytes();
    let width = field.len();
    for (index, byte) in field.iter_mut().enumerate() {
        let from = if endian == Endianness::Little { index } else { width - 1 - index };
        *byte = bytes.get(from).copied().unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_and_written_in_both_byte_orders() {
        let mut field = [0; 4];
        write(&mut field, 0x1234_5678, Endianness::Big);
        assert_eq!(field, [0x12, 0x34, 0x56, 0x78]);
        assert_eq!(read(&field, Endianness::Big), 0x1234_5678);
        write(&mut field, 0x1234_5678, Endianness::Little);
        assert_eq!(read(&field, Endianness::Little), 0x1234_5678);
    }

    #[test]
    fn what_is_no_elf_file_is_refused() {
        assert!(Elf::parse(b"").is_err());
        assert!(Elf::parse(b"MZ and no more").is_err());
        assert!(Elf::parse(&[0x7f; 64]).is_err());
    }
}
