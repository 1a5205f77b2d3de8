//! Signatures by the publisher's own programs: gpg, which also reaches keys on a smart card, or minisign. No secret key
//! is read here.

use super::verify::PublicKey;
use super::{Error, run_tool};
use crate::process::Tool;
use crate::remote::minisign::SecretKey;
use std::io;
use std::path::{Path, PathBuf};

const GPG: &str = "gpg";
const MINISIGN_SECRET: &str = "untrusted comment: minisign encrypted secret key";

/// A key that can sign.
#[derive(Debug, Clone)]
pub enum Signer {
    /// An OpenPGP key of gpg, by user id, key id or fingerprint.
    Gpg {
        /// As gpg understands it.
        key: String,
    },
    /// A secret key of minisign without a password.
    Minisign {
        /// Its file.
        secret: PathBuf,
    },
}

impl Signer {
    /// Finds the key that `text` means: the file of a secret key of minisign, or a key of gpg.
    ///
    /// # Errors
    /// When it cannot sign: it has no secret part here, is expired or revoked, or may not sign.
    pub fn find(text: &str) -> Result<Self, Error> {
        let path = Path::new(text);
        if path.is_file() {
            let is_secret = fs_err::read_to_string(path).is_ok_and(|it| it.starts_with(MINISIGN_SECRET));
            if !is_secret {
                let why = "the file is no secret key of minisign; name a key of gpg by its fingerprint".to_owned();
                return Err(Error::Key { key: text.to_owned(), why });
            }
            return Ok(Self::Minisign { secret: path.to_owned() });
        }
        let tool = Tool::new(GPG).args(["--batch", "--with-colons", "--list-secret-keys", "--", text]);
        let output = tool.run(io::empty()).map_err(|source| Error::Program { program: GPG.to_owned(), source })?;
        let listing = String::from_utf8_lossy(&output.stdout).into_owned();
        match can_sign(&listing) {
            Ok(()) => Ok(Self::Gpg { key: text.to_owned() }),
            Err(why) => Err(Error::Key { key: text.to_owned(), why }),
        }
    }

    /// Returns the end of the names of detached signatures.
    #[must_use]
    pub fn extension(&self) -> &'static str {
        match self {
            Self::Gpg { .. } => "asc",
            Self::Minisign { .. } => "minisig",
        }
    }

    /// Returns its public part.
    pub fn public(&self) -> Result<PublicKey, Error> {
        let (name, text) = match self {
            Self::Gpg { key } => {
                let tool = Tool::new(GPG).args(["--batch", "--armor", "--export", "--"]).arg(key);
                (key.clone(), run_tool(GPG, &tool, io::empty())?)
            }
            Self::Minisign { secret } => (secret.display().to_string(), SecretKey::at(secret).public_text()?),
        };
        let text = String::from_utf8_lossy(&text).into_owned();
        PublicKey::parse(&text).map_err(|why| Error::PublicKey { key: name, why })
    }

    /// Writes a detached signature of `file` to `to`.
    pub fn detached(&self, file: &Path, to: &Path) -> Result<(), Error> {
        match self {
            Self::Gpg { key } => {
                let options = ["--batch", "--yes", "--armor", "--detach-sign", "--local-user"];
                let tool = Tool::new(GPG).args(options).arg(key).arg("--output").arg(to).arg(file);
                run_tool(GPG, &tool, io::empty()).map(|_| ())
            }
            Self::Minisign { secret } => Ok(SecretKey::at(secret).sign_file(file, to, "crossmill release")?),
        }
    }

    /// Returns `text` with a signature around it, which only OpenPGP has.
    pub fn clear(&self, text: &str) -> Result<Option<Vec<u8>>, Error> {
        let Self::Gpg { key } = self else { return Ok(None) };
        let tool = Tool::new(GPG).args(["--batch", "--clear-sign", "--local-user"]).arg(key).args(["--output", "-"]);
        run_tool(GPG, &tool, text.as_bytes()).map(Some)
    }
}

// Reads gpg's listing (doc/DETAILS, "Format of the colon listings"): whether a key or subkey in it can sign.
fn can_sign(listing: &str) -> Result<(), String> {
    let mut why = "gpg has no secret key of that name".to_owned();
    for line in listing.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let field = |number: usize| fields.get(number - 1).copied().unwrap_or_default();
        if !matches!(field(1), "sec" | "ssb") {
            continue;
        }
        match (field(2), field(12).contains('s'), field(15)) {
            ("e", _, _) => why = "it is expired".to_owned(),
            ("r", _, _) => why = "it is revoked".to_owned(),
            (_, false, _) => {}
            (_, true, "#") => why = "its secret part is not on this machine".to_owned(),
            (_, true, _) => return Ok(()),
        }
    }
    Err(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_cannot_sign_is_refused_with_the_reason() {
        let key = |validity: &str, uses: &str, token: &str| {
            can_sign(&format!("sec:{validity}:255:22:0123456789ABCDEF:1700000000:::u:::{uses}:::{token}:::0:\n"))
        };
        assert_eq!(key("u", "scESC", "+"), Ok(()));
        assert_eq!(key("u", "scESC", "D2760001240102010006012345670000"), Ok(()));
        assert_eq!(key("e", "scESC", "+").unwrap_err(), "it is expired");
        assert_eq!(key("r", "scESC", "+").unwrap_err(), "it is revoked");
        assert_eq!(key("u", "scESC", "#").unwrap_err(), "its secret part is not on this machine");
        assert_eq!(can_sign("").unwrap_err(), "gpg has no secret key of that name");
    }
}
