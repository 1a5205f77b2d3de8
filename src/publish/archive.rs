//! Archives: one deterministic tar, compressed in one or several forms.

use super::tree::{Tree, sha256_of};
use super::{Error, compress, tarball};
use crate::base::{Sha256, files};
use crate::config::archive::Format;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Bytes and their digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digested {
    /// The SHA-256.
    pub sha256: Sha256,
    /// The number of bytes.
    pub bytes: u64,
}

/// An archive that was written.
#[derive(Debug)]
pub struct Archive {
    /// The uncompressed tar: what a rebuild has to meet.
    pub tar: Digested,
    /// The compressed forms.
    pub files: Vec<ArchiveFile>,
    /// The number of members.
    pub members: usize,
    /// The bytes of all unpacked files.
    pub unpacked_bytes: u64,
    /// The tar itself, as long as this lives.
    pub tar_file: tempfile::TempPath,
}

/// A compressed form of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveFile {
    /// Path of the file.
    pub path: PathBuf,
    /// Its form.
    pub format: Format,
    /// Its digest and size.
    pub digest: Digested,
}

/// Archives `tree` in the directory `dir` as `NAME.FORMAT` for each of `formats`. `date` is that of every member, in
/// seconds since 1970. Files of the same names are replaced, whole, once all of them are complete.
pub fn write(tree: &mut Tree, name: &str, formats: &[Format], dir: &Path, date: u64) -> Result<Archive, Error> {
    check_name(name)?;
    tree.check_links()?;
    tree.link_equal_files()?;
    fs_err::create_dir_all(dir)?;
    let (tar_file, tar) = write_tar(tree, name, dir, date)?;
    let compressed = compress_all(&tar_file, tar.bytes, formats, dir)?;
    let mut files = Vec::new();
    for (format, made) in compressed {
        let path = dir.join(format!("{name}.{}", format.as_str()));
        let digest = Digested { sha256: sha256_of(&made)?, bytes: fs_err::metadata(&made)?.len() };
        made.persist(&path).map_err(|error| named(&path, error.error))?;
        files.push(ArchiveFile { path, format, digest });
    }
    Ok(Archive { tar, files, members: tree.len(), unpacked_bytes: tree.bytes(), tar_file })
}

/// Writes the digests beside the archive, as sha256sum prints them: one file for each form, and one for the tar, which
/// `xz -dk` and `gzip -dk` restore.
pub fn write_sums(archive: &Archive, dir: &Path, name: &str) -> Result<(), Error> {
    let forms = archive.files.iter().filter_map(|file| Some((file.path.file_name()?.to_str()?, file.digest)));
    let tar = format!("{name}.tar");
    for (file, digest) in forms.chain([(tar.as_str(), archive.tar)]) {
        let sums = dir.join(format!("{file}.sha256"));
        files::write_atomic(&sums, format!("{}  {file}\n", digest.sha256).as_bytes())?;
    }
    Ok(())
}

fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("failed to write `{}`: {error}", path.display()))
}

/// Returns the digest of the tar that `tree` becomes, without writing it.
pub fn digest(tree: &mut Tree, date: u64) -> Result<Digested, Error> {
    tree.check_links()?;
    tree.link_equal_files()?;
    let mut counted = Counted { inner: io::sink(), hasher: sha2::Sha256::new(), bytes: 0 };
    tarball::write(tree, date, &mut counted)?;
    Ok(counted.end())
}

fn write_tar(tree: &Tree, name: &str, dir: &Path, date: u64) -> Result<(tempfile::TempPath, Digested), Error> {
    let path = dir.join(format!("{name}.tar"));
    let file = files::temporary(dir).map_err(|error| named(&path, error))?;
    let (file, temporary) = file.into_parts();
    let mut counted = Counted { inner: io::BufWriter::new(file), hasher: sha2::Sha256::new(), bytes: 0 };
    tarball::write(tree, date, &mut counted).map_err(|error| match error {
        Error::Io(error) => Error::Io(named(&path, error)),
        other => other,
    })?;
    Ok((temporary, counted.end()))
}

// Each form is written by one thread of its own.
fn compress_all(
    tar: &Path,
    bytes: u64,
    formats: &[Format],
    dir: &Path,
) -> Result<Vec<(Format, tempfile::TempPath)>, Error> {
    let one = |format: Format| {
        let made = files::temporary(dir)?.into_temp_path();
        compress::write(format, tar, bytes, &made)?;
        Ok((format, made))
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = formats.iter().map(|format| scope.spawn(move || one(*format))).collect();
        let ended = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|p| std::panic::resume_unwind(p)));
        ended.collect()
    })
}

