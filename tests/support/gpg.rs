//! Keys and signatures for tests, by the host's gpg in homes of their own.

#![expect(clippy::disallowed_types, reason = "a test starts programs itself")]

use std::fmt::Write as _;
use std::process::Command;
use tempfile::TempDir;

/// A key pair with a subkey for signing, and what was done to it.
pub struct Key {
    home: TempDir,
    /// The primary key's.
    pub fingerprint: String,
    subkey: String,
}

/// Seconds since 1970.
pub fn now() -> u64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

impl Key {
    /// Of that age in seconds.
    pub fn new(age: u64) -> Self {
        let mut key = Self { home: tempfile::tempdir().unwrap(), fingerprint: String::new(), subkey: String::new() };
        let born = now() - age;
        let user = "A Releaser <releaser@key.example>";
        key.gpg(born, &["--quick-generate-key", user, "ed25519", "sign,cert", "never"], b"");
        key.fingerprint = key.fingerprints().remove(0);
        key.gpg(born, &["--quick-add-key", &key.fingerprint, "ed25519", "sign", "never"], b"");
        key.subkey = key.fingerprints().remove(1);
        key
    }

    /// Runs gpg at the time `at` and returns what it writes.
    fn gpg(&self, at: u64, args: &[&str], input: &[u8]) -> Vec<u8> {
        use std::io::{Seek as _, Write as _};
        let mut stdin = tempfile::tempfile().unwrap();
        stdin.write_all(input).unwrap();
        stdin.rewind().unwrap();
        let output = Command::new("gpg")
            .args(["--batch", "--quiet", "--no-tty", "--yes", "--pinentry-mode", "loopback"])
            .args(["--passphrase", "", "--no-permission-warning", "--homedir"])
            .arg(self.home.path())
            // Stopped: on a busy machine a later command would else begin before the one that it follows.
            .args(["--faked-system-time", &format!("{at}!")])
            .args(args)
            .stdin(stdin)
            .output()
            .expect("gpg is installed: Debian's package gnupg");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "gpg {args:?}: {said}");
        output.stdout
    }

    fn fingerprints(&self) -> Vec<String> {
        let list = String::from_utf8(self.gpg(now(), &["--with-colons", "--list-keys"], b"")).unwrap();
        let lines = list.lines().filter(|line| line.starts_with("fpr:"));
        lines.map(|line| line.split(':').nth(9).unwrap().to_owned()).collect()
    }

    /// The public key, armored.
    pub fn armored(&self) -> String {
        String::from_utf8(self.gpg(now(), &["--armor", "--export"], b"")).unwrap()
    }

    /// The public key, whose end was set `age` seconds ago to `life` seconds later. That is after its creation by more than a
    /// second: gpg refuses a second signature of the same one.
    pub fn expiring(&self, age: u64, life: u64) -> String {
        self.gpg(now() - age, &["--quick-set-expire", &self.fingerprint, &format!("seconds={life}")], b"");
        self.armored()
    }

    /// The public key, revoked.
    pub fn revoked(&self) -> String {
        let path = self.home.path().join(format!("openpgp-revocs.d/{}.rev", self.fingerprint));
        let certificate = fs_err::read_to_string(path).unwrap().replace(":-----BEGIN", "-----BEGIN");
        self.gpg(now(), &["--import"], certificate.as_bytes());
        self.armored()
    }

    /// The public key, whose primary key may only certify from now on.
    pub fn certifying(&self) -> String {
        let mut script = String::new();
        for line in ["change-usage", "S", "Q", "save"] {
            writeln!(script, "{line}").unwrap();
        }
        // Newer than the signature that it replaces.
        self.gpg(now() + 1, &["--command-fd", "0", "--edit-key", &self.fingerprint], script.as_bytes());
        self.armored()
    }

    /// A detached signature by the primary key, with further arguments.
    pub fn sign_with(&self, data: &[u8], at: u64, args: &[&str]) -> Vec<u8> {
        let user = format!("{}!", self.fingerprint);
        let all: Vec<&str> = [&["--local-user", &user][..], args].concat();
        self.gpg(at, &all, data)
    }

    /// A detached signature by the primary key.
    pub fn sign(&self, data: &[u8]) -> Vec<u8> {
        self.sign_with(data, now(), &["--detach-sign"])
    }

    /// A detached signature by the subkey.
    pub fn sign_by_subkey(&self, data: &[u8]) -> Vec<u8> {
        let user = format!("{}!", self.subkey);
        self.gpg(now(), &["--local-user", &user, "--detach-sign"], data)
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // The agent would end by itself, but only some time after its home is gone.
        let _ = Command::new("gpgconf").arg("--homedir").arg(self.home.path()).args(["--kill", "all"]).output();
    }
}
