//! Writes tables for tests: right ones, and with any field wrong.

use super::header::{Abi, MAGIC, PCREL, SORTED};

/// A table.
#[derive(Debug, Clone)]
pub struct Spec {
    /// 1, 2 or 3; another is written like 3.
    pub version: u8,
    /// The flag bits.
    pub flags: u8,
    /// The ABI, which also gives the byte order.
    pub abi: Abi,
    /// In the order they are written.
    pub functions: Vec<Function>,
}

/// A function.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Function {
    /// Its address, from the start of the table.
    pub at: i64,
    /// Bytes.
    pub size: u32,
    /// The info byte.
    pub info: u8,
    /// The second info byte.
    pub info2: u8,
    /// Bytes after which rows repeat.
    pub rep_size: u8,
    /// The rows.
    pub rows: Vec<Fre>,
}

/// A row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fre {
    /// From which byte on.
    pub start: u32,
    /// Bits 0 and 7 of the info byte; count and size are put in.
    pub bits: u8,
    /// 0, 1, 2: words of 1, 2, 4 bytes.
    pub size: u8,
    /// The words.
    pub words: Vec<i64>,
}

/// Where the first function's start field is.
pub const FIRST_FDE: usize = 28;

impl Spec {
    /// Version 3 for an ABI with the flags of a final link.
    pub fn linked(abi: Abi, functions: Vec<Function>) -> Self {
        Self { version: 3, flags: SORTED | PCREL, abi, functions }
    }

    fn put(&self, out: &mut Vec<u8>, value: i64, width: usize) {
        let bytes = value.to_le_bytes();
        if self.abi.is_big() {
            out.extend(bytes[..width].iter().rev());
        } else {
            out.extend(&bytes[..width]);
        }
    }

    fn rows(&self, function: &Function, out: &mut Vec<u8>) {
        let width = 1 << (function.info & 0xf).min(2);
        for row in &function.rows {
            self.put(out, i64::from(row.start), width);
            out.push(row.bits & 0x81 | (row.words.len() as u8) << 1 | row.size << 5);
            for word in &row.words {
                self.put(out, *word, 1 << row.size.min(2));
            }
        }
    }

    /// Returns the bytes of the table.
    pub fn write(&self) -> Vec<u8> {
        let fde_size = match self.version {
            1 => 17,
            2 => 20,
            _ => 16,
        };
        let (mut fdes, mut fres) = (Vec::new(), Vec::new());
        for function in &self.functions {
            let fre_off = fres.len() as i64;
            let field = FIRST_FDE + fdes.len();
            let start = if self.flags & PCREL != 0 { function.at - field as i64 } else { function.at };
            self.put(&mut fdes, start, if self.version >= 3 { 8 } else { 4 });
            self.put(&mut fdes, function.size.into(), 4);
            self.put(&mut fdes, fre_off, 4);
            let count = function.rows.len() as i64;
            if self.version >= 3 {
                self.put(&mut fres, count, 2);
                fres.extend([function.info, function.info2, function.rep_size]);
            } else {
                self.put(&mut fdes, count, 4);
                fdes.push(function.info);
                if self.version == 2 {
                    fdes.extend([function.rep_size, 0, 0]);
                }
            }
            self.rows(function, &mut fres);
        }
        assert_eq!(fdes.len(), fde_size * self.functions.len());
        let mut out = Vec::new();
        self.put(&mut out, MAGIC.into(), 2);
        out.extend([self.version, self.flags, self.abi.number(), 0, self.abi.fixed_ra().cast_unsigned(), 0]);
        let total: usize = self.functions.iter().map(|function| function.rows.len()).sum();
        for field in [self.functions.len(), total, fres.len(), 0, fdes.len()] {
            self.put(&mut out, field as i64, 4);
        }
        out.extend(fdes);
        out.extend(fres);
        out
    }
}

/// Returns a row of words of one byte.
pub fn row(start: u32, bits: u8, words: &[i64]) -> Fre {
    Fre { start, bits, size: 0, words: words.to_vec() }
}
