//! `crossmill package … --verify-reproducible`: builds the archives twice from nothing, under conditions that differ, and
//! compares them.

use super::{CliError, CliResult, exit};
use crate::base::{Diagnostic, files};
use crate::process::{Tool, probe};
use crate::publish::compare;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// A user that owns nothing, for the second build of root.
const NOBODY: &str = "65534";

/// The locale, the time zone and the umask of each build, none of which steps should see.
const FIRST: Surroundings = Surroundings { name: "first", locale: "C", zone: "UTC", umask: "0022" };
const SECOND: Surroundings = Surroundings {
    name: "second-in-another-directory",
    locale: "tr_TR.UTF-8",
    zone: "Pacific/Kiritimati",
    umask: "0002",
};

struct Surroundings {
    name: &'static str,
    locale: &'static str,
    zone: &'static str,
    umask: &'static str,
}

/// Everything of both builds; removed in the end, however they end.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = files::remove_tree(&self.0) {
            errln!("warning: the trees of the rebuild were not removed: {error}");
        }
    }
}

/// What the program prints with `--json`.
#[derive(Debug, Deserialize)]
struct Printed {
    archives: Vec<Written>,
}

/// An archive of one of the builds.
#[derive(Debug, Clone, Deserialize)]
struct Written {
    path: PathBuf,
    tar_sha256: String,
}

/// Builds twice and compares. `args` are those of `crossmill package` without places, jobs and output; `cache` has the
/// downloads. Trees go below `scratch`, or the directory for temporary files.
pub(super) fn verify(
    args: &[String],
    jobs: Option<usize>,
    is_json: bool,
    cache: &Path,
    scratch: Option<&Path>,
) -> CliResult {
    let dir = scratch.map_or_else(std::env::temp_dir, Path::to_owned);
    let dir = tempfile::Builder::new().prefix("crossmill-rebuild-").tempdir_in(std::path::absolute(dir)?)?;
    let scratch = Scratch(dir.keep());
    open(&scratch.0)?;
    let jobs = jobs.unwrap_or_else(probe::processors);
    let user = other_user(args);
    let first = build(&scratch.0, &FIRST, args, cache, jobs, None)?;
    let Some(first) = first else { return Ok(exit::FAILED) };
    let more = if jobs > 1 { jobs - 1 } else { 2 };
    let second = build(&scratch.0, &SECOND, args, cache, more, user.as_ref().ok().copied())?;
    let Some(second) = second else { return Ok(exit::FAILED) };
    errln!("varied: directory, jobs ({jobs} and {more}), umask, locale, time zone, time of the build");
    match user {
        Ok(_) => errln!("varied: user"),
        Err(why) => errln!("not varied: user ({why})"),
    }
    errln!(
        "not varied: date and order of files in directories (steps have an environment of their own, without faketime)"
    );
    report(is_json, &first, &second)
}

// Another user has to reach the scratch directory.
fn open(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs_err::set_permissions(dir, std::fs::Permissions::from_mode(0o755))
}

// A user that the second build can have, or why there is none. `targets` shows whether this user can read the configuration.
fn other_user(args: &[String]) -> Result<&'static str, String> {
    if !nix::unistd::Uid::effective().is_root() {
        return Err("only root can change it".to_owned());
    }
    let exe = std::env::current_exe().map_err(|error| error.to_string())?;
    let places = args.iter().filter(|arg| ["--data=", "--config=", "--recipes="].iter().any(|it| arg.starts_with(it)));
    let targets = as_user(NOBODY).arg(exe).arg("targets").args(places);
    match targets.run(io::empty()) {
        Ok(output) if output.status.success() => Ok(NOBODY),
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            Err(format!("another user cannot read the configuration: {}", why.lines().next().unwrap_or("no message")))
        }
        Err(error) => Err(format!("setpriv: {error}")),
    }
}

fn as_user(user: &str) -> Tool {
    Tool::new("setpriv").args(["--reuid", user, "--regid", user, "--clear-groups", "--"])
}

