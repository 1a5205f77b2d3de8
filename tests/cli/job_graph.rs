//! Workflows with a job for each toolchain and target, and what they build when their jobs are run in fresh clones with only
//! a cache between them: `ci/run-graph` does that.

use crate::cache::{Key, key};
use crate::services::Moto;
use crate::world::{Ran, World};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

const SHARED_CHECK: &str = r#"
schema = 1
name = "proof"
summary = "a check of the toolchain"
per = "toolchain"
kind = "check"
tools = ["cc"]
[[needs]]
package = "tool"
[[step]]
name = "prove"
script = "echo '{{ toolchain.name }}/proof prove' >> @COUNT@; echo state pass > {{ dest }}/verdict"
[access]
write = ["@COUNT@"]
"#;

/// The world's data as a git repository, with a check that two targets share and one that fails as expected.
fn repository(world: &World) {
    let count = world.path("count").display().to_string();
    world.write("data/recipes/proof.toml", &SHARED_CHECK.replace("@COUNT@", &count));
    world.edit("data/targets.toml", "packages = [\"kernel\"]", "packages = [\"kernel\", \"proof\"]");
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]).args(args);
        let output = command.current_dir(world.path("data")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "data"]);
}

fn graph(world: &World, service: &str, cache: &str, key: &Key, more: &[&str]) -> Ran {
    let args = ["ci", service, "--graph", "--cache-to", cache, "--cache-key", &key.public];
    world.run(&[&args, more].concat())
}

// Runs all jobs; `None` where python3 has no YAML.
fn jobs(world: &World, workflow: &str, key: &Key, more: &[&str], configure: impl Fn(&mut Command)) -> Option<Ran> {
    if !Command::new("python3").args(["-c", "import yaml"]).output().is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os("CROSSMILL_TEST_ALL").is_none(), "python3 has no yaml: ci/test installs it");
        eprintln!("skipped: python3 has no yaml");
        return None;
    }
    let mut command = Command::new("python3");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("ci/run-graph"));
    command.args([workflow, "--repository", "data", "--into", "jobs"]).current_dir(world.path("."));
    let secret = fs_err::read_to_string(world.path(&key.secret)).unwrap();
    let file = world.path(&key.secret).display().to_string();
    let secret = if workflow.starts_with("gitlab") { &file } else { secret.trim_end() };
    command.arg("--secret").arg(format!("CROSSMILL_CACHE_SIGN_KEY={secret}")).args(more);
    let bin = Path::new(env!("CARGO_BIN_EXE_crossmill")).parent().unwrap();
    command.env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()));
    configure(&mut command);
    let ran = world.ran(command);
    if ran.code != Some(0) {
        for name in fs_err::read_dir(world.path("jobs")).unwrap().flatten().filter(|it| it.path().is_file()) {
            eprintln!("{}:\n{}", name.path().display(), fs_err::read_to_string(name.path()).unwrap());
        }
    }
    Some(ran)
}

// The states of a run's stages, as the table shows them, without how the results came.
fn table(world: &World, store: &Path) -> BTreeMap<String, String> {
    let mut command = world.command(&["report", "--format", "json"]);
    let output = command.env("CROSSMILL_STORE", store).output().unwrap();
    let run: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut states = BTreeMap::new();
    for stage in run["stages"].as_array().unwrap() {
        if let (Some(name), "build" | "check") = (stage["name"].as_str(), stage["kind"].as_str().unwrap()) {
            let state = stage["state"].as_str().unwrap();
            let state = if matches!(state, "done" | "cached" | "pulled") { "there" } else { state };
            states.insert(name.to_owned(), format!("{state} {}", stage["check"]["state"]));
        }
    }
    states
}

