//! The work directory of a stage, and which parts of an interrupted run can be reused. Never
//! continues in a build tree that could be torn: not after an unclean stop, and not after another
//! boot of the machine.
//!
//! ```text
//! work/KEY/
//!   source -> the unpacked tree, read-only
//!   deps/PACKAGE -> the result of what it needs
//!   previous -> the previous result of the stage, if any (checks compare)
//!   build/ dest/ home/ tmp/ logs/
//!   files/            the files that the recipe declares, if any
//!   progress.jsonl    the boot, and each start and end of a step
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
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Progress of a stage, folded from its [`Mark`]s.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Steps that ended well, in order.
    pub done: Vec<String>,
    /// The step that was started last and has not ended well.
    pub running: Option<String>,
    /// Whether that step failed by itself.
    pub failed: bool,
    /// The boot in which it ran: after another one, files that were never flushed may be cut short, with the
    /// times they had.
    pub boot: Option<String>,
}

/// A line of `progress.jsonl`. Lines are appended: a file that is replaced by a rename is written to the disk at once by
/// ext4, which a short stage would wait for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Mark {
    /// The first line of each run that works on the stage: this boot, and the steps that earlier runs finished.
    Begun {
        boot: String,
        done: Vec<String>,
    },
    Started(String),
    Finished,
    Failed,
}

impl Progress {
    // `None` if the lines are not those of one stage's runs. A last line without its end was never written as a whole.
    fn of(lines: &[u8]) -> Option<Self> {
        let mut progress: Option<Self> = None;
        for line in lines.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n")) {
            match serde_json::from_slice(line).ok()? {
                Mark::Begun { boot, done } => progress = Some(Self { done, boot: Some(boot), ..Self::default() }),
                Mark::Started(step) => progress.as_mut()?.running = Some(step),
                Mark::Finished => {
                    let progress = progress.as_mut()?;
                    progress.done.extend(progress.running.take());
                }
                Mark::Failed => progress.as_mut()?.failed = true,
            }
        }
        progress
    }

    // A missing file is no progress, nor is one that makes no sense; a file that cannot be read is an error.
    fn read(root: &Path) -> io::Result<Option<Self>> {
        Ok(files::read_if_present(&root.join(PROGRESS))?.as_deref().and_then(Self::of))
    }
}

const PROGRESS: &str = "progress.jsonl";

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
    let Ok(Some(progress)) = Progress::read(root) else { return 0 };
    let stopped = StopRecord::read(&root.join("stopped.json")).unwrap_or_default();
    let begin = begin(&job.steps, Some(&progress), stopped.as_ref());
    begin.step + usize::from(begin.resumed && progress.running.is_some())
}

/// A stage's work directory.
#[derive(Debug)]
pub struct Workspace {
    root: PathBuf,
    progress: fs_err::File,
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
        let boot = boot()?;
        let progress = Progress::read(root)?.filter(|progress| progress.boot.as_ref() == Some(&boot));
        let stopped = StopRecord::read(&root.join("stopped.json")).unwrap_or_default();
        let mut begin = begin(&job.steps, progress.as_ref(), stopped.as_ref());
        // When all steps are done only the publication is left, which needs no build tree.
        if begin.step > 0 && begin.step < job.steps.len() && !root.join("build").is_dir() {
            begin = AFRESH;
        }
        if begin == AFRESH {
            files::remove_tree(root)?;
        }
        let mut done = progress.map(|progress| progress.done).unwrap_or_default();
        done.truncate(begin.step);
        if begin.empty_dest {
            files::remove_tree(&root.join("dest"))?;
        }
        for dir in ["build", "dest", "home", "tmp", "logs"] {
            fs_err::create_dir_all(root.join(dir))?;
        }
        // Most stages have neither, and on some disks each directory takes a millisecond to remove.
        for (dir, used) in [("files", !job.files.is_empty()), ("deps", !inputs.deps.is_empty())] {
            if used {
                fs_err::create_dir_all(root.join(dir))?;
            }
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
        let progress = fs_err::OpenOptions::new().append(true).create(true).open(root.join(PROGRESS))?;
        let mut space = Self { root: root.to_owned(), progress, keys: inputs.keys.clone() };
        space.mark(&Mark::Begun { boot, done })?;
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
        self.mark(&Mark::Started(step.name.clone()))
    }

    /// The step that runs ended well.
    pub fn finished(&mut self) -> io::Result<()> {
        self.mark(&Mark::Finished)
    }

    /// The step that runs failed by itself.
    pub fn failed(&mut self) -> io::Result<()> {
        self.mark(&Mark::Failed)
    }

    // It means nothing after another boot, so it need not survive a power loss.
    fn mark(&mut self, mark: &Mark) -> io::Result<()> {
        let mut line = serde_json::to_vec(mark)?;
        line.push(b'\n');
        self.progress.write_all(&line)
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
    fn progress_is_what_its_lines_say_up_to_a_torn_one() {
        let lines = "{\"begun\":{\"boot\":\"b\",\"done\":[\"configure\"]}}\n{\"started\":\"build\"}\n";
        let running = Progress { boot: Some("b".into()), ..progress(&["configure"], Some("build")) };
        assert_eq!(Progress::of(lines.as_bytes()), Some(running.clone()));
        assert_eq!(Progress::of(format!("{lines}\"fini").as_bytes()), Some(running.clone()));
        let finished = Progress { done: vec!["configure".into(), "build".into()], running: None, ..running.clone() };
        assert_eq!(Progress::of(format!("{lines}\"finished\"\n").as_bytes()), Some(finished));
        let failed = Progress { failed: true, ..running };
        assert_eq!(Progress::of(format!("{lines}\"failed\"\n").as_bytes()), Some(failed));
        // What a full disk cut, and another run appended to.
        assert_eq!(Progress::of(format!("{lines}\"fini\"failed\"\n").as_bytes()), None);
        assert_eq!(Progress::of(b"\"finished\"\n"), None);
        assert_eq!(Progress::of(b""), None);
        assert_eq!(Progress::of(&[0; 64]), None);
        // The next run on the stage.
        let again = format!("{lines}{{\"begun\":{{\"boot\":\"c\",\"done\":[]}}}}\n");
        assert_eq!(Progress::of(again.as_bytes()), Some(Progress { boot: Some("c".into()), ..progress(&[], None) }));
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
