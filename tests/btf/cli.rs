//! `crossmill btf check`: words, exit codes, accounts.

use crate::{crossmill, err, fixture, out, run};

fn shown(args: &[&str]) -> String {
    let output = run(args);
    format!("exit {}\n{}{}", output.status.code().unwrap(), out(&output), err(&output))
}

#[test]
fn valid_files_are_valid() {
    insta::assert_snapshot!("valid", shown(&["btf", "check", "program.btf", "kinds-big.btf", "inline-old-little.btf"]));
    insta::assert_snapshot!("split", shown(&["btf", "check", "module.btf", "--base", "program.btf"]));
}

#[test]
fn what_is_wrong_is_said() {
    insta::assert_snapshot!("no-base", shown(&["btf", "check", "module.btf"]));
    insta::assert_snapshot!("byte-order", shown(&["btf", "check", "kinds-big.btf", "--base", "kinds-little.btf"]));
    insta::assert_snapshot!("not-btf", shown(&["btf", "check", "program.c"]));
    insta::assert_snapshot!("damaged-base", shown(&["btf", "check", "module.btf", "--base", "program.c"]));
    insta::assert_snapshot!("missing", shown(&["btf", "check", "none.btf"]));
    insta::assert_snapshot!("dump-split", shown(&["btf", "dump", "program.c"]));
}

#[test]
fn warnings_fail_where_they_are_denied() {
    let file = "inline-new-little.btf";
    assert_eq!(run(&["btf", "check", file]).status.code(), Some(0));
    insta::assert_snapshot!("denied", shown(&["btf", "check", file, "--deny", "warning"]));
}

#[test]
fn rules_are_explained() {
    insta::assert_snapshot!("explain", shown(&["btf", "check", "--explain", "bt037"]));
    insta::assert_snapshot!("explain-unknown", shown(&["btf", "check", "--explain", "BT999"]));
    assert!(out(&run(&["btf", "check", "--explain"])).lines().count() > 50);
    let rules: serde_json::Value =
        serde_json::from_slice(&run(&["btf", "check", "--explain", "--json"]).stdout).unwrap();
    assert_eq!(rules["rules"][0]["code"], "BT001");
}

#[test]
fn json_has_the_documented_form() {
    let checked = run(&["btf", "check", "module.btf", "--base", "program.btf", "--json"]);
    insta::assert_snapshot!("json", out(&checked));
}

#[test]
fn an_account_says_how_it_came_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("verdict");
    let check_result = |args: &[&str]| {
        let output = crossmill().args(["btf", "check", "--verdict"]).arg(&path).args(args).output().unwrap();
        (output.status.code().unwrap(), fs_err::read_to_string(&path).unwrap())
    };
    let (code, text) = check_result(&["program.btf"]);
    assert_eq!(
        (code, text.as_str()),
        (0, "state pass\nsummary 44 types\nfigure types 44\nfigure sites 0\nfigure errors 0\nfigure warnings 0\n")
    );
    let (code, text) = check_result(&["module.btf"]);
    assert!(code == 1 && text.starts_with("state fail\nwhy error[BT017]: base is missing"), "{code}\n{text}");
    // This program itself is an ELF file without BTF.
    let (code, text) = check_result(&[env!("CARGO_BIN_EXE_crossmill")]);
    assert!(code == 0 && text.starts_with("state unsupported\nwhy there is no BTF section\n"), "{code}\n{text}");
    let output = run(&["btf", "check", env!("CARGO_BIN_EXE_crossmill")]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn sections_of_an_elf_file_stand_on_each_other() {
    if !["/usr/bin/gcc", "/usr/bin/objcopy"].iter().all(|path| std::path::Path::new(path).exists()) {
        eprintln!("not run: this machine lacks gcc or objcopy");
        return;
    }
    use crossmill::debuginfo::btf::file::Loaded;
    use crossmill::debuginfo::btf::{Btf, Builder, Endian, FuncIndex, LocSite};
    use crossmill::debuginfo::input::Input;
    let dir = tempfile::tempdir().unwrap();
    let main = fs_err::read(fixture("program.btf")).unwrap();
    let main = Btf::parse(&main, None).unwrap();
    let build = |offset| {
        let mut builder = Builder::new(Some(&main), Endian::Little, true);
        let func = FuncIndex::functions(&main).first(b"inlined").unwrap();
        let loc_proto = builder.loc_proto(&[0, 0]);
        builder.locsec(".text", [LocSite { func, offset, loc_proto }]);
        builder.finish().unwrap()
    };
    for (offset, code) in [(4, 0), (1 << 20, 1)] {
        fs_err::write(dir.path().join("inline"), build(offset)).unwrap();
        let source = fixture("program.c").display().to_string();
        let btf = fixture("program.btf").display().to_string();
        let ran = |program: &str, args: &[&str]| {
            let output = std::process::Command::new(program).args(args).current_dir(dir.path()).output().unwrap();
            assert!(output.status.success(), "{}", err(&output));
        };
        ran("gcc", &["-c", "-o", "program.o", &source]);
        let (own, inline) = (format!(".BTF={btf}"), ".BTF.inline=inline");
        ran("objcopy", &["--add-section", &own, "--add-section", inline, "program.o"]);
        let path = dir.path().join("program.o");
        let input = Input::open(&path).unwrap();
        let loaded = Loaded::new(&path, &input).unwrap();
        assert_eq!(loaded.sections.iter().map(|(name, _)| *name).collect::<Vec<_>>(), [".BTF", ".BTF.inline"]);
        let checked = crossmill().args(["btf", "check"]).arg(&path).output().unwrap();
        let text = out(&checked).replace(&dir.path().display().to_string(), "[DIR]");
        assert_eq!(checked.status.code(), Some(code), "{text}");
        assert!(text.contains(".BTF.inline: ") && text.contains("split, ids from 45"), "{text}");
        assert_eq!(text.contains("BT070"), code == 1, "{text}");
        let dumped = crossmill().args(["btf", "dump", "--section", ".BTF.inline"]).arg(&path).output().unwrap();
        assert!(out(&dumped).contains("LOCSEC '.text' vlen=1"), "{}", out(&dumped));
    }
}

#[test]
fn old_spellings_name_the_new_ones() {
    let inline = ["inline-btf", "generate", "program", "-o", "out.btf"];
    insta::assert_snapshot!(
        "renamed",
        [
            shown(&["check", "btf", "program.btf", "--json"]),
            shown(&["check", "sframe", "program", "--deny", "warning"]),
            shown(&["check", "sframe", "program", "--rows", "main"]),
            shown(&[inline.as_slice(), &["--min-all", "0.5"]].concat()),
            shown(&[inline.as_slice(), &["--with-empty-ranges"]].concat()),
        ]
        .join("\n")
    );
}
