//! Fetches sources from git repositories through a bare mirror in the cache.
//!
//! A URL or revision never becomes an option of git, and git never asks. What
//! is read out of the mirror depends on the commit alone: the user's
//! configuration is used to reach a server and for nothing else.

use super::tree::{Tree, Unpacked};
use super::{Error, unpack};
use crate::base::{files, secret};
use crate::process::Tool;
use std::borrow::Cow;
use std::path::Path;
use std::sync::atomic::AtomicBool;

const ENVIRONMENT: [(&str, &str); 3] = [("GIT_TERMINAL_PROMPT", "0"), ("LC_ALL", "C"), ("GIT_ASKPASS", "true")];
/// A repository named by the environment would be taken for the mirror.
const HIDDEN: [&str; 6] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
];

/// Line ends, filters and attributes of the user's or the system's would change the bytes of a commit.
const PLAIN: [(&str, &str); 3] =
    [("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_ATTR_NOSYSTEM", "1")];
const UNCONFIGURED: [&str; 4] = ["GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_SYSTEM", "GIT_ATTR_SOURCE"];
/// The mirror may belong to another user of the store, and has no attributes of its own.
const SETTINGS: [&str; 4] = ["-c", "safe.directory=*", "-c", "core.attributesFile=/dev/null"];
/// In a mirror: git could not read what it should have.
const DAMAGED: &str = "crossmill-damaged";

/// Returns whether `rev` is a whole commit id, which no fetch can change.
pub(super) fn is_commit(rev: &str) -> bool {
    matches!(rev.len(), 40 | 64) && rev.bytes().all(|byte| byte.is_ascii_hexdigit())
}

