//! `crossmill install`, `crossmill upgrade` and `crossmill remove`: archives of a release, for people who build nothing.

use super::options::PathArgs;
use super::{CliError, CliResult, exit};
use crate::base::{Diagnostic, Version, suggest, units};
use crate::publish::Error;
use crate::publish::install::catalogue::{Catalogue, Choice, Offer, host_of};
use crate::publish::install::origin::Origin;
use crate::publish::install::prefix::{Prefix, Record};
use crate::publish::install::trust::Trust;
use crate::publish::install::{Installation, Installed};
use crate::source::{self, Fetcher, Progress};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

/// Install released archives: fetch, verify, unpack
///
/// FROM is a release of `crossmill package --release` or a directory of
/// kernel.org's crosstools: a directory or a URL. An archive is unpacked only if
/// its digest is in an index that a trusted key signed; `--key` names the key,
/// once for each server or directory. What is printed sets up a shell:
/// `eval "$(crossmill install FROM aarch64-linux)"`. An interrupted download is
/// resumed by the same command.
#[derive(Debug, Args)]
pub struct Install {
    /// Origin of the archives: a directory or a URL
    #[arg(value_name = "FROM")]
    from: Option<String>,
    /// Targets by name, alias or triple: arm64, aarch64-linux, …
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// List what FROM has; without FROM, what is installed
    #[arg(long, conflicts_with = "targets")]
    list: bool,
    /// The kind of archive: toolchain, bundle, kernel, …
    #[arg(long, value_name = "KIND", default_value = "toolchain")]
    kind: String,
    /// This version, or the newest that begins with it, instead of the newest
    #[arg(long, value_name = "VERSION", value_parser = version)]
    version: Option<Version>,
    /// The machine that the programs will run on, instead of this one: x86_64, arm64, …
    #[arg(long, value_name = "ARCH", default_value = std::env::consts::ARCH, hide_default_value = true)]
    host: String,
    #[command(flatten)]
    verification: Verification,
    #[command(flatten)]
    place: Place,
    /// As JSON
    #[arg(long, help_heading = "Output")]
    json: bool,
}

/// Install newer versions of what is installed, and remove the older ones
#[derive(Debug, Args)]
pub struct Upgrade {
    /// Only these targets or archives; everything if none is named
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Origin of newer versions, instead of each archive's own
    #[arg(long, value_name = "FROM")]
    from: Option<String>,
    /// Keep the older version, too
    #[arg(long)]
    keep_old: bool,
    #[command(flatten)]
    verification: Verification,
    #[command(flatten)]
    place: Place,
}

/// Remove installed archives
#[derive(Debug, Args)]
pub struct Remove {
    /// Targets, or names of archives as `crossmill install --list` prints them
    #[arg(value_name = "TARGET", required = true)]
    targets: Vec<String>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct Verification {
    /// The file of the publisher's public key (OpenPGP or minisign), which is kept for the next time
    #[arg(long, value_name = "FILE", help_heading = "Verification")]
    key: Option<PathBuf>,
    /// Accept an index without verifying its signature; digests are still compared
    #[arg(long, conflicts_with = "key", help_heading = "Verification")]
    no_signature: bool,
}

#[derive(Debug, Args)]
struct Place {
    /// The directory that archives are unpacked into (usually ~/.local/share/crossmill)
    #[arg(long, value_name = "DIR", env = "CROSSMILL_PREFIX", help_heading = "Places")]
    prefix: Option<PathBuf>,
}

fn version(text: &str) -> Result<Version, String> {
    Version::new(text).map_err(|error| error.to_string())
}

impl Install {
    /// Installs, or lists.
    pub fn run(self) -> CliResult {
        let prefix = self.place.prefix()?;
        let Some(from) = &self.from else {
            if self.list {
                return self.list_installed(&prefix);
            }
            let problem = Diagnostic::new("no place to install from is named");
            return Err(problem
                .hint("for example `crossmill install https://HOST/DIR aarch64-linux --key FILE`")
                .into());
        };
        if self.targets.is_empty() && !self.list {
            let problem = Diagnostic::new("no target is named");
            return Err(problem.hint(format!("`crossmill install {from} --list` lists them")).into());
        }
        let runtime = runtime()?;
        let opened = runtime.block_on(Opened::open(from, &self.verification, &prefix)).map_err(failed)?;
        let choice = Choice { kind: &self.kind, host: host_of(&self.host), version: self.version.as_ref() };
        if self.list {
            return self.list_offers(&opened.catalogue, &choice);
        }
        let wanted: Vec<Vec<String>> = self.targets.iter().map(|target| names_of(target)).collect();
        let selected = opened.catalogue.select(&wanted, &choice).map_err(failed)?;
        let mut installed = Vec::new();
        for offer in selected {
            installed.push(opened.install(&runtime, offer, &prefix).map_err(failed)?);
        }
        let records: Vec<&Record> = installed.iter().map(|it| &it.record).collect();
        if self.json {
            let value = serde_json::json!({
                "schema": 1, "prefix": prefix.path, "installed": records, "path": bin_dirs(&prefix, &records),
                "cross_compile": cross_compile(&records),
            });
            super::print(&format!("{value:#}\n"))?;
        } else {
            super::print(&environment(&prefix, &records))?;
        }
        Ok(exit::DONE)
    }

