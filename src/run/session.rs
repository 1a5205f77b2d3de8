//! The session of every command that works with targets: the configuration, the store and the
//! properties of this machine.

use super::Error;
use super::log::event::{BorrowedToolchain, Choice};
use super::required_tools;
use crate::base::{Diagnostic, PackageName, TargetName, suggest};
use crate::cache::client::Location;
use crate::cache::{self, Caches};
use crate::config::Config;
use crate::config::recipe::Per;
use crate::config::source::{Pin, SourceSpec};
use crate::host::machine::Machine;
use crate::host::{program, tools};
use crate::plan::graph::Chosen;
use crate::plan::{self, HostFacts, Plan, Request};
use crate::source::{self, Fetcher};
use crate::store::Store;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The variable with a token for caches behind HTTP.
const CACHE_TOKEN: &str = "CROSSMILL_CACHE_TOKEN";

/// Locations of a session's files, as the user named them.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// The store; otherwise the configuration's, otherwise the cache directory's.
    pub store: Option<PathBuf>,
    /// The directory of targets.toml and recipes/; otherwise searched for.
    pub data: Option<PathBuf>,
    /// Overlays of targets.toml; `crossmill.toml` of the working directory if there is none.
    pub overlays: Vec<PathBuf>,
    /// Directories of the user's own recipes.
    pub recipes: Vec<PathBuf>,
    /// Whether the network may not be used.
    pub offline: bool,
    /// The base of a Debian mirror.
    pub debian_mirror: Option<String>,
    /// Caches of finished stages; what is empty is the configuration's. `None` for commands that use none.
    pub cache: Option<CacheChoice>,
}

/// The caches that the user named on the command line or in the environment.
#[derive(Debug, Clone, Default)]
pub struct CacheChoice {
    /// Caches to read.
    pub from: Vec<String>,
    /// The cache to write.
    pub to: Option<String>,
    /// Public keys whose entries are used: their text or their files.
    pub keys: Vec<String>,
    /// The file of the secret key that signs entries.
    pub sign_key: Option<PathBuf>,
    /// Whether the configuration's caches are not used.
    pub none: bool,
}

/// The configuration and where things are.
#[derive(Debug)]
pub struct Session {
    /// Targets, recipes and host tools.
    pub config: Config,
    /// Directory of targets.toml and recipes/.
    pub data: PathBuf,
    setup: Setup,
}

impl Session {
    /// Reads the configuration.
    pub fn open(setup: Setup) -> Result<Self, Error> {
        let mut setup = setup;
        let data = match &setup.data {
            Some(data) => data.clone(),
            None => find_data()?,
        };
        let own = Path::new("crossmill.toml");
        if setup.overlays.is_empty() && own.is_file() {
            setup.overlays.push(own.to_owned());
        }
        let config = Config::load(&data, &setup.overlays, &setup.recipes)?;
        Ok(Self { config, data, setup })
    }

    /// Returns the configuration without the user's overlays and recipes; the docs describe that one.
    pub fn config_without_overlays(&self) -> Result<Config, Error> {
        if self.setup.overlays.is_empty() && self.setup.recipes.is_empty() {
            return Ok(self.config.clone());
        }
        Ok(Config::load(&self.data, &[], &[])?)
    }