// Runs the program on a store of its own. `None` where it fails, which it has reported itself.
fn build(
    scratch: &Path,
    around: &Surroundings,
    args: &[String],
    cache: &Path,
    jobs: usize,
    user: Option<&str>,
) -> Result<Option<Vec<Written>>, CliError> {
    let dir = scratch.join(around.name);
    for name in ["store", "home", "tmp", "out"] {
        fs_err::create_dir_all(dir.join(name))?;
    }
    if cache.is_dir() {
        run(&Tool::new("cp").args(["-a", "--reflink=auto", "--"]).arg(cache).arg(dir.join("store/cache")))?;
    }
    if let Some(user) = user {
        run(&Tool::new("chown").args(["-R", "--no-dereference", &format!("{user}:{user}"), "--"]).arg(&dir))?;
    }
    errln!("rebuild: {} build, {jobs} jobs{}", around.name.split('-').next().unwrap_or_default(), by(user));
    let printed = dir.join("out/printed.json");
    let script = format!("umask {}; exec \"$@\" > \"$0\"", around.umask);
    let mut tool = match user {
        Some(user) => as_user(user).arg("/bin/sh"),
        None => Tool::new("/bin/sh"),
    };
    tool = tool.arg("-c").arg(script).arg(&printed).arg(std::env::current_exe()?).args(args);
    tool = tool.arg("--jobs").arg(jobs.to_string()).arg("--json").arg("--store").arg(dir.join("store"));
    tool = tool.arg("--out").arg(dir.join("out")).env("HOME", dir.join("home")).env("TMPDIR", dir.join("tmp"));
    tool = tool.env("LC_ALL", around.locale).env("LANG", around.locale).env("TZ", around.zone);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let status = runtime.block_on(async {
        // Ctrl-C reaches the program as well; the trees are removed when it has ended.
        let _interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt());
        tokio::task::spawn_blocking(move || tool.attached()).await
    });
    let status = status.map_err(io::Error::other)??;
    if !status.success() {
        errln!("error: the {} build failed: nothing was compared", around.name.split('-').next().unwrap_or_default());
        return Ok(None);
    }
    let text = fs_err::read_to_string(printed)?;
    let printed: Printed = serde_json::from_str(&text).map_err(io::Error::other)?;
    Ok(Some(printed.archives))
}

fn by(user: Option<&str>) -> String {
    user.map_or_else(String::new, |user| format!(", user {user}"))
}

fn run(tool: &Tool) -> Result<(), CliError> {
    let output = tool.run(io::empty())?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(CliError::new(exit::FAILED, Diagnostic::new("the rebuild could not be prepared").cause(why.trim_end())))
}

fn report(is_json: bool, first: &[Written], second: &[Written]) -> CliResult {
    let name = |written: &Written| written.path.file_name().map(|name| name.to_string_lossy().into_owned());
    let others: BTreeMap<_, _> = second.iter().map(|written| (name(written), written)).collect();
    let mut equal = !first.is_empty() && first.len() == second.len();
    let mut archives = Vec::new();
    for written in first {
        let shown = name(written).unwrap_or_default();
        let Some(other) = others.get(&name(written)) else {
            errln!("not reproducible: {shown}: the second build has no such archive");
            equal = false;
            continue;
        };
        let difference = match written.tar_sha256 == other.tar_sha256 {
            true => None,
            false => Some(compare::first_difference(&written.path, &other.path)?.to_string()),
        };
        match &difference {
            None => errln!("reproducible: {shown} (tar sha256 {})", written.tar_sha256),
            Some(difference) => errln!("not reproducible: {shown}: {difference}"),
        }
        equal &= difference.is_none();
        archives.push(json!({
            "name": shown, "first_tar_sha256": written.tar_sha256, "second_tar_sha256": other.tar_sha256,
            "difference": difference,
        }));
    }
    if first.is_empty() {
        errln!("error: no archive was built, so nothing was compared");
    }
    if is_json {
        let value = json!({ "schema": 1, "reproducible": equal, "archives": archives });
        super::print(&format!("{value:#}\n"))?;
    }
    Ok(if equal { exit::DONE } else { exit::FAILED })
}
