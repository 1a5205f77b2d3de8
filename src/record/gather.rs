//! Gathers the results of a run from its events.

use super::history::{History, key_of};
use super::{Evidence, Outcome, RunFigures, StageResult, TargetResults};
use crate::base::Key;
use crate::config::Config;
use crate::config::recipe::Per;
use crate::run::log::event::{Kind, StageOutcome, Usage};
use crate::run::log::model::{RunModel, Stage, StagePhase};
use std::collections::BTreeMap;

/// The results of one run.
#[derive(Debug, Clone)]
pub struct Gathered {
    /// The run's name.
    pub run: String,
    /// Its cost.
    pub figures: RunFigures,
    /// Stages that are built once for the machine.
    pub host: Vec<StageResult>,
    /// By target.
    pub targets: BTreeMap<String, TargetResults>,
    /// Rows that no target of the matrix is called by.
    pub unknown: Vec<String>,
}

/// The record that the store keeps of a result.
#[derive(Debug, Clone, Default)]
pub struct StoredResult {
    /// Its cost, for results whose log is gone.
    pub usage: Usage,
    /// Bytes of the result.
    pub bytes: u64,
    /// The host tools among what determined it.
    pub tools: BTreeMap<String, String>,
}

/// Information from outside of the events.
pub struct World<'a> {
    /// The targets and recipes.
    pub config: &'a Config,
    /// The runs that built the results.
    pub history: &'a History,
    /// Looks up the record of a key in the store.
    pub look: &'a dyn Fn(&Key) -> Option<StoredResult>,
    /// Takes paths of this machine out of a text.
    pub hide: &'a dyn Fn(&str) -> String,
    /// Cores of this machine.
    pub cores: usize,
}

/// Returns the results of the run in `model`.
pub fn gather(model: &RunModel, world: &World<'_>) -> Gathered {
    let mut tools = BTreeMap::new();
    let mut rows: BTreeMap<String, Vec<StageResult>> = BTreeMap::new();
    for stage in model.stages.values() {
        if matches!(stage.info.kind, Kind::Build | Kind::Check)
            && let Some(results) = result_of(stage, model, world, &mut tools)
        {
            rows.entry(stage.info.scope.clone()).or_default().push(results);
        }
    }
    let host = rows.remove("host").unwrap_or_default();
    let mut gathered = Gathered {
        run: model.run.name.clone(),
        figures: figures(model, world.cores, tools),
        host,
        targets: BTreeMap::new(),
        unknown: Vec::new(),
    };
    for (row, stages) in rows {
        let Some(target) = world.config.matrix.targets.get(row.as_str()) else {
            gathered.unknown.push(row);
            continue;
        };
        // Those of a shared toolchain stand in the owner's row.
        let owner = target.toolchain.as_str();
        let versions = model.stages.values().filter(|stage| {
            let here = stage.info.scope == row || stage.info.scope == owner && per(world, stage) == "toolchain";
            let conclusive = matches!(&stage.phase, StagePhase::Over(state) if *state != StageOutcome::Interrupted);
            here && conclusive && stage.info.kind == Kind::Build && !stage.info.version.is_empty()
        });
        let versions = versions.map(|stage| (stage.info.package.clone(), stage.info.version.clone()));
        let chosen = model.run.choice.clone().unwrap_or_default();
        let results = TargetResults {
            triple: target.triple.clone(),
            arch: target.arch.clone(),
            tier: target.tier.clone(),
            toolchain: owner.to_owned(),
            tested: model.run.started.clone(),
            run: model.run.name.clone(),
            profile: chosen.profile.or_else(|| word_of(&model.run.command, &["--profile", "-p"])),
            release_set: chosen.release_set.or_else(|| word_of(&model.run.command, &["--release-set"])),
            set: chosen.set,
            versions: versions.collect(),
            stages,
        };
        gathered.targets.insert(row, results);
    }
    gathered
}

// Older logs have these on the command line at most.
fn word_of(command: &[String], options: &[&str]) -> Option<String> {
    command.iter().enumerate().find_map(|(at, word)| {
        options.iter().find_map(|option| match word.strip_prefix(option)? {
            "" => command.get(at + 1).cloned(),
            rest => rest.strip_prefix('=').map(str::to_owned),
        })
    })
}

