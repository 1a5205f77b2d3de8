//! `[limits]` of a recipe: what each of its steps may use at most. No part of a key, since a limit changes no result.

use super::file::{SourceFile, Text};
use crate::base::{Diagnostic, units};
use serde::{Deserialize, Serialize};

/// `[limits]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawLimits {
    /// The memory of all processes of a step, as `8 GiB`.
    pub memory: Option<Text>,
    /// Processes and threads of a step.
    pub processes: Option<u64>,
    /// The size of a file, as `4 GiB`.
    pub file_size: Option<Text>,
    /// Open files of a process.
    pub open_files: Option<u64>,
}

/// The resource limits of a step; `None` is the limit of crossmill itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u64>,
    /// Bytes of a file.
    pub file_size: Option<u64>,
    /// Open files of a process.
    pub open_files: Option<u64>,
}

impl Limits {
    pub(super) fn new(raw: &RawLimits, file: &SourceFile, problems: &mut Vec<Diagnostic>) -> Self {
        let mut bytes = |text: &Option<Text>| {
            let text = text.as_ref()?;
            units::parse_bytes(text.get_ref()).map_err(|why| problems.push(file.error(text, why))).ok()
        };
        Self {
            memory: bytes(&raw.memory),
            processes: raw.processes,
            file_size: bytes(&raw.file_size),
            open_files: raw.open_files,
        }
    }

    /// Returns the declared limits as a recipe writes them.
    pub fn declared(&self) -> Vec<String> {
        let bytes = |name: &str, value: Option<u64>| value.map(|value| format!("{name} = \"{}\"", units::bytes(value)));
        let count = |name: &str, value: Option<u64>| value.map(|value| format!("{name} = {value}"));
        let all = [
            bytes("memory", self.memory),
            count("processes", self.processes),
            bytes("file-size", self.file_size),
            count("open-files", self.open_files),
        ];
        all.into_iter().flatten().collect()
    }
}