// Every goal is there; of what only goals need, a run with a cache takes nothing.
fn same_table(world: &World, jobs: &BTreeMap<String, String>, local: &BTreeMap<String, String>) {
    assert!(jobs.len() >= 5 && jobs.iter().all(|(name, state)| local.get(name) == Some(state)), "{jobs:?}\n{local:?}");
    for goal in ["alpha/kernel", "beta/kernel", "gamma/kernel", "alpha/proof", "gamma/proof"] {
        assert!(jobs.contains_key(goal), "{goal}: {jobs:?}, {}", world.path(".").display());
    }
}

fn once(world: &World, stage: &str, step: &str) {
    assert_eq!(world.count(&format!("{stage} {step}")), 1, "{stage}: {:?}", world.counts());
}

#[test]
fn github_s_jobs_in_fresh_clones_end_with_the_table_of_a_local_run() {
    let world = World::new();
    let key = key(&world, "key");
    repository(&world);
    let cache = world.path("cache").display().to_string();
    graph(&world, "github", &cache, &key, &["--image", "builder", "-o", "github.yml"]).ok();
    let Some(ran) = jobs(&world, "github.yml", &key, &[], |_| {}) else { return };
    let ran = ran.ok();
    let names: Vec<&str> = ran.out.lines().map(|line| line.split(':').next().unwrap()).collect();
    let all = ["host", "toolchain-alpha", "toolchain-gamma", "target-alpha", "target-beta", "target-gamma", "table"];
    assert_eq!(names, all, "{}", ran.out);
    // No job builds what another one has built.
    for stage in ["host/lib", "alpha/tool", "gamma/tool", "alpha/kernel", "beta/kernel", "gamma/kernel"] {
        once(&world, stage, "configure");
        once(&world, stage, "install");
    }
    once(&world, "alpha/proof", "prove");
    once(&world, "gamma/proof", "prove");
    world.run(&["build", "--all"]).ok();
    let last = world.path("jobs/table/workspace/store");
    same_table(&world, &table(&world, &last), &table(&world, &world.store()));
    assert!(
        world.path("jobs/table/workspace/report.html").is_file() && world.path("jobs/table/temp/summary").is_file()
    );
}

#[test]
fn a_job_that_fails_stops_only_what_needs_it_and_is_in_the_table() {
    let world = World::new();
    let key = key(&world, "key");
    let cache = world.path("cache").display().to_string();
    world.edit(
        "data/targets.toml",
        "[not-built.vax]",
        "[target.delta]\ntier = \"primary\"\ntriple = \"delta-tiny\"\narch = \"delta\"\n[not-built.vax]",
    );
    world.edit("data/recipes/tool.toml", "run = [\"make\"]", "script = \"test {{ toolchain.name }} != gamma && make\"");
    repository(&world);
    graph(&world, "github", &cache, &key, &["--image", "builder", "-o", "github.yml"]).ok();
    let Some(ran) = jobs(&world, "github.yml", &key, &[], |_| {}) else { return };
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    let of = |name: &str| ran.out.lines().find(|line| line.starts_with(&format!("{name}: "))).unwrap();
    assert!(of("toolchain-gamma").contains("FAILED") && of("target-gamma").contains("skipped"), "{}", ran.out);
    assert!(of("target-delta").contains("done") && of("table").contains("FAILED"), "{}", ran.out);
    assert_eq!(world.run(&["build", "--all"]).code, Some(1));
    let (last, local) = (table(&world, &world.path("jobs/table/workspace/store")), table(&world, &world.store()));
    assert_eq!((last["gamma/tool"].as_str(), last["gamma/kernel"].as_str()), ("failed null", "blocked null"));
    same_table(&world, &last, &local);
}

