//! The job server of the whole run, in GNU make's protocol.
//!
//! A token is a byte in a pipe, and whoever runs a job holds one. Unlike the
//! tokens of a make that started by itself, all of them are in the pipe: a
//! step takes one before it starts, and that is the one its make may use
//! without asking. So never more than the given number of jobs run, whatever
//! the makes below do.
//!
//! The `jobserver` crate does the same by blocking a thread per waiter, and
//! cannot choose the number under which its pipe is inherited; here waiting is a
//! future and each child gets a file description of its own, because make 4.3
//! sets O_NONBLOCK on the one it inherits and that would be everybody's.

use super::error::Error;
use super::inherit;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::unistd::{pipe2, read, write};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

mod fionread {
    nix::ioctl_read_bad!(bytes_to_read, nix::libc::FIONREAD, nix::libc::c_int);
}

/// The most tokens: one page, which is the least a pipe holds, so that giving
/// one back never blocks.
pub const MOST: usize = 4096;

/// The tokens of a run. Clones are the same job server.
#[derive(Debug, Clone)]
pub struct JobServer(Arc<Pipe>);

#[derive(Debug)]
struct Pipe {
    /// The ends as children inherit them, under these numbers.
    read: OwnedFd,
    write: OwnedFd,
    /// The same pipe, opened again: O_NONBLOCK here affects no other process.
    own: AsyncFd<OwnedFd>,
    own_write: OwnedFd,
    total: usize,
    /// Number of existing [`Token`]s. Locked while a byte moves, so that the
    /// number and the pipe agree whenever it is free.
    held: Mutex<usize>,
}

/// The right to run one job; dropping it gives it back.
#[derive(Debug)]
#[must_use = "a token is given back when it is dropped"]
pub struct Token {
    pipe: Arc<Pipe>,
    /// make asks that the byte that was read is the one that is written.
    byte: u8,
}

impl JobServer {
    /// Returns a job server with `count` tokens, 1 to [`MOST`].
    ///
    /// # Errors
    /// When the count is out of range or the pipe cannot be created.
    ///
    /// # Panics
    /// Outside of a tokio runtime with its I/O driver.
    pub fn new(count: usize) -> Result<Self, Error> {
        if !(1..=MOST).contains(&count) {
            return Err(Error::JobCount { count, most: MOST });
        }
        let pipe = Pipe::new(count).map_err(|source| Error::Jobs { what: "make its pipe", source })?;
        Ok(Self(Arc::new(pipe)))
    }

    /// Returns the number of tokens.
    pub fn total(&self) -> usize {
        self.0.total
    }

    /// Waits for a token. Dropping the future neither loses nor leaks one: a
    /// byte is read only in the poll that returns it.
    ///
    /// # Errors
    /// When the pipe fails, which is a defect.
    pub async fn acquire(&self) -> Result<Token, Error> {
        let failed = |source| Error::Jobs { what: "take a token", source };
        loop {
            let mut ready = self.0.own.readable().await.map_err(failed)?;
            match ready.try_io(|_| self.0.take()) {
                Ok(byte) => return Ok(self.token(byte.map_err(failed)?)),
                // A make was faster.
                Err(_would_block) => {}
            }
        }
    }

