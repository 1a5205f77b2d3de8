//! `crossmill inline-btf split`

use super::open;
use crate::base::{Diagnostic, files};
use crate::cli::{CliError, CliResult, exit, print};
use crate::debuginfo::btf::file::{self, Loaded};
use crate::debuginfo::btf::split::{self, SplitError};
use crate::debuginfo::elf::Elf;
use crate::debuginfo::inline_btf::file::Error;
use crate::debuginfo::input::Input;
use crate::report::debuginfo::inline_btf as report;
use clap::Args;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Split BTF that has the kinds of inline BTF among its types into the main BTF and inline BTF based on it
///
/// pahole writes the kinds into the ordinary .BTF; kernels expect them in a file of their own. Functions that only
/// sites refer to and that have no symbol move to the inline BTF. Both files are sorted by name, so type ids change.
/// The pair is read again and compared with the original before it is written.
/// Exit codes: 0 written, 1 there is nothing to split, 2 a file cannot be read.
#[derive(Debug, Args)]
pub struct Split {
    /// Raw BTF, or an ELF file with .BTF
    file: PathBuf,
    /// Base of split BTF, such as the kernel's for a module: raw BTF or an ELF file; repeat it for a chain
    #[arg(long, value_name = "FILE")]
    base: Vec<PathBuf>,
    /// Take the symbols from this ELF file; without symbols every function stays in the main BTF
    #[arg(long, value_name = "FILE")]
    symbols: Option<PathBuf>,
    /// Write the main BTF to FILE [default: the path of the file with `.BTF` appended]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write the inline BTF to FILE [default: the path of the file with `.BTF.inline` appended]
    #[arg(long, value_name = "FILE")]
    inline: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Split {
    pub fn run(self) -> CliResult {
        let inputs = self.base.iter().map(|path| open(path)).collect::<Result<Vec<_>, _>>()?;
        let input = open(&self.file)?;
        let pairs = self.base.iter().zip(&inputs);
        let bases = pairs.map(|(path, input)| Loaded::new(path, input)).collect::<Result<Vec<_>, _>>()?;
        let base = file::sound_chain(&bases)?;
        let base_path = self.base.last().map(PathBuf::as_path);
        let loaded = Loaded::new(&self.file, &input)?;
        let btf = loaded.sound(base.as_ref().zip(base_path))?;
        if loaded.ext.is_some() {
            let message = format!("{} has .BTF.ext, whose type ids would no longer fit", self.file.display());
            return Err(CliError::new(exit::FAILED, Diagnostic::new(message)));
        }
        let symbols = self.symbols(&loaded, &input)?;
        let has_symbol = |name: &[u8]| symbols.as_ref().is_none_or(|symbols| symbols.contains(name));
        let pair = split::split(&btf, &has_symbol).map_err(|error| self.refused(&error))?;
        let (main, inline) = (self.path(&self.output, ".BTF"), self.path(&self.inline, ".BTF.inline"));
        files::write_atomic(&main, &pair.main)?;
        files::write_atomic(&inline, &pair.inline)?;
        let text = if self.json {
            report::split_json(&pair, &main, &inline).map_err(|error| CliError::usage(error.to_string()))?
        } else {
            report::split_text(&pair, &main, &inline, symbols.is_some())
        };
        print(&text)?;
        Ok(exit::DONE)
    }

    fn path(&self, given: &Option<PathBuf>, suffix: &str) -> PathBuf {
        given.clone().unwrap_or_else(|| {
            let mut path = self.file.clone().into_os_string();
            path.push(suffix);
            path.into()
        })
    }

    fn refused(&self, error: &SplitError) -> CliError {
        let code = match error {
            SplitError::Nothing | SplitError::Narrow | SplitError::Unknown { .. } => exit::FAILED,
            _ => exit::USAGE,
        };
        let mut problem = Diagnostic::new(format!("{} cannot be split", self.file.display())).cause(error.to_string());
        if let Some(source) = std::error::Error::source(error) {
            problem = problem.cause(source.to_string());
        }
        if matches!(error, SplitError::Nothing) {
            problem = problem.hint("`crossmill inline-btf generate` writes inline BTF from debug information");
        }
        CliError::new(code, problem)
    }

    // Names of functions; nothing where no ELF file is known.
    fn symbols(&self, loaded: &Loaded<'_>, input: &Input) -> Result<Option<HashSet<Vec<u8>>>, CliError> {
        if let Some(path) = &self.symbols {
            return Ok(Some(names(path, &open(path)?)?));
        }
        if loaded.elf_sections.is_none() {
            return Ok(None);
        }
        Ok(Some(names(&self.file, input)?))
    }
}

// GCC adds to the name of a copy that it changed: `name.isra.0` is a symbol of `name`.
fn names(path: &Path, input: &Input) -> Result<HashSet<Vec<u8>>, CliError> {
    let elf = Elf::parse(input.bytes()).map_err(|source| Error::Elf { path: path.to_owned(), source })?;
    let mut names = HashSet::new();
    for function in elf.functions() {
        if let Some((plain, _)) = function.name.split_once('.') {
            names.insert(plain.as_bytes().to_vec());
        }
        names.insert(function.name.into_bytes());
    }
    if names.is_empty() {
        let message = format!("{} has no symbols of functions", path.display());
        let hint = "use the file before it is stripped, or give the one that was: `--symbols FILE`";
        return Err(Diagnostic::new(message).hint(hint).into());
    }
    Ok(names)
}
