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
    #[error("signed by a key that is not in the keyring: {key}")]
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
        /// The missing item.
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
                format!("the keyring `{}` may have an old copy of the key: check for a renewed one", keyring.display())
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
    /// When the key expired after it had signed, in seconds since 1970.
    pub expired: Option<u64>,
}

/// The container of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A file of its own.
    Detached,
    /// The text that it signs (RFC 9580 7).
    Clear,
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
    let home = Home::new()?;
    let signed = home.dir.path().join("signature");
    fs_err::write(&signed, signatures)?;
    home.gpgv(keyring, Form::Detached, |tool| tool.arg("--").arg(&signed).arg("-"), data)
}

/// Checks a clear-signed text as [`verify`] does, and returns the signed part of it alone.
///
/// # Errors
/// As of [`verify`].
pub fn verify_clear(text: &[u8], keyring: &str) -> Result<Result<(Verified, Vec<u8>), Problem>, Error> {
    let home = Home::new()?;
    let (signed, plain) = (home.dir.path().join("signed.asc"), home.dir.path().join("plain"));
    fs_err::write(&signed, text)?;
    let with_files = |tool: Tool| tool.arg("--output").arg(&plain).arg("--").arg(&signed);
    let verified = home.gpgv(keyring, Form::Clear, with_files, io::empty())?;
    Ok(match verified {
        Ok(verified) => Ok((verified, fs_err::read(&plain)?)),
        Err(problem) => Err(problem),
    })
}

/// A home for gpgv, so that no keyring and no option of the user's counts.
struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn new() -> Result<Self, Error> {
        Ok(Self { dir: tempfile::Builder::new().prefix("crossmill-gpgv-").tempdir()? })
    }

    fn gpgv(
        &self,
        keyring: &str,
        form: Form,
        with_files: impl FnOnce(Tool) -> Tool,
        data: impl Read,
    ) -> Result<Result<Verified, Problem>, Error> {
        let keys = match PublicKeys::parse(keyring) {
            Ok(keys) => keys,
            Err(problem) => return Ok(Err(problem)),
        };
        let ring = self.dir.path().join("keyring.gpg");
        fs_err::write(&ring, &keys.packets)?;
        let tool = Tool::new(PROGRAM).only_env(["PATH"]).env("LC_ALL", "C");
        let tool = tool.arg("--homedir").arg(self.dir.path()).arg("--keyring").arg(&ring).args(["--status-fd", "1"]);
        let mut data = Watched { reader: data, error: None };
        let output = with_files(tool).run(&mut data).map_err(|source| Error::Program { program: PROGRAM, source })?;
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
        Ok(status::judge(&status, form, &keys.fingerprints, status::now(), complaint))
    }
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

/// Returns the date of a time in seconds since 1970.
#[must_use]
pub fn date(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or_else(|| seconds.to_string(), |time| time.strftime("%Y-%m-%d").to_string())
}
