//! Detached signatures, made with keys that the tests make.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use crossmill::base::{Diagnostic, Sha256};
use crossmill::config::source::{Keyring, Origin, Pin, SourceSpec};
use crossmill::source::pgp::{Problem, verify};
use crossmill::source::{Fetcher, Options};
use pgp::composed::{
    ArmorOptions, DetachedSignature, KeyType, SecretKeyParamsBuilder, SignedPublicKey, SignedSecretKey,
    SubkeyParamsBuilder,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::ser::Serialize as _;
use pgp::types::{KeyDetails as _, Password, SigningKey, Tag, Timestamp};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use std::path::PathBuf;
use std::time::Duration;
use support::archives::xz;
use support::http::{Answer, Server};

const NONE: &[u8] = b"";

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// A key of that age with a subkey for signing.
fn key(seed: u64, age: u32) -> SignedSecretKey {
    let born = Timestamp::from_secs(Timestamp::now().as_secs() - age);
    let mut subkey = SubkeyParamsBuilder::default();
    subkey.key_type(KeyType::Ed25519Legacy).can_sign(true).created_at(born);
    let mut params = SecretKeyParamsBuilder::default();
    params
        .key_type(KeyType::Ed25519Legacy)
        .can_certify(true)
        .can_sign(true)
        .created_at(born)
        .primary_user_id("A Releaser <releaser@key.example>".to_owned())
        .subkey(subkey.build().unwrap());
    params.build().unwrap().generate(rng(seed)).unwrap()
}

fn public(key: &SignedSecretKey) -> SignedPublicKey {
    SignedPublicKey::from(key.clone())
}

fn armored(key: &SignedPublicKey) -> String {
    key.to_armored_string(ArmorOptions::default()).unwrap()
}

fn sign(key: &impl SigningKey, data: &[u8]) -> DetachedSignature {
    DetachedSignature::sign_binary_data(rng(99), key, &Password::empty(), HashAlgorithm::Sha256, data).unwrap()
}

fn bytes(signature: &DetachedSignature) -> Vec<u8> {
    signature.to_bytes().unwrap()
}

fn check(data: &[u8], signature: &[u8], keyring: &str) -> Result<String, Problem> {
    verify(&|| Ok(Box::new(data)), signature, keyring).map(|verified| verified.fingerprint)
}

#[test]
fn primary_keys_and_subkeys_of_a_keyring_of_several_may_sign() {
    let keys = [key(1, 1000), key(2, 1000), key(3, 1000)];
    let keyring: String = keys.iter().map(|key| armored(&public(key))).collect();
    let want = format!("{:X}", keys[1].fingerprint());
    let primary = sign(&keys[1].primary_key, b"data");
    assert_eq!(check(b"data", &bytes(&primary), &keyring).as_ref(), Ok(&want));
    let text = primary.to_armored_string(ArmorOptions::default()).unwrap();
    assert_eq!(check(b"data", text.as_bytes(), &keyring).as_ref(), Ok(&want));
    let subkey = sign(&keys[1].secret_subkeys[0].key, b"data");
    assert_eq!(check(b"data", &bytes(&subkey), &keyring).as_ref(), Ok(&want));
    // A second signature by someone unknown does no harm.
    let both = [bytes(&sign(&key(4, 1000).primary_key, b"data")), bytes(&primary)].concat();
    assert_eq!(check(b"data", &both, &keyring).as_ref(), Ok(&want));
}

#[test]
fn what_does_not_count_is_named() {
    let (ours, other) = (key(1, 1000), key(2, 1000));
    let keyring = armored(&public(&ours));
    let good = bytes(&sign(&ours.primary_key, b"data"));
    assert!(matches!(check(b"date", &good, &keyring), Err(Problem::Wrong { .. })));
    let unknown = check(b"data", &bytes(&sign(&other.primary_key, b"data")), &keyring);
    assert_eq!(unknown, Err(Problem::UnknownKey { key: format!("{:X}", other.fingerprint()) }));
    assert!(matches!(check(b"data", NONE, &keyring), Err(Problem::Unreadable { .. })));
    assert!(matches!(check(b"data", b"<html>", &keyring), Err(Problem::Unreadable { .. })));
    assert!(matches!(check(b"data", &good[..20], &keyring), Err(Problem::Unreadable { .. })));
    assert!(matches!(check(b"data", &good, ""), Err(Problem::Keyring { .. })));
    assert!(matches!(check(b"data", &good, &keyring[..200]), Err(Problem::Keyring { .. })));
    let text = DetachedSignature::sign_text_data(
        rng(5),
        &ours.primary_key,
        &Password::empty(),
        HashAlgorithm::Sha256,
        &b"data"[..],
    );
    assert!(matches!(check(b"data", &bytes(&text.unwrap()), &keyring), Err(Problem::Unreadable { .. })));
    let sha1 = DetachedSignature::sign_binary_data(
        rng(5),
        &ours.primary_key,
        &Password::empty(),
        HashAlgorithm::Sha1,
        &b"data"[..],
    );
    if let Ok(sha1) = sha1 {
        assert!(matches!(check(b"data", &bytes(&sha1), &keyring), Err(Problem::WeakHash { .. })));
    }
}

/// `key` with a self-signature that ends its life after `life` seconds.
fn expiring(key: &SignedSecretKey, life: u32) -> SignedPublicKey {
    let mut public = public(key);
    let primary = &key.primary_key;
    let mut config = SignatureConfig::v4(SignatureType::CertPositive, primary.algorithm(), HashAlgorithm::Sha256);
    let data = |data| Subpacket::regular(data).unwrap();
    let mut flags = pgp::packet::KeyFlags::default();
    flags.set_sign(true);
    config.hashed_subpackets = vec![
        data(SubpacketData::SignatureCreationTime(Timestamp::now())),
        data(SubpacketData::IssuerFingerprint(primary.fingerprint())),
        data(SubpacketData::KeyExpirationTime(pgp::types::Duration::from_secs(life))),
        data(SubpacketData::KeyFlags(flags)),
    ];
    let user = &mut public.details.users[0];
    let signature =
        config.sign_certification(primary, primary.public_key(), &Password::empty(), Tag::UserId, &user.id).unwrap();
    user.signatures = vec![signature];
    public
}

#[test]
fn a_key_counts_only_for_its_time() {
    let ours = key(1, 100_000);
    let signature = bytes(&sign(&ours.primary_key, b"data"));
    let expired = check(b"data", &signature, &armored(&expiring(&ours, 50_000)));
    assert!(matches!(&expired, Err(Problem::Expired { key, .. }) if key.len() == 16), "{expired:?}");
    assert!(check(b"data", &signature, &armored(&expiring(&ours, 200_000))).is_ok());
    let by_subkey = bytes(&sign(&ours.secret_subkeys[0].key, b"data"));
    let expired = check(b"data", &by_subkey, &armored(&expiring(&ours, 50_000)));
    assert!(matches!(expired, Err(Problem::Expired { .. })), "{expired:?}");
}

#[test]
fn a_revoked_key_counts_no_more() {
    let ours = key(1, 1000);
    let mut public = public(&ours);
    let primary = &ours.primary_key;
    let mut config = SignatureConfig::v4(SignatureType::KeyRevocation, primary.algorithm(), HashAlgorithm::Sha256);
    config.hashed_subpackets = vec![
        Subpacket::regular(SubpacketData::SignatureCreationTime(Timestamp::now())).unwrap(),
        Subpacket::regular(SubpacketData::IssuerFingerprint(primary.fingerprint())).unwrap(),
    ];
    let revocation = config.sign_key(primary, &Password::empty(), primary.public_key()).unwrap();
    public.details.revocation_signatures.push(revocation);
    let signature = bytes(&sign(primary, b"data"));
    let revoked = check(b"data", &signature, &armored(&public));
    assert!(matches!(&revoked, Err(Problem::Revoked { key }) if key.len() == 16), "{revoked:?}");
}

fn world(keyring: String) -> (tempfile::TempDir, Server, SourceSpec, Fetcher) {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start());
    let spec = SourceSpec {
        from: Origin::Url(server.url("/linux-7.1.tar.xz")),
        pin: Pin::Signature {
            url: server.url("/linux-7.1.tar.sign"),
            keyring: Keyring { path: PathBuf::from("keys/kernel.asc"), armored: keyring },
            uncompressed: true,
        },
        size: None,
        member: None,
        strip: 1,
        patches: Vec::new(),
    };
    let options = Options { retries: 1, backoff: Duration::from_millis(5), ..Options::new(dir.path().join("cache")) };
    (dir, server, spec, Fetcher::new(options))
}

