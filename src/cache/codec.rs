//! Compression of what is stored, detected by its first bytes when it is read.
//!
//! zstd by the host's program where it is installed: at level 3 it writes a compiler in the size of gzip's level 6 in a
//! quarter of the time. gzip otherwise, and for small objects, for which a process costs more than it saves: the encoder of
//! the zstd library that is linked already for reading is slower than gzip and its output 35 % larger. xz takes ten times
//! as long to write and four times as long to read.

use super::Error;
use crate::base::decode;
use crate::process::Tool;
use std::io::{self, Read, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

const SMALL: usize = 64 << 10;
const GZIP_LEVEL: u32 = 3;

static NO_ZSTD: AtomicBool = AtomicBool::new(false);

/// Returns the compressed form of `bytes`.
pub(super) fn compress(bytes: &[u8]) -> io::Result<Vec<u8>> {
    if bytes.len() >= SMALL && !NO_ZSTD.load(Ordering::Relaxed) {
        match Tool::new("zstd").args(["-q", "-3", "-T1", "-c"]).run(bytes) {
            Ok(output) if output.status.success() => return Ok(output.stdout),
            // Missing, or not the zstd that is meant: gzip needs nobody.
            _ => NO_ZSTD.store(true, Ordering::Relaxed),
        }
    }
    let mut encoder = flate2::GzBuilder::new().write(Vec::new(), flate2::Compression::new(GZIP_LEVEL));
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// Returns the `bytes` bytes that `stored` has compressed, or why it has not; `what` is for the message.
pub(super) fn decompress(what: &str, stored: &[u8], bytes: u64) -> Result<Vec<u8>, Error> {
    let damaged = |why: String| Error::Damaged { what: what.to_owned(), why };
    // A file that expands without an end is read one byte too far.
    let mut plain = Vec::new();
    decode::decoder(stored)
        .and_then(|decoder| decoder.take(bytes + 1).read_to_end(&mut plain))
        .map_err(|error| damaged(format!("it cannot be decompressed: {error}")))?;
    if plain.len() as u64 == bytes {
        return Ok(plain);
    }
    let has = if plain.len() as u64 > bytes { "more than".to_owned() } else { format!("{} of", plain.len()) };
    Err(damaged(format!("it has {has} {bytes} bytes")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_is_read_again() {
        for length in [0, 1, SMALL - 1, 3 * SMALL] {
            let bytes: Vec<u8> = (0..length).map(|at| (at / 7) as u8).collect();
            let stored = compress(&bytes).unwrap();
            assert_eq!(decompress("x", &stored, length as u64).unwrap(), bytes);
            assert!(decompress("x", &stored, length as u64 + 1).is_err());
            if length > 0 {
                let why = decompress("x", &stored, length as u64 - 1).unwrap_err().to_string();
                assert!(why.contains("more than"), "{why}");
                assert!(decompress("x", &stored[..stored.len() - 9], length as u64).is_err());
            }
        }
        assert!(decompress("x", b"<html>not found</html>", 100).is_err());
    }
}
