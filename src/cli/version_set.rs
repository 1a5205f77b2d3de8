//! Sets of versions and settings, as words of a command line name them.

use super::CliError;
use super::options::Select;
use crate::base::Diagnostic;
use crate::config::Config;

/// A set of versions and settings.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum VersionSet {
    /// A release set.
    Release(String),
    /// Versions, sources and settings, as the options `--with`, `--source` and `--set` take them.
    Own { with: Vec<String>, source: Vec<String>, set: Vec<String> },
}

impl VersionSet {
    /// Reads the name of a release set, or `NAME=VALUE` with commas between them; `None` if it is neither.
    pub(super) fn read(config: &Config, word: &str) -> Result<Option<Self>, CliError> {
        if config.matrix.release_sets.contains_key(word) {
            return Ok(Some(Self::Release(word.to_owned())));
        }
        if !word.contains('=') {
            return Ok(None);
        }
        let (mut with, mut source, mut set) = (Vec::new(), Vec::new(), Vec::new());
        for part in word.split(',') {
            match part.split_once('=') {
                Some((name, place)) if !name.is_empty() && !place.is_empty() => {
                    let list = if config.matrix.settings.contains_key(name) {
                        &mut set
                    // `git:REVISION` and versions are for `--with`; a revision may have a slash.
                    } else if !place.starts_with("git:") && (place.starts_with("git+") || place.contains('/')) {
                        &mut source
                    } else {
                        &mut with
                    };
                    list.push(part.to_owned());
                }
                _ => {
                    return Err(Diagnostic::new(format!("`{part}` of `{word}` names no version of a package"))
                        .hint("for example gcc=15.3.0,binutils=2.46")
                        .into());
                }
            }
        }
        Ok(Some(Self::Own { with, source, set }))
    }

    /// Returns the options of a build of this set.
    pub(super) fn select(&self, select: &Select) -> Select {
        let mut select = select.clone();
        match self {
            Self::Release(name) => select.release_set = Some(name.clone()),
            Self::Own { with, source, set } => {
                select.with.extend_from_slice(with);
                select.source.extend_from_slice(source);
                select.set.extend_from_slice(set);
            }
        }
        select
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_a_release_set_or_versions() {
        let data = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let config = Config::load(&data, &[], &[]).unwrap();
        let read = |word| VersionSet::read(&config, word);
        assert_eq!(read("lts").unwrap(), Some(VersionSet::Release("lts".into())));
        assert_eq!(read("20261127-101112-1").unwrap(), None);
        let own = VersionSet::Own {
            with: vec!["gcc=15.3.0".into(), "mpfr=git:a/b".into()],
            source: vec!["linux=git+file:///x#v7.2".into(), "binutils=./tree".into()],
            set: vec!["lto=false".into()],
        };
        let word = "gcc=15.3.0,mpfr=git:a/b,lto=false,linux=git+file:///x#v7.2,binutils=./tree";
        assert_eq!(read(word).unwrap(), Some(own));
        for wrong in ["gcc=", "=1", "gcc=1,", "gcc=1,binutils"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
