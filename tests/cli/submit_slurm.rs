//! `crossmill submit` with a real Slurm of two nodes, started by `ci/slurm-up`.

use crate::world::{Ran, World, until};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A cluster that ends with its test.
struct Cluster {
    dir: tempfile::TempDir,
}

fn script(name: &str) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ci").join(name);
    if nix::unistd::Uid::effective().is_root() {
        return Command::new(path);
    }
    let mut command = Command::new("sudo");
    command.args(["-n", "--preserve-env=NODES,CPUS"]).arg(path);
    command
}

impl Cluster {
    /// Starts it; `None`, with a message, where Slurm is not installed.
    fn start() -> Option<Self> {
        let all = std::env::var_os("CROSSMILL_TEST_ALL").is_some();
        let is_installed = Path::new("/usr/bin/sbatch").exists() && Path::new("/usr/sbin/slurmctld").exists();
        if !is_installed && !all {
            eprintln!("skipped: Slurm is not installed; ci/slurm-up installs it");
            return None;
        }
        let dir = tempfile::Builder::new().prefix("crossmill-slurm-").tempdir().unwrap();
        let cluster = Self { dir };
        let output = script("slurm-up").arg(cluster.path()).env("NODES", "2").env("CPUS", "2").output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() && !all && text.contains("sudo") {
            eprintln!("skipped: only root can start Slurm");
            return None;
        }
        assert!(output.status.success(), "{text}");
        Some(cluster)
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn conf(&self) -> String {
        self.path().join("slurm.conf").display().to_string()
    }

    /// Runs a command of Slurm; returns what it prints.
    fn slurm(&self, args: &[&str]) -> String {
        let output = Command::new(args[0]).args(&args[1..]).env("SLURM_CONF", self.conf()).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn jobs(&self) -> Vec<String> {
        self.slurm(&["squeue", "-h", "-t", "all", "-o", "%T %j"]).lines().map(str::to_owned).collect()
    }

    /// Slurm waits two minutes before it runs a job again; an operator would do this.
    fn hurry(&self) {
        for job in self.slurm(&["squeue", "-h", "-t", "PENDING", "-o", "%A"]).lines() {
            let _ = Command::new("scontrol")
                .args(["update", &format!("JobId={job}"), "StartTime=now"])
                .env("SLURM_CONF", self.conf())
                .output();
        }
    }

    fn submit(&self, world: &World, args: &[&str]) -> Command {
        let mut command = world.command(&[&["submit", "--engine", "slurm"], args].concat());
        command.env("SLURM_CONF", self.conf());
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = script("slurm-down").arg(self.path()).output();
    }
}

/// A world whose toolchains and kernels are long enough for jobs of their own.
fn world() -> World {
    let world = World::new();
    for recipe in ["tool", "kernel"] {
        world.edit(&format!("data/recipes/{recipe}.toml"), "time = \"5s\"", "time = \"5m\"");
    }
    world
}

/// Makes the build of each kernel take some seconds.
fn slow(world: &World) {
    world.edit("data/recipes/kernel.toml", "run = [\"make\"]", "run = [\"make\", \"DELAY=2\"]");
}

fn begin(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn ended(world: &World, child: Child) -> Ran {
    world.ended(child.wait_with_output().unwrap())
}

/// The table without its times, lines in order.
fn table(ran: &Ran) -> Vec<String> {
    let lines =
        ran.err.lines().skip_while(|line| !line.trim_start().starts_with("lib")).take_while(|line| !line.is_empty());
    let is_time = |word: &&str| word.ends_with('s') && word.starts_with(|c: char| c.is_ascii_digit());
    let mut lines: Vec<String> =
        lines.map(|line| line.split_whitespace().filter(|word| !is_time(word)).collect::<Vec<_>>().join(" ")).collect();
    lines.sort();
    lines
}

#[test]
fn the_table_is_that_of_a_local_run_and_a_failure_stops_only_what_needs_it() {
    let Some(cluster) = Cluster::start() else { return };
    let world = world();
    world.edit(
        "data/recipes/kernel.toml",
        "run = [\"make\"]",
        "script = \"case {{ target.name }} in gamma) echo 'x.c:1:1: error: no'; exit 3;; *) make;; esac\"",
    );
    let local =
        world.run(&["build", "--group", "primary", "gamma", "--store", &world.path("local").display().to_string()]);
    assert_eq!(local.code, Some(1), "{}", local.err);
    let expected = world.counts();
    world.forget_counts();
    let ran = world.ran(cluster.submit(&world, &["--group", "primary", "gamma"]));
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert_eq!(table(&ran), table(&local), "{}\n{}", ran.err, local.err);
    assert!(table(&ran).iter().any(|line| line == "gamma - done FAILED"), "{:?}", table(&ran));
    assert!(ran.err.contains("x.c:1:1: error: no"), "{}", ran.err);
    assert_eq!(world.counts(), expected, "the same was built, and once");
    // Three sources and the host's library ride together; the others have a job each.
    assert_eq!(cluster.jobs().len(), 6, "{:?}", cluster.jobs());
    world.forget_counts();
    let again = world.ran(cluster.submit(&world, &["alpha"])).ok();
    assert!(again.err.contains("cached") && world.counts().is_empty(), "{}", again.err);
    assert_eq!(cluster.jobs().len(), 6);
}

#[test]
fn a_lost_node_and_a_preempted_job_run_again() {
    let Some(cluster) = Cluster::start() else { return };
    let world = world();
    slow(&world);
    let run = begin(cluster.submit(&world, &["alpha", "gamma"]));
    until("both kernels are built", || world.count("alpha/kernel build") > 0 && world.count("gamma/kernel build") > 0);
    assert!(script("slurm-down").arg(cluster.path()).arg("n1").status().unwrap().success());
    until("Slurm has seen that the node is lost", || {
        cluster.slurm(&["sinfo", "-h", "-n", "n1", "-o", "%T"]).contains("down")
    });
    let again = || {
        cluster.hurry();
        world.count("alpha/kernel configure") + world.count("gamma/kernel configure") == 3
    };
    until("the lost job runs on the other node", again);
    // A job that takes all of that node.
    cluster.slurm(&["sbatch", "-p", "urgent", "--exclusive", "-o", "/dev/null", "--wrap", "sleep 1"]);
    until("it takes the place of the job", || {
        cluster.slurm(&["squeue", "-h", "-p", "main", "-o", "%T"]).contains("PENDING")
    });
    until("the pre-empted job runs again", || {
        cluster.hurry();
        cluster.slurm(&["squeue", "-h", "-p", "main", "-o", "%T"]).trim() != "PENDING"
    });
    let ran = ended(&world, run).ok();
    assert_eq!(ran.err.matches("was pre-empted: Slurm runs it again").count(), 2, "{}", ran.err);
    assert_eq!(world.count("alpha/kernel install") + world.count("gamma/kernel install"), 2);
    assert!(table(&ran).contains(&"alpha - done done".to_owned()), "{}", ran.err);
}

#[test]
fn ctrl_c_cancels_and_what_a_killed_run_left_is_taken_up() {
    let Some(cluster) = Cluster::start() else { return };
    let world = world();
    slow(&world);
    let mut run = begin(cluster.submit(&world, &["alpha", "gamma"]));
    until("a kernel is built", || world.count("gamma/kernel build") > 0);
    run.kill().unwrap();
    run.wait().unwrap();
    let ran = world.ran(cluster.submit(&world, &["alpha", "gamma"])).ok();
    assert!(ran.err.contains("of an earlier run is taken up"), "{}", ran.err);
    assert_eq!(world.count("alpha/kernel install") + world.count("gamma/kernel install"), 2);
    assert_eq!(world.count("gamma/kernel configure"), 1);
    let store = world.path("other").display().to_string();
    let run = begin(cluster.submit(&world, &["alpha", "gamma", "--store", &store]));
    until("a kernel is built again", || world.count("gamma/kernel configure") > 1);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(run.id() as i32), nix::sys::signal::Signal::SIGINT).unwrap();
    let ran = ended(&world, run);
    assert_eq!(ran.code, Some(130), "{}", ran.err);
    assert_eq!(ran.err.matches("press Ctrl-C again").count(), 1, "{}", ran.err);
    assert!(cluster.jobs().iter().any(|job| job.starts_with("CANCELLED")), "{:?}", cluster.jobs());
    assert!(cluster.jobs().iter().all(|job| !job.starts_with("RUNNING") && !job.starts_with("PENDING")));
}

#[test]
fn a_node_with_another_compiler_is_left_out() {
    let Some(cluster) = Cluster::start() else { return };
    let world = world();
    // What crossmill asks is a compiler that says another version on one node.
    let cc = "#!/bin/sh\nif tr '\\0' '\\n' < /proc/$PPID/environ | grep -qx SLURMD_NODENAME=n1; then echo cc 13.0; else echo cc 12.0; fi\n";
    world.write("bin/cc", cc);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs_err::set_permissions(world.path("bin/cc"), mode).unwrap();
    let path = format!("PATH = \"{}:", world.path("bin").display());
    world.edit("data/targets.toml", "PATH = \"", &path);
    let ran = world.ran(cluster.submit(&world, &["alpha"])).ok();
    let line = ran.err.lines().find(|line| line.contains("trying another node")).unwrap_or_default();
    assert!(line.contains("node n1: this machine computes another key for `host/lib`"), "{}", ran.err);
    assert!(line.contains("changed from `cc 12.0` to `cc 13.0`"), "{}", ran.err);
    assert_eq!((world.count("host/lib install"), world.count("alpha/kernel install")), (1, 1));
    // No node has the compiler of this machine.
    world.write("bin/cc", "#!/bin/sh\nif tr '\\0' '\\n' < /proc/$PPID/environ | grep -q SLURMD_NODENAME; then echo cc 13.0; else echo cc 12.9; fi\n");
    let ran = world.ran(cluster.submit(&world, &["alpha"]));
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("changed from `cc 12.9` to `cc 13.0`"), "{}", ran.err);
}

#[test]
fn nodes_with_stores_of_their_own_share_a_cache() {
    let Some(cluster) = Cluster::start() else { return };
    let world = world();
    let key = crate::cache::key(&world, "key");
    let cache = world.path("cache").display().to_string();
    let places = ["--node-store", "nodes", "--cache-from", &cache, "--cache-to", &cache];
    let keys = ["--cache-key", &key.public, "--cache-sign-key", &key.secret];
    let ran = world.ran(cluster.submit(&world, &[&["alpha", "gamma"][..], &places, &keys].concat())).ok();
    assert_eq!((world.count("host/lib install"), world.count("alpha/kernel install")), (1, 1), "{}", ran.err);
    let own: Vec<_> = world.entries("stages");
    assert_eq!(own.len(), 2, "this store has the two kernels, and the nodes' store the rest: {own:?}");
    assert!(world.store().join("results/now-quick/gamma/kernel/share/kernel").exists(), "{}", ran.err);
}

/// When each job of the only run began, by its node's clock.
fn starts(world: &World) -> Vec<jiff::Timestamp> {
    let below =
        |dir: std::path::PathBuf| fs_err::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path());
    let jobs = world.entries("runs").into_iter().flat_map(|run| below(run.join("jobs")));
    let logs = jobs.flat_map(below).map(|start| start.join("events.jsonl")).filter(|log| log.exists());
    let text = logs.map(|path| fs_err::read_to_string(path).unwrap()).collect::<Vec<_>>().concat();
    text.split("\"started\":\"").skip(1).map(|rest| rest.split('"').next().unwrap().parse().unwrap()).collect()
}

