//! Output about a target, in each format.

use super::*;
use crate::config::file::SourceFile;
use std::path::Path;

const TARGETS: &str = r#"
[fact.console]
summary = "where it speaks"
default = "none"
[fact.other]
summary = "what is as everywhere"
default = "x"
[release-set.old]
summary = "x"
versions = { gcc = "14" }
[target.a]
summary = "the | first"
tier = "primary"
triple = "a-linux"
arch = "a"
release-set = "old"
notes = ["a remark"]
[target.a.facts]
console = "ttyS0"
other = "x"
[target.a.expect]
sframe = "unsupported"
[target.a.known-failure.boot]
why = "PR1"
until = "2027-01-01"
versions = { linux = "<8" }
[[target.a.options.gcc]]
add = ["--one", "--two"]
why = "because"
from = "someone"
versions = ">=14, <16"
[[target.a.requires]]
package = "gcc"
versions = "<15"
why = "removed in 15"
from = "its release notes"
[[target.a.quirk]]
what = "no vDSO"
why = "it has no timer"
from = "arch/a/Kconfig"
versions = { linux = ">=6" }
[target.b]
inherits = "a"
toolchain = "a"
[not-built.c]
why = "no port"
last = { gcc = "4.2" }
"#;

fn all(form: Form) -> String {
    let matrix = Matrix::load(&[SourceFile::from_text(Path::new("targets.toml"), TARGETS.to_owned())]).unwrap();
    let record = Record::new();
    format!("{}-----\n{}", list(&matrix, &record, form), one(matrix.target("a").unwrap(), &matrix, &record, form))
}

#[test]
fn everything_known_is_told_in_each_form() {
    insta::assert_snapshot!("text", all(Form::Text));
    insta::assert_snapshot!("markdown", all(Form::Markdown));
    insta::assert_snapshot!("json", all(Form::Json));
}
