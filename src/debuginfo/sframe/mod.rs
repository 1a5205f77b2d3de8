//! SFrame, the stack-trace format of the GNU assembler and linker: a reader of
//! versions 1, 2 and 3.
//!
//! Zero-copy: a [`Table`] is a view of a section, entries and rows are decoded
//! where they stand, and nothing is allocated. No input makes it panic: a
//! count is compared with the bytes that exist before it is used, and an
//! iterator ends after its first error.
//!
//! Facts are from `include/sframe.h` and `libsframe/doc/sframe-spec.texi` of
//! binutils 2.40 to 2.47.

mod bytes;
pub mod compare;
mod entry;
mod findings;
mod header;
pub mod rules;
#[cfg(test)]
mod tests;
mod validate;
mod validate_rows;
#[cfg(test)]
pub mod writer;

pub use entry::{Entry, Fixed, Fre, Fres};
pub use findings::Findings;
pub use header::{Abi, Error, FRAME_POINTER, HEADER, Header, MAGIC, PCREL, SORTED};
pub use rules::{RULES, rule};
pub use validate::{Container, Relocation, Statistics, validate};

use crate::debuginfo::frame::Row;
use bytes::Bytes;

/// `SHT_GNU_SFRAME`
pub const SHT_GNU_SFRAME: u32 = 0x6fff_fff4;
/// `PT_GNU_SFRAME`
pub const PT_GNU_SFRAME: u32 = 0x6474_e554;
/// A PLT of version 1 does not record after how many bytes its rows repeat; amd64's entries have these.
const V1_REPEAT: u64 = 16;

/// Base of start addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addressing {
    /// The address of the table's header.
    pub address: u64,
    /// Whether the file is relocatable: start addresses then count from their
    /// fields regardless of the flag, because of their relocations.
    pub relocatable: bool,
}

/// An SFrame table: a header with its functions and rows.
#[derive(Debug, Clone, Copy)]
pub struct Table<'a> {
    bytes: Bytes<'a>,
    header: Header,
    abi: Abi,
    addressing: Addressing,
}

impl<'a> Table<'a> {
    /// Reads the header that `data` starts with and holds its counts against the bytes there are.
    pub fn parse(data: &'a [u8], addressing: Addressing) -> Result<Self, Error> {
        let (header, big) = Header::read(data)?;
        let abi = Abi::of(header.abi).ok_or(Error::Abi { found: header.abi })?;
        let (_, fdes_end) = header.fde_area();
        let (fres_start, fres_end) = header.fre_area();
        if fdes_end > fres_start {
            return Err(Error::Extent { what: "the FDE table", end: fdes_end, limit: fres_start });
        }
        if fres_end > data.len() as u64 {
            return Err(Error::Extent { what: "the FRE area", end: fres_end, limit: data.len() as u64 });
        }
        Ok(Self { bytes: Bytes::new(data, big), header, abi, addressing })
    }

    /// Returns the header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Returns the ABI.
    #[must_use]
    pub fn abi(&self) -> Abi {
        self.abi
    }

