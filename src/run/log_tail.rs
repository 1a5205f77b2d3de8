//! The new lines of a step's log while it grows: what the step does now, and how
//! much of its work is done.

use super::build_log;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

/// A log that grew by more than this since the last look is read at its end only.
const MOST: u64 = 16 << 20;
/// A line that is longer is not kept until its end comes.
const LONGEST_LINE: usize = 4096;

/// Follows one log.
#[derive(Debug)]
pub struct LogTail {
    path: PathBuf,
    at: u64,
    rest: Vec<u8>,
    units: u64,
}

impl LogTail {
    /// Begins at the beginning of the log, which need not exist yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, at: 0, rest: Vec::new(), units: 0 }
    }

    /// Returns how many lines reported a piece of work: a compiled file, a test of configure, a linked program.
    #[must_use]
    pub fn units(&self) -> u64 {
        self.units
    }

    /// Reads what is new. Returns the work that the newest line reports.
    pub fn advance(&mut self) -> Option<String> {
        let mut file = fs_err::File::open(&self.path).ok()?;
        let end = file.metadata().ok()?.len();
        let from = if end - self.at.min(end) > MOST { end - MOST } else { self.at };
        if from != self.at {
            self.rest.clear();
        }
        if from >= end {
            return None;
        }
        file.seek(SeekFrom::Start(from)).ok()?;
        let mut bytes = std::mem::take(&mut self.rest);
        file.take(end - from).read_to_end(&mut bytes).ok()?;
        self.at = end;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let mut newest = None;
        for line in bytes[..whole].split(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(line);
            if let Some(what) = build_log::activity(&line) {
                self.units += 1;
                newest = Some(what.into_owned());
            }
        }
        if bytes.len() - whole < LONGEST_LINE {
            self.rest = bytes.split_off(whole);
        }
        newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn every_piece_of_work_counts_once_however_it_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut tail = LogTail::new(path.clone());
        assert_eq!((tail.advance(), tail.units()), (None, 0));
        let mut log = fs_err::File::create(&path).unwrap();
        log.write_all(b"  CC      a.o\nmake: entering\n  CC   ").unwrap();
        assert_eq!((tail.advance().as_deref(), tail.units()), (Some("a.o"), 1));
        assert_eq!((tail.advance(), tail.units()), (None, 1));
        log.write_all(b"   b.o\n  LD      vmlinux\n").unwrap();
        assert_eq!((tail.advance().as_deref(), tail.units()), (Some("LD vmlinux"), 3));
    }
}
