//! Passwords and tokens that crossmill is given are in nothing that it prints or keeps.

use crate::install::{release, world as releasing};
use crate::support::gpg::Key;
use crate::support::http::Answer;
use crate::world::{Ran, World};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;

const PASSWORD: &str = "hunter2-hunter2";
const TOKEN: &str = "tok-9f3b1c7d5e";
// "deploy:hunter2-hunter2" in base64, as in a header.
const BASIC: &str = "ZGVwbG95Omh1bnRlcjItaHVudGVyMg==";

/// Fails where a secret is in the name or the content of a file below `dir`.
#[track_caller]
fn assert_clean(dir: &Path) -> usize {
    let mut files = 0;
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs_err::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let bytes = match fs_err::symlink_metadata(&path).unwrap().file_type() {
                kind if kind.is_dir() => {
                    dirs.push(path.clone());
                    Vec::new()
                }
                kind if kind.is_file() => fs_err::read(&path).unwrap(),
                kind if kind.is_symlink() => fs_err::read_link(&path).unwrap().as_os_str().as_bytes().to_vec(),
                _ => continue,
            };
            files += 1;
            for text in [path.as_os_str().as_bytes(), &bytes] {
                for secret in [PASSWORD, TOKEN, BASIC] {
                    let is_in = text.windows(secret.len()).any(|window| window == secret.as_bytes());
                    assert!(!is_in, "{secret} is in {}", path.display());
                }
            }
        }
    }
    files
}

/// Fails where a secret is in what was printed, except in a command that masks it.
#[track_caller]
fn assert_hidden(ran: &Ran) {
    let lines = ran.err.lines().chain(ran.out.lines());
    for line in lines.filter(|line| !line.starts_with("::add-mask::")) {
        for secret in [PASSWORD, TOKEN, BASIC] {
            assert!(!line.contains(secret), "{line}");
        }
    }
}

// A world whose sources need credentials.
fn guarded() -> World {
    let world = World::new();
    let with_user = world.server.base.replace("http://", &format!("http://deploy:{PASSWORD}@"));
    for recipe in ["lib", "tool", "kernel"] {
        let file = format!("data/recipes/{recipe}.toml");
        world.edit(&file, &world.server.base, &with_user);
        world.edit(&file, "tiny-1.0.tar.xz\"", &format!("tiny-1.0.tar.xz?a=b&access_token={TOKEN}\""));
    }
    world.server.file(&format!("/tiny-1.0.tar.xz?a=b&access_token={TOKEN}"), &crate::world::archive());
    world
}

// Everything that shows a run or the configuration.
fn look_everywhere(world: &World) {
    for form in ["html", "junit", "ktap", "markdown", "json", "kcidb", "mail", "trace"] {
        let ran = world.run(&["report", "--format", form]).ok();
        assert!(!ran.out.is_empty(), "{form}");
        assert_hidden(&ran);
    }
    let commands: [&[&str]; 7] = [
        &["plan", "alpha", "--json"],
        &["plan", "alpha", "-v"],
        &["runs"],
        &["runs", "--json"],
        &["targets", "show", "alpha", "--json"],
        &["store", "ls"],
        &["reproduce", "alpha/tool"],
    ];
    for args in commands {
        assert_hidden(&world.run(args));
    }
}

#[test]
fn credentials_in_the_urls_of_sources_are_used_and_never_shown() {
    let world = guarded();
    let ran = world.run(&["build", "alpha", "--json", "--verbose"]).ok();
    assert_hidden(&ran);
    assert!(ran.err.contains("http://***@") && ran.err.contains("?a=b&access_token=***"), "{}", ran.err);
    let authorized = world.server.authorized();
    assert!(authorized.iter().any(|(_, header)| header == &format!("Basic {BASIC}")), "{authorized:?}");
    look_everywhere(&world);
    assert!(assert_clean(&world.store()) > 20);
}

#[test]
fn credentials_are_not_in_the_messages_of_failed_downloads() {
    let answers: [fn() -> Answer; 3] =
        [|| Answer::Status(404, vec![]), || Answer::Corrupt, || Answer::Redirect("http://x.invalid/".into())];
    for answer in answers {
        let world = guarded();
        let path = format!("/tiny-1.0.tar.xz?a=b&access_token={TOKEN}");
        world.server.answers(&path, std::iter::repeat_with(answer).take(20));
        let ran = world.run(&["build", "alpha", "--package", "lib", "--json"]);
        assert_eq!(ran.code, Some(4), "{}", ran.err);
        assert!(ran.err.contains("***"), "{}", ran.err);
        assert_hidden(&ran);
        assert_hidden(&world.run(&["report", "--format", "json"]).ok());
        assert_clean(&world.store());
    }
    let world = guarded();
    let ran = world.run(&["build", "alpha", "--offline"]);
    assert!(ran.code == Some(4) && ran.err.contains("***"), "{}", ran.err);
    assert_hidden(&ran);
}

