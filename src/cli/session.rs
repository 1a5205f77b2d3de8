//! What every command that knows of targets begins with: the configuration,
//! the store, the facts of this machine, the plan.

use super::doctor::Machine;
use super::options::{Place, Select};
use super::{Trouble, exit};
use crate::base::{Diagnostic, PackageName, suggest};
use crate::check::doctor;
use crate::config::Config;
use crate::config::host_tools::HostTools;
use crate::config::recipe::Per;
use crate::config::source::{Pin, SourceSpec};
use crate::exec::event::SharedCell;
use crate::exec::states::{States, Status};
use crate::exec::survey;
use crate::plan::graph::Chosen;
use crate::plan::request::Words;
use crate::plan::{self, HostFacts, Plan, Request};
use crate::source::{self, Fetcher};
use crate::store::Store;
use std::path::{Path, PathBuf};

/// The configuration and where things are.
#[derive(Debug)]
pub struct Session {
    /// Targets and recipes.
    pub config: Config,
    /// The host tools that recipes name.
    pub tools: HostTools,
    place: Place,
}

impl Session {
    /// Reads the configuration.
    pub fn open(place: &Place) -> Result<Self, Trouble> {
        let data = match &place.data {
            Some(data) => data.clone(),
            None => find_data()?,
        };
        let mut overlays = place.config.clone();
        let own = Path::new("crossmill.toml");
        if overlays.is_empty() && own.is_file() {
            overlays.push(own.to_owned());
        }
        let config = Config::load(&data, &overlays, &place.recipes)?;
        let path = data.join("recipes/host-tools.toml");
        let tools = HostTools::parse(&path, &fs_err::read_to_string(&path)?).map_err(|problem| *problem)?;
        let session = Self { config, tools, place: place.clone() };
        session.check_tool_names()?;
        Ok(session)
    }

    // Recipes name tools that another file describes.
    fn check_tool_names(&self) -> Result<(), Trouble> {
        let names: Vec<&str> = self.tools.tools.iter().map(|tool| tool.name.as_str()).collect();
        let used = self.config.recipes.values().flat_map(|recipe| &recipe.tools);
        let unknown = used.filter(|tool| !names.contains(&tool.text.as_str())).map(|tool| {
            let mut problem = tool.error(format!("unknown host tool `{}`", tool.text));
            problem.hints = suggest::hints(&tool.text, "host tools", names.iter().copied());
            problem
        });
        let problems: Vec<_> = unknown.collect();
        if problems.is_empty() { Ok(()) } else { Err(problems.into()) }
    }

    /// The store's directory, whether it is there or not.
    pub fn store_dir(&self) -> PathBuf {
        let configured = self.config.matrix.defaults.store.clone().map(PathBuf::from);
        self.place.store.clone().or(configured).unwrap_or_else(default_store)
    }

    /// Opens the store.
    pub fn store(&self) -> Result<Store, Trouble> {
        Ok(Store::open(&self.store_dir())?)
    }

    /// The source layer.
    pub fn fetcher(&self, store: &Store) -> Result<Fetcher, Trouble> {
        let options = source::Options {
            offline: self.place.offline,
            debian_mirror: self.place.debian_mirror.clone().or(self.config.matrix.defaults.debian_mirror.clone()),
            ..source::Options::new(store.cache())
        };
        Ok(Fetcher::new(options))
    }

    /// What is to be built. With `or_all`, no target at all means every one.
    pub fn request(&self, select: &Select, or_all: bool) -> Result<Request, Trouble> {
        let mut groups = select.group.clone();
        if select.all || (or_all && select.targets.is_empty() && groups.is_empty()) {
            groups.push("all".to_owned());
        }
        if select.targets.is_empty() && groups.is_empty() {
            let problem = Diagnostic::new("no target is named")
                .hint("for example `crossmill build arm64`; `crossmill targets` lists them, `--all` takes every one");
            return Err(Trouble::new(exit::USAGE, problem));
        }
        let words = Words {
            targets: &select.targets,
            groups: &groups,
            profile: select.profile.as_deref(),
            release_set: select.release_set.as_deref(),
            with: &select.with,
            set: &select.set,
            source: &select.source,
            packages: &select.package,
        };
        Ok(Request::new(&self.config, &words)?)
    }

    /// This machine, as steps see it.
    pub fn machine(&self) -> Machine {
        Machine::new(&self.config.matrix.environment)
    }

    /// The facts of this machine that belong to keys.
    pub fn host_facts(&self) -> HostFacts {
        let tools = doctor::identity(&self.tools, &self.machine()).into_iter().collect();
        HostFacts { arch: std::env::consts::ARCH.to_owned(), tools }
    }

    /// The plan of a request, with sources as this store knows them.
    pub fn plan(&self, request: &Request, store: &Store, fetcher: &Fetcher) -> Result<Plan, Trouble> {
        let known = |label: &str, candidates: &[SourceSpec]| known(store, fetcher, label, candidates);
        Ok(plan::plan(&self.config, request, &self.host_facts(), &known)?)
    }

