//! Which mirror of the Debian archive this host's apt uses.
//!
//! Only what speaks of the archive itself is taken: what other publishers
//! offer for Debian has no `pool/main/g/gcc-16`. A wrong guess costs one
//! answer of 404, never a wrong byte, because every file is pinned.

use super::Error;
use crate::source::apt::{self, Entry};
use std::io;
use std::path::{Path, PathBuf};

/// Where the archive's files are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// Files are below this URL.
    Url(String),
    /// Files are below this directory.
    Dir(PathBuf),
    /// This URL answers with a list of mirrors.
    List(String),
}

/// The configuration of the host's apt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirrors {
    /// Best first; never empty.
    pub bases: Vec<Base>,
    /// The value of `Acquire::http::Proxy`, unless it is `DIRECT`.
    pub proxy: Option<String>,
}

/// Returns the Debian mirrors: `chosen` if given, else those of the apt whose configuration is in
/// `apt_dir` (`/etc/apt`).
pub fn find(apt_dir: &Path, chosen: Option<&str>) -> Result<Mirrors, Error> {
    let bases = match chosen {
        Some(uri) => bases_of(uri)?,
        None => {
            let mut bases = Vec::new();
            for uri in ranked(&entries(apt_dir)?) {
                for base in bases_of(&uri)? {
                    if !bases.contains(&base) {
                        bases.push(base);
                    }
                }
            }
            bases
        }
    };
    if bases.is_empty() {
        return Err(Error::NoDebianMirror { apt_dir: apt_dir.to_owned() });
    }
    Ok(Mirrors { bases, proxy: proxy(apt_dir)? })
}

fn entries(apt_dir: &Path) -> Result<Vec<Entry>, Error> {
    let mut found = apt::parse_list(&text_of(&apt_dir.join("sources.list"))?);
    for path in files_of(&apt_dir.join("sources.list.d"))? {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("list") => found.extend(apt::parse_list(&text_of(&path)?)),
            Some("sources") => found.extend(apt::parse_sources(&text_of(&path)?)),
            _ => {}
        }
    }
    Ok(found)
}

fn proxy(apt_dir: &Path) -> Result<Option<String>, Error> {
    let mut paths = files_of(&apt_dir.join("apt.conf.d"))?;
    paths.push(apt_dir.join("apt.conf"));
    let mut found = None;
    for path in paths {
        found = apt::http_proxy(&text_of(&path)?).or(found);
    }
    Ok(found.filter(|proxy| !proxy.eq_ignore_ascii_case("direct")))
}

/// Returns whether an error means that a file is missing or not readable: apt's own files may be for root alone.
fn text_of(path: &Path) -> Result<String, Error> {
    match fs_err::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if is_ignored(&error) => Ok(String::new()),
        Err(error) => Err(error.into()),
    }
}

fn files_of(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = match fs_err::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if is_ignored(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| path.is_file());
    paths.sort();
    Ok(paths)
}

fn is_ignored(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::NotADirectory)
}

/// Returns the URIs of the entries that speak of the archive, surest first.
fn ranked(entries: &[Entry]) -> Vec<String> {
    let mut found: Vec<(u32, &String)> = Vec::new();
    for entry in entries {
        for uri in &entry.uris {
            if let Some(score) = score(entry, uri) {
                found.push((score, uri));
            }
        }
    }
    // Stable, so that equals stay in apt's order.
    found.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    found.into_iter().map(|(_, uri)| uri.clone()).collect()
}

fn score(entry: &Entry, uri: &str) -> Option<u32> {
    let path = path_of(uri);
    let other_archive = ["-security", "-debug", "-ports", "-archive"];
    if other_archive.iter().any(|end| path.ends_with(end)) || !entry.components.iter().any(|word| word == "main") {
        return None;
    }
    let ours = |suite: &&String| !suite.ends_with("-security") && !suite.ends_with("/updates");
    let suites: Vec<&String> = entry.suites.iter().filter(ours).collect();
    if suites.is_empty() {
        return None;
    }
    let signed = match &entry.signed_by {
        // A third party's archive for Debian may be named `…/debian bookworm main` too.
        Some(keyring) if !keyring.contains("debian-archive") => return None,
        Some(_) => 8,
        None => 0,
    };
    let placed = match path.as_str() {
        "/debian" => 4,
        path if path.ends_with("/debian") => 2,
        _ => 0,
    };
    let known = u32::from(suites.iter().any(|suite| is_debian_suite(suite)));
    (signed + placed + known > 0).then_some(signed + placed + known)
}

fn path_of(uri: &str) -> String {
    let after = uri.split_once("://").map_or(uri, |(_, after)| after);
    let path = after.find('/').map_or("", |at| &after[at..]);
    path.trim_end_matches('/').to_owned()
}

fn is_debian_suite(suite: &str) -> bool {
    const NAMES: [&str; 15] = [
        "stretch",
        "buster",
        "bullseye",
        "bookworm",
        "trixie",
        "forky",
        "duke",
        "sid",
        "stable",
        "testing",
        "unstable",
        "oldstable",
        "oldoldstable",
        "experimental",
        "rc-buggy",
    ];
    const POCKETS: [&str; 5] = ["", "-updates", "-backports", "-backports-sloppy", "-proposed-updates"];
    NAMES.iter().any(|name| suite.strip_prefix(name).is_some_and(|rest| POCKETS.contains(&rest)))
}

