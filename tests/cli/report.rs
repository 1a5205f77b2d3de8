//! `crossmill report` and `crossmill diff` on real runs of the tiny matrix.

use crate::world::World;
use serde_json::Value;

const FORMS: [&str; 8] = ["html", "junit", "ktap", "markdown", "json", "kcidb", "mail", "trace"];

// gamma's tool fails.
fn broken(world: &World) {
    world.edit(
        "data/recipes/tool.toml",
        "run = [\"make\"]",
        "script = \"printf 'x.c:1:1: error: \\\\033[31mno\\\\377luck\\\\n'; test {{ toolchain.name }} != gamma && make\"",
    );
}

// The names of the runs, oldest first.
fn runs(world: &World) -> Vec<String> {
    let list: Value = serde_json::from_str(&world.run(&["runs", "--json"]).ok().out).unwrap();
    list["runs"].as_array().unwrap().iter().map(|run| run["run"].as_str().unwrap().to_owned()).collect()
}

fn follows(schema: &str, value: &Value) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/schema/{schema}.schema.json"));
    let schema: Value = serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert_eq!(errors, Vec::<String>::new(), "{value:#}");
    let mut other = value.clone();
    other["unknown_key"] = 1.into();
    assert!(validator.iter_errors(&other).next().is_some(), "the schema accepts every key");
}

#[test]
fn a_failed_run_has_every_form() {
    let world = World::new();
    broken(&world);
    assert_eq!(world.run(&["build", "alpha", "gamma"]).code, Some(1));
    for form in FORMS {
        let text = world.run(&["report", "--format", form]).ok().out;
        assert!(text.contains("gamma"), "{form}: {text}");
        assert!(!text.contains('\x1b'), "{form}");
    }
    // The tiny matrix has no checks: that is no success, and a failed build is none either.
    let ktap = world.run(&["report", "--format", "ktap"]).ok().out;
    assert!(ktap.contains("\n1..2\nok 1 alpha # SKIP the run has no check of it\n"), "{ktap}");
    assert!(ktap.ends_with("\nnot ok 2 gamma"), "{ktap}");
    let page = world.run(&["report", "-o", "report.html"]).ok();
    assert!(page.out.is_empty());
    let page = fs_err::read_to_string(world.path("report.html")).unwrap();
    assert!(page.contains("x.c:1:1: error:") && page.contains("compile error"));
    // From a file: hashes in what is printed are masked for the tests.
    world.run(&["report", "--format", "json", "-o", "report.json"]).ok();
    let json: Value = serde_json::from_str(&fs_err::read_to_string(world.path("report.json")).unwrap()).unwrap();
    follows("run", &json);
    let failed = json["stages"].as_array().unwrap().iter().find(|stage| stage["name"] == "gamma/tool").unwrap();
    assert_eq!(failed["failure"]["class"], "compile-error");
    let mail = world.run(&["report", "--format", "mail"]).ok().out;
    assert!(mail.starts_with("Subject: [crossmill] gamma/tool failed: build: exit code"), "{mail}");
    assert!(mail.contains("reproduce:\n        crossmill reproduce gamma/tool"), "{mail}");
    let kcidb: Value = serde_json::from_str(&world.run(&["report", "--format", "kcidb"]).ok().out).unwrap();
    let states: Vec<_> = kcidb["builds"].as_array().unwrap().iter().map(|build| build["status"].clone()).collect();
    assert_eq!(states, ["PASS", "MISS"], "alpha's kernel and gamma's, whose tool failed");
}

