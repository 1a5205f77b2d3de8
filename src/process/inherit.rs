//! File descriptors that exactly one child inherits.
//!
//! Everything crossmill opens is close-on-exec from its first moment. The flag
//! is taken off between `fork` and `exec`, in the child, so that children
//! started at the same time by other threads get nothing of it.

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Lets the child of `command` inherit `fd` under its own number.
pub(super) fn pass(command: &mut Command, fd: impl AsFd + Send + Sync + 'static) {
    in_child(command, move || Ok(fcntl(&fd, FcntlArg::F_SETFD(FdFlag::empty())).map(drop)?));
}

/// Lets the child of `command` inherit `fd` under the number `as_number`,
/// which must be one that crossmill itself has open until then, so that it
/// stands for nothing else in the child.
pub(super) fn pass_as(command: &mut Command, fd: impl AsFd + Send + Sync + 'static, as_number: RawFd) {
    in_child(command, move || {
        // SAFETY: in the child the number stands for a copy of what the caller
        // holds under it in the parent. Nothing in the child owns that copy,
        // and the new one is for the program it becomes.
        let copy = unsafe { nix::unistd::dup2_raw(&fd, as_number) }?;
        let _: RawFd = copy.into_raw_fd();
        Ok(())
    });
}

/// Marks every descriptor from 3 on close-on-exec, except `keep`.
pub(super) fn keep_only(keep: &[RawFd]) -> io::Result<()> {
    let open: Vec<RawFd> = fs_err::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|fd| *fd > 2 && !keep.contains(fd))
        .collect();
    for fd in open {
        // SAFETY: the number is only used to set a flag. Should it be closed
        // by now, as the listing's own is, that fails with EBADF.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        match fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)) {
            Ok(_) | Err(nix::errno::Errno::EBADF) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Moves a descriptor out of the range scripts use: a `configure` says
/// `exec 5>>config.log` whether 5 is taken or not.
pub(super) fn move_up(fd: OwnedFd) -> io::Result<OwnedFd> {
    const FIRST: RawFd = 64;
    let moved = fcntl(&fd, FcntlArg::F_DUPFD_CLOEXEC(FIRST))?;
    // SAFETY: the call above created this descriptor and nothing else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(moved) })
}

/// Runs `action` between `fork` and `exec`. It may only make system calls.
pub(super) fn in_child(command: &mut Command, action: impl FnMut() -> io::Result<()> + Send + Sync + 'static) {
    // SAFETY: the actions of this layer make system calls and nothing else:
    // they allocate nothing and take no lock, so a fork of a program with
    // threads can run them.
    unsafe { command.pre_exec(action) };
}

/// Returns the path under which a process opens its descriptor `fd` again.
pub(super) fn path_of(fd: impl AsRawFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}
