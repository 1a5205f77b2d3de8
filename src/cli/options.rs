//! Options that several commands share.

use super::{CliError, exit};
use crate::base::Diagnostic;
use crate::plan::Request;
use crate::plan::request::RequestArgs;
use crate::run::session::CacheChoice;
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
    /// Use another version of one package: a release, a snapshot of the configuration, or `git:REVISION`
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

    /// Reads the configuration, for a command that fetches sources and uses caches.
    pub fn session_cached(&self, network: &NetworkArgs, cache: &CacheArgs) -> Result<Session, CliError> {
        self.paths.open(network, Some(cache.choice()))
    }

    /// Resolves the request. With `or_all`, no target at all stands for every one.
    pub fn request(&self, session: &Session, or_all: bool) -> Result<Request, CliError> {
        let groups = self.groups(or_all);
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

    /// Returns the groups. With `or_all`, no target at all stands for every one.
    pub fn groups(&self, or_all: bool) -> Vec<String> {
        let mut groups = self.group.clone();
        if self.all || (or_all && self.targets.is_empty() && groups.is_empty()) {
            groups.push("all".to_owned());
        }
        groups
    }

    /// Returns the options, without targets and the data, as words of a command line.
    pub fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        let mut add =
            |name: &str, values: &[String]| words.extend(values.iter().map(|value| format!("--{name}={value}")));
        add("group", &self.group);
        add("profile", self.profile.as_slice());
        add("release-set", self.release_set.as_slice());
        add("with", &self.with);
        add("set", &self.set);
        add("languages", self.languages.as_slice());
        add("source", &self.source);
        add("package", &self.package);
        let absolute =
            |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone()).display().to_string();
        let paths = |paths: &[PathBuf]| -> Vec<String> { paths.iter().map(absolute).collect() };
        add("store", &paths(self.paths.store.as_slice()));
        add("config", &paths(&self.paths.config));
        add("recipes", &paths(&self.paths.recipes));
        if self.all {
            words.push("--all".to_owned());
        }
        words
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

/// Caches of finished stages, for the commands that run or plan stages.
#[derive(Debug, Clone, Default, Args)]
pub struct CacheArgs {
    /// Take finished stages and sources from this cache: s3://BUCKET/PATH, a URL, or a directory
    #[arg(
        long,
        value_name = "URL",
        env = "CROSSMILL_CACHE_FROM",
        hide_env_values = true,
        value_delimiter = ' ',
        help_heading = "Remote cache"
    )]
    pub cache_from: Vec<String>,
    /// Store what is built, and sources, in this cache
    #[arg(long, value_name = "URL", env = "CROSSMILL_CACHE_TO", hide_env_values = true, help_heading = "Remote cache")]
    pub cache_to: Option<String>,
    /// Use results that are signed by this public key of minisign: its text or its file
    #[arg(
        long = "cache-key",
        value_name = "KEY",
        env = "CROSSMILL_CACHE_KEYS",
        value_delimiter = ' ',
        help_heading = "Remote cache"
    )]
    pub cache_keys: Vec<String>,
    /// The file of the secret key that signs what is stored
    #[arg(long, value_name = "FILE", env = "CROSSMILL_CACHE_SIGN_KEY", help_heading = "Remote cache")]
    pub cache_sign_key: Option<PathBuf>,
    /// Use no cache, whatever the configuration names
    #[arg(long, help_heading = "Remote cache")]
    pub no_remote_cache: bool,
}

impl CacheArgs {
    /// Returns what the user chose.
    pub fn choice(&self) -> CacheChoice {
        CacheChoice {
            from: self.cache_from.iter().filter(|url| !url.is_empty()).cloned().collect(),
            to: self.cache_to.clone().filter(|url| !url.is_empty()),
            keys: self.cache_keys.iter().filter(|key| !key.is_empty()).cloned().collect(),
            sign_key: self.cache_sign_key.clone().filter(|path| !path.as_os_str().is_empty()),
            none: self.no_remote_cache,
        }
    }
}

impl PathArgs {
    /// Reads the configuration, for a command that fetches nothing.
    pub fn session(&self) -> Result<Session, CliError> {
        self.session_with(&NetworkArgs::default())
    }

    fn session_with(&self, network: &NetworkArgs) -> Result<Session, CliError> {
        self.open(network, None)
    }

    /// Reads the configuration.
    pub fn open(&self, network: &NetworkArgs, cache: Option<CacheChoice>) -> Result<Session, CliError> {
        let session = Session::open(Setup {
            store: self.store.clone(),
            data: self.data.clone(),
            overlays: self.config.clone(),
            recipes: self.recipes.clone(),
            offline: network.offline,
            debian_mirror: network.debian_mirror.clone(),
            cache,
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
