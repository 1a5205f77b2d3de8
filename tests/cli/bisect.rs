//! `crossmill bisect` on a repository with a history that is made here: commits that break a check, commits that do not
//! build, and what a person can ask wrongly.

use crate::git_sources::{git, unpacked};
use crate::support::schema::follows;
use crate::world::{World, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Commits of the history.
const COUNT: usize = 34;
/// The first commit that breaks the check.
pub const BREAKS: usize = 21;
/// The commits that do not build.
const UNBUILDABLE: [usize; 2] = [22, 23];

// A file of the source for each commit: a number, and what is wrong with it.
pub fn code(number: usize) -> String {
    let check = if number >= BREAKS { "fault 7\n" } else { "" };
    let build = if UNBUILDABLE.contains(&number) { "syntax error\n" } else { "" };
    format!("number {number}\n{check}{build}")
}

pub struct Bisected {
    pub world: World,
    pub repo: PathBuf,
    pub commits: Vec<String>,
}

impl Bisected {
    // `code` is the file `code` of each commit.
    pub fn new(code: impl Fn(usize) -> String) -> Self {
        let world = World::new();
        fs_err::write(world.path("tiny.tar.xz"), crate::world::archive()).unwrap();
        let repo = unpacked(&world);
        let mut commits = Vec::new();
        for number in 0..COUNT {
            fs_err::write(repo.join("code"), code(number)).unwrap();
            git(&repo, &["add", "."]);
            git(&repo, &["commit", "-qm", &format!("lib: change {number}")]);
            commits.push(git(&repo, &["rev-parse", "HEAD"]));
        }
        git(&repo, &["tag", "good", &commits[0]]);
        // The compiler's message has a directory and a line that differ from commit to commit.
        world.edit(
            "data/recipes/lib.toml",
            "run = [\"make\"]",
            "script = \"\"\"\ncd ../source\nif grep -q 'syntax error' code; then\n  echo \"$PWD/code.c:$(wc -l < code):1: error: syntax\"; exit 1\nfi\ncd -\nmake\n\"\"\"",
        );
        world.edit(
            "data/recipes/lib.toml",
            "run = [\"make\", \"install\", \"DESTDIR={{ dest }}\"]",
            "script = \"make install DESTDIR={{ dest }}; cat ../source/code > {{ dest }}/share/code\"",
        );
        let bisected = Self { world, repo, commits };
        bisected.check("grep -q fault \"$code\"", "fault in $code");
        bisected
    }

    // The check `proof` of the library alone: it fails where `test` is true.
    pub fn check(&self, test: &str, why: &str) {
        let recipe = format!(
            "schema = 1\nname = \"proof\"\nsummary = \"a test\"\nper = \"target\"\nkind = \"check\"\n[[needs]]\n\
             package = \"lib\"\n[[step]]\nname = \"look\"\nscript = '''\necho proof >> {count}\n\
             code={{{{ deps.lib }}}}/share/code\nif {test}; then\n  printf 'state fail\\nwhy 1 fault\\nfinding %s\\n\
             evidence code.txt\\n' \"{why}\" > {{{{ dest }}}}/verdict\nfi\ncp \"$code\" {{{{ dest }}}}/code.txt\n\
             [ -f {{{{ dest }}}}/verdict ] || echo 'evidence code.txt' > {{{{ dest }}}}/verdict\n'''\n\
             [access]\nwrite = [\"{count}\"]\n",
            count = self.world.path("count").display()
        );
        self.world.write("data/recipes/proof.toml", &recipe);
    }

    fn args<'a>(&'a self, range: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let repo = self.repo.to_str().unwrap();
        [&["bisect", range, "--target", "alpha", "--repository", repo, "--quiet"], more].concat()
    }

    // Numbers of the commits that were tested, by what was printed.
    fn tested(&self, err: &str) -> Vec<usize> {
        let number = |line: &str| line.split_once("lib: change ")?.1.trim().parse().ok();
        err.lines().filter(|line| line.contains(": testing ")).filter_map(number).collect()
    }
}

