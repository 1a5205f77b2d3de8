//! What every command that knows of targets begins with: the configuration,
//! the store, the facts of this machine, the plan.

use super::options::{Place, Select};
use super::{CliError, exit};
use crate::base::{Diagnostic, Key, PackageName, TargetName, suggest};
use crate::config::Config;
use crate::config::host_tools::HostTools;
use crate::config::recipe::Per;
use crate::config::source::{Pin, SourceSpec};
use crate::host::machine::Machine;
use crate::host::tools::{self, Examination};
use crate::plan::graph::Chosen;
use crate::plan::request::Words;
use crate::plan::{self, HostFacts, Plan, Request, StageId, Work};
use crate::run::log::event::{Choice, SharedCell};
use crate::run::preflight::{Sources, Survey};
use crate::run::states::{States, Status};
use crate::source::{self, Fetcher};
use crate::store::Store;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The configuration and where things are.
#[derive(Debug)]
pub struct Session {
    /// Targets and recipes.
    pub config: Config,
    /// The host tools that recipes name.
    pub tools: HostTools,
    /// Where targets.toml and recipes/ are.
    pub data: PathBuf,
    place: Place,
}

impl Session {
    /// Reads the configuration.
    pub fn open(place: &Place) -> Result<Self, CliError> {
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
        let session = Self { config, tools, data, place: place.clone() };
        session.check_tool_names()?;
        Ok(session)
    }

    // Recipes name tools that another file describes.
    fn check_tool_names(&self) -> Result<(), CliError> {
        let names: Vec<&str> = self.tools.tools.iter().map(|tool| tool.name.as_str()).collect();
        // Names that depend on the target are looked at when they are known.
        let recipes = self.config.recipes.values();
        let used =
            recipes.flat_map(|recipe| recipe.tools.iter().chain(recipe.snapshot.iter().flat_map(|it| &it.tools)));
        let used = used.filter(|tool| !tool.text.contains("{{") && !tool.text.contains("{%"));
        let unknown = used.filter(|tool| !names.contains(&tool.text.as_str())).map(|tool| {
            let mut problem = tool.error(format!("unknown host tool `{}`", tool.text));
            problem.hints = suggest::hints(&tool.text, "host tools", names.iter().copied());
            problem
        });
        let problems: Vec<_> = unknown.collect();
        if problems.is_empty() { Ok(()) } else { Err(problems.into()) }
    }

