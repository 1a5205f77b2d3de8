//! `crossmill shell` and `crossmill env`.

use super::options::Select;
use super::session::Session;
use super::{Outcome, Trouble};
use crate::base::Diagnostic;
use crate::config::matrix::Target;
use clap::Args;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;

/// Start a shell with a target's PATH, CROSS_COMPILE and ARCH
#[derive(Debug, Args)]
pub struct Shell {
    #[command(flatten)]
    select: Select,
    /// Run this instead of a shell, after `--`
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

// The variables: where the tools are, and how the kernel's make line names them.
fn variables(select: &Select) -> Result<(Target, PathBuf), Trouble> {
    let session = Session::open(&select.place)?;
    let [name] = &select.targets[..] else { return Err(Trouble::usage("name exactly one target")) };
    let target = session.config.matrix.target(name)?.clone();
    let request = session.request(select, false)?;
    let store = session.store()?;
    let plan = session.plan(&request, &store, &session.fetcher(&store)?)?;
    // What puts tools on the PATH of this target's own stages is its toolchain.
    let dir = plan.ids().find_map(|id| {
        let stage = plan.stage(id);
        let as_tool = stage.job()?.result.iter().any(|file| *file == format!("bin/{}-gcc", target.triple));
        let merged = stage.job()?.result.iter().any(|file| *file == format!("bin/{}-as", target.triple));
        (as_tool && merged).then_some(stage.key)
    });
    let found = dir.map(|key| store.find(&key)).transpose()?.flatten();
    let Some(stored) = found else {
        let mut command = format!("crossmill build {name}");
        if let Some(profile) = &select.profile {
            command += &format!(" --profile {profile}");
        }
        let problem =
            Diagnostic::new(format!("the toolchain of `{name}` is not built with these versions and options"));
        return Err(problem.hint(format!("build it: `{command}`")).into());
    };
    Ok((target, stored.tree.join("bin")))
}

impl Shell {
    /// Becomes the shell; returns only when that fails.
    pub fn run(self) -> Outcome {
        let (target, bin) = variables(&self.select)?;
        let shell = std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".to_owned());
        let mut argv = if self.command.is_empty() { vec![shell] } else { self.command };
        let program = argv.remove(0);
        let path = std::env::var("PATH").unwrap_or_default();
        let error = std::process::Command::new(&program)
            .args(argv)
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("CROSS_COMPILE", format!("{}-", target.triple))
            .env("ARCH", &target.arch)
            .env("CROSSMILL_TARGET", target.name.as_str())
            .exec();
        Err(Trouble::usage(format!("cannot start `{program}`: {error}")))
    }
}

impl Env {
    /// Prints them.
    pub fn run(self) -> Outcome {
        let (target, bin) = variables(&self.select)?;
        let text = if self.json {
            let value = serde_json::json!({
                "path": bin, "CROSS_COMPILE": format!("{}-", target.triple), "ARCH": target.arch,
                "target": target.name.as_str(), "triple": target.triple,
            });
            format!("{value:#}\n")
        } else {
            format!(
                "export PATH={}:$PATH\nexport CROSS_COMPILE={}-\nexport ARCH={}\n",
                bin.display(),
                target.triple,
                target.arch
            )
        };
        super::print(&text)?;
        Ok(super::exit::DONE)
    }
}
