//! Builds the graph from the requested stages down to their sources. A stage that several others
//! need is added once.

use super::context::{self, CROSSMILL};
use super::graph::{Chosen, Plan, SourceId, SourceSet, Stage, StageId, Work};
use super::host_facts::HostFacts;
use super::instance::Instance;
use super::job::{Dep, Job, JobStep, SourceCheck, SourceDemand};
use super::key_inputs::KeyInputs;
use super::request::Request;
use super::versions::{self, Versions};
use crate::base::{Diagnostic, Key, PackageName, StageName};
use crate::config::expect::{Expectation, Expected};
use crate::config::file::Placed;
use crate::config::matrix::Target;
use crate::config::recipe::{Command, Cost, Need, Per, Recipe, Snapshot, Step};
use crate::config::resolved::version_hints;
use crate::config::source::{Origin, SourceSpec};
use crate::config::template::{Renderer, placeholder};
use crate::config::{Config, access, recipe};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// Processor time of unpacking, per byte of the unpacked tree.
const UNPACK_BYTES_A_SECOND: u64 = 60 << 20;

/// Plans `request`. `known` returns the cached candidate of a source (or the one of the last run),
/// so that keys are final wherever possible. All problems are reported, not only the first.
pub fn plan(
    config: &Config,
    request: &Request,
    host: &HostFacts,
    known: &dyn Fn(&str, &[SourceSpec]) -> Option<Chosen>,
) -> Result<Plan, Vec<Diagnostic>> {
    let mut planner = Planner {
        config,
        request,
        host,
        known,
        plan: Plan { stages: Vec::new(), sources: Vec::new(), goals: Vec::new() },
        done: BTreeMap::new(),
        trees: BTreeMap::new(),
        versions: BTreeMap::new(),
        path: Vec::new(),
        problems: Vec::new(),
    };
    planner.requirements();
    for target in &request.targets {
        for package in &request.packages {
            let Some(recipe) = config.recipes.get(package) else { continue };
            let instance = Instance::Target(target.clone()).of(recipe.per, &config.matrix);
            let instance = instance.filter(|instance| planner.exists(recipe, instance));
            if let Some(goal) = instance.and_then(|instance| planner.stage(recipe, &instance)) {
                planner.plan.goals.push(goal);
            }
        }
    }
    planner.plan.goals.sort();
    planner.plan.goals.dedup();
    if !planner.problems.is_empty() {
        let mut problems = Vec::new();
        for problem in planner.problems {
            // The same template fails in the same way for each target.
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
        return Err(problems);
    }
    planner.plan.compute_keys();
    Ok(planner.plan)
}

struct Planner<'a> {
    config: &'a Config,
    request: &'a Request,
    host: &'a HostFacts,
    known: &'a dyn Fn(&str, &[SourceSpec]) -> Option<Chosen>,
    plan: Plan,
    done: BTreeMap<(PackageName, Instance), Option<StageId>>,
    // Targets may use different versions of a package, so sources are indexed by label.
    trees: BTreeMap<String, StageId>,
    versions: BTreeMap<Instance, Rc<Versions>>,
    path: Vec<(PackageName, Instance)>,
    problems: Vec<Diagnostic>,
}

