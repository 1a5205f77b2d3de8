//! The history of a git repository, read from its mirror in the cache, and its bisection by `git bisect`.
//!
//! git chooses the commits; which of them are good or bad is decided elsewhere. A bisection has a repository of its own
//! that borrows the objects of the mirror, so neither changes the other, and it is created again from the verdicts
//! whenever a command carries on.

use super::{Error, git};
use crate::base::files;
use crate::process::Tool;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// The exit code of `git bisect` when only skipped commits are left.
const ONLY_SKIPPED: i32 = 2;

/// A commit, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The whole id.
    pub id: String,
    /// The ids of its parents.
    pub parents: Vec<String>,
    /// Name and address of the author.
    pub author: String,
    /// Date of the author, RFC 3339.
    pub date: String,
    /// First line of the message.
    pub subject: String,
    /// The rest of the message.
    pub body: String,
}

impl Commit {
    /// Returns the short id.
    #[must_use]
    pub fn short(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }
}

/// The outcome of a tested commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It does not have the failure.
    Good,
    /// It has the failure.
    Bad,
    /// It cannot be tested.
    Skip,
}

impl Verdict {
    /// Returns the word that git and every output use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Skip => "skip",
        }
    }
}

/// The number of commits that can still be the first bad one, and of steps that are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Commits, with the last bad one.
    pub commits: u64,
    /// Steps, estimated by git.
    pub steps: u64,
}

/// The state of a bisection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Test this commit.
    Test(String, Left),
    /// This is the first bad commit.
    Found(String),
    /// One of these is, oldest first, and all but the last were skipped.
    OneOf(Vec<String>),
}

/// The history of a repository.
#[derive(Debug, Clone)]
pub struct History {
    mirror: PathBuf,
    url: String,
}

impl History {
    pub(super) fn new(mirror: PathBuf, url: &str) -> Self {
        Self { mirror, url: url.to_owned() }
    }

    /// Returns the id of a commit by any of its names; `None` if the repository has no such commit.
    pub fn commit(&self, rev: &str) -> Result<Option<String>, Error> {
        // Nothing that git would take for an option is a revision.
        if git::check(&self.url, rev).is_err() {
            return Ok(None);
        }
        let revision = format!("{rev}^{{commit}}");
        let output = self.ask(&["rev-parse", "--verify", "--quiet", "--end-of-options", &revision])?;
        Ok(output.map(|id| id.trim().to_owned()))
    }

    /// Returns whether `old` is an ancestor of `new`, or `new` itself.
    pub fn is_ancestor(&self, old: &str, new: &str) -> Result<bool, Error> {
        Ok(self.ask(&["merge-base", "--is-ancestor", old, new])?.is_some())
    }

    /// Returns the newest common ancestor of two commits.
    pub fn merge_base(&self, a: &str, b: &str) -> Result<Option<String>, Error> {
        Ok(self.ask(&["merge-base", a, b])?.map(|id| id.trim().to_owned()))
    }

    /// Returns whether the repository lacks the beginning of its history.
    pub fn is_shallow(&self) -> Result<bool, Error> {
        Ok(self.read(&["rev-parse", "--is-shallow-repository"])?.trim() == "true")
    }

    /// Returns what git records of a commit.
    pub fn describe(&self, id: &str) -> Result<Commit, Error> {
        let format = "--format=%H%x00%P%x00%an <%ae>%x00%aI%x00%s%x00%b";
        let text = self.read(&["show", "--no-patch", "--no-show-signature", format, id, "--"])?;
        let mut fields = text.splitn(6, '\0').map(|field| field.trim().to_owned());
        let mut next = || fields.next().unwrap_or_default();
        let (id, parents) = (next(), next());
        let parents = parents.split_whitespace().map(str::to_owned).collect();
        Ok(Commit { id, parents, author: next(), date: next(), subject: next(), body: next() })
    }

    /// Returns which files a commit changed, with the number of lines.
    pub fn files_changed(&self, id: &str) -> Result<String, Error> {
        self.read(&["show", "--format=", "--stat", "--no-color", "--first-parent", id, "--"])
    }

    /// Returns a file of a commit; `None` if it has none of this name.
    pub fn file(&self, id: &str, path: &str) -> Result<Option<String>, Error> {
        if self.read(&["ls-tree", "--name-only", id, "--", path])?.is_empty() {
            return Ok(None);
        }
        self.read(&["cat-file", "blob", &format!("{id}:{path}")]).map(Some)
    }

    fn read(&self, args: &[&str]) -> Result<String, Error> {
        let why = || Error::Git { doing: "read".to_owned(), url: self.url.clone(), why: args.join(" ") };
        self.ask(args)?.ok_or_else(why)
    }