#[test]
fn a_service_masks_what_crossmill_was_given() {
    let world = guarded();
    let build = |service: &str| {
        let mut command = world.command(&["build", "alpha"]);
        command.env(service, "true").env("AWS_SECRET_ACCESS_KEY", "wJalr%Utn").env("CROSSMILL_PUBLISH_TOKEN", "short");
        command.env("https_proxy", "http://proxy:proxy-pass-word@127.0.0.1:9");
        command
    };
    let ran = world.ran(build("GITHUB_ACTIONS")).ok();
    let mut masks: Vec<&str> = ran.err.lines().filter_map(|line| line.strip_prefix("::add-mask::")).collect();
    masks.sort_unstable();
    // `short` would blot out words of the log.
    assert_eq!(masks, [PASSWORD, "proxy-pass-word", TOKEN, "wJalr%25Utn"]);
    // A command in a file is read by nobody but people.
    let mut to_file = build("GITHUB_ACTIONS");
    let log = world.path("log");
    assert!(to_file.stderr(fs_err::File::create(&log).unwrap().into_parts().0).status().unwrap().success());
    let text = fs_err::read_to_string(&log).unwrap();
    assert!(text.starts_with("warning: stderr is a file: 2 secrets are not masked in the log of the job\n"), "{text}");
    assert!(!text.contains("add-mask") && !text.contains(PASSWORD) && !text.contains("wJalr"), "{text}");
    for service in ["GITLAB_CI", "BUILDKITE"] {
        let ran = world.ran(build(service)).ok();
        assert!(ran.err.starts_with("note: unsupported: a job's log of "), "{}", ran.err);
        assert!(!ran.err.contains("wJalr") && !ran.err.contains("proxy-pass-word"), "{}", ran.err);
        assert_hidden(&ran);
    }
    let mut alone = build("CI");
    alone.args(["--verbose"]);
    let ran = world.ran(alone).ok();
    assert!(!ran.err.contains("add-mask") && !ran.err.contains("unsupported"), "{}", ran.err);
}

#[test]
fn a_step_sees_none_of_them() {
    let world = World::new();
    world.edit(
        "data/recipes/tool.toml",
        "run = [\"make\"]",
        "script = \"env; tr '\\\\0' '\\\\n' < /proc/self/environ; tr '\\\\0' '\\\\n' < /proc/$PPID/environ; exit 1\"",
    );
    let mut build = world.command(&["build", "alpha", "--json"]);
    for name in ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "CROSSMILL_PUBLISH_TOKEN", "RSYNC_PASSWORD"] {
        build.env(name, PASSWORD);
    }
    build.env("HTTPS_PROXY", format!("http://u:{PASSWORD}@127.0.0.1:9"));
    let ran = world.ran(build);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert_hidden(&ran);
    let log = world.run(&["log", "alpha/tool"]);
    assert!(log.out.contains("PATH="), "the step printed its environment: {}", log.out);
    assert_clean(&world.store());
}

fn git(dir: &Path, command: &str) {
    let identity = "export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a GIT_COMMITTER_NAME=a \
                    GIT_COMMITTER_EMAIL=a;";
    let output = Command::new("sh").args(["-ec", &format!("{identity} {command}")]).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

// Serves a repository as files (the "dumb" protocol), behind a question for a user.
fn serve_repository(world: &World) {
    fs_err::create_dir_all(world.path("repo")).unwrap();
    fs_err::write(world.path("repo/tiny.tar.xz"), crate::world::archive()).unwrap();
    let commands = "tar -xJ --strip-components=1 -f tiny.tar.xz; rm tiny.tar.xz; git init -q -b main; git add .; git commit -qm 1; \
                    git clone -q --bare . ../bare.git; cd ../bare.git; git repack -qad; git update-server-info";
    git(&world.path("repo"), commands);
    let bare = world.path("bare.git");
    let mut dirs = vec![bare.clone()];
    while let Some(dir) = dirs.pop() {
        for entry in fs_err::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                let name = path.strip_prefix(&bare).unwrap().display().to_string();
                world.server.file(&format!("/bare.git/{name}"), &fs_err::read(&path).unwrap());
            }
        }
    }
}