#[test]
fn the_first_bad_commit_is_found_although_the_command_was_killed() {
    let it = Bisected::new(code);
    let args = it.args("lib=good..main", &["--check", "proof"]);
    let mut command = it.world.command(&args);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let steps = || {
        let progress = it.world.entries("bisect").first().map(|dir| dir.join("progress.json"));
        let text = progress.and_then(|path| fs_err::read_to_string(path).ok()).unwrap_or_default();
        text.matches("\"verdict\"").count()
    };
    until("three commits are tested", || steps() >= 3);
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGKILL).unwrap();
    child.wait().unwrap();
    let kept = steps();
    let ran = it.world.run(&[&args[..], &["--format", "json"]].concat()).ok();
    assert!(ran.err.contains(&format!("carrying on after {kept} tested commits")), "{}", ran.err);
    let found: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    follows("bisect", &found);
    assert_eq!(found["first_bad"]["commit"], it.commits[BREAKS], "{found:#}");
    assert_eq!(found["good_before"]["commit"], it.commits[BREAKS - 1]);
    let steps = found["steps"].as_array().unwrap();
    let of = |verdict: &str| -> BTreeSet<usize> {
        let is = |step: &&serde_json::Value| step["verdict"] == verdict;
        let number = |step: &serde_json::Value| it.commits.iter().position(|id| step["commit"] == *id).unwrap();
        steps.iter().filter(is).map(number).collect()
    };
    assert!(of("good").iter().all(|number| *number < BREAKS) && of("bad").iter().all(|number| *number >= BREAKS));
    let skipped = of("skip");
    assert!(!skipped.is_empty() && skipped.iter().all(|number| UNBUILDABLE.contains(number)), "{skipped:?}");
    let why = steps.iter().find(|step| step["verdict"] == "skip").unwrap()["why"].as_str().unwrap();
    assert!(why.starts_with("host/lib does not build: ") && why.ends_with("error: syntax"), "{why}");
    // Nothing was tested twice, and nothing was built that the check does not need.
    assert_eq!(it.tested(&ran.err).len(), steps.len() - kept, "{}", ran.err);
    assert_eq!(it.world.count("alpha/tool configure"), 0);
    assert!(found["evidence_diff"].as_str().unwrap().contains("\n+fault 7\n"), "{found:#}");
    // A source tree of every commit would fill the disk.
    assert!(it.world.entries("sources").len() <= 1, "{:?}", it.world.entries("sources"));
    // Once found, the same command has nothing to test.
    let again = it.world.run(&args).ok();
    assert_eq!(it.tested(&again.err), Vec::<usize>::new());
    let first = format!("first bad commit: {}\nAuthor: a <a@example.org>\n", it.commits[BREAKS]);
    assert!(again.out.starts_with(&first), "{}", again.out);
    assert!(again.out.contains("\n    lib: change 21\n") && again.out.contains(" code | "), "{}", again.out);
}

#[test]
fn the_script_that_reproduces_it_passes_and_fails() {
    let it = Bisected::new(code);
    it.world.run(&it.args("lib=good..main", &["--check", "proof"])).ok();
    let script = it.world.entries("bisect")[0].join("reproduce.sh");
    let text = fs_err::read_to_string(&script).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("crossmill ")).collect();
    assert_eq!(lines.len(), 2, "{text}");
    for (line, code) in lines.iter().zip([0, 1]) {
        let mut shell = it.world.command(&[]);
        let program = shell.get_program().to_owned();
        shell = {
            let mut sh = Command::new("sh");
            sh.args(["-c", &line.replacen("crossmill", program.to_str().unwrap(), 1)]).env_clear();
            sh.envs(shell.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(it.world.path(""));
            sh
        };
        assert_eq!(it.world.ran(shell).code, Some(code), "{line}");
    }
}

#[test]
fn another_failure_and_a_build_failure_are_not_the_one_that_is_bisected() {
    // Before the check breaks as its end does, it breaks otherwise.
    let it = Bisected::new(|number| {
        let other = if (14..BREAKS).contains(&number) { "fault other\n" } else { "" };
        format!("number {number}\n{}{other}", if number >= BREAKS { "fault 7\n" } else { "" })
    });
    it.check("grep -q fault \"$code\"", "$(grep fault \"$code\")");
    let ran = it.world.run(&it.args("lib=good..main", &["--check", "proof"]));
    assert_eq!(ran.code, Some(7), "{}{}", ran.out, ran.err);
    let count = BREAKS - 14 + 1;
    let first = format!("skipped commits hide the first bad commit: it is one of these {count}, oldest first\n");
    assert!(ran.out.starts_with(&first), "{}", ran.out);
    assert!(ran.out.contains("(skipped: another failure: alpha/proof: fault other)"), "{}", ran.out);
    assert!(ran.out.contains(&format!("  {} lib: change {BREAKS} (bad: ", &it.commits[BREAKS][..12])), "{}", ran.out);
}

