//! Applies patches with the host's GNU patch.

use super::Error;
use crate::process::Tool;
use std::path::Path;

/// A patch whose text is at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Patch {
    /// For messages.
    pub(super) name: String,
    /// The patch itself.
    pub(super) text: Vec<u8>,
    /// `patch -p`.
    pub(super) strip: u32,
}

/// Applies `patch` in `tree`. No fuzz: a hunk whose context has changed was
/// written for another source. Leaves neither `.orig` nor `.rej`.
pub(super) fn apply(tree: &Path, patch: &Patch) -> Result<(), Error> {
    let arguments = [
        "--batch".to_owned(),
        "--forward".to_owned(),
        "--fuzz=0".to_owned(),
        "--no-backup-if-mismatch".to_owned(),
        "--reject-file=-".to_owned(),
        "--read-only=ignore".to_owned(),
        format!("--strip={}", patch.strip),
    ];
    let output = Tool::new("patch")
        .args(arguments)
        .dir(tree)
        .env("LC_ALL", "C")
        .without_env(["POSIXLY_CORRECT", "PATCH_GET", "SIMPLE_BACKUP_SUFFIX"])
        .run(patch.text.as_slice())
        .map_err(|source| Error::Program { program: "patch", source })?;
    if output.status.success() {
        return Ok(());
    }
    let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Err(Error::Patch { patch: patch.name.clone(), reject: first_complaint(&printed) })
}

/// Returns the first line that reports a failure, with the file that it concerns.
fn first_complaint(printed: &[String; 2]) -> String {
    const TELLING: [&str; 7] =
        ["FAILED", "can't find file", "malformed", "Reversed", "Only garbage", "ignoring", "Ignoring"];
    let mut file = "";
    for line in printed.iter().flat_map(|text| text.lines()) {
        if let Some(name) = line.strip_prefix("patching file ") {
            file = name;
        } else if TELLING.iter().any(|word| line.contains(word)) {
            let line = line.trim_start_matches("patch: **** ").trim_end_matches('.');
            return if file.is_empty() { line.to_owned() } else { format!("{file}: {line}") };
        }
    }
    printed.iter().rev().flat_map(|text| text.lines()).next().unwrap_or("patch failed without a message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIFF: &str = "--- a/dir/file\n+++ b/dir/file\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+new\n";

    fn tree(content: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir(dir.path().join("dir")).unwrap();
        fs_err::write(dir.path().join("dir/file"), content).unwrap();
        dir
    }

    fn patch(text: &str) -> Patch {
        Patch { name: "fix.diff".to_owned(), text: text.into(), strip: 1 }
    }

    #[test]
    fn a_patch_applies_and_leaves_nothing_beside() {
        let dir = tree("one\ntwo\n");
        apply(dir.path(), &patch(DIFF)).unwrap();
        assert_eq!(fs_err::read_to_string(dir.path().join("dir/file")).unwrap(), "one\n2\n");
        assert_eq!(fs_err::read_to_string(dir.path().join("new")).unwrap(), "new\n");
        assert_eq!(fs_err::read_dir(dir.path().join("dir")).unwrap().count(), 1);
    }

    #[test]
    fn a_failure_names_the_patch_and_the_hunk() {
        let dir = tree("one\nzwei\n");
        let error = apply(dir.path(), &patch(DIFF)).unwrap_err();
        insta::assert_snapshot!(error, @"patch `fix.diff` does not apply: dir/file: Hunk #1 FAILED at 1");
        let error = apply(dir.path(), &patch("--- a/none\n+++ b/none\n@@ -1 +1 @@\n-x\n+y\n")).unwrap_err();
        insta::assert_snapshot!(error, @"patch `fix.diff` does not apply: can't find file to patch at input line 3");
        let error = apply(dir.path(), &patch("no patch\n")).unwrap_err();
        insta::assert_snapshot!(error, @"patch `fix.diff` does not apply: Only garbage was found in the patch input");
        let applied = tree("one\n2\n");
        let error = apply(applied.path(), &patch(DIFF)).unwrap_err();
        assert!(error.to_string().contains("Reversed"), "{error}");
    }
}
