//! The public key that a user names once, and what counts as signed by it.

use super::Error;
use crate::source::signature::{self, PublicKeys, Verified};
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
    // The fingerprints of the primary keys, in order.
    OpenPgp(Vec<String>),
    Minisign(minisign_verify::PublicKey),
}

impl PublicKey {
    /// Reads a key file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let refuse = |why: &str| Error::PublicKey { key: path.display().to_string(), why: why.to_owned() };
        let text = String::from_utf8(fs_err::read(path)?)
            .map_err(|_| refuse("it is not text; export it with `gpg --armor --export`"))?;
        Self::parse(&text).map_err(|why| refuse(&why))
    }

    /// Reads the text of a key file.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.contains("-----BEGIN PGP PUBLIC KEY BLOCK-----") {
            let mut keys = PublicKeys::parse(text).map_err(|problem| problem.to_string())?.fingerprints;
            keys.sort();
            return Ok(Self { text: text.to_owned(), kind: Kind::OpenPgp(keys) });
        }
        let key = minisign_verify::PublicKey::decode(text.trim())
            .or_else(|_| minisign_verify::PublicKey::from_base64(text.trim()))
            .map_err(|_| "it is not a public key of OpenPGP (armored) or minisign".to_owned())?;
        Ok(Self { text: text.to_owned(), kind: Kind::Minisign(key) })
    }

    /// Returns whether both are the same key or keys, one perhaps renewed.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::OpenPgp(own), Kind::OpenPgp(other)) => own == other,
            (Kind::Minisign(own), Kind::Minisign(other)) => own == other,
            _ => false,
        }
    }

    /// Returns the end of the names of its detached signatures.
    #[must_use]
    pub fn extension(&self) -> &'static str {
        match self.kind {
            Kind::OpenPgp(_) => "asc",
            Kind::Minisign(_) => "minisig",
        }
    }

    /// Checks that `signature` is one of `data` by this key and returns the key's name; `what` is for messages.
    ///
    /// A key that has expired meanwhile does not count, since only its owner knows when it signed.
    pub fn verify(&self, what: &str, data: &[u8], signature: &[u8]) -> Result<String, Error> {
        match &self.kind {
            Kind::OpenPgp(_) => match signature::verify(data, signature, &self.text)? {
                Ok(verified) => current(what, verified),
                Err(problem) => Err(unverified(what, problem.to_string())),
            },
            Kind::Minisign(key) => {
                let text = String::from_utf8_lossy(signature);
                let signature =
                    minisign_verify::Signature::decode(&text).map_err(|error| unverified(what, error.to_string()))?;
                key.verify(data, &signature, false).map_err(|error| match error {
                    minisign_verify::Error::UnexpectedKeyId => unverified(what, "made by another key".to_owned()),
                    _ => unverified(what, "bad signature".to_owned()),
                })?;
                Ok("minisign".to_owned())
            }
        }
    }

    /// Checks a clear-signed text and returns the part of it that is signed, with the key's name.
    pub fn verify_clear(&self, what: &str, text: &[u8]) -> Result<(String, Vec<u8>), Error> {
        let Kind::OpenPgp(_) = self.kind else {
            return Err(unverified(what, "it is signed by OpenPGP, and the key is one of minisign".to_owned()));
        };
        match signature::verify_clear(text, &self.text)? {
            Ok((verified, plain)) => Ok((current(what, verified)?, plain)),
            Err(problem) => Err(unverified(what, problem.to_string())),
        }
    }
}

fn current(what: &str, verified: Verified) -> Result<String, Error> {
    match verified.expired {
        None => Ok(verified.fingerprint),
        Some(on) => {
            let on = signature::date(on);
            Err(unverified(what, format!("the key {} expired on {on}", verified.fingerprint)))
        }
    }
}

fn unverified(what: &str, why: String) -> Error {
    Error::Unverified { what: what.to_owned(), why }
}