    /// Returns how many functions there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.header.fdes
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the table, headers included.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.header.fre_area().1
    }

    /// Data after the table in its section: with a linker that does not know SFrame, the next one.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        usize::try_from(self.size()).ok().and_then(|at| self.bytes.from(at)).unwrap_or_default()
    }

    /// Returns the function of this index; `None` past the last.
    pub fn entry(&self, index: u32) -> Result<Option<Entry>, Error> {
        if index >= self.header.fdes {
            return Ok(None);
        }
        let offset = self.header.fde_area().0 + u64::from(index) * self.header.fde_size() as u64;
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = self.bytes;
        // `parse` has seen that the whole table is there.
        let missing = Error::Attributes { index, offset };
        let fres_start = self.header.fre_area().0;
        let (raw_start, size_at) = if self.header.version == 3 {
            (bytes.u64(at).ok_or(missing)?.cast_signed(), at + 8)
        } else {
            (i64::from(bytes.u32(at).ok_or(missing)?.cast_signed()), at + 4)
        };
        let size = bytes.u32(size_at).ok_or(missing)?;
        let fre_off = bytes.u32(size_at + 4).ok_or(missing)?;
        let mut entry = Entry {
            index,
            offset,
            raw_start,
            start: self.address(raw_start, offset),
            size,
            fre_off,
            fres: 0,
            info: 0,
            info2: 0,
            rep_size: 0,
            padding: 0,
            rows_at: fres_start + u64::from(fre_off),
        };
        if self.header.version == 3 {
            self.attributes(&mut entry)?;
        } else {
            entry.fres = bytes.u32(size_at + 8).ok_or(missing)?;
            entry.info = bytes.u8(size_at + 12).ok_or(missing)?;
            if self.header.version == 2 {
                entry.rep_size = bytes.u8(size_at + 13).ok_or(missing)?;
                entry.padding = bytes.u16(size_at + 14).ok_or(missing)?;
            }
        }
        Ok(Some(entry))
    }

    fn attributes(&self, entry: &mut Entry) -> Result<(), Error> {
        let missing = Error::Attributes { index: entry.index, offset: entry.rows_at };
        if entry.rows_at + 5 > self.size() {
            return Err(missing);
        }
        let at = usize::try_from(entry.rows_at).map_err(|_| missing)?;
        entry.fres = u32::from(self.bytes.u16(at).ok_or(missing)?);
        entry.info = self.bytes.u8(at + 2).ok_or(missing)?;
        entry.info2 = self.bytes.u8(at + 3).ok_or(missing)?;
        entry.rep_size = self.bytes.u8(at + 4).ok_or(missing)?;
        entry.rows_at += 5;
        Ok(())
    }

    fn address(&self, raw: i64, field: u64) -> u64 {
        let base = if self.addressing.relocatable || self.header.is_pcrel() { field } else { 0 };
        self.addressing.address.wrapping_add(base).wrapping_add_signed(raw)
    }

    /// Returns all functions, in the file's order. Entries that cannot be read are errors; those behind are still
    /// read.
    pub fn entries(&self) -> impl Iterator<Item = Result<Entry, Error>> + use<'a> {
        let table = *self;
        (0..self.header.fdes).filter_map(move |index| table.entry(index).transpose())
    }

    /// Returns the rows of a function, as they stand.
    #[must_use]
    pub fn fres(&self, entry: &Entry) -> Fres<'a> {
        Fres::new(self.bytes, entry, self.size())
    }

    /// A decoded row.
    #[must_use]
    pub fn decode(&self, entry: &Entry, fre: &Fre) -> Row {
        let fixed = Fixed { ra: self.header.fixed_ra, fp: self.header.fixed_fp };
        fre.decode(entry, self.abi, self.header.version, fixed)
    }

    /// Returns the function that contains `pc`: by bisection in a sorted table, else by a look at
    /// each.
    pub fn function_at(&self, pc: u64) -> Result<Option<Entry>, Error> {
        if !self.header.is_sorted() {
            return Ok(self.entries().flatten().find(|entry| entry.contains(pc)));
        }
        let (mut low, mut high) = (0, self.header.fdes);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.entry(middle)? {
                Some(entry) if entry.start <= pc => low = middle + 1,
                _ => high = middle,
            }
        }
        let Some(index) = low.checked_sub(1) else { return Ok(None) };
        Ok(self.entry(index)?.filter(|entry| entry.contains(pc)))
    }

    /// Returns the row at `pc`: `None` if no function contains it, or no row begins before it.
    pub fn row_at(&self, pc: u64) -> Result<Option<Row>, Error> {
        let Some(entry) = self.function_at(pc)? else { return Ok(None) };
        self.row_in(&entry, pc.wrapping_sub(entry.start))
    }

    /// Returns the row at an offset into a function.
    pub fn row_in(&self, entry: &Entry, offset: u64) -> Result<Option<Row>, Error> {
        if entry.fres == 0 && self.header.version == 3 && !entry.is_flexible() {
            return Ok(Some(Row::OUTERMOST));
        }
        let offset = if entry.is_mask() {
            let repeat = if self.header.version == 1 { V1_REPEAT } else { u64::from(entry.rep_size) };
            offset.checked_rem(repeat).unwrap_or(offset)
        } else {
            offset
        };
        let mut found = None;
        for fre in self.fres(entry) {
            let fre = fre?;
            if u64::from(fre.start) > offset {
                break;
            }
            found = Some(self.decode(entry, &fre));
        }
        Ok(found)
    }
}

/// The tables of a section. More than one is a fault of the link, but each can
/// be read. Ends after an error; zero bytes between tables are skipped.
#[derive(Debug, Clone)]
pub struct Tables<'a> {
    data: &'a [u8],
    offset: u64,
    addressing: Addressing,
}

impl<'a> Tables<'a> {
    /// Of a section at `addressing.address`.
    #[must_use]
    pub fn new(data: &'a [u8], addressing: Addressing) -> Self {
        Self { data, offset: 0, addressing }
    }
}

impl<'a> Iterator for Tables<'a> {
    /// Offset of the table in its section, and the table.
    type Item = (u64, Result<Table<'a>, Error>);

    fn next(&mut self) -> Option<Self::Item> {
        let skipped = if self.offset == 0 { 0 } else { self.data.iter().take_while(|byte| **byte == 0).count() };
        let data = self.data.get(skipped..).unwrap_or_default();
        if data.is_empty() {
            return None;
        }
        let offset = self.offset + skipped as u64;
        let address = self.addressing.address.wrapping_add(offset);
        let table = Table::parse(data, Addressing { address, ..self.addressing });
        match &table {
            Ok(table) => (self.data, self.offset) = (table.rest(), offset + table.size()),
            Err(_) => (self.data, self.offset) = (&[], offset),
        }
        Some((offset, table))
    }
}
