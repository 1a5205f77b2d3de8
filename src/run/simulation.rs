//! A schedule on paper: what a plan would take on a machine that does not exist. Pure.
//!
//! The model is the scheduler's own: a stage starts when a job token is free, the longest chain first; running steps share
//! the tokens that are left, each as far as it can use them. How far that is follows from the width that was measured where
//! the step ran alone: a step that kept `w` of `p` processors busy has a serial part by Amdahl's law.

pub mod tasks;

use std::cmp::Ordering;

/// Speed of a step, in processor seconds a second, by its number of job tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Width {
    /// As fast as there are tokens: its width was never measured.
    Unknown,
    /// Always the same: it computes serially, or waits for a part of the time.
    Serial(f64),
    /// By Amdahl's law with this serial fraction.
    Parallel {
        /// From 0 to 1.
        serial: f64,
    },
}

impl Width {
    /// From the processors that a step kept busy on average where it ran alone on `processors`; 0 if that is not known.
    #[must_use]
    pub fn measured(cores: f64, processors: f64) -> Self {
        if !cores.is_finite() || cores <= 0.0 {
            return Self::Unknown;
        }
        if cores <= 1.0 || processors <= 1.0 {
            return Self::Serial(cores.clamp(0.01, 1.0));
        }
        // cores = 1 / (serial + (1 - serial) / processors)
        let serial = (processors / cores.min(processors) - 1.0) / (processors - 1.0);
        Self::Parallel { serial: serial.clamp(0.0, 1.0) }
    }

    /// Returns the processors that it keeps busy with `tokens` of its own.
    #[must_use]
    pub fn busy(self, tokens: f64) -> f64 {
        match self {
            Self::Unknown => tokens,
            Self::Serial(cores) => cores.min(tokens),
            Self::Parallel { serial } => 1.0 / (serial + (1.0 - serial) / tokens.max(1.0)),
        }
    }

    fn is_serial(self) -> bool {
        matches!(self, Self::Serial(_))
    }
}

/// A step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// Seconds of processor time.
    pub cpu: f64,
    /// Number of processors that it can use.
    pub width: Width,
}

/// A stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// `arm64/gcc`
    pub name: String,
    /// `gcc`
    pub package: String,
    /// The stages it needs, by their index; all are smaller than its own.
    pub needs: Vec<usize>,
    /// Its steps, in order.
    pub steps: Vec<Step>,
    /// Whether its steps were recorded, here or for another target.
    pub recorded: bool,
}

/// The machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Machine {
    /// Job tokens.
    pub cores: usize,
    /// The processors that a token stands for: 1 on a machine of its own, less where others compute too.
    pub share: f64,
}

/// A simulated run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Schedule {
    /// Seconds of wall-clock time.
    pub wall: f64,
    /// Seconds of processor time.
    pub cpu: f64,
    /// When each stage begins.
    pub begins: Vec<f64>,
    /// When each stage ends.
    pub ends: Vec<f64>,
    /// The chain of stages that the end waited for, the first first.
    pub critical: Vec<usize>,
}

// A stage at work.
struct Running {
    task: usize,
    step: usize,
    // Seconds of processor time that the step has left.
    left: f64,
}

fn alone(step: &Step, cores: f64) -> f64 {
    step.cpu / step.width.busy(cores).max(1e-6)
}

