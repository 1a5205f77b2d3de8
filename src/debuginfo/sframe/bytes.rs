//! Bytes in one byte order, read by position; a read past the end is `None`.

/// A piece of a section.
#[derive(Debug, Clone, Copy)]
pub struct Bytes<'a> {
    data: &'a [u8],
    big: bool,
}

impl<'a> Bytes<'a> {
    /// `data` as big- or little-endian numbers.
    #[must_use]
    pub fn new(data: &'a [u8], big: bool) -> Self {
        Self { data, big }
    }

    /// Returns the bytes from `at` on.
    #[must_use]
    pub fn from(self, at: usize) -> Option<&'a [u8]> {
        self.data.get(at..)
    }

    fn array<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.data.get(at..)?.first_chunk::<N>().copied()
    }

    /// Returns an unsigned byte.
    #[must_use]
    pub fn u8(self, at: usize) -> Option<u8> {
        self.data.get(at).copied()
    }

    /// Two bytes.
    #[must_use]
    pub fn u16(self, at: usize) -> Option<u16> {
        let bytes = self.array(at)?;
        Some(if self.big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    /// Four bytes.
    #[must_use]
    pub fn u32(self, at: usize) -> Option<u32> {
        let bytes = self.array(at)?;
        Some(if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    /// Eight bytes.
    #[must_use]
    pub fn u64(self, at: usize) -> Option<u64> {
        let bytes = self.array(at)?;
        Some(if self.big { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }

    /// 1, 2 or 4 bytes, unsigned.
    #[must_use]
    pub fn unsigned(self, at: usize, width: u8) -> Option<u32> {
        match width {
            1 => self.u8(at).map(u32::from),
            2 => self.u16(at).map(u32::from),
            4 => self.u32(at),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_past_the_end_is_none() {
        let bytes = Bytes::new(&[1, 2, 3, 4], false);
        assert_eq!(bytes.u32(0), Some(0x0403_0201));
        assert_eq!(Bytes::new(&[1, 2, 3, 4], true).u16(1), Some(0x0203));
        assert_eq!(bytes.u32(1), None);
        assert_eq!(bytes.u8(usize::MAX), None);
        assert_eq!(bytes.unsigned(0, 3), None);
    }
}