#[test]
fn two_runs_differ_in_what_broke_and_what_was_fixed() {
    let world = World::new();
    let recipe = fs_err::read_to_string(world.path("data/recipes/tool.toml")).unwrap();
    world.run(&["build", "alpha", "gamma"]).ok();
    broken(&world);
    assert_eq!(world.run(&["build", "alpha", "gamma"]).code, Some(1));
    world.write("data/recipes/tool.toml", &recipe.replace("--level=", "--again --level="));
    world.run(&["build", "alpha", "gamma"]).ok();
    let runs = runs(&world);
    let [good, bad, again] = runs.as_slice() else { panic!("{runs:?}") };
    let broke = world.run(&["diff", good, bad, "--fail-on", "regression"]);
    assert_eq!(broke.code, Some(1), "{}", broke.out);
    assert!(broke.out.contains("PASS->FAIL gamma/tool: passed -> failed: build: exit code 1"), "{}", broke.out);
    let fixed = world.run(&["diff", bad, again, "--fail-on", "regression,failure,warning,time:50%"]).ok();
    assert!(fixed.out.contains("FAIL->PASS gamma/tool"), "{}", fixed.out);
    let json = world.run(&["diff", good, bad, "--json", "--fail-on", "failure,warning"]);
    assert_eq!(json.code, Some(1));
    let json: Value = serde_json::from_str(&json.out).unwrap();
    follows("diff", &json);
    assert_eq!(json["failed_on"], serde_json::json!(["failure"]));
    // Output of `--level` is part of the results, so one more option makes them larger.
    let sizes: Value = serde_json::from_str(&world.run(&["diff", good, again, "--json"]).ok().out).unwrap();
    follows("diff", &sizes);
    let sizes = sizes["sizes"].as_array().unwrap();
    let larger = |size: &Value| size["bytes_after"].as_f64() > size["bytes_before"].as_f64();
    assert!(sizes.iter().any(|size| size["stage"] == "alpha/tool") && sizes.iter().all(larger), "{sizes:?}");
    assert_eq!(world.run(&["diff", good, again, "--fail-on", "size:0.1%"]).code, Some(1));
    assert_eq!(world.run(&["diff", good, again, "--fail-on", "size:99%"]).code, Some(0));
    let page = world.run(&["report", bad, "--since", good]).ok().out;
    assert!(page.contains("PASS-&gt;FAIL gamma/tool") || page.contains("PASS->FAIL gamma/tool"));
}

#[test]
fn the_code_of_two_kernels_is_compared_by_section_and_function() {
    let world = crate::compare::with_code();
    world.run(&["build", "alpha"]).ok();
    world.run(&["build", "alpha", "--set", "level=two"]).ok();
    let runs = runs(&world);
    let json: Value =
        serde_json::from_str(&world.run(&["diff", &runs[0], &runs[1], "--code", "--json"]).ok().out).unwrap();
    follows("diff", &json);
    let code = json["code"].as_array().unwrap();
    assert_eq!(
        (code.len(), &code[0]["stage"], &code[0]["file"]),
        (1, &"alpha/kernel".into(), &"vmlinux".into()),
        "{json:#}"
    );
    let functions = code[0]["functions"].as_array().unwrap();
    let named =
        |name: &str| functions.iter().find(|function| function["name"] == name).unwrap_or_else(|| panic!("{json:#}"));
    assert!(named("added")["bytes_before"].is_null() && named("added")["bytes_after"].as_u64() > Some(0));
    assert!(named("grows")["bytes_after"].as_u64() > named("grows")["bytes_before"].as_u64());
    assert!(!functions.iter().any(|function| function["name"] == "main"), "it did not change");
    assert!(code[0]["sections"].as_array().unwrap().iter().any(|section| section["name"] == ".text"));
    let text = world.run(&["diff", &runs[0], &runs[1], "--code"]).ok().out;
    assert!(
        text.contains("code of alpha/kernel vmlinux: ") && text.contains("add/remove: 1/0 grow/shrink: 1/0"),
        "{text}"
    );
    // Without the option, no kernel is read.
    let json: Value = serde_json::from_str(&world.run(&["diff", &runs[0], &runs[1], "--json"]).ok().out).unwrap();
    assert_eq!(json["code"], serde_json::json!([]));
}

#[test]
fn a_damaged_event_log_still_has_a_report() {
    let world = World::new();
    world.run(&["build", "alpha"]).ok();
    let run = runs(&world).remove(0);
    let log = world.store().join("runs").join(&run).join("events.jsonl");
    let whole = fs_err::read(&log).unwrap();
    let first = whole.iter().position(|byte| *byte == b'\n').unwrap();
    for cut in [0, 1, first / 2, first, first + 1, whole.len() / 2, whole.len() - 2] {
        fs_err::write(&log, &whole[..cut]).unwrap();
        for form in FORMS {
            world.run(&["report", &run, "--format", form]).ok();
        }
    }
    let page = world.run(&["report"]).ok().out;
    assert!(page.contains("the run has not ended, or was killed; 1 line of the event log could not be read"));
    // Zeros in the middle, as after a power failure, and an event of a later version.
    let mut torn = whole.clone();
    torn.splice(first + 1..first + 1, *b"\0\0\0\n{\"at_ms\":1,\"event\":{\"type\":\"later\"}}\n");
    fs_err::write(&log, torn).unwrap();
    let page = world.run(&["report"]).ok().out;
    assert!(page.contains("2 lines of the event log could not be read"));
    fs_err::write(world.path("old.jsonl"), &whole).unwrap();
    world.run(&["report", "./old.jsonl", "--format", "junit"]).ok();
}