/// Simulates a run of `tasks`, of which each needs only earlier ones.
#[must_use]
pub fn simulate(tasks: &[Task], machine: Machine) -> Schedule {
    let cores = machine.cores.max(1) as f64;
    let mut wanted_by = vec![Vec::new(); tasks.len()];
    for (at, task) in tasks.iter().enumerate() {
        task.needs.iter().for_each(|need| wanted_by[*need].push(at));
    }
    let mut rank = vec![0.0_f64; tasks.len()];
    for at in (0..tasks.len()).rev() {
        let own: f64 = tasks[at].steps.iter().map(|step| step.cpu).sum();
        rank[at] = own + wanted_by[at].iter().map(|next: &usize| rank[*next]).fold(0.0, f64::max);
    }
    // Popped from the end: the longest chain last.
    let order = |a: &usize, b: &usize| rank[*a].total_cmp(&rank[*b]).then_with(|| b.cmp(a));
    let mut missing: Vec<usize> = tasks.iter().map(|task| task.needs.len()).collect();
    let mut ready: Vec<usize> = (0..tasks.len()).filter(|at| missing[*at] == 0).collect();
    let mut running: Vec<Running> = Vec::new();
    let mut done = Schedule { begins: vec![0.0; tasks.len()], ends: vec![0.0; tasks.len()], ..Schedule::default() };
    done.cpu = tasks.iter().flat_map(|task| &task.steps).map(|step| step.cpu).sum();
    let mut now = 0.0;
    loop {
        ready.sort_by(order);
        while running.len() < machine.cores.max(1)
            && let Some(task) = ready.pop()
        {
            done.begins[task] = now;
            let left = tasks[task].steps.first().map_or(0.0, |step| step.cpu);
            running.push(Running { task, step: 0, left });
        }
        if running.is_empty() {
            break;
        }
        let step = |work: &Running| tasks[work.task].steps.get(work.step);
        // The tokens beyond one for each go to those that can use more.
        let wide = running.iter().filter(|work| step(work).is_some_and(|step| !step.width.is_serial())).count();
        let spare = (cores - running.len() as f64).max(0.0) / wide.max(1) as f64;
        let rate = |work: &Running| {
            let width = step(work).map_or(Width::Serial(1.0), |step| step.width);
            let tokens = if width.is_serial() { 1.0 } else { 1.0 + spare };
            (width.busy(tokens) * machine.share).max(1e-9)
        };
        let next = running.iter().map(|work| work.left / rate(work)).fold(f64::INFINITY, f64::min);
        let rates: Vec<f64> = running.iter().map(rate).collect();
        now += next;
        let mut ended = Vec::new();
        for (work, rate) in running.iter_mut().zip(rates) {
            work.left -= next * rate;
            if work.left > 1e-9 {
                continue;
            }
            work.step += 1;
            match tasks[work.task].steps.get(work.step) {
                Some(step) => work.left = step.cpu,
                None => ended.push(work.task),
            }
        }
        running.retain(|work| !ended.contains(&work.task));
        for task in ended {
            done.ends[task] = now;
            for next in &wanted_by[task] {
                missing[*next] -= 1;
                if missing[*next] == 0 {
                    ready.push(*next);
                }
            }
        }
    }
    done.wall = now;
    done.critical = critical(tasks, &done);
    done
}

// From the stage that ends last, back over the need that ended last.
fn critical(tasks: &[Task], schedule: &Schedule) -> Vec<usize> {
    let later = |a: &usize, b: &usize| schedule.ends[*a].total_cmp(&schedule.ends[*b]);
    let mut chain: Vec<usize> = (0..tasks.len()).max_by(later).into_iter().collect();
    while let Some(last) = chain.last()
        && let Some(need) = tasks[*last].needs.iter().copied().max_by(later)
    {
        chain.push(need);
    }
    chain.reverse();
    chain
}

/// Returns the wall-clock seconds of the longest chain of stages, each alone on the machine: no schedule is shorter.
#[must_use]
pub fn longest_chain(tasks: &[Task], machine: Machine) -> f64 {
    let mut ends: Vec<f64> = Vec::with_capacity(tasks.len());
    for task in tasks {
        let begin = task.needs.iter().map(|need| ends[*need]).fold(0.0, f64::max);
        let own: f64 = task.steps.iter().map(|step| alone(step, machine.cores as f64) / machine.share).sum();
        ends.push(begin + own);
    }
    ends.into_iter().fold(0.0, f64::max)
}

/// A change of all stages of a package, and what it would save.
#[derive(Debug, Clone, PartialEq)]
pub struct Saving {
    /// The package.
    pub package: String,
    /// The step.
    pub step: String,
    /// Whether the step uses every core then; otherwise it takes half of its processor time.
    pub parallel: bool,
    /// Seconds of wall-clock time less.
    pub seconds: f64,
}

/// Returns what would shorten the run most, the best first: a step of the critical path that takes half of its processor
/// time, or a serial one that uses every core, in all stages of its package.
#[must_use]
pub fn savings(tasks: &[Task], machine: Machine, schedule: &Schedule) -> Vec<Saving> {
    let mut candidates: Vec<(String, String, bool)> = Vec::new();
    for task in schedule.critical.iter().map(|at| &tasks[*at]) {
        for step in &task.steps {
            let kinds: &[bool] = if matches!(step.width, Width::Unknown) { &[false] } else { &[false, true] };
            for parallel in kinds {
                let candidate = (task.package.clone(), step.name.clone(), *parallel);
                if !candidates.contains(&candidate) {
                    candidates.push(candidate);
                }
            }
        }
    }
    let mut found: Vec<Saving> = candidates
        .into_iter()
        .map(|(package, name, parallel)| {
            let mut changed = tasks.to_vec();
            let steps = changed.iter_mut().filter(|task| task.package == package).flat_map(|task| &mut task.steps);
            for step in steps.filter(|step| step.name == name) {
                if parallel {
                    step.width = Width::Unknown;
                } else {
                    step.cpu /= 2.0;
                }
            }
            let seconds = schedule.wall - simulate(&changed, machine).wall;
            Saving { package, step: name, parallel, seconds }
        })
        .filter(|saving| saving.seconds > 0.0)
        .collect();
    found.sort_by(|a, b| b.seconds.partial_cmp(&a.seconds).unwrap_or(Ordering::Equal));
    found
}

#[cfg(test)]
mod simulation_tests;
