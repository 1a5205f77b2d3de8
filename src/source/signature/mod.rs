//! Detached OpenPGP signatures (RFC 9580 10.4) over released archives, checked
//! by the host's gpgv.
//!
//! A signature counts when a key of the committed keyring made it, the key or
//! subkey was allowed to sign and had not expired at that time, and has not
//! been revoked since. An expiry after the release does not undo the release.

mod keyring;
mod status;

pub use keyring::PublicKeys;

use super::Error;
use crate::base::decode;
use crate::process::Tool;
use std::io::{self, Read};
use std::path::Path;

/// The program that verifies, and its name in `host-tools.toml`.
pub const PROGRAM: &str = "gpgv";

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The signature file contains none, or the signed file cannot be read.
    #[error("it cannot be read: {why}")]
    Unreadable {
        /// The reason.
        why: String,
    },
    /// The committed keyring is broken.
    #[error("the keyring cannot be read: {why}")]
    Keyring {
        /// The reason.
        why: String,
    },
    /// By a key that is not in the keyring.
    #[error("made by a key that is not in the keyring: {key}")]
    UnknownKey {
        /// Its id or fingerprint.
        key: String,
    },
    /// By a key after its time.
    #[error("the key {key} expired on {on}, before the signature was created")]
    Expired {
        /// Key id.
        key: String,
        /// Date.
        on: String,
    },
    /// By a key that was withdrawn.
    #[error("the key {key} is revoked")]
    Revoked {
        /// Key id.
        key: String,
    },
    /// The key is not for signing files.
    #[error("the key {key} may not sign: {why}")]
    NotForSigning {
        /// Key id.
        key: String,
        /// What is missing.
        why: &'static str,
    },
    /// Past its own end, or from the future.
    #[error("its time is wrong: {why}")]
    Time {
        /// In what way.
        why: String,
    },
    /// With a hash that can be forged.
    #[error("it uses the broken hash {hash}")]
    WeakHash {
        /// Its name.
        hash: String,
    },
    /// Not over this file.
    #[error("bad signature (key {key})")]
    Wrong {
        /// Key id.
        key: String,
    },
}

impl Problem {
    pub(super) fn hint(&self, keyring: &Path) -> String {
        match self {
            Self::UnknownKey { .. } | Self::Keyring { .. } => {
                format!("the keyring is `{}`: add the key only if you know whose it is", keyring.display())
            }
            Self::Expired { .. } => {
                format!("the keyring `{}` may hold an old copy of the key: look for a renewed one", keyring.display())
            }
            _ => "do not use this file: it is not what the publisher signed".to_owned(),
        }
    }
}

/// A good signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The fingerprint of the key's primary key, uppercase hexadecimal.
    pub fingerprint: String,
}

/// Returns the signed bytes of a file: as it is, or decompressed.
pub fn open_file(path: &Path, uncompressed: bool) -> io::Result<Box<dyn Read>> {
    let file = fs_err::File::open(path)?;
    if uncompressed { decode::decoder(file) } else { Ok(Box::new(io::BufReader::new(file))) }
}

/// Checks that a signature in `signatures` (armored or not) by a key of
/// `keyring` (armored, one or several blocks) is over the bytes of `data`.
/// It blocks.
///
/// # Errors
/// The outer one when nothing could be checked: gpgv does not run.
pub fn verify(data: impl Read, signatures: &[u8], keyring: &str) -> Result<Result<Verified, Problem>, Error> {
    let keys = match PublicKeys::parse(keyring) {
        Ok(keys) => keys,
        Err(problem) => return Ok(Err(problem)),
    };
    // A home of its own, so that no keyring and no option of the user's counts.
    let home = tempfile::Builder::new().prefix("crossmill-gpgv-").tempdir()?;
    let (ring, signed) = (home.path().join("keyring.gpg"), home.path().join("signature"));
    fs_err::write(&ring, &keys.packets)?;
    fs_err::write(&signed, signatures)?;
    let tool = Tool::new(PROGRAM)
        .only_env(["PATH"])
        .env("LC_ALL", "C")
        .arg("--homedir")
        .arg(home.path())
        .arg("--keyring")
        .arg(&ring)
        .args(["--status-fd", "1", "--"])
        .arg(&signed)
        .arg("-");
    let mut data = Watched { reader: data, error: None };
    let output = tool.run(&mut data).map_err(|source| Error::Program { program: PROGRAM, source })?;
    if let Some(error) = data.error {
        return Ok(Err(Problem::Unreadable { why: error.to_string() }));
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let complaint = complaint.trim().lines().next_back().unwrap_or("").trim_start_matches("gpgv: ");
    if output.status.code().is_none_or(|code| code > 2) {
        let source = io::Error::other(format!("it ended with {}: {complaint}", output.status));
        return Err(Error::Program { program: PROGRAM, source });
    }
    // User ids come in any encoding; what counts is ASCII.
    let status = String::from_utf8_lossy(&output.stdout);
    Ok(status::judge(&status, &keys.fingerprints, status::now(), complaint))
}

/// A reader that ends at its first error and keeps it.
struct Watched<R> {
    reader: R,
    error: Option<io::Error>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.reader.read(buf) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                self.error = Some(error);
                Ok(0)
            }
            result => result,
        }
    }
}

fn date(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or_else(|| seconds.to_string(), |time| time.strftime("%Y-%m-%d").to_string())
}
