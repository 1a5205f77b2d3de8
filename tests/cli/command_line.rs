//! The command line itself: help, names, and streams that are closed or full.

use crate::world::World;
use std::process::Stdio;

#[test]
fn help_lists_the_commands_in_groups() {
    let ran = World::new().run(&["--help"]);
    insta::assert_snapshot!(ran.out);
}

#[test]
fn the_help_of_build_lists_its_options_by_purpose() {
    insta::assert_snapshot!(World::new().run(&["build", "-h"]).out);
}

#[test]
fn colours_are_used_when_they_are_asked_for() {
    let world = World::new();
    let coloured = world.run(&["build", "alpha", "--color", "always"]).ok().err;
    let plain = world.run(&["build", "alpha", "--color", "never"]).ok().err;
    assert!(coloured.contains("\x1b[") && !plain.contains("\x1b["), "{coloured}{plain}");
    assert_eq!(world.run(&["--color", "sometimes", "targets"]).code, Some(2));
}

#[test]
fn a_renamed_command_answers_with_its_new_name() {
    let ran = World::new().run(&["prove"]);
    insta::assert_snapshot!(ran.message(), @r"
    exit 2
    error: `crossmill prove` was renamed
    hint: use `crossmill record`
    ");
}

#[test]
fn no_jobs_are_refused_before_anything_starts() {
    let world = World::new();
    let ran = world.run(&["build", "alpha", "-j", "0"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(world.entries("runs").is_empty());
}

#[test]
fn an_alias_and_a_triple_find_their_target() {
    let world = World::new();
    world.edit("data/targets.toml", "arch = \"gamma\"", "arch = \"gamma\"\naliases = [\"third\"]");
    for word in ["gamma", "third", "gamma-tiny"] {
        let ran = world.run(&["plan", word]).ok();
        assert!(ran.out.contains("gamma/kernel"), "{word}: {}", ran.out);
    }
    // A triple with the C library that a distribution has, by the name before the first dash.
    let ran = world.run(&["plan", "third-unknown-tiny-gnu"]).ok();
    assert!(ran.out.contains("gamma/kernel"), "{}", ran.out);
}

#[test]
fn an_alias_belongs_to_one_target() {
    let world = World::new();
    world.edit("data/targets.toml", "arch = \"gamma\"", "arch = \"gamma\"\naliases = [\"beta\"]");
    insta::assert_snapshot!(world.run(&["plan", "gamma"]).message());
}

#[test]
fn a_name_close_to_an_alias_is_answered_with_its_target() {
    let world = World::new();
    world.edit("data/targets.toml", "arch = \"gamma\"", "arch = \"gamma\"\naliases = [\"threefold\"]");
    insta::assert_snapshot!(world.run(&["plan", "threefolt"]).message(), @r"
    exit 2
    error: unknown target `threefolt`
    hint: did you mean `threefold`, another name of `gamma`?
    ");
}

#[test]
fn a_full_stderr_changes_no_exit_code() {
    let world = World::new();
    let full = || Stdio::from(fs_err::OpenOptions::new().write(true).open("/dev/full").unwrap().into_parts().0);
    let status = world.command(&["targets", "nonsense"]).stderr(full()).status().unwrap();
    assert_eq!(status.code(), Some(2));
    let status = world.command(&["build", "alpha"]).stderr(full()).stdout(full()).status().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_full_stdout_is_an_error_in_words() {
    let world = World::new();
    let full = fs_err::OpenOptions::new().write(true).open("/dev/full").unwrap().into_parts().0;
    let output = world.command(&["targets"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("cannot write to stdout: No space left on device"), "{text}");
}

#[test]
fn a_reader_of_messages_that_went_away_is_no_error() {
    let world = World::new();
    let mut child = world.command(&["build", "alpha"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn completions_name_the_commands() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish"] {
        let ran = world.run(&["completions", shell]).ok();
        assert!(ran.out.contains("inline-btf") && ran.out.contains("doctor"), "{shell}");
    }
}

#[test]
fn another_directory_is_entered_first() {
    let world = World::new();
    let ran = world.run(&["-C", "/nonexistent", "targets"]);
    insta::assert_snapshot!(ran.message(), @r"
    exit 2
    error: cannot change to /nonexistent: No such file or directory (os error 2)
    ");
    world.run(&["-C", "/", "targets"]).ok();
}

#[test]
fn runs_lists_what_ran_and_how_it_ended() {
    let world = World::new();
    assert_eq!(world.run(&["runs"]).ok().out, "no runs on this store");
    world.run(&["build", "alpha"]).ok();
    let list: serde_json::Value = serde_json::from_str(&world.run(&["runs", "--json"]).ok().out).unwrap();
    assert_eq!(list["schema"], 1);
    let run = &list["runs"][0];
    assert_eq!((&run["state"], &run["exit_code"]), (&"done".into(), &0.into()));
    assert_eq!(run["stages"], run["stages_finished"]);
    let text = world.run(&["runs"]).ok().out;
    assert!(text.contains("  done ") && text.contains(" 0 failed  "), "{text}");
    // A log that ends in the middle of a line is a run that was killed.
    let log = world.entries("runs")[0].join("events.jsonl");
    let whole = fs_err::read_to_string(&log).unwrap();
    fs_err::write(&log, &whole[..whole.len() / 2]).unwrap();
    assert!(world.run(&["runs"]).ok().out.contains("  unfinished "));
}