#[test]
fn runs_that_cannot_be_found_or_compared_are_refused() {
    let world = World::new();
    assert_eq!(world.run(&["report"]).message(), "exit 2\nerror: there has been no run on this store");
    world.run(&["build", "alpha"]).ok();
    world.run(&["build", "gamma"]).ok();
    let runs = runs(&world);
    let refused = world.run(&["diff", &runs[0], &runs[1]]);
    let message = refused.message().replace(&runs[0], "[RUN A]").replace(&runs[1], "[RUN B]");
    let wanted = "exit 2\nerror: runs `[RUN A]` and `[RUN B]` have no target in common\n\
                  hint: `[RUN A]` has `alpha`\nhint: `[RUN B]` has `gamma`";
    assert_eq!(message, wanted);
    for wrong in ["../runs", "20200101-000000-1", "..", "/nonexistent/events.jsonl"] {
        let refused = world.run(&["report", wrong]);
        assert_eq!(refused.code, Some(2), "{wrong}: {}", refused.err);
    }
    for wrong in ["size:2", "everything", "regression:1%"] {
        assert_eq!(world.run(&["diff", &runs[0], &runs[1], "--fail-on", wrong]).code, Some(2), "{wrong}");
    }
}

#[test]
fn jobs_are_divided_so_that_a_toolchain_is_built_once() {
    let world = World::new();
    let jobs = |args: &[&str]| world.run(&[&["ci"], args].concat());
    let list = jobs(&["list", "--all", "--shards", "8"]).ok().out;
    // beta uses alpha's tool.
    let mut lines: Vec<&str> = list.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["alpha beta", "gamma"]);
    let github: Value = serde_json::from_str(&jobs(&["github", "--all", "--shards", "2"]).ok().out).unwrap();
    assert_eq!(github["include"][0]["targets"], "alpha beta", "the longest first");
    let gitlab: Value = serde_json::from_str(&jobs(&["gitlab", "gamma", "--set", "level=two"]).ok().out).unwrap();
    assert_eq!(gitlab["crossmill-1-of-1"]["script"][0], "crossmill build --set level=two gamma");
    let buildkite: Value = serde_json::from_str(&jobs(&["buildkite", "--all", "--shard", "2/2"]).ok().out).unwrap();
    assert_eq!(buildkite["steps"].as_array().unwrap().len(), 1);
    assert_eq!(buildkite["steps"][0]["command"], "crossmill build gamma");
    for wrong in [["--shard", "3/2"], ["--shard", "0/2"], ["--shard", "3/3"], ["--shards", "257"], ["--shards", "0"]] {
        let refused = jobs(&[&["github", "--all"], &wrong[..]].concat());
        assert_eq!((refused.code, refused.out.as_str()), (Some(2), ""), "{wrong:?}: {}", refused.err);
    }
    // A job whose targets take longer than the service lets it.
    world.edit("data/recipes/tool.toml", "time = \"5s\"", "time = \"99h\"");
    let long = jobs(&["github", "--all"]).ok();
    assert!(long.err.contains("the service ends it after 360"), "{}", long.err);
}

#[test]
fn a_ci_service_gets_annotations() {
    let world = World::new();
    broken(&world);
    let mut build = world.command(&["build", "gamma"]);
    build.env("GITHUB_ACTIONS", "true");
    let ran = world.ran(build);
    let annotation = "\n::error title=gamma/tool failed (compile error)::build: exit code 1: x.c:1:1: error";
    assert!(ran.err.contains(annotation), "{}", ran.err);
    assert!(ran.err.contains("\n::group::gamma/tool") && ran.err.contains("\n::endgroup::\n"), "{}", ran.err);
}
