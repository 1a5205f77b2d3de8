//! `crossmill package`: what it writes, when it writes nothing, and why.

use crate::world::{Ran, World};
use std::path::Path;
use std::process::Command;

const ARCHIVE: &str = "[archive.module-kit]\nsummary = \"a test\"\npackage = \"kit\"\nset = { level = \"two\" }\n\
                       checks = [\"proof\"]\nname = \"kit-{{ version }}-{{ target.name }}\"\n[not-built.vax]";

// A kit of the kernel's result, with level two alone, and a check of it.
pub fn world(check: &str) -> World {
    let world = World::new();
    world.edit("data/targets.toml", "[not-built.vax]", ARCHIVE);
    world.write(
        "data/recipes/kit.toml",
        "schema = 1\nname = \"kit\"\nsummary = \"a test\"\nper = \"target\"\nwhen = \"set.level == 'two'\"\n\
         source-of = \"kernel\"\n[[needs]]\npackage = \"kernel\"\n[[step]]\nname = \"kit\"\nscript = '''\n\
         cp '{{ deps.kernel }}/share/kernel' '{{ source }}/configure' '{{ dest }}'\n\
         echo '{{ keys.kernel }} {{ version }}' > '{{ dest }}/key'\n'''\n[result]\nfiles = [\"key\"]\n",
    );
    world.write(
        "data/recipes/proof.toml",
        &format!(
            "schema = 1\nname = \"proof\"\nsummary = \"a test\"\nper = \"target\"\nkind = \"check\"\n\
             [[needs]]\npackage = \"kit\"\n[[step]]\nname = \"look\"\nscript = '''\n{check}\n'''\n"
        ),
    );
    world
}

