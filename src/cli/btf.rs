//! `crossmill btf`

mod check;

use super::{CliError, CliResult, exit, stream};
use crate::base::Diagnostic;
use crate::debuginfo::btf::file::{self, Loaded};
use crate::debuginfo::btf::{Btf, pointer_size};
use crate::debuginfo::input::Input;
use crate::report::debuginfo::btf_c::{self, HeaderError};
use crate::report::debuginfo::{btf as report, btf_json};
use clap::builder::PossibleValuesParser;
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

/// Print every type, one a line with its members below, as `bpftool btf dump file FILE format raw` does, or as C
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
    /// `raw`: one type a line; `c`: a header with all types, those of the bases too
    #[arg(long, value_name = "FORMAT", value_parser = PossibleValuesParser::new(["raw", "c"]), default_value = "raw")]
    format: String,
    /// Print JSON
    #[arg(long, conflicts_with = "format")]
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
        if self.format == "c" {
            return self.header(&loaded, base.as_ref());
        }
        let btf = self.btf(&loaded, base.as_ref())?;
        stream(|out| if self.json { btf_json::types(&btf, out) } else { report::raw(&btf, out) })?;
        Ok(exit::DONE)
    }

    // A header is only right for types that follow the rules.
    fn header(&self, loaded: &Loaded<'_>, base: Option<&Btf<'_>>) -> CliResult {
        if self.section != ".BTF" {
            let message = format!("section {} has no types that a header could define", self.section);
            return Err(Diagnostic::new(message).hint("`--format c` is for .BTF").into());
        }
        let path = self.base.last().map(PathBuf::as_path);
        let btf = loaded.sound(base.zip(path))?;
        let pointer = loaded.pointer.unwrap_or_else(|| pointer_size(&btf));
        let mut outcome = Ok(());
        stream(|out| match btf_c::header(&btf, pointer, out) {
            Err(HeaderError::Io(error)) => Err(error),
            other => {
                outcome = other;
                Ok(())
            }
        })?;
        match outcome {
            Ok(()) => Ok(exit::DONE),
            Err(error) => Err(Diagnostic::new(format!("{}: {error}", self.file.display())).into()),
        }
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
