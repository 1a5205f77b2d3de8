//! Inheritance, sharing and overlays of targets.

use super::super::file::SourceFile;
use super::*;
use std::path::Path;

const BASE: &str = r#"
[setting.lto]
summary = "x"
default = true
[profile.quick]
summary = "x"
set = { lto = false }
[target.arm64]
tier = "secondary"
triple = "aarch64-linux"
arch = "arm64"
notes = ["first"]
[[target.arm64.options.gcc]]
add = ["--one"]
why = "because"
[target.arm64.kernel]
defconfig = "defconfig"
image = "Image"
"#;

fn load(texts: &[&str]) -> Result<Matrix, Vec<Diagnostic>> {
    let files: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(at, text)| SourceFile::from_text(Path::new(&format!("{at}.toml")), (*text).to_owned()))
        .collect();
    Matrix::load(&files)
}

fn refused(upper: &str) -> String {
    let problems = load(&[BASE, upper]).unwrap_err();
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n")
}

#[test]
fn a_target_inherits_what_it_does_not_say() {
    let upper = r#"
        [target.arm64be]
        inherits = "arm64"
        triple = "aarch64_be-linux"
        notes = ["second"]
        [[target.arm64be.options.gcc]]
        add = ["--two"]
        why = "because"
        [target.arm64be.kernel]
        image = "Image.be"
    "#;
    let matrix = load(&[BASE, upper]).unwrap();
    let target = matrix.target("arm64be").unwrap();
    assert_eq!((target.triple.as_str(), target.arch.as_str()), ("aarch64_be-linux", "arm64"));
    let kernel = target.kernel.as_ref().unwrap();
    assert_eq!((kernel.defconfig.as_str(), kernel.image.as_str()), ("defconfig", "Image.be"));
    let added: Vec<_> = target.options["gcc"].iter().flat_map(|option| &option.add).collect();
    assert_eq!(added, ["--one", "--two"]);
    assert_eq!(target.notes, ["first", "second"]);
    assert_eq!(matrix.group("secondary").unwrap().len(), 2);
}

#[test]
fn an_overlay_changes_a_target_that_is_there() {
    let matrix = load(&[BASE, "[target.arm64]\ntier = \"primary\"\n[defaults]\nset = { lto = false }"]).unwrap();
    assert_eq!(matrix.target("arm64").unwrap().tier, "primary");
    assert_eq!(matrix.target("arm64").unwrap().triple, "aarch64-linux");
    assert_eq!(matrix.defaults.set["lto"], Value::Switch(false));
}

#[test]
fn circles_and_unknown_names_are_refused() {
    let circle = "[target.a]\ninherits = \"b\"\n[target.b]\ninherits = \"a\"";
    assert!(refused(circle).contains("target `a` inherits from itself"));
    assert!(refused("[target.a]\ninherits = \"arm46\"").contains("did you mean `arm64`?"));
    assert!(refused("[target.arm64]\ntier = \"first\"").contains("unknown tier `first`"));
    assert!(refused("[group]\nmine = [\"arm\", \"vax\"]").contains("unknown target `vax`"));
    assert!(refused("[profile.x]\nsummary = \"x\"\nset = { lto = \"yes\" }").contains("expected true or false"));
    assert!(refused("[target.a]\ntier = \"primary\"").contains("target `a` lacks `triple`"));
}

#[test]
fn a_toolchain_is_shared_only_by_the_same_triple_and_lent_only_by_its_owner() {
    let other = "[target.b]\ninherits = \"arm64\"\ntriple = \"b-linux\"\ntoolchain = \"arm64\"";
    assert!(refused(other).contains("`b` cannot use a toolchain for `aarch64-linux`"));
    let chain =
        "[target.b]\ninherits = \"arm64\"\ntoolchain = \"arm64\"\n[target.c]\ninherits = \"arm64\"\ntoolchain = \"b\"";
    assert!(refused(chain).contains("target `b` has no toolchain of its own to share"));
}

#[test]
fn quirks_are_added_to_and_pins_are_overridden() {
    let base = "[release-set.old]\nsummary = \"x\"\nversions = { a = \"1\", b = \"1\" }
        [target.arm64]\nrelease-set = \"old\"
        [[target.arm64.quirk]]\nwhat = \"defconfig\"\nwhy = \"x\"\nfrom = \"y\"\nversions = { c = \">=6\" }";
    let upper = "[target.arm64be]\ninherits = \"arm64\"\nwith = { b = \"2\" }
        [[target.arm64be.quirk]]\nwhat = \"image\"\nwhy = \"x\"\nfrom = \"y\"";
    let matrix = load(&[BASE, base, upper]).unwrap();
    let target = matrix.target("arm64be").unwrap();
    let pins: Vec<_> = target.pins.iter().map(|(name, pin)| format!("{name} {} {}", pin.version, pin.own)).collect();
    assert_eq!(pins, ["a 1 false", "b 2 true"]);
    let quirks: Vec<_> = target.quirks.iter().map(|quirk| quirk.what.as_str()).collect();
    assert_eq!(quirks, ["defconfig", "image"]);
    assert_eq!(target.quirks[0].versions["c"].to_string(), ">=6");
    let typo = "[[target.arm64.quirk]]\nwhat = \"x\"\nwhy = \"x\"\nform = \"y\"";
    assert!(refused(typo).contains("unknown key `form`"));
    let sourceless = "[[target.arm64.quirk]]\nwhat = \"x\"\nwhy = \"x\"";
    assert!(refused(sourceless).contains("missing"), "{}", refused(sourceless));
}
