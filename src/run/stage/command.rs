//! What a step runs: its environment, its limits and what it sees of the machine.

use super::build::Runner;
use crate::plan::job::JobStep;
use crate::process;
use crate::process::isolation::View;
use crate::run::workspace::Workspace;
use crate::store::Lock;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

impl Runner<'_> {
    pub(super) fn command(&self, space: &Workspace, lock: &Lock, step: &JobStep, log: &Path) -> process::Command {
        let path = |name: &str| space.root().join(name).display().to_string();
        let mut env: BTreeMap<String, String> = step
            .env
            .iter()
            .map(|(name, value)| (name.clone(), self.work.inputs.on_path(name, space.fill(value))))
            .collect();
        env.insert("HOME".into(), path("home"));
        env.insert("TMPDIR".into(), path("tmp"));
        let makeflags = if self.one_job { "-j1".to_owned() } else { self.context.jobs.makeflags() };
        env.insert("MAKEFLAGS".into(), makeflags);
        if let Some(launcher) = &self.context.options.launcher {
            let before = env.get("PATH").map(|path| format!(":{path}")).unwrap_or_default();
            env.insert("PATH".into(), format!("{}{before}", launcher.bin.display()));
            env.extend(launcher.variables.iter().map(|(name, dir)| (name.clone(), dir.display().to_string())));
        }
        let isolation = self.context.isolation.clone().map(|support| (support, self.view(space, &env)));
        process::Command {
            step: step.name.clone(),
            argv: step.argv.iter().map(|word| space.fill(word)).collect(),
            env,
            dir: space.root().join("build"),
            log: log.to_owned(),
            stop_record: space.root().join("stopped.json"),
            grace: self.context.options.grace,
            lock: Some(lock.file()),
            isolation,
            limits: self.work.job.limits,
        }
    }

    // If isolation seems to have caused a step's failure, the finding mentions it.
    pub(super) fn with_refusal(&self, mut excerpt: Vec<String>) -> Vec<String> {
        let met = |what: &str| excerpt.iter().any(|line| line.contains(what));
        let mut refused = Vec::new();
        if self.context.isolation.is_some() {
            if met("Read-only file system") || met("Permission denied") {
                refused.push("isolation: a step writes its own work directory only; its recipe declares more as `[access] write`");
            }
            if !self.work.job.access.network && met("Network is unreachable") {
                refused.push("isolation: a step has no network; its recipe declares it as `[access] network = true`");
            }
        }
        let short = [
            "Cannot allocate memory",
            "ut of memory",
            "Resource temporarily unavailable",
            "fork",
            "File too large",
            "File size limit exceeded",
            "Too many open files",
            "Killed",
        ];
        let declared = self.work.job.limits.declared();
        let limited = (!declared.is_empty() && short.iter().any(|what| met(what)))
            .then(|| format!("limits: the recipe declares `[limits] {}`", declared.join(", ")));
        excerpt.extend(refused.into_iter().map(str::to_owned).chain(limited));
        excerpt
    }

    // Directory that a compiler cache writes; its other variable names the whole store.
    pub(super) fn caches(&self) -> impl Iterator<Item = &PathBuf> {
        let variables = self.context.options.launcher.iter().flat_map(|launcher| &launcher.variables);
        variables.map(|(_, dir)| dir).filter(|dir| *dir != self.context.store.root())
    }

    // The access of the step to the machine.
    fn view(&self, space: &Workspace, env: &BTreeMap<String, String>) -> View {
        let root = space.root();
        let dir = |name: &str| root.join(name);
        let access = &self.work.job.access;
        let path = env.get("PATH").map_or("", String::as_str);
        let mut visible: Vec<PathBuf> = path.split(':').filter(|dir| dir.starts_with('/')).map(PathBuf::from).collect();
        visible.push(self.context.store.root().to_owned());
        visible.extend(std::env::current_exe());
        View {
            work: root.to_owned(),
            own: ["build", "dest", "files", "home", "tmp"].map(dir).into(),
            logs: dir("logs"),
            scratch: dir("tmp"),
            visible,
            write: access.write.iter().cloned().chain(self.caches().cloned()).collect(),
            devices: access.devices.clone(),
            network: access.network,
        }
    }
}
