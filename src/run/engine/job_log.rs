//! Reads the event logs of a job while it writes them: one for each of its starts.

use crate::base::files;
use crate::run::log::event::{Event, Stamped};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// Bytes read at a time.
const MOST: u64 = 8 << 20;

/// The events of a job that were not read yet.
#[derive(Debug)]
pub struct JobLog {
    dir: PathBuf,
    start: Option<u32>,
    offset: u64,
    torn: Vec<u8>,
}

/// What was read.
#[derive(Debug, PartialEq)]
pub enum Read {
    /// The job has started once more.
    Started(u32),
    /// An event of the current start.
    Event(Box<Event>),
}

impl JobLog {
    /// Returns the log of the job in `dir`.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), start: None, offset: 0, torn: Vec::new() }
    }

    /// Returns the directory of the job's last start that was seen.
    #[must_use]
    pub fn current(&self) -> Option<PathBuf> {
        Some(self.dir.join(self.start?.to_string()))
    }

    /// Reads what is new. A line that is no event is passed over: it was torn when its node was lost.
    pub fn read(&mut self) -> io::Result<Vec<Read>> {
        let mut found = Vec::new();
        self.read_current(&mut found)?;
        let mut later: Vec<u32> = starts(&self.dir)?.into_iter().filter(|start| Some(*start) > self.start).collect();
        later.sort_unstable();
        for start in later {
            (self.start, self.offset) = (Some(start), 0);
            self.torn.clear();
            found.push(Read::Started(start));
            self.read_current(&mut found)?;
        }
        Ok(found)
    }

    // Opened each time: a network file system shows what others wrote before they closed or flushed it.
    fn read_current(&mut self, found: &mut Vec<Read>) -> io::Result<()> {
        let Some(dir) = self.current() else { return Ok(()) };
        let mut file = match fs_err::File::open(dir.join("events.jsonl")) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        file.seek(SeekFrom::Start(self.offset))?;
        loop {
            let mut bytes = Vec::new();
            let count = file.by_ref().take(MOST).read_to_end(&mut bytes)?;
            if count == 0 {
                return Ok(());
            }
            self.offset += count as u64;
            self.torn.extend(bytes);
            let whole = self.torn.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let lines: Vec<u8> = self.torn.drain(..whole).collect();
            let events = lines.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
            found.extend(events.map(|stamped: Stamped| Read::Event(Box::new(stamped.event))));
        }
    }
}

fn starts(dir: &Path) -> io::Result<Vec<u32>> {
    Ok(files::names_in(dir)?.iter().filter_map(|name| name.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::StageName;

    #[test]
    fn a_log_is_read_as_it_grows_and_over_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let stage: StageName = "a/b".parse().unwrap();
        let event = Event::StageStarted { stage };
        let line = serde_json::to_string(&Stamped { at_ms: 1, event: event.clone() }).unwrap() + "\n";
        let mut log = JobLog::new(dir.path());
        assert_eq!(log.read().unwrap(), []);
        fs_err::create_dir(dir.path().join("0")).unwrap();
        let write = |start: &str, text: &str| fs_err::write(dir.path().join(start).join("events.jsonl"), text).unwrap();
        let (first, second) = line.split_at(9);
        write("0", first);
        assert_eq!(log.read().unwrap(), [Read::Started(0)]);
        write("0", &format!("{first}{second}{first}"));
        assert_eq!(log.read().unwrap(), [Read::Event(Box::new(event.clone()))]);
        fs_err::create_dir(dir.path().join("2")).unwrap();
        write("2", &format!("no event\n{line}"));
        assert_eq!(log.read().unwrap(), [Read::Started(2), Read::Event(Box::new(event))]);
        assert_eq!(log.current(), Some(dir.path().join("2")));
    }
}
