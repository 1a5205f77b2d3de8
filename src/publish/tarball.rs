//! A tree as a tar archive that depends on nothing but names, contents, links and the executable bit: members are in the
//! order of their names, belong to root and have one date.

use super::Error;
use super::tree::{Member, Tree};
use std::io::{self, Write};
use std::path::Path;

/// Writes `tree`. `date` is that of every member, in seconds since 1970.
pub fn write(tree: &Tree, date: u64, out: impl Write) -> Result<(), Error> {
    let mut tar = tar::Builder::new(out);
    for (path, member) in tree.members() {
        append(&mut tar, path, member, date)?;
    }
    tar.into_inner()?.flush()?;
    Ok(())
}

fn append<W: Write>(tar: &mut tar::Builder<W>, path: &Path, member: &Member, date: u64) -> Result<(), Error> {
    let mut header = tar::Header::new_gnu();
    header.set_mtime(date);
    header.set_uid(0);
    header.set_gid(0);
    // GNU's headers have names too; `tar -x` by root prefers them to the numbers.
    header.set_username("root")?;
    header.set_groupname("root")?;
    header.set_size(0);
    match member {
        Member::Directory => {
            header.set_entry_type(tar::EntryType::Directory);
            header.set_mode(0o755);
            tar.append_data(&mut header, path, io::empty())?;
        }
        Member::File { content, bytes, executable } => {
            header.set_mode(if *executable { 0o755 } else { 0o644 });
            header.set_size(*bytes);
            // A file that grows or shrinks meanwhile would shift every member after it.
            let mut content = Exactly { inner: content.open()?, left: *bytes };
            tar.append_data(&mut header, path, &mut content)?;
            content.end(path)?;
        }
        Member::Symlink { target } => {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_mode(0o777);
            tar.append_link(&mut header, path, target)?;
        }
        Member::HardLink { target } => {
            header.set_entry_type(tar::EntryType::Link);
            header.set_mode(0o644);
            tar.append_link(&mut header, path, target)?;
        }
    }
    Ok(())
}

struct Exactly<R> {
    inner: R,
    left: u64,
}

impl<R: io::Read> Exactly<R> {
    fn end(mut self, path: &Path) -> io::Result<()> {
        if self.left == 0 && self.inner.read(&mut [0])? == 0 {
            return Ok(());
        }
        Err(io::Error::other(format!("`{}` changed while it was archived", path.display())))
    }
}

impl<R: io::Read> io::Read for Exactly<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let (buffer, _) = buffer.split_at_mut(most);
        let count = self.inner.read(buffer)?;
        if count == 0 && self.left > 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= count as u64;
        Ok(count)
    }
}
