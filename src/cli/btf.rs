//! `crossmill btf`

mod check;

use super::{CliError, CliResult, exit, stream};
use crate::base::Diagnostic;
use crate::debuginfo::btf::Btf;
use crate::debuginfo::btf::file::{self, Loaded};
use crate::debuginfo::input::Input;
use crate::report::debuginfo::{btf as report, btf_json};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Validate and dump BTF
#[derive(Debug, Args)]
pub struct BtfCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Check(check::CheckBtf),
    Dump(Dump),
}

/// Print every type, one a line with its members below, as `bpftool btf dump file FILE format raw` does
#[derive(Debug, Args)]
struct Dump {
    /// Raw BTF, or an ELF file
    file: PathBuf,
    /// Base of split BTF: raw BTF or an ELF file; repeat it for a chain, innermost base first
    #[arg(long, value_name = "FILE")]
    base: Vec<PathBuf>,
    /// The section of an ELF file; sections other than `.BTF` use `.BTF` as their base
    #[arg(long, value_name = "NAME", default_value = ".BTF")]
    section: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl BtfCommand {
    pub fn run(self) -> CliResult {
        match self.what {
            What::Check(command) => command.run(),
            What::Dump(command) => command.run(),
        }
    }
}

impl Dump {
    fn run(self) -> CliResult {
        let open = |path: &PathBuf| Input::open(path).map_err(|error| CliError::from(Diagnostic::from(error)));
        let base_inputs = self.base.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let input = open(&self.file)?;
        let pairs = self.base.iter().zip(&base_inputs);
        let bases = pairs.map(|(path, input)| Loaded::new(path, input)).collect::<Result<Vec<_>, _>>()?;
        let base = file::chain(&bases)?;
        let loaded = Loaded::new(&self.file, &input)?;
        let btf = self.btf(&loaded, base.as_ref())?;
        stream(|out| if self.json { btf_json::types(&btf, out) } else { report::raw(&btf, out) })?;
        Ok(exit::DONE)
    }

    fn btf<'l>(&self, loaded: &'l Loaded<'_>, base: Option<&Btf<'l>>) -> Result<Btf<'l>, CliError> {
        let other = loaded.elf_sections.is_some() && self.section != ".BTF";
        if !other {
            return Ok(loaded.read(base)?);
        }
        let fail = |source| file::Error::Btf { path: self.file.clone(), source };
        let Some(bytes) = loaded.section(&self.section) else {
            let message = format!("{} has no section {} with BTF", self.file.display(), self.section);
            return Err(Diagnostic::new(message).into());
        };
        let main = loaded.section(".BTF").map(|_| loaded.read(base)).transpose()?;
        let base = if self.section == ".BTF.base" { None } else { main.as_ref().or(base) };
        Ok(Btf::parse(bytes, base).map_err(fail)?)
    }
}
