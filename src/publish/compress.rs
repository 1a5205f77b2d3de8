//! One tar archive in several compressed forms, each by one encoder with fixed settings, so that equal archives have equal
//! files.

use super::Error;
use crate::config::archive::Format;
use crate::process::Tool;
use std::io::{self, Read, Write};
use std::path::Path;
use xz2::stream::{Check, Filters, LzmaOptions, Stream};

/// A larger dictionary costs memory to unpack. The two largest programs of a toolchain, cc1 and lto1, are nearly equal:
/// with both in the dictionary, the second costs next to nothing (42.7 MB become 21.7 MB).
const LARGEST_DICTIONARY: u64 = 192 << 20;
const SMALLEST_DICTIONARY: u64 = 1 << 20;
/// xz's and gzip's own defaults, but for the dictionary.
const XZ_PRESET: u32 = 6;
const GZIP_LEVEL: u32 = 9;
const ZSTD: &str = "zstd";

/// Writes the file `tar`, of `bytes` bytes, to the file `to` in one form.
pub fn write(format: Format, tar: &Path, bytes: u64, to: &Path) -> Result<(), Error> {
    match format {
        Format::Xz => {
            let stream = xz_stream(bytes).map_err(io::Error::other)?;
            let out = io::BufWriter::new(fs_err::File::create(to)?);
            let mut encoder = xz2::write::XzEncoder::new_stream(out, stream);
            copy(tar, &mut encoder)?;
            encoder.finish()?.flush()?;
        }
        Format::Gz => {
            let out = io::BufWriter::new(fs_err::File::create(to)?);
            // No name and no time in the header, as `gzip -n`.
            let mut encoder = flate2::GzBuilder::new().write(out, flate2::Compression::new(GZIP_LEVEL));
            copy(tar, &mut encoder)?;
            encoder.finish()?.flush()?;
        }
        Format::Zst => by_zstd(tar, to)?,
    }
    Ok(())
}

// A single block from the single-threaded encoder: splitting into blocks costs most of the gain, and the multi-threaded encoder's output differs.
fn xz_stream(bytes: u64) -> Result<Stream, xz2::stream::Error> {
    let dictionary = bytes.next_power_of_two().clamp(SMALLEST_DICTIONARY, LARGEST_DICTIONARY);
    let mut options = LzmaOptions::new_preset(XZ_PRESET)?;
    options.dict_size(u32::try_from(dictionary).unwrap_or(u32::MAX));
    let mut filters = Filters::new();
    filters.lzma2(&options);
    Stream::new_stream_encoder(&filters, Check::Crc64)
}

fn copy(tar: &Path, out: &mut impl Write) -> io::Result<()> {
    let mut tar = fs_err::File::open(tar)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match tar.read(&mut buffer)? {
            0 => return Ok(()),
            count => out.write_all(buffer.get(..count).unwrap_or_default())?,
        }
    }
}

// Optional, so the host's program writes it: a library of its own would add half a megabyte to crossmill.
fn by_zstd(tar: &Path, to: &Path) -> Result<(), Error> {
    let tool = Tool::new(ZSTD).args(["-q", "-f", "-T1", "-19", "--long=27", "-o"]).arg(to).arg(tar);
    super::run_tool(ZSTD, &tool, io::empty()).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_by_the_usual_program() {
        let dir = tempfile::tempdir().unwrap();
        let tar = dir.path().join("a.tar");
        let text: Vec<u8> = (0..200_000_u32).flat_map(|number| (number / 7).to_le_bytes()).collect();
        fs_err::write(&tar, &text).unwrap();
        for (format, program) in [(Format::Xz, "xz"), (Format::Gz, "gzip"), (Format::Zst, "zstd")] {
            let to = dir.path().join(format.as_str());
            write(format, &tar, text.len() as u64, &to).unwrap();
            let output = Tool::new(program).args(["-d", "-c"]).arg(&to).run(io::empty()).unwrap();
            assert!(output.status.success() && output.stdout == text, "{program}");
        }
        let list = Tool::new("xz").args(["--list", "-vv"]).arg(dir.path().join("tar.xz")).run(io::empty()).unwrap();
        let list = String::from_utf8_lossy(&list.stdout).into_owned();
        assert!(list.lines().any(|line| line.split_whitespace().eq(["Blocks:", "1"])), "{list}");
        assert!(list.contains("--lzma2=dict=1MiB"), "{list}");
    }
}
