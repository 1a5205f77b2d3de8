//! `crossmill inline-btf probes`

mod running;

use super::{Subject, extract, open};
use crate::base::{Diagnostic, suggest};
use crate::cli::{CliError, CliResult, exit, print};
use crate::debuginfo::btf::validate::{Context, validate};
use crate::debuginfo::btf::{Btf, Kind, is_standalone};
use crate::debuginfo::elf::Elf;
use crate::debuginfo::inline_btf::file::{Error, File};
use crate::debuginfo::inline_btf::probes::{self as probes, Format, Frames, Function, Image, Request};
use crate::debuginfo::inline_btf::{EmptyRanges, Options};
use crate::debuginfo::input::Input;
use crate::report::debuginfo::inline_btf as report;
use clap::Args;
use clap::builder::PossibleValuesParser;
use std::path::{Path, PathBuf};

/// Print probe definitions for every call of functions, the inlined calls included
///
/// A function gets all of its probes, each with every argument, or none: `--best-effort` defines those that are
/// possible. Calls without a probe are named on stderr with the reason.
/// Exit codes: 0 every function has definitions, 1 a function has none, 2 a file cannot be read.
#[derive(Debug, Args)]
pub struct Probes {
    /// An ELF file with debug information or with .BTF.inline, followed by functions (with `--running`: functions only)
    #[arg(value_names = ["FILE", "FUNCTION"], required = true)]
    names: Vec<String>,
    /// The language of the definitions
    #[arg(long, value_parser = PossibleValuesParser::new(Format::ALL.map(|(word, _)| word)), default_value = "kprobe-events")]
    format: String,
    /// Take the sites from inline BTF in FILE instead of DWARF
    #[arg(long, value_name = "FILE", conflicts_with = "running")]
    inline: Option<PathBuf>,
    /// Take the inline BTF and the symbols of the running kernel
    #[arg(long)]
    running: bool,
    // Root of /proc and /sys, for tests.
    #[arg(long, value_name = "DIR", hide = true, default_value = "/", requires = "running")]
    running_root: PathBuf,
    /// The name of the module that FILE is; with `--running`, probe this module instead of the kernel
    #[arg(long, value_name = "NAME")]
    module: Option<String>,
    /// The base BTF where the file has none, or the kernel's for a module: raw BTF or an ELF file
    #[arg(long, value_name = "FILE")]
    base: Vec<PathBuf>,
    /// Refuse FILE unless its build ID is the one in these notes, such as /sys/kernel/notes
    #[arg(long, value_name = "FILE", conflicts_with = "running")]
    notes: Option<PathBuf>,
    /// Define every probe that is possible, with the arguments that are available
    #[arg(long)]
    best_effort: bool,
    /// Also define probes where calls end: the return of a copy, the end of a body that is one range of code
    #[arg(long)]
    exits: bool,
    /// The group of the events
    #[arg(long, value_name = "NAME", default_value = "inline", value_parser = group)]
    group: String,
    /// Refuse to define more probes than this
    #[arg(long, value_name = "N", default_value_t = 1000)]
    max_probes: usize,
    /// Include Rust units
    #[arg(long)]
    with_rust: bool,
    /// Locations that are valid only between two views of the site's address, as for `generate`
    #[arg(long, value_name = "READING", value_parser = PossibleValuesParser::new(EmptyRanges::ALL.map(|(word, _)| word)))]
    empty_ranges: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn group(text: &str) -> Result<String, String> {
    let is_name = |text: &str| text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    match text.chars().next() {
        Some(first) if !first.is_ascii_digit() && is_name(text) && text.len() < 64 => Ok(text.to_owned()),
        _ => Err("letters, digits and `_` are expected, at most 63, no digit first".to_owned()),
    }
}

/// Functions by name, and the image that they are in.
type Found = (Image, Vec<(String, Vec<Function>)>);

impl Probes {
    pub fn run(self) -> CliResult {
        let format = Format::ALL.into_iter().find(|(word, _)| *word == self.format).map(|(_, format)| format);
        let format = format.ok_or_else(|| CliError::usage(format!("no format `{}`", self.format)))?;
        let (image, functions) = if self.running { running::read(&self, format)? } else { self.read(format)? };
        let request = Request { format, best_effort: self.best_effort, exits: self.exits, group: &self.group };
        let plan = probes::plan(&functions, &image, request);
        for function in &plan.functions {
            let count = function.probes.len() + function.withheld;
            if count > self.max_probes {
                let message = format!("{} needs {count} probes, more than {}", function.name, self.max_probes);
                let problem = Diagnostic::new(message).hint(format!("`--max-probes {count}` defines all of them"));
                return Err(CliError::new(exit::FAILED, problem));
            }
        }
        if self.json {
            print(&report::probes_json(&plan, format).map_err(|error| CliError::usage(error.to_string()))?)?;
        } else {
            print(&report::probes_text(&plan, format))?;
        }
        for note in report::probes_notes(&plan) {
            errln!("{note}");
        }
        let is_defined = |function: &probes::Planned| !function.probes.is_empty();
        Ok(if plan.functions.iter().all(is_defined) { exit::DONE } else { exit::FAILED })
    }

