//! Which of the tools a build needs are on this machine.
//!
//! Starts no process itself: it asks a [`Host`], so that every answer a
//! machine may give can be tested.

use crate::base::Version;
use crate::config::host_tools::{Find, HostTools, Identity, Manager, Tool};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The queries of a machine.
pub trait Host {
    /// Returns where a program is on PATH.
    fn find_program(&self, name: &str) -> Option<PathBuf>;
    /// Returns the program that a shell command of the caller's own environment prints, if it is
    /// one.
    fn locate(&self, command: &str) -> Option<PathBuf>;
    /// Output of a command (stdout, then stderr), or why it did not run or succeed.
    fn run(&self, argv: &[String]) -> Result<String, String>;
    /// Whether a C program compiles and links, or the output of the compiler.
    fn compile(&self, source: &str, link: &[String]) -> Result<(), String>;
    /// Returns whether the user may install packages without `sudo`.
    fn is_root(&self) -> bool;
}

/// Result of the search for a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum ToolState {
    /// It is there and will do.
    Found {
        /// Path of the program; `None` for a test program that is compiled.
        path: Option<PathBuf>,
        /// Its version, if it was asked.
        version: Option<String>,
    },
    /// It is there, but older than needed.
    TooOld {
        /// Where.
        path: PathBuf,
        /// Its version.
        version: String,
        /// The oldest that will do.
        minimum: String,
    },
    /// It is there but does not work.
    Broken {
        /// Where.
        path: PathBuf,
        /// Its output.
        why: String,
    },
    /// It is not there.
    Missing {
        /// The compiler's message, or the names that were searched.
        why: String,
    },
}

/// A tool and its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ToolStatus {
    /// Its name.
    pub name: String,
    /// Its purpose.
    pub why: String,
    /// How it was found.
    pub status: ToolState,
    /// The packages that bring it, of the package manager found.
    pub packages: Vec<String>,
}

impl ToolStatus {
    /// Returns whether it will do.
    pub fn is_good(&self) -> bool {
        matches!(self.status, ToolState::Found { .. })
    }
}

/// All tools, and the command that installs what is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostReport {
    /// In the file's order.
    pub tools: Vec<ToolStatus>,
    /// The package manager found on this machine.
    pub manager: Option<String>,
    /// Command that installs everything missing or too old; `None` if nothing is,
    /// or if no known package manager is here.
    pub install: Option<Vec<String>>,
}

impl HostReport {
    /// Returns whether everything is there.
    pub fn is_good(&self) -> bool {
        self.tools.iter().all(ToolStatus::is_good)
    }
}

/// Examines the tools that `needs` names.
pub fn examine(tools: &HostTools, needs: &[String], host: &dyn Host) -> HostReport {
    let manager = tools.managers.iter().find(|manager| host.find_program(&manager.program).is_some());
    let tools_found: Vec<ToolStatus> = tools.named(needs).map(|tool| one(tool, manager, host)).collect();
    HostReport {
        install: manager.and_then(|manager| install(&tools_found, manager, host)),
        manager: manager.map(|manager| manager.name.clone()),
        tools: tools_found,
    }
}

/// Returns what of this machine's tools belongs to keys: a line for every tool that has an identity, in the file's order.
/// What is not there has none.
pub fn identity(tools: &HostTools, host: &dyn Host) -> Vec<(String, String)> {
    let line = |(tool, identity): (&Tool, &Identity)| {
        let output = match (identity, &tool.find) {
            (Identity::Command(command), _) => {
                let argv = ["/bin/sh", "-c", command].map(str::to_owned);
                host.run(&argv).ok().filter(|output| !output.trim().is_empty())?
            }
            (Identity::Version, Find::Program { names, version_args, locate, .. }) => {
                let path = found(names, locate.as_deref(), host).next()?;
                ask(&path, version_args, host).unwrap_or_default()
            }
            (Identity::Version, Find::Compile { .. }) => return None,
        };
        let first = output.lines().next().unwrap_or("").trim().to_owned();
        Some((tool.name.clone(), first))
    };
    tools.identity().filter_map(line).collect()
}

/// Returns the directory of each tool that is found elsewhere than on the PATH of steps.
pub fn places(tools: &HostTools, needs: &[String], host: &dyn Host) -> BTreeMap<String, PathBuf> {
    let dir = |tool: &Tool| {
        let Find::Program { locate: Some(command), .. } = &tool.find else { return None };
        let path = host.locate(command)?;
        Some((tool.name.clone(), path.parent()?.to_owned()))
    };
    tools.named(needs).filter_map(dir).collect()
}

