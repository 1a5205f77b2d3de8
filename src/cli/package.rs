//! `crossmill package`: what an archive holds, which settings it needs and which
//! checks must not fail before is data, `[archive.NAME]` of `targets.toml`.

use super::build::{Running, execute, exit_code};
use super::options::{NetworkArgs, Select};
use super::{CliError, CliResult, rebuild, renamed};
use crate::base::{Diagnostic, TargetName, units};
use crate::config::archive::{Archive, Contents, Format};
use crate::plan::Request;
use crate::publish::contents::{self, Contained, Part, Wanted};
use crate::publish::index::{self, Index};
use crate::publish::release::Release;
use crate::publish::sign::Signer;
use crate::publish::tree::{Selection, Tree};
use crate::publish::{archive, bundle, check, describe};
use crate::report;
use crate::run::{Finished, Goal, Session};
use clap::Args;
use std::path::{Path, PathBuf};

/// Create redistributable archives of tested results
///
/// Missing results are built first; then each target's archive is written with
/// its SHA-256 beside it. One whose checks fail is not written, nor one that
/// would not work on another machine. The same result makes the same bytes,
/// wherever and whenever.
#[derive(Debug, Args)]
pub struct Package {
    /// The kind of archive: an `[archive.NAME]` of targets.toml (toolchain, kernel, module-kit, …)
    #[arg(value_name = "KIND")]
    kind: Option<String>,
    #[command(flatten)]
    select: Select,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    running: Running,
    /// Write the archives to this directory instead of the working directory
    #[arg(long, short, value_name = "DIR", default_value = ".", hide_default_value = true, help_heading = "Places")]
    out: PathBuf,
    /// Add the archives to the release in DIR instead: an index, sums, SBOMs, provenance, a page
    #[arg(long, value_name = "DIR", conflicts_with = "out", help_heading = "Places")]
    release: Option<PathBuf>,
    /// Sign the release: a key of gpg, or the file of a secret key of minisign without a password
    #[arg(long, value_name = "KEY", requires = "release", help_heading = "Archives")]
    sign_with: Option<String>,
    /// List what changed since this release in the notes
    #[arg(long, value_name = "DIR", requires = "release", help_heading = "Archives")]
    since: Option<PathBuf>,
    /// Write these forms: tar.xz, tar.gz, tar.zst (with `zstd`)
    #[arg(long, value_name = "FORMAT", help_heading = "Archives")]
    format: Vec<Format>,
    /// Build the archives twice from nothing, under conditions that differ, and compare them; nothing else is written
    #[arg(long, conflicts_with_all = ["out", "release"], help_heading = "Archives")]
    verify_reproducible: bool,
    /// Where the two builds go, instead of the directory for temporary files
    #[arg(long, value_name = "DIR", requires = "verify_reproducible", help_heading = "Places")]
    scratch: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long, help_heading = "Output")]
    json: bool,
    // The kind was a flag once.
    #[arg(long, hide = true)]
    module_kit: bool,
}

impl Package {
    /// Builds, checks and archives.
    pub fn run(self) -> CliResult {
        if self.module_kit {
            return Err(renamed("crossmill package --module-kit", "crossmill package module-kit"));
        }
        let session = self.select.session_with(&self.network)?;
        let archive = self.archive(&session)?;
        // A key that cannot sign is better known before hours of building than after them.
        let signer = self.sign_with.as_deref().map(Signer::find).transpose()?;
        let request = selected(&self.select, &archive)?.request(&session, false)?;
        let named = named(&self.select, &session);
        let found = contents::of(&session.config, &session.host_facts(), &request, &archive, &named)?;
        for (target, why) in &found.lacking {
            errln!("not packaged: {target}: {why}");
        }
        if self.verify_reproducible {
            let cache = session.store()?.root().join("cache");
            return rebuild::verify(
                &self.rebuild_args(),
                self.running.jobs(),
                self.json,
                &cache,
                self.scratch.as_deref(),
            );
        }
        let request = without(&request, found.lacking.iter().map(|(target, _)| target));
        let finished = execute(&session, &request, Goal::Build, &self.running, false)?;
        let mut release = self.release.as_ref().map(|dir| Release::open(dir)).transpose()?;
        let plan = session.plan(&request, &finished.store, &session.fetcher(&finished.store))?;
        let host = session.host_facts();
        let origin = describe::Origin {
            config: &session.config,
            plan: &plan,
            host: &host,
            request: &request,
            summary: &finished.summary,
            run: &finished.run,
            kind: self.kind.as_deref().unwrap_or_default(),
            date: date(&session),
            now: u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default(),
        };
        let mut written = Vec::new();
        let mut refused = false;
        for wanted in &found.wanted {
            match self.write(origin, &finished, &archive, wanted, release.as_mut().map(|it| (it, signer.as_ref()))) {
                Ok(archives) => written.push(archives),
                Err(why) => {
                    refused = true;
                    errln!("not packaged: {}", why.message);
                    why.hints.iter().for_each(|hint| errln!("hint: {hint}"));
                }
            }
        }
        if let Some(release) = release.filter(|_| !written.is_empty()) {
            self.finish(&release, &found, signer.as_ref())?;
        }
        let exit = match exit_code(&finished) {
            super::exit::DONE if refused => super::exit::FAILED,
            code => code,
        };
        if self.json {
            let value = serde_json::json!({ "schema": 1, "exit": exit, "archives": written });
            super::print(&format!("{value:#}\n"))?;
        }
        Ok(exit)
    }

