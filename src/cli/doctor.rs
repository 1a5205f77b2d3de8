//! `crossmill doctor`.

use super::options::Select;
use super::{CliError, CliResult, exit};
use crate::base::Diagnostic;
use crate::host::tools::{self, HostReport};
use crate::plan::Request;
use crate::process::Tool;
use crate::report::doctor as report;
use crate::run::Session;
use clap::Args;

/// Check that this machine has every tool and library that a build needs
#[derive(Debug, Args)]
pub struct Doctor {
    #[command(flatten)]
    select: Select,
    /// Also check what `build --ccache` needs
    #[arg(long)]
    ccache: bool,
    /// Install missing tools
    #[arg(long)]
    install: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Doctor {
    /// Examines this machine and installs missing tools on request.
    pub fn run(self) -> CliResult {
        let session = self.select.session()?;
        let request = self.select.request(&session, true)?;
        let mut names = session.tools_for(&request)?;
        if self.ccache {
            names.extend(session.config.host_tools.cache().map(|(tool, _)| tool.name.clone()));
        }
        let host = session.machine();
        let mut host_report = tools::examine(&session.config.host_tools, &names, &host);
        if self.install && !host_report.is_good() {
            install(&host_report)?;
            host_report = tools::examine(&session.config.host_tools, &names, &host);
        }
        let isolation = crate::process::isolation::support(std::path::Path::new("/proc/self/exe"))?.isolation();
        let text = if self.json {
            report::json(&host_report, &isolation).map_err(|error| CliError::usage(error.to_string()))?
        } else {
            report::text(&host_report, &isolation, crate::report::Style::of(&std::io::stdout()))
        };
        super::print(&text)?;
        Ok(if host_report.is_good() { exit::DONE } else { exit::HOST })
    }
}

/// Installs the tools that a request needs and this machine lacks.
pub(super) fn install_for(session: &Session, request: &Request) -> Result<(), CliError> {
    let names = session.tools_for(request)?;
    install(&tools::examine(&session.config.host_tools, &names, &session.machine()))
}

fn install(host_report: &HostReport) -> Result<(), CliError> {
    let Some(command) = &host_report.install else {
        let problem = Diagnostic::new("tools are missing, and no package manager that crossmill knows is here")
            .hint("`crossmill doctor` lists what is missing: install it by hand");
        return Err(CliError::new(exit::HOST, problem));
    };
    // A fresh image has no package lists, and apt then finds nothing.
    if let Some(at) = command.iter().position(|word| word == "apt-get") {
        let update: Vec<String> = command[..=at].iter().cloned().chain(["update".to_owned()]).collect();
        start(&update).map_err(failed)?;
    }
    let Err(message) = start(command) else { return Ok(()) };
    // A package that this distribution lacks, or that conflicts with another, must not prevent the installation of the rest.
    let of_tools = |word: &&String| host_report.tools.iter().any(|tool| tool.packages.contains(word));
    let (packages, manager): (Vec<_>, Vec<_>) = command.iter().partition(of_tools);
    if packages.len() < 2 {
        return Err(failed(message));
    }
    errln!("{message}; trying the packages one by one");
    let mut refused = Vec::new();
    for package in packages {
        let argv: Vec<String> = manager.iter().copied().chain([package]).cloned().collect();
        if let Err(message) = start(&argv) {
            errln!("{message}");
            refused.push(package.as_str());
        }
    }
    if !refused.is_empty() {
        errln!("not installed: {}", refused.join(" "));
    }
    Ok(())
}

fn failed(message: String) -> CliError {
    CliError::new(exit::HOST, Diagnostic::new(message).hint("run it manually to see its output"))
}

fn start(argv: &[String]) -> Result<(), String> {
    errln!("running: {}", argv.join(" "));
    let status = Tool::new(&argv[0]).args(&argv[1..]).env("DEBIAN_FRONTEND", "noninteractive").attached();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{}` ended with {status}", argv.join(" "))),
        Err(error) => Err(format!("`{}` cannot be started: {error}", argv.join(" "))),
    }
}
