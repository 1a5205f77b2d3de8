//! The sections of a file that the check looks at: bytes first, then tables
//! and entries that borrow from them.

use super::{Bytes, TableFacts};
use crate::debuginfo::cfi::{self, Frames};
use crate::debuginfo::elf::{self, Data, Elf, Section};
use crate::debuginfo::sframe::{
    Abi, Container, Findings, PT_GNU_SFRAME, Relocation, SHT_GNU_SFRAME, Statistics, Table, Tables, validate,
};
use object::Endianness;

/// The bytes of every section that the check reads.
pub(super) struct Loaded<'a> {
    pub(super) machine: Option<Abi>,
    pub(super) relocatable: bool,
    big: bool,
    address_size: u8,
    segment: Option<(u64, u64)>,
    /// Executable sections, from and to, by address.
    pub(super) code: Vec<(u64, u64)>,
    /// Of these, the PLTs of a linked file.
    plts: Vec<(u64, u64)>,
    pub(super) sframes: Vec<SFrame<'a>>,
    cfis: Vec<(Section, Data<'a>)>,
}

/// An SFrame section.
pub(super) struct SFrame<'a> {
    section: Section,
    data: Data<'a>,
    relocations: Vec<(u64, Relocation)>,
}

fn is_called(section: &Section, name: &str) -> bool {
    // objcopy puts `.init` before names; relocation sections have `.rela` before theirs.
    section.name == name || (section.name.ends_with(name) && !section.name.starts_with(".rel"))
}

fn is_sframe(section: &Section) -> bool {
    let named = is_called(section, ".sframe") && section.kind != object::elf::SHT_NOBITS.0;
    named || section.kind == SHT_GNU_SFRAME
}

fn is_cfi(section: &Section) -> bool {
    let has_bytes = section.kind != object::elf::SHT_NOBITS.0 && section.size > 0;
    has_bytes && (is_called(section, ".eh_frame") || is_called(section, ".debug_frame"))
}

impl<'a> Loaded<'a> {
    pub(super) fn read(elf: &Elf<'a>) -> Result<Self, elf::Error> {
        let big = elf.endian() == Endianness::Big;
        let mut code: Vec<(u64, u64)> = elf
            .sections()
            .iter()
            .filter(|section| section.is_code() && section.is_allocated())
            .map(|section| (section.address, section.address.saturating_add(section.size)))
            .collect();
        code.sort_unstable();
        let is_plt =
            |section: &&Section| section.is_code() && section.name.starts_with(".plt") && !elf.is_relocatable();
        let plts = elf.sections().iter().filter(is_plt);
        let mut sframes = Vec::new();
        let mut cfis = Vec::new();
        for section in elf.sections() {
            if is_sframe(section) {
                sframes.push(SFrame::read(elf, section)?);
            } else if is_cfi(section) {
                cfis.push((section.clone(), elf.data(section)?));
            }
        }
        Ok(Self {
            machine: Abi::of_machine(elf.machine(), big),
            relocatable: elf.is_relocatable(),
            big,
            address_size: elf.address_size(),
            segment: elf.segment(PT_GNU_SFRAME),
            code,
            plts: plts.map(|section| (section.address, section.address.saturating_add(section.size))).collect(),
            sframes,
            cfis,
        })
    }

    pub(super) fn bytes(&self) -> Bytes {
        let of = |name: &str| {
            let sections = self.cfis.iter().filter(|(section, _)| is_called(section, name));
            sections.map(|(_, data)| data.bytes.len() as u64).sum()
        };
        Bytes {
            sframe: self.sframes.iter().map(|section| section.data.bytes.len() as u64).sum(),
            eh_frame: of(".eh_frame"),
            debug_frame: of(".debug_frame"),
            // Sections of a hostile file may overlap, and each be as large as the address space.
            text: self.code.iter().fold(0, |sum: u64, (from, to)| sum.saturating_add(to - from)),
            covered: 0,
        }
    }

