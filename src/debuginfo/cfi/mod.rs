//! DWARF call-frame information, `.eh_frame` and `.debug_frame`, as far as it
//! is compared with SFrame.
//!
//! Numbers and names are gimli's; entries are read here, because gimli refuses
//! a CIE of augmentation `B` (pointer authentication by the second key), ends
//! at instructions it does not know, and cannot report which directives led to
//! a row, which is what decides whether an assembler may decline a function.
//! The tests compare both readings.

mod decline;
mod evaluate;
mod operand;
#[cfg(test)]
mod tests;

pub use decline::{Reason, Reasons};
pub use evaluate::{Evaluator, Initial, Restored, Step};

use crate::debuginfo::sframe::Abi;
use gimli::{EndianSlice, Reader as _, RunTimeEndian, constants};
use std::collections::BTreeMap;

type Slice<'a> = EndianSlice<'a, RunTimeEndian>;

/// Why an entry cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It ends too early, or a number is too large.
    #[error("{0}")]
    Data(gimli::Error),
    /// An entry refers to no CIE.
    #[error("no CIE at {at:#x}")]
    Cie {
        /// Where it would be, bytes from the start of the section.
        at: u64,
    },
    /// A version of CIE that is not known.
    #[error("CIE version {found}; 1, 3 and 4 are known")]
    Version {
        /// The byte.
        found: u8,
    },
    /// A letter of an augmentation that is not known, and whose data cannot be skipped.
    #[error("augmentation letter {found:#04x}")]
    Augmentation {
        /// The byte.
        found: u8,
    },
    /// A form of addresses that has no meaning here.
    #[error("address encoding {found:#04x}")]
    Encoding {
        /// The byte.
        found: u8,
    },
    /// `DW_CFA_restore_state` without a state.
    #[error("DW_CFA_restore_state without a remembered state")]
    Unremembered,
    /// More remembered states or rows than any function has: memory out of proportion.
    #[error("more than {most} {what}")]
    Excess {
        /// Of what.
        what: &'static str,
        /// How many are taken.
        most: usize,
    },
    /// An instruction that nobody defined.
    #[error("unknown instruction {found:#04x}")]
    Instruction {
        /// The byte.
        found: u8,
    },
}

impl From<gimli::Error> for Error {
    fn from(error: gimli::Error) -> Self {
        Self::Data(error)
    }
}

/// Where the entries come from.
#[derive(Debug, Clone, Copy)]
pub struct Section<'a> {
    /// The bytes, relocated.
    pub data: &'a [u8],
    /// Its address, as laid out.
    pub address: u64,
    /// Whether it is `.eh_frame`, not `.debug_frame`.
    pub is_eh: bool,
    /// Whether numbers are big-endian.
    pub big: bool,
    /// Bytes of an address, 4 or 8.
    pub address_size: u8,
    /// Register numbers of the architecture.
    pub abi: Abi,
}

/// Rules shared by functions.
#[derive(Debug, Clone)]
pub struct Cie<'a> {
    code_align: u64,
    data_align: i64,
    address_size: u8,
    encoding: u8,
    has_size: bool,
    /// The column of the return address.
    pub ra: u64,
    /// Augmentation `S`.
    pub is_signal: bool,
    /// Augmentation `B`.
    pub is_b_key: bool,
    instructions: Slice<'a>,
    /// The state that each of its functions starts with.
    pub initial: Result<Initial, Error>,
}

/// A function.
#[derive(Debug, Clone, Copy)]
pub struct Fde<'a> {
    /// Bytes from the start of the section.
    pub offset: u64,
    /// Index of its CIE.
    pub cie: u32,
    /// Its address.
    pub start: u64,
    /// Bytes.
    pub len: u64,
    instructions: Slice<'a>,
}

impl Fde<'_> {
    /// End address (exclusive); the end of the address space where it would leave that.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.len)
    }
}

/// All entries of a section.
#[derive(Debug, Default)]
pub struct Frames<'a> {
    /// By their place in the section.
    pub cies: Vec<Cie<'a>>,
    /// By their place in the section.
    pub fdes: Vec<Fde<'a>>,
    /// Entries that cannot be read: their place, and why.
    pub damaged: Vec<(u64, Error)>,
}

