//! Shared by the tests of the process layer: a directory with a command's
//! places in it, and waiting without a clock.
#![expect(clippy::unwrap_used, reason = "a helper of tests")]
#![expect(dead_code, reason = "each test file uses a part of it")]

use crossmill::process::{Command, Outcome, spawn};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The crossmill of this build.
pub const SUPERVISOR: &str = env!("CARGO_BIN_EXE_crossmill");

/// A scratch directory: `build` to run in, `log`, `stop-record`.
pub struct Bench {
    dir: PathBuf,
    /// Removes it at the end, where it is this process's.
    _own: Option<tempfile::TempDir>,
}

impl Bench {
    pub fn new() -> Self {
        let own = tempfile::tempdir().unwrap();
        fs_err::create_dir(own.path().join("build")).unwrap();
        Self { dir: own.path().to_owned(), _own: Some(own) }
    }

    /// The bench that another process has made.
    pub fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), _own: None }
    }

    /// Output of scripts is in the build directory they run in, all else beside it.
    pub fn path(&self, name: &str) -> PathBuf {
        let inside = ["near", "far", "up", "ready", "go", "pid", "inner"].contains(&name);
        if inside { self.dir.join("build").join(name) } else { self.dir.join(name) }
    }

    pub fn record(&self) -> PathBuf {
        self.path("stop-record")
    }

    pub fn command(&self, argv: &[&str]) -> Command {
        Command {
            step: "test/step".to_owned(),
            argv: argv.iter().map(|arg| (*arg).to_owned()).collect(),
            env: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
            dir: self.path("build"),
            log: self.path("log"),
            stop_record: self.record(),
            grace: Duration::from_secs(60),
            isolation: None,
            limits: Default::default(),
            lock: None,
        }
    }

    pub fn shell(&self, script: &str) -> Command {
        self.command(&["sh", "-c", script])
    }

    pub fn script(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path("build").join(name);
        fs_err::write(&path, text).unwrap();
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub async fn run(&self, command: &Command) -> Outcome {
        spawn(Path::new(SUPERVISOR), command, None).unwrap().wait().await.unwrap()
    }

    /// The number a script writes into `name`, once it is there.
    pub fn pid(&self, name: &str) -> i32 {
        eventually(name, || read(&self.path(name)).ends_with('\n'));
        read(&self.path(name)).trim().parse().unwrap()
    }
}

/// A file's text; empty if it is not there.
pub fn read(path: &Path) -> String {
    fs_err::read_to_string(path).unwrap_or_default()
}

/// Polls until `condition` holds, for as long as a busy machine may need.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "never came true: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn wait_for(path: &Path) {
    eventually(&path.display().to_string(), || path.exists());
}

/// Whether the process is gone, not even a zombie.
pub fn gone(pid: i32) -> bool {
    !Path::new(&format!("/proc/{pid}")).exists()
}

/// Whether the process has ended; whoever adopted it may be slow to reap it.
pub fn ended(pid: i32) -> bool {
    gone(pid) || read(Path::new(&format!("/proc/{pid}/status"))).contains("Z (zombie)")
}

pub fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}
