//! Detached signatures, by keys that the tests generate.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use crossmill::base::{Diagnostic, Sha256};
use crossmill::config::source::{Keyring, Origin, Pin, SourceSpec};
use crossmill::source::signature::{Problem, verify};
use crossmill::source::{Fetcher, Options};
use std::path::PathBuf;
use std::time::Duration;
use support::archives::xz;
use support::gpg::{Key, now};
use support::http::{Answer, Server};

const NONE: &[u8] = b"";

fn check(data: &[u8], signature: &[u8], keyring: &str) -> Result<String, Problem> {
    verify(data, signature, keyring).unwrap().map(|verified| verified.fingerprint)
}

#[test]
fn primary_keys_and_subkeys_of_a_keyring_of_several_may_sign() {
    let keys = [Key::new(1000), Key::new(1000), Key::new(1000)];
    let keyring: String = keys.iter().map(Key::armored).collect();
    let want = &keys[1].fingerprint;
    let primary = keys[1].sign(b"data");
    assert_eq!(check(b"data", &primary, &keyring).as_ref(), Ok(want));
    let text = keys[1].sign_with(b"data", now(), &["--armor", "--detach-sign"]);
    assert!(text.starts_with(b"-----BEGIN"));
    assert_eq!(check(b"data", &text, &keyring).as_ref(), Ok(want));
    let subkey = keys[1].sign_by_subkey(b"data");
    assert_eq!(check(b"data", &subkey, &keyring).as_ref(), Ok(want));
    // A second signature by someone unknown does no harm, before or behind.
    let other = Key::new(1000).sign(b"data");
    assert_eq!(check(b"data", &[other.clone(), primary.clone()].concat(), &keyring).as_ref(), Ok(want));
    assert_eq!(check(b"data", &[primary, other].concat(), &keyring).as_ref(), Ok(want));
}

#[test]
fn what_does_not_count_is_named() {
    let (ours, other) = (Key::new(1000), Key::new(1000));
    let keyring = ours.armored();
    let good = ours.sign(b"data");
    assert!(matches!(check(b"date", &good, &keyring), Err(Problem::Wrong { .. })));
    let unknown = check(b"data", &other.sign(b"data"), &keyring);
    assert_eq!(unknown, Err(Problem::UnknownKey { key: other.fingerprint.clone() }));
    assert!(matches!(check(b"data", NONE, &keyring), Err(Problem::Unreadable { .. })));
    assert!(matches!(check(b"data", b"<html>", &keyring), Err(Problem::Unreadable { .. })));
    assert!(matches!(check(b"data", &good[..20], &keyring), Err(Problem::Unreadable { .. })));
    assert!(matches!(check(b"data", &good, ""), Err(Problem::Keyring { .. })));
    assert!(matches!(check(b"data", &good, &keyring[..200]), Err(Problem::Keyring { .. })));
    let text = ours.sign_with(b"data", now(), &["--textmode", "--detach-sign"]);
    assert!(matches!(check(b"data", &text, &keyring), Err(Problem::Unreadable { .. })));
    for (hash, options) in [("SHA1", &[][..]), ("RIPEMD160", &[]), ("MD5", &["--allow-weak-digest-algos"])] {
        let weak = [&["--digest-algo", hash, "--allow-weak-key-signatures"], options, &["--detach-sign"]].concat();
        let weak = check(b"data", &ours.sign_with(b"data", now(), &weak), &keyring);
        assert!(matches!(weak, Err(Problem::WeakHash { .. })), "{hash}: {weak:?}");
    }
}

#[test]
fn a_signed_message_is_no_signature_of_a_file() {
    let ours = Key::new(1000);
    let keyring = ours.armored();
    for form in ["--sign", "--clear-sign"] {
        let message = ours.sign_with(b"another text", now(), &[form]);
        for data in [&b"data"[..], b"another text", NONE] {
            let checked = check(data, &message, &keyring);
            assert!(checked.is_err(), "{form}: {checked:?}");
        }
    }
}

#[test]
fn a_key_counts_only_for_its_time() {
    let ours = Key::new(100_000);
    let (signature, by_subkey) = (ours.sign(b"data"), ours.sign_by_subkey(b"data"));
    let early = ours.sign_with(b"data", now() - 90_000, &["--detach-sign"]);
    assert!(check(b"data", &signature, &ours.expiring(90_000, 200_000)).is_ok());
    let keyring = ours.expiring(80_000, 50_000);
    let expired = check(b"data", &signature, &keyring);
    assert!(matches!(&expired, Err(Problem::Expired { key, .. }) if key.len() == 16), "{expired:?}");
    let expired = check(b"data", &by_subkey, &keyring);
    assert!(matches!(expired, Err(Problem::Expired { .. })), "{expired:?}");
    // An expiry after the release does not undo the release.
    assert_eq!(check(b"data", &early, &keyring), Ok(ours.fingerprint.clone()));
}

