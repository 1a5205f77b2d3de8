//! Probes which isolation this kernel offers to this user.

use super::{rules, view};
use crate::base::isolation::{Isolation, Mechanism, State};
use crate::process::Error;
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

/// The isolation that this machine supports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Support {
    /// Whether the namespaces are created in a user namespace, as an ordinary user has to.
    pub user_namespace: bool,
    /// Mechanisms that are not available, with the reason.
    pub missing: BTreeMap<Mechanism, String>,
}

impl Support {
    /// Returns whether a mechanism is available.
    pub fn has(&self, mechanism: Mechanism) -> bool {
        !self.missing.contains_key(&mechanism)
    }

    /// Returns what steps get.
    pub fn isolation(&self) -> Isolation {
        let state = match self.missing.len() {
            0 => State::Full,
            missing if missing == Mechanism::ALL.len() => State::None,
            _ => State::Partial,
        };
        Isolation { state, missing: self.missing.clone() }
    }
}

/// The argument that makes a supervisor report what isolation the machine offers.
const PROBE: &str = "probe";

/// Asks `exe`, crossmill's own executable, to try each mechanism in a process of its own.
pub fn support(exe: &Path) -> Result<Support, Error> {
    let failed = |source| Error::Supervisor { exe: exe.to_owned(), program: "isolation probe".to_owned(), source };
    let mut command = Command::new(exe);
    command.arg(crate::process::supervise::ARGUMENT).arg(PROBE).env_clear().stdin(Stdio::null());
    let output = command.stderr(Stdio::null()).output().map_err(failed)?;
    serde_json::from_slice(&output.stdout).map_err(|error| failed(error.into()))
}

/// Whether these arguments of a supervisor ask for the probe; if so, answers on stdout.
pub(in crate::process) fn probe_main(argument: &std::ffi::OsStr) -> Option<ExitCode> {
    (argument == PROBE).then(|| {
        let written =
            serde_json::to_vec(&probe()).map_err(io::Error::from).and_then(|text| io::stdout().write_all(&text));
        if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    })
}

fn probe() -> Support {
    let mut support = Support { user_namespace: false, missing: BTreeMap::new() };
    if let Err(error) = rules::kernel_abi() {
        support.missing.insert(Mechanism::Landlock, landlock_reason(&error));
    }
    support.user_namespace = trial(|| unshare(CloneFlags::CLONE_NEWNS).map_err(io::Error::from)).is_err();
    let own_user = support.user_namespace;
    if own_user && let Err(error) = trial(view::own_user_namespace) {
        let why = user_namespace_reason(&error);
        for mechanism in [Mechanism::ReadOnlyView, Mechanism::Network, Mechanism::Processes] {
            support.missing.insert(mechanism, why.clone());
        }
        return support;
    }
    let detach = move |flags| {
        if own_user {
            view::own_user_namespace()?;
        }
        unshare(flags).map_err(io::Error::from)
    };
    let trials: [(Mechanism, &dyn Fn() -> io::Result<()>); 3] = [
        (Mechanism::ReadOnlyView, &|| {
            detach(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWIPC)?;
            view::private()?;
            view::read_only(Path::new("/"), true)
        }),
        (Mechanism::Network, &|| detach(CloneFlags::CLONE_NEWNET)),
        (Mechanism::Processes, &|| {
            detach(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID)?;
            view::private()?;
            trial(view::mount_proc).map_err(io::Error::other)
        }),
    ];
    for (mechanism, attempt) in trials {
        if let Err(why) = trial(attempt) {
            support.missing.insert(mechanism, namespace_reason(&why));
        }
    }
    // Its `/proc` needs a mount namespace, which the view brings.
    if let Some(why) = support.missing.get(&Mechanism::ReadOnlyView).cloned() {
        support.missing.entry(Mechanism::Processes).or_insert(why);
    }
    support
}

/// Runs `attempt` in a child, which keeps what it changes to itself.
fn trial(attempt: impl FnOnce() -> io::Result<()>) -> Result<(), String> {
    let (mut reader, mut writer) = io::pipe().map_err(|error| error.to_string())?;
    // SAFETY: the probe has one thread, so the child may do what the parent could.
    match unsafe { fork() }.map_err(|error| error.to_string())? {
        ForkResult::Child => {
            drop(reader);
            let answer = attempt().err().map_or_else(|| "ok".to_owned(), |error| error.to_string());
            let _ = writer.write_all(answer.as_bytes());
            drop(writer);
            // SAFETY: ends the child without running what belongs to the parent.
            unsafe { nix::libc::_exit(0) }
        }
        ForkResult::Parent { child } => {
            drop(writer);
            let mut answer = String::new();
            let read = reader.read_to_string(&mut answer);
            let _ = waitpid(child, None);
            match read {
                Ok(_) if answer == "ok" => Ok(()),
                Ok(_) if answer.is_empty() => Err("the trial was killed".to_owned()),
                Ok(_) => Err(answer),
                Err(error) => Err(error.to_string()),
            }
        }
    }
}

fn landlock_reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(nix::libc::ENOSYS) => "the kernel has no Landlock (CONFIG_SECURITY_LANDLOCK)".to_owned(),
        Some(nix::libc::EOPNOTSUPP) => "Landlock is not enabled (the kernel's `lsm=` list)".to_owned(),
        _ => format!("Landlock is not available: {error}"),
    }
}

/// Settings that forbid user namespaces, by name, and the value with which they do.
const SETTINGS: [(&str, &str, &str); 3] = [
    ("kernel.unprivileged_userns_clone", "0", "are disabled"),
    ("user.max_user_namespaces", "0", "are disabled"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "are restricted by AppArmor"),
];

fn forbidding_setting() -> Option<String> {
    SETTINGS.iter().find_map(|(name, value, verb)| {
        let found = fs_err::read_to_string(format!("/proc/sys/{}", name.replace('.', "/"))).ok()?;
        (found.trim() == *value).then(|| format!("user namespaces {verb} ({name}={value})"))
    })
}

fn user_namespace_reason(error: &str) -> String {
    forbidding_setting().unwrap_or_else(|| format!("user namespaces are not available: {error}"))
}

fn namespace_reason(error: &str) -> String {
    // AppArmor lets the namespace be created, and takes its capabilities away.
    let restricted = || forbidding_setting().filter(|_| error.contains("permitted") || error.contains("denied"));
    restricted().unwrap_or_else(|| error.to_owned())
}