    // The command of a rebuild, without what differs between two of them.
    fn rebuild_args(&self) -> Vec<String> {
        let Select { targets, group, all, profile, release_set, with, set, languages, source, package: _, paths } =
            &self.select;
        let mut args = vec!["package".to_owned()];
        args.extend(self.kind.iter().chain(targets).cloned());
        args.extend(all.then(|| "--all".to_owned()));
        let mut add = |option: &str, values: &mut dyn Iterator<Item = String>| {
            args.extend(values.map(|value| format!("--{option}={value}")));
        };
        add("group", &mut group.iter().cloned());
        add("profile", &mut profile.iter().cloned());
        add("release-set", &mut release_set.iter().cloned());
        add("with", &mut with.iter().cloned());
        add("set", &mut set.iter().cloned());
        add("languages", &mut languages.iter().cloned());
        add("source", &mut source.iter().cloned());
        add("data", &mut paths.data.iter().map(|path| path.display().to_string()));
        add("config", &mut paths.config.iter().map(|path| path.display().to_string()));
        add("recipes", &mut paths.recipes.iter().map(|path| path.display().to_string()));
        add("debian-mirror", &mut self.network.debian_mirror.iter().cloned());
        add("format", &mut self.format.iter().map(|format| format.as_str().to_owned()));
        args.extend(self.network.offline.then(|| "--offline".to_owned()));
        args.extend(self.running.rebuild_args());
        args
    }

    fn archive(&self, session: &Session) -> Result<Archive, CliError> {
        let matrix = &session.config.matrix;
        let Some(kind) = &self.kind else {
            let kinds: Vec<String> =
                matrix.archives.iter().map(|(name, it)| format!("`{name}`: {}", it.summary)).collect();
            let mut problem = Diagnostic::new("no kind of archive is named");
            problem.hints =
                std::iter::once("for example `crossmill package toolchain arm64`".to_owned()).chain(kinds).collect();
            return Err(problem.into());
        };
        let mut archive = matrix.archive(kind)?.clone();
        if !self.format.is_empty() {
            archive.formats.clone_from(&self.format);
        }
        Ok(archive)
    }

    fn write(
        &self,
        origin: describe::Origin<'_>,
        finished: &Finished,
        archive: &Archive,
        wanted: &Wanted,
        release: Option<(&mut Release, Option<&Signer>)>,
    ) -> Result<serde_json::Value, Diagnostic> {
        let results = wanted.results(&finished.summary);
        let results = results.map_err(|(stage, why)| Diagnostic::new(format!("{stage}: {why}")))?;
        let problem = |error| Diagnostic::from_error(&error);
        let mut tree = tree(archive, wanted, &results, finished).map_err(problem)?;
        let paths = check::host_paths(finished.store.root());
        let portability = check::check(&tree, &archive.promise, &paths).map_err(problem)?;
        let dir = release.as_ref().map_or_else(|| self.out.clone(), |(release, _)| release.place(&wanted.directory));
        let made = archive::write(&mut tree, &wanted.name, &archive.formats, &dir, origin.date).map_err(problem)?;
        match release {
            Some((release, signer)) => describe::add(release, origin, wanted, &made, &portability, signer),
            None => archive::write_sums(&made, &dir, &wanted.name),
        }
        .map_err(problem)?;
        for file in &made.files {
            let size = units::bytes(file.digest.bytes);
            errln!("packaged: {} ({size}, sha256 {})", file.path.display(), file.digest.sha256);
        }
        let skipped = wanted.skipped(&finished.summary);
        for it in &skipped {
            errln!("warning: check {} was skipped: {}", it.check, it.why);
        }
        let skipped: Vec<&str> = skipped.iter().map(|it| it.check.as_str()).collect();
        let (first, tree_path) = results.first().map_or((None, None), |(part, path)| (Some(*part), Some(path)));
        let files = made.files.iter().map(|file| {
            serde_json::json!({
                "path": file.path.display().to_string(), "format": file.format.as_str(),
                "sha256": file.digest.sha256, "bytes": file.digest.bytes,
            })
        });
        let main = made.files.first();
        Ok(serde_json::json!({
            "target": first.map(|part| part.target.as_str()), "stage": first.map(|part| part.stage.as_str()),
            "path": main.map(|file| file.path.display().to_string()),
            "sha256": main.map(|file| file.digest.sha256), "bytes": main.map(|file| file.digest.bytes),
            "tar_sha256": made.tar.sha256, "tar_bytes": made.tar.bytes, "members": made.members,
            "unpacked_bytes": made.unpacked_bytes, "files": files.collect::<Vec<_>>(),
            "result": tree_path.map(|path| path.display().to_string()),
            "glibc": portability.glibc.map(|version| version.to_string()), "skipped": skipped,
        }))
    }
}

