//! Sources the user has on this machine: `--source gcc=/path`.

use super::cache::{self, Cache, LocalRecord};
use super::tree::{self, Tree};
use super::{Error, git, unpack};
use crate::base::decode::CHUNK;
use crate::base::{Key, Sha256};
use sha2::Digest as _;
use std::collections::BTreeSet;
use std::io::{Read, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// The recorded digest of a file that is still what it was, as far as its
/// size, time and inode identify, if the cache has it.
pub(super) fn known(cache: &Cache, path: &Path) -> Result<Option<(Sha256, u64)>, Error> {
    let Some(record) = cache::read_json::<LocalRecord>(&cache.local(path))? else { return Ok(None) };
    let now = record_of(path, record.sha256);
    let size = cache.has(record.sha256, Some(record.size))?;
    Ok(size.filter(|_| now.as_ref() == Some(&record)).map(|size| (record.sha256, size)))
}

fn record_of(path: &Path, sha256: Sha256) -> Option<LocalRecord> {
    let meta = fs_err::metadata(path).ok()?;
    Some(LocalRecord {
        path: path.to_owned(),
        size: meta.len(),
        mtime: (meta.mtime(), meta.mtime_nsec()),
        inode: meta.ino(),
        sha256,
    })
}

/// Copies a file to `partial` and hashes what it copies. It is never linked:
/// an edit of the user's file would change the cache.
pub(super) fn copy_file(path: &Path, partial: &Path, cancel: &AtomicBool) -> Result<Sha256, Error> {
    if let Some(dir) = partial.parent() {
        fs_err::create_dir_all(dir)?;
    }
    let mut from = fs_err::File::open(path)?;
    let mut to = fs_err::File::create(partial)?;
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; 4 * CHUNK];
    loop {
        if cancel.load(Ordering::Relaxed) {
            return Err(Error::Cancelled);
        }
        match from.read(&mut buffer)? {
            0 => return Ok(Sha256::from_bytes(hasher.finalize().into())),
            count => {
                let chunk = buffer.get(..count).unwrap_or_default();
                hasher.update(chunk);
                to.write_all(chunk).map_err(|error| tree::disk(error, partial))?;
            }
        }
    }
}

/// Remembers what a file was when it was hashed.
pub(super) fn remember(cache: &Cache, path: &Path, sha256: Sha256) -> Result<(), Error> {
    match record_of(path, sha256) {
        Some(record) => cache::write_json(&cache.local(path), &record),
        None => Ok(()),
    }
}

/// The type of a directory entry.
enum Kind {
    Dir,
    File { executable: bool },
    Link(PathBuf),
}