#[test]
fn credentials_of_git_are_used_and_never_kept() {
    let world = World::new();
    serve_repository(&world);
    let refs = "/bare.git/info/refs?service=git-upload-pack";
    world.server.file(refs, &fs_err::read(world.path("bare.git/info/refs")).unwrap());
    let question = || Answer::Status(401, vec![("WWW-Authenticate", "Basic realm=\"r\"".to_owned())]);
    let url = world.server.base.replace("http://", &format!("http://deploy:{PASSWORD}@"));
    let source = format!("lib=git+{url}/bare.git#main");
    for round in 0..2 {
        world.server.answers(refs, [question()]);
        // The second time the mirror is fetched into.
        let ran = world.run(&["build", "alpha", "--package", "lib", "--source", &source, "--verbose"]).ok();
        assert_hidden(&ran);
        assert_eq!(world.server.authorized().last().unwrap().1, format!("Basic {BASIC}"), "round {round}");
        assert_clean(&world.store());
    }
    look_everywhere(&world);
    // A server that refuses them, and a repository that does not exist.
    world.server.answers(refs, [question(), question(), question(), question()]);
    for place in [source.clone(), source.replace("bare", "none")] {
        let ran = world.run(&["fetch", "alpha", "--package", "lib", "--source", &place]);
        assert_eq!(ran.code, Some(4), "{}", ran.err);
        assert!(ran.err.contains("git+http://***@127.0.0.1") || ran.err.contains("http://***@"), "{}", ran.err);
        assert_hidden(&ran);
    }
    assert_clean(&world.store());
    let ran = world.run(&["ci", "gitlab", "--all", "--source", &source]);
    insta::assert_snapshot!(ran.message(), @r"
    exit 2
    error: the command of the jobs would contain a password or a token
    hint: leave it out of the URL: git reads it from a credential helper
    ");
}

#[test]
fn publishing_and_installing_keep_the_users_password_to_themselves() {
    let world = releasing();
    release(&world, &Key::new(100));
    let dest = world.server.url("/pub").replace("http://", &format!("http://deploy:{PASSWORD}@"));
    let ran = world.run(&["publish", &dest, "--release", "r", "--json"]).ok();
    assert_hidden(&ran);
    assert!(world.server.authorized().iter().all(|(_, header)| header == &format!("Basic {BASIC}")));
    let install = world.run(&["install", &dest, "gamma", "--key", "key.asc", "--prefix", "p", "--json"]).ok();
    assert_hidden(&install);
    assert!(assert_clean(&world.path("p")) > 3);
    assert_hidden(&world.run(&["install", "--list", "--json", "--prefix", "p"]).ok());
    assert_hidden(&world.run(&["upgrade", "--prefix", "p"]));
    // A token instead, and answers that are errors.
    let mut publish = world.command(&["publish", &world.server.url("/other"), "--release", "r"]);
    publish.env("CROSSMILL_PUBLISH_TOKEN", TOKEN);
    world.server.answers("/other/index.json", [Answer::Status(403, vec![])]);
    let ran = world.ran(publish);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert_eq!(world.server.authorized().last().unwrap().1, format!("Bearer {TOKEN}"));
    assert_hidden(&ran);
    for place in [
        &dest.replace("http:", "gopher:"),
        &dest.replace("http:", "ssh:"),
        &format!("http://u:{PASSWORD}@example.org/"),
    ] {
        for args in [
            &["publish", place, "--release", "r"][..],
            &["install", place, "gamma", "--key", "key.asc", "--prefix", "q"],
        ] {
            let ran = world.run(args);
            assert!(ran.code != Some(0), "{}", ran.err);
            assert_hidden(&ran);
        }
    }
    assert_clean(&world.path("r"));
}

#[test]
fn an_argument_that_is_refused_is_quoted_without_its_password() {
    let world = World::new();
    let url = format!("https://u:{PASSWORD}@host/");
    for args in [&["build", "--jobs", &url][..], &["build", "--time-budget", &url], &["build", &url], &["report", &url]]
    {
        let ran = world.run(args);
        assert_eq!(ran.code, Some(2), "{}", ran.err);
        assert!(ran.err.starts_with("error: ") && ran.err.contains("https://***@host/"), "{}", ran.err);
        assert_hidden(&ran);
    }
}
