//! The one path to stdout and stderr. A stream that is closed or full ends no
//! command: `println!` and `eprintln!` would panic there.

use super::CliError;
use crate::base::secret;
use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};

/// Prints a line to stderr, as `eprintln!` does, but never panics.
macro_rules! errln {
    () => { $crate::cli::output::message(format_args!("")) };
    ($($word:tt)*) => { $crate::cli::output::message(format_args!($($word)*)) };
}

/// Prints a line to stderr.
///
/// Nobody can be informed of an error on stderr, so there is none: a full disk
/// below `2>log` or a closed pipe changes no exit code. Secrets are hidden.
pub fn message(text: Arguments<'_>) {
    raw(&format!("{}\n", secret::redact(&text.to_string())));
}

/// Writes to stderr what may contain a secret: a command for the log of a CI service.
pub fn raw(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Prints data to stdout, piece by piece.
///
/// A reader that went away, as with `| head`, is no error; a full disk is one.
pub fn stream(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), CliError> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(io::Error::new(error.kind(), format!("cannot write to stdout: {error}")).into())
        }
        _ => Ok(()),
    }
}

/// Prints data to stdout. Secrets are hidden.
pub fn print(text: &str) -> Result<(), CliError> {
    stream(|out| out.write_all(secret::redact(text).as_bytes()))
}
