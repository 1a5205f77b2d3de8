//! A tree as `NAME.tar.xz` with everything below the one directory `NAME`.
//!
//! Only names, contents, links and the executable bit of the tree are in it:
//! members stand in the order of their names, belong to root and have one date.

use super::Error;
use crate::base::{Sha256, files};
use sha2::Digest as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// An archive that was made.
#[derive(Debug, Clone)]
pub struct Archive {
    /// Where it is.
    pub path: PathBuf,
    /// Its digest, which also stands in `NAME.tar.xz.sha256` beside it, as sha256sum writes it.
    pub sha256: Sha256,
    /// Its size.
    pub bytes: u64,
}

/// xz's own default: more costs memory to unpack and gains little.
const LEVEL: u32 = 6;

/// Archives `tree` as `name` in the directory `dir`. `date` is that of every
/// member, in seconds since 1970. A file of the same name is replaced, whole.
pub fn write(tree: &Path, name: &str, dir: &Path, date: u64) -> Result<Archive, Error> {
    check_name(name)?;
    let file = format!("{name}.tar.xz");
    let path = dir.join(&file);
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("failed to write `{}`: {error}", path.display()));
    fs_err::create_dir_all(dir)?;
    let made = crate::base::files::temporary(dir).map_err(named)?;
    let counted = Counted { inner: io::BufWriter::new(made), hasher: sha2::Sha256::new(), bytes: 0 };
    let mut tar = tar::Builder::new(xz2::write::XzEncoder::new(counted, LEVEL));
    tar.mode(tar::HeaderMode::Deterministic);
    for member in members(tree)? {
        append(&mut tar, tree, name, &member, date)?;
    }
    let counted = tar.into_inner().and_then(xz2::write::XzEncoder::finish).map_err(named)?;
    let made = counted.inner.into_inner().map_err(|error| named(error.into_error()))?;
    made.persist(&path).map_err(|error| named(error.error))?;
    let sha256 = Sha256::from_bytes(counted.hasher.finalize().into());
    files::write_atomic(&dir.join(format!("{file}.sha256")), format!("{sha256}  {file}\n").as_bytes())?;
    Ok(Archive { path, sha256, bytes: counted.bytes })
}

/// Whether this can be the name of an archive and of the directory in it.
pub fn check_name(name: &str) -> Result<(), Error> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    if name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(fits) {
        return Ok(());
    }
    Err(Error::Name { name: name.to_owned() })
}

// Every path below `tree`, relative to it, in order; links are not followed.
fn members(tree: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for dir in files::directories(tree)? {
        for entry in fs_err::read_dir(&dir)? {
            let path = entry?.path();
            found.extend(path.strip_prefix(tree).ok().map(Path::to_owned));
        }
    }
    found.sort();
    Ok(found)
}

fn append<W: Write>(tar: &mut tar::Builder<W>, tree: &Path, name: &str, member: &Path, date: u64) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;
    let path = tree.join(member);
    let meta = fs_err::symlink_metadata(&path)?;
    let mut header = tar::Header::new_gnu();
    header.set_mtime(date);
    header.set_uid(0);
    header.set_gid(0);
    // GNU's headers have names too; `tar -x` by root prefers them to the numbers.
    header.set_username("root")?;
    header.set_groupname("root")?;
    header.set_size(0);
    let place = Path::new(name).join(member);
    let kind = meta.file_type();
    if kind.is_symlink() {
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_mode(0o777);
        tar.append_link(&mut header, place, fs_err::read_link(&path)?)?;
    } else if kind.is_dir() {
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o755);
        tar.append_data(&mut header, place, io::empty())?;
    } else if kind.is_file() {
        header.set_mode(if meta.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 });
        header.set_size(meta.len());
        tar.append_data(&mut header, place, fs_err::File::open(&path)?)?;
    } else {
        return Err(Error::Kind { path });
    }
    Ok(())
}

// Digests and counts what passes.
struct Counted<W> {
    inner: W,
    hasher: sha2::Sha256,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(data)?;
        let (done, _) = data.split_at(written);
        self.hasher.update(done);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Tool;

    fn tree(order: &[&str]) -> tempfile::TempDir {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(dir.path().join("bin")).unwrap();
        for name in order {
            fs_err::write(dir.path().join(name), name.as_bytes()).unwrap();
        }
        fs_err::set_permissions(dir.path().join("bin/run"), std::fs::Permissions::from_mode(0o555)).unwrap();
        fs_err::os::unix::fs::symlink("bin/run", dir.path().join("link")).unwrap();
        dir
    }

    #[test]
    fn the_bytes_do_not_depend_on_who_made_the_tree_and_when() {
        let long = format!("bin/{}", "long-".repeat(40));
        let one = tree(&["bin/run", "b", "a", &long]);
        let other = tree(&[&long, "a", "b", "bin/run"]);
        fs_err::File::open(other.path().join("a")).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        let out = tempfile::tempdir().unwrap();
        let first = write(one.path(), "kit-1.0", out.path(), 1_767_225_600).unwrap();
        let bytes = fs_err::read(&first.path).unwrap();
        assert_eq!((Sha256::of(&bytes), bytes.len() as u64), (first.sha256, first.bytes));
        let sum = fs_err::read_to_string(out.path().join("kit-1.0.tar.xz.sha256")).unwrap();
        assert_eq!(sum, format!("{}  kit-1.0.tar.xz\n", first.sha256));
        let second = write(other.path(), "kit-1.0", &out.path().join("new"), 1_767_225_600).unwrap();
        assert_eq!(first.sha256, second.sha256);
        let left: Vec<_> = fs_err::read_dir(out.path().join("new")).unwrap().collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }

    #[test]
    fn members_are_roots_in_order_and_below_one_directory() {
        let one = tree(&["bin/run", "b", "a"]);
        let out = tempfile::tempdir().unwrap();
        let made = write(one.path(), "kit", out.path(), 5).unwrap();
        let list = Tool::new("tar").arg("-tvJf").arg(&made.path).env("TZ", "UTC").run(std::io::empty()).unwrap();
        let list = String::from_utf8(list.stdout).unwrap();
        let lines: Vec<Vec<&str>> = list.lines().map(|line| line.split_whitespace().collect()).collect();
        let modes: Vec<_> = lines.iter().map(|line| (line[0], line[1], line[5])).collect();
        assert_eq!(
            modes,
            [
                ("-rw-r--r--", "root/root", "kit/a"),
                ("-rw-r--r--", "root/root", "kit/b"),
                ("drwxr-xr-x", "root/root", "kit/bin"),
                ("-rwxr-xr-x", "root/root", "kit/bin/run"),
                ("lrwxrwxrwx", "root/root", "kit/link"),
            ]
        );
        assert!(lines.iter().all(|line| line[3] == "1970-01-01"), "{list}");
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_refused() {
        let one = tree(&["bin/run"]);
        let out = tempfile::tempdir().unwrap();
        for name in ["", "..", "a/b", ".hidden", "a b", "-x"] {
            let error = write(one.path(), name, out.path(), 0).unwrap_err();
            assert!(matches!(error, Error::Name { .. }), "{name}: {error}");
        }
    }
}