    /// Returns a token if one is free now.
    ///
    /// # Errors
    /// When the pipe fails, which is a defect.
    pub fn try_acquire(&self) -> Result<Option<Token>, Error> {
        match self.0.take() {
            Ok(byte) => Ok(Some(self.token(byte))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(source) => Err(Error::Jobs { what: "take a token", source }),
        }
    }

    /// Takes `count` tokens out of the run, as they become free, until they
    /// are dropped: fewer jobs while memory is short. Dropping the future
    /// gives back what it had. At most `total - 1` are taken, since with all
    /// of them withheld nothing would ever go on.
    ///
    /// # Errors
    /// As [`JobServer::acquire`].
    pub async fn withhold(&self, count: usize) -> Result<Vec<Token>, Error> {
        let mut tokens = Vec::new();
        while tokens.len() < count.min(self.0.total - 1) {
            tokens.push(self.acquire().await?);
        }
        Ok(tokens)
    }

    /// Returns the `MAKEFLAGS` with which make uses this job server.
    ///
    /// The form with two numbers is understood by make 3.82's successors up to
    /// 4.3, which know no other, and by 4.4. It begins with a blank as make's
    /// own does: a first word without a dash would be taken for letters of
    /// options. `-jN` is for programs that only read that; make itself prefers the
    /// job server as long as its own command line has no `-j`.
    pub fn makeflags(&self) -> String {
        let [read, write] = self.descriptors();
        format!(" -j{} --jobserver-auth={read},{write}", self.0.total)
    }

    /// Returns the numbers under which children inherit the two ends.
    pub(super) fn descriptors(&self) -> [RawFd; 2] {
        [self.0.read.as_raw_fd(), self.0.write.as_raw_fd()]
    }

    /// Lets the child of `command`, and only that one, inherit the pipe.
    /// `MAKEFLAGS` is not set.
    ///
    /// # Errors
    /// When the pipe cannot be opened once more.
    pub fn configure(&self, command: &mut std::process::Command) -> Result<(), Error> {
        for (end, flags) in [(&self.0.read, OFlag::O_RDONLY), (&self.0.write, OFlag::O_WRONLY)] {
            let reopened =
                reopen(end, flags).map_err(|source| Error::Jobs { what: "open its pipe for a step", source })?;
            inherit::pass_as(command, reopened, end.as_raw_fd());
        }
        Ok(())
    }

    /// Returns how many tokens are free now.
    ///
    /// # Errors
    /// When the pipe fails, which is a defect.
    pub fn available(&self) -> Result<usize, Error> {
        self.0.available().map_err(|source| Error::Jobs { what: "count its tokens", source })
    }

    /// Puts back the tokens that killed makes have leaked, or takes away what
    /// is too many, and returns how many those were (negative: taken away).
    ///
    /// Only while no step runs: a token a living make holds looks leaked. The
    /// [`Token`]s that are held at the time count as they should.
    ///
    /// # Errors
    /// When the pipe fails, which is a defect.
    pub fn recount(&self) -> Result<isize, Error> {
        self.0.recount().map_err(|source| Error::Jobs { what: "recount its tokens", source })
    }

    /// Takes away the bytes that a step wrote without having read them, and returns how many. A full pipe would block
    /// every make that gives its token back.
    ///
    /// # Errors
    /// When the pipe fails, which is a defect.
    pub fn trim(&self) -> Result<usize, Error> {
        self.0.trim().map_err(|source| Error::Jobs { what: "take away false tokens", source })
    }

    fn token(&self, byte: u8) -> Token {
        Token { pipe: Arc::clone(&self.0), byte }
    }
}

impl Pipe {
    fn new(count: usize) -> io::Result<Self> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
        let (read, write) = (inherit::move_up(read)?, inherit::move_up(write)?);
        let own = reopen(&read, OFlag::O_RDONLY | OFlag::O_NONBLOCK)?;
        // SAFETY: an `OwnedFd` keeps its one descriptor open until it is dropped.
        let own = unsafe { AsyncFd::register_with_interest(own, Interest::READABLE) }?;
        let own_write = reopen(&write, OFlag::O_WRONLY | OFlag::O_NONBLOCK)?;
        let pipe = Self { read, write, own, own_write, total: count, held: Mutex::new(0) };
        pipe.put(&vec![b'+'; count])?;
        Ok(pipe)
    }

    fn held(&self) -> MutexGuard<'_, usize> {
        // The number is right even then: it changes after the byte has moved.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a byte from the pipe, or fails with `WouldBlock`.
    fn take(&self) -> io::Result<u8> {
        let mut held = self.held();
        // There are more bytes than tokens: a step wrote some.
        if *held >= self.total {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let byte = self.take_byte()?;
        *held += 1;
        Ok(byte)
    }

    fn take_byte(&self) -> io::Result<u8> {
        let mut byte = [0];
        loop {
            match read(self.own.get_ref(), &mut byte) {
                Ok(1) => return Ok(byte[0]),
                Ok(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn put(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match write(&self.own_write, bytes) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(Errno::EINTR) => {}
                // A step filled the pipe: there are more tokens in it than there should be.
                Err(Errno::EAGAIN) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn available(&self) -> io::Result<usize> {
        let mut count: libc::c_int = 0;
        // SAFETY: FIONREAD writes one int, and `count` is one that outlives the call.
        unsafe { fionread::bytes_to_read(self.read.as_raw_fd(), &raw mut count) }?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    fn recount(&self) -> io::Result<isize> {
        let held = self.held();
        let wanted = self.total.saturating_sub(*held);
        let found = self.available()?;
        if let Some(missing) = wanted.checked_sub(found) {
            self.put(&vec![b'+'; missing])?;
        }
        self.drop_bytes(found.saturating_sub(wanted))?;
        Ok(wanted as isize - found as isize)
    }

    fn trim(&self) -> io::Result<usize> {
        let held = self.held();
        let excess = self.available()?.saturating_sub(self.total.saturating_sub(*held));
        self.drop_bytes(excess)?;
        Ok(excess)
    }

    fn drop_bytes(&self, count: usize) -> io::Result<()> {
        for _ in 0..count {
            match self.take_byte() {
                // A make was faster.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                other => other?,
            };
        }
        Ok(())
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        let mut held = self.pipe.held();
        // It fails only when the pipe is closed, and this holds it open.
        let _: io::Result<()> = self.pipe.put(&[self.byte]);
        *held -= 1;
    }
}

/// Returns the same end of the same pipe with flags of its own.
fn reopen(end: &OwnedFd, flags: OFlag) -> io::Result<OwnedFd> {
    let mode = nix::sys::stat::Mode::empty();
    Ok(nix::fcntl::open(inherit::path_of(end.as_fd()).as_str(), flags | OFlag::O_CLOEXEC, mode)?)
}