    // From a file.
    fn read(&self, format: Format) -> Result<Found, CliError> {
        let Some((path, names)) = self.names.split_first().filter(|(_, names)| !names.is_empty()) else {
            let problem = Diagnostic::new("no function was given");
            return Err(problem.hint("crossmill inline-btf probes FILE FUNCTION").into());
        };
        let subject = Subject {
            vmlinux: path.into(),
            base: self.base.clone(),
            run_pahole: false,
            with_rust: self.with_rust,
            empty_ranges: self.empty_ranges.clone(),
            accept_empty_ranges: false,
            with_empty_ranges: false,
        };
        let inputs = subject.open()?;
        let file = inputs.file(&subject.vmlinux)?;
        self.same_build(&file)?;
        let mut image = Image::of_elf(&file.elf).map_err(|error| in_file(&file.path, &error))?;
        if let Some(module) = &self.module {
            image.set_module(module);
        }
        accepts(&image, format, path)?;
        let bases = inputs.bases()?;
        let base = file.main_btf(&bases)?;
        let has_inline = file.btf.section(".BTF.inline").is_some() || base.as_ref().is_some_and(Btf::has_inline_kinds);
        let stored = self.inline.is_some() || (file.debug.info().is_empty() && has_inline);
        let functions = if stored {
            let given = self.inline.as_ref().map(|path| open(path)).transpose()?;
            let btf = self.inline_btf(&file, given.as_ref(), base.as_ref())?;
            of_btf(&btf, names, &image, path)?
        } else {
            self.of_dwarf(&file, base.as_ref(), names, &image)?
        };
        Ok((image, functions))
    }

    fn of_dwarf(
        &self,
        file: &File<'_>,
        base: Option<&Btf<'_>>,
        names: &[String],
        image: &Image,
    ) -> Result<Vec<(String, Vec<Function>)>, CliError> {
        let options = Options {
            with_rust: self.with_rust,
            empty_ranges: super::reading(self.empty_ranges.as_deref()),
            entry_locations: true,
        };
        let found = extract(file, base, options)?;
        let frames = Frames::load(&file.elf).map_err(|source| Error::Elf { path: file.path.clone(), source })?;
        let mut functions = Vec::new();
        for name in unique(names) {
            let of_name = probes::of_extraction(&found, name.as_bytes(), base, &frames, image);
            if of_name.is_empty() {
                let known = found.merged.called.iter().map(|called| String::from_utf8_lossy(called.name));
                return Err(not_inlined(name, &file.path.display().to_string(), image, known));
            }
            functions.push((name.clone(), of_name));
        }
        Ok(functions)
    }

    fn inline_btf<'l>(
        &self,
        file: &'l File<'_>,
        given: Option<&'l Input>,
        base: Option<&Btf<'l>>,
    ) -> Result<Btf<'l>, CliError> {
        let Some(base) = base else {
            let message = format!("{} has no .BTF section, which inline BTF needs as its base", file.path.display());
            return Err(Diagnostic::new(message).hint("give it with `--base`").into());
        };
        let (bytes, name) = match (given, &self.inline, file.btf.section(".BTF.inline")) {
            (Some(input), Some(path), _) => (input.bytes(), path.display().to_string()),
            (_, _, Some(bytes)) => (bytes, format!("{}: .BTF.inline", file.path.display())),
            // The kinds are among the other types, as pahole writes them; `main_btf` has checked them.
            _ => return Ok(base.clone()),
        };
        let context = Context { sections: file.btf.elf_sections.clone(), pointer: file.btf.pointer };
        let own_base = base.base();
        let based_on = if is_standalone(bytes) { own_base.as_ref() } else { Some(base) };
        sound(bytes, based_on, &context, &name, &file.path.display().to_string())
    }

    // A definition for another build would read other registers at other places.
    fn same_build(&self, file: &File<'_>) -> Result<(), CliError> {
        let own = probes::build_id(&file.elf);
        let mut other = None;
        if let Some(path) = &self.notes {
            let notes = open(path)?;
            let id = probes::notes_build_id(notes.bytes(), file.elf.endian() == object::Endianness::Big);
            let id = id.ok_or_else(|| CliError::usage(format!("{} has no build ID", path.display())))?;
            other = Some((path, id));
        }
        if let Some(path) = self.inline.as_ref().filter(|_| other.is_none()) {
            let input = open(path)?;
            if let Some(id) = Elf::parse(input.bytes()).ok().and_then(|elf| probes::build_id(&elf)) {
                other = Some((path, id));
            }
        }
        let Some((path, id)) = other else { return Ok(()) };
        match own {
            Some(own) if own == id => Ok(()),
            Some(own) => {
                let message = format!(
                    "{} is of another build than {}: build ID {}, not {}",
                    file.path.display(),
                    path.display(),
                    text(&own),
                    text(&id)
                );
                Err(CliError::new(exit::FAILED, Diagnostic::new(message)))
            }
            None => {
                let message =
                    format!("{} has no build ID to compare with that of {}", file.path.display(), path.display());
                Err(CliError::new(exit::FAILED, Diagnostic::new(message).hint("link it with `--build-id`")))
            }
        }
    }
}