    fn list_installed(&self, prefix: &Prefix) -> CliResult {
        let records = prefix.records().map_err(failed)?;
        if self.json {
            let value = serde_json::json!({ "schema": 1, "prefix": prefix.path, "installed": records });
            super::print(&format!("{value:#}\n"))?;
            return Ok(exit::DONE);
        }
        let mut text = String::new();
        for record in &records {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}  {}", record.name, prefix.path.join(&record.prefix).display());
        }
        super::print(&text)?;
        if records.is_empty() {
            errln!("nothing is installed in {}", prefix.path.display());
        }
        Ok(exit::DONE)
    }

    fn list_offers(&self, catalogue: &Catalogue, choice: &Choice<'_>) -> CliResult {
        let offers: Vec<&Offer> = catalogue.offers.iter().filter(|offer| offer.fits(choice)).collect();
        if self.json {
            let offers = offers.iter().map(|offer| {
                serde_json::json!({
                    "name": offer.name, "kind": offer.kind, "version": offer.version, "host": offer.host,
                    "triples": offer.triples, "targets": offer.targets, "file": offer.file, "sha256": offer.sha256,
                    "bytes": offer.bytes, "unpacked_bytes": offer.unpacked_bytes,
                })
            });
            let value = serde_json::json!({
                "schema": 1, "signed_by": catalogue.signed_by, "archives": offers.collect::<Vec<_>>(),
            });
            super::print(&format!("{value:#}\n"))?;
            return Ok(exit::DONE);
        }
        let mut text = String::new();
        for offer in &offers {
            let names: Vec<&str> = offer.names().map(String::as_str).collect();
            let version = offer.version.as_ref().map_or("?", Version::as_str);
            let size = offer.bytes.map_or_else(|| "?".to_owned(), units::bytes);
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}  {version}  {size}  {}", names.join(" "), offer.name);
        }
        super::print(&text)?;
        if offers.is_empty() {
            errln!("no {} for {} machines is published there", choice.kind, choice.host);
        }
        Ok(exit::DONE)
    }
}

