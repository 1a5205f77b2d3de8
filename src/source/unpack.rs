//! Unpacks archives into source trees and verifies them while they are read.
//!
//! One thread reads, hashes and decompresses the blob; the caller's thread
//! writes the tree. Nothing is written to a temporary file in between, however
//! many archives are inside one another.

use super::patch::{self, Patch};
use super::tree::{self, Tree, Unpacked};
use super::{Error, deb};
use crate::base::Sha256;
use crate::base::decode::{self, CHUNK};
use sha2::Digest as _;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Chunks on their way from the decoder to the writer.
const IN_FLIGHT: usize = 16;
const PIECE: usize = 4 * CHUNK;
/// No patch of a source package is larger; a member that claims to be is not read into memory.
const MAX_PATCH: u64 = 64 << 20;

/// A patch as the recipe orders it: its text, or the member that has it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted<'a> {
    Text { name: &'a str, text: &'a str, strip: u32 },
    Member { member: &'a str, strip: u32 },
}

/// An archive file and what to take of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job<'a> {
    /// The file.
    pub(super) blob: &'a Path,
    /// The pin that it must match.
    pub(super) want: Sha256,
    /// For messages.
    pub(super) label: &'a str,
    /// The archive inside the package, if the file is a package.
    pub(super) member: Option<&'a str>,
    /// Leading components dropped from every path.
    pub(super) strip: u32,
    /// Approximate size of the tree in bytes, if the recipe gives it.
    pub(super) declared: Option<u64>,
    /// In order.
    pub(super) patches: &'a [Wanted<'a>],
}

enum Message {
    Bytes(Vec<u8>),
    End,
}

/// Fills `dest` with the tree of an archive, patched and read-only.
/// `progress` receives the bytes of the blob that were read and its size.
pub(super) fn archive(
    job: &Job<'_>,
    dest: &Path,
    cancel: &AtomicBool,
    progress: &dyn Fn(u64, u64),
) -> Result<Unpacked, Error> {
    match try_archive(job, dest, cancel, progress) {
        Err(Error::Cancelled) => Err(Error::Cancelled),
        _ if cancel.load(Ordering::Relaxed) => Err(Error::Cancelled),
        // Damage explains every complaint about the content better than the complaint does.
        Err(error @ (Error::Archive { .. } | Error::Refused { .. } | Error::NoMember { .. })) => {
            Err(damage(job)?.unwrap_or(error))
        }
        result => result,
    }
}

fn damage(job: &Job<'_>) -> Result<Option<Error>, Error> {
    let got = hash_file(job.blob)?;
    Ok((got != job.want).then(|| Error::CorruptBlob { path: job.blob.to_owned(), want: job.want, got }))
}

/// Returns the SHA-256 of a file.
pub(super) fn hash_file(path: &Path) -> Result<Sha256, Error> {
    let mut file = fs_err::File::open(path)?;
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; PIECE];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Sha256::from_bytes(hasher.finalize().into())),
            count => hasher.update(buffer.get(..count).unwrap_or_default()),
        }
    }
}

