//! Origin of installed archives: a release, or a directory in the shape of kernel.org's.

use super::super::Error;
use super::super::index::is_inside;
use crate::base::{Key, Sha256, files, secret};
use crate::config::source::{Origin as SourceOrigin, Pin, SourceSpec};
use crate::source::{Fetcher, Progress};
use reqwest::Url;
use std::fmt;
use std::path::{Path, PathBuf};

/// No index, list of sums or signature is larger.
const MOST_TEXT: u64 = 16 << 20;

/// A directory or the URL of one, without a file name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// On this machine; absolute.
    Directory(PathBuf),
    /// On a server; ends in a slash.
    Server(Url),
}

impl Origin {
    /// Parses what the user named; the index or the list of sums in it may be named too.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let unusable = |why: String| Error::Remote { place: text.to_owned(), why };
        let is_file = |name: &str| [super::INDEX, super::SUMS].contains(&name);
        if text.contains("://") {
            let mut url = Url::parse(text).map_err(|error| unusable(error.to_string()))?;
            if !matches!(url.scheme(), "http" | "https") {
                return Err(Error::Unsupported { what: format!("installing from `{}:`", url.scheme()) });
            }
            url.set_query(None);
            url.set_fragment(None);
            let path = url.path().to_owned();
            let (directory, last) = path.rsplit_once('/').unwrap_or(("", &path));
            let directory = if is_file(last) || last.is_empty() { directory } else { &path };
            url.set_path(&format!("{directory}/"));
            return Ok(Self::Server(url));
        }
        let path = fs_err::canonicalize(text)?;
        match path.file_name().and_then(|name| name.to_str()) {
            Some(name) if path.is_file() && is_file(name) => {
                Ok(Self::Directory(path.parent().unwrap_or(&path).to_owned()))
            }
            _ if path.is_dir() => Ok(Self::Directory(path)),
            _ => Err(unusable("it is neither a directory nor an index".to_owned())),
        }
    }

    /// Returns what a key is trusted for: the server, or the directory.
    #[must_use]
    pub fn publisher(&self) -> String {
        match self {
            Self::Directory(path) => path.display().to_string(),
            Self::Server(url) => url.origin().ascii_serialization(),
        }
    }

    /// Returns a file name for [`publisher`](Self::publisher).
    pub(super) fn publisher_file(&self) -> String {
        let slug = |text: &str| text.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-");
        match self {
            Self::Directory(path) => {
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                format!("{}-{}.json", slug(&name), Key::of(self.publisher().as_bytes()).short())
            }
            Self::Server(url) => {
                let host = url.host_str().unwrap_or_default();
                format!("{}-{}.json", slug(host), Key::of(self.publisher().as_bytes()).short())
            }
        }
    }

    /// Returns the name of one of its files for messages.
    #[must_use]
    pub fn place(&self, path: &str) -> String {
        match self {
            Self::Directory(dir) => dir.join(path).display().to_string(),
            Self::Server(url) => format!("{url}{path}"),
        }
    }

    /// Reads a small file; none where it does not exist.
    pub(super) async fn text(
        &self,
        path: &str,
        fetcher: &Fetcher,
        progress: &dyn Progress,
    ) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Self::Directory(dir) => Ok(files::read_if_present(&dir.join(path))?),
            Self::Server(_) => Ok(fetcher.text(&self.place(path), MOST_TEXT, progress).await?),
        }
    }

    /// Returns an archive of it as a source with a pin.
    pub(super) fn source(&self, path: &str, sha256: Sha256, bytes: Option<u64>) -> Result<SourceSpec, Error> {
        if !is_inside(path) {
            return Err(Error::Index { path: self.place(""), why: format!("the path `{path}` leads out of it") });
        }
        let from = match self {
            Self::Directory(dir) => SourceOrigin::Local(regular(&dir.join(path))?),
            Self::Server(_) => SourceOrigin::Url(self.place(path)),
        };
        let pin = Pin::Sha256(sha256);
        Ok(SourceSpec { from, pin, size: bytes, limit: None, member: None, strip: 0, patches: Vec::new() })
    }
}

// Neither a named pipe, which never ends, nor a directory.
fn regular(path: &Path) -> Result<PathBuf, Error> {
    if fs_err::metadata(path)?.is_file() {
        return Ok(path.to_owned());
    }
    Err(Error::Remote { place: path.display().to_string(), why: "it is not a file".to_owned() })
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "{}", path.display()),
            // Kept in the record of what is installed, which is no place for a password.
            Self::Server(url) => f.write_str(&secret::bare(url.as_str())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_that_is_named_stands_for_its_directory() {
        let of = |text: &str| Origin::parse(text).unwrap().to_string();
        assert_eq!(of("https://a.example/pub"), "https://a.example/pub/");
        assert_eq!(of("https://a.example/pub/index.json?x=1#y"), "https://a.example/pub/");
        assert_eq!(of("https://a.example/bin/16.2.0/sha256sums.asc"), "https://a.example/bin/16.2.0/");
        assert_eq!(of("https://a.example"), "https://a.example/");
        assert_eq!(Origin::parse("https://a.example:8443/pub").unwrap().publisher(), "https://a.example:8443");
        assert!(matches!(Origin::parse("ftp://a.example/"), Err(Error::Unsupported { .. })));
        assert!(Origin::parse("/nowhere/at/all").is_err());
    }
}