impl Upgrade {
    /// Upgrades.
    pub fn run(self) -> CliResult {
        let prefix = self.place.prefix()?;
        let records = prefix.records().map_err(failed)?;
        let chosen: Vec<&Record> = match &self.targets[..] {
            [] => records.iter().collect(),
            names => named(&records, names)?,
        };
        let runtime = runtime()?;
        let mut opened: Vec<(String, Opened)> = Vec::new();
        for record in chosen {
            let from = self.from.as_ref().unwrap_or(&record.from);
            if !opened.iter().any(|(other, _)| other == from) {
                let new = runtime.block_on(Opened::open(from, &self.verification, &prefix)).map_err(failed)?;
                opened.push((from.clone(), new));
            }
            let Some((_, opened)) = opened.iter().find(|(other, _)| other == from) else { continue };
            let choice = Choice { kind: &record.kind, host: &record.host, version: None };
            let names: Vec<String> = record.triples.iter().chain(&record.targets).cloned().collect();
            let selected = opened.catalogue.select(&[names], &choice).map_err(failed)?;
            for offer in selected {
                if offer.version <= record.version {
                    errln!("{}: nothing newer is published", record.name);
                    continue;
                }
                let new = opened.install(&runtime, offer, &prefix).map_err(failed)?;
                if !self.keep_old {
                    prefix.lock().and_then(|locked| locked.remove(record)).map_err(failed)?;
                }
                errln!("upgraded: {} to {}", record.name, new.record.name);
            }
        }
        Ok(exit::DONE)
    }
}

impl Remove {
    /// Removes.
    pub fn run(self) -> CliResult {
        let prefix = self.place.prefix()?;
        let records = prefix.records().map_err(failed)?;
        for record in named(&records, &self.targets)? {
            prefix.lock().and_then(|locked| locked.remove(record)).map_err(failed)?;
            errln!("removed: {}", record.name);
        }
        Ok(exit::DONE)
    }
}

impl Place {
    fn prefix(&self) -> Result<Prefix, CliError> {
        let path = match &self.prefix {
            Some(path) => path.clone(),
            None => user_dir("XDG_DATA_HOME", ".local/share")?,
        };
        Prefix::new(&path).map_err(failed)
    }
}

// A directory of the user's for crossmill (XDG Base Directory Specification).
fn user_dir(variable: &str, usual: &str) -> Result<PathBuf, CliError> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(usual)));
    let none = || CliError::from(Diagnostic::new("HOME names no directory").hint(format!("set HOME or {variable}")));
    Ok(base.ok_or_else(none)?.join("crossmill"))
}

fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

// Names that a target may have. The matrix knows aliases; somebody who only installs may have none.
fn names_of(target: &str) -> Vec<String> {
    let mut names = vec![target.to_owned()];
    if let Ok(session) = PathArgs::default().session()
        && let Ok(found) = session.config.matrix.target(target)
    {
        let published = found.facts.get("release_triple").filter(|triple| !triple.is_empty());
        names.extend([found.name.to_string(), published.unwrap_or(&found.triple).clone()]);
    }
    names
}

fn named<'a>(records: &'a [Record], names: &[String]) -> Result<Vec<&'a Record>, CliError> {
    let mut found: Vec<&Record> = Vec::new();
    for name in names {
        let all: Vec<&Record> = records.iter().filter(|record| record.is_for(name)).collect();
        match all[..] {
            [one] if !found.contains(&one) => found.push(one),
            [_] => {}
            [] => {
                let known = records.iter().flat_map(|it| it.triples.iter().chain(&it.targets).chain([&it.name]));
                let hints = suggest::hints(name, "names", known.map(String::as_str));
                return Err(Diagnostic { hints, ..Diagnostic::new(format!("`{name}` is not installed")) }.into());
            }
            _ => {
                let all = suggest::list(all.iter().map(|record| record.name.as_str()));
                return Err(failed(Error::Ambiguous { what: name.clone(), all }));
            }
        }
    }
    Ok(found)
}

// An origin whose index was read and verified.
struct Opened {
    origin: Origin,
    fetcher: Fetcher,
    catalogue: Catalogue,
}

impl Opened {
    async fn open(from: &str, verification: &Verification, prefix: &Prefix) -> Result<Self, Error> {
        let origin = Origin::parse(from)?;
        let trust = match verification.no_signature {
            true => None,
            false => {
                let dir = user_dir("XDG_CONFIG_HOME", ".config").map_err(|error| no_home(&error))?.join("keys");
                Some(Trust::find(&dir, &origin, verification.key.as_deref())?)
            }
        };
        let fetcher = Fetcher::new(source::Options::new(prefix.cache()));
        let catalogue = Catalogue::read(&origin, trust.as_ref(), &fetcher, &Bar::default()).await?;
        if let Some(trust) = &trust {
            trust.keep()?;
        } else {
            errln!("warning: the signature of {origin} was not verified");
        }
        Ok(Self { origin, fetcher, catalogue })
    }

