//! Signatures of minisign: written by the `minisign` program, which alone reads secret keys; verified here.
//!
//! Formats: minisign(1), "NOTES", and <https://jedisct1.github.io/minisign/>.

use crate::process::Tool;
use base64::Engine as _;
use std::io;
use std::path::{Path, PathBuf};

const MINISIGN: &str = "minisign";
/// The algorithm and the number of the key come before its 32 bytes.
const PUBLIC_BYTES: usize = 2 + 8 + 32;

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed; the error names the path.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The program cannot be run.
    #[error("cannot run `{MINISIGN}`: {0}")]
    Program(io::Error),
    /// The program failed.
    #[error("`{MINISIGN}` failed: {0}")]
    Failed(String),
    /// It is no public key of minisign.
    #[error("`{0}` is no public key of minisign: it begins with `RW` and has 56 characters")]
    Public(String),
}

impl crate::base::Diagnose for Error {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Program(error) if error.kind() == io::ErrorKind::NotFound => vec!["install `minisign`".to_owned()],
            Self::Failed(_) => vec!["the key must have no password: `minisign -G -W -s FILE -p FILE.pub`".to_owned()],
            _ => Vec::new(),
        }
    }
}

fn run(tool: &Tool) -> Result<(), Error> {
    let output = tool.run(io::empty()).map_err(Error::Program)?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it printed nothing");
    Err(Error::Failed(last.trim().to_owned()))
}

/// A secret key without a password; this program never reads it.
#[derive(Debug, Clone)]
pub struct SecretKey {
    path: PathBuf,
}

impl SecretKey {
    /// Names the file of a key.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Returns the text of the file of its public key.
    pub fn public_text(&self) -> Result<Vec<u8>, Error> {
        let dir = tempfile::tempdir()?;
        let public = dir.path().join("key.pub");
        run(&Tool::new(MINISIGN).args(["-R", "-s"]).arg(&self.path).arg("-p").arg(&public))?;
        Ok(fs_err::read(public)?)
    }

    /// Returns its public key.
    pub fn public(&self) -> Result<PublicKey, Error> {
        PublicKey::parse(&String::from_utf8_lossy(&self.public_text()?))
    }

    /// Writes a detached signature of `file` to `to`; `comment` is signed too.
    pub fn sign_file(&self, file: &Path, to: &Path, comment: &str) -> Result<(), Error> {
        let tool = Tool::new(MINISIGN).args(["-S", "-q", "-s"]).arg(&self.path).arg("-x").arg(to);
        // The usual comment has the time and the file's path in it.
        run(&tool.args(["-t", comment, "-m"]).arg(file))
    }

    /// Returns a signature of `data`.
    pub fn sign(&self, data: &[u8], comment: &str) -> Result<String, Error> {
        let dir = tempfile::tempdir()?;
        let (file, to) = (dir.path().join("data"), dir.path().join("data.minisig"));
        fs_err::write(&file, data)?;
        self.sign_file(&file, &to, comment)?;
        Ok(fs_err::read_to_string(to)?)
    }
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: minisign_verify::PublicKey,
    /// Its one line of base64.
    pub line: String,
    /// Its number as minisign prints it, in lower case.
    pub id: String,
}

impl PublicKey {
    /// Reads a key: its one line of base64, or the text of its file.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refuse = || Error::Public(text.lines().next().unwrap_or_default().chars().take(80).collect());
        let line = text.lines().map(str::trim).find(|line| line.starts_with("RW")).ok_or_else(refuse)?;
        let key = minisign_verify::PublicKey::from_base64(line).map_err(|_| refuse())?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(line).map_err(|_| refuse())?;
        let number = bytes.get(2..10).filter(|_| bytes.len() == PUBLIC_BYTES).ok_or_else(refuse)?;
        let id = number.iter().rev().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { key, line: line.to_owned(), id })
    }

    /// Compares `signature` with `data`; the error is the end of a sentence about the signed thing.
    pub fn verify(&self, data: &[u8], signature: &str) -> Result<(), String> {
        let signature = minisign_verify::Signature::decode(signature).map_err(|error| error.to_string())?;
        self.key.verify(data, &signature, false).map_err(|error| match error {
            minisign_verify::Error::UnexpectedKeyId => "it is signed by another key".to_owned(),
            _ => "its signature is bad".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_key_is_the_one_that_minisign_prints() {
        let text = "untrusted comment: minisign public key E7620F1842B4E81F\n\
                    RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\n";
        assert_eq!(PublicKey::parse(text).unwrap().id, "e7620f1842b4e81f");
        assert!(PublicKey::parse("RWQf6LRCGA9i53").is_err() && PublicKey::parse("").is_err());
    }
}
