//! Jobs of CI services whose variables are missing, empty or name what cannot be written.

use crate::world::{Ran, World};

const BUILT: [&str; 2] = ["build", "alpha"];
const SUMMARY: [&str; 2] = ["report", "--ci-summary"];
const OUTPUT: [&str; 5] = ["ci", "github", "--all", "--output", "matrix"];

fn with(world: &World, args: &[&str], variables: &[(&str, &str)]) -> Ran {
    let mut command = world.command(args);
    command.envs(variables.iter().copied());
    world.ran(command)
}

#[test]
fn what_github_names_is_appended_to() {
    let world = World::new();
    world.run(&BUILT).ok();
    let (summary, output) = (world.path("summary"), world.path("output"));
    fs_err::write(&summary, "# mine\n").unwrap();
    let variables = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap()),
        ("GITHUB_OUTPUT", output.to_str().unwrap()),
    ];
    assert_eq!(with(&world, &SUMMARY, &variables).ok().out, "");
    let text = fs_err::read_to_string(&summary).unwrap();
    assert!(text.starts_with("# mine\n## crossmill run ") && text.contains("| **alpha** |"), "{text}");
    let ran = with(&world, &OUTPUT, &variables).ok();
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
    let text = fs_err::read_to_string(&output).unwrap();
    let matrix = text.strip_prefix("matrix=").unwrap();
    let matrix: serde_json::Value = serde_json::from_str(matrix.strip_suffix('\n').unwrap()).unwrap();
    let jobs = matrix["include"].as_array().unwrap();
    assert!(jobs.len() == 2 && jobs.iter().any(|job| job["targets"] == "alpha beta"), "{text}");
    // GitHub shows none of a summary that is too large.
    fs_err::write(&summary, vec![b'x'; 1 << 20]).unwrap();
    let ran = with(&world, &SUMMARY, &variables).ok();
    assert!(ran.err.starts_with("warning: the summary of this step has 10"), "{}", ran.err);
}

#[test]
fn a_variable_that_is_missing_or_empty_is_named() {
    let world = World::new();
    world.run(&BUILT).ok();
    let messages = |args: &[&str], name: &str| {
        let job = [("GITHUB_ACTIONS", "true")];
        let empty = [("GITHUB_ACTIONS", "true"), (name, "")];
        [&[][..], &job, &empty, &[("GITLAB_CI", "true")], &[("BUILDKITE", "true")]].map(|variables| {
            let ran = with(&world, args, variables);
            assert_eq!(ran.out, "");
            ran.message()
        })
    };
    insta::assert_snapshot!(messages(&SUMMARY, "GITHUB_STEP_SUMMARY").join("\n"), @r"
    exit 2
    error: GITHUB_STEP_SUMMARY is not set
    hint: only a job of GitHub Actions has it (GITHUB_ACTIONS is not `true`): write it to a file (`--format html -o report.html`) and keep that as an artifact
    exit 2
    error: GITHUB_STEP_SUMMARY is not set
    hint: a step of GitHub Actions has GITHUB_STEP_SUMMARY; `sudo`, `env -i` and a container must pass it on, with the file
    exit 2
    error: GITHUB_STEP_SUMMARY is empty
    hint: a step of GitHub Actions has GITHUB_STEP_SUMMARY; `sudo`, `env -i` and a container must pass it on, with the file
    exit 2
    error: GITHUB_STEP_SUMMARY is not set
    hint: this is a job of GitLab CI: write it to a file (`--format html -o report.html`) and keep that as an artifact
    exit 2
    error: GITHUB_STEP_SUMMARY is not set
    hint: this is a job of Buildkite: `crossmill report --format markdown | buildkite-agent annotate --context crossmill` shows it there
    ");
    insta::assert_snapshot!(messages(&OUTPUT, "GITHUB_OUTPUT").join("\n"), @r"
    exit 2
    error: GITHUB_OUTPUT is not set
    hint: only a job of GitHub Actions has it (GITHUB_ACTIONS is not `true`): leave `--output` out: the jobs are printed to stdout
    exit 2
    error: GITHUB_OUTPUT is not set
    hint: a step of GitHub Actions has GITHUB_OUTPUT; `sudo`, `env -i` and a container must pass it on, with the file
    exit 2
    error: GITHUB_OUTPUT is empty
    hint: a step of GitHub Actions has GITHUB_OUTPUT; `sudo`, `env -i` and a container must pass it on, with the file
    exit 2
    error: GITHUB_OUTPUT is not set
    hint: this is a job of GitLab CI: leave `--output` out: the jobs are printed to stdout
    exit 2
    error: GITHUB_OUTPUT is not set
    hint: this is a job of Buildkite: leave `--output` out: the jobs are printed to stdout
    ");
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let world = World::new();
    world.run(&BUILT).ok();
    fs_err::create_dir(world.path("dir")).unwrap();
    let paths = [world.path("dir"), world.path("missing/summary"), "/dev/full".into()];
    for (args, name) in [(&SUMMARY[..], "GITHUB_STEP_SUMMARY"), (&OUTPUT, "GITHUB_OUTPUT")] {
        for path in &paths {
            let ran = with(&world, args, &[("GITHUB_ACTIONS", "true"), (name, path.to_str().unwrap())]);
            assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{}", ran.err);
            let file = path.file_name().unwrap().to_str().unwrap();
            let begin = format!("error: cannot write the file that {name} names: ");
            assert!(ran.err.starts_with(&begin) && ran.err.contains(file), "{}", ran.err);
        }
    }
}

#[test]
fn annotations_need_no_other_variable() {
    let world = World::new();
    world.edit("data/recipes/tool.toml", "run = [\"make\"]", "script = \"echo x.c:1:1: error: no luck; exit 1\"");
    let variables = [
        &[("GITHUB_ACTIONS", "true")][..],
        &[("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", ""), ("GITHUB_OUTPUT", "/nonexistent/output")],
    ];
    for variables in variables {
        let ran = with(&world, &["build", "gamma"], variables);
        assert_eq!(ran.code, Some(1), "{}", ran.err);
        assert!(
            ran.err.contains("\n::error title=gamma/tool failed (compile error)::build: exit code 1"),
            "{}",
            ran.err
        );
        assert!(ran.err.contains("\n::group::gamma/tool") && ran.err.contains("\n::endgroup::\n"), "{}", ran.err);
    }
}

#[test]
fn an_output_is_of_github_and_has_a_name() {
    let world = World::new();
    for wrong in ["", "a b", "a=b", "1a", "a\nb=c"] {
        let ran = world.run(&["ci", "github", "--all", "--output", wrong]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{wrong}: {}", ran.err);
        assert!(ran.err.contains("the name of an output has letters, digits"), "{wrong}: {}", ran.err);
    }
    let ran = world.run(&["ci", "gitlab", "--all", "--output", "matrix"]);
    insta::assert_snapshot!(ran.message(), @r"
    exit 2
    error: `--output` is for `crossmill ci github`: other services have no outputs of a step
    ");
    assert_eq!(world.run(&["report", "--ci-summary", "--format", "html"]).code, Some(2));
}
