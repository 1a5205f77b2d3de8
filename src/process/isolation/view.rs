//! Namespaces: mounts, network and process ids of a step.

use super::{Mechanism, Support, View, named};
use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare as detach};
use nix::sys::stat::Mode;
use nix::unistd::{getegid, geteuid};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Directories that everybody writes; a step sees its own instead.
pub(super) const HIDDEN: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];

/// Gives this process namespaces of its own, as far as `support` has them. With [`Mechanism::Processes`] the next
/// child is the first process of its own.
pub(in crate::process) fn unshare(support: &Support, network: bool) -> io::Result<()> {
    let mut flags = CloneFlags::empty();
    if support.has(Mechanism::ReadOnlyView) {
        flags |= CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWIPC;
    }
    if support.has(Mechanism::Network) && !network {
        flags |= CloneFlags::CLONE_NEWNET;
    }
    if support.has(Mechanism::Processes) {
        flags |= CloneFlags::CLONE_NEWPID;
    }
    if flags.is_empty() {
        return Ok(());
    }
    if support.user_namespace {
        own_user_namespace()?;
    }
    detach(flags).map_err(named("creating namespaces"))
}

/// Becomes the owner of a user namespace in which this user and group have their own numbers.
pub(super) fn own_user_namespace() -> io::Result<()> {
    let (user, group) = (geteuid(), getegid());
    detach(CloneFlags::CLONE_NEWUSER).map_err(named("creating a user namespace"))?;
    fs_err::write("/proc/self/setgroups", "deny")?;
    fs_err::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    fs_err::write("/proc/self/gid_map", format!("{group} {group} 1"))
}

/// Makes the mounts of this namespace the view's. `processes`: this is the first process of a namespace of its own,
/// and `/proc` is to show that one.
pub(in crate::process) fn enter(view: &View, processes: bool) -> io::Result<()> {
    private()?;
    let writable: Vec<&PathBuf> = std::iter::once(&view.work).chain(&view.write).collect();
    for path in &writable {
        bind(path, path)?;
    }
    hide(view, &writable)?;
    if processes {
        mount_proc()?;
    }
    read_only(Path::new("/"), true)?;
    for path in writable.iter().map(|path| path.as_path()).chain(hidden().iter().map(PathBuf::as_path)) {
        read_only(path, false)?;
    }
    Ok(())
}

/// Keeps what is mounted here from the rest of the machine.
pub(super) fn private() -> io::Result<()> {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).map_err(named("making mounts private"))
}

pub(super) fn mount_proc() -> io::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>).map_err(named("mounting /proc"))
}

// Each once, wherever links lead.
fn hidden() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = HIDDEN.iter().filter_map(|dir| fs_err::canonicalize(dir).ok()).collect();
    found.sort();
    found.dedup();
    found
}

fn hide(view: &View, writable: &[&PathBuf]) -> io::Result<()> {
    let hidden = hidden();
    let is_hidden = |path: &Path| hidden.iter().any(|dir| path.starts_with(dir) && path != dir);
    let mut kept: Vec<PathBuf> = view.visible.iter().filter_map(|path| fs_err::canonicalize(path).ok()).collect();
    kept.extend(writable.iter().map(|path| (*path).clone()));
    kept.retain(|path| is_hidden(path));
    kept.sort();
    // Mounts below another are covered by it.
    kept.dedup_by(|path, before| path.starts_with(before));
    let scratch = handle(&view.scratch)?;
    // Opened before they are hidden.
    let kept: Vec<(PathBuf, OwnedFd)> =
        kept.into_iter().map(|path| handle(&path).map(|fd| (path, fd))).collect::<io::Result<_>>()?;
    for dir in &hidden {
        bind_handle(&scratch, dir)?;
    }
    for (path, fd) in &kept {
        let is_dir = fs_err::metadata(of(fd))?.is_dir();
        let dir = if is_dir { path.as_path() } else { path.parent().unwrap_or(Path::new("/")) };
        fs_err::create_dir_all(dir)?;
        if !is_dir {
            fs_err::OpenOptions::new().append(true).create(true).open(path)?;
        }
        bind_handle(fd, path)?;
    }
    Ok(())
}

fn handle(path: &Path) -> io::Result<OwnedFd> {
    open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).map_err(named(format!("opening `{}`", path.display())))
}

fn of(fd: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

fn bind_handle(fd: &OwnedFd, at: &Path) -> io::Result<()> {
    bind(&of(fd), at)
}

fn bind(from: &Path, at: &Path) -> io::Result<()> {
    let none = None::<&str>;
    mount(Some(from), at, none, MsFlags::MS_BIND | MsFlags::MS_REC, none)
        .map_err(named(format!("mounting `{}`", at.display())))
}

/// Makes the mount at `path` and everything below it read-only, or that mount alone writable.
pub(super) fn read_only(path: &Path, yes: bool) -> io::Result<()> {
    let c_path = CString::new(path.as_os_str().as_bytes())?;
    let (set, clear, flags) =
        if yes { (libc::MOUNT_ATTR_RDONLY, 0, libc::AT_RECURSIVE) } else { (0, libc::MOUNT_ATTR_RDONLY, 0) };
    let attributes = libc::mount_attr { attr_set: set, attr_clr: clear, propagation: 0, userns_fd: 0 };
    // SAFETY: path and attributes outlive the call, and their length is given.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            c_path.as_ptr(),
            flags,
            &raw const attributes,
            size_of_val(&attributes),
        )
    };
    if result == 0 {
        return Ok(());
    }
    let what = if yes { "making mounts read-only" } else { "making a mount writable" };
    Err(named(format!("{what} at `{}`", path.display()))(io::Error::last_os_error()))
}
