//! Function descriptors (FDEs) and frame rows (FREs), decoded on the stack.

use super::bytes::Bytes;
use super::header::{Abi, Error};
use crate::debuginfo::frame::{Cfa, Place, Row};

/// The most words a row has: three rules of a flexible FDE, a control word and an offset each.
pub const MOST_WORDS: u8 = 6;
/// The kernel's and the C library's frame of s390x: the CFA is this far above the stack pointer.
const S390X_BIAS: i64 = 160;
/// s390x counts the CFA's offset in words.
const S390X_SCALE: i64 = 8;

/// A function descriptor; in version 3 with its attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the table.
    pub index: u32,
    /// Where its start field is, bytes from the start of the table's header.
    pub offset: u64,
    /// The start field as it stands.
    pub raw_start: i64,
    /// The function's address.
    pub start: u64,
    /// Bytes of the function.
    pub size: u32,
    /// Where its rows (version 3: its attributes) are in the FRE area.
    pub fre_off: u32,
    /// Rows.
    pub fres: u32,
    /// The info byte.
    pub info: u8,
    /// The second info byte; 0 before version 3.
    pub info2: u8,
    /// Bytes after which the rows of a MASK function repeat; 0 in version 1.
    pub rep_size: u8,
    /// The padding of version 2.
    pub padding: u16,
    /// Where its first row is, bytes from the start of the header.
    pub rows_at: u64,
}

impl Entry {
    /// Returns the type of its rows' start addresses: 0, 1, 2 for 1, 2, 4 bytes.
    #[must_use]
    pub fn fre_type(&self) -> u8 {
        self.info & 0xf
    }

    /// Returns whether rows are found by `PC % rep_size` (PLTs).
    #[must_use]
    pub fn is_mask(&self) -> bool {
        self.info & 0x10 != 0
    }

    /// Returns whether return addresses are signed with the B key (aarch64).
    #[must_use]
    pub fn is_b_key(&self) -> bool {
        self.info & 0x20 != 0
    }

    /// Returns whether it is a signal frame (version 3).
    #[must_use]
    pub fn is_signal(&self) -> bool {
        self.info & 0x80 != 0
    }

    /// 0 default, 1 flexible.
    #[must_use]
    pub fn fde_type(&self) -> u8 {
        self.info2 & 0x1f
    }

    /// Returns whether rows have control words.
    #[must_use]
    pub fn is_flexible(&self) -> bool {
        self.fde_type() == 1
    }

    /// Returns the end of the function, one past its last byte.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.start.wrapping_add(u64::from(self.size))
    }

    /// Returns whether `pc` is in the function.
    #[must_use]
    pub fn contains(&self, pc: u64) -> bool {
        pc.wrapping_sub(self.start) < u64::from(self.size)
    }
}

/// A row as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fre {
    /// Where it is, bytes from the start of the header.
    pub offset: u64,
    /// From which byte of the function on it holds.
    pub start: u32,
    /// The info byte.
    pub info: u8,
    /// Bytes of each word.
    pub width: u8,
    words: [u32; MOST_WORDS as usize],
}

impl Fre {
    /// Returns how many words it has.
    #[must_use]
    pub fn count(&self) -> u8 {
        self.info >> 1 & 0xf
    }

    /// Returns whether the CFA counts from the stack pointer.
    #[must_use]
    pub fn is_sp_based(&self) -> bool {
        self.info & 1 != 0
    }

    /// Returns whether the return address is signed.
    #[must_use]
    pub fn is_mangled(&self) -> bool {
        self.info & 0x80 != 0
    }

    /// Returns a word, not sign-extended.
    #[must_use]
    pub fn word(&self, index: u8) -> Option<u32> {
        if index < self.count() { self.words.get(usize::from(index)).copied() } else { None }
    }

    /// Returns a word, sign-extended.
    #[must_use]
    pub fn signed(&self, index: u8) -> Option<i64> {
        let word = self.word(index)?;
        Some(match self.width {
            1 => i64::from(word as u8 as i8),
            2 => i64::from(word as u16 as i16),
            _ => i64::from(word as i32),
        })
    }

    /// Returns the fewest bytes that hold each of its words.
    #[must_use]
    pub fn least_width(&self, flexible: bool) -> u8 {
        let least = |index: u8| {
            // In a flexible row every other word is unsigned; a padding word shifts nothing that matters, as it is 0.
            let signed = self.signed(index).unwrap_or(0);
            let word =
                if flexible && self.is_control(index) { i64::from(self.word(index).unwrap_or(0)) } else { signed };
            let fits = |low: i64, high: i64| (low..=high).contains(&word);
            match flexible && self.is_control(index) {
                true if fits(0, 0xff) => 1,
                true if fits(0, 0xffff) => 2,
                false if fits(-0x80, 0x7f) => 1,
                false if fits(-0x8000, 0x7fff) => 2,
                _ => 4,
            }
        };
        (0..self.count()).map(least).max().unwrap_or(1)
    }

    // Which words of a flexible row are control words: with five, the third is padding.
    fn is_control(&self, index: u8) -> bool {
        match self.count() {
            5 => matches!(index, 0 | 2 | 3),
            _ => index.is_multiple_of(2),
        }
    }

    /// The decoded row.
    #[must_use]
    pub fn decode(&self, entry: &Entry, abi: Abi, version: u8, fixed: Fixed) -> Row {
        if self.count() == 0 {
            return Row::OUTERMOST;
        }
        if entry.is_flexible() { self.decode_flexible(abi, fixed) } else { self.decode_default(abi, version, fixed) }
    }

