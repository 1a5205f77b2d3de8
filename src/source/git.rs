//! Sources out of git repositories, through a bare mirror in the cache.
//!
//! A URL or revision never becomes an option of git, and git never asks.

use super::tree::{Tree, Unpacked};
use super::{Error, unpack};
use crate::base::files;
use crate::process::Tool;
use std::path::Path;
use std::sync::atomic::AtomicBool;

const TOLD: [(&str, &str); 3] = [("GIT_TERMINAL_PROMPT", "0"), ("LC_ALL", "C"), ("GIT_ASKPASS", "true")];
/// A repository named by the environment would be taken for the mirror.
const HIDDEN: [&str; 6] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
];

/// Whether `rev` is a whole commit id, which no fetch can change.
pub(super) fn is_commit(rev: &str) -> bool {
    matches!(rev.len(), 40 | 64) && rev.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn check(url: &str, rev: &str) -> Result<(), Error> {
    let why = if url.starts_with('-') || url.is_empty() {
        "a repository does not begin with `-`"
    } else if url.contains("::") {
        "remote helpers (`ext::`) are not used"
    } else if rev.starts_with('-') || rev.is_empty() {
        "a revision does not begin with `-`"
    } else if url.chars().chain(rev.chars()).any(char::is_control) {
        "it holds control characters"
    } else {
        return Ok(());
    };
    Err(Error::Git { doing: format!("find `{rev}` in"), url: url.to_owned(), why: why.to_owned() })
}

/// Brings the mirror of `url` up to date, unless `offline` or `rev` is a
/// commit it has, and answers with the commit that `rev` means.
/// The caller holds the mirror's lock.
pub(super) async fn resolve(mirror: &Path, url: &str, rev: &str, offline: bool) -> Result<String, Error> {
    check(url, rev)?;
    if mirror.is_dir() {
        let there = parse(mirror, url, rev).await;
        if there.is_ok() && (offline || is_commit(rev)) {
            return there;
        }
        if offline {
            return Err(Error::Offline { sources: vec![format!("git+{url}#{rev}")] });
        }
        fetch(mirror, url, &[]).await?;
    } else if offline {
        return Err(Error::Offline { sources: vec![format!("git+{url}#{rev}")] });
    } else {
        clone(mirror, url).await?;
    }
    let found = parse(mirror, url, rev).await;
    if found.is_err() && is_commit(rev) {
        // A commit of no branch, if the server gives those out.
        fetch(mirror, url, &[rev]).await?;
        return parse(mirror, url, rev).await;
    }
    found
}

async fn fetch(mirror: &Path, url: &str, refs: &[&str]) -> Result<(), Error> {
    let command = git(mirror).args(["fetch", "--quiet", "--prune", "--force", "origin"]).args(refs);
    run(&command, "fetch", url).await.map(drop)
}

/// Clones beside the mirror and renames, so that a clone cut short is never taken for one.
async fn clone(mirror: &Path, url: &str) -> Result<(), Error> {
    let unfinished = mirror.with_extension("cloning");
    files::remove_tree(&unfinished)?;
    if let Some(dir) = mirror.parent() {
        fs_err::create_dir_all(dir)?;
    }
    let command = plain_git().args(["clone", "--quiet", "--mirror", "--", url]).arg(&unfinished);
    run(&command, "clone", url).await?;
    fs_err::rename(&unfinished, mirror)?;
    Ok(())
}

async fn parse(mirror: &Path, url: &str, rev: &str) -> Result<String, Error> {
    let revision = format!("{rev}^{{commit}}");
    let command = git(mirror).args(["rev-parse", "--verify", "--quiet", "--end-of-options"]).arg(revision);
    let commit = run(&command, &format!("find `{rev}` in"), url).await?;
    Ok(commit.trim().to_owned())
}

fn git(mirror: &Path) -> Tool {
    plain_git().arg("--git-dir").arg(mirror)
}

fn plain_git() -> Tool {
    Tool::new("git").envs(TOLD).without_env(HIDDEN)
}

async fn run(command: &Tool, doing: &str, url: &str) -> Result<String, Error> {
    let output = command.output().await.map_err(|source| Error::Program { program: "git", source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Error::Git { doing: doing.to_owned(), url: url.to_owned(), why: last_words(&output.stderr) })
}

fn last_words(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let telling = lines.clone().find(|line| line.starts_with("fatal:") || line.starts_with("error:"));
    let line = telling.or(lines.next_back()).unwrap_or("there is no such revision");
    line.trim_start_matches("fatal: ").trim_start_matches("error: ").to_owned()
}

/// Fills `dest` with the tree of `commit`, patched and read-only.
pub(super) fn unpack(
    mirror: &Path,
    url: &str,
    commit: &str,
    wanted: &[unpack::Wanted<'_>],
    dest: &Path,
    cancel: &AtomicBool,
) -> Result<Unpacked, Error> {
    let patches = unpack::texts(wanted, url)?;
    let command = git(mirror).args(["archive", "--format=tar", commit]);
    let mut stream = command.stream().map_err(|source| Error::Program { program: "git", source })?;
    let mut tree = Tree::begin(dest, cancel)?;
    unpack::entries(&mut tree, &mut stream, &format!("{url}#{commit}"), 0)?;
    std::io::copy(&mut stream, &mut std::io::sink())?;
    match stream.ended() {
        Ok(Some(output)) if output.status.success() => unpack::finish(tree, dest, &patches),
        Ok(output) => {
            let why = output.map_or_else(|| "it did not end".to_owned(), |output| last_words(&output.stderr));
            Err(Error::Git { doing: format!("archive `{commit}` of"), url: url.to_owned(), why })
        }
        Err(source) => Err(Error::Program { program: "git", source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_becomes_an_option() {
        for (url, rev) in
            [("--upload-pack=x", "main"), ("ext::sh -c x", "main"), ("/repo", "--all"), ("/repo", ""), ("", "x")]
        {
            assert!(check(url, rev).is_err(), "{url} {rev}");
        }
        assert!(check("https://git.example/gcc.git", "releases/gcc-16.2.0").is_ok());
        assert!(check("user@git.example:gcc.git", "master").is_ok());
    }

    fn sh(dir: &Path, command: &str) -> String {
        let environment = "export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a GIT_COMMITTER_NAME=a \
                           GIT_COMMITTER_EMAIL=a GIT_AUTHOR_DATE=2001-09-09T00:00:00Z GIT_COMMITTER_DATE=2001-09-09T00:00:00Z;";
        let tool = Tool::new("sh").args(["-ec", &format!("{environment} {command}")]).dir(dir);
        let output = tool.run(std::io::empty()).unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    #[tokio::test]
    async fn a_commit_is_found_fetched_and_unpacked() {
        let dir = tempfile::tempdir().unwrap();
        let first = sh(
            dir.path(),
            "git init -q -b main repo; cd repo; mkdir sub; echo one >sub/file; ln -s sub/file link; git add .; \
             git commit -qm 1; git tag v1; git rev-parse HEAD",
        );
        let (repo, mirror) = (dir.path().join("repo"), dir.path().join("cache/mirror.git"));
        let url = repo.to_str().unwrap();
        assert!(matches!(resolve(&mirror, url, "v1", true).await, Err(Error::Offline { .. })));
        assert_eq!(resolve(&mirror, url, "v1", false).await.unwrap(), first);
        let second = sh(&repo, "echo two >sub/file; git commit -qam 2; git rev-parse HEAD");
        assert_eq!(resolve(&mirror, url, "main", true).await.unwrap(), first);
        assert_eq!(resolve(&mirror, url, "main", false).await.unwrap(), second);
        assert_eq!(resolve(&mirror, url, &first[..10], true).await.unwrap(), first);
        let error = resolve(&mirror, url, "v9", false).await.unwrap_err();
        assert!(error.to_string().contains("there is no such revision"), "{error}");

        let dest = dir.path().join("tree");
        let never = AtomicBool::new(false);
        let unpacked = unpack(&mirror, url, &first, &[], &dest, &never).unwrap();
        assert_eq!(unpacked, Unpacked { files: 2, bytes: 4 });
        assert_eq!(fs_err::read_to_string(dest.join("link")).unwrap(), "one\n");
        let missing = unpack(&mirror, url, &"0".repeat(40), &[], &dir.path().join("none"), &never);
        assert!(matches!(missing, Err(Error::Git { .. })), "{missing:?}");
        files::remove_tree(&dest).unwrap();
    }
}