#[tokio::test]
async fn a_verified_digest_is_recorded_and_holds_from_then_on() {
    let ours = key(1, 1000);
    let (dir, server, spec, fetcher) = world(armored(&public(&ours)));
    let specs = [spec];
    let archive = xz(b"the tar");
    server.file("/linux-7.1.tar.xz", &archive);
    // The signature is missing at first: the archive is kept for when it is there.
    let error = fetcher.fetch(&specs, &()).await.unwrap_err();
    assert!(error.to_string().contains("404"), "{error}");
    server.file("/linux-7.1.tar.sign", &bytes(&sign(&ours.secret_subkeys[0].key, b"the tar")));
    let fetched = fetcher.fetch(&specs, &()).await.unwrap();
    assert_eq!((fetched.digest, fetched.bytes), (format!("sha256:{}", Sha256::of(&archive)), 0));
    let record = fs_err::read_dir(dir.path().join("cache/pins")).unwrap().next().unwrap().unwrap().path();
    let text = fs_err::read_to_string(record).unwrap();
    assert!(text.contains(&format!("{:X}", ours.fingerprint())) && text.contains("linux-7.1.tar.xz"), "{text}");
    assert!(fetcher.cached(&specs).is_some());

    // Another archive at the same place, even with a good signature, is not the one that was seen.
    fs_err::remove_dir_all(dir.path().join("cache/blobs")).unwrap();
    server.file("/linux-7.1.tar.xz", &xz(b"another"));
    server.file("/linux-7.1.tar.sign", &bytes(&sign(&ours.primary_key, b"another")));
    let error = fetcher.fetch(&specs, &()).await.unwrap_err();
    assert!(error.to_string().contains("has changed since its signature was verified"), "{error}");
    server.file("/linux-7.1.tar.xz", &archive);
    assert!(fetcher.fetch(&specs, &()).await.is_ok());
}

#[tokio::test]
async fn a_bad_signature_keeps_nothing() {
    let (ours, other) = (key(1, 1000), key(2, 1000));
    let (dir, server, spec, fetcher) = world(armored(&public(&ours)));
    server.file("/linux-7.1.tar.xz", &xz(b"the tar"));
    server.file("/linux-7.1.tar.sign", &bytes(&sign(&other.primary_key, b"the tar")));
    server.answers("/linux-7.1.tar.sign", [Answer::Status(503, Vec::new())]);
    let error = fetcher.fetch(&[spec], &()).await.unwrap_err();
    let shown = Diagnostic::from_error(&error).to_string().replace(&server.base, "http://server");
    // The time of its making is part of a key.
    let shown = shown.replace(&format!("{:X}", other.fingerprint()), "FINGERPRINT");
    insta::assert_snapshot!(shown);
    assert_eq!(fs_err::read_dir(dir.path().join("cache/partial")).unwrap().count(), 0);
    assert!(!dir.path().join("cache/blobs").exists());
}
