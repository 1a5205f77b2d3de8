//! From what was named (files, archives, directories) to reports, in parallel.

use super::{Report, examine};
use crate::base::rule::Finding;
use crate::base::{Diagnose, Diagnostic};
use crate::debuginfo::elf;
use crate::debuginfo::input::{self, Input};
use crate::debuginfo::sframe::rules::UNREADABLE;
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

const ARCHIVE: &[u8] = b"!<arch>\n";
const THIN: &[u8] = b"!<thin>\n";
const ELF: &[u8] = b"\x7fELF";

/// Why something that was named cannot be checked at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be opened or listed.
    #[error(transparent)]
    Input(#[from] input::Error),
    /// A directory that cannot be listed.
    #[error("cannot list {path}")]
    List {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Neither ELF nor an archive.
    #[error("{path} is neither an ELF file nor an archive of such")]
    Kind {
        /// The file.
        path: PathBuf,
    },
    /// A damaged ELF file.
    #[error("cannot read {path}")]
    Elf {
        /// The file.
        path: PathBuf,
        /// Why.
        source: elf::Error,
    },
    /// A damaged archive.
    #[error("cannot read the archive {path}: {why}")]
    Archive {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Nothing to look at.
    #[error("no ELF file in {paths}")]
    Nothing {
        /// The file as named.
        paths: String,
    },
}

impl Diagnose for Error {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Kind { .. } => vec!["name .o, .ko, .so, .a, vmlinux or a directory of these".to_owned()],
            _ => Vec::new(),
        }
    }
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Diagnostic { hints: error.hints(), ..Self::from_error(&error) }
    }
}

/// Its result.
#[derive(Debug, Default)]
pub struct ScanResult {
    /// Of every ELF file and member, in the order of names.
    pub reports: Vec<Report>,
    /// Files of directories that are no ELF files.
    pub others: u64,
}

/// Told while it runs.
pub trait Progress: Sync {
    /// So many of so many files are done.
    fn done(&self, done: usize, of: usize);
}

impl Progress for () {
    fn done(&self, _: usize, _: usize) {}
}

struct Item {
    path: PathBuf,
    /// Named by the user, not found in a directory.
    named: bool,
}

/// Checks everything that is named.
pub fn scan(paths: &[PathBuf], progress: &dyn Progress) -> Result<ScanResult, Error> {
    let items = collect(paths)?;
    let done = AtomicUsize::new(0);
    let results: Vec<Result<Vec<Report>, Error>> = items
        .par_iter()
        .map(|item| {
            let reports = one(item);
            progress.done(done.fetch_add(1, Ordering::Relaxed) + 1, items.len());
            reports
        })
        .collect();
    let mut scan = ScanResult::default();
    for (result, item) in results.into_iter().zip(&items) {
        match result {
            Ok(reports) => {
                scan.others += u64::from(reports.is_empty() && !item.named);
                scan.reports.extend(reports);
            }
            Err(error) if item.named => return Err(error),
            Err(error) => scan.reports.push(unreadable(item.path.display().to_string(), &error)),
        }
    }
    if scan.reports.is_empty() {
        let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(Error::Nothing { paths: paths.join(", ") });
    }
    Ok(scan)
}

fn unreadable(name: String, error: &(dyn std::error::Error + 'static)) -> Report {
    let mut report = Report { name, ..Report::default() };
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    report.findings.add(&UNREADABLE, || Finding::new(&UNREADABLE, words));
    report
}

fn collect(paths: &[PathBuf]) -> Result<Vec<Item>, Error> {
    let mut items = Vec::new();
    for path in paths {
        if fs_err::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
            items.extend(walk(path)?.into_iter().map(|path| Item { path, named: false }));
        } else {
            items.push(Item { path: path.clone(), named: true });
        }
    }
    Ok(items)
}

// All regular files below a directory, by name. Links are not followed: they could lead in a circle.
fn walk(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    let mut todo = vec![root.to_owned()];
    while let Some(dir) = todo.pop() {
        let fail = |source| Error::List { path: dir.clone(), source };
        for entry in fs_err::read_dir(&dir).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let kind = entry.file_type().map_err(fail)?;
            if kind.is_dir() {
                todo.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

fn is_compressed_module(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    [".ko.xz", ".ko.zst", ".ko.gz"].iter().any(|suffix| name.ends_with(suffix))
}

fn one(item: &Item) -> Result<Vec<Report>, Error> {
    // Of a directory's compressed files only modules are of interest.
    let input = if item.named || is_compressed_module(&item.path) {
        Input::open(&item.path)?
    } else {
        Input::open_as_stored(&item.path)?
    };
    let bytes = input.bytes();
    let name = item.path.display().to_string();
    if bytes.starts_with(ARCHIVE) || (item.named && bytes.starts_with(THIN)) {
        return archive(item, bytes);
    }
    if bytes.starts_with(ELF) {
        let report = examine(&name, bytes).map_err(|source| Error::Elf { path: item.path.clone(), source })?;
        return Ok(vec![report]);
    }
    // The members of a thin archive in a directory are files of their own.
    if item.named { Err(Error::Kind { path: item.path.clone() }) } else { Ok(Vec::new()) }
}

fn archive(item: &Item, bytes: &[u8]) -> Result<Vec<Report>, Error> {
    let fail = |error: object::read::Error| Error::Archive { path: item.path.clone(), why: error.to_string() };
    let file = object::read::archive::ArchiveFile::parse(bytes).map_err(fail)?;
    let mut members = Vec::new();
    for member in file.members() {
        members.push(member.map_err(fail)?);
    }
    let reports: Vec<Option<Report>> = members
        .par_iter()
        .map(|member| {
            let inside = String::from_utf8_lossy(member.name()).into_owned();
            let name = format!("{}({inside})", item.path.display());
            if member.is_thin() {
                let path = item.path.parent().unwrap_or(Path::new("")).join(&inside);
                return match Input::open(&path) {
                    Ok(input) => report(name, input.bytes()),
                    Err(error) => Some(unreadable(name, &error)),
                };
            }
            match member.data(bytes) {
                Ok(data) => report(name, data),
                Err(error) => Some(unreadable(name, &error)),
            }
        })
        .collect();
    Ok(reports.into_iter().flatten().collect())
}

fn report(name: String, bytes: &[u8]) -> Option<Report> {
    if !bytes.starts_with(ELF) {
        return None;
    }
    Some(examine(&name, bytes).unwrap_or_else(|error| unreadable(name, &error)))
}
