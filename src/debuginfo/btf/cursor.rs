//! Checked reading of words in either byte order. Nothing else here touches
//! the bytes of a file.

use super::Endian;

/// Returns a word, if it is there.
pub(super) fn u32_at(bytes: &[u8], at: usize, endian: Endian) -> Option<u32> {
    let word = *bytes.get(at..)?.first_chunk::<4>()?;
    Some(if endian == Endian::Little { u32::from_le_bytes(word) } else { u32::from_be_bytes(word) })
}

/// Half a word, if it is there.
pub(super) fn u16_at(bytes: &[u8], at: usize, endian: Endian) -> Option<u16> {
    let half = *bytes.get(at..)?.first_chunk::<2>()?;
    Some(if endian == Endian::Little { u16::from_le_bytes(half) } else { u16::from_be_bytes(half) })
}

/// 32-bit words as they stand in a file.
#[derive(Debug, Clone, Copy)]
pub struct Words<'a> {
    bytes: &'a [u8],
    endian: Endian,
}

impl<'a> Words<'a> {
    /// Returns the words of these bytes; what is left beyond the last whole one is not seen.
    #[must_use]
    pub fn new(bytes: &'a [u8], endian: Endian) -> Self {
        Self { bytes, endian }
    }

    /// Returns how many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() / 4
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the bytes themselves.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns their byte order.
    #[must_use]
    pub fn endian(&self) -> Endian {
        self.endian
    }

    /// Reads one value.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<u32> {
        u32_at(self.bytes, index.checked_mul(4)?, self.endian)
    }

    /// Returns all of them, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = u32> + use<'a> {
        let little = self.endian == Endian::Little;
        let (words, _) = self.bytes.as_chunks::<4>();
        words.iter().map(move |word| if little { u32::from_le_bytes(*word) } else { u32::from_be_bytes(*word) })
    }

    /// Without the first `count`.
    #[must_use]
    pub fn skip(&self, count: usize) -> Self {
        let bytes = count.checked_mul(4).and_then(|at| self.bytes.get(at..)).unwrap_or_default();
        Self { bytes, endian: self.endian }
    }

    /// In groups of `N`; what is left beyond the last whole group is not seen.
    pub fn groups<const N: usize>(&self) -> impl Iterator<Item = [u32; N]> + use<'a, N> {
        let endian = self.endian;
        self.bytes.chunks_exact(N * 4).map(move |group| {
            let mut words = [0; N];
            for (word, value) in words.iter_mut().zip(Words::new(group, endian).iter()) {
                *word = value;
            }
            words
        })
    }

    /// Reads a group of `N` values.
    #[must_use]
    pub fn group<const N: usize>(&self, index: usize) -> Option<[u32; N]> {
        let start = index.checked_mul(N * 4)?;
        let group = self.bytes.get(start..start.checked_add(N * 4)?)?;
        Words::new(group, self.endian).groups::<N>().next()
    }
}
