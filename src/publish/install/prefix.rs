//! The directory that archives are installed into, and the records of those that are.
//!
//! | path | contents |
//! |---|---|
//! | `gcc-16.2.0-nolibc/aarch64-linux/` | an archive, as it was packed |
//! | `.crossmill/installed/NAME.json` | its record |
//! | `.crossmill/work/` | trees on their way in and out |
//! | `.crossmill/cache/` | downloads |
//! | `.crossmill/lock` | locked while something is changed |

use super::super::Error;
use super::super::index::is_inside;
use crate::base::{Sha256, Version, files};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// crossmill's own directory in it.
pub const OWN: &str = ".crossmill";

/// An archive that is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// [`SCHEMA`]
    pub schema: u32,
    /// Its name without an ending.
    pub name: String,
    /// The kind of archive.
    pub kind: String,
    /// The version that it is named after.
    pub version: Option<Version>,
    /// The machine that its programs run on.
    pub host: String,
    /// The triples that it has tools for.
    pub triples: Vec<String>,
    /// The targets that it is for.
    pub targets: Vec<String>,
    /// Its directory below the prefix.
    pub prefix: PathBuf,
    /// URL or directory that it was installed from.
    pub from: String,
    /// The digest of the file that was unpacked.
    pub sha256: Sha256,
    /// The key that signed the index; none if no signature was verified.
    pub signed_by: Option<String>,
    /// RFC 3339, UTC.
    pub installed_at: String,
}

/// The version of its shape.
pub const SCHEMA: u32 = 1;

impl Record {
    /// Returns whether the user may mean it by `name`.
    #[must_use]
    pub fn is_for(&self, name: &str) -> bool {
        let is_arch = |triple: &String| triple.split_once('-').is_some_and(|(arch, _)| arch == name);
        self.name == name
            || self.triples.iter().any(|triple| triple == name || is_arch(triple))
            || self.targets.iter().any(|target| target == name)
    }
}

/// The directory.
#[derive(Debug, Clone)]
pub struct Prefix {
    /// Its path; absolute.
    pub path: PathBuf,
}

/// Held while something in a prefix is changed.
#[derive(Debug)]
pub struct Locked<'a> {
    prefix: &'a Prefix,
    _lock: std::fs::File,
}

impl Prefix {
    /// Returns the prefix at `path`, which need not exist.
    pub fn new(path: &Path) -> Result<Self, Error> {
        Ok(Self { path: std::path::absolute(path)? })
    }

    /// Returns what is installed, in the order of the names.
    pub fn records(&self) -> Result<Vec<Record>, Error> {
        let dir = self.own("installed");
        let mut records = Vec::new();
        for name in files::names_in(&dir)?.iter().filter(|name| name.ends_with(".json")) {
            let path = dir.join(name);
            let refuse = |why: String| Error::Index { path: path.display().to_string(), why };
            let record: Record =
                serde_json::from_slice(&fs_err::read(&path)?).map_err(|error| refuse(error.to_string()))?;
            if record.schema != SCHEMA || !is_inside(&record.prefix.display().to_string()) {
                return Err(refuse("it is not a record of this version".to_owned()));
            }
            records.push(record);
        }
        Ok(records)
    }

    /// Waits until nobody else changes it, and removes what an interrupted command left.
    pub fn lock(&self) -> Result<Locked<'_>, Error> {
        fs_err::create_dir_all(self.own(""))?;
        let lock = fs_err::File::create(self.own("lock"))?.into_parts().0;
        lock.lock()?;
        files::remove_tree(&self.own("work"))?;
        Ok(Locked { prefix: self, _lock: lock })
    }

    /// Returns the directory of downloads.
    pub fn cache(&self) -> PathBuf {
        self.own("cache")
    }

    fn own(&self, name: &str) -> PathBuf {
        self.path.join(OWN).join(name)
    }

    fn record_file(&self, name: &str) -> PathBuf {
        self.own("installed").join(format!("{name}.json"))
    }
}

