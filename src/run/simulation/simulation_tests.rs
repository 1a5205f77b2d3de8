use super::tasks::of_run;
use super::*;
use crate::run::log::event_log;
use proptest::prelude::*;
use std::path::Path;

fn step(name: &str, cpu: f64, width: Width) -> Step {
    Step { name: name.into(), cpu, width }
}

fn task(package: &str, needs: &[usize], steps: Vec<Step>) -> Task {
    let (name, package) = (format!("x/{package}"), package.to_owned());
    Task { name, package, needs: needs.to_vec(), steps, recorded: true }
}

fn on(cores: usize) -> Machine {
    Machine { cores, share: 1.0 }
}

const SERIAL: Width = Width::Serial(1.0);

#[test]
fn a_width_on_few_processors_says_how_many_more_would_help() {
    assert_eq!(Width::measured(0.0, 2.0), Width::Unknown);
    assert_eq!(Width::measured(0.5, 2.0), Width::Serial(0.5));
    for (cores, processors, tokens, busy) in
        [(2.0, 2.0, 64.0, 64.0), (1.5, 2.0, 2.0, 1.5), (1.5, 2.0, 64.0, 2.91), (3.0, 4.0, 8.0, 4.5)]
    {
        let found = Width::measured(cores, processors).busy(tokens);
        assert!((found - busy).abs() < 0.01, "{cores} of {processors}, {tokens}: {found}");
    }
    assert_eq!(Width::measured(9.0, 2.0).busy(4.0), 4.0);
}

#[test]
fn serial_steps_of_one_stage_overlap_with_parallel_ones_of_another() {
    let configure = || step("configure", 10.0, SERIAL);
    let build = || step("build", 30.0, Width::Unknown);
    // Alone: 10 s serial, then 30 s on two cores.
    let one = [task("a", &[], vec![configure(), build()])];
    assert_eq!(simulate(&one, on(2)).wall, 25.0);
    // Two: the machine is never idle, so 80 s of work take 40 s.
    let two = [task("a", &[], vec![configure(), build()]), task("b", &[], vec![configure(), build()])];
    let schedule = simulate(&two, on(2));
    assert_eq!((schedule.wall, schedule.cpu), (40.0, 80.0));
    assert_eq!(simulate(&two, Machine { cores: 2, share: 0.5 }).wall, 80.0);
    assert_eq!(longest_chain(&two, on(2)), 25.0);
}

#[test]
fn the_critical_path_and_what_shortens_it() {
    let tasks = [
        task("lib", &[], vec![step("build", 5.0, SERIAL)]),
        task("short", &[0], vec![step("build", 1.0, SERIAL)]),
        task("gcc", &[0], vec![step("configure", 20.0, SERIAL), step("build", 60.0, Width::Unknown)]),
        task("linux", &[2], vec![step("build", 10.0, SERIAL)]),
    ];
    let schedule = simulate(&tasks, on(4));
    assert_eq!(schedule.critical, [0, 2, 3]);
    assert!((schedule.wall - 50.0).abs() < 1.0, "{}", schedule.wall);
    let found = savings(&tasks, on(4), &schedule);
    assert_eq!((found[0].package.as_str(), found[0].step.as_str(), found[0].parallel), ("gcc", "configure", true));
    assert!((found[0].seconds - 15.0).abs() < 1.0, "{found:?}");
    // A stage off the critical path shortens nothing.
    assert!(found.iter().all(|saving| saving.package != "short"));
}

#[test]
fn nothing_to_do_takes_no_time() {
    let schedule = simulate(&[], on(64));
    assert_eq!((schedule.wall, schedule.critical.len()), (0.0, 0));
}

// Recorded runs of two jobs on two processors that other work used as well; the model gets each token's share.
#[test]
fn the_simulation_of_a_recorded_run_predicts_its_time() {
    for name in ["binutils", "x86_64", "many"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/simulation/{name}.jsonl"));
        let model = event_log::read_model(&path).unwrap();
        let (tasks, share) = of_run(&model);
        let took = model.totals.unwrap().wall;
        let schedule = simulate(&tasks, Machine { cores: model.run.jobs, share });
        let wrong = schedule.wall / took - 1.0;
        assert!(tasks.len() > 5 && took > 200.0, "{name}: {} stages, {took} s", tasks.len());
        let simulated = schedule.wall;
        assert!(wrong.abs() < 0.1, "{name}: share {share:.2}, took {took:.0} s, simulated {simulated:.0} s");
    }
}

proptest! {
    #[test]
    fn no_schedule_is_shorter_than_its_bounds(
        stages in prop::collection::vec((prop::collection::vec(any::<prop::sample::Index>(), 0..3), 0.1_f64..50.0, 0.0_f64..4.0), 1..25),
        cores in 1_usize..9,
    ) {
        let tasks: Vec<Task> = stages.iter().enumerate().map(|(at, (needs, cpu, width))| {
            let mut needs: Vec<usize> = if at == 0 { Vec::new() } else { needs.iter().map(|need| need.index(at)).collect() };
            needs.sort_unstable();
            needs.dedup();
            task("p", &needs, vec![step("build", *cpu, Width::measured(*width, 4.0))])
        }).collect();
        let schedule = simulate(&tasks, on(cores));
        let slack = 1e-6 * tasks.len() as f64;
        prop_assert!(schedule.wall + slack >= longest_chain(&tasks, on(cores)));
        prop_assert!(schedule.wall + slack >= schedule.cpu / cores as f64);
        for (at, task) in tasks.iter().enumerate() {
            prop_assert!(task.needs.iter().all(|need| schedule.ends[*need] <= schedule.begins[at] + slack));
        }
    }
}
