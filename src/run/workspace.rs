//! The work directory of a stage, and which parts of an interrupted run can be reused. Never
//! continues in a build tree that could be torn: not after an unclean stop, and not after another
//! boot of the machine.
//!
//! ```text
//! work/KEY/
//!   source -> the unpacked tree, read-only
//!   deps/PACKAGE -> the result of what it needs
//!   previous -> the previous result of the stage, if any (checks compare)
//!   build/ dest/ files/ home/ tmp/ logs/
//!   progress.json     the steps that are finished and the one that runs
//!   stopped.json      the supervisor's word that a stop was clean
//!   reproduce.sh      the same steps by hand
//! ```

use crate::base::{Key, files};
use crate::config::recipe::Interrupted;
use crate::config::template;
use crate::plan::context::CROSSMILL;
use crate::plan::job::{Job, JobStep};
use crate::process::StopRecord;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// Progress of a stage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps that ended well, in order.
    pub done: Vec<String>,
    /// The step that was started last and has not ended well.
    pub running: Option<String>,
    /// Whether that step failed by itself.
    pub failed: bool,
    /// The boot in which it ran: after another one, files that were never flushed may be cut short, with the
    /// times they had.
    #[serde(default)]
    pub boot: Option<String>,
}

/// Returns the id of this boot.
fn boot() -> io::Result<String> {
    Ok(fs_err::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Starting point of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begin {
    /// The first step to run.
    pub step: usize,
    /// Whether its build tree is left from an earlier run.
    pub resumed: bool,
    /// Whether the destination is emptied first.
    pub empty_dest: bool,
}

const AFRESH: Begin = Begin { step: 0, resumed: false, empty_dest: true };

/// Decides where to begin from what an earlier run left.
pub fn begin(steps: &[JobStep], progress: Option<&Progress>, stopped: Option<&StopRecord>) -> Begin {
    let Some(progress) = progress else { return AFRESH };
    let finished = progress.done.len();
    let same = steps.iter().map(|step| &step.name).take(finished).eq(&progress.done);
    // A step that failed may have left anything behind.
    if !same || progress.failed {
        return AFRESH;
    }
    let Some(running) = &progress.running else {
        // Stopped between two steps.
        return Begin { step: finished, resumed: finished > 0, empty_dest: false };
    };
    let Some(step) = steps.get(finished).filter(|step| step.name == *running) else { return AFRESH };
    let clean = stopped.is_some_and(|record| record.clean && record.step == *running);
    match step.interrupted {
        Interrupted::Continue if clean => Begin { step: finished, resumed: true, empty_dest: false },
        // It writes to the destination only, so even a torn one is emptied and done again.
        Interrupted::Redo => Begin { step: finished, resumed: true, empty_dest: true },
        Interrupted::Continue | Interrupted::Restart => AFRESH,
    }
}

/// Returns how many steps an earlier run has finished, or has begun so that they can be continued.
#[must_use]
pub fn steps_begun(root: &Path, job: &Job) -> usize {
    // A guess for the scheduler; `prepare` decides.
    let Ok(Some(progress)) = read::<Progress>(&root.join("progress.json")) else { return 0 };
    let stopped = StopRecord::read(&root.join("stopped.json")).unwrap_or_default();
    let begin = begin(&job.steps, Some(&progress), stopped.as_ref());
    begin.step + usize::from(begin.resumed && progress.running.is_some())
}

/// A stage's work directory.
#[derive(Debug)]
pub struct Workspace {
    root: PathBuf,
    progress: Progress,
    keys: Vec<(String, Key)>,
}

/// The results and sources that a job sees of the store.
#[derive(Debug, Clone, Default)]
pub struct StageInputs {
    /// The source tree.
    pub source: Option<PathBuf>,
    /// The results it needs, by package.
    pub deps: Vec<(String, PathBuf)>,
    /// Directories of tools that are not on the PATH of every step.
    pub tools: BTreeSet<PathBuf>,
    /// Their keys.
    pub keys: Vec<(String, Key)>,
    /// The result of the same name before this one, where a check compares itself with it.
    pub previous: Option<PathBuf>,
}

impl StageInputs {
    /// Returns the value of a step's variable as this machine needs it.
    pub fn on_path(&self, name: &str, value: String) -> String {
        if name != "PATH" || self.tools.is_empty() {
            return value;
        }
        let dirs: Vec<_> = self.tools.iter().map(|dir| dir.display().to_string()).collect();
        format!("{}:{value}", dirs.join(":"))
    }
}

impl Workspace {
    /// Prepares the directory and returns where to begin. The caller holds the key's lock.
    pub fn prepare(root: &Path, job: &Job, inputs: &StageInputs) -> io::Result<(Self, Begin)> {
        crate::store::entry::take_back(root)?;
        let boot = Some(boot()?);
        let progress = read::<Progress>(&root.join("progress.json"))?.filter(|progress| progress.boot == boot);
        let stopped = StopRecord::read(&root.join("stopped.json")).unwrap_or_default();
        let mut begin = begin(&job.steps, progress.as_ref(), stopped.as_ref());
        // When all steps are done only the publication is left, which needs no build tree.
        if begin.step > 0 && begin.step < job.steps.len() && !root.join("build").is_dir() {
            begin = AFRESH;
        }
        if begin == AFRESH {
            files::remove_tree(root)?;
        }
        let mut space =
            Self { root: root.to_owned(), progress: progress.unwrap_or_default(), keys: inputs.keys.clone() };
        space.progress.done.truncate(begin.step);
        space.progress.running = None;
        space.progress.failed = false;
        space.progress.boot = boot;
        if begin.empty_dest {
            files::remove_tree(&root.join("dest"))?;
        }
        for dir in ["build", "dest", "files", "home", "tmp", "logs", "deps"] {
            fs_err::create_dir_all(root.join(dir))?;
        }
        for (name, content) in &job.files {
            let path = root.join("files").join(name);
            if fs_err::read_to_string(&path).ok().as_deref() != Some(content) {
                files::write_atomic(&path, content.as_bytes())?;
            }
        }
        if let Some(source) = &inputs.source {
            link(source, &root.join("source"))?;
        }
        for (name, tree) in &inputs.deps {
            link(tree, &root.join("deps").join(name))?;
        }
        // Without one it is a name that leads nowhere.
        let _ = fs_err::remove_file(root.join("previous"));
        if let Some(previous) = &inputs.previous {
            link(previous, &root.join("previous"))?;
        }
        space.save()?;
        Ok((space, begin))
    }

    /// Returns the directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns where a step's output goes.
    pub fn log(&self, index: usize, step: &JobStep) -> PathBuf {
        self.root.join("logs").join(log_name(index, &step.name))
    }

    /// Returns a step's arguments and environment with this machine's paths and the keys of what it
    /// needs.
    pub fn fill(&self, text: &str) -> String {
        template::fill(text, &|name| {
            key_of(&self.keys, name).or_else(|| self.place(name).map(|path| path.display().to_string()))
        })
    }

    fn place(&self, name: &str) -> Option<PathBuf> {
        Some(match name {
            "source" | "build" | "dest" | "files" | "previous" => self.root.join(name),
            "work" => self.root.clone(),
            CROSSMILL => std::env::current_exe().ok()?,
            _ => self.root.join("deps").join(name.strip_prefix("dep:")?),
        })
    }

    /// A step starts.
    pub fn started(&mut self, step: &JobStep) -> io::Result<()> {
        self.progress.running = Some(step.name.clone());
        self.save()
    }

    /// The step that runs ended well.
    pub fn finished(&mut self) -> io::Result<()> {
        self.progress.done.extend(self.progress.running.take());
        self.save()
    }

    /// The step that runs failed by itself.
    pub fn failed(&mut self) -> io::Result<()> {
        self.progress.failed = true;
        self.save()
    }

    fn save(&self) -> io::Result<()> {
        // It means nothing after another boot, so it need not survive a power loss.
        files::write_unflushed(&self.root.join("progress.json"), &serde_json::to_vec(&self.progress)?)
    }
}

// The value of a placeholder for the key of a needed result.
fn key_of(keys: &[(String, Key)], name: &str) -> Option<String> {
    let package = name.strip_prefix("key:")?;
    keys.iter().find(|(known, _)| known == package).map(|(_, key)| key.to_string())
}

/// Returns the name of a step's log file: in the order of the steps.
pub fn log_name(index: usize, step: &str) -> String {
    format!("{:02}-{step}.log", index + 1)
}

// A missing or truncated file is ignored; a file that cannot be read is an error.
fn read<T: serde::de::DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs_err::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        text => Ok(serde_json::from_slice(&text?).ok()),
    }
}

