//! Detached OpenPGP signatures (RFC 9580 10.4) over released archives.
//!
//! A signature counts when a key of the committed keyring made it, the key or
//! subkey was allowed to sign and was not expired at that time, and has not
//! been revoked since. An expiry after the release does not undo the release.

use super::decode;
use pgp::composed::{Deserializable as _, DetachedSignature, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType};
use pgp::types::{KeyDetails, Tag, Timestamp, VerifyingKey};
use std::io::Read;
use std::path::Path;

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The signature file holds none.
    #[error("it cannot be read: {why}")]
    Unreadable {
        /// What the parser says.
        why: String,
    },
    /// The committed keyring is broken.
    #[error("the keyring cannot be read: {why}")]
    Keyring {
        /// What the parser says.
        why: String,
    },
    /// Made by a key that is not in the keyring.
    #[error("it was made by the unknown key {key}")]
    UnknownKey {
        /// Its id or fingerprint.
        key: String,
    },
    /// Made by a key after its time.
    #[error("the key {key} had expired on {on}, before it was made")]
    Expired {
        /// Key id.
        key: String,
        /// Date.
        on: String,
    },
    /// Made by a key that was withdrawn.
    #[error("the key {key} is revoked")]
    Revoked {
        /// Key id.
        key: String,
    },
    /// The key is bound to nothing that may sign.
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
    /// Made with a hash that can be forged.
    #[error("it uses the broken hash {hash}")]
    WeakHash {
        /// Its name.
        hash: String,
    },
    /// Not over this file.
    #[error("it does not fit the file (key {key})")]
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

/// A reader of the signed bytes from their beginning; called once for every key that is tried.
pub type Open<'a> = dyn Fn() -> std::io::Result<Box<dyn Read + 'a>> + 'a;

/// The signed bytes of a file: as it is, or decompressed.
pub fn open_file(path: &Path, uncompressed: bool) -> std::io::Result<Box<dyn Read>> {
    let file = fs_err::File::open(path)?;
    if uncompressed { decode::decoder(file) } else { Ok(Box::new(std::io::BufReader::new(file))) }
}

/// Checks that a signature in `signatures` (armoured or not) by a key of
/// `keyring` (armoured, one or several blocks) is over the bytes of `data`.
pub fn verify(data: &Open<'_>, signatures: &[u8], keyring: &str) -> Result<Verified, Problem> {
    let unreadable = |why: &dyn std::fmt::Display| Problem::Unreadable { why: why.to_string() };
    let keys = read_keyring(keyring)?;
    let (found, _) = DetachedSignature::from_reader_many(signatures).map_err(|error| unreadable(&error))?;
    let found = found.collect::<Result<Vec<_>, _>>().map_err(|error| unreadable(&error))?;
    let mut first = None;
    for DetachedSignature { signature } in &found {
        match verify_one(data, signature, &keys) {
            Ok(verified) => return Ok(verified),
            Err(problem) => first = first.or(Some(problem)),
        }
    }
    Err(first.unwrap_or_else(|| unreadable(&"the file holds no signature")))
}

/// All keys of a keyring.
pub fn read_keyring(keyring: &str) -> Result<Vec<SignedPublicKey>, Problem> {
    const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
    let broken = |why: &dyn std::fmt::Display| Problem::Keyring { why: why.to_string() };
    let mut keys = Vec::new();
    for (at, _) in keyring.match_indices(BEGIN) {
        let block = &keyring[at..];
        let end = block[BEGIN.len()..].find(BEGIN).map_or(block.len(), |end| end + BEGIN.len());
        let (found, _) = SignedPublicKey::from_string_many(&block[..end]).map_err(|error| broken(&error))?;
        for key in found {
            keys.push(key.map_err(|error| broken(&error))?);
        }
    }
    if keys.is_empty() { Err(broken(&"it holds no key")) } else { Ok(keys) }
}

fn verify_one(data: &Open<'_>, signature: &Signature, keys: &[SignedPublicKey]) -> Result<Verified, Problem> {
    if signature.typ() != Some(SignatureType::Binary) {
        return Err(Problem::Unreadable { why: "it is not over a file".to_owned() });
    }
    let weak = [HashAlgorithm::Md5, HashAlgorithm::Sha1, HashAlgorithm::Ripemd160];
    let hash = signature.hash_alg().unwrap_or(HashAlgorithm::None);
    if weak.contains(&hash) {
        return Err(Problem::WeakHash { hash: hash.to_string() });
    }
    let made = check_time(signature)?;
    let mut problem = None;
    for key in keys {
        if is_issuer(signature, key) {
            match check_primary(key, made).and_then(|()| may_sign(key)).and_then(|()| fits(data, signature, key)) {
                Ok(()) => return Ok(verified(key)),
                Err(error) => problem = Some(error),
            }
        }
        for subkey in &key.public_subkeys {
            if is_issuer(signature, &subkey.key) {
                let checked = check_primary(key, made).and_then(|()| check_subkey(key, subkey, made));
                match checked.and_then(|()| fits(data, signature, &subkey.key)) {
                    Ok(()) => return Ok(verified(key)),
                    Err(error) => problem = Some(error),
                }
            }
        }
    }
    Err(problem.unwrap_or_else(|| Problem::UnknownKey { key: issuer(signature) }))
}

fn verified(key: &SignedPublicKey) -> Verified {
    Verified { fingerprint: format!("{:X}", key.fingerprint()) }
}