fn try_archive(
    job: &Job<'_>,
    dest: &Path,
    cancel: &AtomicBool,
    progress: &dyn Fn(u64, u64),
) -> Result<Unpacked, Error> {
    let mut tree = Tree::begin(dest, cancel)?;
    if let Some(declared) = job.declared {
        tree.expect(declared);
    }
    let size = fs_err::metadata(job.blob)?.len();
    let read = AtomicU64::new(0);
    let (sender, receiver) = sync_channel(IN_FLIGHT);
    let (filled, produced) = std::thread::scope(|scope| {
        let producer = scope.spawn(|| produce(job, sender, cancel, &read));
        let report = || progress(read.load(Ordering::Relaxed), size);
        let pipe = Pipe { receiver, piece: io::Cursor::default(), ended: false, zeros: 0, report: &report };
        let label = job.member.unwrap_or(job.label);
        let filled = fill(&mut tree, pipe, label, job.strip);
        // The pipe is gone by now, so a producer that still sends will stop.
        (filled, producer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let patches = match (filled, produced) {
        (Ok(()), Ok(patches)) => patches,
        // The writer only saw its input end.
        (_, Err(error)) if !matches!(error, Error::Cancelled) => return Err(error),
        (Err(error), _) | (_, Err(error)) => return Err(error),
    };
    progress(size, size);
    finish(tree, dest, &patches)
}

/// Patches what is unpacked and closes the tree.
pub(super) fn finish(mut tree: Tree<'_>, dest: &Path, patches: &[Patch]) -> Result<Unpacked, Error> {
    tree.check_links()?;
    for patch in patches {
        tree.check_cancel()?;
        patch::apply(dest, patch)?;
    }
    if !patches.is_empty() {
        tree.settle_patched()?;
    }
    tree.finish()
}

/// Returns the patches of a source that has no members.
pub(super) fn texts(wanted: &[Wanted<'_>], label: &str) -> Result<Vec<Patch>, Error> {
    let text_of = |wanted: &Wanted<'_>| match *wanted {
        Wanted::Text { name, text, strip } => Ok(Patch { name: name.to_owned(), text: text.into(), strip }),
        Wanted::Member { member, .. } => {
            Err(Error::NoMember { archive: label.to_owned(), member: member.to_owned(), near: Vec::new() })
        }
    };
    wanted.iter().map(text_of).collect()
}

fn produce(
    job: &Job<'_>,
    sender: SyncSender<Message>,
    cancel: &AtomicBool,
    count: &AtomicU64,
) -> Result<Vec<Patch>, Error> {
    let broken = |source| Error::Archive { archive: job.member.unwrap_or(job.label).to_owned(), source };
    let file = fs_err::File::open(job.blob)?;
    let mut reader = Hashing { file, hasher: sha2::Sha256::new(), count, cancel };
    let send = |archive: &mut dyn Read| {
        let mut plain = decode::decoder(archive).map_err(broken)?;
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            (&mut plain).take(PIECE as u64).read_to_end(&mut piece).map_err(broken)?;
            let message = if piece.is_empty() { Message::End } else { Message::Bytes(piece) };
            let last = matches!(message, Message::End);
            // A receiver that is gone has failed and reports the reason itself.
            sender.send(message).map_err(|_| Error::Cancelled)?;
            if last {
                return Ok(());
            }
        }
    };
    let patches = match job.member {
        None => {
            send(&mut reader)?;
            texts(job.patches, job.label)?
        }
        Some(member) => from_package(&mut reader, job, member, &send)?,
    };
    io::copy(&mut reader, &mut io::sink()).map_err(broken)?;
    let got = Sha256::from_bytes(reader.hasher.finalize().into());
    if got != job.want {
        return Err(Error::CorruptBlob { path: job.blob.to_owned(), want: job.want, got });
    }
    Ok(patches)
}

/// Sends the archive `member` of the package and collects the patches that are members too.
fn from_package(
    reader: &mut dyn Read,
    job: &Job<'_>,
    member: &str,
    send: &dyn Fn(&mut dyn Read) -> Result<(), Error>,
) -> Result<Vec<Patch>, Error> {
    let mut wanted = vec![member];
    for patch in job.patches {
        if let Wanted::Member { member, .. } = patch
            && !wanted.contains(member)
        {
            wanted.push(member);
        }
    }
    let mut texts: Vec<Vec<u8>> = vec![Vec::new(); wanted.len()];
    deb::members(reader, job.label, &wanted, &mut |index, member| {
        if index == 0 {
            return send(member);
        }
        let Some(text) = texts.get_mut(index) else { return Ok(()) };
        let broken = |source| Error::Archive { archive: job.label.to_owned(), source };
        member.take(MAX_PATCH).read_to_end(text).map_err(broken)?;
        Ok(())
    })?;
    let patch_of = |patch: &Wanted<'_>| match *patch {
        Wanted::Text { name, text, strip } => Patch { name: name.to_owned(), text: text.into(), strip },
        Wanted::Member { member, strip } => {
            let text = wanted.iter().position(|name| *name == member).and_then(|index| texts.get(index));
            Patch { name: member.to_owned(), text: text.cloned().unwrap_or_default(), strip }
        }
    };
    Ok(job.patches.iter().map(patch_of).collect())
}

/// The blob, hashed and counted as it is read.
struct Hashing<'a> {
    file: fs_err::File,
    hasher: sha2::Sha256,
    count: &'a AtomicU64,
    cancel: &'a AtomicBool,
}

impl Read for Hashing<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(io::Error::other("stopped"));
        }
        let count = self.file.read(buf)?;
        self.hasher.update(buf.get(..count).unwrap_or_default());
        self.count.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// The writer's end: decompressed bytes until the producer signals the end.
