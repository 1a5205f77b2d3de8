//! A directory that is being filled with a source tree.
//!
//! Nothing is ever written outside of it, nor through a link, and no link
//! that it contains leads out: every entry is checked against those
//! before it, and the links are followed once all of them are known.

use super::Error;
use crate::base::decode::CHUNK;
use std::collections::HashMap;
use std::io::{Read, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

/// The unpacked tree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Files, links included.
    pub files: u64,
    /// Bytes of their contents.
    pub bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    /// With the time to set when everything is written; none if no entry named it.
    Dir(Option<SystemTime>),
    File(SystemTime),
    Link(PathBuf),
}

/// The tree below one directory.
pub(super) struct Tree<'a> {
    root: &'a Path,
    cancel: &'a AtomicBool,
    nodes: HashMap<PathBuf, Node>,
    counts: Unpacked,
    // The limit in bytes, and the figure that it is derived from.
    limit: Option<(u64, u64)>,
}

/// A recipe's figure is a rough one; twice as much, and this for a small one, is still believed.
const ROOM: u64 = 64 << 20;

impl<'a> Tree<'a> {
    /// Begins in `root`, which is created if missing and must be empty.
    pub(super) fn begin(root: &'a Path, cancel: &'a AtomicBool) -> Result<Self, Error> {
        fs_err::create_dir_all(root)?;
        if fs_err::read_dir(root)?.next().is_some() {
            return Err(refused(root, "the directory to unpack into is not empty"));
        }
        let nodes = HashMap::from([(PathBuf::new(), Node::Dir(None))]);
        Ok(Self { root, cancel, nodes, counts: Unpacked::default(), limit: None })
    }

    /// Ends when the tree grows far beyond the size that its recipe declares.
    pub(super) fn expect(&mut self, declared: u64) {
        self.limit = Some((declared.saturating_mul(2).saturating_add(ROOM), declared));
    }

    /// Whether the run was interrupted.
    pub(super) fn check_cancel(&self) -> Result<(), Error> {
        if self.cancel.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Adds a directory; one that is there already only gets its time.
    pub(super) fn dir(&mut self, path: &Path, mtime: SystemTime) -> Result<(), Error> {
        match self.nodes.get(path) {
            Some(Node::Dir(_)) => {}
            Some(_) => return Err(refused(path, "it comes twice, first as something else")),
            None => {
                self.parents(path)?;
                fs_err::create_dir(self.root.join(path))?;
            }
        }
        self.nodes.insert(path.to_owned(), Node::Dir(Some(mtime)));
        Ok(())
    }

    /// Adds a file with the content of `reader`. Of its mode only the execute bit is kept.
    pub(super) fn file(
        &mut self,
        path: &Path,
        executable: bool,
        mtime: SystemTime,
        reader: &mut dyn Read,
        read_failed: &dyn Fn(std::io::Error) -> Error,
    ) -> Result<(), Error> {
        self.claim(path)?;
        let full = self.root.join(path);
        let mut file = fs_err::File::create_new(&full).map_err(|error| disk(error, &full))?;
        let mut buffer = vec![0; CHUNK];
        loop {
            self.check_cancel()?;
            let count = match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(read_failed(error)),
            };
            let chunk = buffer.get(..count).ok_or_else(|| read_failed(std::io::ErrorKind::InvalidData.into()))?;
            file.write_all(chunk).map_err(|error| disk(error, &full))?;
            self.counts.bytes += count as u64;
            if let Some((limit, declared)) = self.limit
                && self.counts.bytes > limit
            {
                return Err(Error::TooLarge { archive: path.display().to_string(), limit, declared });
            }
        }
        file.set_permissions(std::fs::Permissions::from_mode(if executable { 0o555 } else { 0o444 }))?;
        file.set_modified(mtime)?;
        self.counts.files += 1;
        self.nodes.insert(path.to_owned(), Node::File(mtime));
        Ok(())
    }

    /// Adds a symbolic link. Where it leads is checked in [`finish`](Self::finish).
    pub(super) fn symlink(&mut self, path: &Path, target: &Path, mtime: SystemTime) -> Result<(), Error> {
        if target.as_os_str().is_empty() {
            return Err(refused(path, "it is a link to nothing"));
        }
        if target.is_absolute() {
            return Err(leads_out(path, target));
        }
        self.claim(path)?;
        let full = self.root.join(path);
        fs_err::os::unix::fs::symlink(target, &full).map_err(|error| disk(error, &full))?;
        set_link_time(&full, mtime)?;
        self.counts.files += 1;
        self.nodes.insert(path.to_owned(), Node::Link(target.to_owned()));
        Ok(())
    }