fn per(world: &World<'_>, stage: &Stage) -> &'static str {
    match world.config.recipes.get(stage.info.package.as_str()).map(|recipe| recipe.per) {
        Some(Per::Host) => "host",
        Some(Per::Toolchain) => "toolchain",
        Some(Per::Target) => "target",
        None if stage.info.scope == "host" => "host",
        None => "target",
    }
}

// `None` for a stage that the run did not reach.
fn result_of(
    stage: &Stage,
    model: &RunModel,
    world: &World<'_>,
    tools: &mut BTreeMap<String, String>,
) -> Option<StageResult> {
    let StagePhase::Over(state) = &stage.phase else { return None };
    let check = stage.info.kind == Kind::Check;
    let (state, why) = match state {
        StageOutcome::Done | StageOutcome::Cached | StageOutcome::BuiltElsewhere | StageOutcome::Pulled if check => {
            (Outcome::Pass, None)
        }
        StageOutcome::Done | StageOutcome::Cached | StageOutcome::BuiltElsewhere | StageOutcome::Pulled => {
            (Outcome::Built, None)
        }
        StageOutcome::Failed { why } => (Outcome::Failed, Some(why)),
        StageOutcome::Blocked { by } => (Outcome::Blocked, Some(by)),
        StageOutcome::Unsupported { why } => (Outcome::Unsupported, Some(why)),
        StageOutcome::Skipped { why } => (Outcome::Skipped, Some(why)),
        StageOutcome::KnownFailure { why } => (Outcome::KnownFailure, Some(why)),
        StageOutcome::Interrupted => return None,
    };
    let key = key_of(stage);
    let stored = (world.look)(&key);
    let built = world.history.get(&key);
    let (run, usage) = match (built, &stored) {
        // It ran here and left nothing that is kept.
        _ if matches!(state, Outcome::Failed | Outcome::KnownFailure) => (Some(model.run.name.clone()), stage.usage),
        (Some(built), _) => (Some(built.run.clone()), built.usage),
        (None, Some(stored)) => (None, stored.usage),
        (None, None) => (stage.has_run().then(|| model.run.name.clone()), stage.usage),
    };
    if let Some(stored) = &stored {
        tools.extend(stored.tools.clone());
    }
    let check_result = stage.check_result.as_ref();
    Some(StageResult {
        package: stage.info.package.clone(),
        per: per(world, stage).to_owned(),
        check,
        version: stage.info.version.clone(),
        state,
        why: why.map(|why| (world.hide)(why)),
        summary: check_result.and_then(|check_result| check_result.summary.as_deref()).map(world.hide),
        figures: check_result.into_iter().flat_map(|check_result| check_result.figures.iter().cloned()).collect(),
        failure: stage.failure.as_ref().map(|failure| Evidence {
            step: failure.step.clone(),
            ended: failure.ended.clone(),
            excerpt: failure.excerpt.iter().map(|line| (world.hide)(line)).collect(),
        }),
        key: key.to_string(),
        run,
        wall: tenths(usage.wall),
        cpu: tenths(usage.user + usage.system),
        memory_kib: usage.max_rss_kib,
        bytes: stored.filter(|stored| stored.bytes > 0).map(|stored| stored.bytes),
    })
}

// A tenth of a second is what can be repeated.
fn tenths(seconds: f64) -> f64 {
    if seconds.is_finite() { (seconds.max(0.0) * 10.0).round() / 10.0 } else { 0.0 }
}

fn figures(model: &RunModel, cores: usize, tools: BTreeMap<String, String>) -> RunFigures {
    let totals = model.totals;
    let (wall, cpu) = totals.map_or((model.latest_ms as f64 / 1000.0, model.cpu_seconds()), |t| (t.wall, t.cpu));
    let peak = model.loads.iter().map(|load| load.memory_kib).max().unwrap_or(0);
    RunFigures {
        started: model.run.started.clone(),
        crossmill: model.run.version.clone(),
        jobs: model.run.jobs,
        cores,
        memory: model.run.memory,
        ended: totals.is_some(),
        wall: tenths(wall),
        cpu: tenths(cpu),
        busy_wall: tenths(totals.map_or(0.0, |totals| totals.busy_wall)),
        busy_cpu: tenths(totals.map_or(0.0, |totals| totals.busy_cpu)),
        peak_kib: totals.map_or(peak, |totals| totals.peak_kib),
        tools,
    }
}
