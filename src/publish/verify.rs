//! The key that a user names once, and what counts as signed by it.

use super::Error;
use crate::source::signature;
use std::path::Path;

/// A public key: OpenPGP (one or several armored blocks), verified by gpgv, or minisign.
#[derive(Debug, Clone)]
pub struct PublicKey {
    /// Its text, as the publisher gives it out.
    pub text: String,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    OpenPgp,
    Minisign(minisign_verify::PublicKey),
}

impl PublicKey {
    /// Reads a key file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        Self::parse(&fs_err::read_to_string(path)?).map_err(|why| Error::Key { key: path.display().to_string(), why })
    }

    /// Reads the text of a key file.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.contains("-----BEGIN PGP PUBLIC KEY BLOCK-----") {
            signature::PublicKeys::parse(text).map_err(|problem| problem.to_string())?;
            return Ok(Self { text: text.to_owned(), kind: Kind::OpenPgp });
        }
        let key = minisign_verify::PublicKey::decode(text.trim())
            .or_else(|_| minisign_verify::PublicKey::from_base64(text.trim()))
            .map_err(|_| "it is no public key of OpenPGP (armored) or minisign".to_owned())?;
        Ok(Self { text: text.to_owned(), kind: Kind::Minisign(key) })
    }

    /// Returns the end of the names of its detached signatures.
    #[must_use]
    pub fn extension(&self) -> &'static str {
        match self.kind {
            Kind::OpenPgp => "asc",
            Kind::Minisign(_) => "minisig",
        }
    }

    /// Checks that `signature` is one of `data` by this key; `what` is for messages.
    pub fn verify(&self, what: &str, data: &[u8], signature: &[u8]) -> Result<(), Error> {
        let refuse = |why: String| Error::Unverified { what: what.to_owned(), why };
        match &self.kind {
            Kind::OpenPgp => signature::verify(data, signature, &self.text)?
                .map(|_| ())
                .map_err(|problem| refuse(problem.to_string())),
            Kind::Minisign(key) => {
                let text = String::from_utf8_lossy(signature);
                let signature = minisign_verify::Signature::decode(&text).map_err(|error| refuse(error.to_string()))?;
                key.verify(data, &signature, false).map_err(|error| match error {
                    minisign_verify::Error::UnexpectedKeyId => refuse("made by another key".to_owned()),
                    _ => refuse("bad signature".to_owned()),
                })
            }
        }
    }
}