    fn decode_default(&self, abi: Abi, version: u8, fixed: Fixed) -> Row {
        let register = if self.is_sp_based() { abi.sp() } else { abi.fp() };
        let offset = self.signed(0).unwrap_or(0);
        let cfa = Cfa::Offset { register, offset: unscale(offset, abi) };
        let place = |word: Option<i64>| match word {
            None => Place::Same,
            // s390x writes 0 where nothing was saved, and before version 3 an odd word is a register.
            Some(0) if abi == Abi::S390x => Place::Same,
            Some(word) if abi == Abi::S390x && version < 3 && word & 1 != 0 => {
                u32::try_from(word >> 1).map_or(Place::Other, Place::Register)
            }
            Some(word) => Place::AtCfa(word),
        };
        let (ra, fp) = if abi.tracks_ra() { (self.signed(1), self.signed(2)) } else { (None, self.signed(1)) };
        Row {
            cfa,
            ra: if ra.is_none() { fixed.ra() } else { place(ra) },
            fp: if fp.is_none() { fixed.fp() } else { place(fp) },
            mangled: self.is_mangled(),
        }
    }

    fn decode_flexible(&self, abi: Abi, fixed: Fixed) -> Row {
        let cfa = match (self.word(0), self.signed(1)) {
            (Some(control), Some(offset)) if control & 1 != 0 => {
                let (register, offset) = (control >> 3, unscale(offset, abi));
                if control & 2 != 0 { Cfa::Deref { register, offset } } else { Cfa::Offset { register, offset } }
            }
            _ => Cfa::Other,
        };
        let place = |at: u8| match (self.word(at), self.signed(at + 1)) {
            (Some(control), Some(offset)) => controlled(control, offset),
            _ => Place::Other,
        };
        let (ra, fp) = match self.count() {
            2 => (fixed.ra(), fixed.fp()),
            4 => (place(2), fixed.fp()),
            5 => (fixed.ra(), place(3)),
            6 => (place(2), place(4)),
            _ => (Place::Other, Place::Other),
        };
        Row { cfa, ra, fp, mangled: self.is_mangled() }
    }
}

fn controlled(control: u32, offset: i64) -> Place {
    let register = control >> 3;
    match (control & 1 != 0, control & 2 != 0) {
        (true, true) => Place::AtRegister { register, offset },
        (true, false) if offset == 0 => Place::Register(register),
        (true, false) => Place::Other,
        (false, true) => Place::AtCfa(offset),
        (false, false) => Place::ValCfa(offset),
    }
}

fn unscale(offset: i64, abi: Abi) -> i64 {
    if abi == Abi::S390x { offset * S390X_SCALE + S390X_BIAS } else { offset }
}

/// The fixed offsets of the header; 0: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fixed {
    /// Of the return address.
    pub ra: i8,
    /// Of the frame pointer.
    pub fp: i8,
}

impl Fixed {
    fn ra(self) -> Place {
        if self.ra == 0 { Place::Same } else { Place::AtCfa(i64::from(self.ra)) }
    }

    fn fp(self) -> Place {
        if self.fp == 0 { Place::Same } else { Place::AtCfa(i64::from(self.fp)) }
    }
}

/// The rows of one function, in the file's order. Ends after an error.
#[derive(Debug, Clone)]
pub struct Fres<'a> {
    bytes: Bytes<'a>,
    at: u64,
    end: u64,
    left: u32,
    start_width: Result<u8, Error>,
}

impl<'a> Fres<'a> {
    pub(super) fn new(bytes: Bytes<'a>, entry: &Entry, end: u64) -> Self {
        let start_width = match entry.fre_type() {
            0 => Ok(1),
            1 => Ok(2),
            2 => Ok(4),
            found => Err(Error::FreType { found }),
        };
        Self { bytes, at: entry.rows_at, end, left: entry.fres, start_width }
    }

    /// Returns where the next row would start, bytes from the start of the header.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.at
    }

    fn read(&mut self) -> Result<Fre, Error> {
        let start_width = self.start_width?;
        let offset = self.at;
        let past = Error::Row { offset };
        let at = usize::try_from(offset).map_err(|_| past)?;
        let start = self.bytes.unsigned(at, start_width).ok_or(past)?;
        let info = self.bytes.u8(at.saturating_add(usize::from(start_width))).ok_or(past)?;
        let count = info >> 1 & 0xf;
        let width = match info >> 5 & 3 {
            // The outermost frame has no words, whatever size they would have.
            _ if count == 0 => 1,
            0 => 1,
            1 => 2,
            2 => 4,
            _ => return Err(Error::WordSize { offset }),
        };
        if count > MOST_WORDS {
            return Err(Error::WordCount { offset, count });
        }
        let mut next = at.saturating_add(usize::from(start_width) + 1);
        let mut words = [0; MOST_WORDS as usize];
        for word in words.iter_mut().take(usize::from(count)) {
            *word = self.bytes.unsigned(next, width).ok_or(past)?;
            next += usize::from(width);
        }
        if next as u64 > self.end {
            return Err(past);
        }
        self.at = next as u64;
        Ok(Fre { offset, start, info, width, words })
    }
}

impl Iterator for Fres<'_> {
    type Item = Result<Fre, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let row = self.read();
        self.left = if row.is_ok() { self.left - 1 } else { 0 };
        Some(row)
    }
}
