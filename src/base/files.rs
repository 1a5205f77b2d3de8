//! Files that either exist completely or not at all.

use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Creates a file in `dir` that is renamed into place once it is complete. Its mode follows the umask, as
/// that of every other file does: with tempfile's own 0600 the other users of a shared store could not read it.
pub fn temporary(dir: &Path) -> io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new().prefix(".tmp-").permissions(std::fs::Permissions::from_mode(0o666)).tempfile_in(dir)
}

/// Writes `content` beside `path` and renames it into place, so that a reader sees the old file or
/// the new one, and a crash never leaves a partial file. The data is on the disk before the rename.
pub fn write_atomic(path: &Path, content: &[u8]) -> io::Result<()> {
    write_beside(path, content, true)
}

/// Does the same as [`write_atomic`] without waiting for the disk, for files that do not matter after a power loss or
/// are flushed with the tree they belong to.
pub fn write_unflushed(path: &Path, content: &[u8]) -> io::Result<()> {
    write_beside(path, content, false)
}

fn write_beside(path: &Path, content: &[u8], flush: bool) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs_err::create_dir_all(dir)?;
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("failed to write `{}`: {error}", path.display()));
    let mut file = temporary(dir).map_err(named)?;
    file.write_all(content).map_err(named)?;
    if flush {
        file.as_file().sync_all().map_err(named)?;
    }
    file.persist(path).map_err(|error| named(error.error))?;
    Ok(())
}

/// Returns what is at `path`, or `None` where nothing is. Links are not followed. Everything else that keeps it from
/// being looked at is an error: what cannot be seen is not missing.
pub fn lstat(path: &Path) -> io::Result<Option<std::fs::Metadata>> {
    present(fs_err::symlink_metadata(path))
}

/// As [`lstat`], behind links.
pub fn stat(path: &Path) -> io::Result<Option<std::fs::Metadata>> {
    present(fs_err::metadata(path))
}

/// Reads a file that may be missing; one that cannot be read is an error.
pub fn read_if_present(path: &Path) -> io::Result<Option<Vec<u8>>> {
    present(fs_err::read(path))
}

/// Returns the names of a directory's entries in order, none where it is missing. Names that are not UTF-8 are left out.
pub fn names_in(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in present(fs_err::read_dir(dir))?.into_iter().flatten() {
        names.extend(entry?.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

fn present<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        found => found.map(Some),
    }
}

/// Returns what to do about an error of the system that has nothing to do with the file it names.
pub fn hint(error: &io::Error) -> Option<String> {
    // fs_err keeps the kind and drops the number.
    let text = error.to_string();
    let number = || text.rsplit_once("(os error ")?.1.strip_suffix(')')?.parse().ok();
    let raw = error.raw_os_error().or_else(number).and_then(|raw: i32| {
        Some(match raw {
            nix::libc::EMFILE => {
                "more files are open than this process may have: raise the limit with `ulimit -n 4096`"
            }
            nix::libc::ENFILE => "the whole machine has too many files open (fs.file-max)",
            nix::libc::EDQUOT => {
                "your disk quota is used up (`quota -s`): free some space and run the same command again"
            }
            nix::libc::ENOLCK | nix::libc::EOPNOTSUPP => {
                "this file system has no `flock`, which the store needs: choose another with `--store DIR`"
            }
            _ => return None,
        })
    });
    let kind = match error.kind() {
        io::ErrorKind::QuotaExceeded => {
            "your disk quota is used up (`quota -s`): free some space and run the same command again"
        }
        io::ErrorKind::StorageFull => {
            "free some space or, if `df -i` shows none left, some inodes, and run the same command again: what is \
             finished is kept"
        }
        _ => return raw.map(str::to_owned),
    };
    Some(raw.unwrap_or(kind).to_owned())
}

/// Removes a tree even when its directories were made read-only, as source trees are. A missing
/// tree is not an error.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    match fs_err::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(meta) if !meta.is_dir() => return fs_err::remove_file(path),
        Ok(_) => {}
    }
    if fs_err::remove_dir_all(path).is_ok() {
        return Ok(());
    }
    for dir in directories(path)? {
        fs_err::set_permissions(&dir, std::fs::Permissions::from_mode(0o755))?;
    }
    fs_err::remove_dir_all(path)
}

/// Flushes the file system that has `dir`, so that a following rename never publishes a tree whose files a power loss
/// would truncate. For 400 files, one syncfs(2) takes a twentieth of the time of one fsync(2) per file.
pub fn flush_disk_of(dir: &Path) -> io::Result<()> {
    let named = |errno| {
        let error = io::Error::from(errno);
        io::Error::new(error.kind(), format!("failed to flush the disk of `{}`: {error}", dir.display()))
    };
    nix::unistd::syncfs(fs_err::File::open(dir)?).map_err(named)
}

/// Returns `path` and every directory below it, parents first; links are not followed.
pub fn directories(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![path.to_owned()];
    let mut next = 0;
    while let Some(dir) = found.get(next).cloned() {
        next += 1;
        // A directory that cannot be listed can still be made listable by the caller.
        let Ok(entries) = fs_err::read_dir(&dir) else { continue };
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_only_tree_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs_err::create_dir_all(tree.join("inner")).unwrap();
        write_atomic(&tree.join("inner/file"), b"x").unwrap();
        fs_err::set_permissions(tree.join("inner"), std::fs::Permissions::from_mode(0o555)).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
        remove_tree(&tree).unwrap();
    }
}
