//! `[access]` of a recipe: what its steps use beyond the isolation that every step runs in.

use super::file::{SourceFile, Text};
use crate::base::Diagnostic;
use serde::{Deserialize, Serialize};
use std::path::{Component, Path, PathBuf};

/// `[access]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawAccess {
    /// Whether steps have network access.
    #[serde(default)]
    pub network: bool,
    /// Device nodes that steps open, such as `/dev/kvm`.
    #[serde(default)]
    pub devices: Vec<Text>,
    /// Files and directories outside of the work directory that steps write.
    #[serde(default)]
    pub write: Vec<Text>,
}

/// The access of a recipe's steps beyond reading the machine and writing their work directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Access {
    /// Network access.
    pub network: bool,
    /// Device nodes.
    pub devices: Vec<PathBuf>,
    /// Files and directories to write.
    pub write: Vec<PathBuf>,
}

impl Access {
    pub(super) fn new(raw: &RawAccess, file: &SourceFile, problems: &mut Vec<Diagnostic>) -> Self {
        let mut paths = |texts: &[Text], below: &str| -> Vec<PathBuf> {
            let mut found = Vec::new();
            for text in texts {
                let path = PathBuf::from(text.get_ref());
                if is_plain(&path) && path.starts_with(below) && path != Path::new(below) {
                    found.push(path);
                    continue;
                }
                let message = format!("`{}` is not an absolute path below `{below}`", text.get_ref());
                problems.push(file.error(text, message).hint("write it without `.` and `..`"));
            }
            found
        };
        Self { network: raw.network, devices: paths(&raw.devices, "/dev"), write: paths(&raw.write, "/") }
    }

    /// Returns the key inputs; none if the recipe declares no access.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let network = self.network.then(|| ("access: network", "true".to_owned()));
        let devices = self.devices.iter().map(|path| ("access: device", path.display().to_string()));
        let write = self.write.iter().map(|path| ("access: write", path.display().to_string()));
        network.into_iter().chain(devices).chain(write).collect()
    }
}

fn is_plain(path: &Path) -> bool {
    path.is_absolute() && path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
}

/// Returns why `path` is not a valid relative path below one of crossmill's directories; `what` is the purpose of the
/// path.
pub fn stays_below(what: &str, path: &str) -> Result<(), String> {
    let plain = Path::new(path).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if path.is_empty() || !plain || path.contains('\0') {
        return Err(format!("{what} `{path}` leads out of its directory"));
    }
    Ok(())
}

/// Returns why `name` cannot be the name of a step, which is also that of its log file.
pub fn step_name(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(fits) {
        return Err(format!("`{name}` cannot be the name of a step: letters, digits and `. _ + -` are possible"));
    }
    Ok(())
}
