//! Checks: what they say, what was expected, and what the run makes of it.

use crate::world::World;

// A check of alpha's kernel whose script is `script`.
fn world(script: &str) -> World {
    let world = World::new();
    let recipe = format!(
        "schema = 1\nname = \"proof\"\nsummary = \"a test\"\nper = \"target\"\nkind = \"check\"\n\
         tools = [\"{{{{ target.facts.wants }}}}\"]\n[[needs]]\npackage = \"kernel\"\n[[step]]\nname = \"look\"\n\
         script = '''\necho proof >> {count}\n{script}\n'''\n[access]\nwrite = [\"{count}\"]\n",
        count = world.path("count").display()
    );
    world.write("data/recipes/proof.toml", &recipe);
    world.edit("data/targets.toml", "packages = [\"kernel\"]", "packages = [\"kernel\", \"proof\"]");
    world.edit(
        "data/targets.toml",
        "[target.alpha]",
        "[fact.wants]\nsummary = \"a tool\"\ndefault = \"make\"\n[target.alpha]",
    );
    world
}

fn say(state: &str) -> String {
    format!(
        "{{ echo 'state {state}'; echo 'why because of it'; echo 'summary 12 things'; echo 'figure things 12'; \
         echo 'evidence seen.txt'; }} > '{{{{ dest }}}}/verdict'\necho 'last words' > '{{{{ dest }}}}/seen.txt'"
    )
}

fn json(world: &World, args: &[&str]) -> (i32, serde_json::Value) {
    let ran = world.run(&[args, &["--json"]].concat());
    let value: serde_json::Value =
        serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}\n{}", ran.out, ran.err));
    let stage = value["stages"].as_array().unwrap().iter().find(|stage| stage["name"] == "alpha/proof").unwrap();
    (ran.code.unwrap(), stage.clone())
}

#[test]
fn a_pass_is_kept_with_its_figures() {
    let world = world(&say("pass"));
    let (code, stage) = json(&world, &["build", "alpha"]);
    assert_eq!((code, &stage["state"]), (0, &"done".into()));
    let (code, stage) = json(&world, &["build", "alpha"]);
    assert_eq!((code, &stage["state"]), (0, &"cached".into()));
    let check = &stage["check"];
    assert_eq!((&check["verdict"], &check["expected"]), (&"pass".into(), &"pass".into()));
    assert_eq!(check["figures"]["things"], 12.0);
    assert!(check["evidence"][0].as_str().unwrap().ends_with("tree/seen.txt"), "{check}");
    assert_eq!(world.count("proof"), 1);
    let table = world.run(&["build", "alpha"]).err;
    assert!(table.lines().any(|line| line.starts_with("alpha ") && line.contains("12 things")), "{table}");
}