#[test]
fn a_failing_build_is_bisected_by_its_first_error() {
    let it = Bisected::new(|number| {
        let error = if number >= 9 { "syntax error\n".repeat(number) } else { String::new() };
        format!("number {number}\n{error}")
    });
    let ran = it.world.run(&it.args("lib=good..main", &["--package", "lib", "--format", "json"])).ok();
    let found: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(found["first_bad"]["commit"], it.commits[9], "{found:#}");
    assert_eq!(found["failures"][0]["class"], "compile-error");
    assert_eq!(found["tested"], serde_json::json!({ "kind": "build", "name": null }));
}

#[test]
fn a_script_judges_by_its_exit_code() {
    let it = Bisected::new(code);
    let script = it.world.path("test.sh");
    let text = "#!/bin/sh\ncode=$CROSSMILL_RESULTS/host/lib/share/code\ngrep -q 'number 19' $code && exit 125\n\
                ! grep -q fault $code || { echo \"$code: error: it has a fault\"; exit 3; }\n";
    it.world.write("test.sh", text);
    let args = it.args("lib=good..main", &["--script", "./test.sh"]);
    let refused = it.world.run(&args);
    assert_eq!(refused.code, Some(2), "{}", refused.err);
    assert!(refused.err.contains("test.sh` cannot be run: exit code 126: "), "{}", refused.err);
    fs_err::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let ran = it.world.run(&args).ok();
    assert!(ran.out.starts_with(&format!("first bad commit: {}\n", it.commits[BREAKS])), "{}", ran.out);
    assert!(
        ran.out.contains("failure: alpha/script: exit code 3: ") && ran.out.contains("it has a fault"),
        "{}",
        ran.out
    );
}

#[test]
fn a_check_that_is_flaky_is_skipped() {
    let it = Bisected::new(code);
    // From commit 12 to 20 it fails every second time.
    let flaky = "{ grep -q fault \"$code\" || { [ $(sed -n 's/number //p' \"$code\") -ge 12 ] && \
                 [ $(( $(wc -l < COUNT) % 2 )) = 0 ]; }; }";
    it.check(&flaky.replace("COUNT", &it.world.path("count").display().to_string()), "fault in $code");
    let ran = it.world.run(&it.args("lib=good..main", &["--check", "proof", "--repeat", "2"]));
    assert!(ran.err.contains("is skipped: the outcome varies: 1 of 2 runs failed"), "{}", ran.err);
    assert_eq!(ran.code, Some(7), "{}{}", ran.out, ran.err);
}

#[test]
fn a_commit_can_be_left_out_and_progress_discarded() {
    let it = Bisected::new(code);
    let skipped: Vec<&str> = [21, 22, 23].iter().flat_map(|number| ["--skip", &it.commits[*number]]).collect();
    let args = it.args("lib=good..main", &[&["--check", "proof"], &skipped[..]].concat());
    let ran = it.world.run(&args);
    assert_eq!(ran.code, Some(7), "{}", ran.err);
    assert!(ran.out.contains("(skipped: named with `--skip`)"), "{}", ran.out);
    let ran = it.world.run(&it.args("lib=good..main", &["--check", "proof", "--restart"])).ok();
    assert!(ran.out.starts_with(&format!("first bad commit: {}\n", it.commits[BREAKS])), "{}", ran.out);
}

