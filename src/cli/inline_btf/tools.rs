//! Programs of other packages that the commands start.

use crate::base::Diagnostic;
use crate::cli::{CliError, exit};
use crate::process::{find_program, probe};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Time limit of a program: pahole takes minutes for a large kernel.
pub const PATIENCE: Duration = Duration::from_secs(3600);

/// Returns the variables of this process.
pub fn environment() -> BTreeMap<String, String> {
    // Lossy on purpose: a variable that is no UTF-8 is none that these programs know.
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect()
}

/// Lets pahole write the BTF of a file, which is not compressed, to a file of its own in `dir`.
pub fn run_pahole(vmlinux: &Path, base: Option<&Path>, dir: &Path) -> Result<PathBuf, CliError> {
    let env = environment();
    if find_program("pahole", env.get("PATH").map_or("", String::as_str)).is_none() {
        let problem = Diagnostic::new("pahole is not installed").hint("it is in the package `dwarves` or `pahole`");
        return Err(CliError::new(exit::HOST, problem));
    }
    let path = dir.join("main.btf");
    let mut args = vec!["-J".to_owned(), format!("--btf_encode_detached={}", path.display())];
    args.extend(base.map(|base| format!("--btf_base={}", base.display())));
    args.push(vmlinux.display().to_string());
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    probe("pahole", &args, &env, PATIENCE)?;
    if !path.is_file() {
        let problem = Diagnostic::new(format!("pahole wrote no BTF for {}", vmlinux.display()))
            .hint("`pahole -J` prints the reason; a file without debug information has no types");
        return Err(CliError::new(exit::HOST, problem));
    }
    Ok(path)
}
