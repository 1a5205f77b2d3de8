//! The event log: one JSON object per line, append-only.
//!
//! A line is written by one call and flushed, so a killed run loses at most
//! the end of its last line, which the reader passes over.

use super::Sink;
use super::event::Stamped;
use super::model::RunModel;
use crate::base::Diagnose;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

/// The longest line that is read. An event with every stage of a large matrix is a few hundred KiB.
const LONGEST: u64 = 64 << 20;

/// Why an event log cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file itself.
    #[error("cannot use the event log {}", path.display())]
    Io {
        /// The log.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line before the last is no event.
    #[error("line {line} of the event log {} is not an event", path.display())]
    Garbage {
        /// The log.
        path: PathBuf,
        /// One-based.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
}

impl Diagnose for Error {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Io { .. } => Vec::new(),
            Self::Garbage { .. } => vec!["a newer crossmill may have written it, or the file was changed".to_owned()],
        }
    }
}

/// Writes events as they happen.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: fs_err::File,
    failed: Option<Error>,
}

impl Writer {
    /// Adds to the log at `path`, or begins it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let named = |source| Error::Io { path: path.to_owned(), source };
        let file = fs_err::OpenOptions::new().create(true).append(true).open(path).map_err(named)?;
        Ok(Self { path: path.to_owned(), file, failed: None })
    }

    /// Writes one event in one call.
    pub fn write(&mut self, event: &Stamped) -> Result<(), Error> {
        let named = |source| Error::Io { path: self.path.clone(), source };
        let mut line = serde_json::to_vec(event).map_err(|error| named(error.into()))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(named)?;
        self.file.flush().map_err(named)
    }

    /// Returns the first error as a sink, if there was one: a full disk ends the log but not the
    /// run.
    pub fn failed(&self) -> Option<&Error> {
        self.failed.as_ref()
    }
}

impl Sink for Writer {
    fn event(&mut self, event: &Stamped) {
        if self.failed.is_none() {
            self.failed = self.write(event).err();
        }
    }

    fn finish(&mut self) {}
}

/// The events of a log, in order. Ends after an error.
#[derive(Debug)]
pub struct Events<R> {
    path: PathBuf,
    from: R,
    line: usize,
    torn: bool,
    over: bool,
}

/// Opens the log at `path`.
pub fn open(path: &Path) -> Result<Events<BufReader<fs_err::File>>, Error> {
    match fs_err::File::open(path) {
        Ok(file) => Ok(Events::new(path, BufReader::new(file))),
        Err(source) => Err(Error::Io { path: path.to_owned(), source }),
    }
}

impl<R: BufRead> Events<R> {
    /// Returns the events in `from`; `path` is for messages.
    pub fn new(path: &Path, from: R) -> Self {
        Self { path: path.to_owned(), from, line: 0, torn: false, over: false }
    }

    /// Returns whether the last line was torn; known once all was read.
    pub fn torn(&self) -> bool {
        self.torn
    }

    fn read(&mut self) -> Result<Option<Stamped>, Error> {
        loop {
            let mut line = Vec::new();
            let named = |source| Error::Io { path: self.path.clone(), source };
            io::Read::take(&mut self.from, LONGEST).read_until(b'\n', &mut line).map_err(named)?;
            if line.is_empty() {
                return Ok(None);
            }
            self.line += 1;
            let whole = line.last() == Some(&b'\n');
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match serde_json::from_slice(line.trim_ascii_end()) {
                Ok(event) => return Ok(Some(event)),
                // Written by one call: only the last can lack its newline, and only by being torn.
                Err(_) if !whole && (line.len() as u64) < LONGEST => {
                    self.torn = true;
                    return Ok(None);
                }
                Err(source) => return Err(Error::Garbage { path: self.path.clone(), line: self.line, source }),
            }
        }
    }
}

impl<R: BufRead> Iterator for Events<R> {
    type Item = Result<Stamped, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let next = self.read().transpose();
        self.over = !matches!(next, Some(Ok(_)));
        next
    }
}