fn text(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn in_file(path: &Path, error: &probes::ImageError) -> CliError {
    CliError::usage(format!("{}: {error}", path.display()))
}

fn unique(names: &[String]) -> Vec<&String> {
    let mut seen = std::collections::HashSet::new();
    names.iter().filter(|name| seen.insert(name.as_str())).collect()
}

// Whether the format can express probes at that location at all.
fn accepts(image: &Image, format: Format, path: &str) -> Result<(), CliError> {
    if !image.knows_registers() {
        let message = format!("unsupported: the names of the registers of machine {} are not known", image.machine());
        return Err(CliError::new(exit::FAILED, Diagnostic::new(message)));
    }
    if !format.is_kprobe() {
        return Ok(());
    }
    if !image.is_kernel() {
        let message = format!("{path} is neither a kernel nor a module, so it cannot have kprobes");
        let hint = "`--format gdb` is for programs too; `--module NAME` names a module without .modinfo";
        return Err(CliError::new(exit::FAILED, Diagnostic::new(message).hint(hint)));
    }
    if image.has_kprobes() == Some(false) {
        let problem = Diagnostic::new(format!("the kernel {path} has no kprobes")).hint("build it with CONFIG_KPROBES");
        return Err(CliError::new(exit::FAILED, problem));
    }
    Ok(())
}

fn not_inlined<'n, N: Into<std::borrow::Cow<'n, str>>>(
    name: &str,
    path: &str,
    image: &Image,
    known: impl Iterator<Item = N>,
) -> CliError {
    let mut problem = Diagnostic::new(format!("no function `{name}` was inlined in {path}"));
    if image.addresses_of(name).next().is_some() {
        problem = problem.hint("it has a symbol: a probe on that misses no call");
    } else {
        let known: Vec<String> = known.map(|name| name.into().into_owned()).collect();
        if let Some(near) = suggest::nearest(name, known.iter().map(String::as_str)) {
            problem = problem.hint(format!("is `{near}` meant?"));
        }
    }
    CliError::new(exit::FAILED, problem)
}

fn of_btf(
    btf: &Btf<'_>,
    names: &[String],
    image: &Image,
    path: &str,
) -> Result<Vec<(String, Vec<Function>)>, CliError> {
    let mut functions = Vec::new();
    for name in unique(names) {
        let of_name = probes::of_btf(btf, name, image).map_err(|error| CliError::usage(error.to_string()))?;
        if of_name.is_empty() {
            let known = btf.all_types().filter(|found| found.kind == Kind::Func);
            let known = known.map(|func| btf.text(func.name_off).into_owned());
            return Err(not_inlined(name, path, image, known));
        }
        functions.push((name.clone(), of_name));
    }
    Ok(functions)
}

// Inline BTF that follows the rules on its base.
fn sound<'l>(
    bytes: &'l [u8],
    base: Option<&Btf<'l>>,
    context: &Context,
    name: &str,
    path: &str,
) -> Result<Btf<'l>, CliError> {
    use crate::base::rule::Severity;
    let checked = validate(bytes, base, context);
    let error = checked.findings.list().iter().find(|finding| finding.rule.severity == Severity::Error);
    if let Some(error) = error {
        let problem = Diagnostic::new(format!("{name} is not inline BTF of {path}: {error}"));
        return Err(problem
            .hint("it may be of another build; `crossmill inline-btf check` compares it with DWARF")
            .into());
    }
    match checked.btf.filter(|_| !checked.is_obsolete) {
        Some(btf) if btf.has_inline_kinds() => Ok(btf),
        Some(_) => Err(CliError::usage(format!("{name} has no inline sites"))),
        None => Err(CliError::usage(format!("unsupported: {name} has the obsolete form of April 2025"))),
    }
}
