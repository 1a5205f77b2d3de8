//! `crossmill shell` and `crossmill env`.

use super::options::Select;
use super::{CliError, CliResult};
use crate::base::{Diagnostic, PackageName};
use crate::config::matrix::Target;
use crate::config::recipe::Per;
use crate::plan::job::Job;
use crate::process::Tool;
use clap::Args;

/// Start a shell with a target's PATH, CROSS_COMPILE and ARCH
#[derive(Debug, Args)]
pub struct Shell {
    #[command(flatten)]
    select: Select,
    /// The command to run instead of a shell, after `--`
    #[arg(last = true)]
    command: Vec<String>,
}

/// Print a target's PATH, CROSS_COMPILE and ARCH, for `eval`
#[derive(Debug, Args)]
pub struct Env {
    #[command(flatten)]
    select: Select,
    /// As JSON
    #[arg(long)]
    json: bool,
}

// The target, and what its own stages have on their PATH before the host's
// directories: its toolchain.
fn variables(select: &Select) -> Result<(Target, String), CliError> {
    let session = select.session()?;
    let [name] = &select.targets[..] else { return Err(CliError::usage("name exactly one target")) };
    let target = session.config.matrix.target(name)?.clone();
    let request = select.request(&session, false)?;
    let store = session.store()?;
    let plan = session.plan(&request, &store, &session.fetcher(&store))?;
    // A toolchain's own parts have less on theirs: gcc is built with binutils alone.
    let for_target =
        |column: &PackageName| session.config.recipes.get(column).is_some_and(|recipe| recipe.per == Per::Target);
    let own = plan.stages.iter().filter(|stage| stage.scope == target.name.as_str() && for_target(&stage.package));
    let jobs: Vec<_> = own.filter_map(|stage| stage.job()).filter(|job| job.path_deps().next().is_some()).collect();
    // Tools of the target's own, which have its C library, rather than those that it shares.
    let has_own = |job: &&&Job| job.path_deps().any(|dep| for_target(&dep.package));
    let Some(job) = jobs.iter().find(has_own).or(jobs.first()) else {
        return Err(CliError::usage(format!("no recipe puts tools on the PATH of `{name}`")));
    };
    let mut path = Vec::new();
    for dep in job.path_deps() {
        let Some(stored) = store.find(&plan.stage(dep.stage).key)? else {
            let profile = select.profile.as_ref().map(|profile| format!(" --profile {profile}")).unwrap_or_default();
            let package = &dep.package;
            let problem =
                Diagnostic::new(format!("the {package} of `{name}` is not built with these versions and options"));
            return Err(problem.hint(format!("build it: `crossmill build {name}{profile}`")).into());
        };
        path.extend(dep.path.iter().map(|dir| stored.tree.join(dir).display().to_string()));
    }
    Ok((target, path.join(":")))
}

impl Shell {
    /// Replaces this process with the shell; returns only on failure.
    pub fn run(self) -> CliResult {
        let (target, tools) = variables(&self.select)?;
        let shell = std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".to_owned());
        let mut argv = if self.command.is_empty() { vec![shell] } else { self.command };
        let program = argv.remove(0);
        let path = std::env::var("PATH").unwrap_or_default();
        let error = Tool::new(&program)
            .args(argv)
            .env("PATH", format!("{tools}:{path}"))
            .env("CROSS_COMPILE", format!("{}-", target.triple))
            .env("ARCH", &target.arch)
            .env("CROSSMILL_TARGET", target.name.as_str())
            .replace();
        Err(CliError::usage(format!("cannot start `{program}`: {error}")))
    }
}

impl Env {
    /// Prints them.
    pub fn run(self) -> CliResult {
        let (target, tools) = variables(&self.select)?;
        let text = if self.json {
            let value = serde_json::json!({
                "schema": 1, "path": tools, "CROSS_COMPILE": format!("{}-", target.triple), "ARCH": target.arch,
                "target": target.name.as_str(), "triple": target.triple,
            });
            format!("{value:#}\n")
        } else {
            format!(
                "export PATH={}:$PATH\nexport CROSS_COMPILE={}-\nexport ARCH={}\n",
                tools, target.triple, target.arch
            )
        };
        super::print(&text)?;
        Ok(super::exit::DONE)
    }
}
