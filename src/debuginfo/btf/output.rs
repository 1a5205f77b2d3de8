//! Words and layout entries in either byte order.

use super::header::LayoutEntry;
use super::{Endian, Grammar, Kind};

/// A file that grows.
pub(super) struct Output {
    pub bytes: Vec<u8>,
    pub endian: Endian,
}

impl Output {
    pub fn word(&mut self, word: u32) {
        let bytes = if self.endian == Endian::Little { word.to_le_bytes() } else { word.to_be_bytes() };
        self.bytes.extend_from_slice(&bytes);
    }

    pub fn words(&mut self, words: &[u32]) {
        for word in words {
            self.word(*word);
        }
    }

    pub fn half(&mut self, half: u16) {
        let bytes = if self.endian == Endian::Little { half.to_le_bytes() } else { half.to_be_bytes() };
        self.bytes.extend_from_slice(&bytes);
    }

    pub fn layout(&mut self, grammar: Grammar) {
        // Kind 0, which no type is of.
        self.word(0);
        for entry in Kind::all().iter().filter_map(|kind| LayoutEntry::of(*kind, grammar)) {
            self.bytes.extend([entry.info_size, entry.element_size]);
            self.half(entry.flags);
        }
    }
}
