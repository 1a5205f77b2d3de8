//! This machine, as the search for tools sees it.

use super::tools::Host;
use crate::process::{find_program, probe};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// This machine, as steps see it.
#[derive(Debug)]
pub struct Machine {
    env: BTreeMap<String, String>,
}

impl Machine {
    /// With the environment of every step.
    pub fn new(env: &BTreeMap<String, String>) -> Self {
        Self { env: env.clone() }
    }
}

const PATIENCE: Duration = Duration::from_secs(20);

impl Host for Machine {
    fn find_program(&self, name: &str) -> Option<PathBuf> {
        find_program(name, self.env.get("PATH").map_or("", String::as_str))
    }

    fn locate(&self, command: &str) -> Option<PathBuf> {
        let own: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let output = probe("/bin/sh", &["-c", command], &own, PATIENCE).ok()?;
        let path = PathBuf::from(output.lines().next()?.trim());
        path.is_absolute().then_some(path).filter(|path| path.is_file())
    }

    fn run(&self, argv: &[String]) -> Result<String, String> {
        let (program, args) = argv.split_first().ok_or("an empty command")?;
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        probe(program, &args, &self.env, PATIENCE).map_err(|error| error.to_string())
    }

    fn compile(&self, source: &str, link: &[String]) -> Result<(), String> {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let (from, to) = (dir.path().join("probe.c"), dir.path().join("probe"));
        fs_err::write(&from, source).map_err(|error| error.to_string())?;
        let (from, to) = (from.display().to_string(), to.display().to_string());
        let mut args = vec!["-o", &to, &from];
        args.extend(link.iter().map(String::as_str));
        probe("cc", &args, &self.env, PATIENCE).map(drop).map_err(|error| error.to_string())
    }

    fn is_root(&self) -> bool {
        nix::unistd::geteuid().is_root()
    }
}
