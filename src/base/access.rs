//! Hints for refused file operations where several users share files: who owns the file, and what to do.

use nix::unistd::{Uid, User};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Returns the hints for an I/O error whose message names its path in backquotes, as those of `fs_err` do.
pub fn hints(error: &io::Error) -> Vec<String> {
    match error.kind() {
        io::ErrorKind::PermissionDenied => denied(error),
        io::ErrorKind::ReadOnlyFilesystem => vec!["the file system is mounted read-only".into()],
        _ if is_io_fault(error) => {
            vec!["the disk or the file system reports an error, see `dmesg`; nothing was removed".into()]
        }
        _ => super::files::hint(error).into_iter().collect(),
    }
}

fn is_io_fault(error: &io::Error) -> bool {
    // fs_err keeps the kind and drops the number.
    error.raw_os_error() == Some(nix::libc::EIO) || error.to_string().contains("(os error 5)")
}

fn denied(error: &io::Error) -> Vec<String> {
    let text = error.to_string();
    let Some(path) = text.split('`').nth(1).map(Path::new) else { return Vec::new() };
    let me = Uid::effective();
    // The file itself if it can be seen; otherwise the directory that hides it or that refuses a new name.
    let seen = path.ancestors().find_map(|path| Some((path, fs_err::symlink_metadata(path).ok()?)));
    let Some((mut at, mut meta)) = seen else { return Vec::new() };
    // The user's own file below another user's directory: that directory refused the operation.
    while meta.uid() == me.as_raw() {
        let Some(parent) = at.parent() else { return Vec::new() };
        let Ok(above) = fs_err::symlink_metadata(parent) else { return Vec::new() };
        (at, meta) = (parent, above);
    }
    let (owner, mine) = (name_of(Uid::from_raw(meta.uid())), name_of(me));
    let whose =
        format!("`{}` belongs to {owner} (mode {:04o}), and you are {mine}", at.display(), meta.mode() & 0o7777);
    let what = if meta.uid() == 0 {
        format!("an earlier run as root may have left it: `sudo chown -R {me} {}`", at.display())
    } else {
        format!("let {owner} share it with a group of both: `chmod -R g+rwX {}`, and run with umask 002", at.display())
    };
    vec![whose, what]
}

/// Returns a user's name, or its number where it has none.
fn name_of(uid: Uid) -> String {
    User::from_uid(uid).ok().flatten().map_or_else(|| format!("user {uid}"), |user| user.name)
}
