//! Reads the output of builds: the current activity, and the cause of a failure.
//!
//! Reads the output of GNU make, autotools, libtool, GCC, binutils and kbuild
//! as it comes, one line after the other in bounded memory; a log is never
//! trusted to be text, or short.

mod activity;
pub mod boot;
mod classify;
mod compiler_crash;
mod excerpt;

pub use activity::activity;
pub use classify::{Class, first_error};
pub use compiler_crash::{CrashedCommand, crashed_command};
pub use excerpt::{Finding, Scanner, excerpt, read};

/// Returns whether `line` starts with `word` as a whole word.
fn starts_with_word(line: &str, word: &str) -> bool {
    line.strip_prefix(word).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// Returns the name behind the last slash; of a path ending in one, the name before it.
fn base_name(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    path.rsplit('/').next().unwrap_or(path)
}