impl Package {
    // Writes what describes the release as a whole.
    fn finish(&self, release: &Release, found: &Contained, signer: Option<&Signer>) -> Result<(), CliError> {
        let earlier = self.since.as_ref().map(|dir| -> Result<Index, CliError> {
            let path = dir.join(index::FILE);
            Ok(Index::parse(&path.display().to_string(), &fs_err::read(&path)?)?)
        });
        let earlier = earlier.transpose()?;
        let lacking = found.lacking.iter().map(|(target, why)| (target.to_string(), why.clone())).collect();
        release.finish(&report::release::pages(&release.index, &lacking, earlier.as_ref()), signer)?;
        Ok(())
    }
}

// Contents of the archive.
fn tree(
    archive: &Archive,
    wanted: &Wanted,
    results: &[(&Part, PathBuf)],
    finished: &Finished,
) -> Result<Tree, crate::publish::Error> {
    let mut tree = Tree::default();
    let selection = Selection { include: &archive.include, exclude: &archive.exclude };
    if archive.contents == Contents::Bundle {
        let parts: Vec<(&str, &Path)> =
            results.iter().map(|(part, path)| (part.triple.as_str(), path.as_path())).collect();
        let driver = finished.summary.results.iter().find(|(stage, _)| stage.ends_with(&driver_stage(archive)));
        let driver = driver.map(|(_, path)| path.join(bundle::DRIVER)).unwrap_or_default();
        bundle::fill(&mut tree, &wanted.prefix, &parts, &driver)?;
    } else {
        for (_, path) in results {
            tree.add(path, &wanted.prefix, selection)?;
        }
    }
    Ok(tree)
}

// The end of the stage that builds a bundle's driver.
fn driver_stage(archive: &Archive) -> String {
    archive.driver.as_ref().map(|(package, _)| format!("/{package}")).unwrap_or_default()
}

// The targets that the user named one by one.
fn named(select: &Select, session: &Session) -> Vec<TargetName> {
    let matrix = &session.config.matrix;
    select.targets.iter().filter_map(|name| Some(matrix.target(name).ok()?.name.clone())).collect()
}

// A request without the targets that have no such archive, so that nothing is built for them.
fn without<'a>(request: &Request, lacking: impl Iterator<Item = &'a TargetName>) -> Request {
    let lacking: Vec<&TargetName> = lacking.collect();
    let mut request = request.clone();
    request.targets.retain(|target| !lacking.contains(&target));
    request
}

// The archive's package and checks, with the settings that it needs; the
// user's own settings come after them and win.
fn selected(select: &Select, archive: &Archive) -> Result<Select, CliError> {
    if !select.package.is_empty() {
        return Err(CliError::usage("an archive has its own packages: `--package` is for `crossmill build`"));
    }
    let needed = archive.set.iter().map(|(name, value)| format!("{name}={value}"));
    let packages = archive.checks.iter().chain(&archive.driver).map(|(package, _)| package.to_string());
    Ok(Select {
        set: needed.chain(select.set.iter().cloned()).collect(),
        package: std::iter::once(archive.package.0.to_string()).chain(packages).collect(),
        ..select.clone()
    })
}

// The date of every member is the one that builds write into results.
fn date(session: &Session) -> u64 {
    let given = session.config.matrix.environment.get("SOURCE_DATE_EPOCH");
    given.and_then(|text| text.parse().ok()).unwrap_or_default()
}
