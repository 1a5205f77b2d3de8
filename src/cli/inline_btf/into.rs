//! `crossmill inline-btf generate --into`: a copy of the ELF file with one more section.

use super::Inputs;
use super::tools::{PATIENCE, environment};
use crate::base::Diagnostic;
use crate::cli::{CliError, exit};
use crate::debuginfo::elf::Elf;
use crate::debuginfo::inline_btf::file::File;
use crate::process::{find_program, probe};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Writes a copy of the file with the section, whole or not at all.
pub fn add_section(objcopy: &str, file: &File<'_>, inputs: &Inputs, bytes: &[u8], into: &Path) -> Result<(), CliError> {
    let dir = into.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let dir = tempfile::Builder::new().prefix(".tmp-").tempdir_in(dir)?;
    let (section, copy) = (dir.path().join("inline.btf"), dir.path().join("copy"));
    fs_err::write(&section, bytes)?;
    let plain = inputs.uncompressed(&file.path, dir.path())?;
    let add = format!(".BTF.inline={}", section.display());
    let (from, to) = (plain.display().to_string(), copy.display().to_string());
    let args = [
        "--remove-section",
        ".BTF.inline",
        "--add-section",
        &add,
        "--set-section-flags",
        ".BTF.inline=noload,readonly",
        &from,
        &to,
    ];
    probe(objcopy, &args, &environment(), PATIENCE).map_err(|error| {
        let problem = Diagnostic::from_error(&error);
        CliError::new(exit::HOST, hints(objcopy, &file.elf).into_iter().fold(problem, Diagnostic::hint))
    })?;
    // As cp(1): the mode of the original, less the umask.
    let created = fs_err::metadata(&section)?.permissions().mode();
    let original = fs_err::metadata(&file.path)?.permissions().mode();
    let executable = (created & 0o444) >> 2;
    let mode = original & (created | executable) & 0o777;
    fs_err::set_permissions(&copy, std::fs::Permissions::from_mode(mode))?;
    Ok(fs_err::rename(&copy, into)?)
}

// An objcopy of binutils reads the files of its own machines alone.
fn hints(used: &str, elf: &Elf<'_>) -> Vec<String> {
    let Some(triple) = elf.gnu_triple() else { return Vec::new() };
    let arch = triple.split('-').next().unwrap_or(triple);
    let fits = |name: &str| name.strip_prefix(arch).is_some_and(|rest| rest.starts_with('-'));
    if Path::new(used).file_name().is_some_and(|name| fits(&name.to_string_lossy())) {
        return Vec::new();
    }
    let env = environment();
    let path = env.get("PATH").map_or("", String::as_str);
    let expected = format!("{triple}-objcopy");
    let installed = if find_program(&expected, path).is_some() { Some(expected.clone()) } else { near(path, fits) };
    vec![match installed {
        Some(name) => format!("the file is for {arch}, which `--objcopy {name}` reads"),
        None => format!("the file is for {arch}: install binutils for it and use `--objcopy {expected}`"),
    }]
}

// Toolchains of other names: aarch64-linux-objcopy, aarch64-none-elf-objcopy.
fn near(path: &str, fits: impl Fn(&str) -> bool) -> Option<String> {
    let listed = path.split(':').filter_map(|dir| fs_err::read_dir(dir).ok()).flatten().filter_map(Result::ok);
    let names = listed.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.ends_with("-objcopy") && fits(name)).min()
}
