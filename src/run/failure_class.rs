//! The class of a failure that is an error of crossmill's own: a fetch, a full disk, a program that is missing.
//! The class of a failed step comes from its exit status and its log.

use super::Error;
use super::build_log::Class;
use crate::{process, source};
use std::io;

/// Returns the class of an error that ended a stage.
#[must_use]
pub fn of_error(error: &Error) -> Class {
    match error {
        Error::Source(error) => of_source(error),
        Error::Process(error) => of_process(error),
        Error::Io(error) => of_io(error),
        Error::Store(error) => std::error::Error::source(error)
            .and_then(|source| source.downcast_ref::<io::Error>())
            .map_or(Class::Other, of_io),
        Error::MissingTools(_) => Class::MissingTool,
        _ => Class::Other,
    }
}

/// Returns the class of a step that failed: by its log, unless the log shows no cause and the kernel killed a process
/// for want of memory meanwhile, or the step itself by a signal that nobody sent.
#[must_use]
pub fn of_step(by_log: Class, status: process::Status, oom_killed: bool) -> Class {
    match (by_log, status) {
        (Class::Other, process::Status::Signaled(9)) => Class::OutOfMemory,
        (Class::Other, _) if oom_killed => Class::OutOfMemory,
        (class, _) => class,
    }
}

fn of_source(error: &source::Error) -> Class {
    use source::Error;
    match error {
        Error::DiskFull { .. } => Class::NoSpace,
        Error::Io(error) => of_io(error),
        // Another server would have helped, unless this machine itself is at fault.
        Error::Exhausted { failures } => {
            let classes: Vec<Class> = failures.iter().map(|failure| of_source(&failure.error)).collect();
            let local = classes.iter().find(|class| **class == Class::NoSpace);
            local.copied().unwrap_or(if classes.contains(&Class::Network) { Class::Network } else { Class::Other })
        }
        Error::Offline { .. }
        | Error::Status { .. }
        | Error::Network { .. }
        | Error::HostDead { .. }
        | Error::Stalled { .. }
        | Error::Slow { .. }
        | Error::Short { .. } => Class::Network,
        Error::Patch { .. } => Class::Patch,
        Error::Program { .. } => Class::MissingTool,
        _ => Class::Other,
    }
}

fn of_process(error: &process::Error) -> Class {
    match error {
        process::Error::ProgramNotFound { .. } | process::Error::NotExecutable { .. } => Class::MissingTool,
        process::Error::Start { source: Some(error), .. }
        | process::Error::Supervisor { source: error, .. }
        | process::Error::Jobs { source: error, .. }
        | process::Error::Machine { source: error } => of_io(error),
        _ => Class::Other,
    }
}

fn of_io(error: &io::Error) -> Class {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Class::NoSpace,
        io::ErrorKind::OutOfMemory => Class::OutOfMemory,
        _ => Class::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_without_a_cause_is_judged_by_the_kernel() {
        use process::Status::{Exited, Signaled};
        assert_eq!(of_step(Class::Other, Exited(2), false), Class::Other);
        assert_eq!(of_step(Class::Other, Exited(2), true), Class::OutOfMemory);
        assert_eq!(of_step(Class::Other, Signaled(9), false), Class::OutOfMemory);
        assert_eq!(of_step(Class::CompileError, Exited(2), true), Class::CompileError);
        assert_eq!(of_step(Class::NoSpace, Signaled(9), true), Class::NoSpace);
    }

    #[test]
    fn an_error_has_the_class_of_its_cause() {
        let network = || source::Error::Network { url: "http://a/b".into(), why: "connection refused".into() };
        let full = || source::Error::DiskFull { path: "/x".into() };
        let all = |errors: Vec<source::Error>| {
            let failures = errors.into_iter().map(|error| source::Failure { source: "s".into(), error });
            of_error(&Error::Source(source::Error::Exhausted { failures: failures.collect() }))
        };
        assert_eq!(all(vec![network()]), Class::Network);
        assert_eq!(all(vec![network(), full()]), Class::NoSpace);
        assert_eq!(of_error(&Error::Io(io::Error::from_raw_os_error(28))), Class::NoSpace);
        assert_eq!(of_error(&Error::Io(io::Error::from_raw_os_error(122))), Class::NoSpace);
        assert_eq!(of_error(&Error::Io(io::Error::from_raw_os_error(12))), Class::OutOfMemory);
        let missing =
            process::Error::ProgramNotFound { program: "m4".into(), dir: "/x".into(), path: "/usr/bin".into() };
        assert_eq!(of_error(&Error::Process(missing)), Class::MissingTool);
        assert_eq!(of_error(&Error::Io(io::Error::from_raw_os_error(13))), Class::Other);
    }
}
