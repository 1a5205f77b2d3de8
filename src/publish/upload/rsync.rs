//! A directory that the host's rsync reaches: `rsync://HOST/MODULE/PATH`, or `ssh://USER@HOST/PATH` over ssh.

use super::super::Error;
use crate::process::Tool;
use crate::remote::blob::{Blob, Presence, Text};
use std::io;
use std::path::Path;

const RSYNC: &str = "rsync";
/// rsync's exit code for files that vanished or could not be transferred: of a single file, that it does not exist.
const PARTIAL: i32 = 23;

/// A directory behind rsync.
#[derive(Debug)]
pub struct Remote {
    // As rsync spells it, with a slash at the end.
    base: String,
}

impl Remote {
    /// Parses the URL.
    pub(super) fn open(text: &str) -> Result<Self, Error> {
        let base = match text.strip_prefix("ssh://") {
            None => text.to_owned(),
            Some(rest) => {
                let unusable = || Error::Remote { place: text.to_owned(), why: "it names no directory".to_owned() };
                let (host, path) = rest.split_once('/').filter(|(host, _)| !host.is_empty()).ok_or_else(unusable)?;
                // A host that begins with a dash would be an option of ssh.
                if host.starts_with('-') || host.contains(':') {
                    let why = "name the port and options of ssh in ~/.ssh/config".to_owned();
                    return Err(Error::Remote { place: text.to_owned(), why });
                }
                format!("{host}:/{path}")
            }
        };
        Ok(Self { base: format!("{}/", base.trim_end_matches('/')) })
    }

    fn rsync(options: &[&str]) -> Tool {
        Tool::new(RSYNC).args(options).env("LC_ALL", "C")
    }

    fn run(&self, tool: &Tool, input: &str) -> Result<Vec<u8>, Error> {
        let output =
            tool.run(input.as_bytes()).map_err(|source| Error::Program { program: RSYNC.to_owned(), source })?;
        if output.status.success() { Ok(output.stdout) } else { Err(self.error(&output.stderr)) }
    }

    // Runs rsync; none where what it reads does not exist.
    fn read(&self, tool: &Tool) -> Result<Option<()>, Error> {
        let output = tool.run(io::empty()).map_err(|source| Error::Program { program: RSYNC.to_owned(), source })?;
        let is_missing = || String::from_utf8_lossy(&output.stderr).contains("No such file or directory");
        match output.status.code() {
            Some(0) => Ok(Some(())),
            Some(PARTIAL) if is_missing() => Ok(None),
            _ => Err(self.error(&output.stderr)),
        }
    }

    // rsync's first complaint is the cause of the others.
    fn error(&self, complaint: &[u8]) -> Error {
        let complaint = String::from_utf8_lossy(complaint);
        let why = complaint.lines().next().unwrap_or("rsync failed and printed nothing").to_owned();
        Error::Remote { place: self.base.clone(), why }
    }

    pub(super) fn text(&self, path: &str) -> Result<Option<Text>, Error> {
        let dir = tempfile::tempdir()?;
        let to = dir.path().join("text");
        let place = format!("{}{path}", self.base);
        let tool = Self::rsync(&["-q", "--"]).arg(&place).arg(&to);
        Ok(match self.read(&tool)? {
            Some(()) => Some(Text { bytes: fs_err::read(&to)?, tag: None }),
            None => None,
        })
    }

    // rsync compares by its own checksums and lists what it would send.
    pub(super) fn presence(&self, release: &Path, blobs: &[Blob]) -> Result<Vec<Presence>, Error> {
        // A dry run into a directory that is missing fails.
        if self.read(&Self::rsync(&["--list-only", "--"]).arg(&self.base))?.is_none() {
            return Ok(vec![Presence::Missing; blobs.len()]);
        }
        let list: String = blobs.iter().map(|blob| format!("{}\n", blob.path)).collect();
        let options = ["-n", "--checksum", "--itemize-changes", "--out-format=%i %n", "--files-from=-"];
        let source = format!("{}/", release.display());
        let tool = Self::rsync(&options).arg("--").arg(source).arg(&self.base);
        let listed = self.run(&tool, &list)?;
        let listed = String::from_utf8_lossy(&listed).into_owned();
        let of = |blob: &Blob| {
            let line = listed.lines().find_map(|line| line.split_once(' ').filter(|(_, name)| *name == blob.path));
            match line {
                Some((flags, _)) if flags.contains("+++") => Presence::Missing,
                // rsync(1), "--itemize-changes": `c` after the kind of the file is another checksum, `s` another size.
                Some((flags, _)) if flags.get(2..4).is_some_and(|it| it.contains(['c', 's'])) => Presence::Other,
                _ => Presence::Same,
            }
        };
        Ok(blobs.iter().map(of).collect())
    }

    pub(super) fn upload(&self, release: &Path, path: &str, is_fixed: bool) -> Result<(), Error> {
        let mut options =
            vec!["-q", "--mkpath", "--chmod=F644,D755", "--partial-dir=.crossmill-partial", "--files-from=-"];
        options.push(if is_fixed { "--ignore-existing" } else { "--checksum" });
        let tool = Self::rsync(&options).arg("--").arg(format!("{}/", release.display())).arg(&self.base);
        self.run(&tool, path).map(drop)
    }

    pub(super) fn replace(&self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        let dir = tempfile::tempdir()?;
        let file = dir.path().join(path);
        crate::base::files::write_atomic(&file, bytes)?;
        self.upload(dir.path(), path, false)
    }

    pub(super) fn remove(&self, path: &str) -> Result<(), Error> {
        let dir = tempfile::tempdir()?;
        let options = ["-q", "--ignore-missing-args", "--delete-missing-args", "--files-from=-"];
        let source = format!("{}/", dir.path().display());
        let tool = Self::rsync(&options).arg("--").arg(source).arg(&self.base);
        self.run(&tool, path).map(drop)
    }
}