/// `mirror+file:/path` is read; `file:` is a directory; `http:`, `https:` stay.
fn bases_of(uri: &str) -> Result<Vec<Base>, Error> {
    let clean = |url: &str| url.trim_end_matches('/').to_owned();
    let local = |rest: &str| PathBuf::from(rest.strip_prefix("//").unwrap_or(rest));
    let Some((scheme, rest)) = uri.split_once(':') else { return Ok(Vec::new()) };
    Ok(match scheme {
        "http" | "https" => vec![Base::Url(clean(uri))],
        "file" | "copy" => vec![Base::Dir(local(rest))],
        "mirror" => vec![Base::List(format!("http:{rest}"))],
        "mirror+http" | "mirror+https" => vec![Base::List(uri["mirror+".len()..].to_owned())],
        "mirror+file" => {
            apt::parse_mirror_list(&text_of(&local(rest))?).iter().filter_map(|line| listed(line)).collect()
        }
        // cdrom, ftp, tor: nothing that could be asked here.
        _ => Vec::new(),
    })
}

/// Returns a line of a mirror list; a list in a list is not followed.
pub(super) fn listed(uri: &str) -> Option<Base> {
    if uri.starts_with("mirror") {
        return None;
    }
    bases_of(uri).ok()?.into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(sources: &str, list: &str, conf: &str) -> Result<Mirrors, Error> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [("sources.list.d/a.sources", sources), ("sources.list", list), ("apt.conf.d/00x", conf)] {
            let path = dir.path().join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        find(dir.path(), None)
    }

    fn url(text: &str) -> Base {
        Base::Url(text.to_owned())
    }

    const KEYRING: &str = "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n";

    #[test]
    fn the_archive_is_chosen_and_not_its_security_suite() {
        let sources = format!(
            "Types: deb\nURIs: http://mirror.example/debian-security\nSuites: bookworm-security\nComponents: main\n{KEYRING}\n\
             Types: deb\nURIs: http://mirror.example/debian/\nSuites: bookworm bookworm-updates\nComponents: main\n{KEYRING}"
        );
        assert_eq!(found(&sources, "", "").unwrap().bases, [url("http://mirror.example/debian")]);
    }

    #[test]
    fn third_parties_for_debian_are_not_the_archive() {
        let list = "deb https://docker.example/linux/debian bookworm stable\n\
                    deb [signed-by=/k/runner.gpg] https://runner.example/debian bookworm main\n\
                    deb http://other.example/repo nodistro main\n\
                    deb http://security.example/debian-security bookworm-security main\n\
                    deb http://old.example/debian bookworm/updates main\n";
        assert!(matches!(found("", list, ""), Err(Error::NoDebianMirror { .. })));
        let list = format!("{list}deb http://mirror.example/mirrors/dists/ trixie main\n");
        assert_eq!(found("", &list, "").unwrap().bases, [url("http://mirror.example/mirrors/dists")]);
    }

    #[test]
    fn the_surest_entry_comes_first() {
        let list = "deb http://named.example/cache sid main\n\
                    deb http://placed.example/debian stable main\n\
                    deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://signed.example/x sid main\n";
        let want = ["http://signed.example/x", "http://placed.example/debian", "http://named.example/cache"].map(url);
        assert_eq!(found("", list, "").unwrap().bases, want);
    }

    #[test]
    fn ubuntu_has_no_debian_mirror() {
        let sources = "Types: deb\nURIs: http://mirror.example/ubuntu\nSuites: noble noble-updates\nComponents: main\n\
                       Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg\n";
        let error = found(sources, "", "").unwrap_err();
        assert!(matches!(&error, Error::NoDebianMirror { .. }));
        assert!(find(Path::new("/nonexistent"), None).is_err());
        use crate::base::Diagnose as _;
        insta::assert_snapshot!(error.hints().join("\n"), @"name one with `--debian-mirror URL`");
    }

    #[test]
    fn a_mirror_list_on_this_machine_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("debian.list");
        fs_err::write(&path, "http://b.example/debian priority:2\nhttp://a.example/debian\tpriority:1\n").unwrap();
        let list = format!("deb mirror+file:{} trixie main\n", path.display());
        let want = [url("http://a.example/debian"), url("http://b.example/debian")];
        assert_eq!(found("", &list, "").unwrap().bases, want);
        let remote = "deb mirror+http://list.example/debian.list trixie main\n";
        assert_eq!(found("", remote, "").unwrap().bases, [Base::List("http://list.example/debian.list".to_owned())]);
    }

    #[test]
    fn the_option_wins_and_the_proxy_is_taken() {
        let mirrors = find(Path::new("/nonexistent"), Some("http://mirror.example/debian/")).unwrap();
        assert_eq!(mirrors, Mirrors { bases: vec![url("http://mirror.example/debian")], proxy: None });
        let list = "deb http://mirror.example/debian sid main\n";
        let with = found("", list, "Acquire::http::Proxy \"http://proxy.example:3142\";").unwrap();
        assert_eq!(with.proxy.as_deref(), Some("http://proxy.example:3142"));
        assert_eq!(found("", list, "Acquire::http::Proxy \"DIRECT\";").unwrap().proxy, None);
    }
}
