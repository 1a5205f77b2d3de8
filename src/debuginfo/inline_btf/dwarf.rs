//! The debug information of one file: its units, and single entries of them
//! wherever they are.
//!
//! The abbreviations of a unit are parsed once, when the unit is scanned; line
//! tables only where a report names files.

use crate::debuginfo::elf::{self, Elf};
use gimli::{
    AttributeValue, DebuggingInformationEntry, DwLang, EndianSlice, Endianity, Section as _, UnitHeader, UnitOffset,
    constants as dw,
};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How bytes are read.
pub type Slice<'d, E> = EndianSlice<'d, E>;
/// A unit.
pub type Unit<'d, E> = gimli::Unit<Slice<'d, E>>;

/// Why debug information cannot be read at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The file itself.
    #[error(transparent)]
    Elf(#[from] elf::Error),
    /// A stripped file.
    #[error("no debug information: the file has no .debug_info section, or an empty one")]
    Stripped {
        /// The file that `.gnu_debuglink` names.
        link: Option<String>,
    },
    /// The entries of some units are in other files.
    #[error(
        "unsupported: split DWARF: {skeletons} unit{} of the file {} a skeleton, the first of `{dwo}`",
        if *skeletons == 1 { "" } else { "s" }, if *skeletons == 1 { "is" } else { "are" }
    )]
    Split {
        /// The file that the first one names.
        dwo: String,
        /// How many.
        skeletons: usize,
    },
    /// Entries were moved to a file that several share.
    #[error("unsupported: the debug information refers to entries of `{file}` (.gnu_debugaltlink)")]
    Supplementary {
        /// That file.
        file: String,
    },
    /// More than 32 bits can number.
    #[error(".debug_info has {len} bytes, more than 4 GiB are not read")]
    TooLarge {
        /// How many.
        len: usize,
    },
    /// A unit header.
    #[error("the unit header at offset {offset:#x} of .debug_info cannot be read: {why}")]
    Header {
        /// Where.
        offset: u64,
        /// Why.
        why: gimli::Error,
    },
    /// The same lists again and again: no compiler does that, and it would take for ever.
    #[error("location and range lists are referred to far more often than there are lists")]
    Lists,
}

/// The sections, decompressed and relocated where the file needs that.
#[derive(Debug)]
pub struct Sections<'d> {
    data: gimli::DwarfSections<Cow<'d, [u8]>>,
    // Bytes of location and range lists.
    lists: usize,
    link: Option<String>,
}

impl<'d> Sections<'d> {
    /// Of a file.
    pub fn load(elf: &Elf<'d>) -> Result<Self, Error> {
        if let Some(file) = linked(elf, ".gnu_debugaltlink")? {
            return Err(Error::Supplementary { file });
        }
        let mut lists = 0;
        let data = gimli::DwarfSections::load(|id| {
            let bytes = elf.data_named(id.name())?.map(|data| data.bytes).unwrap_or_default();
            if matches!(id.name(), ".debug_loc" | ".debug_loclists" | ".debug_ranges" | ".debug_rnglists") {
                lists += bytes.len();
            }
            Ok::<_, Error>(bytes)
        })?;
        Ok(Self { data, lists, link: linked(elf, ".gnu_debuglink")? })
    }

    /// Returns the bytes of `.debug_info`.
    #[must_use]
    pub fn info(&self) -> &[u8] {
        self.data.borrow(|bytes| EndianSlice::new(bytes, gimli::LittleEndian)).debug_info.reader().slice()
    }
}

// The file that a link section names: its text up to the first NUL.
fn linked(elf: &Elf<'_>, section: &str) -> Result<Option<String>, Error> {
    let Some(data) = elf.data_named(section)? else { return Ok(None) };
    let name = data.bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(Some(String::from_utf8_lossy(name).into_owned()))
}

