//! Slurm, by its commands: `sinfo`, `sbatch`, `squeue` and `scancel`, version 21 or later. No accounting database is
//! needed: what a job did is in its own files, and only how Slurm ended it comes from `squeue`.
//!
//! A job carries its directory in its comment, after [`COMMENT`]: that is how a later run finds it.

use super::resources::Limits;
use super::{End, Engine, Error, JobId, JobInfo, JobRequest, JobState};
use crate::base::text::harmless;
use crate::process::{Tool, find_program};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the comment of a job begins with.
const COMMENT: &str = "crossmill ";
/// Programs that are needed.
const PROGRAMS: [&str; 4] = ["sbatch", "squeue", "scancel", "sinfo"];
/// Seconds that a command may take; Slurm's own limit is usually below.
const PATIENCE: &str = "90";
/// Columns of `squeue`; the comment comes last, because it may have any character.
const COLUMNS: &str = "%A|%T|%N|%r|%k";

/// Slurm.
#[derive(Debug, Clone, Default)]
pub struct Slurm {
    /// The partition; Slurm's default if none is named.
    pub partition: Option<String>,
    /// More arguments of sbatch.
    pub options: Vec<String>,
}

impl Slurm {
    /// Refuses a machine without Slurm's commands.
    pub fn installed() -> Result<(), Error> {
        let path = std::env::var("PATH").unwrap_or_default();
        match PROGRAMS.iter().find(|program| find_program(program, &path).is_none()) {
            Some(program) => Err(Error::NotInstalled { engine: "Slurm", program }),
            None => Ok(()),
        }
    }

    fn call(program: &'static str, args: &[String]) -> Result<String, Error> {
        Self::call_with(program, args, "", &[])
    }

    fn call_with(
        program: &'static str,
        args: &[String],
        input: &str,
        env: &[(String, String)],
    ) -> Result<String, Error> {
        let command = || format!("{program} {}", args.iter().take(3).cloned().collect::<Vec<_>>().join(" "));
        let tool = Tool::new("timeout").args(["--kill-after=5", PATIENCE, program]).args(args);
        // Of a job that submits jobs itself.
        let tool = tool.without_env(["SLURM_RESTART_COUNT"]).envs(env.iter().map(|(name, value)| (name, value)));
        let output = tool
            .run(input.as_bytes())
            .map_err(|error| Error::Refused { command: command(), why: error.to_string() })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let text = String::from_utf8_lossy(&output.stderr);
        let why = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
        let why = why.trim_start_matches(&format!("{program}: ")).trim_start_matches("error: ");
        match output.status.code() {
            Some(127) => Err(Error::NotInstalled { engine: "Slurm", program }),
            Some(124 | 137) => {
                Err(Error::Down { engine: "Slurm", why: format!("`{program}` took more than {PATIENCE} s") })
            }
            _ if is_down(&text) => Err(Error::Down { engine: "Slurm", why: harmless(why) }),
            _ => Err(Error::Refused { command: command(), why: harmless(why) }),
        }
    }
}

/// Returns how often Slurm has started the job again that this process is.
#[must_use]
pub fn restarts() -> u32 {
    std::env::var("SLURM_RESTART_COUNT").ok().and_then(|count| count.parse().ok()).unwrap_or(0)
}

// Messages of Slurm's commands when no controller, no munged or no configuration answers.
fn is_down(stderr: &str) -> bool {
    const SIGNS: [&str; 7] = [
        "Unable to contact slurm controller",
        "Socket timed out",
        "Connection refused",
        "Could not establish a configuration source",
        "Zero Bytes were transmitted",
        "Protocol authentication error",
        "Unable to open slurm.conf",
    ];
    SIGNS.iter().any(|sign| stderr.contains(sign))
}