    fn install(&self, runtime: &tokio::runtime::Runtime, offer: &Offer, prefix: &Prefix) -> Result<Installed, Error> {
        let installation = Installation {
            origin: &self.origin,
            fetcher: &self.fetcher,
            signed_by: self.catalogue.signed_by.as_deref(),
            prefix,
        };
        let bar = Bar::default();
        let installed = runtime.block_on(installation.install(offer, &bar));
        bar.finish();
        let installed = installed?;
        let path = prefix.path.join(&installed.record.prefix);
        let what = if installed.existed { "installed before" } else { "installed" };
        errln!("{what}: {} in {}", installed.record.name, path.display());
        Ok(installed)
    }
}

fn no_home(error: &CliError) -> Error {
    let why = error.diagnostics.first().map(|diagnostic| diagnostic.message.clone()).unwrap_or_default();
    Error::Remote { place: "the directory of trusted keys".to_owned(), why }
}

// The exit code of what went wrong.
fn failed(error: Error) -> CliError {
    let exit = match &error {
        Error::NotOffered { .. } | Error::Ambiguous { .. } | Error::NoKey { .. } | Error::KeyChanged { .. } => {
            exit::USAGE
        }
        Error::PublicKey { .. } | Error::Unsupported { .. } => exit::USAGE,
        Error::Source(source::Error::DiskFull { .. }) | Error::NoSpace { .. } => exit::STORE,
        Error::Source(source::Error::Program { .. }) => exit::HOST,
        Error::Source(_) | Error::Unverified { .. } | Error::Mismatch { .. } => exit::SOURCE,
        Error::Index { .. } | Error::Remote { .. } => exit::SOURCE,
        Error::Io(error) if error.kind() == std::io::ErrorKind::StorageFull => exit::STORE,
        _ => exit::FAILED,
    };
    CliError::new(exit, Diagnostic::from_error(&error))
}

fn bin_dirs(prefix: &Prefix, records: &[&Record]) -> Vec<PathBuf> {
    let dirs = records.iter().map(|record| prefix.path.join(&record.prefix).join("bin"));
    dirs.filter(|dir| dir.is_dir()).collect()
}

fn cross_compile(records: &[&Record]) -> Option<String> {
    match records {
        [record] => match &record.triples[..] {
            [triple] => Some(format!("{triple}-")),
            _ => None,
        },
        _ => None,
    }
}

fn environment(prefix: &Prefix, records: &[&Record]) -> String {
    let dirs: Vec<String> = bin_dirs(prefix, records).iter().map(|dir| quoted(dir)).collect();
    let mut text = String::new();
    if !dirs.is_empty() {
        text += &format!("export PATH={}:\"$PATH\"\n", dirs.join(":"));
    }
    if let Some(cross_compile) = cross_compile(records) {
        text += &format!("export CROSS_COMPILE={cross_compile}\n");
    }
    text
}

// As a word of the shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._+-".contains(c);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

// Downloads on a terminal; elsewhere only what goes wrong.
#[derive(Default)]
struct Bar {
    drawn: std::sync::OnceLock<ProgressBar>,
}

impl Bar {
    fn finish(&self) {
        if let Some(bar) = self.drawn.get() {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Bar {
    fn bytes(&self, done: u64, total: Option<u64>) {
        // Indexes and signatures are smaller.
        if !std::io::stderr().is_terminal() || total.is_none_or(|total| total < 1 << 20) {
            return;
        }
        let bar = self.drawn.get_or_init(|| {
            let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("fetching {wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}");
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        bar.set_position(done);
    }

    fn retry(&self, source: &str, why: &str, next: &str) {
        errln!("{source}: {why}, {next}");
    }

    fn waiting(&self, lock: &Path) {
        errln!("waiting for another crossmill that holds {}", lock.display());
    }
}
