//! The commits that the branches and tags of a request stand for now.

use super::{Error, Session};
use crate::base::PackageName;
use crate::config::source::Origin;
use crate::plan::Request;
use crate::source::History;
use crate::source::history::Commit;
use crate::store::Store;

/// A source of a request that is a revision of a git repository.
#[derive(Debug, Clone)]
pub struct Newest {
    /// The package.
    pub package: PackageName,
    /// The repository.
    pub repository: String,
    /// The revision that was asked for: a branch, a tag or a commit.
    pub rev: String,
    /// The commit that it stands for.
    pub commit: Commit,
}

/// Fetches the repositories of a request and replaces the revisions in it by the commits that they stand for, so that
/// what is built has a name that does not move. Where the recipe can read a version from the tree, it is that of the commit.
///
/// # Errors
/// When a repository cannot be read, or has no such revision.
pub fn pin(session: &Session, store: &Store, request: &mut Request) -> Result<Vec<Newest>, Error> {
    let wanted: Vec<(PackageName, String, String)> = revisions(session, request);
    let fetcher = session.fetcher(store);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut found = Vec::new();
    for (package, repository, rev) in wanted {
        let history = runtime.block_on(fetcher.history(&repository, &()))?;
        let Some(id) = history.commit(&rev)? else {
            return Err(Error::Usage(vec![
                crate::base::Diagnostic::new(format!("`{repository}` has no revision `{rev}`"))
                    .hint("name a branch, a tag or a commit of it"),
            ]));
        };
        let version = version(session, &package, &history, &id)?;
        request.take_commit(&package, &repository, &id, version);
        found.push(Newest { package, repository, rev, commit: history.describe(&id)? });
    }
    Ok(found)
}

// The git sources that the user named, and versions whose first candidate is one.
fn revisions(session: &Session, request: &Request) -> Vec<(PackageName, String, String)> {
    let named = request.sources.iter().map(|(package, source)| (package, &source.from));
    let released = request.versions.iter().filter(|(package, _)| !request.sources.contains_key(*package));
    let released = released.filter_map(|(package, version)| {
        let release = session.config.recipes.get(package)?.release(version)?;
        Some((package, &release.sources.first()?.from))
    });
    let git = named.chain(released).filter_map(|(package, from)| match from {
        Origin::Git { url, rev } => Some((package.clone(), url.clone(), rev.clone())),
        _ => None,
    });
    git.collect()
}

/// Returns the version that a commit records, on which conditions of the recipe depend; `None` where the recipe cannot tell.
///
/// # Errors
/// When git cannot read it.
pub fn version(
    session: &Session,
    package: &PackageName,
    history: &History,
    commit: &str,
) -> Result<Option<crate::base::Version>, Error> {
    let recipe = session.config.recipes.get(package);
    let Some(from) = recipe.and_then(|recipe| recipe.version_from.as_ref()) else { return Ok(None) };
    Ok(history.file(commit, &from.file)?.and_then(|text| from.read(&text)))
}