/// Returns the files of `dir` that are its source, as paths relative to it, in the order of their bytes: everything but `.git`, and
/// of a git work tree only what git tracks and what is new and not ignored.
fn walk(dir: &Path) -> Result<Vec<(PathBuf, Kind)>, Error> {
    let mut found = Vec::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(inner) = todo.pop() {
        let here = dir.join(&inner);
        // In a linked worktree or a submodule `.git` is a file.
        if inner.as_os_str().is_empty() && fs_err::symlink_metadata(here.join(".git")).is_ok() {
            tracked(dir, &mut found)?;
            continue;
        }
        for entry in fs_err::read_dir(&here)? {
            let entry = entry?;
            if entry.file_name() == ".git" {
                continue;
            }
            let path = inner.join(entry.file_name());
            let kind = kind_of(&entry.path())?;
            if matches!(kind, Kind::Dir) {
                todo.push(path.clone());
            }
            found.push((path, kind));
        }
    }
    found.sort_by(|(a, _), (b, _)| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
    Ok(found)
}

fn kind_of(path: &Path) -> Result<Kind, Error> {
    let meta = fs_err::symlink_metadata(path)?;
    if meta.is_dir() {
        Ok(Kind::Dir)
    } else if meta.is_symlink() {
        Ok(Kind::Link(fs_err::read_link(path)?))
    } else if meta.is_file() {
        Ok(Kind::File { executable: meta.permissions().mode() & 0o111 != 0 })
    } else {
        Err(tree::refused(path, "it is neither a file, a directory nor a link"))
    }
}

/// Returns the files that git tracks in the work tree `root`, and of the submodules in it.
fn tracked(root: &Path, found: &mut Vec<(PathBuf, Kind)>) -> Result<(), Error> {
    let mut dirs = BTreeSet::new();
    let mut trees = vec![PathBuf::new()];
    while let Some(inner) = trees.pop() {
        for name in git::files_of(&root.join(&inner))? {
            let path: PathBuf = inner.join(name).components().collect();
            match kind_of(&root.join(&path)) {
                // A submodule; one that is not checked out is an empty directory.
                Ok(Kind::Dir) if root.join(&path).join(".git").exists() => trees.push(path.clone()),
                Ok(Kind::Dir) => {}
                // Tracked and deleted.
                Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => continue,
                kind => found.push((path.clone(), kind?)),
            }
            dirs.extend(path.ancestors().skip(1).filter(|dir| !dir.as_os_str().is_empty()).map(Path::to_owned));
        }
    }
    found.extend(dirs.into_iter().map(|dir| (dir, Kind::Dir)));
    Ok(())
}

/// Hashes a tree: for every entry its kind (`d`, `f`, `x`, `l`), its path, and
/// its content or target, each preceded by its length (8 bytes, little endian).
struct TreeHasher(blake3::Hasher);

impl TreeHasher {
    fn new() -> Self {
        Self(blake3::Hasher::new_derive_key("crossmill source tree v1"))
    }

    fn text(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn entry(&mut self, path: &Path, kind: &Kind) {
        let letter = match kind {
            Kind::Dir => b"d",
            Kind::File { executable: false } => b"f",
            Kind::File { executable: true } => b"x",
            Kind::Link(_) => b"l",
        };
        self.0.update(letter);
        self.text(path.as_os_str().as_bytes());
        if let Kind::Link(target) = kind {
            self.text(target.as_os_str().as_bytes());
        }
    }

    /// A content is counted by its own hash, as its length is only known after it was read.
    fn content(&mut self, content: &blake3::Hasher) {
        self.0.update(content.finalize().as_bytes());
    }

    fn finish(&self) -> String {
        format!("tree:{}", Key::from_bytes(*self.0.finalize().as_bytes()))
    }
}

struct Hashed<R> {
    reader: R,
    hasher: blake3::Hasher,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let count = self.reader.read(buf)?;
        self.hasher.update(buf.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// Returns the digest of a directory: `tree:` and 64 digits. Times do not count.
pub(super) fn digest(dir: &Path, cancel: &AtomicBool) -> Result<String, Error> {
    let mut hasher = TreeHasher::new();
    for (path, kind) in walk(dir)? {
        if cancel.load(Ordering::Relaxed) {
            return Err(Error::Cancelled);
        }
        hasher.entry(&path, &kind);
        if let Kind::File { .. } = kind {
            let mut content = Hashed { reader: fs_err::File::open(dir.join(&path))?, hasher: blake3::Hasher::new() };
            std::io::copy(&mut content, &mut std::io::sink())?;
            hasher.content(&content.hasher);
        }
    }
    Ok(hasher.finish())
}

/// Copies a directory into `dest` and verifies that it still has the digest `want`.
pub(super) fn copy_tree(
    dir: &Path,
    want: &str,
    wanted: &[unpack::Wanted<'_>],
    dest: &Path,
    cancel: &AtomicBool,
    progress: &dyn Fn(u64, u64),
) -> Result<tree::Unpacked, Error> {
    let patches = unpack::texts(wanted, &dir.display().to_string())?;
    let mut tree = Tree::begin(dest, cancel)?;
    let mut hasher = TreeHasher::new();
    let entries = walk(dir)?;
    let all = entries.len() as u64;
    for (done, (path, kind)) in entries.into_iter().enumerate() {
        tree.check_cancel()?;
        hasher.entry(&path, &kind);
        let from = dir.join(&path);
        // Whole seconds, as an archive of the tree would have them.
        let mtime = tree::time_of(u64::try_from(fs_err::symlink_metadata(&from)?.mtime()).unwrap_or(0));
        match kind {
            Kind::Dir => tree.dir(&path, mtime)?,
            Kind::Link(target) => tree.symlink(&path, &target, mtime)?,
            Kind::File { executable } => {
                let mut content = Hashed { reader: fs_err::File::open(&from)?, hasher: blake3::Hasher::new() };
                tree.file(&path, executable, mtime, &mut content, &Error::Io)?;
                hasher.content(&content.hasher);
            }
        }
        progress(done as u64 + 1, all);
    }
    let got = hasher.finish();
    if got != want {
        return Err(Error::TreeChanged { path: dir.to_owned(), want: want.to_owned(), got });
    }
    unpack::finish(tree, dest, &patches)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(dir.path().join("sub/.git")).unwrap();
        fs_err::write(dir.path().join("sub/file"), "text").unwrap();
        fs_err::write(dir.path().join("sub.txt"), "").unwrap();
        fs_err::os::unix::fs::symlink("sub/file", dir.path().join("link")).unwrap();
        dir
    }

    fn digest_of(dir: &tempfile::TempDir) -> String {
        digest(dir.path(), &AtomicBool::new(false)).unwrap()
    }

    #[test]
    fn the_digest_is_of_paths_modes_and_contents_alone() {
        let dir = sample();
        let before = digest_of(&dir);
        assert_eq!(before, "tree:028fccd04d6abf87c940e905f233038b309d0e75c3ac71afb566bc89ac9ed836");
        fs_err::write(dir.path().join("sub/.git/HEAD"), "x").unwrap();
        let file = fs_err::File::options().write(true).open(dir.path().join("sub/file")).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(digest_of(&dir), before);
        file.set_permissions(std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_ne!(digest_of(&dir), before);
        file.set_permissions(std::fs::Permissions::from_mode(0o644)).unwrap();
        fs_err::rename(dir.path().join("sub.txt"), dir.path().join("sub.c")).unwrap();
        assert_ne!(digest_of(&dir), before);
    }

    #[test]
    fn a_tree_is_copied_read_only_and_only_if_it_is_the_same() {
        let dir = sample();
        let want = digest_of(&dir);
        let out = tempfile::tempdir().unwrap();
        let (dest, never) = (out.path().join("tree"), AtomicBool::new(false));
        let copied = copy_tree(dir.path(), &want, &[], &dest, &never, &|_, _| ()).unwrap();
        assert_eq!(copied, tree::Unpacked { files: 3, bytes: 4 });
        assert_eq!(digest(&dest, &never).unwrap(), want);
        assert!(!dest.join("sub/.git").exists());
        let mode = fs_err::metadata(dest.join("sub/file")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o444);
        fs_err::write(dir.path().join("sub/file"), "changed").unwrap();
        let again = copy_tree(dir.path(), &want, &[], &out.path().join("again"), &never, &|_, _| ());
        assert!(matches!(again, Err(Error::TreeChanged { .. })));
        crate::base::files::remove_tree(&dest).unwrap();
    }

    #[test]
    fn of_a_git_tree_only_what_is_tracked_or_new_is_source() {
        let dir = sample();
        crate::base::files::remove_tree(&dir.path().join("sub/.git")).unwrap();
        let sh = |command: &str| {
            let variables = [("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_AUTHOR_NAME", "a"), ("GIT_AUTHOR_EMAIL", "a")];
            let variables = variables.into_iter().chain([("GIT_COMMITTER_NAME", "a"), ("GIT_COMMITTER_EMAIL", "a")]);
            let tool = crate::process::Tool::new("sh").args(["-ec", command]).envs(variables).dir(dir.path());
            let output = tool.run(std::io::empty()).unwrap();
            assert!(output.status.success(), "{output:?}");
        };
        sh("printf '*.o\n/out/\n' >.gitignore; git init -q; git add .; git commit -qm 1");
        let before = digest_of(&dir);
        sh("mkdir out; ln -s /etc out/link; echo x >main.o; echo x >sub/a.o");
        assert_eq!(digest_of(&dir), before);
        sh("echo new >new.c");
        assert_ne!(digest_of(&dir), before);
        sh("rm new.c sub.txt");
        assert_ne!(digest_of(&dir), before);
        let out = tempfile::tempdir().unwrap();
        let (dest, never) = (out.path().join("tree"), AtomicBool::new(false));
        copy_tree(dir.path(), &digest_of(&dir), &[], &dest, &never, &|_, _| ()).unwrap();
        assert!(dest.join("sub/file").exists() && !dest.join("sub/a.o").exists() && !dest.join("out").exists());
        crate::base::files::remove_tree(&dest).unwrap();
    }
}