fn tar(world: &World, args: &[&str]) -> String {
    let output = std::process::Command::new("tar").args(args).current_dir(world.path("")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_result_becomes_an_archive_with_its_digest_and_the_same_one_again() {
    let world = world("test -s '{{ deps.kit }}/key'");
    let ran = world.run(&["package", "module-kit", "alpha", "--out", "out", "--json"]).ok();
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let archive = &json["archives"][0];
    assert_eq!(
        (&json["schema"], &archive["target"], &archive["stage"]),
        (&1.into(), &"alpha".into(), &"alpha/kit".into())
    );
    assert_eq!(archive["path"], "out/kit-1.0-alpha.tar.xz");
    let list = tar(&world, &["-tJf", "out/kit-1.0-alpha.tar.xz"]);
    let names = ["kit-1.0-alpha/configure", "kit-1.0-alpha/kernel", "kit-1.0-alpha/key"];
    assert_eq!(list.lines().collect::<Vec<_>>(), names);
    // The settings that the archive needs hold for all that is built for it.
    let kernel = tar(&world, &["-xOJf", "out/kit-1.0-alpha.tar.xz", "kit-1.0-alpha/kernel"]);
    assert!(kernel.starts_with("--level=two\n"), "{kernel}");
    let key = tar(&world, &["-xOJf", "out/kit-1.0-alpha.tar.xz", "kit-1.0-alpha/key"]);
    let entry = world.entry("alpha/kernel");
    assert_eq!(key, format!("{} 1.0\n", entry.file_name().unwrap().to_str().unwrap()));
    let bytes = fs_err::read(world.path("out/kit-1.0-alpha.tar.xz")).unwrap();
    let sha256 = crossmill::base::Sha256::of(&bytes).to_string();
    let sum = fs_err::read_to_string(world.path("out/kit-1.0-alpha.tar.xz.sha256")).unwrap();
    assert_eq!(sum, format!("{sha256}  kit-1.0-alpha.tar.xz\n"));
    // In another store, at another time, in the working directory.
    world.run(&["package", "module-kit", "alpha", "--store", "other/store"]).ok();
    assert_eq!(fs_err::read(world.path("kit-1.0-alpha.tar.xz")).unwrap(), bytes);
}

#[test]
fn what_fails_its_check_is_not_given_out() {
    let world = world("echo 'x.c:1:1: error: it does not fit'; test '{{ target.name }}' != alpha");
    let ran = world.run(&["package", "module-kit", "alpha", "gamma", "--out", "out"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(
        ran.err.contains("not packaged: alpha/kit: its check alpha/proof failed: look: exit code 1"),
        "{}",
        ran.err
    );
    let left: Vec<_> = fs_err::read_dir(world.path("out")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    // The archive, its digest and that of its tar.
    assert_eq!(left.len(), 3, "{left:?}");
    assert!(world.path("out/kit-1.0-gamma.tar.xz").is_file());
}

#[test]
fn a_skipped_check_is_told() {
    let world = world("printf 'state skipped\\nwhy no machine\\n' > '{{ dest }}/verdict'");
    let ran = world.run(&["package", "module-kit", "alpha", "--out", "out", "--json"]).ok();
    assert!(ran.err.contains("warning: check alpha/proof was skipped: no machine"), "{}", ran.err);
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(json["archives"][0]["skipped"], serde_json::json!(["alpha/proof"]));
}

fn refused(ran: &Ran, world: &World) {
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(world.counts().is_empty() && world.server.seen().is_empty(), "something was started");
}

#[test]
fn a_target_that_has_no_such_result_is_named_before_anything_starts() {
    let world = world("true");
    let ran = world.run(&["package", "module-kit", "alpha", "--set", "level=one"]);
    refused(&ran, &world);
    insta::assert_snapshot!(ran.message(), @r#"
    exit 2
    error: `alpha` has no `kit`: its recipe applies when `set.level == 'two'`
    hint: leave this target out, or set what it lacks in targets.toml or with `--set`
    "#);
}

#[test]
fn what_is_to_be_packaged_must_be_said_and_declared() {
    let world = world("true");
    let ran = world.run(&["package"]);
    refused(&ran, &world);
    insta::assert_snapshot!(ran.message(), @r#"
    exit 2
    error: no kind of archive is named
    hint: for example `crossmill package toolchain arm64`
    hint: `module-kit`: a test
    "#);
    let ran = world.run(&["package", "--module-kit", "alpha"]);
    refused(&ran, &world);
    insta::assert_snapshot!(ran.message(), @r#"
    exit 2
    error: `crossmill package --module-kit` was renamed
    hint: use `crossmill package module-kit`
    "#);
    let ran = world.run(&["package", "module-kit", "alpha", "--package", "kit"]);
    refused(&ran, &world);
    assert!(ran.err.contains("an archive has its own packages"), "{}", ran.err);
    world.edit("data/targets.toml", "[archive.module-kit]", "[archive.headers]");
    let ran = world.run(&["package", "module-kit", "alpha"]);
    refused(&ran, &world);
    insta::assert_snapshot!(ran.message(), @r#"
    exit 2
    error: no `[archive.module-kit]` is declared
    hint: valid archives are `headers`
    "#);
}

#[test]
fn mistakes_in_an_archive_are_shown_at_their_places() {
    let world = world("true");
    world.edit("data/targets.toml", "package = \"kit\"", "package = \"kitt\"");
    world.edit("data/targets.toml", "checks = [\"proof\"]", "checks = [\"lib\"]");
    let ran = world.run(&["package", "module-kit", "alpha"]);
    refused(&ran, &world);
    insta::assert_snapshot!(ran.message(), @r#"
    exit 2
    error: `lib` is not a check
       --> [DIR]/data/targets.toml:43:11
       |
    43 | checks = ["lib"]
       |           ^^^^^

    error: unknown package `kitt`
       --> [DIR]/data/targets.toml:41:11
       |
    41 | package = "kitt"
       |           ^^^^^^
    hint: did you mean `kit`?
    hint: valid packages are `kernel`, `kit`, `lib`, `proof`, `tool`
    "#);
    world.edit("data/targets.toml", "level = \"two\"", "levle = \"two\"");
    let ran = world.run(&["package", "module-kit", "alpha"]);
    refused(&ran, &world);
    assert!(ran.err.contains("unknown setting `levle`"), "{}", ran.err);
}

#[test]
fn a_name_that_is_no_file_name_is_refused() {
    let world = world("true");
    world.edit("data/targets.toml", "kit-{{ version }}", "../kit-{{ version }}");
    let ran = world.run(&["package", "module-kit", "alpha"]);
    refused(&ran, &world);
    insta::assert_snapshot!(ran.message(), @r#"
    exit 2
    error: `../kit-1.0-alpha` cannot be the name of an archive
       --> [DIR]/data/targets.toml:44:8
       |
    44 | name = "../kit-{{ version }}-{{ target.name }}"
       |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    hint: letters, digits and `. _ + -` are safe, and a letter or digit at the front
    "#);
}

// Runs a program in the world, with its home; it must succeed.
fn tool(world: &World, program: &str, args: &[&str]) -> String {
    let mut command = Command::new(program);
    let output = command.args(args).current_dir(world.path("")).env("HOME", world.path("home")).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

// A key of gpg in the world's home, and its public part in `key.asc`.
pub fn gpg_key(world: &World, expire: &str) {
    let key = ["--batch", "--passphrase", "", "--quick-gen-key", "release@example.org", "ed25519", "sign", expire];
    tool(world, "gpg", &key);
    tool(world, "gpg", &["--armor", "--output", "key.asc", "--export", "release@example.org"]);
    tool(world, "gpg", &["--dearmor", "--output", "key.gpg", "key.asc"]);
}

pub fn stop_agent(world: &World) {
    tool(world, "gpgconf", &["--kill", "all"]);
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn faults(schema: &serde_json::Value, value: &serde_json::Value) -> Vec<String> {
    let validator = jsonschema::validator_for(schema).unwrap();
    validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

// CycloneDX's own schema; signatures inside of documents, which another schema describes, are not used.
fn cyclonedx() -> serde_json::Value {
    let dir = root().join("tests/fixtures/cyclonedx");
    let mut schema = json(&dir.join("bom-1.6.schema.json"));
    let mut spdx = json(&dir.join("spdx.schema.json"));
    for outer in ["$schema", "$id"] {
        spdx.as_object_mut().unwrap().remove(outer);
    }
    let replaced =
        schema.to_string().replace(r##"{"$ref":"jsf-0.82.schema.json#/definitions/signature""##, r#"{"not":{}"#);
    schema = serde_json::from_str(&replaced).unwrap();
    schema["definitions"]["spdx"] = spdx;
    serde_json::from_str(&schema.to_string().replace("\"spdx.schema.json\"", "\"#/definitions/spdx\"")).unwrap()
}

#[test]
fn a_release_has_an_index_sums_signatures_and_documents() {
    let world = world("test -s '{{ deps.kit }}/key'");
    world.edit(
        "data/targets.toml",
        "name = \"kit-",
        "directory = \"files/{{ version }}\"\nformats = [\"tar.xz\", \"tar.gz\"]\nname = \"kit-",
    );
    gpg_key(&world, "never");
    let args = ["package", "module-kit", "alpha", "gamma", "--release", "r", "--sign-with", "release@example.org"];
    world.run(&args).ok();
    stop_agent(&world);
    let index = json(&world.path("r/index.json"));
    let schema = json(&root().join("docs/schema/release-index.schema.json"));
    assert_eq!(faults(&schema, &index), Vec::<String>::new(), "{index:#}");
    let entry = &index["archives"][0];
    assert_eq!((&entry["name"], &entry["kind"]), (&"kit-1.0-alpha".into(), &"module-kit".into()));
    assert_eq!(entry["checks"]["alpha/proof"]["state"], "pass");
    assert_eq!(entry["files"][1]["path"], "files/1.0/kit-1.0-alpha.tar.gz");
    // As kernel.org's clients do.
    tool(&world, "sh", &["-c", "cd r && sha256sum --strict -c SHA256SUMS"]);
    let verify = "cd r/files/1.0 && gpgv --keyring ../../../key.gpg --output ../../../sums sha256sums.asc && sha256sum \
                  --strict -c ../../../sums";
    tool(&world, "sh", &["-c", verify]);
    for unpack in ["zcat r/files/1.0/kit-1.0-alpha.tar.gz", "xz -dc r/files/1.0/kit-1.0-alpha.tar.xz"] {
        let verify = format!("{unpack} | gpgv --keyring ./key.gpg r/files/1.0/kit-1.0-alpha.tar.sign -");
        tool(&world, "sh", &["-c", &verify]);
        let sum = tool(&world, "sh", &["-c", &format!("{unpack} | sha256sum")]);
        assert_eq!(sum.split(' ').next(), entry["tar"]["sha256"].as_str());
    }
    tool(&world, "gpgv", &["--keyring", "./key.gpg", "r/index.json.asc", "r/index.json"]);
    let mut names: Vec<_> =
        fs_err::read_dir(world.path("r/files/1.0")).unwrap().map(|it| it.unwrap().file_name()).collect();
    names.sort();
    let of = |name: &str| ["gz", "sign", "xz"].map(|end| format!("kit-1.0-{name}.tar.{end}"));
    let names: Vec<String> = names.into_iter().map(|name| name.into_string().unwrap()).collect();
    assert_eq!(names, [&of("alpha")[..], &of("gamma"), &["sha256sums.asc".to_owned()]].concat());
    // The documents.
    let sbom = json(&world.path("r/meta/kit-1.0-alpha.cdx.json"));
    assert_eq!(faults(&cyclonedx(), &sbom), Vec::<String>::new(), "{sbom:#}");
    let mut wrong = sbom.clone();
    wrong["components"][0]["type"] = "sauce".into();
    assert_ne!(faults(&cyclonedx(), &wrong), Vec::<String>::new());
    let source = sbom["components"].as_array().unwrap().iter().find(|it| it["name"] == "kernel").unwrap();
    assert_eq!(source["externalReferences"][0]["url"], format!("{}/tiny-1.0.tar.xz", world.server.base));
    let statement = json(&world.path("r/meta/kit-1.0-alpha.intoto.json"));
    assert_eq!(statement["subject"][0]["digest"]["sha256"], entry["files"][0]["sha256"]);
    let key = &statement["predicate"]["buildDefinition"]["internalParameters"]["stages"]["alpha/kit"]["key"];
    assert_eq!(key, &entry["keys"]["alpha/kit"]);
    let page = fs_err::read_to_string(world.path("r/index.html")).unwrap();
    assert!(page.contains("files/1.0/kit-1.0-gamma.tar.xz"), "{page}");
    // Another store and another time: the same but for the provenance; unsigned, no signature is left.
    let sums = fs_err::read(world.path("r/SHA256SUMS")).unwrap();
    world.run(&["package", "module-kit", "alpha", "gamma", "--release", "r", "--store", "other/store"]).ok();
    assert_eq!(fs_err::read(world.path("r/SHA256SUMS")).unwrap(), sums);
    for gone in ["index.json.asc", "SHA256SUMS.asc", "files/1.0/sha256sums.asc", "files/1.0/kit-1.0-alpha.tar.sign"] {
        assert!(!world.path("r").join(gone).exists(), "{gone}");
    }
}

#[test]
fn minisign_signs_a_release_too() {
    let world = world("true");
    tool(&world, "minisign", &["-G", "-W", "-p", "key.pub", "-s", "key.sec"]);
    world.run(&["package", "module-kit", "alpha", "--release", "r", "--sign-with", "key.sec"]).ok();
    tool(&world, "minisign", &["-V", "-p", "key.pub", "-m", "r/index.json"]);
    tool(&world, "sh", &["-c", "xz -dk r/kit-1.0-alpha.tar.xz"]);
    tool(&world, "minisign", &["-V", "-p", "key.pub", "-m", "r/kit-1.0-alpha.tar"]);
}

#[test]
fn a_key_that_cannot_sign_ends_the_command_before_anything_starts() {
    let world = world("true");
    gpg_key(&world, "seconds=1");
    std::thread::sleep(std::time::Duration::from_secs(2));
    let package = |key: &str| {
        let ran = world.run(&["package", "module-kit", "alpha", "--release", "r", "--sign-with", key]);
        assert!(world.counts().is_empty() && !world.path("r").exists(), "something was started");
        ran.message()
    };
    insta::assert_snapshot!(package("release@example.org"), @r"
    exit 1
    error: the key `release@example.org` cannot sign: it is expired
    ");
    insta::assert_snapshot!(package("nobody@example.org"), @r"
    exit 1
    error: the key `nobody@example.org` cannot sign: gpg has no secret key of that name
    ");
    insta::assert_snapshot!(package("key.asc"), @r"
    exit 1
    error: the key `key.asc` cannot sign: the file is no secret key of minisign; name a key of gpg by its fingerprint
    ");
    stop_agent(&world);
}

#[test]
fn an_index_that_leads_elsewhere_is_refused() {
    let world = world("true");
    world.run(&["package", "module-kit", "alpha", "--release", "r"]).ok();
    world.edit("r/index.json", "\"kit-1.0-alpha.tar.xz\"", "\"../kit-1.0-alpha.tar.xz\"");
    let ran = world.run(&["package", "module-kit", "alpha", "--release", "r"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("the path `../kit-1.0-alpha.tar.xz` leads out of the release"), "{}", ran.err);
}

#[test]
fn a_result_that_names_the_store_is_not_given_out() {
    let world = world("true");
    world.edit("data/recipes/kit.toml", "> '{{ dest }}/key'", "> '{{ dest }}/key'\npwd >> '{{ dest }}/key'");
    let ran = world.run(&["package", "module-kit", "alpha", "--out", "out"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("not packaged: `kit-1.0-alpha/key` contains the path"), "{}", ran.err);
    assert!(!world.path("out").exists());
}