fn one(tool: &Tool, manager: Option<&Manager>, host: &dyn Host) -> ToolStatus {
    let packages = manager.and_then(|manager| tool.packages.get(&manager.name)).cloned().unwrap_or_default();
    ToolStatus { name: tool.name.clone(), why: tool.why.clone(), status: status(&tool.find, host), packages }
}

fn status(find: &Find, host: &dyn Host) -> ToolState {
    match find {
        Find::Compile { source, link } => match host.compile(source, link) {
            Ok(()) => ToolState::Found { path: None, version: None },
            Err(output) => ToolState::Missing { why: first_error(&output) },
        },
        Find::Program { names, version_args, minimum, locate } => {
            // Another of the names may be new enough where the first is not.
            let mut refused = None;
            for path in found(names, locate.as_deref(), host) {
                match program(path, version_args, minimum.as_ref(), host) {
                    good @ ToolState::Found { .. } => return good,
                    bad => refused = refused.or(Some(bad)),
                }
            }
            refused.unwrap_or_else(|| ToolState::Missing { why: format!("no {} on PATH", names.join(" or ")) })
        }
    }
}

fn program(path: PathBuf, version_args: &[String], minimum: Option<&Version>, host: &dyn Host) -> ToolState {
    if version_args.is_empty() {
        return ToolState::Found { path: Some(path), version: None };
    }
    let output = match ask(&path, version_args, host) {
        Ok(output) => output,
        Err(why) => return ToolState::Broken { path, why: first_error(&why) },
    };
    let version = version_in(&output);
    match (version, minimum) {
        (Some(version), Some(minimum)) if version < *minimum => {
            ToolState::TooOld { path, version: version.to_string(), minimum: minimum.to_string() }
        }
        (None, Some(minimum)) => {
            ToolState::Broken { path, why: format!("no version in what it prints, {minimum} or newer is needed") }
        }
        (version, _) => ToolState::Found { path: Some(path), version: version.map(|version| version.to_string()) },
    }
}

// Candidate directories, the best first.
fn found<'a>(names: &'a [String], locate: Option<&'a str>, host: &'a dyn Host) -> impl Iterator<Item = PathBuf> + 'a {
    let located = locate.into_iter().filter_map(|command| host.locate(command));
    located.chain(names.iter().filter_map(|name| host.find_program(name)))
}

fn ask(path: &Path, version_args: &[String], host: &dyn Host) -> Result<String, String> {
    let mut argv = vec![path.display().to_string()];
    argv.extend_from_slice(version_args);
    host.run(&argv)
}

/// Returns the version in what a program prints: the first number with a dot, outside of brackets,
/// where distributors put their own; else within them.
///
/// `gcc (Debian 12.2.0-14+deb12u1) 12.2.0`, `v1.24`, `This is perl 5, version
/// 36, subversion 0 (v5.36.0)`, `GNU Awk 5.2.1, API 3.2`.
pub fn version_in(output: &str) -> Option<Version> {
    let first = output.lines().find(|line| !line.trim().is_empty())?;
    let outside: String = {
        let mut depth = 0_usize;
        let keep = |c: &char| {
            match c {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                _ => return depth == 0,
            }
            false
        };
        first.chars().filter(keep).collect()
    };
    number_in(&outside).or_else(|| number_in(first))
}

fn number_in(text: &str) -> Option<Version> {
    text.split(|c: char| c.is_whitespace() || "(),;".contains(c)).find_map(|word| {
        let word = word.strip_prefix('v').unwrap_or(word);
        let end = word.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(word.len());
        let number = word[..end].trim_end_matches('.');
        if number.contains('.') { Version::new(number).ok() } else { None }
    })
}

/// Returns the most informative line of a compiler's output.
fn first_error(output: &str) -> String {
    let line =
        output.lines().find(|line| line.contains("error")).or_else(|| output.lines().find(|l| !l.trim().is_empty()));
    line.unwrap_or("it does not run").trim().to_owned()
}

fn install(tools_found: &[ToolStatus], manager: &Manager, host: &dyn Host) -> Option<Vec<String>> {
    let mut packages: Vec<String> = Vec::new();
    for package in tools_found.iter().filter(|tool| !tool.is_good()).flat_map(|tool| &tool.packages) {
        if !packages.contains(package) {
            packages.push(package.clone());
        }
    }
    if packages.is_empty() {
        return None;
    }
    let sudo = if host.is_root() { None } else { Some("sudo".to_owned()) };
    Some(sudo.into_iter().chain(manager.install.iter().cloned()).chain(packages).collect())
}

#[cfg(test)]
#[path = "tools_tests.rs"]
mod tests;