struct Pipe<'a> {
    receiver: Receiver<Message>,
    piece: io::Cursor<Vec<u8>>,
    ended: bool,
    /// Number of zero bytes at the end of the stream so far.
    zeros: usize,
    report: &'a dyn Fn(),
}

impl Read for Pipe<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.piece.read(buf)?;
            if count > 0 || self.ended || buf.is_empty() {
                return Ok(count);
            }
            match self.receiver.recv() {
                Ok(Message::Bytes(piece)) => {
                    let zeros = piece.iter().rev().take_while(|byte| **byte == 0).count();
                    self.zeros = if zeros == piece.len() { self.zeros + zeros } else { zeros };
                    self.piece = io::Cursor::new(piece);
                    (self.report)();
                }
                Ok(Message::End) => self.ended = true,
                Err(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }
}

fn fill(tree: &mut Tree<'_>, mut pipe: Pipe<'_>, label: &str, strip: u32) -> Result<(), Error> {
    entries(tree, &mut pipe, label, strip)?;
    let broken = |source| Error::Archive { archive: label.to_owned(), source };
    io::copy(&mut pipe, &mut io::sink()).map_err(broken)?;
    // POSIX pax, "ustar Interchange Format": an archive ends in blocks of zeros.
    if pipe.zeros < 512 {
        return Err(broken(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive has no end mark")));
    }
    if tree.counts().files == 0 {
        return Err(broken(io::Error::new(io::ErrorKind::InvalidData, "the archive has no files")));
    }
    Ok(())
}

/// Unpacks the entries of a plain tar stream into `tree`.
pub(super) fn entries(tree: &mut Tree<'_>, stream: &mut dyn Read, label: &str, strip: u32) -> Result<(), Error> {
    let broken = |source| Error::Archive { archive: label.to_owned(), source };
    let mut archive = tar::Archive::new(stream);
    for entry in archive.entries().map_err(broken)? {
        tree.check_cancel()?;
        one_entry(tree, &mut entry.map_err(broken)?, strip, &broken)?;
    }
    Ok(())
}

fn one_entry<R: Read>(
    tree: &mut Tree<'_>,
    entry: &mut tar::Entry<'_, R>,
    strip: u32,
    broken: &dyn Fn(io::Error) -> Error,
) -> Result<(), Error> {
    let name = entry.path_bytes().into_owned();
    let kind = entry.header().entry_type();
    if kind.is_pax_global_extensions() {
        return Ok(());
    }
    let refused = |why: &str| tree::refused(String::from_utf8_lossy(&name).as_ref().as_ref(), why);
    let is_dir = kind.is_dir() || (kind.is_file() && name.ends_with(b"/"));
    let Some(path) = tree::inner_path(&name, strip, is_dir)? else { return Ok(()) };
    let mtime = tree::time_of(entry.header().mtime().map_err(broken)?);
    if is_dir {
        tree.dir(&path, mtime)
    } else if kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse() {
        let executable = entry.header().mode().map_err(broken)? & 0o111 != 0;
        let want = entry.size();
        let before = tree.counts().bytes;
        tree.file(&path, executable, mtime, entry, broken)?;
        if tree.counts().bytes - before < want {
            return Err(broken(io::Error::new(io::ErrorKind::UnexpectedEof, "it ends within a file")));
        }
        Ok(())
    } else if kind.is_symlink() {
        let target = entry.link_name_bytes().ok_or_else(|| refused("it is a link to nothing"))?;
        use std::os::unix::ffi::OsStrExt as _;
        tree.symlink(&path, Path::new(std::ffi::OsStr::from_bytes(&target)), mtime)
    } else if kind.is_hard_link() {
        let target = entry.link_name_bytes().ok_or_else(|| refused("it is a link to nothing"))?.into_owned();
        let inner = tree::inner_path(&target, strip, false)
            .map_err(|_| refused("it is a hard link to something outside of the tree"))?;
        tree.hard_link(&path, &inner.ok_or_else(|| refused("it is a link to nothing"))?)
    } else {
        let what = match kind {
            tar::EntryType::Char | tar::EntryType::Block => "it is a device",
            tar::EntryType::Fifo => "it is a named pipe",
            _ => "it is of an unknown kind",
        };
        Err(refused(what))
    }
}
