//! Data stays data: no package and no architecture is named in Rust
//! code, and every committed target plans with every profile and release set.

#![expect(clippy::disallowed_types, reason = "a test starts programs itself")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

// The names that recipes and targets define.
fn names() -> Vec<String> {
    let config = crossmill::config::Config::load(root(), &[], &[]).unwrap();
    let packages = config.recipes.keys().map(ToString::to_string);
    let targets = config.matrix.targets.keys().map(ToString::to_string);
    // Words of our own too: what several targets may share, what a stage of a plan will do, a kind of finding, a kind
    // of archive (which package that is, targets.toml says), a module of the kernel.
    let own = ["toolchain", "run", "warnings", "module-kit", "module"];
    packages.chain(targets).filter(|name| !own.contains(&name.as_str())).collect()
}

// A string literal that is exactly such a name would be code that knows it.
// Tests, comments and help texts may speak of them.
#[test]
fn rust_code_names_no_package_and_no_architecture() {
    let names = names();
    assert!(names.len() > 12);
    // Parsers of a compiler's output know compilers; samples of reports name some; kernel.org names hosts its own way.
    let readers = [
        "src/debuginfo/",
        "src/source/apt.rs",
        "src/run/build_log/",
        "src/run/log/sample.rs",
        "src/report/timeline",
        "src/publish/install/catalogue.rs",
    ];
    let mut wrong = Vec::new();
    for file in rust_files(&root().join("src")) {
        let relative = file.strip_prefix(root()).unwrap().display().to_string();
        if readers.iter().any(|reader| relative.starts_with(reader)) || relative.ends_with("_tests.rs") {
            continue;
        }
        let text = fs_err::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for name in names.iter().filter(|name| line.contains(&format!("\"{name}\""))) {
                wrong.push(format!("{relative} names `{name}`: {}", line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_target_plans_with_every_profile_and_release_set() {
    let store = tempfile::tempdir().unwrap();
    for profile in ["quick", "standard", "release"] {
        for set in ["latest", "lts"] {
            let output = Command::new(env!("CARGO_BIN_EXE_crossmill"))
                .args(["plan", "--all", "--profile", profile, "--release-set", set, "--json"])
                .env("CROSSMILL_STORE", store.path())
                .current_dir(root())
                .output()
                .unwrap();
            assert!(output.status.success(), "{profile} {set}: {}", String::from_utf8_lossy(&output.stderr));
            let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            let stages: Vec<&str> =
                plan["stages"].as_array().unwrap().iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
            assert!(stages.contains(&"i386/linux") && stages.contains(&"x86_64/gcc"), "{stages:?}");
            assert!(!stages.contains(&"i386/gcc"), "i386 uses the compiler of x86_64");
            assert_eq!(stages.iter().filter(|stage| **stage == "host/gmp").count(), 1);
        }
    }
}

fn keys(store: &Path, args: &[&str]) -> std::collections::BTreeMap<String, String> {
    let output = Command::new(env!("CARGO_BIN_EXE_crossmill"))
        .args(["plan", "--all", "--json"])
        .args(args)
        .env("CROSSMILL_STORE", store)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let stages = plan["stages"].as_array().unwrap().iter();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    stages.map(|stage| (text(&stage["stage"]), text(&stage["key"]))).collect()
}

// docs/module-kit.md promises it: a kit of a defconfig kernel costs no second kernel.
#[test]
fn the_setting_kernel_modules_makes_another_kernel_of_a_tiny_one_alone() {
    let store = tempfile::tempdir().unwrap();
    let of = |profile: &str, set: &str| keys(store.path(), &["--profile", profile, "--set", set]);
    let (without, with) = (of("standard", "kernel_modules=false"), of("standard", "kernel_modules=true"));
    assert!(without.iter().all(|(stage, key)| with[stage] == *key));
    let kits: Vec<_> = with.keys().filter(|stage| !without.contains_key(*stage)).collect();
    // The kit, the module with inline BTF, and their checks. A kernel that this machine's own compiler builds gets none;
    // it has no check of a toolchain either.
    let has_smoke = |stage: &&String| {
        stage.strip_suffix("/linux").is_some_and(|target| with.contains_key(&format!("{target}/smoke")))
    };
    assert_eq!(kits.len(), 5 * with.keys().filter(has_smoke).count(), "{kits:?}");
    let (without, with) = (of("quick", "kernel_modules=false"), of("quick", "kernel_modules=true"));
    for (stage, key) in &without {
        let of_the_kernel = stage.split_once('/').is_some_and(|(target, column)| {
            without.contains_key(&format!("{target}/linux"))
                && ["linux", "run", "boot", "warnings", "sframe", "btf"].contains(&column)
        });
        assert_eq!(with[stage] == *key, !of_the_kernel, "{stage}");
    }
}

#[test]
fn the_kept_proof_names_targets_of_the_matrix_and_its_page_is_drawn_from_it() {
    use crossmill::record::{self, Record};
    let read = |name: &str| fs_err::read_to_string(root().join("docs").join(name)).unwrap();
    let config = crossmill::config::Config::load(root(), &[], &[]).unwrap();
    let json = read(record::JSON);
    let record = Record::parse(&json).unwrap();
    for name in record.targets.keys() {
        assert!(config.matrix.targets.contains_key(name.as_str()), "docs/{} names `{name}`", record::JSON);
    }
    let again = "they are generated: run `crossmill record --no-runs`";
    assert_eq!(record::text(&record).unwrap(), json, "{again}");
    // So it can name no other target either.
    assert_eq!(record::markdown::text(&record), read(record::MARKDOWN), "{again}");
    for text in [json, read(record::MARKDOWN)] {
        assert!(!text.contains("/home/") && !text.contains("/root"), "a path of some machine");
    }
}

#[test]
fn every_quirk_has_a_reason_and_a_source() {
    let config = crossmill::config::Config::load(root(), &[], &[]).unwrap();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for target in config.matrix.targets.values() {
        let options = target.options.iter().flat_map(|(package, options)| {
            options
                .iter()
                .map(move |option| (format!("{package} {}", option.add.join(" ")), &option.why, option.from.as_deref()))
        });
        let requires = target.requires.iter().map(|requires| {
            (format!("needs {} {}", requires.package, requires.versions), &requires.why, requires.from.as_deref())
        });
        let quirks = target.quirks.iter().map(|quirk| (quirk.what.clone(), &quirk.why, Some(quirk.from.as_str())));
        for (what, why, from) in options.chain(requires).chain(quirks) {
            seen += 1;
            if why.trim().is_empty() || from.is_none_or(|from| from.trim().is_empty()) {
                wrong.push(format!("target `{}`: {what}", target.name));
            }
        }
    }
    assert!(seen > 3, "only {seen} were found");
    assert!(wrong.is_empty(), "these lack `why` or `from`:\n{}", wrong.join("\n"));
}

#[test]
fn the_rust_compiler_is_planned_only_where_it_is_asked_for() {
    let config = crossmill::config::Config::load(root(), &[], &[]).unwrap();
    let host = crossmill::plan::HostFacts::default();
    let planned = |gcc: &str, languages: &str| {
        let targets = ["arm64".to_owned()];
        let (with, set) = ([format!("gcc={gcc}")], [format!("languages={languages}")]);
        // Another version than the recipe's is built from a source of one's own.
        let source = if gcc == "12.5" { vec!["gcc=/".to_owned()] } else { Vec::new() };
        let words = crossmill::plan::request::RequestArgs {
            targets: &targets,
            with: &with,
            set: &set,
            source: &source,
            ..Default::default()
        };
        let request = crossmill::plan::Request::new(&config, &words).unwrap();
        crossmill::plan::plan(&config, &request, &host, &|_, _| None)
    };
    let gcc = |gcc: &str, languages: &str| {
        let plan = planned(gcc, languages).unwrap();
        let named = |name: &str| plan.stages.iter().position(|stage| stage.name == name);
        let stage = &plan.stages[named("arm64/gcc").unwrap()];
        let job = stage.job().unwrap();
        let needs_cargo = job.tools.iter().any(|tool| tool == "cargo") && job.tools.iter().any(|tool| tool == "rustc");
        (needs_cargo, job.result.iter().any(|file| file.ends_with("/crab1")), named("arm64/gccrs").is_some())
    };
    assert_eq!(gcc("16.2", "c"), (false, false, false));
    assert_eq!(gcc("16.2", "c,c++"), (false, false, false));
    assert_eq!(gcc("16.2", "c,rust"), (true, true, true));
    assert_eq!(gcc("14.2", "rust"), (false, true, true));
    let refused = planned("12.5", "c,rust").unwrap_err();
    assert!(refused.iter().any(|problem| problem.to_string().contains("gccrs came with GCC 13")), "{refused:?}");
}

#[test]
fn the_committed_keyring_holds_the_keys_it_names() {
    let text = fs_err::read_to_string(root().join("recipes/keys/kernel.org.asc")).unwrap();
    let keys = crossmill::source::signature::PublicKeys::parse(&text).unwrap();
    let want = ["647F28654894E3BD457199BE38DBBDC86092693E", "ABAF11C65A2970B130ABE3C479BE3E4300411886"];
    assert_eq!(keys.fingerprints, want);
    for fingerprint in want {
        assert!(text.contains(fingerprint));
    }
}
