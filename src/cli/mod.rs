//! The command line: one file a command, whose argument struct's doc comment
//! is its help text. Errors, causes and hints are printed here and nowhere else.

mod btf;
mod build;
mod ccache;
mod check;
mod doctor;
mod env;
mod inline_btf;
mod log;
mod options;
mod package;
mod plan;
mod prove;
mod session;
mod sframe;
mod store;
mod targets;

use crate::base::{Diagnose, Diagnostic};
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Exit codes, as `crossmill --help` and README.md list them.
pub mod exit {
    /// Everything asked for is there.
    pub const DONE: u8 = 0;
    /// A stage failed.
    pub const FAILED: u8 = 1;
    /// The command line, `targets.toml` or a recipe is wrong; nothing was started.
    pub const USAGE: u8 = 2;
    /// This machine lacks a tool, or `doctor` found one missing.
    pub const HOST: u8 = 3;
    /// A source could not be had.
    pub const SOURCE: u8 = 4;
    /// The store cannot be used: read-only, full, damaged.
    pub const STORE: u8 = 5;
    /// Stopped by Ctrl-C or SIGTERM; what is finished is kept.
    pub const STOPPED: u8 = 130;
}

/// Build cross toolchains and kernels of a target matrix, and prove them.
#[derive(Debug, Parser)]
#[command(
    name = "crossmill",
    version,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done, 1 a stage failed, 2 wrong usage or configuration, 3 this machine lacks a tool, \
                  4 a source could not be had, 5 the store cannot be used, 130 stopped (what is finished is kept)."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Btf(btf::BtfCommand),
    Build(build::Build),
    Check(check::Check),
    Fetch(build::Fetch),
    Package(package::Package),
    Plan(plan::Plan),
    Log(log::Log),
    Reproduce(log::Reproduce),
    Timeline(log::Timeline),
    Shell(env::Shell),
    Env(env::Env),
    Doctor(doctor::Doctor),
    InlineBtf(inline_btf::InlineBtf),
    Sframe(sframe::SframeCommand),
    Targets(targets::Targets),
    Prove(prove::Prove),
    Store(store::StoreCommand),
}

/// What ends a command early: what to say, and the exit code.
#[derive(Debug)]
struct Trouble {
    said: Vec<Diagnostic>,
    exit: u8,
}

type Outcome = Result<u8, Trouble>;

impl Trouble {
    fn new(exit: u8, said: Diagnostic) -> Self {
        Self { said: vec![said], exit }
    }

    fn usage(message: impl Into<String>) -> Self {
        Self::new(exit::USAGE, Diagnostic::new(message))
    }
}

impl From<Vec<Diagnostic>> for Trouble {
    fn from(said: Vec<Diagnostic>) -> Self {
        Self { said, exit: exit::USAGE }
    }
}

impl From<Diagnostic> for Trouble {
    fn from(said: Diagnostic) -> Self {
        Self::new(exit::USAGE, said)
    }
}

impl From<crate::store::Error> for Trouble {
    fn from(error: crate::store::Error) -> Self {
        Self::new(exit::STORE, Diagnostic::from_error(&error))
    }
}

impl From<crate::source::Error> for Trouble {
    fn from(error: crate::source::Error) -> Self {
        Self::new(exit::SOURCE, Diagnostic::from_error(&error))
    }
}

impl From<crate::publish::Error> for Trouble {
    fn from(error: crate::publish::Error) -> Self {
        Self::new(exit::FAILED, Diagnostic::from_error(&error))
    }
}

impl From<crate::process::Error> for Trouble {
    fn from(error: crate::process::Error) -> Self {
        Self::new(exit::HOST, Diagnostic::from_error(&error))
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        let hints = crate::base::access::hints(&error);
        Self::new(exit::FAILED, Diagnostic { hints, ..Diagnostic::new(error.to_string()) })
    }
}

impl From<crate::run::Error> for Trouble {
    fn from(error: crate::run::Error) -> Self {
        let exit = match &error {
            crate::run::Error::Store(_) => exit::STORE,
            crate::run::Error::Source(_) => exit::SOURCE,
            crate::run::Error::NoExec { .. } => exit::STORE,
            crate::run::Error::Process(_) | crate::run::Error::NotIsolated { .. } => exit::HOST,
            crate::run::Error::Io(_) | crate::run::Error::Defect(_) => exit::FAILED,
        };
        Self::new(exit, Diagnostic { hints: error.hints(), ..Diagnostic::from_error(&error) })
    }
}

/// More than a screen of messages helps nobody.
const MOST_SAID: usize = 12;

/// The whole program.
pub fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    // A supervisor is this program again; it must do nothing else first.
    if args.next().is_some_and(|arg| arg == "__supervise") {
        return crate::process::supervise::supervise_main(args);
    }
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Btf(command) => command.run(),
        Command::Build(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Fetch(command) => command.run(),
        Command::Package(command) => command.run(),
        Command::Plan(command) => command.run(),
        Command::Log(command) => command.run(),
        Command::Reproduce(command) => command.run(),
        Command::Timeline(command) => command.run(),
        Command::Shell(command) => command.run(),
        Command::Env(command) => command.run(),
        Command::Doctor(command) => command.run(),
        Command::InlineBtf(command) => command.run(),
        Command::Sframe(command) => command.run(),
        Command::Targets(command) => command.run(),
        Command::Prove(command) => command.run(),
        Command::Store(command) => command.run(),
    };
    ExitCode::from(outcome.unwrap_or_else(|trouble| {
        for (index, said) in trouble.said.iter().take(MOST_SAID).enumerate() {
            if index > 0 {
                eprintln!();
            }
            eprintln!("{said}");
        }
        if trouble.said.len() > MOST_SAID {
            eprintln!("\n… and {} more like these", trouble.said.len() - MOST_SAID);
        }
        trouble.exit
    }))
}

/// The answer to a spelling that has a new name.
fn renamed(old: &str, new: &str) -> Trouble {
    Diagnostic::new(format!("`{old}` was renamed")).hint(format!("use `{new}`")).into()
}

/// Writes to stdout piece by piece; a reader that went away, as with `| head`, is no error.
fn stream(write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> Result<(), Trouble> {
    use std::io::Write as _;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Prints to stdout; a reader that went away, as with `| head`, is no error.
fn print(text: &str) -> Result<(), Trouble> {
    use std::io::Write as _;
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
