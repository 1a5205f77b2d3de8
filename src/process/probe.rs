//! Short queries of programs on this machine: a version, a search path.

use super::error::Error;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{AccessFlags, Pid, access};
use std::collections::BTreeMap;
use std::io;
use std::num::NonZero;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Runs `program` with `args` and exactly the environment `env`, without
/// input, and returns what it wrote to stdout; what is no UTF-8 is replaced. A
/// name without a slash is looked up in the `PATH` of `env`. It blocks.
///
/// # Errors
/// When it is not found, does not start, ends with anything but 0, or does not
/// end within `timeout`; then it is killed with its process group.
pub fn probe(program: &str, args: &[&str], env: &BTreeMap<String, String>, timeout: Duration) -> Result<String, Error> {
    let path = env.get("PATH").map_or("", String::as_str);
    let file = if program.contains('/') { Some(PathBuf::from(program)) } else { find_program(program, path) };
    let file = file.ok_or_else(|| Error::ProgramNotFound {
        program: program.to_owned(),
        dir: PathBuf::from("."),
        path: path.to_owned(),
    })?;
    let command = || std::iter::once(&program).chain(args).copied().collect::<Vec<_>>().join(" ");
    let failed = |source| Error::Probe { command: command(), source };
    let expression = duct::cmd(&file, args).full_env(env).stdin_null().stdout_capture().stderr_capture().unchecked();
    // A group of its own, so that what it started ends with it.
    let expression = expression.before_spawn(|command| {
        command.process_group(0);
        Ok(())
    });
    let handle = expression.start().map_err(failed)?;
    let Some(output) = handle.wait_timeout(timeout).map_err(failed)? else {
        for pid in handle.pids() {
            let _: nix::Result<()> = killpg(Pid::from_raw(pid as i32), Signal::SIGKILL);
        }
        let _: io::Result<()> = handle.kill();
        return Err(Error::ProbeTimeout { command: command(), limit: timeout });
    };
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let last: Vec<&str> = stderr.trim().lines().rev().take(3).collect();
        return Err(Error::ProbeFailed {
            command: command(),
            status: output.status.to_string(),
            stderr: last.into_iter().rev().collect::<Vec<_>>().join("; "),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Returns the first executable file `name` in the directories of `path_var`, as `execvp` finds it;
/// an empty entry is the current directory.
pub fn find_program(name: &str, path_var: &str) -> Option<PathBuf> {
    find_below(name, path_var, Path::new(""))
}

/// Returns the same for a program that will run in `dir`. The result is relative to `dir` where the
/// entry of `path_var` is, and always has a slash.
pub(super) fn find_below(name: &str, path_var: &str, dir: &Path) -> Option<PathBuf> {
    if name.is_empty() || name.contains('/') || path_var.is_empty() {
        return None;
    }
    let candidates = path_var.split(':').map(|entry| Path::new(if entry.is_empty() { "." } else { entry }).join(name));
    candidates.into_iter().find(|file| is_executable(&dir.join(file)))
}

/// Returns whether this is a file that this user may execute.
pub(super) fn is_executable(file: &Path) -> bool {
    file.is_file() && access(file, AccessFlags::X_OK).is_ok()
}

/// Returns how many processors this process may use, by its affinity and its cgroup's quota; 1 if
/// that cannot be found out.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(path: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("PATH".to_owned(), path.to_owned()), ("WORD".to_owned(), "this".to_owned())])
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_probe_sees_only_its_environment() {
        let printed =
            probe("sh", &["-c", "echo $WORD; echo not this >&2; echo ${HOME-none}"], &env("/usr/bin:/bin"), LONG);
        assert_eq!(printed.unwrap(), "this\nnone\n");
    }

    #[test]
    fn a_probe_that_fails_says_why() {
        let error = probe("sh", &["-c", "echo no such flag >&2; exit 3"], &env("/usr/bin:/bin"), LONG).unwrap_err();
        insta::assert_snapshot!(crate::base::Diagnostic::from_error(&error), @r"
        error: `sh -c echo no such flag >&2; exit 3` failed with exit status: 3
        hint: its output: no such flag
        ");
        let error = probe("as-of-nowhere", &[], &env("/nowhere"), LONG).unwrap_err();
        insta::assert_snapshot!(crate::base::Diagnostic::from_error(&error), @r"
        error: program `as-of-nowhere` not found, wanted in `.`
        hint: install it, or check the `PATH` that was searched: /nowhere
        ");
    }

    #[test]
    fn a_probe_that_hangs_is_ended_with_what_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        // The child has the pipe open, too.
        let script = format!("sleep 1000 & echo $! > {}; wait", pid.display());
        let mut limit = Duration::from_millis(500);
        // Longer, should a busy machine not get as far as starting the child.
        let pid = loop {
            let error = probe("sh", &["-c", &script], &env("/usr/bin:/bin"), limit).unwrap_err();
            assert!(matches!(error, Error::ProbeTimeout { .. }), "{error}");
            match fs_err::read_to_string(&pid) {
                Ok(pid) if pid.ends_with('\n') => break pid,
                _ => limit *= 2,
            }
        };
        let status = format!("/proc/{}/status", pid.trim());
        let deadline = std::time::Instant::now() + LONG;
        while fs_err::read_to_string(&status).is_ok_and(|status| !status.contains("Z (zombie)")) {
            assert!(std::time::Instant::now() < deadline, "it lives on");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn directories_and_plain_files_are_no_programs() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(dir.path().join("a/tool")).unwrap();
        fs_err::create_dir_all(dir.path().join("b")).unwrap();
        fs_err::write(dir.path().join("b/tool"), "").unwrap();
        let path = format!("{0}/a:{0}/b", dir.path().display());
        assert_eq!(find_program("tool", &path), None);
        use std::os::unix::fs::PermissionsExt as _;
        fs_err::set_permissions(dir.path().join("b/tool"), std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find_program("tool", &path), Some(dir.path().join("b/tool")));
        assert_eq!(find_below("tool", ":x", &dir.path().join("b")), Some(PathBuf::from("./tool")));
        assert_eq!(find_program("../tool", &path), None);
        assert!(processors() >= 1);
    }
}
