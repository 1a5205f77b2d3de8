//! (layer under construction)
use crate::process::supervise;
use std::process::ExitCode;

/// Entry.
pub fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).peekable();
    // Before anything else: a supervisor has one thread and reads no settings.
    if args.next_if(|arg| arg == supervise::ARGUMENT).is_some() {
        return supervise::supervise_main(args);
    }
    ExitCode::SUCCESS
}
