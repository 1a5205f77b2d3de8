//! Archives made for a test, well-formed or not.

use std::io::Write as _;

/// An entry of a tar archive, valid or not.
pub struct Entry<'a> {
    pub name: &'a str,
    pub kind: tar::EntryType,
    pub link: &'a str,
    pub content: &'a [u8],
    pub mode: u32,
    pub mtime: u64,
}

impl<'a> Entry<'a> {
    pub fn file(name: &'a str, content: &'a [u8]) -> Self {
        Self { name, kind: tar::EntryType::Regular, link: "", content, mode: 0o644, mtime: 1_000_000 }
    }

    pub fn dir(name: &'a str) -> Self {
        Self { kind: tar::EntryType::Directory, ..Self::file(name, b"") }
    }

    pub fn symlink(name: &'a str, link: &'a str) -> Self {
        Self { kind: tar::EntryType::Symlink, link, ..Self::file(name, b"") }
    }

    pub fn hard_link(name: &'a str, link: &'a str) -> Self {
        Self { kind: tar::EntryType::Link, link, ..Self::file(name, b"") }
    }

    pub fn mode(self, mode: u32) -> Self {
        Self { mode, ..self }
    }

    pub fn mtime(self, mtime: u64) -> Self {
        Self { mtime, ..self }
    }
}

/// A tar archive; names are written as they are, which the tar crate itself refuses to.
pub fn tar(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        let old = header.as_old_mut();
        old.name[..entry.name.len()].copy_from_slice(entry.name.as_bytes());
        old.linkname[..entry.link.len()].copy_from_slice(entry.link.as_bytes());
        header.set_entry_type(entry.kind);
        header.set_size(entry.content.len() as u64);
        header.set_mode(entry.mode);
        header.set_mtime(entry.mtime);
        header.set_cksum();
        builder.append(&header, entry.content).unwrap();
    }
    builder.into_inner().unwrap()
}

pub fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = xz2::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn deb(data: &[u8]) -> Vec<u8> {
    let mut builder = ar::Builder::new(Vec::new());
    for (name, bytes) in [("debian-binary", &b"2.0\n"[..]), ("control.tar", &tar(&[])), ("data.tar.xz", &xz(data))] {
        builder.append(&ar::Header::new(name.into(), bytes.len() as u64), bytes).unwrap();
    }
    builder.into_inner().unwrap()
}