/// Gives every event of the log at `path` to `sink`.
pub fn replay(path: &Path, sink: &mut dyn Sink) -> Result<(), Error> {
    for event in open(path)? {
        sink.event(&event?);
    }
    sink.finish();
    Ok(())
}

/// Returns the model of the run whose log is at `path`.
pub fn read_model(path: &Path) -> Result<RunModel, Error> {
    let mut model = RunModel::default();
    for event in open(path)? {
        model.apply(&event?);
    }
    Ok(model)
}

/// The readable part of a log that may be damaged.
#[derive(Debug)]
pub struct Salvaged {
    /// The run, as far as its events could be read.
    pub model: RunModel,
    /// Lines that are not events: cut off, overwritten, or written by a newer version.
    pub skipped: usize,
}

/// Returns the run whose log is at `path`, and passes over every line that is not an event.
pub fn salvage(path: &Path) -> Result<Salvaged, Error> {
    let mut events = open(path)?;
    let mut salvaged = Salvaged { model: RunModel::default(), skipped: 0 };
    loop {
        match events.read() {
            Ok(Some(event)) => salvaged.model.apply(&event),
            Ok(None) => break,
            Err(Error::Garbage { .. }) => salvaged.skipped += 1,
            Err(error) => return Err(error),
        }
    }
    salvaged.skipped += usize::from(events.torn());
    Ok(salvaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Diagnostic;
    use crate::run::log::sample;
    use proptest::prelude::*;

    fn written() -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let mut writer = Writer::open(&path).unwrap();
        sample::run().iter().for_each(|event| writer.event(event));
        assert!(writer.failed().is_none());
        assert!(read_model(&path).unwrap() == RunModel::of(&sample::run()));
        fs_err::read(&path).unwrap()
    }

    #[test]
    fn a_log_cut_anywhere_is_read_up_to_its_last_whole_line() {
        let all = written();
        for cut in (0..all.len()).step_by(7) {
            let mut events = Events::new(Path::new("x"), &all[..cut]);
            let read = events.by_ref().collect::<Result<Vec<_>, _>>().unwrap();
            let whole = all[..cut].iter().filter(|byte| **byte == b'\n').count();
            // A last line that lacks only its newline is whole as well.
            assert!(read.len() == whole || (read.len() == whole + 1 && all[cut] == b'\n'), "{cut}");
            assert_eq!(read.as_slice(), &sample::run()[..read.len()]);
        }
    }

    #[test]
    fn garbage_before_the_end_is_told_with_its_line() {
        let mut all = written();
        let second = all.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        all.splice(second..second, *b"{\"at_ms\":1,\"eve\n");
        let mut events = Events::new(Path::new("runs/7/events.jsonl"), all.as_slice());
        assert!(events.next().unwrap().is_ok());
        let error = events.next().unwrap().unwrap_err();
        insta::assert_snapshot!(Diagnostic::from_error(&error));
        assert!(events.next().is_none());
    }

    #[test]
    fn what_is_readable_is_salvaged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let mut all = written();
        let second = all.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        all.splice(second..second, *b"\0\0\xff\n{\"at_ms\":1,\"event\":{\"type\":\"of-tomorrow\"}}\n");
        all.truncate(all.len() - 9);
        fs_err::write(&path, all).unwrap();
        let found = salvage(&path).unwrap();
        assert_eq!(found.skipped, 3);
        let events = sample::run();
        assert!(found.model == RunModel::of(&events[..events.len() - 1]));
    }

    #[test]
    fn a_log_of_before_shared_cells_is_read() {
        let old = r#"{"at_ms":0,"event":{"type":"run-started","run":"1","version":"0.1.0","command":[],"started":"","jobs":2,"memory":1,"stages":[]}}"#;
        assert!(Events::new(Path::new("x"), old.as_bytes()).next().unwrap().is_ok());
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = Events::new(Path::new("x"), bytes.as_slice()).count();
        }
    }
}
