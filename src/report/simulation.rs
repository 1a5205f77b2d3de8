//! A simulated schedule as text and as JSON.

use crate::base::units;
use crate::run::simulation::{Machine, Saving, Schedule, Task, longest_chain};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;

/// Savings that are listed.
const SAVINGS: usize = 5;

/// The simulated machines: one machine, or the slowest of several with as many cores each.
#[derive(Debug)]
pub struct Simulation {
    /// The machine, or each of them.
    pub machine: Machine,
    /// Number of machines.
    pub nodes: usize,
    /// The stages of the machine that ends last.
    pub tasks: Vec<Task>,
    /// Their schedule.
    pub schedule: Schedule,
    /// Changes that would shorten it, the most effective first.
    pub savings: Vec<Saving>,
    /// Processor seconds of all machines together.
    pub cpu: f64,
    /// Stages of all machines together.
    pub stages: usize,
    /// Those of them whose steps were never recorded.
    pub unrecorded: usize,
}

fn time(seconds: f64) -> String {
    units::duration(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default())
}

impl Simulation {
    fn utilisation(&self) -> f64 {
        let available = self.schedule.wall * (self.machine.cores * self.nodes) as f64;
        if available > 0.0 { self.cpu / available } else { 0.0 }
    }

    fn chain(&self) -> f64 {
        longest_chain(&self.tasks, self.machine)
    }

    /// Returns the result for people, ending in a newline.
    #[must_use]
    pub fn text(&self) -> String {
        let machine = match self.nodes {
            1 => format!("{} cores", self.machine.cores),
            nodes => format!("{nodes} machines of {} cores", self.machine.cores),
        };
        if self.stages == 0 {
            return "nothing to run: every result exists\n".to_owned();
        }
        // Writing to a string cannot fail.
        let mut out = format!(
            "{} stages on {machine}: {}, {:.0} % of the processors busy; {} of processor time\n",
            self.stages,
            time(self.schedule.wall),
            self.utilisation() * 100.0,
            time(self.cpu)
        );
        let _ = writeln!(out, "no schedule is shorter than its longest chain, {}", time(self.chain()));
        out.push_str("critical path:\n");
        for at in &self.schedule.critical {
            let (begin, end) = (self.schedule.begins[*at], self.schedule.ends[*at]);
            let _ = writeln!(out, "  {:>8}  {}", time(end - begin), self.tasks[*at].name);
        }
        if !self.savings.is_empty() {
            out.push_str("what would shorten it most:\n");
        }
        for saving in self.savings.iter().take(SAVINGS) {
            let how = if saving.parallel { "on every core" } else { "in half of its processor time" };
            let _ = writeln!(out, "  {:>8}  {} {} {how}", time(saving.seconds), saving.package, saving.step);
        }
        if self.unrecorded > 0 {
            let _ = writeln!(
                out,
                "note: no step of {} stages was ever recorded; their recipes' costs are assumed, on every core",
                self.unrecorded
            );
        }
        out
    }

    /// Returns the result as JSON (docs/schema/plan-simulation.schema.json), ending in a newline.
    #[must_use]
    pub fn json(&self) -> String {
        let stage = |at: &usize| {
            let (begin, end) = (self.schedule.begins[*at], self.schedule.ends[*at]);
            json!({ "stage": self.tasks[*at].name, "begin_seconds": begin, "end_seconds": end })
        };
        let saving = |saving: &Saving| {
            let change = if saving.parallel { "parallel" } else { "half" };
            json!({ "package": saving.package, "step": saving.step, "change": change, "seconds": saving.seconds })
        };
        let value: Value = json!({
            "schema": 1,
            "cores": self.machine.cores,
            "nodes": self.nodes,
            "stages": self.stages,
            "unrecorded_stages": self.unrecorded,
            "wall_seconds": self.schedule.wall,
            "cpu_seconds": self.cpu,
            "utilisation": self.utilisation(),
            "longest_chain_seconds": self.chain(),
            "critical_path": self.schedule.critical.iter().map(stage).collect::<Vec<_>>(),
            "savings": self.savings.iter().map(saving).collect::<Vec<_>>(),
        });
        format!("{value:#}\n")
    }
}