/// The debug information of a file.
#[derive(Debug)]
pub struct Debug<'d, E: Endianity> {
    /// As gimli sees it.
    pub dwarf: gimli::Dwarf<Slice<'d, E>>,
    /// By offset.
    pub units: Vec<UnitHeader<Slice<'d, E>>>,
    /// The header that ended the list early.
    pub damaged: Option<Error>,
    // List entries that may still be looked at. Honest files read each list about once.
    budget: AtomicI64,
    // Units that others refer to into.
    others: Mutex<HashMap<usize, Arc<Unit<'d, E>>>>,
}

/// Units kept for references from others.
const MOST_OTHERS: usize = 256;

impl<'d, E: Endianity + Send + Sync> Debug<'d, E> {
    /// Finds the units.
    pub fn open(sections: &'d Sections<'_>, endian: E) -> Result<Self, Error> {
        let mut dwarf = sections.data.borrow(|bytes| EndianSlice::new(bytes, endian));
        let len = dwarf.debug_info.reader().len();
        if len == 0 {
            return Err(Error::Stripped { link: sections.link.clone() });
        }
        if u32::try_from(len).is_err() {
            return Err(Error::TooLarge { len });
        }
        let mut units = Vec::new();
        let mut damaged = None;
        let mut headers = dwarf.units();
        let mut next = 0;
        loop {
            match headers.next() {
                Ok(Some(header)) => {
                    let offset = header.debug_info_offset().map_or(0, |offset| offset.0);
                    next = offset + header.length_including_self();
                    units.push(header);
                }
                Ok(None) => break,
                Err(why) => {
                    damaged = Some(Error::Header { offset: next as u64, why });
                    break;
                }
            }
        }
        if let (true, Some(error)) = (units.is_empty(), &damaged) {
            return Err(error.clone());
        }
        dwarf.populate_abbreviations_cache(gimli::AbbreviationsCacheStrategy::Duplicates);
        let budget =
            AtomicI64::new(i64::try_from(sections.lists).unwrap_or(i64::MAX / 32).saturating_mul(4) + (1 << 22));
        Ok(Self { dwarf, units, damaged, budget, others: Mutex::new(HashMap::new()) })
    }

    /// Takes list entries that were looked at from what may be.
    pub fn spend(&self, entries: i64) -> Result<(), Error> {
        if self.budget.fetch_sub(entries, Ordering::Relaxed) < entries { Err(Error::Lists) } else { Ok(()) }
    }

    /// Returns which unit an offset of `.debug_info` is in.
    #[must_use]
    pub fn unit_of(&self, offset: u64) -> Option<usize> {
        let start = |header: &UnitHeader<_>| header.debug_info_offset().map_or(0, |offset| offset.0 as u64);
        let index = self.units.partition_point(|header| start(header) <= offset).checked_sub(1)?;
        let header = self.units.get(index)?;
        (offset < start(header) + header.length_including_self() as u64).then_some(index)
    }

    /// Returns a unit with the attributes of its root and its language, without its line table.
    pub fn unit(&self, header: &UnitHeader<Slice<'d, E>>) -> Result<(Unit<'d, E>, Option<DwLang>), gimli::Error> {
        let abbreviations = self.dwarf.abbreviations(header)?;
        let encoding = header.encoding();
        let file_type = self.dwarf.file_type;
        let mut unit = gimli::Unit {
            abbreviations,
            name: None,
            comp_dir: None,
            low_pc: 0,
            str_offsets_base: gimli::DebugStrOffsetsBase::default_for_encoding_and_file(encoding, file_type),
            addr_base: gimli::DebugAddrBase(0),
            loclists_base: gimli::DebugLocListsBase::default_for_encoding_and_file(encoding, file_type),
            rnglists_base: gimli::DebugRngListsBase::default_for_encoding_and_file(encoding, file_type),
            line_program: None,
            dwo_id: None,
            header: *header,
        };
        let root = unit.entry(header.root_offset())?;
        let mut language = None;
        for attribute in root.attrs() {
            match (attribute.name(), attribute.value()) {
                (_, AttributeValue::DebugStrOffsetsBase(base)) => unit.str_offsets_base = base,
                (_, AttributeValue::DebugAddrBase(base)) => unit.addr_base = base,
                (_, AttributeValue::DebugLocListsBase(base)) => unit.loclists_base = base,
                (_, AttributeValue::DebugRngListsBase(base)) => unit.rnglists_base = base,
                (dw::DW_AT_language, AttributeValue::Language(value)) => language = Some(value),
                _ => {}
            }
        }
        // Its form may need a base that stands after it.
        let low_pc = root.attr_value(dw::DW_AT_low_pc);
        if let Some(address) = low_pc.and_then(|value| self.dwarf.attr_address(&unit, value).ok().flatten()) {
            unit.low_pc = address;
        }
        Ok((unit, language))
    }

