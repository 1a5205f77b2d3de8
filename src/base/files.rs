//! Files that are either there whole or not at all.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Writes `content` beside `path` and renames it into place, so that a reader
/// sees the old file or the new one and a crash leaves no half of either.
/// The data is on the disk before the name is.
pub fn write_atomic(path: &Path, content: &[u8]) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs_err::create_dir_all(dir)?;
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("failed to write `{}`: {error}", path.display()));
    let mut file = tempfile::Builder::new().prefix(".tmp-").tempfile_in(dir).map_err(named)?;
    file.write_all(content).map_err(named)?;
    file.as_file().sync_all().map_err(named)?;
    file.persist(path).map_err(|error| named(error.error))?;
    Ok(())
}

/// Removes a tree even when its directories were made read-only, as source
/// trees are. It is no error if there is none.
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
        use std::os::unix::fs::PermissionsExt as _;
        fs_err::set_permissions(&dir, std::fs::Permissions::from_mode(0o755))?;
    }
    fs_err::remove_dir_all(path)
}

/// `path` and every directory below it, parents first; links are not followed.
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
        use std::os::unix::fs::PermissionsExt as _;
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