    /// Returns the store's directory, whether it exists or not; a leading `~` is the home directory.
    pub fn store_dir(&self) -> Result<PathBuf, Error> {
        let configured = self.config.matrix.defaults.store.clone().map(PathBuf::from);
        let named = self.setup.store.clone().or(configured);
        match (named, home()) {
            (Some(path), Some(home)) if path.starts_with("~") => Ok(home.join(path.strip_prefix("~").unwrap_or(&path))),
            (Some(path), _) if path.starts_with("~") => Err(no_home(&format!("`{}` is meant from", path.display()))),
            (Some(path), _) => Ok(path),
            (None, home) => match std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute())
            {
                Some(cache) => Ok(cache.join("crossmill")),
                None => Ok(home.ok_or_else(|| no_home("the store's usual place is in"))?.join(".cache/crossmill")),
            },
        }
    }

    /// Opens the store.
    pub fn store(&self) -> Result<Store, Error> {
        Ok(Store::open(&self.store_dir()?)?)
    }

    /// Returns the source layer.
    #[must_use]
    pub fn fetcher(&self, store: &Store) -> Fetcher {
        Fetcher::new(source::Options {
            offline: self.setup.offline,
            debian_mirror: self.setup.debian_mirror.clone().or(self.config.matrix.defaults.debian_mirror.clone()),
            ..source::Options::new(store.cache())
        })
    }

    /// Opens the caches of finished stages: those that the user named, else the configuration's.
    pub fn caches(&self) -> Result<Caches, Error> {
        match self.setup.cache.as_ref().filter(|choice| !choice.none) {
            Some(choice) => Ok(Caches::open(&self.cache_setup(choice))?),
            None => Ok(Caches::default()),
        }
    }

    /// Returns what the user chose, completed from the configuration.
    #[must_use]
    pub fn cache_setup(&self, choice: &CacheChoice) -> cache::client::Setup {
        let configured = &self.config.matrix.defaults.cache;
        // The token goes to no server that a file of the working directory names.
        let named = |url: &String| Location { url: url.clone(), with_token: true };
        let other = |url: &String| Location { url: url.clone(), with_token: false };
        let from = match choice.from.is_empty() {
            false => choice.from.iter().map(named).collect(),
            true => configured.from.iter().map(other).collect(),
        };
        let to = choice.to.as_ref().map(named).or_else(|| configured.to.as_ref().map(other));
        let keys = if choice.keys.is_empty() { &configured.keys } else { &choice.keys };
        let sign_key = choice.sign_key.clone().or_else(|| configured.sign_key.as_ref().map(PathBuf::from));
        let sign_key = match (sign_key, home()) {
            (Some(path), Some(home)) if path.starts_with("~") => {
                Some(home.join(path.strip_prefix("~").unwrap_or(&path)))
            }
            (path, _) => path,
        };
        let token = std::env::var(CACHE_TOKEN).ok().filter(|token| !token.is_empty());
        cache::client::Setup { from, to, keys: keys.clone(), sign_key, offline: self.setup.offline, token }
    }

    /// Returns this machine, as steps see it.
    #[must_use]
    pub fn machine(&self) -> Machine {
        Machine::new(&self.config.matrix.environment)
    }

    /// Returns the facts of this machine that belong to keys.
    #[must_use]
    pub fn host_facts(&self) -> HostFacts {
        let tools = tools::identity(&self.config.host_tools, &self.machine()).into_iter().collect();
        let own = std::env::current_exe().and_then(|path| program::identity(&path));
        // A program that cannot be read cannot be run by steps either.
        let crossmill = own.unwrap_or_default();
        HostFacts { arch: std::env::consts::ARCH.to_owned(), tools, crossmill }
    }

    /// Plans a request, with sources as this store knows them.
    pub fn plan(&self, request: &Request, store: &Store, fetcher: &Fetcher) -> Result<Plan, Error> {
        self.plan_on(&self.host_facts(), request, store, fetcher)
    }

    /// Plans it as a machine with other facts would, with sources as this store knows them.
    pub fn plan_on(
        &self,
        host: &HostFacts,
        request: &Request,
        store: &Store,
        fetcher: &Fetcher,
    ) -> Result<Plan, Error> {
        // Without what cannot be read the plan would silently be another one.
        let unread = std::cell::RefCell::new(None);
        let known = |label: &str, candidates: &[SourceSpec]| {
            known(store, fetcher, label, candidates).unwrap_or_else(|error| {
                unread.borrow_mut().get_or_insert(error);
                None
            })
        };
        let plan = plan::plan(&self.config, request, host, &known)?;
        if let Some(error) = unread.take() {
            return Err(error);
        }
        required_tools::check_names(&self.config.host_tools, &plan)?;
        if plan.goals.is_empty() {
            let packages = suggest::list(request.packages.iter().map(PackageName::as_str));
            let targets = suggest::list(request.targets.iter().map(TargetName::as_str));
            return Err(Diagnostic::new(format!("{packages}: nothing of it is built for {targets}")).into());
        }
        Ok(plan)
    }

    /// Returns the tools that any stage of a request could need.
    pub fn tools_for(&self, request: &Request) -> Result<Vec<String>, Error> {
        let plan = plan::plan(&self.config, request, &HostFacts::default(), &|_, _| None)?;
        required_tools::check_names(&self.config.host_tools, &plan)?;
        Ok(required_tools::of(&plan, plan.ids()))
    }

    /// Returns the directories of tools that steps need and that are not on their PATH.
    #[must_use]
    pub fn tool_dirs(&self, plan: &Plan) -> BTreeMap<String, PathBuf> {
        tools::places(&self.config.host_tools, &required_tools::of(plan, plan.ids()), &self.machine())
    }

    /// Returns the cells of the table for targets that use another's toolchain.
    #[must_use]
    pub fn borrowed_toolchains(&self, request: &Request, plan: &Plan) -> Vec<BorrowedToolchain> {
        let targets = request.targets.iter().filter_map(|name| self.config.matrix.targets.get(name));
        let borrowing = targets.filter(|target| target.toolchain != target.name);
        let cells = borrowing.flat_map(|target| {
            let lent = plan.stages.iter().filter(|stage| {
                let recipe = self.config.recipes.get(&stage.package);
                stage.scope == target.toolchain.as_str() && recipe.is_some_and(|recipe| recipe.per == Per::Toolchain)
            });
            lent.map(|stage| BorrowedToolchain {
                scope: target.name.to_string(),
                package: stage.package.to_string(),
                owner: stage.scope.clone(),
            })
        });
        cells.collect()
    }
}

