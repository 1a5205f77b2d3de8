//! The mistakes that people make most, and the words that they get.

use crate::world::World;

// Some of them are answered on stdout.
fn said_by(world: &World, args: &[&str]) -> String {
    let ran = world.run(args);
    if ran.err.is_empty() { format!("exit {}\n{}", ran.code.unwrap_or(-1), ran.out) } else { ran.error() }
}

#[test]
fn common_mistakes_are_answered_with_what_to_do() {
    let world = World::new();
    let mistakes: &[&[&str]] = &[
        &["bild", "alpha"],
        &["build"],
        &["build", "alhpa"],
        &["build", "vax"],
        &["build", "alpha", "--profile", "quik"],
        &["build", "alpha", "--with", "tool=9.9"],
        &["build", "alpha", "--set", "levle=two"],
        &["build", "alpha", "--set", "level=three"],
        &["build", "alpha", "--package", "tol"],
        &["build", "alpha", "--jobs", "many"],
        &["plan", "alpha", "--offline"],
        &["shell", "alpha"],
        &["log", "alpha/tol"],
        &["check", "alpha"],
        &["sframe", "check", "vmlinux"],
        &["btf", "check", "data/targets.toml"],
        &["record"],
    ];
    let mut said = String::new();
    for args in mistakes {
        said += &format!("$ crossmill {}\n{}\n\n", args.join(" "), said_by(&world, args));
    }
    insta::assert_snapshot!(said);
}

#[test]
fn a_mistake_in_a_file_is_shown_where_it_is() {
    let world = World::new();
    let mut said = String::new();
    for text in [
        "[target.mine]\ntier = \"primary\"\n",
        "[defaults]\npackages = [\"kernal\"]\n",
        "[default]\nprofile = \"quick\"\n",
        "[defaults]\nprofile = \"quick\n",
    ] {
        fs_err::write(world.path("crossmill.toml"), text).unwrap();
        said += &format!("{text}---\n{}\n\n", world.run(&["build", "alpha"]).error());
    }
    insta::assert_snapshot!(said);
}

// The packages above a refused one have no mistake of their own.
#[test]
fn a_refused_combination_is_reported_once_with_its_reason() {
    let world = World::new();
    let recipe = |name: &str, rest: &str| {
        let text = format!(
            "schema = 1\nname = \"{name}\"\nsummary = \"tiny\"\nper = \"target\"\n{rest}\n\
             [[step]]\nname = \"install\"\nscript = \"touch '{{{{ dest }}}}/{name}'\"\n[result]\nfiles = [\"{name}\"]\n"
        );
        fs_err::write(world.path(&format!("mine/{name}.toml")), text).unwrap();
    };
    fs_err::create_dir(world.path("mine")).unwrap();
    recipe("port", "[[refuse]]\nwhen = \"target.arch == 'gamma'\"\nwhy = \"nobody has ported it\"");
    for user in ["one", "two"] {
        recipe(user, "[env]\nPORT = \"{{ deps.port }}\"\n[[needs]]\npackage = \"port\"");
    }
    recipe("top", "[[needs]]\npackage = \"one\"\n[[needs]]\npackage = \"two\"");
    fs_err::write(world.path("crossmill.toml"), "recipes = [\"mine\"]\n").unwrap();
    let refused = world.run(&["build", "gamma", "--package", "top"]);
    assert_eq!(refused.code, Some(2));
    assert_eq!(refused.err.matches("error: ").count(), 1, "{}", refused.err);
    assert!(refused.err.contains("gamma/port: this combination cannot work"), "{}", refused.err);
    assert!(refused.err.contains("nobody has ported it"), "{}", refused.err);
    assert_eq!(world.run(&["build", "alpha", "--package", "top"]).code, Some(0));
}