impl Engine for Slurm {
    fn name(&self) -> &'static str {
        "Slurm"
    }

    fn limits(&self) -> Result<Limits, Error> {
        Self::installed()?;
        let mut args: Vec<String> = ["-h", "-e", "-o", "%P|%c|%m|%l|%D"].map(str::to_owned).into();
        args.extend(self.partition.iter().map(|name| format!("--partition={name}")));
        let text = Self::call("sinfo", &args)?;
        limits(&text, self.partition.is_some()).ok_or_else(|| {
            let why = match &self.partition {
                Some(name) => format!("it has no partition `{name}`"),
                None => "it has no nodes".to_owned(),
            };
            Error::Refused { command: "sinfo".to_owned(), why }
        })
    }

    fn submit(&self, job: &JobRequest) -> Result<JobId, Error> {
        let args = arguments(self, job)?;
        let text = Self::call_with("sbatch", &args, &script(job), &job.env)?;
        let id = text.trim().split(';').next().unwrap_or_default();
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Error::Answer { command: "sbatch".to_owned(), line: harmless(text.trim()) });
        }
        Ok(JobId(id.to_owned()))
    }

    fn jobs(&self) -> Result<Vec<JobInfo>, Error> {
        let user = nix::unistd::Uid::current().to_string();
        let args = ["-h", "-t", "all", "-u", &user, "-o", COLUMNS].map(str::to_owned);
        Ok(Self::call("squeue", &args)?.lines().filter_map(info).collect())
    }

    fn cancel(&self, jobs: &[JobId], at_once: bool) -> Result<(), Error> {
        if jobs.is_empty() {
            return Ok(());
        }
        for jobs in jobs.chunks(200) {
            let ids = jobs.iter().map(|id| id.0.clone());
            if at_once {
                // Only steps get a signal otherwise, and the job is its script.
                let args: Vec<String> =
                    ["--quiet", "--full", "--signal=KILL"].map(str::to_owned).into_iter().chain(ids.clone()).collect();
                // A job that is queued takes no signal.
                let _: Result<String, Error> = Self::call("scancel", &args);
            }
            let args: Vec<String> = std::iter::once("--quiet".to_owned()).chain(ids).collect();
            Self::call("scancel", &args)?;
        }
        Ok(())
    }
}

// Of the lines of `sinfo` those of the default partition, unless one was named; of a cluster without a default all.
fn limits(text: &str, named: bool) -> Option<Limits> {
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split('|').collect()).collect();
    let rows: Vec<&Vec<&str>> = rows.iter().filter(|row| row.len() == 5).collect();
    let default: Vec<&Vec<&str>> = rows.iter().copied().filter(|row| row[0].ends_with('*')).collect();
    let rows = if named || default.is_empty() { rows } else { default };
    let number = |text: &str| text.trim_end_matches('+').parse::<u64>().unwrap_or(0);
    let cores = rows.iter().map(|row| number(row[1])).max()?;
    let memory = rows.iter().map(|row| number(row[2])).max().unwrap_or(0);
    let all_cores: u64 = rows.iter().map(|row| number(row[1]).saturating_mul(number(row[4]))).sum();
    Some(Limits {
        cores: usize::try_from(cores).unwrap_or(1).max(1),
        // Slurm takes nodes without a figure for ones with 1 MiB.
        memory: (memory > 1).then(|| memory.saturating_mul(1 << 20)),
        time: rows.iter().filter_map(|row| time(row[3])).max(),
        all_cores: usize::try_from(all_cores).unwrap_or(1).max(1),
    })
}

// `3-12:00:00`, `12:00:00` or `30:00`; `infinite` is none.
fn time(text: &str) -> Option<Duration> {
    let (days, rest) = match text.split_once('-') {
        Some((days, rest)) => (days.parse::<u64>().ok()?, rest),
        None => (0, text),
    };
    let mut seconds = 0_u64;
    for part in rest.split(':') {
        seconds = seconds.checked_mul(60)?.checked_add(part.parse().ok()?)?;
    }
    Some(Duration::from_secs(days.checked_mul(86400)?.checked_add(seconds)?))
}

fn arguments(slurm: &Slurm, job: &JobRequest) -> Result<Vec<String>, Error> {
    let dir = plain(&job.dir)?;
    let mut args = vec![
        "--parsable".to_owned(),
        format!("--job-name={}", job.name),
        format!("--comment={COMMENT}{dir}"),
        format!("--chdir={}", job.cwd.display()),
        format!("--output={dir}/slurm-%j.out"),
        "--open-mode=append".to_owned(),
        // A lost node's jobs and pre-empted ones run again, whatever the cluster's default.
        "--requeue".to_owned(),
        "--export=ALL".to_owned(),
        "--nodes=1".to_owned(),
        "--ntasks=1".to_owned(),
        format!("--cpus-per-task={}", job.resources.cores),
        format!("--time={}", job.resources.time.as_secs().div_ceil(60).max(1)),
        // Without it, a job whose dependency can never hold waits for ever.
        "--kill-on-invalid-dep=yes".to_owned(),
    ];
    args.extend(job.resources.memory.map(|bytes| format!("--mem={}M", (bytes >> 20).max(1))));
    if !job.after.is_empty() {
        let ids: Vec<&str> = job.after.iter().map(|id| id.0.as_str()).collect();
        args.push(format!("--dependency=afterany:{}", ids.join(":")));
    }
    if !job.exclude.is_empty() {
        args.push(format!("--exclude={}", job.exclude.join(",")));
    }
    args.extend(slurm.partition.iter().map(|name| format!("--partition={name}")));
    args.extend(slurm.options.iter().cloned());
    Ok(args)
}

// `%` and `\` mean something in the name of an output file.
fn plain(dir: &Path) -> Result<&str, Error> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._+-".contains(c);
    let text = dir.to_str().filter(|text| text.chars().all(is_plain));
    text.ok_or_else(|| Error::Path { path: dir.to_owned() })
}