#[test]
fn what_is_asked_wrongly_is_explained() {
    let it = Bisected::new(code);
    git(&it.repo, &["checkout", "-q", "--orphan", "other"]);
    git(&it.repo, &["commit", "-qm", "lib: nothing in common"]);
    git(&it.repo, &["checkout", "-q", "-b", "side", "good"]);
    git(&it.repo, &["commit", "-q", "--allow-empty", "-m", "lib: side"]);
    let early = format!("lib=good..{}", it.commits[5]);
    let late = format!("lib={}..main", it.commits[BREAKS + 4]);
    let unbuilt = format!("lib=good..{}", it.commits[UNBUILDABLE[0]]);
    let cases: [(&str, &[&str], i32, &str, &str); 16] = [
        ("lib", &[], 2, "`lib` lacks its `=`", "write PACKAGE=GOOD..BAD"),
        ("lib=good", &[], 2, "the range `good` has no bad end", "write PACKAGE=GOOD..BAD"),
        ("lib=good..", &[], 2, "the range `good..` has no bad end", "write PACKAGE=GOOD..BAD"),
        ("lib=..main", &[], 2, "the range `..main` has no good end", "write PACKAGE=GOOD..BAD"),
        ("lib=good...main", &[], 2, "the range `good...main` has three dots", "write PACKAGE=GOOD..BAD"),
        ("libb=good..main", &[], 2, "libb", "lib"),
        ("proof=good..main", &[], 2, "`proof` has no source of its own, so it has no history", ""),
        ("lib=good..v99", &[], 2, "has no revision `v99`", "write the range as GOOD..BAD"),
        ("lib=--all..main", &[], 2, "has no revision `--all`", "write the range as GOOD..BAD"),
        ("lib=good..good", &[], 2, "`good` and `good` are the same commit", ""),
        (
            "lib=main..good",
            &[],
            2,
            "`main` is not an ancestor of `good`",
            "the ends are in the wrong order: write good..main",
        ),
        ("lib=side..main", &[], 2, "`side` is not an ancestor of `main`", "the branches part at "),
        ("lib=other..main", &[], 2, "`other` is not an ancestor of `main`", "they have no common ancestor"),
        (
            &early,
            &["--check", "proof"],
            2,
            "has no failure: the check `proof` passes",
            "name a commit that fails as the bad end",
        ),
        (&late, &["--check", "proof"], 2, "fails: alpha/proof: fault in ", "name an older commit as the good end"),
        (&unbuilt, &["--check", "proof"], 2, "cannot be tested: host/lib does not build: ", "leave `--check` out"),
    ];
    for (range, more, code, message, hint) in cases {
        let ran = it.world.run(&it.args(range, more));
        assert_eq!(ran.code, Some(code), "{range}: {}", ran.err);
        let error = ran.error();
        assert!(error.contains(message) && error.contains(hint), "{range}: {error}");
        assert_eq!(ran.out, "", "{range}");
    }
    let refused = |args: &[&str]| it.world.run(&[&["bisect", "lib=good..main", "alpha", "-q"], args].concat());
    assert!(
        refused(&[]).error().starts_with("exit 2\nerror: the repository of `lib` is not known\nhint: name it with")
    );
    assert!(refused(&["--repository", "./none"]).error().starts_with("exit 2\nerror: there is no repository `./none`"));
    let nothing = refused(&["--repository", it.world.path("data").to_str().unwrap()]);
    assert!(
        nothing.error().starts_with("exit 4\nerror: the history of `[DIR]/data` cannot be read"),
        "{}",
        nothing.err
    );
    let repo = it.repo.to_str().unwrap();
    let unknown = refused(&["--repository", repo, "--check", "prof"]);
    assert!(
        unknown.error().contains("no check is called `prof`") && unknown.error().contains("`proof`"),
        "{}",
        unknown.err
    );
    let script = refused(&["--repository", repo, "--script", "./none.sh"]);
    assert!(script.error().starts_with("exit 2\nerror: there is no script `./none.sh`"), "{}", script.err);
}

#[test]
fn progress_that_is_damaged_or_in_use_is_not_used() {
    let it = Bisected::new(code);
    let args = it.args("lib=good..main", &["--check", "proof"]);
    it.world.run(&args).ok();
    let progress = it.world.entries("bisect")[0].join("progress.json");
    fs_err::write(&progress, "{").unwrap();
    let refused = it.world.run(&args);
    assert_eq!(refused.code, Some(5), "{}", refused.err);
    assert!(refused.error().contains("progress.json` cannot be used: ") && refused.error().contains("--restart"));
    it.world.run(&[&args[..], &["--restart"]].concat()).ok();
}