    /// Adds another name for a file that is in the tree already.
    pub(super) fn hard_link(&mut self, path: &Path, target: &Path) -> Result<(), Error> {
        let Some(Node::File(mtime)) = self.nodes.get(target).cloned() else {
            let why = format!("it is a hard link to `{}`, which is not a file of this archive", target.display());
            return Err(refused(path, why));
        };
        self.claim(path)?;
        fs_err::hard_link(self.root.join(target), self.root.join(path))?;
        self.counts.files += 1;
        self.nodes.insert(path.to_owned(), Node::File(mtime));
        Ok(())
    }

    /// Makes sure that `path` is new and its parents are directories of this tree.
    fn claim(&mut self, path: &Path) -> Result<(), Error> {
        if self.nodes.contains_key(path) {
            return Err(refused(path, "it comes twice"));
        }
        self.parents(path)
    }

    fn parents(&mut self, path: &Path) -> Result<(), Error> {
        let mut missing = Vec::new();
        for parent in path.ancestors().skip(1) {
            match self.nodes.get(parent) {
                Some(Node::Dir(_)) => break,
                Some(Node::Link(_)) => {
                    return Err(refused(path, format!("it would be written through the link `{}`", parent.display())));
                }
                Some(Node::File(_)) => return Err(refused(path, format!("`{}` is a file", parent.display()))),
                None => missing.push(parent),
            }
        }
        for parent in missing.into_iter().rev() {
            fs_err::create_dir(self.root.join(parent))?;
            self.nodes.insert(parent.to_owned(), Node::Dir(None));
        }
        Ok(())
    }

    /// Checks that every link stays inside; what is returned is still writable.
    pub(super) fn check_links(&self) -> Result<(), Error> {
        let mut links: Vec<_> = self.nodes.iter().filter(|(_, node)| matches!(node, Node::Link(_))).collect();
        links.sort_by_key(|(path, _)| *path);
        for (path, node) in links {
            if let Node::Link(target) = node
                && !self.stays_inside(path)
            {
                return Err(leads_out(path, target));
            }
        }
        Ok(())
    }

    /// Returns a link that dangles or goes in a circle leads nowhere, so not out.
    fn stays_inside(&self, link: &Path) -> bool {
        let followed = follow(link, |path| match self.nodes.get(path) {
            Some(Node::Link(target)) => Some(target),
            _ => None,
        });
        followed != Followed::Out
    }

    /// Returns the newest time of any file.
    fn newest(&self) -> SystemTime {
        let times = self.nodes.values().filter_map(|node| match node {
            Node::File(time) => Some(*time),
            _ => None,
        });
        times.max().unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// After patching: files that were there get back the time they had, so that
    /// make sees no reason to run autoconf or bison; new ones get the newest time
    /// of the tree, as they are mostly generated from others. No file is left writable.
    pub(super) fn settle_patched(&mut self) -> Result<(), Error> {
        let newest = self.newest();
        for dir in crate::base::files::directories(self.root)? {
            for entry in fs_err::read_dir(&dir)? {
                let full = entry?.path();
                let meta = fs_err::symlink_metadata(&full)?;
                let path = full.strip_prefix(self.root).unwrap_or(&full).to_owned();
                if meta.is_dir() {
                    self.nodes.entry(path).or_insert(Node::Dir(None));
                } else if meta.is_symlink() {
                    let target = fs_err::read_link(&full)?;
                    self.nodes.insert(path, Node::Link(target));
                } else {
                    let known = match self.nodes.get(&path) {
                        Some(Node::File(time)) => *time,
                        _ => newest,
                    };
                    if meta.modified()? != known {
                        fs_err::File::open(&full)?.set_modified(known)?;
                    }
                    let mode = if meta.permissions().mode() & 0o100 == 0 { 0o444 } else { 0o555 };
                    if meta.permissions().mode() & 0o7777 != mode {
                        fs_err::set_permissions(&full, std::fs::Permissions::from_mode(mode))?;
                    }
                    self.nodes.insert(path, Node::File(known));
                }
            }
        }
        self.nodes.retain(|path, _| fs_err::symlink_metadata(self.root.join(path)).is_ok());
        self.check_links()
    }

    /// Sets the directories' times and takes their write bits.
    pub(super) fn finish(self) -> Result<Unpacked, Error> {
        let newest = self.newest();
        for (path, node) in &self.nodes {
            if let Node::Dir(mtime) = node {
                let dir = fs_err::File::open(self.root.join(path))?;
                dir.set_modified(mtime.unwrap_or(newest))?;
                dir.set_permissions(std::fs::Permissions::from_mode(0o555))?;
            }
        }
        Ok(self.counts)
    }

    /// The entries so far.
    pub(super) fn counts(&self) -> Unpacked {
        self.counts
    }
}

/// Resolved location of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Followed {
    /// To this one, which is no link and passes none.
    To(PathBuf),
    /// Out of the tree.
    Out,
    /// Round and round.
    Circle,
}

