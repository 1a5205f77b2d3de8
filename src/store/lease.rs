//! Leases: locks that hold between machines. A store on a network file system has one beside each flock(2), which some
//! of these file systems keep on each machine alone.
//!
//! `locks/KEY.lease.N` is created by whoever takes the lock of KEY, and rewritten every [`BEAT`] with another text. Nobody
//! compares clocks: who waits sees for how long the file has not changed, by its own clock. A lease that stands still for
//! [`LEASE`] is void, and the next one is N + 1, so that every change of hands is a creation, which one process wins. On
//! one machine a lease is void as soon as its process is gone.

use super::Error;
use crate::base::{Key, files};
use nix::sys::statfs::statfs;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// How often a lease is renewed.
const BEAT: Duration = Duration::from_secs(10);
/// A lease that was not renewed for so long is void.
const LEASE: Duration = Duration::from_secs(60);
/// The variable that uses leases everywhere (`always`) or nowhere (`never`).
const VARIABLE: &str = "CROSSMILL_LEASES";
/// So many processes in a row that took a lease and vanished: another one will not be waited for.
const MOST: u32 = 8;
/// NFS, SMB, SMB 2 and later, CIFS: magic numbers of linux/magic.h.
const NETWORK: [u32; 4] = [0x6969, 0x517b, 0xfe53_4d42, 0xff53_4d42];

/// The text of a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Terms {
    /// The boot and the process-id namespace: where `pid` means something.
    place: String,
    host: String,
    pid: u32,
    /// When the process began, in ticks since the boot: process ids are used again.
    started: u64,
    /// What no other lease has.
    nonce: String,
    /// The number of renewals.
    beat: u64,
}

/// The leases of a store.
#[derive(Debug)]
pub(super) struct Leases {
    beat: Duration,
    lease: Duration,
    terms: Terms,
    // The leases of others, by key and number.
    seen: Mutex<BTreeMap<(Key, u32), Seen>>,
}

// The text of a lease, and since when it has not changed.
#[derive(Debug)]
struct Seen {
    text: Vec<u8>,
    since: Instant,
}

/// A lease of this process; dropping it gives it up.
#[derive(Debug)]
pub struct Lease {
    // Its own file, then those of void leases before it.
    paths: Vec<PathBuf>,
    lost: Arc<AtomicBool>,
    // Dropped, it ends the renewals.
    _renewals: mpsc::Sender<()>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.is_lost() {
            for path in &self.paths {
                // One that cannot be removed is void soon.
                let _: io::Result<()> = fs_err::remove_file(path);
            }
        }
    }
}

impl Lease {
    /// Returns whether another machine has taken it over, because this one was not heard of for too long.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Leases {
    /// Returns the leases of the store in `root`; `None` where flock(2) is enough.
    pub(super) fn of(root: &Path) -> io::Result<Option<Self>> {
        let wanted = match std::env::var(VARIABLE).as_deref() {
            Ok("always") => true,
            Ok("never") => false,
            _ => is_network(root),
        };
        if wanted { Ok(Some(Self::new(BEAT, LEASE)?)) } else { Ok(None) }
    }

    fn new(beat: Duration, lease: Duration) -> io::Result<Self> {
        let boot = fs_err::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let namespace = fs_err::read_link("/proc/self/ns/pid")?;
        let pid = std::process::id();
        let host = nix::sys::utsname::uname()?.nodename().to_string_lossy().into_owned();
        let terms = Terms {
            place: format!("{} {}", boot.trim(), namespace.display()),
            host,
            pid,
            started: started(pid).unwrap_or(0),
            nonce: String::new(),
            beat: 0,
        };
        Ok(Self { beat, lease, terms, seen: Mutex::default() })
    }

    /// Takes the lease of `key` in `locks`; otherwise returns its holder.
    pub(super) fn try_take(&self, locks: &Path, key: &Key) -> Result<Result<Lease, String>, Error> {
        let found = all(locks, key)?;
        if let Some((_, text)) = found.iter().find(|(number, text)| !self.is_void((*key, *number), text)) {
            return Ok(Err(holder(text)));
        }
        let number = found.last().map_or(0, |(number, _)| number + 1);
        let Some(mut lease) = self.create(path(locks, key, number))? else {
            return Ok(Err("another process".to_owned()));
        };
        // Meanwhile somebody else may have taken another number.
        let others = all(locks, key)?;
        if let Some((_, text)) = others.iter().find(|other| other.0 != number && !found.contains(other)) {
            return Ok(Err(holder(text)));
        }
        lease.paths.extend(found.iter().map(|(below, _)| path(locks, key, *below)));
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).retain(|(other, _), _| other != key);
        Ok(Ok(lease))
    }

    fn is_void(&self, which: (Key, u32), text: &[u8]) -> bool {
        if let Ok(terms) = serde_json::from_slice::<Terms>(text)
            && terms.place == self.terms.place
        {
            return started(terms.pid) != Some(terms.started);
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get(&which) {
            Some(seen) if seen.text == text => seen.since.elapsed() >= self.lease,
            _ => {
                seen.insert(which, Seen { text: text.to_owned(), since: Instant::now() });
                false
            }
        }
    }

    // `None` when somebody else was first.
    fn create(&self, path: PathBuf) -> Result<Option<Lease>, Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        let nonce = u128::from_le_bytes(bytes);
        let mut terms = Terms { nonce: format!("{nonce:032x}"), ..self.terms.clone() };
        if numbered(&path).is_none_or(|number| number >= MOST) {
            return Ok(None);
        }
        let mut file = match fs_err::OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        file.write_all(&text(&terms)?)?;
        file.sync_all()?;
        drop(file);
        let lost = Arc::new(AtomicBool::new(false));
        let (renewals, ended) = mpsc::channel::<()>();
        let (own, flag, beat) = (path.clone(), lost.clone(), self.beat);
        std::thread::spawn(move || {
            while ended.recv_timeout(beat) == Err(mpsc::RecvTimeoutError::Timeout) {
                terms.beat += 1;
                match renew(&own, &terms) {
                    Ok(true) => {}
                    Ok(false) => return flag.store(true, Ordering::Relaxed),
                    // A server that does not answer now may do so the next time.
                    Err(_) => {}
                }
            }
        });
        Ok(Some(Lease { paths: vec![path], lost, _renewals: renewals }))
    }
}