    /// Returns the name of the file that has a unit's entries, where the unit is a skeleton of split DWARF.
    #[must_use]
    pub fn dwo_name(&self, unit: &Unit<'d, E>) -> Option<&'d [u8]> {
        let root = unit.entry(unit.header.root_offset()).ok()?;
        let name = root.attr_value(dw::DW_AT_dwo_name).or_else(|| root.attr_value(dw::DW_AT_GNU_dwo_name));
        let is_skeleton = matches!(unit.header.type_(), gimli::UnitType::Skeleton(_));
        match name {
            Some(name) => Some(self.text(unit, name)),
            None => is_skeleton.then_some(&[][..]),
        }
    }

    fn other(&self, index: usize) -> Option<Arc<Unit<'d, E>>> {
        let kept = |others: &HashMap<usize, Arc<Unit<'d, E>>>| others.get(&index).cloned();
        if let Some(found) = kept(&self.others.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Some(found);
        }
        let (unit, _) = self.unit(self.units.get(index)?).ok()?;
        let unit = Arc::new(unit);
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if others.len() >= MOST_OTHERS {
            others.clear();
        }
        others.insert(index, Arc::clone(&unit));
        Some(unit)
    }

    // Calls `look` with the unit that has this offset, and the offset in it.
    fn with_unit<T>(
        &self,
        offset: u64,
        here: &Unit<'d, E>,
        look: impl FnOnce(&Unit<'d, E>, UnitOffset) -> Option<T>,
    ) -> Option<T> {
        let place = usize::try_from(offset).ok()?;
        let within = |unit: &Unit<'d, E>| {
            let start = unit.header.debug_info_offset()?.0;
            let inside = UnitOffset(place.checked_sub(start)?);
            (inside.0 < unit.header.length_including_self()).then_some(inside)
        };
        if let Some(inside) = within(here) {
            return look(here, inside);
        }
        let other = self.other(self.unit_of(offset)?)?;
        look(&other, within(&other)?)
    }

    /// Calls `look` with the entry at an offset of `.debug_info`; `here` is the unit tried first.
    pub fn with_entry<T>(
        &self,
        offset: u64,
        here: &Unit<'d, E>,
        look: impl FnOnce(&Unit<'d, E>, &DebuggingInformationEntry<Slice<'d, E>>) -> T,
    ) -> Option<T> {
        self.with_unit(offset, here, |unit, inside| {
            let entry = unit.entry(inside).ok().filter(|entry| !entry.is_null())?;
            Some(look(unit, &entry))
        })
    }

    // The entries directly below one, as long as `look` wants them.
    fn children(
        &self,
        offset: u64,
        here: &Unit<'d, E>,
        mut look: impl FnMut(&Unit<'d, E>, &DebuggingInformationEntry<Slice<'d, E>>) -> bool,
    ) -> Option<()> {
        self.with_unit(offset, here, |unit, inside| {
            let mut entries = unit.entries_raw(Some(inside)).ok()?;
            let mut entry = DebuggingInformationEntry::null();
            let is_entry = entries.read_entry(&mut entry).ok()?;
            if !is_entry || !entry.has_children() {
                return Some(());
            }
            while entries.next_depth() > 0 && !entries.is_empty() {
                let direct = entries.next_depth() == 1;
                let is_entry = entries.read_entry(&mut entry).ok()?;
                if is_entry && direct && !look(unit, &entry) {
                    break;
                }
            }
            Some(())
        })
    }