/// Follows `path` through all links on its way; `link_of` returns the target of a link.
pub(super) fn follow<'l>(path: &'l Path, link_of: impl Fn(&Path) -> Option<&'l PathBuf>) -> Followed {
    let mut todo: Vec<&std::ffi::OsStr> = path.iter().rev().collect();
    let mut at = PathBuf::new();
    let mut links = 0;
    while let Some(part) = todo.pop() {
        if part == ".." {
            if !at.pop() {
                return Followed::Out;
            }
        } else if part != "." {
            at.push(part);
        }
        if let Some(target) = link_of(&at) {
            links += 1;
            if links > 40 {
                return Followed::Circle;
            }
            if target.is_absolute() {
                return Followed::Out;
            }
            at.pop();
            todo.extend(target.iter().rev());
        }
    }
    Followed::To(at)
}

/// Returns the path of an entry inside the tree: its plain components without the first `strip`.
/// `None` for a directory that is stripped away whole.
pub(super) fn inner_path(name: &[u8], strip: u32, is_dir: bool) -> Result<Option<PathBuf>, Error> {
    let path = Path::new(std::ffi::OsStr::from_bytes(name));
    if name.contains(&0) {
        return Err(refused(path, "its name contains a zero byte"));
    }
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => parts.push(part),
            Component::CurDir => {}
            Component::ParentDir => return Err(refused(path, "its path contains `..`")),
            Component::RootDir | Component::Prefix(_) => return Err(refused(path, "its path is absolute")),
        }
    }
    let inner: PathBuf = parts.iter().skip(strip as usize).collect();
    match inner.as_os_str().is_empty() {
        false => Ok(Some(inner)),
        true if is_dir => Ok(None),
        true => Err(refused(path, format!("it has no {strip} leading directories to drop (see `strip`)"))),
    }
}

/// Seconds since 1970 as a file time; a time that no file system can represent is 0.
pub(super) fn time_of(seconds: u64) -> SystemTime {
    // Year 2242: what is above is no date of a release.
    let seconds = if seconds < 1 << 33 { seconds } else { 0 };
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn set_link_time(path: &Path, mtime: SystemTime) -> Result<(), Error> {
    use nix::sys::stat::{UtimensatFlags, utimensat};
    use nix::sys::time::TimeSpec;
    let since = mtime.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let time = TimeSpec::from_duration(since);
    utimensat(nix::fcntl::AT_FDCWD, path, &time, &time, UtimensatFlags::NoFollowSymlink)
        .map_err(|errno| std::io::Error::other(format!("failed to set the time of `{}`: {errno}", path.display())))?;
    Ok(())
}

pub(super) fn refused(entry: &Path, why: impl Into<String>) -> Error {
    Error::Refused { entry: entry.display().to_string(), why: why.into() }
}

fn leads_out(path: &Path, target: &Path) -> Error {
    refused(path, format!("it is a link to `{}`, outside of the tree", target.display()))
}

/// Distinguishes a full disk from other write errors.
pub(super) fn disk(error: std::io::Error, path: &Path) -> Error {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            Error::DiskFull { path: path.to_owned() }
        }
        _ => Error::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_apart() {
        let mut full = fs_err::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let error = disk(full.write_all(b"x").unwrap_err(), Path::new("/cache/partial/x"));
        assert!(matches!(error, Error::DiskFull { .. }), "{error}");
    }
}
