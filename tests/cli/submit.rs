//! Mistakes of `crossmill submit` that are found before anything is submitted.

use crate::world::World;

fn message(world: &World, args: &[&str]) -> String {
    world.run(&[&["submit"], args].concat()).message()
}

#[test]
fn wrong_uses_are_refused_before_the_engine_is_asked() {
    let world = World::new();
    let all = [
        message(&world, &["alpha"]),
        message(&world, &["alpha", "--engine", "pbs"]),
        message(&world, &["--engine", "slurm"]),
        message(&world, &["--engine", "slurm", "alpha", "--time-budget", "1h"]),
        message(&world, &["--engine", "slurm", "alpha", "--node-store", "/scratch/x"]),
        message(&world, &["--engine", "slurm", "alpha", "--source", "tool=git+https://me:secret@example.org/x#main"]),
    ];
    insta::assert_snapshot!(all.join("\n----\n"));
    assert_eq!(world.counts().len(), 0);
}

#[test]
fn a_machine_without_the_commands_is_told_what_to_install() {
    let world = World::new();
    let mut command = world.command(&["submit", "--engine", "slurm", "alpha"]);
    command.env("PATH", world.path("home"));
    insta::assert_snapshot!(world.ran(command).message());
    assert_eq!(world.counts().len(), 0);
}

#[test]
fn a_job_without_files_says_which_one_is_missing() {
    let world = World::new();
    let missing = world.path("jobs/0");
    let ran = world.run(&["__job", missing.to_str().unwrap()]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("jobs/0/job.json"), "{}", ran.err);
    world.write("jobs/0/job.json", "{\"schema\":9}");
    let ran = world.run(&["__job", missing.to_str().unwrap()]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("cannot be understood"), "{}", ran.err);
}