// The script becomes the program, so that it gets the signals of Slurm itself. Variables of the job are in sbatch's
// environment and not here: others may read a script.
fn script(job: &JobRequest) -> String {
    let argv: Vec<String> = job.argv.iter().map(|arg| quoted(arg)).collect();
    format!("#!/bin/sh\nexec {}\n", argv.join(" "))
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

// A line of `squeue`; `None` for a job that is not crossmill's.
fn info(line: &str) -> Option<JobInfo> {
    let mut columns = line.splitn(5, '|');
    let mut column = || columns.next();
    let (id, state, node, reason, comment) = (column()?, column()?, column()?, column()?, column()?);
    let dir = PathBuf::from(comment.strip_prefix(COMMENT)?);
    let node = if node == "(null)" { String::new() } else { harmless(node) };
    Some(JobInfo { id: JobId(id.to_owned()), dir, state: state_of(state, reason), node, reason: harmless(reason) })
}

fn state_of(state: &str, reason: &str) -> JobState {
    match state {
        "PENDING" if reason.starts_with("JobHeld") || reason.contains("held") => JobState::Held,
        "PENDING" | "REQUEUED" => JobState::Queued,
        "REQUEUE_HOLD" | "SPECIAL_EXIT" | "RESV_DEL_HOLD" => JobState::Held,
        "COMPLETED" | "FAILED" => JobState::Over(End::Exited),
        "TIMEOUT" | "DEADLINE" => JobState::Over(End::TimeLimit),
        "OUT_OF_MEMORY" => JobState::Over(End::OutOfMemory),
        "CANCELLED" => JobState::Over(End::Cancelled),
        "NODE_FAIL" | "BOOT_FAIL" | "PREEMPTED" | "REVOKED" => JobState::Over(End::Other(state.to_owned())),
        // CONFIGURING, COMPLETING, SUSPENDED, STAGE_OUT, SIGNALING, STOPPED, RESIZING, and what later versions add: it
        // is not over yet.
        _ => JobState::Running,
    }
}

#[cfg(test)]
mod tests {
    use super::super::resources::Resources;
    use super::*;

    #[test]
    fn the_limits_are_those_of_the_default_partition() {
        let text = "short*|64|256000|1-12:00:00|4\nshort*|128|512000+|1-12:00:00|2\nlong|256|1000000|infinite|1\n";
        let found = limits(text, false).unwrap();
        assert_eq!((found.cores, found.memory, found.all_cores), (128, Some(512_000 << 20), 512));
        assert_eq!(found.time, Some(Duration::from_secs(36 * 3600)));
        assert_eq!(
            limits("x|2|1|infinite|1\n", true).unwrap(),
            Limits { cores: 2, memory: None, time: None, all_cores: 2 }
        );
        assert_eq!(limits("", false), None);
        assert_eq!((time("30:00"), time("infinite"), time("9-")), (Some(Duration::from_secs(1800)), None, None));
    }

    #[test]
    fn a_line_of_the_queue_is_read() {
        let line = "12|PENDING||Dependency|crossmill /s/runs/a|b/jobs/3";
        let found = info(line).unwrap();
        assert_eq!((found.state, found.dir), (JobState::Queued, PathBuf::from("/s/runs/a|b/jobs/3")));
        assert_eq!(info("13|RUNNING|n1|None|(null)"), None);
        assert_eq!(info("13|RUNNING"), None);
        let state = |line: &str| info(line).unwrap().state;
        assert_eq!(state("1|PENDING||launch failed requeued held|crossmill x"), JobState::Held);
        assert_eq!(state("1|NODE_FAIL|n1|None|crossmill x"), JobState::Over(End::Other("NODE_FAIL".into())));
        assert_eq!(state("1|OF_TOMORROW|n1|None|crossmill x"), JobState::Running);
    }

    #[test]
    fn a_job_is_one_command_with_its_dependencies() {
        let mut job = JobRequest {
            name: "alpha/tool".into(),
            dir: "/s/runs/1/jobs/2".into(),
            argv: vec!["/bin/crossmill".into(), "__job".into(), "it's".into()],
            cwd: "/home/x y".into(),
            env: vec![("CACHE".into(), "a b".into())],
            after: vec![JobId("7".into()), JobId("8".into())],
            resources: Resources { cores: 3, memory: Some(3 << 30), time: Duration::from_secs(1201) },
            exclude: vec!["n1".into()],
        };
        let slurm = Slurm { partition: Some("long".into()), options: vec!["--account=us".into()] };
        insta::assert_snapshot!(arguments(&slurm, &job).unwrap().join("\n") + "\n\n" + &script(&job));
        job.dir = "/s/100%j".into();
        assert!(matches!(arguments(&slurm, &job), Err(Error::Path { .. })));
    }
}
