//! Compressed streams, recognised by their first bytes and never by a name.

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::io::{self, BufRead, BufReader, Read};

/// Buffer size for reading.
pub const CHUNK: usize = 64 * 1024;

// xz: The .xz File Format 2.1.1.1; gzip: RFC 1952 2.3.1; zstd: RFC 8878 3.1.1 and 3.1.2.
const XZ: &[u8] = &[0xfd, b'7', b'z', b'X', b'Z', 0];
const GZIP: &[u8] = &[0x1f, 0x8b];
const BZIP2: &[u8] = b"BZh";
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const ZSTD_SKIPPABLE: &[u8] = &[0x2a, 0x4d, 0x18];

/// Returns the name of the compression that a file with these first bytes (at least six, where it has them) uses.
#[must_use]
pub fn compression(head: &[u8]) -> Option<&'static str> {
    let is_zstd = head.starts_with(ZSTD) || head.get(1..4) == Some(ZSTD_SKIPPABLE);
    let known = [(head.starts_with(XZ), "xz"), (head.starts_with(GZIP), "gzip"), (head.starts_with(BZIP2), "bzip2")];
    known.into_iter().chain([(is_zstd, "zstd")]).find_map(|(is, name)| is.then_some(name))
}

/// Returns the decompressed bytes of `reader`, which is xz, gzip, bzip2, zstd or none
/// of them. Reading it to its end shows that nothing is missing, as all four
/// carry a check or an end mark; concatenated streams are read as one.
pub fn decoder<'r, R: Read + 'r>(reader: R) -> io::Result<Box<dyn Read + 'r>> {
    let (head, reader) = peek(reader, 6)?;
    let reader = BufReader::with_capacity(CHUNK, reader);
    Ok(match compression(&head) {
        Some("xz") => Box::new(xz2::bufread::XzDecoder::new_multi_decoder(reader)),
        Some("gzip") => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
        Some("bzip2") => Box::new(bzip2::bufread::MultiBzDecoder::new(reader)),
        Some(_) => Box::new(Zstd { reader, decoder: FrameDecoder::new(), in_frame: false }),
        None => Box::new(reader),
    })
}

/// A reader with its first bytes put back.
pub type Again<R> = io::Chain<io::Cursor<Vec<u8>>, R>;

/// Returns the first `count` bytes (fewer only at the end) and a reader that still has them.
pub fn peek<R: Read>(mut reader: R, count: u64) -> io::Result<(Vec<u8>, Again<R>)> {
    let mut head = Vec::new();
    (&mut reader).take(count).read_to_end(&mut head)?;
    Ok((head.clone(), io::Cursor::new(head).chain(reader)))
}

/// All frames of a zstd stream, with their checksums compared with the data.
struct Zstd<R> {
    reader: BufReader<R>,
    decoder: FrameDecoder,
    in_frame: bool,
}

impl<R: Read> Zstd<R> {
    /// Opens the next frame; `false` at the end of the stream.
    fn open(&mut self) -> io::Result<bool> {
        while !self.reader.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.reader) {
                Ok(()) => {
                    self.in_frame = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    let skipped = io::copy(&mut (&mut self.reader).take(length.into()), &mut io::sink())?;
                    if skipped < u64::from(length) {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }

    /// The bytes of a finished frame match its checksum.
    fn close(&mut self) -> io::Result<()> {
        self.in_frame = false;
        let want = self.decoder.get_checksum_from_data();
        if want.is_some() && self.decoder.get_calculated_checksum() != want {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "zstd checksum mismatch"));
        }
        Ok(())
    }
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.in_frame && !self.open()? {
                return Ok(0);
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                self.decoder
                    .decode_blocks(&mut self.reader, BlockDecodingStrategy::UptoBlocks(1))
                    .map_err(io::Error::other)?;
            }
            let count = self.decoder.read(buf)?;
            if count > 0 || buf.is_empty() {
                return Ok(count);
            }
            self.close()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn all(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        decoder(bytes)?.read_to_end(&mut text)?;
        Ok(text)
    }

    fn text() -> Vec<u8> {
        (0..200_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect()
    }

    fn compressed() -> Vec<(&'static str, Vec<u8>)> {
        let text = text();
        let mut xz = xz2::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(&text).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text).unwrap();
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bzip2.write_all(&text).unwrap();
        let zstd = ruzstd::encoding::compress_to_vec(&text[..], ruzstd::encoding::CompressionLevel::Fastest);
        vec![
            ("xz", xz.finish().unwrap()),
            ("gzip", gzip.finish().unwrap()),
            ("bzip2", bzip2.finish().unwrap()),
            ("zstd", zstd),
        ]
    }

    #[test]
    fn every_compression_is_told_by_its_magic() {
        for (name, bytes) in compressed() {
            assert!(all(&bytes).unwrap() == text(), "{name}");
            let twice = [bytes.as_slice(), &bytes].concat();
            assert!(all(&twice).unwrap().len() == 2 * text().len(), "{name} twice");
        }
        assert!(all(b"plain").unwrap() == b"plain");
        assert!(all(b"").unwrap().is_empty());
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        let zstd = compressed().remove(3).1;
        assert!(all(&[&skippable[..], &zstd].concat()).unwrap() == text());
    }

    #[test]
    fn a_stream_cut_short_or_changed_is_an_error() {
        for (name, bytes) in compressed() {
            for cut in [7, bytes.len() / 2, bytes.len() - 1] {
                assert!(all(&bytes[..cut]).is_err(), "{name} cut at {cut}");
            }
            let mut changed = bytes.clone();
            changed[bytes.len() / 2] ^= 0x10;
            assert!(all(&changed).is_err(), "{name} changed");
        }
    }
}
