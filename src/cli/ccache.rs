//! `--ccache`: links that are called as the host's compilers are and stand
//! before them on the PATH of build steps.
//!
//! What comes out is the same as without: so no key, no recipe and no
//! `reproduce` script knows of it.

use super::session::Session;
use super::{CliError, exit};
use crate::base::Diagnostic;
use crate::host::tools::{self, Host as _};
use crate::run::CompilerLauncher;
use crate::store::Store;

/// Makes the links below the store; refused where the cache is not installed.
pub(super) fn wrapper(session: &Session, store: &Store) -> Result<CompilerLauncher, CliError> {
    let Some((tool, cache)) = session.tools.cache() else {
        return Err(CliError::usage("host-tools.toml describes no compiler cache (a tool with `wraps`)"));
    };
    let machine = session.machine();
    let examination = tools::examine(&session.tools, std::slice::from_ref(&tool.name), &machine);
    let crate::config::host_tools::Find::Program { names, .. } = &tool.find else {
        return Err(CliError::usage(format!("host-tools.toml: `{}` is no program", tool.name)));
    };
    let program = names.iter().find_map(|name| machine.find_program(name)).filter(|_| examination.is_good());
    let Some(program) = program else {
        let mut problem = Diagnostic::new(format!("`{}` is not installed", tool.name));
        if let Some(command) = &examination.install {
            problem = problem.hint(format!("install it: `{}`", command.join(" ")));
        }
        return Err(CliError::new(exit::HOST, problem.hint("or build without `--ccache`: the results are the same")));
    };
    let dir = store.root().join("ccache");
    let bin = dir.join("bin");
    fs_err::create_dir_all(&bin)?;
    for name in &cache.wraps {
        let link = bin.join(name);
        // A compiler that is not there must not seem to be.
        if machine.find_program(name).is_none() {
            let _ = fs_err::remove_file(&link);
            continue;
        }
        let fresh = bin.join(format!(".{name}.{}", std::process::id()));
        let _ = fs_err::remove_file(&fresh);
        fs_err::os::unix::fs::symlink(&program, &fresh)?;
        fs_err::rename(&fresh, &link)?;
    }
    // A changed source makes another key, and by it another work directory: without this, every
    // object that a header of a dependency is in would be compiled again.
    let base = cache.base_variable.clone().map(|name| (name, store.root().to_owned()));
    let variables = std::iter::once((cache.variable.clone(), dir.join("cache"))).chain(base).collect();
    Ok(CompilerLauncher { bin, variables })
}