fn key_id(key: &impl KeyDetails) -> String {
    hex(key.legacy_key_id().as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn issuer(signature: &Signature) -> String {
    let fingerprint = signature.issuer_fingerprint().first().map(|fingerprint| format!("{fingerprint:X}"));
    let id = signature.issuer_key_id().first().map(|id| hex(id.as_ref()));
    fingerprint.or(id).unwrap_or_else(|| "it does not name".to_owned())
}

/// Whether `key` may have made `signature`; one that names nobody may be anyone's.
fn is_issuer(signature: &Signature, key: &impl KeyDetails) -> bool {
    let (ids, fingerprints) = (signature.issuer_key_id(), signature.issuer_fingerprint());
    if ids.is_empty() && fingerprints.is_empty() {
        return true;
    }
    ids.contains(&&key.legacy_key_id()) || fingerprints.contains(&&key.fingerprint())
}

/// When the signature was made: not in the future, and not past its own end.
fn check_time(signature: &Signature) -> Result<Timestamp, Problem> {
    const DAY: u32 = 86_400;
    let wrong = |why: &str| Problem::Time { why: why.to_owned() };
    let made = signature.created().ok_or_else(|| wrong("it does not say when it was made"))?;
    let now = Timestamp::now().as_secs();
    if made.as_secs() > now.saturating_add(DAY) {
        return Err(wrong(&format!("it was made on {}, which is to come", date(made.as_secs()))));
    }
    match signature.signature_expiration_time().map(|time| time.as_secs()) {
        Some(life) if life > 0 && made.as_secs().saturating_add(life) < now => {
            Err(wrong(&format!("it was valid until {}", date(made.as_secs().saturating_add(life)))))
        }
        _ => Ok(made),
    }
}

fn date(seconds: u32) -> String {
    jiff::Timestamp::from_second(seconds.into())
        .map_or_else(|_| seconds.to_string(), |time| time.strftime("%Y-%m-%d").to_string())
}

/// The valid signatures of the key over itself and its names.
fn self_signatures(key: &SignedPublicKey) -> Vec<&Signature> {
    let direct =
        key.details.direct_signatures.iter().filter(|signature| signature.verify_key(&key.primary_key).is_ok());
    let over_names = key.details.users.iter().flat_map(|user| {
        user.signatures.iter().filter(|signature| {
            is_issuer(signature, &key.primary_key)
                && signature.is_certification()
                && signature.verify_certification(&key.primary_key, Tag::UserId, &user.id).is_ok()
        })
    });
    direct.chain(over_names).collect()
}

fn newest<'s>(signatures: impl IntoIterator<Item = &'s Signature>) -> Option<&'s Signature> {
    signatures.into_iter().max_by_key(|signature| signature.created().map_or(0, Timestamp::as_secs))
}

fn check_primary(key: &SignedPublicKey, made: Timestamp) -> Result<(), Problem> {
    let id = key_id(&key.primary_key);
    let mut revocations = key.details.revocation_signatures.iter();
    if revocations.any(|signature| signature.verify_key(&key.primary_key).is_ok()) {
        return Err(Problem::Revoked { key: id });
    }
    let Some(newest) = newest(self_signatures(key)) else {
        return Err(Problem::NotForSigning { key: id, why: "it has no valid signature of its own" });
    };
    check_life(&id, key.primary_key.created_at(), newest, made)
}

fn may_sign(key: &SignedPublicKey) -> Result<(), Problem> {
    match newest(self_signatures(key)) {
        // Keys from before the flags existed carry none and may do anything.
        Some(newest) if newest.key_flags().sign() || has_no_flags(newest) => Ok(()),
        _ => Err(Problem::NotForSigning { key: key_id(&key.primary_key), why: "it is for other uses" }),
    }
}

fn has_no_flags(signature: &Signature) -> bool {
    use pgp::packet::SubpacketData;
    let config = signature.config();
    config.is_none_or(|config| !config.hashed_subpackets().any(|sub| matches!(sub.data, SubpacketData::KeyFlags(_))))
}

fn check_subkey(key: &SignedPublicKey, subkey: &SignedPublicSubKey, made: Timestamp) -> Result<(), Problem> {
    let id = key_id(&subkey.key);
    let valid = |kind: SignatureType| {
        subkey.signatures.iter().filter(move |signature| {
            signature.typ() == Some(kind) && signature.verify_subkey_binding(&key.primary_key, &subkey.key).is_ok()
        })
    };
    if valid(SignatureType::SubkeyRevocation).next().is_some() {
        return Err(Problem::Revoked { key: id });
    }
    let refuse = |why| Err(Problem::NotForSigning { key: id.clone(), why });
    let Some(binding) = newest(valid(SignatureType::SubkeyBinding)) else {
        return refuse("it is not bound to its primary key");
    };
    if !binding.key_flags().sign() {
        return refuse("it is for other uses");
    }
    let back = binding.embedded_signature();
    if back.is_none_or(|back| back.verify_primary_key_binding(&subkey.key, &key.primary_key).is_err()) {
        return refuse("it does not vouch for its primary key");
    }
    check_life(&id, subkey.key.created_at(), binding, made)
}

fn check_life(id: &str, born: Timestamp, says: &Signature, made: Timestamp) -> Result<(), Problem> {
    if made.as_secs() < born.as_secs() {
        return Err(Problem::Time { why: format!("it was made before the key {id}") });
    }
    match says.key_expiration_time().map(|life| life.as_secs()) {
        Some(life) if life > 0 && born.as_secs().saturating_add(life) < made.as_secs() => {
            Err(Problem::Expired { key: id.to_owned(), on: date(born.as_secs().saturating_add(life)) })
        }
        _ => Ok(()),
    }
}

fn fits(data: &Open<'_>, signature: &Signature, key: &impl VerifyingKey) -> Result<(), Problem> {
    let reader = data().map_err(|error| Problem::Unreadable { why: error.to_string() })?;
    signature.verify(key, reader).map_err(|_| Problem::Wrong { key: key_id(key) })
}
