//! `crossmill recipe elf`: facts of ELF files for the scripts of checks.

use super::super::{CliError, CliResult, exit, print};
use crate::base::Diagnostic;
use crate::debuginfo::elf::{Elf, Header};
use clap::Args;
use std::path::{Path, PathBuf};

/// Print the header of ELF files, and compare it with a target's
///
/// The words are those of `readelf -h`. Exits with 1 and prints the difference instead if a
/// file is of another kind; an empty word is not compared.
#[derive(Debug, Args)]
pub struct ElfFacts {
    /// The files
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// ELF32 or ELF64
    #[arg(long, value_name = "WORD", default_value = "", hide_default_value = true)]
    class: String,
    /// `little endian` or `big endian`
    #[arg(long, value_name = "WORDS", default_value = "", hide_default_value = true)]
    data: String,
    /// The machine, as `AArch64`
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    machine: String,
    /// The flags of the header in hexadecimal, as 0x400
    #[arg(long, value_name = "NUMBER", default_value = "", hide_default_value = true)]
    flags: String,
    /// Print the size of this section in bytes instead; exits with 1 if a file lacks it
    #[arg(long, value_name = "NAME")]
    section: Option<String>,
}

impl ElfFacts {
    pub(super) fn run(self) -> CliResult {
        for path in &self.files {
            let bytes = fs_err::read(path)?;
            let file = Elf::parse(&bytes).map_err(|error| unreadable(path, &error.to_string()))?;
            let facts = match &self.section {
                Some(name) => section_size(&file, name),
                None => self.compared(&Header::of(&file)),
            };
            match facts {
                Ok(text) => print(&format!("{text}\n"))?,
                Err(difference) => {
                    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
                    print(&format!("{name}: {difference}\n"))?;
                    return Ok(exit::FAILED);
                }
            }
        }
        Ok(exit::DONE)
    }

    // The header as text, or its first difference from the target's.
    fn compared(&self, header: &Header) -> Result<String, String> {
        let flags = format!("{:#x}", header.flags);
        let facts = [
            ("ELF class", self.class.as_str(), header.class),
            ("byte order", &self.data, header.data),
            ("machine", &self.machine, &header.machine),
            ("ELF flags", &self.flags, &flags),
        ];
        match facts.iter().find(|(_, wanted, found)| !wanted.is_empty() && wanted != found) {
            Some((fact, wanted, found)) => Err(format!("{fact} `{found}`, but the target declares `{wanted}`")),
            None => Ok(header.to_string()),
        }
    }
}

fn section_size(file: &Elf<'_>, name: &str) -> Result<String, String> {
    file.section(name).map(|section| section.size.to_string()).ok_or_else(|| format!("no section {name}"))
}

fn unreadable(path: &Path, why: &str) -> CliError {
    Diagnostic::new(format!("`{}`: {why}", path.display())).into()
}