#[test]
fn gitlab_s_jobs_share_a_bucket() {
    let Some(moto) = Moto::start() else { return };
    let world = World::new();
    let key = key(&world, "key");
    repository(&world);
    graph(&world, "gitlab", "s3://bucket/cache", &key, &["--image", "builder", "-o", "gitlab.yml"]).ok();
    let secrets = [
        "AWS_ACCESS_KEY_ID=key".to_owned(),
        "AWS_SECRET_ACCESS_KEY=hunter22".to_owned(),
        "AWS_REGION=us-east-1".to_owned(),
        format!("AWS_ENDPOINT_URL={}", moto.url("")),
    ];
    let secrets: Vec<&str> = secrets.iter().flat_map(|pair| ["--secret", pair]).collect();
    let Some(ran) = jobs(&world, "gitlab.yml", &key, &secrets, |_| {}) else { return };
    ran.ok();
    for stage in ["host/lib", "alpha/tool", "gamma/tool", "alpha/kernel", "beta/kernel", "gamma/kernel"] {
        once(&world, stage, "configure");
    }
    world.run(&["build", "--all"]).ok();
    same_table(&world, &table(&world, &world.path("jobs/table/workspace/store")), &table(&world, &world.store()));
}

#[test]
fn a_workflow_is_complete_and_names_no_secret() {
    let world = World::new();
    let key = key(&world, "key");
    let args = ["alpha", "gamma", "--package", "tool", "--set", "level=two", "--time-budget", "2h"];
    let text = graph(&world, "github", "s3://team/cache", &key, &args).ok().out;
    let line = fs_err::read_to_string(world.path(&key.public)).unwrap().lines().nth(1).unwrap().to_owned();
    insta::assert_snapshot!("github_graph", text.replace(&line, "[KEY]"));
    let more = [&args[..], &["--image", "registry.example.com/builder:1", "--no-table"]].concat();
    let text = graph(&world, "gitlab", "https://cache.example.com/", &key, &more).ok().out;
    insta::assert_snapshot!("gitlab_graph", text.replace(&line, "[KEY]"));
}

#[test]
fn a_graph_that_cannot_work_is_refused() {
    let world = World::new();
    let key = key(&world, "key");
    let public = ["--cache-key", &key.public];
    let refused = |args: &[&str]| {
        let ran = world.run(&[&["ci"], args].concat());
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{args:?}: {}", ran.err);
        ran.err
    };
    let with =
        |args: &[&'static str]| [args, &public[..]].concat().iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let keyed = |args: &[&'static str]| refused(&with(args).iter().map(String::as_str).collect::<Vec<_>>());
    let messages = [
        refused(&["github", "--graph"]),
        refused(&["github", "--graph", "--cache-to", "s3://team/cache"]),
        refused(&["github", "--graph", "--cache-to", "s3://team/cache", "--cache-key", "RWnothing"]),
        keyed(&["github", "--graph", "--cache-to", "cache"]),
        keyed(&["github", "--graph", "--cache-to", "gs://team/cache"]),
        keyed(&["github", "--graph", "--cache-to", "https://user:hunter22hunter22@host/cache"]),
        keyed(&["gitlab", "--graph", "--cache-to", "s3://team/cache"]),
        keyed(&["buildkite", "--graph", "--cache-to", "s3://team/cache"]),
        keyed(&["github", "nosuch", "--graph", "--cache-to", "s3://team/cache"]),
    ];
    insta::assert_snapshot!("graphs_that_cannot_work", messages.join("\n"));
    assert!(!messages.concat().contains("hunter22"));
    for args in [
        &["github", "--cache-to", "s3://team/cache"][..],
        &["github", "--graph", "--shards", "3"],
        &["github", "-o", "x"],
    ] {
        refused(args);
    }
}

#[test]
fn more_jobs_than_a_service_takes_are_refused() {
    let world = World::new();
    let key = key(&world, "key");
    let targets: String = (0..130)
        .map(|at| format!("[target.t{at}]\ntier = \"primary\"\ntriple = \"t{at}-tiny\"\narch = \"t\"\n"))
        .collect();
    world.edit("data/targets.toml", "[not-built.vax]", &format!("{targets}[not-built.vax]"));
    let ran = graph(&world, "github", "s3://team/cache", &key, &[]);
    insta::assert_snapshot!(ran.message(), @r"
    exit 2
    error: 267 jobs are more than the 256 that a service takes
    hint: name fewer targets, and write several workflows
    ");
}
