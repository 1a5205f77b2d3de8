//! The progress of a bisection: `bisect/ID/progress.json` of the store. It is written after every verdict, so that a
//! command that is killed loses the run that it was in, and no verdict.

use super::Error;
use super::signature::Signature;
use crate::base::files;
use crate::source::history::Verdict;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The number of the form.
pub const SCHEMA: u32 = 1;
const FILE: &str = "progress.json";

/// The progress of a bisection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// [`SCHEMA`].
    pub schema: u32,
    /// What is bisected, for people: the text whose hash is the bisection's name.
    pub question: String,
    /// The failures of the bad end; empty before it was tested.
    pub signatures: Vec<Signature>,
    /// The verdicts, oldest first.
    pub steps: Vec<Step>,
}

/// A tested commit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Its id.
    pub commit: String,
    /// First line of its message.
    pub subject: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Why it is bad, or was skipped.
    pub why: Option<String>,
    /// The last run that tested it.
    pub run: Option<String>,
}

#[derive(Deserialize)]
struct Numbered {
    schema: u32,
}

impl Progress {
    /// Returns the progress of a bisection that has none yet.
    #[must_use]
    pub fn new(question: String) -> Self {
        Self { schema: SCHEMA, question, signatures: Vec::new(), steps: Vec::new() }
    }

    /// Reads the progress in the directory of a bisection; `None` if it was not begun.
    pub fn read(dir: &Path) -> Result<Option<Self>, Error> {
        let path = dir.join(FILE);
        let Some(text) = files::read_if_present(&path)? else { return Ok(None) };
        let damaged = |error: serde_json::Error| Error::Progress { path: path.clone(), why: error.to_string() };
        let numbered: Numbered = serde_json::from_slice(&text).map_err(damaged)?;
        if numbered.schema != SCHEMA {
            let why = format!("it has schema {}, and this crossmill reads {SCHEMA}", numbered.schema);
            return Err(Error::Progress { path, why });
        }
        Ok(Some(serde_json::from_slice(&text).map_err(damaged)?))
    }

    /// Writes it, whole or not at all.
    pub fn write(&self, dir: &Path) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(self).map_err(std::io::Error::from)?;
        Ok(files::write_atomic(&dir.join(FILE), &text)?)
    }

    /// Returns the verdict of a commit, if it has one.
    #[must_use]
    pub fn step(&self, commit: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.commit == commit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_as_it_was_written_or_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Progress::read(dir.path()).unwrap(), None);
        let mut progress = Progress::new("lib a..b".into());
        let step = Step { commit: "a".into(), subject: "s".into(), verdict: Verdict::Skip, why: None, run: None };
        progress.steps.push(step);
        progress.write(dir.path()).unwrap();
        assert_eq!(Progress::read(dir.path()).unwrap(), Some(progress));
        for (text, want) in
            [("{", "EOF"), (r#"{"schema": 2}"#, "it has schema 2"), (r#"{"schema": 1}"#, "missing field")]
        {
            fs_err::write(dir.path().join(FILE), text).unwrap();
            let error = Progress::read(dir.path()).unwrap_err();
            assert!(error.to_string().contains(want), "{error}");
        }
    }
}
