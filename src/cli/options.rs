//! Options that several commands share.

use super::{CliError, exit};
use crate::base::Diagnostic;
use crate::plan::Request;
use crate::plan::request::RequestArgs;
use crate::run::{Session, Setup};
use clap::Args;
use std::path::PathBuf;

/// Selects targets, profile, versions and settings.
#[derive(Debug, Clone, Default, Args)]
pub struct Select {
    /// Targets by name, alias or triple: arm64, s390, … (see `crossmill targets`)
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,
    /// All targets of a group: primary, secondary, tertiary, all, or one of your own
    #[arg(long, value_name = "GROUP")]
    pub group: Vec<String>,
    /// All targets of the matrix
    #[arg(long)]
    pub all: bool,
    /// The profile: quick, standard, release
    #[arg(long, short = 'p', value_name = "PROFILE")]
    pub profile: Option<String>,
    /// The release set: latest, lts
    #[arg(long, value_name = "SET")]
    pub release_set: Option<String>,
    /// Use another version of one package
    #[arg(long, value_name = "PACKAGE=VERSION")]
    pub with: Vec<String>,
    /// Change a setting (see `crossmill targets --settings`)
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// Languages of GCC: c,rust; the same as `--set languages=…`
    #[arg(long, value_name = "LANGUAGES")]
    pub languages: Option<String>,
    /// Take a package's source from a directory, an archive or `git+URL#REVISION`
    #[arg(long, value_name = "PACKAGE=PLACE")]
    pub source: Vec<String>,
    /// Only these packages, and what they need
    #[arg(long, value_name = "PACKAGE")]
    pub package: Vec<String>,
    #[command(flatten)]
    pub paths: PathArgs,
}

impl Select {
    /// Reads the configuration.
    pub fn session(&self) -> Result<Session, CliError> {
        self.paths.session()
    }

    /// Reads the configuration, for a command that fetches sources.
    pub fn session_with(&self, network: &NetworkArgs) -> Result<Session, CliError> {
        self.paths.session_with(network)
    }

    /// Resolves the request. With `or_all`, no target at all stands for every one.
    pub fn request(&self, session: &Session, or_all: bool) -> Result<Request, CliError> {
        let mut groups = self.group.clone();
        if self.all || (or_all && self.targets.is_empty() && groups.is_empty()) {
            groups.push("all".to_owned());
        }
        if self.targets.is_empty() && groups.is_empty() {
            let problem = Diagnostic::new("no target is named")
                .hint("for example `crossmill build arm64`; `crossmill targets` lists them, `--all` takes every one");
            return Err(CliError::new(exit::USAGE, problem));
        }
        let set = self.settings().map_err(|problem| CliError::new(exit::USAGE, problem))?;
        let words = RequestArgs {
            targets: &self.targets,
            groups: &groups,
            profile: self.profile.as_deref(),
            release_set: self.release_set.as_deref(),
            with: &self.with,
            set: &set,
            source: &self.source,
            packages: &self.package,
        };
        Ok(Request::new(&session.config, &words)?)
    }

    /// Returns the settings that the user turned, as `NAME=VALUE`.
    pub fn settings(&self) -> Result<Vec<String>, Diagnostic> {
        let mut set = self.set.clone();
        if let Some(languages) = &self.languages {
            match set.iter().rev().find_map(|word| word.strip_prefix("languages=")) {
                Some(other) if other != languages => {
                    let message =
                        format!("`--languages {languages}` and `--set languages={other}` contradict each other");
                    return Err(Diagnostic::new(message).hint("give one of them"));
                }
                Some(_) => {}
                None => set.push(format!("languages={languages}")),
            }
        }
        Ok(set)
    }
}

/// Locations of the store, the data and the configuration.
#[derive(Debug, Clone, Default, Args)]
pub struct PathArgs {
    /// The store: downloads, build trees and results
    #[arg(long, value_name = "DIR", env = "CROSSMILL_STORE", value_parser = store_path, help_heading = "Places")]
    pub store: Option<PathBuf>,
    /// Directory of targets.toml and recipes/
    #[arg(long, value_name = "DIR", env = "CROSSMILL_DATA", help_heading = "Places")]
    pub data: Option<PathBuf>,
    /// An overlay of targets.toml; ./crossmill.toml is always used
    #[arg(long, value_name = "FILE", help_heading = "Places")]
    pub config: Vec<PathBuf>,
    /// A directory of your own recipes
    #[arg(long, value_name = "DIR", help_heading = "Places")]
    pub recipes: Vec<PathBuf>,
}

/// Origin of sources, for commands that fetch.
#[derive(Debug, Clone, Default, Args)]
pub struct NetworkArgs {
    /// Do not use the network
    #[arg(long, help_heading = "Sources")]
    pub offline: bool,
    /// Base URL of a Debian mirror, instead of the one that apt uses
    #[arg(long, value_name = "URL", help_heading = "Sources")]
    pub debian_mirror: Option<String>,
}

impl PathArgs {
    /// Reads the configuration, for a command that fetches nothing.
    pub fn session(&self) -> Result<Session, CliError> {
        self.session_with(&NetworkArgs::default())
    }

    fn session_with(&self, network: &NetworkArgs) -> Result<Session, CliError> {
        let session = Session::open(Setup {
            store: self.store.clone(),
            data: self.data.clone(),
            overlays: self.config.clone(),
            recipes: self.recipes.clone(),
            offline: network.offline,
            debian_mirror: network.debian_mirror.clone(),
        })?;
        super::credentials::of_config(&session.config);
        Ok(session)
    }
}

fn store_path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("the directory is empty; omit `--store` and unset CROSSMILL_STORE to use the default store".into());
    }
    Ok(text.into())
}
