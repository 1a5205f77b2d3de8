//! Archives of a release, fetched, verified and unpacked into a prefix. Nothing is unpacked before its digest was compared
//! with that of a signed index, and nothing is moved into the prefix before all of it is unpacked.

pub mod catalogue;
pub mod origin;
pub mod prefix;
pub mod trust;

use super::Error;
use super::archive::Digested;
use super::index;
use crate::base::{Sha256, decode};
use crate::source::{self, Fetcher, Progress};
use catalogue::Offer;
use origin::Origin;
use prefix::{Locked, Prefix, Record};
use sha2::Digest as _;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// The index of a release.
const INDEX: &str = index::FILE;
/// kernel.org's clear-signed list of sums.
const SUMS: &str = "sha256sums.asc";
/// Limit of the unpacked size for an archive whose index does not give one, as a multiple of its compressed size; xz compresses a toolchain to a ninth.
const MOST_GROWTH: u64 = 40;

/// Result of an installation.
#[derive(Debug, Clone)]
pub struct Installed {
    /// The record in the prefix.
    pub record: Record,
    /// Whether it was installed before.
    pub existed: bool,
}

/// Settings of an installation.
#[derive(Debug)]
pub struct Installation<'a> {
    /// Origin of the archives.
    pub origin: &'a Origin,
    /// Downloads.
    pub fetcher: &'a Fetcher,
    /// The key that signed the index.
    pub signed_by: Option<&'a str>,
    /// Prefix that they are installed in.
    pub prefix: &'a Prefix,
}

impl Installation<'_> {
    /// Installs an archive unless it is installed.
    pub async fn install(&self, offer: &Offer, progress: &dyn Progress) -> Result<Installed, Error> {
        let locked = self.prefix.lock()?;
        let records = self.prefix.records()?;
        if let Some(record) = records.iter().find(|record| record.name == offer.name) {
            let is_there = self.prefix.path.join(&record.prefix).is_dir();
            if record.sha256 == offer.sha256 && is_there {
                return Ok(Installed { record: record.clone(), existed: true });
            }
            let why = if is_there { "is installed with other bytes" } else { "was installed and is gone" };
            return Err(Error::Occupied { path: self.prefix.path.join(&record.prefix), why: why.to_owned() });
        }
        if offer.prefix.starts_with(prefix::OWN) {
            let why = format!("`{}` is not a directory for an archive", offer.prefix.display());
            return Err(Error::Index { path: self.origin.place(INDEX), why });
        }
        locked.check_free(&offer.prefix, &records)?;
        self.check_space(offer)?;
        let record = self.unpack(&locked, offer, progress).await?;
        Ok(Installed { record, existed: false })
    }

    async fn unpack(&self, locked: &Locked<'_>, offer: &Offer, progress: &dyn Progress) -> Result<Record, Error> {
        let spec = self.origin.source(&offer.file, offer.sha256, offer.bytes)?;
        let candidates = [spec];
        let fetched = self.fetcher.fetch(&candidates, progress).await.map_err(|error| lie(error, &offer.file))?;
        let [spec] = &candidates;
        let file = self
            .fetcher
            .file(&fetched)
            .ok_or_else(|| Error::Unverified { what: offer.file.clone(), why: "it is not one file".to_owned() })?;
        let unpacked = locked.work(&offer.name)?;
        let unpack = || -> Result<Record, Error> {
            if let Some(want) = offer.tar {
                check_tar(&file, &offer.name, want)?;
            }
            let limit = match offer.unpacked_bytes {
                Some(bytes) => bytes,
                None => fs_err::metadata(&file)?.len().saturating_mul(MOST_GROWTH),
            };
            self.fetcher.unpack(spec, &fetched, &[], Some(limit), &unpacked, &AtomicBool::new(false), &|_, _| {})?;
            let record = self.record(offer);
            locked.place(&unpacked, &record)?;
            Ok(record)
        };
        let result = unpack();
        if result.is_err() {
            // Best effort: the next command removes it, too.
            let _ = crate::base::files::remove_tree(&unpacked);
        }
        if !matches!(&result, Err(Error::Source(source::Error::DiskFull { .. }))) {
            self.fetcher.forget(spec, Some(&fetched))?;
        }
        result
    }

    fn record(&self, offer: &Offer) -> Record {
        Record {
            schema: prefix::SCHEMA,
            name: offer.name.clone(),
            kind: offer.kind.clone(),
            version: offer.version.clone(),
            host: offer.host.clone(),
            triples: offer.triples.clone(),
            targets: offer.targets.clone(),
            prefix: offer.prefix.clone(),
            from: self.origin.to_string(),
            sha256: offer.sha256,
            signed_by: self.signed_by.map(str::to_owned),
            installed_at: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        }
    }

    // The archive and what is unpacked of it are in the prefix at the same time.
    fn check_space(&self, offer: &Offer) -> Result<(), Error> {
        let (Some(bytes), Some(unpacked)) = (offer.bytes, offer.unpacked_bytes) else { return Ok(()) };
        let stat = nix::sys::statvfs::statvfs(&self.prefix.path).map_err(std::io::Error::from)?;
        let free = stat.blocks_available().saturating_mul(stat.fragment_size());
        let need = bytes.saturating_add(unpacked);
        if need > free {
            return Err(Error::NoSpace { path: self.prefix.path.clone(), need, free });
        }
        Ok(())
    }
}

// A file that is not what the index lists is the index's fault or the file's, and no recipe's.
fn lie(error: source::Error, path: &str) -> Error {
    let differs = |want: String, got: String| Error::Mismatch { path: path.to_owned(), want, got };
    match error {
        source::Error::Exhausted { mut failures } if failures.len() == 1 => lie(failures.remove(0).error, path),
        source::Error::Mismatch { want, got, .. } => differs(format!("SHA-256 {want}"), format!("SHA-256 {got}")),
        source::Error::Size { want, got, .. } => differs(format!("{want} bytes"), format!("{got} bytes")),
        other => other.into(),
    }
}

fn check_tar(file: &Path, name: &str, want: Digested) -> Result<(), Error> {
    let broken =
        |error: std::io::Error| Error::Unverified { what: name.to_owned(), why: format!("it cannot be read: {error}") };
    let mut tar = decode::decoder(fs_err::File::open(file)?).map_err(broken)?;
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        match tar.read(&mut buffer).map_err(broken)? {
            0 => break,
            count => {
                hasher.update(buffer.get(..count).unwrap_or_default());
                bytes += count as u64;
            }
        }
        // An archive that grows without an end.
        if bytes > want.bytes {
            break;
        }
    }
    let got = Sha256::from_bytes(hasher.finalize().into());
    if (got, bytes) == (want.sha256, want.bytes) {
        return Ok(());
    }
    let differs = |it: Sha256| format!("SHA-256 {it}");
    Err(Error::Mismatch { path: format!("{name}.tar"), want: differs(want.sha256), got: differs(got) })
}