    /// Returns the lengths of an array's dimensions; 0 where one is not known.
    #[must_use]
    pub fn dimensions(&self, offset: u64, here: &Unit<'d, E>) -> Vec<u32> {
        let mut found = Vec::new();
        self.children(offset, here, |_, entry| {
            if entry.tag() == dw::DW_TAG_subrange_type {
                let count = entry.attr(dw::DW_AT_count).and_then(|count| count.udata_value());
                let bound = entry.attr(dw::DW_AT_upper_bound).and_then(|bound| bound.udata_value());
                let len = count.or(bound.and_then(|bound| bound.checked_add(1))).unwrap_or(0);
                found.push(u32::try_from(len).unwrap_or(0));
            }
            found.len() < 16
        });
        found
    }

    /// Returns the types of a function type's parameters, and whether `...` follows. Nothing where
    /// there are more than `most`, or one has no type.
    #[must_use]
    pub fn function_type(&self, offset: u64, here: &Unit<'d, E>, most: usize) -> Option<(Vec<u64>, bool)> {
        let (mut params, mut variadic, mut sound) = (Vec::new(), false, true);
        self.children(offset, here, |unit, entry| {
            match entry.tag() {
                dw::DW_TAG_formal_parameter => {
                    let found = entry.attr_value(dw::DW_AT_type).and_then(|value| reference(unit, value));
                    sound &= found.is_some() && params.len() < most;
                    params.extend(found);
                }
                dw::DW_TAG_unspecified_parameters => variadic = true,
                _ => {}
            }
            sound
        })?;
        sound.then_some((params, variadic))
    }

    /// Returns the text of a string attribute; empty where it cannot be had.
    #[must_use]
    pub fn text(&self, unit: &Unit<'d, E>, value: AttributeValue<Slice<'d, E>>) -> &'d [u8] {
        self.dwarf.attr_string(unit, value).map(|text| text.slice()).unwrap_or_default()
    }

    /// Returns the name of a file of a unit's line table.
    #[must_use]
    pub fn file_name(&self, unit: usize, file: u64) -> Option<String> {
        let header = self.units.get(unit)?;
        let (unit, _) = self.unit(header).ok()?;
        let root = unit.entry(header.root_offset()).ok()?;
        let AttributeValue::DebugLineRef(offset) = root.attr_value(dw::DW_AT_stmt_list)? else { return None };
        let program = self.dwarf.debug_line.program(offset, header.address_size(), None, None).ok()?;
        let entry = program.header().file(file)?;
        let text = |value| self.dwarf.attr_string(&unit, value).ok().map(|text| text.to_string_lossy().into_owned());
        let name = text(entry.path_name())?;
        let directory = entry.directory(program.header()).and_then(text).filter(|directory| !directory.is_empty());
        Some(match directory {
            Some(directory) if !name.starts_with('/') && directory != "." => format!("{directory}/{name}"),
            _ => name,
        })
    }
}

/// Returns the offset in `.debug_info` that an attribute refers to; nothing for another file's.
#[must_use]
pub fn reference<E: Endianity>(unit: &Unit<'_, E>, value: AttributeValue<Slice<'_, E>>) -> Option<u64> {
    match value {
        AttributeValue::UnitRef(offset) => {
            unit.header.debug_info_offset().and_then(|start| start.0.checked_add(offset.0)).map(|sum| sum as u64)
        }
        AttributeValue::DebugInfoRef(offset) => Some(offset.0 as u64),
        _ => None,
    }
}