/// libfaketime for programs with threads, of Debian's package `faketime`.
fn libfaketime() -> Option<std::path::PathBuf> {
    let dirs = fs_err::read_dir("/usr/lib").unwrap().filter_map(Result::ok);
    dirs.map(|dir| dir.path().join("faketime/libfaketimeMT.so.1")).find(|path| path.exists())
}

#[test]
fn a_node_whose_clock_is_three_hours_late_builds_the_same() {
    let Some(cluster) = Cluster::start() else { return };
    let Some(library) = libfaketime() else {
        assert!(std::env::var_os("CROSSMILL_TEST_ALL").is_none(), "the package faketime is not installed");
        return eprintln!("skipped: the package faketime is not installed");
    };
    let world = world();
    // A job of n1 has another clock than the disk: its own new files lie three hours in the future.
    let variables = format!("LD_PRELOAD={} FAKETIME=-3h NO_FAKE_STAT=1", library.display());
    let prolog = format!(
        "#!/bin/sh\nif [ \"$SLURMD_NODENAME\" = n1 ]; then for v in {variables}; do echo \"export $v\"; done; fi\n"
    );
    world.write("prolog", &prolog);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs_err::set_permissions(world.path("prolog"), mode).unwrap();
    let conf = fs_err::read_to_string(cluster.conf()).unwrap();
    fs_err::write(cluster.conf(), format!("{conf}TaskProlog={}\n", world.path("prolog").display())).unwrap();
    cluster.slurm(&["scontrol", "reconfigure"]);
    let local = world
        .run(&["build", "--group", "primary", "gamma", "--store", &world.path("local").display().to_string()])
        .ok();
    let expected = world.counts();
    world.forget_counts();
    let begun = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1);
    // Leases are what compares times between machines.
    let mut command = cluster.submit(&world, &["--group", "primary", "gamma"]);
    command.env("CROSSMILL_LEASES", "always");
    let ran = world.ran(command).ok();
    assert_eq!(table(&ran), table(&local), "{}\n{}", ran.err, local.err);
    assert_eq!(world.counts(), expected, "the same was built, and once");
    assert!(!ran.err.contains("179m") && !ran.err.contains("3h"), "{}", ran.err);
    let (late, right): (Vec<_>, Vec<_>) = starts(&world).into_iter().partition(|start| *start < begun);
    assert!(!late.is_empty() && !right.is_empty(), "both nodes had jobs: {late:?} {right:?}");
}

#[test]
fn a_controller_that_does_not_answer_is_reported() {
    let Some(cluster) = Cluster::start() else { return };
    let world = world();
    let conf = fs_err::read_to_string(cluster.conf()).unwrap();
    let port = conf.lines().find(|line| line.starts_with("SlurmctldPort=")).unwrap().to_owned();
    world.write("slurm.conf", &conf.replace(&port, "SlurmctldPort=9").replace("MessageTimeout=10", "MessageTimeout=2"));
    let mut command = cluster.submit(&world, &["alpha"]);
    command.env("SLURM_CONF", world.path("slurm.conf"));
    insta::assert_snapshot!(world.ran(command).message());
    let ran = world.ran(cluster.submit(&world, &["alpha", "--partition", "nowhere"]));
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    assert!(ran.err.contains("it has no partition `nowhere`"), "{}", ran.err);
}