// Which candidate of a source is used: the one of the last run as long as the
// recipe still lists it, so that one slow server does not change every key;
// else the first that is in the cache.
fn known(store: &Store, fetcher: &Fetcher, label: &str, candidates: &[SourceSpec]) -> Result<Option<Chosen>, Error> {
    let last = store.recall_if_whole::<Chosen>(&format!("source/{label}"))?.map(|named| named.inputs);
    let last = last.filter(|chosen| {
        candidates.get(chosen.candidate).is_some_and(|candidate| match &candidate.pin {
            Pin::Sha256(sha256) => chosen.digest == format!("sha256:{sha256}"),
            // A source that can change under the same name is fetched again.
            Pin::Signature { .. } | Pin::AsFound => false,
        })
    });
    if last.is_some() {
        return Ok(last);
    }
    let cached = fetcher.cached(candidates)?;
    Ok(cached.map(|cached| Chosen { candidate: cached.candidate, digest: cached.digest }))
}

// The working directory or one above it, or where an installed or freshly
// built crossmill has its own.
fn find_data() -> Result<PathBuf, Error> {
    let has_both = |dir: &Path| dir.join("targets.toml").is_file() && dir.join("recipes").is_dir();
    let here = std::env::current_dir()?;
    let exe = std::env::current_exe().unwrap_or_default();
    let beside = exe.ancestors().skip(1).flat_map(|dir| [dir.join("share/crossmill"), dir.to_owned()]);
    let found = here.ancestors().map(Path::to_owned).chain(beside).find(|dir| has_both(dir));
    found.ok_or_else(|| {
        Diagnostic::new("no targets.toml and recipes/ were found here, above, or beside the program")
            .hint("name their directory with `--data DIR` or CROSSMILL_DATA")
            .into()
    })
}

fn home() -> Option<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from).filter(|dir| dir.is_absolute())
}

fn no_home(why: &str) -> Error {
    Diagnostic::new(format!("{why} the home directory, and HOME names none"))
        .hint("set HOME, or name the store with `--store DIR` or CROSSMILL_STORE")
        .into()
}

/// Returns what a request asks for beside targets and packages.
#[must_use]
pub fn choice(request: &Request) -> Choice {
    Choice {
        profile: Some(request.profile.clone()),
        release_set: Some(request.release_set.clone()),
        set: request.settings.iter().map(|(name, value)| (name.clone(), value.to_string())).collect(),
    }
}