    /// Returns whether an address is in a PLT, which the linker writes and describes.
    pub(super) fn is_plt(&self, address: u64) -> bool {
        self.plts.iter().any(|(from, to)| (*from..*to).contains(&address))
    }

    /// Whether an address is in an executable section.
    pub(super) fn is_code(&self, address: u64) -> bool {
        let after = self.code.partition_point(|(from, _)| *from <= address);
        after.checked_sub(1).and_then(|index| self.code.get(index)).is_some_and(|(_, to)| address < *to)
    }
}

impl<'a> SFrame<'a> {
    fn read(elf: &Elf<'a>, section: &Section) -> Result<Self, elf::Error> {
        let data = elf.data(section)?;
        let mut relocations = Vec::new();
        if elf.is_relocatable() {
            let broken: std::collections::BTreeMap<u64, &'static str> =
                data.unapplied.iter().map(|relocation| (relocation.offset, relocation.why)).collect();
            for (offset, nothing) in elf.relocations(section) {
                let relocation = match broken.get(&offset) {
                    _ if nothing => Relocation::None,
                    Some(why) => Relocation::Broken(why),
                    None => Relocation::Applied,
                };
                relocations.push((offset, relocation));
            }
            relocations.sort_by_key(|(offset, _)| *offset);
        }
        Ok(Self { section: section.clone(), data, relocations })
    }

    pub(super) fn container<'s>(&'s self, loaded: &'s Loaded<'_>) -> Container<'s> {
        Container {
            name: &self.section.name,
            kind: self.section.kind,
            address: self.section.address,
            relocatable: loaded.relocatable,
            machine: loaded.machine,
            segment: loaded.segment,
            code: &loaded.code,
            relocations: &self.relocations,
        }
    }

    pub(super) fn validate(&self, loaded: &Loaded<'_>, findings: &mut Findings) -> Statistics {
        validate(&self.data.bytes, &self.container(loaded), findings)
    }
}

/// A table and where it is.
pub(super) struct TableIn<'l> {
    pub(super) section: &'l str,
    pub(super) offset: u64,
    pub(super) table: Table<'l>,
    pub(super) container: Container<'l>,
}

impl TableIn<'_> {
    pub(super) fn facts(&self) -> TableFacts {
        let header = self.table.header();
        TableFacts {
            section: self.section.to_owned(),
            offset: self.offset,
            version: header.version,
            abi: self.table.abi(),
            flags: header.flags,
            fdes: header.fdes,
            fres: header.fres,
            bytes: self.table.size(),
        }
    }
}

/// Tables and entries of a loaded file.
pub(super) struct View<'l> {
    pub(super) tables: Vec<TableIn<'l>>,
    pub(super) frames: Vec<Frames<'l>>,
    /// Names of the sections that `frames` are of.
    pub(super) cfis: Vec<&'l str>,
}

impl<'l> View<'l> {
    pub(super) fn of(loaded: &'l Loaded<'_>) -> Self {
        let mut view = Self { tables: Vec::new(), frames: Vec::new(), cfis: Vec::new() };
        for section in &loaded.sframes {
            let container = section.container(loaded);
            for (offset, table) in Tables::new(&section.data.bytes, container.addressing()) {
                let Ok(table) = table else { break };
                view.tables.push(TableIn { section: &section.section.name, offset, table, container });
            }
        }
        let abi = view.tables.first().map(|first| first.table.abi()).or(loaded.machine);
        let Some(abi) = abi else { return view };
        // .eh_frame first: it is what a program has at run time.
        let (eh, debug): (Vec<_>, Vec<_>) =
            loaded.cfis.iter().partition(|(section, _)| is_called(section, ".eh_frame"));
        for (section, data) in eh.into_iter().chain(debug) {
            let source = cfi::Section {
                data: &data.bytes,
                address: section.address,
                is_eh: is_called(section, ".eh_frame"),
                big: loaded.big,
                address_size: loaded.address_size,
                abi,
            };
            view.frames.push(Frames::read(&source));
            view.cfis.push(&section.name);
        }
        view
    }
}