impl Locked<'_> {
    /// Checks that nothing is where `inside` is to be, and that no link leads elsewhere on the way there.
    pub fn check_free(&self, inside: &Path, records: &[Record]) -> Result<(), Error> {
        let is_around = |record: &&Record| record.prefix.starts_with(inside) || inside.starts_with(&record.prefix);
        if let Some(record) = records.iter().find(is_around) {
            let why = format!("belongs to `{}`, which is installed", record.name);
            return Err(Error::Occupied { path: self.prefix.path.join(inside), why });
        }
        let mut at = self.prefix.path.clone();
        for part in inside.components() {
            at.push(part);
            let refuse = |why: &str| Error::Occupied { path: at.clone(), why: why.to_owned() };
            match files::lstat(&at)? {
                None => return Ok(()),
                Some(_) if at == self.prefix.path.join(inside) => {
                    return Err(refuse("exists and was not installed by crossmill"));
                }
                Some(meta) if meta.is_symlink() => return Err(refuse("is a symbolic link")),
                Some(meta) if !meta.is_dir() => return Err(refuse("is not a directory")),
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Returns an empty place for a tree on its way.
    pub fn work(&self, name: &str) -> Result<PathBuf, Error> {
        fs_err::create_dir_all(self.prefix.own("work"))?;
        Ok(self.prefix.own("work").join(name))
    }

    /// Moves the unpacked tree at `unpacked` to its place and records it. It contains `record.prefix` and nothing else.
    pub fn place(&self, unpacked: &Path, record: &Record) -> Result<(), Error> {
        check_only(unpacked, record)?;
        make_writable(unpacked)?;
        files::flush_disk_of(unpacked)?;
        let to = self.prefix.path.join(&record.prefix);
        if let Some(parent) = to.parent() {
            fs_err::create_dir_all(parent)?;
        }
        fs_err::rename(unpacked.join(&record.prefix), &to)?;
        let text = serde_json::to_string_pretty(record).map_err(std::io::Error::other)?;
        let written = files::write_atomic(&self.prefix.record_file(&record.name), format!("{text}\n").as_bytes());
        if written.is_err() {
            // Without its record nobody could remove it.
            files::remove_tree(&to)?;
        }
        written?;
        Ok(files::remove_tree(unpacked)?)
    }

    /// Removes an installed archive, and the directories around it that are empty then.
    pub fn remove(&self, record: &Record) -> Result<(), Error> {
        let at = self.prefix.path.join(&record.prefix);
        let gone = self.work(&format!("removed-{}", record.name))?;
        match fs_err::rename(&at, &gone) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        fs_err::remove_file(self.prefix.record_file(&record.name))?;
        files::remove_tree(&gone)?;
        for parent in at.ancestors().skip(1).take_while(|parent| *parent != self.prefix.path) {
            if fs_err::remove_dir(parent).is_err() {
                break;
            }
        }
        Ok(())
    }
}

// Each directory on the way to the prefix has one entry.
fn check_only(unpacked: &Path, record: &Record) -> Result<(), Error> {
    let mut at = unpacked.to_owned();
    for part in record.prefix.components() {
        let names = files::names_in(&at)?;
        let is_only = matches!(&names[..], [one] if std::ffi::OsStr::new(one) == part.as_os_str());
        at.push(part);
        if !is_only || !fs_err::symlink_metadata(&at)?.is_dir() {
            let why = format!("it should contain `{}` and nothing else", record.prefix.display());
            return Err(Error::Unverified { what: record.name.clone(), why });
        }
    }
    Ok(())
}

// Source trees are read-only; what the user installs is the user's.
fn make_writable(tree: &Path) -> Result<(), Error> {
    for dir in files::directories(tree)? {
        fs_err::set_permissions(&dir, std::fs::Permissions::from_mode(0o755))?;
        for entry in fs_err::read_dir(&dir)? {
            let path = entry?.path();
            let meta = fs_err::symlink_metadata(&path)?;
            if meta.is_file() {
                let mode = if meta.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 };
                fs_err::set_permissions(&path, std::fs::Permissions::from_mode(mode))?;
            }
        }
    }
    Ok(())
}