    // What git prints; `None` where it answers no. Anything else than 0 and 1 is no answer.
    fn ask(&self, args: &[&str]) -> Result<Option<String>, Error> {
        let output = self.git().args(args).run(io::empty());
        let output = output.map_err(|source| Error::Program { program: "git", source })?;
        match output.status.code() {
            Some(0) => Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned())),
            Some(1) => Ok(None),
            _ => Err(Error::Git {
                doing: "read".to_owned(),
                url: self.url.clone(),
                why: git::last_words(&output.stderr),
            }),
        }
    }

    fn git(&self) -> Tool {
        git::local(&self.mirror)
    }
}

/// A bisection between two commits.
#[derive(Debug)]
pub struct Bisection<'a> {
    history: &'a History,
    dir: PathBuf,
}

impl<'a> Bisection<'a> {
    /// Starts with a repository in `dir`, which is replaced.
    pub fn start(history: &'a History, dir: &Path, good: &str, bad: &str) -> Result<Self, Error> {
        files::remove_tree(dir)?;
        let bisection = Self { history, dir: dir.to_owned() };
        let format = history.read(&["rev-parse", "--show-object-format"])?;
        bisection.done(&["init", "--quiet", "--bare", "--template=", "--object-format", format.trim()])?;
        let objects = std::path::absolute(&history.mirror)?.join("objects");
        fs_err::create_dir_all(dir.join("objects/info"))?;
        fs_err::write(dir.join("objects/info/alternates"), format!("{}\n", objects.display()))?;
        // `git bisect` notes where to return to.
        bisection.done(&["update-ref", "--no-deref", "HEAD", bad])?;
        bisection.done(&["bisect", "start", "--no-checkout", bad, good])?;
        Ok(bisection)
    }

    /// Adds a verdict.
    pub fn mark(&self, commit: &str, verdict: Verdict) -> Result<(), Error> {
        self.done(&["bisect", verdict.as_str(), commit])
    }

    /// Returns what to do next.
    pub fn next(&self) -> Result<Next, Error> {
        let refs = self.read(&["for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/bisect"])?;
        let marked = |word: &str| -> Vec<&str> {
            refs.lines()
                .filter_map(|line| line.split_once(' '))
                .filter(|(name, _)| name.starts_with(word))
                .map(|(_, id)| id)
                .collect()
        };
        let (skipped, good) = (marked("skip"), marked("good"));
        let range = [&["refs/bisect/bad", "--not"], &good[..]].concat();
        let candidates = self.read(&[&["rev-list", "--topo-order", "--reverse"], &range[..]].concat())?;
        let candidates: Vec<String> = candidates.lines().map(str::to_owned).collect();
        let Some((bad, others)) = candidates.split_last() else {
            return Err(self.failed("it has no commit between its ends"));
        };
        if others.is_empty() {
            return Ok(Next::Found(bad.clone()));
        }
        if others.iter().all(|commit| skipped.contains(&commit.as_str())) {
            return Ok(Next::OneOf(candidates));
        }
        let vars = self.read(&[&["rev-list", "--bisect-vars"], &range[..]].concat())?;
        let number = |name: &str| {
            let line = vars.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            line.and_then(|value| value.parse().ok()).unwrap_or(0)
        };
        let left = Left { commits: candidates.len() as u64, steps: number("bisect_steps").max(1) };
        let commit = self.read(&["rev-parse", "--verify", "BISECT_HEAD"])?;
        Ok(Next::Test(commit.trim().to_owned(), left))
    }

    fn done(&self, args: &[&str]) -> Result<(), Error> {
        self.read(args).map(drop)
    }

    fn read(&self, args: &[&str]) -> Result<String, Error> {
        let output = git::local(&self.dir).args(args).run(io::empty());
        let output = output.map_err(|source| Error::Program { program: "git", source })?;
        let is_end = args.first() == Some(&"bisect") && output.status.code() == Some(ONLY_SKIPPED);
        if output.status.success() || is_end {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(self.failed(&git::last_words(&output.stderr)))
    }

    fn failed(&self, why: &str) -> Error {
        Error::Git { doing: "bisect".to_owned(), url: self.history.url.clone(), why: why.to_owned() }
    }
}

/// Returns the differences between two directories below `dir` as a patch, without colours.
pub fn difference(dir: &Path, old: &Path, new: &Path) -> Result<String, Error> {
    let tool = git::unconfigured().args(["diff", "--no-index", "--no-color", "--no-ext-diff", "--"]);
    let output = tool.arg(old).arg(new).dir(dir).run(io::empty());
    let output = output.map_err(|source| Error::Program { program: "git", source })?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