#[test]
fn a_failure_shows_its_evidence_and_is_looked_at_again() {
    let world = world(&say("fail"));
    let (code, stage) = json(&world, &["build", "alpha"]);
    assert_eq!((code, &stage["state"], &stage["why"]), (1, &"failed".into(), &"because of it".into()));
    assert_eq!(stage["failure"]["excerpt"][0], "last words");
    assert!(stage["check"]["evidence"][0].as_str().unwrap().ends_with("/dest/seen.txt"), "{stage}");
    let kept = world.entries("work").into_iter().find(|dir| dir.join("dest/seen.txt").is_file()).unwrap();
    assert_eq!(fs_err::read_to_string(kept.join("dest/seen.txt")).unwrap(), "last words\n");
    let ran = world.run(&["build", "alpha"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("failed: alpha/proof: because of it"), "{}", ran.err);
    assert_eq!(world.count("proof"), 2);
}

#[test]
fn a_failure_shows_its_first_findings_and_how_many_more_not_the_end_of_json() {
    let verdict = |more: &str| {
        format!(
            "printf 'state fail\\nwhy 1038 rows disagree\\n{more}evidence seen.json\\n' > '{{{{ dest }}}}/verdict'\n\
             echo '}}' > '{{{{ dest }}}}/seen.json'"
        )
    };
    let excerpt = |world: &World| {
        let (code, stage) = json(world, &["build", "alpha"]);
        assert_eq!(code, 1);
        assert!(stage["check"]["evidence"][0].as_str().unwrap().ends_with("seen.json"), "{stage}");
        stage["failure"]["excerpt"].clone()
    };
    let found = world(&verdict("finding force.cold +0x30: fp c-32, DWARF has none\\nfindings 1038\\n"));
    insta::assert_snapshot!(
        excerpt(&found),
        @r#"["force.cold +0x30: fp c-32, DWARF has none","… and 1,037 more"]"#
    );
    assert_eq!(excerpt(&world(&verdict(""))), serde_json::json!([]));
    let shown = found.run(&["build", "alpha"]).err;
    let lines: Vec<&str> =
        shown.lines().skip_while(|line| !line.contains("failed: alpha/proof: look")).take(3).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    [TIME] failed: alpha/proof: look failed: 1038 rows disagree
    [TIME]   | force.cold +0x30: fp c-32, DWARF has none
    [TIME]   | … and 1,037 more
    ");
}

#[test]
fn a_step_that_fails_fails_its_check_with_what_the_check_said_last() {
    let world = world(&format!("{}\nexit 3", say("pass")));
    let (code, stage) = json(&world, &["build", "alpha"]);
    assert_eq!((code, &stage["why"], &stage["check"]["verdict"]), (1, &"because of it".into(), &"fail".into()));
    assert_eq!(stage["failure"]["ended"], "exit code 3");
}

#[test]
fn an_account_that_cannot_be_understood_is_no_pass() {
    let world = world("echo 'stat fail' > '{{ dest }}/verdict'");
    let (code, stage) = json(&world, &["build", "alpha"]);
    assert_eq!((code, &stage["state"]), (1, &"failed".into()));
    assert!(stage["why"].as_str().unwrap().contains("unknown word `stat`"), "{stage}");
}

#[test]
fn a_verdict_that_leads_nowhere_is_no_pass() {
    let world = world("ln -s nowhere '{{ dest }}/verdict'");
    let (code, stage) = json(&world, &["build", "alpha"]);
    assert_eq!((code, &stage["state"]), (1, &"failed".into()));
    assert!(stage["why"].as_str().unwrap().contains("is not a regular file"), "{stage}");
}

#[test]
fn unsupported_is_fine_only_where_it_is_expected() {
    let world = world(&say("unsupported"));
    let (code, stage) = json(&world, &["build", "alpha"]);
    assert_eq!((code, &stage["state"]), (1, &"failed".into()));
    assert_eq!(stage["why"], "unsupported, although `pass` is expected: because of it");
    world.edit(
        "data/targets.toml",
        "[not-built.vax]",
        "[target.alpha.expect]\nproof = \"unsupported\"\n[not-built.vax]",
    );
    let (code, stage) = json(&world, &["build", "alpha"]);
    assert_eq!((code, &stage["state"], &stage["why"]), (0, &"unsupported".into(), &"because of it".into()));
    assert_eq!(world.count("proof"), 1, "an expectation changes no result");
    let table = world.run(&["build", "alpha"]).err;
    assert!(table.contains("unsupported: alpha/proof: because of it"), "{table}");
}

#[test]
fn unexpected_support_is_told_and_fails_nothing() {
    let world = world(&say("pass"));
    world.edit(
        "data/targets.toml",
        "[not-built.vax]",
        "[target.alpha.expect]\nproof = \"unsupported\"\n[not-built.vax]",
    );
    for _ in 0..2 {
        let ran = world.run(&["build", "alpha"]).ok();
        assert!(ran.err.contains("warning: alpha/proof: it passes, although `unsupported` is expected"), "{}", ran.err);
    }
}

fn known(world: &World, more: &str) {
    let text = format!("[target.alpha.known-failure.proof]\nwhy = \"PR42\"\n{more}\n[not-built.vax]");
    world.edit("data/targets.toml", "[not-built.vax]", &text);
}

#[test]
fn a_known_failure_fails_no_run_until_it_expires() {
    let now = world(&say("fail"));
    known(&now, "until = \"9999-01-01\"");
    let (code, stage) = json(&now, &["build", "alpha"]);
    assert_eq!((code, &stage["state"], &stage["why"]), (0, &"known-failure".into(), &"PR42 (because of it)".into()));
    let later = world(&say("fail"));
    known(&later, "until = \"2020-01-01\"");
    let (code, stage) = json(&later, &["build", "alpha"]);
    assert_eq!((code, &stage["state"]), (1, &"failed".into()));
    assert_eq!(stage["why"], "because of it (known failure: PR42; it was known until 2020-01-01)");
    let other = world(&say("fail"));
    known(&other, "versions = { tool = \"<1\" }");
    let (code, stage) = json(&other, &["build", "alpha"]);
    assert_eq!(code, 1);
    assert_eq!(stage["why"], "because of it (known failure: PR42; it was known for other versions than tool 1.0)");
}

#[test]
fn a_known_failure_that_passes_fails_the_run() {
    let world = world(&say("pass"));
    known(&world, "until = \"9999-01-01\"");
    for _ in 0..2 {
        let (code, stage) = json(&world, &["build", "alpha"]);
        assert_eq!((code, &stage["state"]), (1, &"failed".into()));
        assert!(stage["why"].as_str().unwrap().contains("it passes, although a failure is known (PR42)"), "{stage}");
    }
}

#[test]
fn a_known_failure_without_an_end_is_refused() {
    let world = world(&say("pass"));
    known(&world, "");
    let ran = world.run(&["build", "alpha"]);
    insta::assert_snapshot!(ran.message(), @r#"
    exit 2
    error: known failure of `proof`: it has no end
       --> [DIR]/data/targets.toml:42:29
       |
    42 | [target.alpha.known-failure.proof]
       |                             ^^^^^
    hint: give it `until = "2027-01-01"`, or `versions = { gcc = "<17" }`
    "#);
}

#[test]
fn a_missing_tool_skips_the_check_and_no_build() {
    let world = world(&say("pass"));
    world.edit("data/targets.toml", "arch = \"alpha\"", "arch = \"alpha\"\n[target.alpha.facts]\nwants = \"emulator\"");
    world.edit(
        "data/recipes/host-tools.toml",
        "[manager.apt]",
        "[tool.emulator]\nprogram = \"no-such-emulator\"\nwhy = \"runs it\"\npackages = { apt = [\"emu\"], apk = [\"emu\"] }\n[manager.apt]",
    );
    let first = world.run(&["build", "alpha"]).ok().err;
    let start: Vec<&str> = first.lines().take(2).map(|line| line.split(" (").next().unwrap()).collect();
    insta::assert_snapshot!(start.join("\n"), @r"
    [TIME] warning: alpha/proof will be skipped: `emulator` is not installed
    [TIME] warning: `crossmill doctor --install --profile quick alpha` installs what they need
    ");
    let (code, stage) = json(&world, &["build", "alpha"]);
    assert_eq!((code, &stage["state"]), (0, &"skipped".into()));
    assert!(stage["why"].as_str().unwrap().starts_with("`emulator` is not installed"), "{stage}");
    assert_eq!((world.count("proof"), world.count("alpha/kernel configure")), (0, 1));
    let table = world.run(&["build", "alpha"]).err;
    assert!(table.contains("skipped: alpha/proof: `emulator` is not installed"), "{table}");
    // A name that no file describes is a mistake, not a reason to skip.
    world.edit("data/targets.toml", "wants = \"emulator\"", "wants = \"emulater\"");
    let ran = world.run(&["build", "alpha"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("alpha/proof: unknown host tool `emulater`"), "{}", ran.err);
}

// Runs `crossmill build alpha` on a terminal, with `answers` typed.
fn on_a_terminal(world: &World, answers: &str, ci: bool) -> (Option<i32>, String) {
    let inner = world.command(&[]);
    let mut command = std::process::Command::new("script");
    command.env_clear().current_dir(world.path(""));
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if ci {
        command.env("CI", "true");
    }
    let program = inner.get_program().to_str().unwrap();
    command.args(["-qec", &format!("{program} build alpha --color never"), "/dev/null"]);
    let mut child = command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut keyboard = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut keyboard, answers.as_bytes()).unwrap();
    // The keyboard stays: its end would be Ctrl-D.
    let output = child.wait_with_output().unwrap();
    drop(keyboard);
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_person_is_asked_before_checks_are_skipped_and_ci_is_not() {
    let world = world(&say("pass"));
    world.edit("data/targets.toml", "arch = \"alpha\"", "arch = \"alpha\"\n[target.alpha.facts]\nwants = \"emulator\"");
    let path = format!("PATH = \"{}:/usr/local/bin:/usr/bin:/bin\"", world.path("tools").display());
    world.edit("data/targets.toml", "PATH = \"/usr/local/bin:/usr/bin:/bin\"", &path);
    let manager = format!(
        "[tool.emulator]\nprogram = \"no-such-emulator\"\nwhy = \"runs it\"\npackages = {{ own = [\"emu\"] }}\n\
         [manager.own]\nprogram = \"sh\"\ninstall = [\"sh\", \"{}\"]\n[manager.apt]",
        world.path("install.sh").display()
    );
    world.edit("data/recipes/host-tools.toml", "[manager.apt]", &manager);
    let question = "install the tools (i), continue without these checks (c), or quit (q)?";
    let (code, text) = on_a_terminal(&world, "what\nq\n", false);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("alpha/proof will be skipped: `emulator` is not installed"), "{text}");
    assert_eq!(text.matches(question).count(), 2, "{text}");
    assert!(text.contains("error: cancelled: nothing was started") && world.counts().is_empty(), "{text}");
    // A manager that fails is reported, and the question is repeated.
    world.write("install.sh", "echo no network; exit 1\n");
    let (code, text) = on_a_terminal(&world, "i\nq\n", false);
    assert!(code == Some(3) && text.contains("no network") && text.matches(question).count() == 2, "{text}");
    let (code, text) = on_a_terminal(&world, "", true);
    assert!(code == Some(0) && !text.contains(question), "{text}");
    assert_eq!((world.count("proof"), world.count("alpha/kernel configure")), (0, 1));
    world.write(
        "install.sh",
        "mkdir -p tools && printf '#!/bin/sh\\n' > tools/no-such-emulator && chmod +x tools/no-such-emulator\n",
    );
    let (code, text) = on_a_terminal(&world, "i\n", false);
    assert!(code == Some(0) && text.matches(question).count() == 1, "{text}");
    assert_eq!(world.count("proof"), 1, "{text}");
}

#[test]
fn check_runs_checks_alone_on_what_is_built() {
    let world = world(&say("pass"));
    let ran = world.run(&["check", "alpha"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("alpha/proof: blocked by alpha/kernel, which is not built"), "{}", ran.err);
    assert!(world.counts().is_empty() && world.server.seen().is_empty());
    world.run(&["build", "alpha", "--package", "kernel"]).ok();
    world.forget_counts();
    world.run(&["check", "alpha"]).ok();
    assert_eq!(world.counts(), ["proof"]);
}

#[test]
fn a_check_can_compare_itself_with_the_last_one() {
    let world = world(
        "{ if [ -f '{{ previous }}/list' ]; then echo \"summary before: $(cat '{{ previous }}/list')\"; fi; } > '{{ dest }}/verdict'\n\
         echo {{ set.level }} > '{{ dest }}/list'",
    );
    world.run(&["build", "alpha"]).ok();
    let (_, stage) = json(&world, &["build", "alpha", "--set", "level=two"]);
    assert_eq!(stage["check"]["summary"], "before: one");
}

#[test]
fn a_check_made_by_this_program_finds_it() {
    let world = world("'{{ crossmill }}' --version > '{{ dest }}/version'");
    world.run(&["build", "alpha"]).ok();
    let text = fs_err::read_to_string(world.entry("alpha/proof").join("tree/version")).unwrap();
    assert_eq!(text.trim(), format!("crossmill {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn unknown_words_of_expectations_and_facts_are_refused() {
    let world = world(&say("pass"));
    let wrong = "[target.alpha.expect]\nproof = \"passes\"\n[target.alpha.facts]\nwant = \"x\"\n[not-built.vax]";
    world.edit("data/targets.toml", "[not-built.vax]", wrong);
    let ran = world.run(&["build", "alpha"]);
    insta::assert_snapshot!(ran.message(), @r#"
    exit 2
    error: unknown expectation `passes`
       --> [DIR]/data/targets.toml:43:9
       |
    43 | proof = "passes"
       |         ^^^^^^^^
    hint: did you mean `pass`?
    hint: valid expectations are `pass`, `unsupported`
    hint: a failure is declared by `[target.NAME.known-failure.CHECK]`

    error: unknown fact `want`
       --> [DIR]/data/targets.toml:45:1
       |
    45 | want = "x"
       | ^^^^
    hint: did you mean `wants`?
    hint: valid facts are `wants`
    "#);
}

#[test]
fn a_recipe_that_does_not_apply_to_a_target_is_no_stage_of_it() {
    let world = world(&say("pass"));
    world.edit("data/recipes/proof.toml", "kind = \"check\"", "kind = \"check\"\nwhen = \"target.name == 'alpha'\"");
    let ran = world.run(&["build", "alpha", "gamma"]).ok();
    assert!(!ran.err.contains("gamma/proof"), "{}", ran.err);
    assert_eq!((world.count("proof"), world.count("gamma/kernel configure")), (1, 1));
    // Checks that need it must not apply either.
    world.edit("data/recipes/kernel.toml", "per = \"target\"", "per = \"target\"\nwhen = \"target.name == 'gamma'\"");
    let ran = world.run(&["build", "alpha"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("alpha: `kernel` does not exist, which `proof` needs"), "{}", ran.err);
}

#[test]
fn a_check_can_say_with_which_versions_it_is_unsupported() {
    let world = world(&say("unsupported"));
    let old = "[[unsupported]]\nwhen = \"versions.tool is version('<2')\"\nwhy = \"it came with 2\"\n[[needs]]";
    world.edit("data/recipes/proof.toml", "[[needs]]", old);
    let (code, stage) = json(&world, &["build", "alpha"]);
    assert_eq!((code, &stage["state"], &stage["check"]["expected"]), (0, &"unsupported".into(), &"unsupported".into()));
}

#[test]
fn a_script_changes_a_result_file_through_a_verb() {
    let world = World::new();
    world.write("first", "state pass\nsummary 3 sites\nfigure share 0.5\n");
    world.write("shown.txt", "x");
    world
        .run(&[
            "recipe",
            "result",
            "second",
            "--from",
            "first",
            "--figure",
            "sites=3",
            "--evidence",
            "shown.txt",
            "--evidence",
            "none.txt",
        ])
        .ok();
    let second = fs_err::read_to_string(world.path("second")).unwrap();
    assert_eq!(second, "state pass\nsummary 3 sites\nfigure share 0.5\nfigure sites 3\nevidence shown.txt\n");
    // A share that fell by more than a point is a failure; the text cannot start a line of its own.
    world.write("now", "state pass\nfigure share 0.48\n");
    world
        .run(&[
            "recipe",
            "result",
            "now",
            "--previous",
            "first",
            "--compare",
            "share=1",
            "--what",
            "are known",
            "--of",
            "it\nstate pass",
        ])
        .ok();
    let now = fs_err::read_to_string(world.path("now")).unwrap();
    assert_eq!(
        now,
        "state fail\nwhy 48.0 % are known, 50.0 % in the last result of it state pass\nfigure share 0.48\n"
    );
    for (args, code) in [
        (&["recipe", "result", "now", "--state", "passed"][..], 2),
        (&["recipe", "result", "shown.txt", "--why", "x"], 2),
        (&["recipe", "result", "now", "--figure", "share=NaN"], 2),
    ] {
        let ran = world.run(args);
        assert_eq!(ran.code, Some(code), "{args:?}: {}", ran.err);
    }
}