fn path(locks: &Path, key: &Key, number: u32) -> PathBuf {
    locks.join(format!("{key}.lease.{number}"))
}

// The numbers and texts of all leases of a key, void ones too.
fn all(locks: &Path, key: &Key) -> io::Result<Vec<(u32, Vec<u8>)>> {
    let mut found = Vec::new();
    for number in 0..MOST {
        found.extend(files::read_if_present(&path(locks, key, number))?.map(|text| (number, text)));
    }
    Ok(found)
}

fn text(terms: &Terms) -> io::Result<Vec<u8>> {
    serde_json::to_vec(terms).map_err(io::Error::from)
}

// `false` when it is not this process's any more: a later one exists, or it was removed.
fn renew(path: &Path, terms: &Terms) -> io::Result<bool> {
    let Some(found) = files::read_if_present(path)? else { return Ok(false) };
    let found = serde_json::from_slice::<Terms>(&found).ok();
    if found.is_some_and(|found| found.nonce != terms.nonce) || has_later(path) {
        return Ok(false);
    }
    let mut file = match fs_err::OpenOptions::new().write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    // Never shorter than before.
    file.write_all(&text(terms)?)?;
    file.sync_all()?;
    Ok(true)
}

fn numbered(path: &Path) -> Option<u32> {
    path.extension()?.to_str()?.parse().ok()
}

fn has_later(path: &Path) -> bool {
    let later = numbered(path).into_iter().flat_map(|number| number + 1..MOST);
    later.into_iter().any(|number| path.with_extension(number.to_string()).exists())
}

fn holder(text: &[u8]) -> String {
    match serde_json::from_slice::<Terms>(text) {
        Ok(terms) => crate::base::text::harmless(&format!("process {} on {}", terms.pid, terms.host)),
        Err(_) => "another process".to_owned(),
    }
}

// Field 22 of /proc/PID/stat; the name in brackets before it may have spaces.
fn started(pid: u32) -> Option<u64> {
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

fn is_network(root: &Path) -> bool {
    // The type has another width on each architecture; the numbers have 32 bits.
    statfs(root).is_ok_and(|found| NETWORK.contains(&(found.filesystem_type().0 as u32)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    fn leases(lease: Duration) -> Leases {
        Leases::new(SHORT, lease).unwrap()
    }

    // Leases of another machine.
    fn elsewhere(lease: Duration) -> Leases {
        let mut leases = leases(lease);
        leases.terms.place = "another boot".to_owned();
        leases.terms.host = "there".to_owned();
        leases
    }

    #[test]
    fn a_lease_has_one_holder_whoever_asks() {
        let dir = tempfile::tempdir().unwrap();
        let key = Key::of(b"x");
        let held = elsewhere(SHORT).try_take(dir.path(), &key).unwrap().unwrap();
        let here = leases(SHORT * 150);
        let began = Instant::now();
        while began.elapsed() < SHORT * 180 {
            let found = here.try_take(dir.path(), &key).unwrap().unwrap_err();
            assert_eq!(found, format!("process {} on there", std::process::id()));
            std::thread::sleep(SHORT / 2);
        }
        assert!(!held.is_lost());
        drop(held);
        let mine = here.try_take(dir.path(), &key).unwrap().unwrap();
        assert!(here.try_take(dir.path(), &key).unwrap().is_err());
        drop(mine);
        assert_eq!(files::names_in(dir.path()).unwrap(), [""; 0]);
    }

    #[test]
    fn a_lease_that_stands_still_is_taken_over_once_and_its_holder_learns_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let key = Key::of(b"x");
        // It beats too seldom.
        let mut there = elsewhere(SHORT);
        there.beat = SHORT * 20;
        let late = there.try_take(dir.path(), &key).unwrap().unwrap();
        let (one, two) = (leases(SHORT * 4), leases(SHORT * 4));
        let mut taken = Vec::new();
        while taken.is_empty() {
            taken.extend(one.try_take(dir.path(), &key).unwrap());
            taken.extend(two.try_take(dir.path(), &key).unwrap());
            std::thread::sleep(SHORT / 4);
        }
        assert_eq!(taken.len(), 1);
        while !late.is_lost() {
            std::thread::sleep(SHORT);
        }
        drop(late);
        assert!(!taken[0].is_lost() && one.try_take(dir.path(), &key).unwrap().is_err());
    }

    #[test]
    fn the_lease_of_a_process_that_is_gone_is_void_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let key = Key::of(b"x");
        let here = leases(LEASE);
        let gone = Terms { started: here.terms.started + 1, ..here.terms.clone() };
        fs_err::write(dir.path().join(format!("{key}.lease.0")), text(&gone).unwrap()).unwrap();
        let lease = here.try_take(dir.path(), &key).unwrap().unwrap();
        assert!(dir.path().join(format!("{key}.lease.1")).exists());
        drop(lease);
        assert_eq!(files::names_in(dir.path()).unwrap(), [""; 0]);
        // What cannot be understood is somebody's until it has stood still.
        fs_err::write(dir.path().join(format!("{key}.lease.0")), "{").unwrap();
        assert_eq!(here.try_take(dir.path(), &key).unwrap().unwrap_err(), "another process");
    }
}