    /// The store's directory, whether it is there or not; a leading `~` is the home directory.
    pub fn store_dir(&self) -> Result<PathBuf, CliError> {
        let configured = self.config.matrix.defaults.store.clone().map(PathBuf::from);
        let named = self.place.store.clone().or(configured);
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
    pub fn store(&self) -> Result<Store, CliError> {
        Ok(Store::open(&self.store_dir()?)?)
    }

    /// The source layer.
    pub fn fetcher(&self, store: &Store) -> Result<Fetcher, CliError> {
        let options = source::Options {
            offline: self.place.offline,
            debian_mirror: self.place.debian_mirror.clone().or(self.config.matrix.defaults.debian_mirror.clone()),
            ..source::Options::new(store.cache())
        };
        Ok(Fetcher::new(options))
    }

    /// What is to be built. With `or_all`, no target at all means every one.
    pub fn request(&self, select: &Select, or_all: bool) -> Result<Request, CliError> {
        let mut groups = select.group.clone();
        if select.all || (or_all && select.targets.is_empty() && groups.is_empty()) {
            groups.push("all".to_owned());
        }
        if select.targets.is_empty() && groups.is_empty() {
            let problem = Diagnostic::new("no target is named")
                .hint("for example `crossmill build arm64`; `crossmill targets` lists them, `--all` takes every one");
            return Err(CliError::new(exit::USAGE, problem));
        }
        let set = select.settings().map_err(|problem| CliError::new(exit::USAGE, problem))?;
        let words = Words {
            targets: &select.targets,
            groups: &groups,
            profile: select.profile.as_deref(),
            release_set: select.release_set.as_deref(),
            with: &select.with,
            set: &set,
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
        let tools = tools::identity(&self.tools, &self.machine()).into_iter().collect();
        let own = std::env::current_exe().ok().and_then(|path| fs_err::read(path).ok());
        let crossmill = own.map(|bytes| Key::of(&bytes).to_string()).unwrap_or_default();
        HostFacts { arch: std::env::consts::ARCH.to_owned(), tools, crossmill }
    }

    /// The plan of a request, with sources as this store knows them.
    pub fn plan(&self, request: &Request, store: &Store, fetcher: &Fetcher) -> Result<Plan, CliError> {
        let known = |label: &str, candidates: &[SourceSpec]| known(store, fetcher, label, candidates);
        let plan = plan::plan(&self.config, request, &self.host_facts(), &known)?;
        self.check_planned_tools(&plan)?;
        if plan.goals.is_empty() {
            let packages = suggest::list(request.packages.iter().map(PackageName::as_str));
            let targets = suggest::list(request.targets.iter().map(TargetName::as_str));
            return Err(CliError::usage(format!("{packages}: nothing of it is built for {targets}")));
        }
        Ok(plan)
    }

    fn check_planned_tools(&self, plan: &Plan) -> Result<(), CliError> {
        let known: Vec<&str> = self.tools.tools.iter().map(|tool| tool.name.as_str()).collect();
        let mut problems = Vec::new();
        for (stage, job) in plan.stages.iter().filter_map(|stage| Some((stage, stage.job()?))) {
            for tool in job.tools.iter().filter(|tool| !known.contains(&tool.as_str())) {
                let mut problem = Diagnostic::new(format!("{}: unknown host tool `{tool}`", stage.name));
                problem.hints = suggest::hints(tool, "host tools", known.iter().copied());
                problems.push(problem);
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems.into()) }
    }

    /// The directories of tools that steps need and that are not on their PATH.
    pub fn tool_dirs(&self, plan: &Plan) -> BTreeMap<String, PathBuf> {
        tools::places(&self.tools, &tools_of(plan, plan.ids()), &self.machine())
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
    pub fn tools_for(&self, request: &Request) -> Result<Vec<String>, CliError> {
        let plan = plan::plan(&self.config, request, &HostFacts::default(), &|_, _| None)?;
        self.check_planned_tools(&plan)?;
        Ok(tools_of(&plan, plan.ids()))
    }

    /// Refuses to start what this machine lacks a tool for: better at once
    /// than after an hour. A check that lacks one is skipped instead; answers
    /// which, and why.
    pub fn require_tools(
        &self,
        plan: &Plan,
        store: &Store,
        fetcher: &Fetcher,
    ) -> Result<BTreeMap<String, String>, CliError> {
        let survey = Survey::of(plan, store, fetcher, Sources::Present)?;
        let states = States::new(plan, |id| survey.is_there(id), |_| 0.0);
        let run = plan.ids().filter(|id| matches!(states.get(*id), Status::Waiting | Status::Ready));
        let (checks, builds): (Vec<_>, Vec<_>) = run.partition(|id| matches!(plan.stage(*id).work, Work::Check(_)));
        let host = self.machine();
        let names = tools_of(plan, builds.into_iter());
        let examination = tools::examine(&self.tools, &names, &host);
        if !names.is_empty() && !examination.is_good() {
            let mut problem = Diagnostic::new(format!(
                "this machine lacks what the build needs: {}",
                suggest::list(lacking(&examination))
            ));
            if let Some(command) = &examination.install {
                problem = problem.hint(format!("install it: `{}`, or `crossmill doctor --install`", command.join(" ")));
            }
            return Err(CliError::new(exit::HOST, problem.hint("`crossmill doctor` tells more")));
        }
        // Each tool is asked once, however many checks need it.
        let all = tools::examine(&self.tools, &tools_of(plan, checks.iter().copied()), &host);
        let mut skips = BTreeMap::new();
        for id in checks {
            let needs = tools_of(plan, std::iter::once(id));
            let mut own = all.clone();
            own.tools.retain(|tool| needs.contains(&tool.name) && !tool.is_good());
            if !own.is_good() {
                skips.insert(plan.stage(id).name.clone(), skip_reason(&own));
            }
        }
        Ok(skips)
    }
}

fn lacking(examination: &Examination) -> Vec<&str> {
    examination.tools.iter().filter(|tool| !tool.is_good()).map(|tool| tool.name.as_str()).collect()
}

// What a check lacks, and how it is installed.
fn skip_reason(examination: &Examination) -> String {
    let mut packages: Vec<&str> =
        examination.tools.iter().flat_map(|tool| &tool.packages).map(String::as_str).collect();
    packages.dedup();
    let (names, manager) = (lacking(examination), examination.manager.as_deref());
    let missing = if names.len() == 1 { "is not installed" } else { "are not installed" };
    let how = match manager {
        Some(manager) if !packages.is_empty() => format!(" ({manager}: {})", packages.join(" ")),
        _ => String::new(),
    };
    format!("{} {missing}{how}", suggest::list(names))
}

fn tools_of(plan: &Plan, stages: impl Iterator<Item = StageId>) -> Vec<String> {
    let mut names = Vec::new();
    for id in stages {
        match &plan.stage(id).work {
            Work::Fetch(source) if needs_signature(&plan.source(*source).candidates) => {
                names.push(source::signature::PROGRAM.to_owned());
            }
            _ => names.extend(plan.stage(id).job().into_iter().flat_map(|job| job.tools.iter().cloned())),
        }
    }
    names.sort();
    names.dedup();
    names
}

fn needs_signature(candidates: &[SourceSpec]) -> bool {
    candidates.iter().any(|candidate| matches!(candidate.pin, Pin::Signature { .. }))
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
fn find_data() -> Result<PathBuf, CliError> {
    let holds = |dir: &Path| dir.join("targets.toml").is_file() && dir.join("recipes").is_dir();
    let here = std::env::current_dir()?;
    let exe = std::env::current_exe().unwrap_or_default();
    let beside = exe.ancestors().skip(1).flat_map(|dir| [dir.join("share/crossmill"), dir.to_owned()]);
    let found = here.ancestors().map(Path::to_owned).chain(beside).find(|dir| holds(dir));
    found.ok_or_else(|| {
        let problem = Diagnostic::new("no targets.toml and recipes/ were found here, above, or beside the program")
            .hint("name their directory with `--data DIR` or CROSSMILL_DATA");
        CliError::new(exit::USAGE, problem)
    })
}

fn home() -> Option<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from).filter(|dir| dir.is_absolute())
}

fn no_home(why: &str) -> CliError {
    let problem = Diagnostic::new(format!("{why} the home directory, and HOME names none"))
        .hint("set HOME, or name the store with `--store DIR` or CROSSMILL_STORE");
    CliError::new(exit::USAGE, problem)
}

/// What a request asks for beside targets and packages.
pub fn choice(request: &Request) -> Choice {
    Choice {
        profile: Some(request.profile.clone()),
        release_set: Some(request.release_set.clone()),
        set: request.settings.iter().map(|(name, value)| (name.clone(), value.to_string())).collect(),
    }
}

/// A fresh name for a run: the time, and the process for two in one second.
pub fn run_name() -> String {
    let now = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string();
    format!("{now}-{}", std::process::id())
}