#[test]
fn a_signature_counts_only_for_its_time() {
    let ours = Key::new(100_000);
    let keyring = ours.armored();
    let ended = ours.sign_with(b"data", now() - 50_000, &["--default-sig-expire", "seconds=100", "--detach-sign"]);
    let ended = check(b"data", &ended, &keyring);
    assert!(matches!(ended, Err(Problem::Time { .. })), "{ended:?}");
    let future = check(b"data", &ours.sign_with(b"data", now() + 1_000_000, &["--detach-sign"]), &keyring);
    assert!(matches!(future, Err(Problem::Time { .. })), "{future:?}");
}

#[test]
fn a_revoked_key_counts_no_more() {
    let ours = Key::new(1000);
    let signature = ours.sign(b"data");
    let revoked = check(b"data", &signature, &ours.revoked());
    assert!(matches!(&revoked, Err(Problem::Revoked { key }) if key.len() == 16), "{revoked:?}");
}

#[test]
fn a_key_for_other_uses_signs_no_file() {
    let ours = Key::new(1000);
    let signature = ours.sign(b"data");
    let refused = check(b"data", &signature, &ours.certifying());
    assert!(matches!(refused, Err(Problem::NotForSigning { .. })), "{refused:?}");
}

#[test]
fn an_archive_that_cannot_be_read_is_not_verified() {
    struct Broken(bool);
    impl std::io::Read for Broken {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            if std::mem::replace(&mut self.0, true) {
                return Err(std::io::Error::other("xz stream corrupt"));
            }
            buf[..4].copy_from_slice(b"data");
            Ok(4)
        }
    }
    let ours = Key::new(1000);
    // The part that was read until then has a good signature.
    let checked = verify(Broken(false), &ours.sign(b"data"), &ours.armored()).unwrap();
    assert_eq!(checked, Err(Problem::Unreadable { why: "xz stream corrupt".to_owned() }));
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
        limit: None,
        member: None,
        strip: 1,
        patches: Vec::new(),
    };
    let options = Options { retries: 1, backoff: Duration::from_millis(5), ..Options::new(dir.path().join("cache")) };
    (dir, server, spec, Fetcher::new(options))
}

#[tokio::test]
async fn a_verified_digest_is_recorded_and_holds_from_then_on() {
    let ours = Key::new(1000);
    let (dir, server, spec, fetcher) = world(ours.armored());
    let specs = [spec];
    let archive = xz(b"the tar");
    server.file("/linux-7.1.tar.xz", &archive);
    // The signature is missing at first: the archive is kept for when it is there.
    let error = fetcher.fetch(&specs, &()).await.unwrap_err();
    assert!(error.to_string().contains("404"), "{error}");
    server.file("/linux-7.1.tar.sign", &ours.sign_by_subkey(b"the tar"));
    let fetched = fetcher.fetch(&specs, &()).await.unwrap();
    assert_eq!((fetched.digest, fetched.bytes), (format!("sha256:{}", Sha256::of(&archive)), 0));
    let record = fs_err::read_dir(dir.path().join("cache/pins")).unwrap().next().unwrap().unwrap().path();
    let text = fs_err::read_to_string(record).unwrap();
    assert!(text.contains(&ours.fingerprint) && text.contains("linux-7.1.tar.xz"), "{text}");
    assert!(fetcher.cached(&specs).unwrap().is_some());

    // Another archive at the same place, even with a good signature, is not the one that was seen.
    fs_err::remove_dir_all(dir.path().join("cache/blobs")).unwrap();
    server.file("/linux-7.1.tar.xz", &xz(b"another"));
    server.file("/linux-7.1.tar.sign", &ours.sign(b"another"));
    let error = fetcher.fetch(&specs, &()).await.unwrap_err();
    assert!(error.to_string().contains("has changed since its signature was verified"), "{error}");
    server.file("/linux-7.1.tar.xz", &archive);
    assert!(fetcher.fetch(&specs, &()).await.is_ok());
}

#[tokio::test]
async fn a_bad_signature_keeps_nothing() {
    let (ours, other) = (Key::new(1000), Key::new(1000));
    let (dir, server, spec, fetcher) = world(ours.armored());
    server.file("/linux-7.1.tar.xz", &xz(b"the tar"));
    server.file("/linux-7.1.tar.sign", &other.sign(b"the tar"));
    server.answers("/linux-7.1.tar.sign", [Answer::Status(503, Vec::new())]);
    let error = fetcher.fetch(&[spec], &()).await.unwrap_err();
    let shown = Diagnostic::from_error(&error).to_string().replace(&server.base, "http://server");
    // Every key is another.
    let shown = shown.replace(&other.fingerprint, "FINGERPRINT");
    insta::assert_snapshot!(shown);
    assert_eq!(fs_err::read_dir(dir.path().join("cache/partial")).unwrap().count(), 0);
    assert!(!dir.path().join("cache/blobs").exists());
}