pub(super) fn check(url: &str, rev: &str) -> Result<(), Error> {
    let why = if url.starts_with('-') || url.is_empty() {
        "a repository does not begin with `-`"
    } else if url.contains("::") {
        "remote helpers (`ext::`) are not used"
    } else if rev.starts_with('-') || rev.is_empty() {
        "a revision does not begin with `-`"
    } else if url.chars().chain(rev.chars()).any(char::is_control) {
        "it contains control characters"
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
    if !is_damaged(mirror)? {
        let there = parse(mirror, url, rev).await;
        if there.is_ok() && (offline || is_commit(rev)) {
            return there;
        }
    }
    if offline {
        return Err(Error::Offline { sources: vec![format!("git+{url}#{rev}")] });
    }
    bring_up_to_date(mirror, url).await?;
    let found = parse(mirror, url, rev).await;
    if found.is_err() && is_commit(rev) {
        // A commit of no branch, if the server gives those out.
        fetch(mirror, url, &[rev]).await?;
        return parse(mirror, url, rev).await;
    }
    found
}

/// Brings the mirror of `url` up to date, or only requires that there is one if `offline`.
/// The caller holds the mirror's lock.
pub(super) async fn refresh(mirror: &Path, url: &str, offline: bool) -> Result<(), Error> {
    check(url, "HEAD")?;
    match (offline, is_damaged(mirror)?) {
        (true, true) => Err(Error::Offline { sources: vec![format!("git+{url}")] }),
        (true, false) => Ok(()),
        (false, _) => bring_up_to_date(mirror, url).await,
    }
}

async fn bring_up_to_date(mirror: &Path, url: &str) -> Result<(), Error> {
    if is_damaged(mirror)? {
        return clone(mirror, url).await;
    }
    match fetch(mirror, url, &[]).await {
        // A server that is away is no reason to fetch everything again.
        Err(error) if is_sound(mirror, url).await => Err(error),
        Err(_) => clone(mirror, url).await,
        Ok(()) => Ok(()),
    }
}

/// Notes that the mirror lacks what it should have; the next [`resolve`] clones it again.
pub(super) fn mark_damaged(mirror: &Path) -> Result<(), Error> {
    match files::lstat(mirror)? {
        Some(_) => Ok(fs_err::write(mirror.join(DAMAGED), "")?),
        None => Ok(()),
    }
}

/// Returns whether the mirror was marked, or is gone.
pub(super) fn is_damaged(mirror: &Path) -> Result<bool, Error> {
    Ok(files::lstat(mirror)?.is_none() || files::lstat(&mirror.join(DAMAGED))?.is_some())
}

async fn is_sound(mirror: &Path, url: &str) -> bool {
    run(&fsck(mirror), "check", url).await.is_ok()
}

fn fsck(mirror: &Path) -> Tool {
    local(mirror).args(["fsck", "--connectivity-only", "--no-dangling", "--no-progress"])
}

async fn fetch(mirror: &Path, url: &str, refs: &[&str]) -> Result<(), Error> {
    let command = with_credentials(url).arg("--git-dir").arg(mirror);
    let command = command.args(["fetch", "--quiet", "--prune", "--force", "origin"]).args(refs);
    run(&command, "fetch", url).await.map(drop)
}

/// Clones beside the mirror and renames, so that a clone cut short is never taken for one, and a damaged mirror
/// is kept until there is a new one.
async fn clone(mirror: &Path, url: &str) -> Result<(), Error> {
    let unfinished = mirror.with_extension("cloning");
    files::remove_tree(&unfinished)?;
    if let Some(dir) = mirror.parent() {
        fs_err::create_dir_all(dir)?;
    }
    let command = with_credentials(url).args(["clone", "--quiet", "--mirror", "--origin=origin", "--template=", "--"]);
    run(&command.arg(secret::bare(url).as_ref()).arg(&unfinished), "clone", url).await?;
    let old = mirror.with_extension("old");
    files::remove_tree(&old)?;
    if files::lstat(mirror)?.is_some() {
        fs_err::rename(mirror, &old)?;
    }
    fs_err::rename(&unfinished, mirror)?;
    Ok(files::remove_tree(&old)?)
}

async fn parse(mirror: &Path, url: &str, rev: &str) -> Result<String, Error> {
    let revision = format!("{rev}^{{commit}}");
    let command = local(mirror).args(["rev-parse", "--verify", "--quiet", "--end-of-options"]).arg(revision);
    let commit = run(&command, &format!("find `{rev}` in"), url).await?;
    Ok(commit.trim().to_owned())
}

/// git on what the mirror has.
pub(super) fn local(mirror: &Path) -> Tool {
    unconfigured().arg("--git-dir").arg(mirror)
}

/// git without the user's and the system's configuration.
pub(super) fn unconfigured() -> Tool {
    with_server().envs(PLAIN).without_env(UNCONFIGURED).args(SETTINGS)
}

/// Lists what of a work tree belongs to its source: what git tracks, and what is new and not ignored. Here the
/// user's configuration counts, since it may list the files that an editor leaves behind.
pub(super) fn files_of(dir: &Path) -> Result<Vec<std::path::PathBuf>, Error> {
    use std::os::unix::ffi::OsStrExt as _;
    let command = with_server().arg("-C").arg(dir);
    let command = command.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let listed = command.run(std::io::empty()).map_err(|source| Error::Program { program: "git", source })?;
    if !listed.status.success() {
        let (doing, url) = ("list the files of".to_owned(), dir.display().to_string());
        return Err(Error::Git { doing, url, why: last_words(&listed.stderr) });
    }
    let names = listed.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let mut paths: Vec<_> = names.map(|name| std::path::PathBuf::from(std::ffi::OsStr::from_bytes(name))).collect();
    paths.sort();
    // A file in conflict is listed once for each side.
    paths.dedup();
    Ok(paths)
}

/// git that contacts a server: proxies and keys come from the user's configuration.
fn with_server() -> Tool {
    Tool::new("git").envs(ENVIRONMENT).without_env(HIDDEN)
}

/// git that contacts the server of `url`. Credentials are in neither the arguments nor the mirror's configuration:
/// git-config(1), `GIT_CONFIG_COUNT` and `url.<base>.insteadOf`.
fn with_credentials(url: &str) -> Tool {
    let Cow::Owned(bare) = secret::bare(url) else { return with_server() };
    let count = std::env::var("GIT_CONFIG_COUNT").ok().and_then(|count| count.parse::<u32>().ok()).unwrap_or(0);
    let settings = [
        ("GIT_CONFIG_COUNT".to_owned(), (count + 1).to_string()),
        (format!("GIT_CONFIG_KEY_{count}"), format!("url.{url}.insteadOf")),
        (format!("GIT_CONFIG_VALUE_{count}"), bare),
    ];
    with_server().envs(settings)
}

async fn run(command: &Tool, doing: &str, url: &str) -> Result<String, Error> {
    let output = command.output().await.map_err(|source| Error::Program { program: "git", source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Error::Git { doing: doing.to_owned(), url: url.to_owned(), why: last_words(&output.stderr) })
}

pub(super) fn last_words(stderr: &[u8]) -> String {
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
    let program = |source| Error::Program { program: "git", source };
    let known = local(mirror).args(["cat-file", "-e", commit]).run(std::io::empty()).map_err(program)?;
    if !known.status.success() {
        let why = last_words(&known.stderr);
        // A commit that was resolved once is missing from a sound mirror only after somebody else cleaned it.
        if !fsck(mirror).run(std::io::empty()).map_err(program)?.status.success() {
            return Err(Error::DamagedMirror { url: url.to_owned(), why });
        }
        return Err(Error::Git { doing: format!("find `{commit}` in"), url: url.to_owned(), why });
    }
    refuse_submodules(mirror, url, commit)?;
    let damaged = |why: String| Error::DamagedMirror { url: url.to_owned(), why };
    let mut stream = local(mirror).args(["archive", "--format=tar", commit]).stream().map_err(program)?;
    let mut tree = Tree::begin(dest, cancel)?;
    let filled = unpack::entries(&mut tree, &mut stream, &format!("{url}#{commit}"), 0)
        .and_then(|()| std::io::copy(&mut stream, &mut std::io::sink()).map_err(Error::Io));
    match filled {
        // The stream ended within a file.
        Err(Error::Archive { source, .. }) => return Err(damaged(source.to_string())),
        Err(error) => return Err(error),
        Ok(_) => {}
    }
    match stream.ended() {
        Ok(Some(output)) if output.status.success() => unpack::finish(tree, dest, &patches),
        Ok(output) => {
            Err(damaged(output.map_or_else(|| "it did not end".to_owned(), |output| last_words(&output.stderr))))
        }
        Err(source) => Err(program(source)),
    }
}

/// `git archive` leaves submodules out without a word.
fn refuse_submodules(mirror: &Path, url: &str, commit: &str) -> Result<(), Error> {
    let listed = local(mirror).args(["ls-tree", "-r", "-z", "--full-tree", commit]).run(std::io::empty());
    let listed = listed.map_err(|source| Error::Program { program: "git", source })?;
    if !listed.status.success() {
        return Err(Error::DamagedMirror { url: url.to_owned(), why: last_words(&listed.stderr) });
    }
    // git-ls-tree(1): `<mode> <type> <object>\t<file>`; a submodule is of type `commit`.
    let entries = listed.stdout.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let paths: Vec<String> = entries
        .filter_map(|entry| {
            let (head, path) = entry.split_once('\t')?;
            (head.split(' ').nth(1) == Some("commit")).then(|| path.to_owned())
        })
        .collect();
    if paths.is_empty() { Ok(()) } else { Err(Error::Submodules { url: url.to_owned(), paths }) }
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

    fn content(dir: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
        let entries = fs_err::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> =
            entries.filter(|path| path.is_file()).map(|path| (path.clone(), fs_err::read(path).unwrap())).collect();
        files.sort();
        files
    }

    #[tokio::test]
    async fn submodules_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        sh(dir.path(), "git init -q -b main inner; cd inner; echo x >x; git add .; git commit -qm 1");
        let commit = sh(
            dir.path(),
            "git init -q -b main repo; cd repo; git -c protocol.file.allow=always submodule --quiet add ../inner lib/inner; \
             git commit -qm 1; git rev-parse HEAD",
        );
        let (repo, mirror) = (dir.path().join("repo"), dir.path().join("mirror.git"));
        let url = repo.to_str().unwrap();
        resolve(&mirror, url, "main", false).await.unwrap();
        let error = unpack(&mirror, url, &commit, &[], &dir.path().join("tree"), &AtomicBool::new(false)).unwrap_err();
        assert!(matches!(&error, Error::Submodules { paths, .. } if paths == &["lib/inner"]), "{error}");
    }

    #[tokio::test]
    async fn a_damaged_mirror_is_cloned_again() {
        let dir = tempfile::tempdir().unwrap();
        let commit = sh(
            dir.path(),
            "git init -q -b main repo; cd repo; echo one >file; git add .; git commit -qm 1; git rev-parse HEAD",
        );
        let (repo, mirror) = (dir.path().join("repo"), dir.path().join("mirror.git"));
        let url = format!("file://{}", repo.display());
        let never = AtomicBool::new(false);
        resolve(&mirror, &url, "main", false).await.unwrap();
        let blob = sh(&repo, "git rev-parse HEAD:file");
        // An object is cut short, wherever it is.
        for dir in files::directories(&mirror.join("objects")).unwrap() {
            for (path, bytes) in content(&dir) {
                let is_it = path.display().to_string().ends_with(&format!("{}/{}", &blob[..2], &blob[2..]));
                if is_it || path.extension().is_some_and(|extension| extension == "pack") {
                    files::remove_tree(&path).unwrap();
                    fs_err::write(&path, &bytes[..bytes.len() / 2]).unwrap();
                }
            }
        }
        let torn = unpack(&mirror, &url, &commit, &[], &dir.path().join("torn"), &never);
        assert!(torn.is_err(), "{torn:?}");
        mark_damaged(&mirror).unwrap();
        assert_eq!(resolve(&mirror, &url, "main", false).await.unwrap(), commit);
        unpack(&mirror, &url, &commit, &[], &dir.path().join("tree"), &never).unwrap();
        // A mirror that cannot be fetched into is found by itself.
        files::remove_tree(&mirror.join("objects")).unwrap();
        fs_err::create_dir_all(mirror.join("objects")).unwrap();
        assert_eq!(resolve(&mirror, &url, "main", false).await.unwrap(), commit);
        files::remove_tree(&dir.path().join("tree")).unwrap();
    }
}
