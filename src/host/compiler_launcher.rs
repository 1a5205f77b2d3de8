//! Links that are called as the host's compilers are and come before them on the
//! PATH of build steps, so that a compiler cache answers (`--ccache`).
//!
//! A launcher changes no result: no key, no recipe and no `reproduce` script
//! knows of it.

use super::machine::Machine;
use super::tools::{self, Host as _};
use crate::base::Diagnose;
use crate::config::host_tools::{Find, HostTools};
use std::path::{Path, PathBuf};

/// The program that runs the host's compilers in build steps.
#[derive(Debug, Clone)]
pub struct CompilerLauncher {
    /// The directory of its links.
    pub bin: PathBuf,
    /// Its variables: where the cache is, and below which directory paths are relative.
    pub variables: Vec<(String, PathBuf)>,
}

/// Why there is no compiler launcher.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No tool of host-tools.toml has `wraps`.
    #[error("host-tools.toml describes no compiler cache (a tool with `wraps`)")]
    NotDescribed,
    /// The tool with `wraps` is not a program.
    #[error("host-tools.toml: `{0}` is not a program")]
    NotAProgram(String),
    /// The cache is not installed.
    #[error("`{name}` is not installed")]
    NotInstalled {
        /// Its name.
        name: String,
        /// The command that installs it, where a package manager is known.
        install: Option<Vec<String>>,
    },
    /// A file operation; the error names the path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Diagnose for Error {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::NotDescribed | Self::NotAProgram(_) => Vec::new(),
            Self::NotInstalled { install, .. } => {
                let install = install.iter().map(|command| format!("install it: `{}`", command.join(" ")));
                install.chain(["or build without `--ccache`: the results are the same".to_owned()]).collect()
            }
            Self::Io(error) => crate::base::access::hints(error),
        }
    }
}

/// Creates the links in `dir/bin`; the cache itself is `dir/cache`, and paths below `base` are relative in it.
pub fn create(tools: &HostTools, machine: &Machine, dir: &Path, base: &Path) -> Result<CompilerLauncher, Error> {
    let (tool, cache) = tools.cache().ok_or(Error::NotDescribed)?;
    let examination = tools::examine(tools, std::slice::from_ref(&tool.name), machine);
    let Find::Program { names, .. } = &tool.find else { return Err(Error::NotAProgram(tool.name.clone())) };
    let program = names.iter().find_map(|name| machine.find_program(name)).filter(|_| examination.is_good());
    let Some(program) = program else {
        return Err(Error::NotInstalled { name: tool.name.clone(), install: examination.install });
    };
    let bin = dir.join("bin");
    fs_err::create_dir_all(&bin)?;
    for name in &cache.wraps {
        let link = bin.join(name);
        // A compiler that does not exist must not seem to.
        if machine.find_program(name).is_none() {
            let _ = fs_err::remove_file(&link);
            continue;
        }
        let fresh = bin.join(format!(".{name}.{}", std::process::id()));
        let _ = fs_err::remove_file(&fresh);
        fs_err::os::unix::fs::symlink(&program, &fresh)?;
        fs_err::rename(&fresh, &link)?;
    }
    // A changed source has another key, and therefore another work directory: without relative paths,
    // every object that includes a header of a dependency would be compiled again.
    let base = cache.base_variable.clone().map(|name| (name, base.to_owned()));
    let variables = std::iter::once((cache.variable.clone(), dir.join("cache"))).chain(base).collect();
    Ok(CompilerLauncher { bin, variables })
}