impl<'a> Frames<'a> {
    /// Reads all entries of a section. The state after the instructions of a
    /// CIE is computed once for all of its functions.
    #[must_use]
    pub fn read(section: &Section<'a>) -> Self {
        let endian = if section.big { RunTimeEndian::Big } else { RunTimeEndian::Little };
        let whole = EndianSlice::new(section.data, endian);
        let mut reading = Reading { section, whole, by_offset: BTreeMap::new(), frames: Self::default() };
        let mut rest = whole;
        while !rest.is_empty() {
            let offset = rest.offset_from(whole) as u64;
            match split(&mut rest) {
                Ok(Some((entry, width))) => {
                    if let Err(error) = reading.entry(offset, entry, width) {
                        reading.frames.damaged.push((offset, error));
                    }
                }
                // .eh_frame ends with a zero length, and a linker may leave one of each input.
                Ok(None) => {}
                Err(error) => {
                    reading.frames.damaged.push((offset, error));
                    break;
                }
            }
        }
        reading.frames
    }
}

// An entry without its length, and the bytes of its identifier.
fn split<'a>(rest: &mut Slice<'a>) -> Result<Option<(Slice<'a>, u8)>, Error> {
    let (length, format) = rest.read_initial_length()?;
    if length == 0 {
        return Ok(None);
    }
    let width = format.word_size();
    Ok(Some((rest.split(length)?, width)))
}

struct Reading<'s, 'a> {
    section: &'s Section<'a>,
    whole: Slice<'a>,
    // Also those that cannot be read: a million functions may name the same one.
    by_offset: BTreeMap<u64, Result<u32, Error>>,
    frames: Frames<'a>,
}

