//! A script as the test of a commit, by the exit codes of `git bisect run`: 0 is good, 125 cannot be tested, others below
//! 128 are bad.

use super::Error;
use super::interrupt::Interrupts;
use super::outcome::Outcome;
use super::signature::Signature;
use crate::base::StageName;
use crate::process::Tool;
use crate::run::build_log::{self, Class, first_error};
use crate::run::workspace::quote;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The package part of the name under which a script's failures are reported.
pub const NAME: &str = "script";
/// The exit code for a commit that cannot be tested.
const CANNOT_TEST: i32 = 125;
/// Lines of its output that are searched for an error.
const EXCERPT: usize = 40;

/// A script and its surroundings.
#[derive(Debug)]
pub struct Script<'a> {
    /// Its file.
    pub path: &'a Path,
    /// The target that it tests.
    pub target: &'a str,
    /// Its variables.
    pub env: Vec<(String, String)>,
    /// The file for its output.
    pub log: PathBuf,
    /// The longest that it may take.
    pub limit: Option<Duration>,
}

impl Script<'_> {
    /// Writes its variables as a shell reads them, to run it by hand.
    pub fn write_environment(&self, file: &Path) -> Result<(), Error> {
        let line = |(name, value): &(String, String)| format!("export {name}={}\n", quote(value));
        Ok(fs_err::write(file, self.env.iter().map(line).collect::<String>())?)
    }

    /// Runs it in the working directory of this process.
    pub fn run(&self, interrupts: &Interrupts) -> Result<Outcome, Error> {
        // Its output may be long, so it goes to the file itself.
        let tool = Tool::new("/bin/sh").args(["-c", r#"exec "$@" > "$0" 2>&1"#]).arg(&self.log).arg(self.path);
        let tool = tool.envs(self.env.iter().map(|(name, value)| (name, value)));
        let limit = self.limit.unwrap_or(Duration::MAX);
        let ended = interrupts.unless(async { tokio::time::timeout(limit, tool.output()).await });
        let Some(ended) = ended else { return Err(Error::Interrupted) };
        let Ok(output) = ended else { return self.fail(Class::Timeout, "it took longer than the time limit") };
        match output?.status.code() {
            Some(0) => Ok(Outcome::Pass),
            Some(CANNOT_TEST) => Ok(Outcome::Untestable(format!("the script ended with exit code {CANNOT_TEST}"))),
            // Those of a shell for a program that it cannot start.
            Some(code @ (126 | 127)) => Err(self.wrong(&format!("exit code {code}: {}", self.last_line()))),
            Some(code) if code < 128 => self.fail(Class::Other, &format!("exit code {code}")),
            _ if interrupts.came() => Err(Error::Interrupted),
            Some(code) => Err(self.wrong(&format!("exit code {code}, which is no verdict"))),
            None => Err(self.wrong("it was killed by a signal")),
        }
    }

    fn fail(&self, class: Class, ended: &str) -> Result<Outcome, Error> {
        let found = build_log::read(BufReader::new(fs_err::File::open(&self.log)?), EXCERPT)?;
        let text =
            first_error(&found.excerpt).map_or_else(|| ended.to_owned(), |line| format!("{ended}: {}", line.trim()));
        let class = if class == Class::Other { found.class } else { class };
        Ok(Outcome::Fail(vec![Signature { stage: StageName::new(self.target, NAME), class, text }]))
    }

    fn wrong(&self, why: &str) -> Error {
        Error::Script { path: self.path.to_owned(), why: why.to_owned() }
    }

    fn last_line(&self) -> String {
        let text = fs_err::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&text).lines().last().unwrap_or_default().to_owned()
    }
}