    /// Cells of the table for targets that use another's toolchain.
    pub fn shared_cells(&self, request: &Request, plan: &Plan) -> Vec<SharedCell> {
        let targets = request.targets.iter().filter_map(|name| self.config.matrix.targets.get(name));
        let borrowing = targets.filter(|target| target.toolchain != target.name);
        let cells = borrowing.flat_map(|target| {
            let lent = plan.stages.iter().filter(|stage| {
                let recipe = self.config.recipes.get(&stage.column);
                stage.row == target.toolchain.as_str() && recipe.is_some_and(|recipe| recipe.per == Per::Toolchain)
            });
            lent.map(|stage| SharedCell {
                row: target.name.to_string(),
                column: stage.column.to_string(),
                with: stage.row.clone(),
            })
        });
        cells.collect()
    }

    /// The tools that any stage of a request could need.
    pub fn tools_for(&self, request: &Request) -> Vec<String> {
        let mut packages: Vec<&str> = request.packages.iter().map(PackageName::as_str).collect();
        let mut next = 0;
        while let Some(recipe) = packages.get(next).and_then(|name| self.config.recipes.get(*name)) {
            next += 1;
            for need in &recipe.needs {
                if !packages.contains(&need.package.as_str()) {
                    packages.push(need.package.as_str());
                }
            }
        }
        self.tools_of(&packages)
    }

    fn tools_of(&self, packages: &[&str]) -> Vec<String> {
        let recipes = packages.iter().filter_map(|name| self.config.recipes.get(*name));
        let mut names: Vec<String> = recipes.flat_map(|recipe| &recipe.tools).map(|tool| tool.text.clone()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Refuses a run for whose stages this machine lacks a tool: better now
    /// than after an hour.
    pub fn require_tools(&self, plan: &Plan, store: &Store, fetcher: &Fetcher) -> Result<(), Trouble> {
        let states = States::new(plan, |id| survey::is_there(plan, store, fetcher, id, &mut Vec::new()), |_| 0.0);
        let run = plan.ids().filter(|id| matches!(states.get(*id), Status::Waiting | Status::Ready));
        let packages: Vec<&str> = run.map(|id| plan.stage(id).column.as_str()).collect();
        let names = self.tools_of(&packages);
        if names.is_empty() {
            return Ok(());
        }
        let examination = doctor::examine(&self.tools, &names, &self.machine());
        if examination.is_good() {
            return Ok(());
        }
        let lacking: Vec<_> =
            examination.tools.iter().filter(|tool| !tool.is_good()).map(|tool| tool.name.as_str()).collect();
        let mut problem =
            Diagnostic::new(format!("this machine lacks what the build needs: {}", suggest::list(lacking)));
        if let Some(command) = &examination.install {
            problem = problem.hint(format!("install it: `{}`, or `crossmill doctor --install`", command.join(" ")));
        }
        Err(Trouble::new(exit::HOST, problem.hint("`crossmill doctor` tells more")))
    }
}

// Which candidate of a source is used: the one of the last run as long as the
// recipe still lists it, so that one slow server does not change every key;
// else the first that is in the cache.
fn known(store: &Store, fetcher: &Fetcher, label: &str, candidates: &[SourceSpec]) -> Option<Chosen> {
    let last = store.recall::<Chosen>(&format!("source/{label}")).map(|named| named.material);
    let last = last.filter(|chosen| {
        candidates.get(chosen.candidate).is_some_and(|candidate| match &candidate.pin {
            Pin::Sha256(sha256) => chosen.digest == format!("sha256:{sha256}"),
            // What can change under the same name is looked at again.
            Pin::Signature { .. } | Pin::AsFound => false,
        })
    });
    last.or_else(|| {
        let cached = fetcher.cached(candidates)?;
        Some(Chosen { candidate: cached.candidate, digest: cached.digest })
    })
}

// Beside the working directory or above it, or where an installed or freshly
// built crossmill has its own.
fn find_data() -> Result<PathBuf, Trouble> {
    let holds = |dir: &Path| dir.join("targets.toml").is_file() && dir.join("recipes").is_dir();
    let here = std::env::current_dir()?;
    let exe = std::env::current_exe().unwrap_or_default();
    let beside = exe.ancestors().skip(1).flat_map(|dir| [dir.join("share/crossmill"), dir.to_owned()]);
    let found = here.ancestors().map(Path::to_owned).chain(beside).find(|dir| holds(dir));
    found.ok_or_else(|| {
        let problem = Diagnostic::new("no targets.toml and recipes/ were found here, above, or beside the program")
            .hint("name their directory with `--data DIR` or CROSSMILL_DATA");
        Trouble::new(exit::USAGE, problem)
    })
}

fn default_store() -> PathBuf {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let base = base.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    base.unwrap_or_else(|| PathBuf::from(".")).join("crossmill")
}

/// A fresh name for a run: the time, and the process for two in one second.
pub fn run_name() -> String {
    let now = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string();
    format!("{now}-{}", std::process::id())
}