fn link(to: &Path, at: &Path) -> io::Result<()> {
    match fs_err::read_link(at) {
        Ok(there) if there == to => return Ok(()),
        Ok(_) => fs_err::remove_file(at)?,
        Err(_) => {}
    }
    fs_err::os::unix::fs::symlink(to, at)
}

/// Returns a script that runs a stage's steps by hand, in a directory of its own.
pub fn reproduce(name: &str, key: &Key, job: &Job, inputs: &StageInputs) -> String {
    let mut script = format!(
        "#!/bin/sh\n# The steps of {name} (key {}), by hand.\n# Usage: sh reproduce.sh [DIRECTORY]\nset -eu\n\
         work=${{1:-$(mktemp -d)}}\nmkdir -p \"$work\"\nwork=$(cd \"$work\" && pwd)\ncd \"$work\"\n\
         mkdir -p build dest files home tmp deps\n",
        key.short(),
    );
    if let Some(source) = &inputs.source {
        script += &format!("ln -sfn {} source\n", quote(&source.display().to_string()));
    }
    for (package, tree) in &inputs.deps {
        script += &format!("ln -sfn {} deps/{package}\n", quote(&tree.display().to_string()));
    }
    if let Some(previous) = &inputs.previous {
        script += &format!("ln -sfn {} previous\n", quote(&previous.display().to_string()));
    }
    for (file, content) in &job.files {
        let dir = Path::new(file).parent().unwrap_or(Path::new("")).display().to_string();
        script += &format!("mkdir -p {}\n", quote(&format!("files/{dir}")));
        script += &format!("printf %s {} > {}\n", quote(content), quote(&format!("files/{file}")));
    }
    let path = |name: &str| {
        if let Some(key) = key_of(&inputs.keys, name) {
            return Some(key);
        }
        Some(match name {
            "source" | "build" | "dest" | "files" | "previous" => format!("\u{1}/{name}"),
            "work" => "\u{1}".to_owned(),
            CROSSMILL => std::env::current_exe().ok()?.display().to_string(),
            _ => format!("\u{1}/deps/{}", name.strip_prefix("dep:")?),
        })
    };
    // The directory is known only to the script, so it stands outside the quotes.
    let word = |text: &str| quote(&template::fill(text, &path)).replace('\u{1}', "'\"$work\"'");
    for step in &job.steps {
        script += &format!(
            "\necho '--- {}'\ncd \"$work/build\"\nenv -i HOME=\"$work/home\" TMPDIR=\"$work/tmp\" \\\n",
            step.name
        );
        script += "  MAKEFLAGS=\"-j$(getconf _NPROCESSORS_ONLN)\" \\\n";
        for (name, value) in &step.env {
            script += &format!("  {name}={} \\\n", word(&inputs.on_path(name, value.clone())));
        }
        let argv: Vec<_> = step.argv.iter().map(|argument| word(argument)).collect();
        script += &format!("  {}\n", argv.join(" "));
    }
    script
}