impl Planner<'_> {
    // Versions that a target cannot be built with are refused before anything starts, including
    // those of a borrowed toolchain.
    fn requirements(&mut self) {
        let matrix = &self.config.matrix;
        let mut seen = Vec::new();
        for target in self.request.targets.iter().filter_map(|name| matrix.targets.get(name)) {
            let owner = matrix.targets.get(&target.toolchain).filter(|owner| owner.name != target.name);
            let own = std::iter::once((target, false)).chain(owner.map(|owner| (owner, true)));
            for (target, lends) in own {
                if seen.contains(&&target.name) {
                    continue;
                }
                // If the owner is requested too, it is checked completely.
                if !lends || !self.request.targets.contains(&target.name) {
                    seen.push(&target.name);
                    self.requirements_of(target, lends);
                }
            }
        }
    }

    fn requirements_of(&mut self, target: &Target, toolchain_only: bool) {
        let versions = self.versions(&Instance::Target(target.name.clone()));
        for requires in &target.requires {
            let Some(version) = versions.get(&requires.package) else { continue };
            let recipe = self.config.recipes.get(&requires.package);
            if toolchain_only && recipe.is_some_and(|recipe| recipe.per == Per::Target) {
                continue;
            }
            if !requires.versions.contains(version) {
                let (package, range) = (&requires.package, &requires.versions);
                let fit = recipe.into_iter().flat_map(|recipe| &recipe.versions);
                let fit: Vec<_> = fit
                    .filter(|release| range.contains(&release.version))
                    .map(|release| format!("`--with {package}={}`", release.version))
                    .collect();
                let message =
                    format!("target `{}` cannot be built with {package} {version}: it needs {range}", target.name);
                let mut problem = requires.at.error(message).cause(requires.why.clone());
                if !fit.is_empty() {
                    problem = problem.hint(format!("choose {}", fit.join(" or ")));
                }
                self.problems.push(problem);
            }
        }
    }

    // The depth of the recursion is the longest chain of needs; cycles are refused.
    fn stage(&mut self, recipe: &Recipe, instance: &Instance) -> Option<StageId> {
        let node = (recipe.name.clone(), instance.clone());
        if let Some(done) = self.done.get(&node) {
            return *done;
        }
        if let Some(start) = self.path.iter().position(|other| *other == node) {
            let round: Vec<_> =
                self.path[start..].iter().chain([&node]).map(|(package, _)| package.to_string()).collect();
            let problem = recipe.at.error(format!("recipes need each other: {}", round.join(" -> ")));
            self.problems.push(problem.hint("remove one of these `[[needs]]`"));
            return None;
        }
        self.path.push(node.clone());
        let id = self.make(recipe, instance);
        self.path.pop();
        self.done.insert(node, id);
        id
    }

    fn make(&mut self, recipe: &Recipe, instance: &Instance) -> Option<StageId> {
        let before = self.problems.len();
        // Conditions on needs cannot refer to the needs themselves.
        let early = self.renderer(recipe, instance, &[]);
        let needs = self.needs(recipe, instance, &early);
        let packages: Vec<_> = needs.iter().map(|(need, _)| need.package.clone()).collect();
        let all = needs.len();
        let needs: Vec<_> = needs.into_iter().filter_map(|(need, stage)| Some((need, stage?))).collect();
        let renderer = self.renderer(recipe, instance, &packages);
        for (when, why) in &recipe.refuse {
            if self.holds(&renderer, when) {
                let message = format!("{}/{}: this combination cannot work", instance.scope(), recipe.name);
                self.problems.push(when.error(message).cause(why.clone()));
            }
        }
        let (source, version) = self.source(recipe, instance, &renderer)?;
        let cost = self.cost(recipe, &renderer);
        let mut job = self.job(recipe, instance, &renderer, &needs, source);
        (job.build_bytes, job.result_bytes) = (cost.build, cost.result);
        // A need that cannot be planned was reported where it failed, once for all that need it.
        if self.problems.len() > before || needs.len() < all {
            return None;
        }
        let own = self.key_inputs(recipe, version.as_deref(), &job);
        let needs = source.into_iter().chain(needs.iter().map(|(_, stage)| *stage)).collect();
        let expect = if recipe.check { Some(self.expectation(recipe, instance)) } else { None };
        Some(self.push(Stage {
            name: StageName::new(instance.scope(), &recipe.name),
            scope: instance.scope().to_owned(),
            package: recipe.name.clone(),
            version: version.unwrap_or_default(),
            needs,
            own,
            work: if recipe.check { Work::Check(job) } else { Work::Build(job) },
            expect,
            cost: cost.time,
            key: Key::of(b""),
        }))
    }

    // A target without a kernel has no stage that builds one.
    fn exists(&mut self, recipe: &Recipe, instance: &Instance) -> bool {
        recipe.when.as_ref().is_none_or(|when| {
            let renderer = self.renderer(recipe, instance, &[]);
            self.holds(&renderer, when)
        })
    }

    fn renderer(&mut self, recipe: &Recipe, instance: &Instance, deps: &[PackageName]) -> Renderer {
        let versions = self.versions(instance);
        context::renderer(self.request, &self.config.matrix, self.host, recipe, instance, &versions, deps)
    }

    fn versions(&mut self, instance: &Instance) -> Rc<Versions> {
        let (config, request) = (self.config, self.request);
        let versions = self.versions.entry(instance.clone());
        Rc::clone(versions.or_insert_with(|| Rc::new(versions::of(config, request, instance))))
    }

    fn push(&mut self, stage: Stage) -> StageId {
        let id = StageId(u32::try_from(self.plan.stages.len()).expect("a plan has far fewer stages than 2^32"));
        self.plan.stages.push(stage);
        id
    }

    // The needs that apply; without a stage those that cannot be planned.
    fn needs<'r>(
        &mut self,
        recipe: &'r Recipe,
        instance: &Instance,
        renderer: &Renderer,
    ) -> Vec<(&'r Need, Option<StageId>)> {
        let mut found = Vec::new();
        for need in &recipe.needs {
            if need.when.as_ref().is_some_and(|when| !self.holds(renderer, when)) {
                continue;
            }
            let config = self.config;
            let Some(below) = config.recipes.get(&need.package) else { continue };
            let stage = match instance.of(below.per, &config.matrix) {
                Some(instance) if !self.exists(below, &instance) => {
                    let message =
                        format!("{}: `{}` does not exist, which `{}` needs", instance.scope(), below.name, recipe.name);
                    self.problems.push(need.at.error(message).hint("give both recipes the same `when`"));
                    None
                }
                Some(instance) => self.stage(below, &instance),
                None => {
                    let message =
                        format!("`{}` is built for fewer things than `{}` needs it for", below.name, recipe.name);
                    self.problems
                        .push(need.at.error(message).hint("a recipe needs recipes of the same `per` or a wider one"));
                    None
                }
            };
            found.push((need, stage));
        }
        found
    }

    fn holds(&mut self, renderer: &Renderer, when: &Placed) -> bool {
        renderer.holds(when).unwrap_or_else(|problem| {
            self.problems.push(problem);
            false
        })
    }

    fn render(&mut self, renderer: &Renderer, text: &Placed) -> String {
        renderer.render(text).unwrap_or_else(|problem| {
            self.problems.push(problem);
            String::new()
        })
    }

    // The last condition that is true decides.
    fn cost(&mut self, recipe: &Recipe, renderer: &Renderer) -> Cost {
        let mut cost = recipe.cost;
        for (when, with) in &recipe.cost_with {
            if self.holds(renderer, when) {
                cost = *with;
            }
        }
        cost
    }

    // Returns the unpack stage of the recipe's source, and the version. `None` after a problem;
    // `Some((None, None))` for a recipe without a source.
    fn source(
        &mut self,
        recipe: &Recipe,
        instance: &Instance,
        renderer: &Renderer,
    ) -> Option<(Option<StageId>, Option<String>)> {
        let config = self.config;
        let recipe = config.recipes.get(recipe.source_package()).unwrap_or(recipe);
        if recipe.versions.is_empty() && !self.request.sources.contains_key(&recipe.name) {
            return Some((None, None));
        }
        let Some(version) = self.versions(instance).get(&recipe.name).cloned() else {
            let mut problem = recipe.at.error(format!(
                "no version of `{}` is chosen by release set `{}`",
                recipe.name, self.request.release_set
            ));
            problem.hints = version_hints(recipe, "");
            problem.hints.insert(0, format!("choose one: `--with {}=VERSION`", recipe.name));
            self.problems.push(problem);
            return None;
        };
        // A patch that applies to some targets creates a separate tree, named after the patch:
        // other targets keep theirs.
        let mut label = format!("{}-{version}", recipe.name);
        let mut patches = Vec::new();
        // A user's own source is never patched.
        let own = self.request.sources.contains_key(&recipe.name);
        for patch in recipe.patches.iter().filter(|patch| !own && patch.versions.contains(&version)) {
            if let Some(when) = &patch.when {
                if !self.holds(renderer, when) {
                    continue;
                }
                label.push('+');
                label.push_str(&patch.patch.stem());
            }
            patches.push(patch.patch.clone());
        }
        if let Some(unpack) = self.trees.get(&label) {
            return Some((Some(*unpack), Some(version.to_string())));
        }
        let release = recipe.release(&version);
        let candidates = match self.request.sources.get(&recipe.name) {
            Some(local) => vec![local.clone()],
            None => release.map(|release| release.sources.clone()).unwrap_or_default(),
        };
        let unpacked = release.map_or(100 << 20, |release| release.unpacked);
        let set = SourceSet {
            chosen: (self.known)(&label, &candidates),
            patches,
            label: label.clone(),
            candidates,
            unpacked,
        };
        let id = SourceId(u32::try_from(self.plan.sources.len()).expect("fewer sources than stages"));
        self.plan.sources.push(set);
        let stage = |kind: &str, needs: Vec<StageId>, work: Work, seconds: u64| Stage {
            name: StageName::new(kind, &label),
            scope: "sources".to_owned(),
            package: recipe.name.clone(),
            version: version.to_string(),
            needs,
            own: KeyInputs::new(),
            work,
            expect: None,
            cost: Duration::from_secs(seconds),
            key: Key::of(b""),
        };
        let fetch = self.push(stage("fetch", Vec::new(), Work::Fetch(id), 1));
        let unpack = stage("unpack", vec![fetch], Work::Unpack(id), unpacked / UNPACK_BYTES_A_SECOND + 1);
        let unpack = self.push(unpack);
        self.trees.insert(label, unpack);
        Some((Some(unpack), Some(version.to_string())))
    }

    // Whether the user's source is a checkout; unknown for an archive until it is unpacked.
    fn is_snapshot(&self, recipe: &Recipe, snapshot: &Snapshot) -> bool {
        let owner = recipe.source_of.as_ref().map_or(&recipe.name, |(owner, _)| owner);
        match self.request.sources.get(owner).map(|source| &source.from) {
            Some(Origin::Local(dir)) => dir.is_dir() && !dir.join(&snapshot.lacks).exists(),
            Some(Origin::Git { .. }) => true,
            _ => false,
        }
    }

    fn job(
        &mut self,
        recipe: &Recipe,
        instance: &Instance,
        renderer: &Renderer,
        needs: &[(&Need, StageId)],
        source: Option<StageId>,
    ) -> Job {
        let mut env = self.config.matrix.environment.clone();
        for (name, value) in &recipe.env {
            let value = self.render(renderer, value);
            env.insert(name.clone(), value);
        }
        let dirs =
            needs.iter().flat_map(|(need, _)| need.path.iter().map(|dir| format!("@{{dep:{}}}/{dir}", need.package)));
        let dirs: Vec<_> = dirs.collect();
        if !dirs.is_empty() {
            let path = env.entry("PATH".to_owned()).or_default();
            *path = format!("{}:{path}", dirs.join(":"));
        }
        let steps = recipe.steps.iter().filter_map(|step| self.step(recipe, instance, renderer, step, &env)).collect();
        let tools = recipe
            .tools
            .iter()
            .flat_map(|tool| self.render(renderer, tool).split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        let mut tools: Vec<_> = tools.collect();
        for tool in
            recipe.snapshot.iter().filter(|snapshot| self.is_snapshot(recipe, snapshot)).flat_map(|it| &it.tools)
        {
            if !tools.contains(&tool.text) {
                tools.push(tool.text.clone());
            }
        }
        let mut files = Vec::new();
        for file in &recipe.files {
            for name in self.render(renderer, file).split_whitespace() {
                self.require(file, access::stays_below("the file", name));
                files.extend(self.file(file, name).map(|content| (name.to_owned(), content)));
            }
        }
        let mut result = Vec::new();
        for file in &recipe.result {
            let rendered = self.render(renderer, file);
            if !rendered.trim().is_empty() {
                self.require(file, access::stays_below("the result", &rendered));
                result.push(rendered);
            }
        }
        Job {
            steps,
            deps: needs
                .iter()
                .map(|(need, stage)| Dep { package: need.package.clone(), stage: *stage, path: need.path.clone() })
                .collect(),
            source,
            files,
            tools,
            access: recipe.access.clone(),
            limits: recipe.limits,
            source_checks: self.source_checks(recipe, renderer),
            result,
            build_bytes: recipe.cost.build,
            result_bytes: recipe.cost.result,
        }
    }

    fn source_checks(&mut self, recipe: &Recipe, renderer: &Renderer) -> Vec<SourceCheck> {
        let mut checks = Vec::new();
        for check in &recipe.source_checks {
            if check.when.as_ref().is_some_and(|when| !self.holds(renderer, when)) {
                continue;
            }
            let demand = match &check.demand {
                recipe::SourceDemand::Exists(path) => {
                    let rendered = self.render(renderer, path);
                    self.require(path, access::stays_below("the file", &rendered));
                    SourceDemand::Exists(rendered)
                }
                recipe::SourceDemand::Run(argv) => {
                    SourceDemand::Run(argv.iter().map(|word| self.render(renderer, word)).collect())
                }
            };
            checks.push(SourceCheck { demand, why: self.render(renderer, &check.why) });
        }
        checks
    }

    fn require(&mut self, place: &Placed, holds: Result<(), String>) {
        if let Err(why) = holds {
            self.problems.push(place.error(why));
        }
    }

    fn file(&mut self, place: &Placed, name: &str) -> Option<String> {
        let content = match self.config.recipe_file(name) {
            Some(path) => fs_err::read_to_string(path).map_err(|error| error.to_string()),
            None => Err(format!("no recipe directory has a file `{name}`")),
        };
        content.map_err(|why| self.problems.push(place.error(why))).ok()
    }

    fn step(
        &mut self,
        recipe: &Recipe,
        instance: &Instance,
        renderer: &Renderer,
        step: &Step,
        base: &BTreeMap<String, String>,
    ) -> Option<JobStep> {
        if step.when.as_ref().is_some_and(|when| !self.holds(renderer, when)) {
            return None;
        }
        let mut env = base.clone();
        let mut more: Vec<_> = step.env.iter().collect();
        let mut argv: Vec<String> = match &step.command {
            Command::Run(argv) => argv.iter().map(|word| self.render(renderer, word)).collect(),
            Command::Script(script) => {
                let script = self.render(renderer, script);
                ["/bin/sh", "-eu", "-c", &script, &format!("{}.{}", recipe.name, step.name.text)]
                    .map(str::to_owned)
                    .into()
            }
        };
        // An argument that renders to an empty string is dropped.
        argv.retain(|word| !word.is_empty());
        if step.target_options {
            let versions = self.versions(instance);
            argv.extend(context::options(instance.target(&self.config.matrix), recipe, &versions));
        }
        for with in &step.with {
            if self.holds(renderer, &with.when) {
                argv.extend(with.args.iter().map(|word| self.render(renderer, word)).collect::<Vec<_>>());
                more.extend(&with.env);
            }
        }
        for (name, value) in more {
            let value = self.render(renderer, value);
            env.insert(name.clone(), value);
        }
        let name = self.render(renderer, &step.name);
        self.require(&step.name, access::step_name(&name));
        Some(JobStep { name, argv, env: env.into_iter().collect(), interrupted: step.interrupted, memory: step.memory })
    }

    fn expectation(&mut self, recipe: &Recipe, instance: &Instance) -> Expectation {
        let target = instance.target(&self.config.matrix);
        let renderer = self.renderer(recipe, instance, &[]);
        let versions = self.versions(instance);
        let none = recipe.unsupported.iter().any(|when| self.holds(&renderer, when));
        let word = target.and_then(|target| target.expect.get(&recipe.name)).copied().unwrap_or_default();
        Expectation {
            word: if none { Expected::Unsupported } else { word },
            known: target
                .and_then(|target| target.known_failures.get(&recipe.name))
                .map(|failure| failure.with(&versions)),
        }
    }

    fn key_inputs(&self, recipe: &Recipe, version: Option<&str>, job: &Job) -> KeyInputs {
        let mut inputs = KeyInputs::new();
        inputs.add("recipe", recipe.name.as_str());
        inputs.add("per", if recipe.per == Per::Host { "host" } else { "target" });
        if let Some(version) = version {
            inputs.add("version", version);
        }
        let mut of_host = job.tools.iter().filter_map(|tool| Some((tool, self.host.tools.get(tool)?))).peekable();
        if of_host.peek().is_some() {
            // The same compiler of the same distribution makes other programs on another processor.
            inputs.add("host architecture", &self.host.arch);
        }
        for (tool, identity) in of_host {
            inputs.add(format!("host tool `{tool}`"), identity);
        }
        let own = placeholder(CROSSMILL);
        let of_step = |step: &JobStep| {
            step.argv.iter().chain(step.env.iter().map(|(_, value)| value)).any(|text| text.contains(&own))
        };
        if job.steps.iter().any(of_step) {
            inputs.add("crossmill", &self.host.crossmill);
        }
        for step in &job.steps {
            let name = &step.name;
            for word in &step.argv {
                inputs.add(format!("step `{name}`: argument"), word);
            }
            for (variable, value) in &step.env {
                inputs.add(format!("step `{name}`: variable {variable}"), value);
            }
        }
        for (name, content) in &job.files {
            inputs.add(format!("file `{name}`"), content);
        }
        for (what, value) in job.access.facts() {
            inputs.add(what, value);
        }
        inputs
    }
}