/// Returns an error unless this can be the name of an archive and of a directory in it.
pub fn check_name(name: &str) -> Result<(), Error> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    if name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(fits) {
        return Ok(());
    }
    Err(Error::Name { name: name.to_owned() })
}

// Digests and counts what passes.
struct Counted<W> {
    inner: W,
    hasher: sha2::Sha256,
    bytes: u64,
}

impl<W> Counted<W> {
    fn end(self) -> Digested {
        Digested { sha256: Sha256::from_bytes(self.hasher.finalize().into()), bytes: self.bytes }
    }
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
    use super::super::tree::Selection;
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

    fn write_of(from: &Path, name: &str, out: &Path, date: u64) -> Result<Archive, Error> {
        let mut tree = Tree::default();
        tree.add(from, Path::new(name), Selection::default())?;
        write(&mut tree, name, &[Format::Xz, Format::Gz], out, date)
    }

    #[test]
    fn the_bytes_do_not_depend_on_who_made_the_tree_and_when() {
        let long = format!("bin/{}", "long-".repeat(40));
        let one = tree(&["bin/run", "b", "a", &long]);
        let other = tree(&[&long, "a", "b", "bin/run"]);
        fs_err::File::open(other.path().join("a")).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        let out = tempfile::tempdir().unwrap();
        let first = write_of(one.path(), "kit-1.0", out.path(), 1_767_225_600).unwrap();
        let file = first.files.first().unwrap();
        let bytes = fs_err::read(&file.path).unwrap();
        assert_eq!((Sha256::of(&bytes), bytes.len() as u64), (file.digest.sha256, file.digest.bytes));
        let tar = fs_err::read(&first.tar_file).unwrap();
        assert_eq!((Sha256::of(&tar), tar.len() as u64), (first.tar.sha256, first.tar.bytes));
        let second = write_of(other.path(), "kit-1.0", &out.path().join("new"), 1_767_225_600).unwrap();
        let digests = |archive: &Archive| archive.files.iter().map(|file| file.digest).collect::<Vec<_>>();
        assert_eq!((digests(&first), first.tar), (digests(&second), second.tar));
        let mut alone = Tree::default();
        alone.add(other.path(), Path::new("kit-1.0"), Selection::default()).unwrap();
        assert_eq!(digest(&mut alone, 1_767_225_600).unwrap(), first.tar);
        drop(second);
        let left: Vec<_> = fs_err::read_dir(out.path().join("new")).unwrap().collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }

    #[test]
    fn members_are_roots_in_order_and_below_one_directory() {
        let one = tree(&["bin/run", "b", "a"]);
        fs_err::copy(one.path().join("a"), one.path().join("same")).unwrap();
        let out = tempfile::tempdir().unwrap();
        let made = write_of(one.path(), "kit", out.path(), 5).unwrap();
        let path = &made.files.first().unwrap().path;
        let list = Tool::new("tar").arg("-tvJf").arg(path).env("TZ", "UTC").run(std::io::empty()).unwrap();
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
                ("hrw-r--r--", "root/root", "kit/same"),
            ]
        );
        assert!(lines.iter().all(|line| line[3] == "1970-01-01"), "{list}");
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_refused() {
        let one = tree(&["bin/run"]);
        let out = tempfile::tempdir().unwrap();
        for name in ["", "..", "a/b", ".hidden", "a b", "-x"] {
            let error = write_of(one.path(), name, out.path(), 0).unwrap_err();
            assert!(matches!(error, Error::Name { .. }), "{name}: {error}");
        }
    }

    #[test]
    fn names_of_more_than_256_bytes_are_unpacked_by_tar() {
        let one = tempfile::tempdir().unwrap();
        let deep: PathBuf = std::iter::repeat_n("d".repeat(120), 4).collect();
        fs_err::create_dir_all(one.path().join(&deep)).unwrap();
        for name in ["one", "two"] {
            fs_err::write(one.path().join(&deep).join(name), "equal").unwrap();
        }
        let out = tempfile::tempdir().unwrap();
        let made = write_of(one.path(), "kit", out.path(), 0).unwrap();
        let path = &made.files.first().unwrap().path;
        let unpacked = Tool::new("tar").arg("-xJf").arg(path).dir(out.path()).run(std::io::empty()).unwrap();
        assert!(unpacked.status.success(), "{}", String::from_utf8_lossy(&unpacked.stderr));
        assert_eq!(fs_err::read(out.path().join("kit").join(&deep).join("two")).unwrap(), b"equal");
    }
}