/// Returns a word as a shell reads it.
#[must_use]
pub fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._+-=:,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Tool;

    fn step(name: &str, interrupted: Interrupted) -> JobStep {
        JobStep { name: name.into(), argv: vec!["true".into()], env: Vec::new(), interrupted, memory: 0 }
    }

    fn steps() -> Vec<JobStep> {
        vec![
            step("configure", Interrupted::Restart),
            step("build", Interrupted::Continue),
            step("install", Interrupted::Redo),
        ]
    }

    fn progress(done: &[&str], running: Option<&str>) -> Progress {
        Progress {
            done: done.iter().map(|name| (*name).into()).collect(),
            running: running.map(Into::into),
            failed: false,
            boot: None,
        }
    }

    #[test]
    fn only_a_clean_stop_continues_in_the_build_tree() {
        let clean = StopRecord { step: "build".into(), clean: true };
        let torn = StopRecord { step: "build".into(), clean: false };
        let stopped = progress(&["configure"], Some("build"));
        let go_on = Begin { step: 1, resumed: true, empty_dest: false };
        assert_eq!(begin(&steps(), Some(&stopped), Some(&clean)), go_on);
        assert_eq!(begin(&steps(), Some(&stopped), Some(&torn)), AFRESH);
        assert_eq!(begin(&steps(), Some(&stopped), None), AFRESH);
        // The record of another step does not apply to this one.
        let other = StopRecord { step: "configure".into(), clean: true };
        assert_eq!(begin(&steps(), Some(&stopped), Some(&other)), AFRESH);
        let failed = Progress { failed: true, ..stopped };
        assert_eq!(begin(&steps(), Some(&failed), Some(&clean)), AFRESH);
    }

    #[test]
    fn finished_steps_are_kept_and_an_install_is_done_again() {
        let at_install = progress(&["configure", "build"], Some("install"));
        assert_eq!(begin(&steps(), Some(&at_install), None), Begin { step: 2, resumed: true, empty_dest: true });
        let between = progress(&["configure"], None);
        assert_eq!(begin(&steps(), Some(&between), None), Begin { step: 1, resumed: true, empty_dest: false });
        assert_eq!(begin(&steps(), Some(&progress(&[], Some("configure"))), None), AFRESH);
        assert_eq!(begin(&steps(), Some(&progress(&["other"], None)), None), AFRESH);
        assert_eq!(begin(&steps(), None, None), AFRESH);
    }

    #[test]
    fn a_tools_directory_goes_before_the_path_and_nowhere_else() {
        let none = StageInputs::default();
        assert_eq!(none.on_path("PATH", "/bin".into()), "/bin");
        let inputs = StageInputs { tools: BTreeSet::from(["/t/bin".into(), "/u/bin".into()]), ..none };
        assert_eq!(inputs.on_path("PATH", "/bin".into()), "/t/bin:/u/bin:/bin");
        assert_eq!(inputs.on_path("LIBRARY_PATH", "/lib".into()), "/lib");
    }

    #[test]
    fn the_script_quotes_what_a_shell_would_split() {
        let mut job_step = step("build", Interrupted::Restart);
        job_step.argv = vec!["sh".into(), "-c".into(), "echo 'it' > @{dest}/x y".into()];
        job_step.env = vec![("LIBRARY_PATH".into(), "@{dep:gmp}/lib".into())];
        let job = Job {
            steps: vec![job_step],
            deps: Vec::new(),
            source: None,
            files: vec![("a/b".into(), "c\n".into())],
            tools: Vec::new(),
            access: Default::default(),
            limits: Default::default(),
            source_checks: Vec::new(),
            result: Vec::new(),
            build_bytes: 0,
            result_bytes: 0,
        };
        let inputs =
            StageInputs { source: None, deps: vec![("gmp".into(), "/store/gmp".into())], ..StageInputs::default() };
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join("r.sh"), reproduce("t/x", &Key::of(b"k"), &job, &inputs)).unwrap();
        let work = dir.path().join("work");
        let run = Tool::new("sh").arg(dir.path().join("r.sh")).arg(&work).run(std::io::empty()).unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        assert_eq!(fs_err::read_to_string(work.join("dest/x")).unwrap(), "it y\n");
        assert_eq!(fs_err::read_to_string(work.join("files/a/b")).unwrap(), "c\n");
    }
}