impl<'a> Reading<'_, 'a> {
    fn entry(&mut self, offset: u64, mut entry: Slice<'a>, width: u8) -> Result<(), Error> {
        let id_at = entry.offset_from(self.whole) as u64;
        // .eh_frame keeps 4 bytes even where lengths have 8.
        let id = if width == 8 && !self.section.is_eh { entry.read_u64()? } else { u64::from(entry.read_u32()?) };
        let is_cie = match (self.section.is_eh, width) {
            (true, _) => id == 0,
            (false, 8) => id == u64::MAX,
            (false, _) => id == u64::from(u32::MAX),
        };
        if is_cie {
            self.cie_of(offset, entry)?;
            return Ok(());
        }
        let at = if self.section.is_eh { id_at.wrapping_sub(id) } else { id };
        let cie = self.cie_at(at)?;
        self.fde(offset, cie, entry)
    }

    // A CIE may stand behind its first function.
    fn cie_at(&mut self, at: u64) -> Result<u32, Error> {
        if let Some(known) = self.by_offset.get(&at) {
            return *known;
        }
        let missing = Error::Cie { at };
        let start = usize::try_from(at).map_err(|_| missing)?;
        let mut rest = self.whole;
        rest.skip(start).map_err(|_| missing)?;
        let (mut entry, width) = split(&mut rest)?.ok_or(missing)?;
        let id = if width == 8 && !self.section.is_eh { entry.read_u64()? } else { u64::from(entry.read_u32()?) };
        let is_cie = if self.section.is_eh { id == 0 } else { id == u64::MAX || id == u64::from(u32::MAX) };
        if !is_cie {
            return Err(missing);
        }
        self.cie_of(at, entry)
    }

    fn cie_of(&mut self, offset: u64, entry: Slice<'a>) -> Result<u32, Error> {
        if let Some(known) = self.by_offset.get(&offset) {
            return *known;
        }
        let index = self.frames.cies.len() as u32;
        let read = self.cie(entry).map(|cie| {
            self.frames.cies.push(cie);
            index
        });
        self.by_offset.insert(offset, read);
        read
    }

    fn cie(&self, mut entry: Slice<'a>) -> Result<Cie<'a>, Error> {
        let version = entry.read_u8()?;
        if !matches!(version, 1 | 3 | 4) {
            return Err(Error::Version { found: version });
        }
        let augmentation = entry.read_null_terminated_slice()?;
        let mut address_size = self.section.address_size;
        if version == 4 {
            address_size = entry.read_u8()?;
            let segment = entry.read_u8()?;
            if !matches!(address_size, 4 | 8) || segment != 0 {
                return Err(Error::Encoding { found: address_size });
            }
        }
        let mut cie = Cie {
            code_align: entry.read_uleb128()?,
            data_align: entry.read_sleb128()?,
            address_size,
            encoding: constants::DW_EH_PE_absptr.0,
            has_size: false,
            ra: if version == 1 { u64::from(entry.read_u8()?) } else { entry.read_uleb128()? },
            is_signal: false,
            is_b_key: false,
            instructions: entry,
            initial: Err(Error::Unremembered),
        };
        self.augment(&mut cie, augmentation.slice(), &mut entry)?;
        cie.instructions = entry;
        cie.initial = Evaluator::initial(self.section.abi, &cie, cie.instructions);
        Ok(cie)
    }

    fn augment(&self, cie: &mut Cie<'a>, letters: &[u8], entry: &mut Slice<'a>) -> Result<(), Error> {
        let mut data = None;
        for (index, letter) in letters.iter().enumerate() {
            match (*letter, &mut data) {
                (b'z', _) if index == 0 => {
                    let length = entry.read_uleb128()?;
                    cie.has_size = true;
                    data = Some(entry.split(usize::try_from(length).unwrap_or(usize::MAX))?);
                }
                (b'R', Some(data)) => cie.encoding = data.read_u8()?,
                (b'L', Some(data)) => drop(data.read_u8()?),
                (b'P', Some(data)) => {
                    let encoding = data.read_u8()?;
                    self.pointer(encoding, cie.address_size, data)?;
                }
                (b'S', _) => cie.is_signal = true,
                (b'B', _) => cie.is_b_key = true,
                // With a length, what is unknown can be skipped, but not what follows it.
                (_, Some(_)) => break,
                (found, None) => return Err(Error::Augmentation { found }),
            }
        }
        Ok(())
    }

    fn fde(&mut self, offset: u64, index: u32, mut entry: Slice<'a>) -> Result<(), Error> {
        let Some(cie) = self.frames.cies.get(index as usize) else { return Err(Error::Cie { at: offset }) };
        let start = self.pointer(cie.encoding, cie.address_size, &mut entry)?;
        // The length has the form of the address, but is no address.
        let len = self.pointer(cie.encoding & 0x0f, cie.address_size, &mut entry)?;
        if cie.has_size {
            let length = entry.read_uleb128()?;
            entry.skip(usize::try_from(length).unwrap_or(usize::MAX))?;
        }
        self.frames.fdes.push(Fde { offset, cie: index, start, len, instructions: entry });
        Ok(())
    }

    fn pointer(&self, encoding: u8, address_size: u8, entry: &mut Slice<'a>) -> Result<u64, Error> {
        let at = entry.offset_from(self.whole) as u64;
        let value = match constants::DwEhPe(encoding & 0x0f) {
            constants::DW_EH_PE_absptr => entry.read_address(address_size)?,
            constants::DW_EH_PE_uleb128 => entry.read_uleb128()?,
            constants::DW_EH_PE_udata2 => u64::from(entry.read_u16()?),
            constants::DW_EH_PE_udata4 => u64::from(entry.read_u32()?),
            constants::DW_EH_PE_udata8 => entry.read_u64()?,
            constants::DW_EH_PE_sleb128 => entry.read_sleb128()?.cast_unsigned(),
            constants::DW_EH_PE_sdata2 => i64::from(entry.read_i16()?).cast_unsigned(),
            constants::DW_EH_PE_sdata4 => i64::from(entry.read_i32()?).cast_unsigned(),
            constants::DW_EH_PE_sdata8 => entry.read_i64()?.cast_unsigned(),
            _ => return Err(Error::Encoding { found: encoding }),
        };
        let base = match encoding & 0x70 {
            0 => 0,
            0x10 => self.section.address.wrapping_add(at),
            // Relative to a text or data base, or aligned: nobody writes these into call-frame information.
            _ => return Err(Error::Encoding { found: encoding }),
        };
        let address = base.wrapping_add(value);
        Ok(if address_size == 4 { address & u64::from(u32::MAX) } else { address })
    }
}
