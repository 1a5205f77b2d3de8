//! Contents of an archive: members in the order of their names, with one content for equal files.

use super::Error;
use crate::base::Sha256;
use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

/// The members of an archive, by their path in it.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    members: BTreeMap<PathBuf, Member>,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Member {
    /// A directory.
    Directory,
    /// A file.
    File {
        /// Its bytes.
        content: Content,
        /// Their number.
        bytes: u64,
        /// Whether it is a program.
        executable: bool,
    },
    /// A symbolic link.
    Symlink {
        /// Target of the link, as written.
        target: PathBuf,
    },
    /// Another name of a file that is before it in the archive.
    HardLink {
        /// The path of that file in the archive.
        target: PathBuf,
    },
}

/// The bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Those of a file on this machine.
    File(PathBuf),
    /// These.
    Bytes(Vec<u8>),
}

/// Which files and directories of a tree are taken, by their paths in it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Selection<'a> {
    /// Only these; all if empty.
    pub include: &'a [String],
    /// Not these.
    pub exclude: &'a [String],
}

impl Selection<'_> {
    fn takes(&self, path: &Path) -> bool {
        let names = |list: &[String]| list.iter().any(|name| path.starts_with(name));
        (self.include.is_empty() || names(self.include)) && !names(self.exclude)
    }
}

/// No chain of symbolic links is longer.
const MOST_LINKS: usize = 40;

impl Tree {
    /// Adds what is below the directory `from` as what is below `prefix`.
    ///
    /// # Errors
    /// When a file cannot be read, is neither file, directory nor symbolic link, or is in the archive already.
    pub fn add(&mut self, from: &Path, prefix: &Path, selection: Selection<'_>) -> Result<(), Error> {
        // Not `files::directories`, which passes over what cannot be listed.
        let mut pending = vec![from.to_owned()];
        while let Some(dir) = pending.pop() {
            for entry in fs_err::read_dir(&dir)? {
                let path = entry?.path();
                let Ok(inside) = path.strip_prefix(from) else { continue };
                let meta = fs_err::symlink_metadata(&path)?;
                if meta.is_dir() {
                    pending.push(path.clone());
                }
                if selection.takes(inside) {
                    self.insert(prefix.join(inside), member(&path, &meta)?)?;
                }
            }
        }
        Ok(())
    }

    /// Adds a file with these bytes.
    pub fn add_file(&mut self, path: PathBuf, bytes: Vec<u8>) -> Result<(), Error> {
        let count = bytes.len() as u64;
        self.insert(path, Member::File { content: Content::Bytes(bytes), bytes: count, executable: false })
    }

    /// Adds a copy of a program of this machine.
    pub fn add_program(&mut self, path: PathBuf, from: &Path) -> Result<(), Error> {
        let member = member(from, &fs_err::metadata(from)?)?;
        self.insert(path, member)
    }

    fn insert(&mut self, path: PathBuf, member: Member) -> Result<(), Error> {
        match self.members.insert(path.clone(), member) {
            None | Some(Member::Directory) => Ok(()),
            Some(_) => Err(Error::Twice { path }),
        }
    }

    /// Returns the members, in order.
    pub fn members(&self) -> impl Iterator<Item = (&Path, &Member)> {
        self.members.iter().map(|(path, member)| (path.as_path(), member))
    }

    /// Returns the number of members.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Returns whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Returns the bytes of all files, equal ones once if they were linked.
    pub fn bytes(&self) -> u64 {
        self.members.values().map(|member| if let Member::File { bytes, .. } = member { *bytes } else { 0 }).sum()
    }

    /// Makes each file with the content and mode of an earlier one a hard link to it.
    pub fn link_equal_files(&mut self) -> Result<(), Error> {
        let mut sizes: HashMap<u64, usize> = HashMap::new();
        for member in self.members.values() {
            if let Member::File { bytes, .. } = member {
                *sizes.entry(*bytes).or_default() += 1;
            }
        }
        let mut first: HashMap<(u64, bool, blake3::Hash), PathBuf> = HashMap::new();
        for (path, member) in &mut self.members {
            let Member::File { content, bytes, executable } = &*member else { continue };
            if *bytes == 0 || sizes.get(bytes) == Some(&1) {
                continue;
            }
            let same = (*bytes, *executable, content.hash()?);
            match first.get(&same) {
                Some(target) => *member = Member::HardLink { target: target.clone() },
                None => {
                    first.insert(same, path.clone());
                }
            }
        }
        Ok(())
    }

    /// Checks that every symbolic link leads to a member of the archive, and none around in a circle.
    pub fn check_links(&self) -> Result<(), Error> {
        for (path, member) in &self.members {
            if let Member::Symlink { target } = member {
                let why = |why: &str| Error::Link { path: path.clone(), target: target.clone(), why: why.to_owned() };
                match self.follow(path) {
                    Followed::Member => {}
                    Followed::Out => return Err(why("leads out of the archive")),
                    Followed::Nowhere => return Err(why("leads to nothing")),
                    Followed::Around => return Err(why("leads around in a circle")),
                }
            }
        }
        Ok(())
    }

    fn follow(&self, path: &Path) -> Followed {
        let mut pending: Vec<PathBuf> = vec![path.to_owned()];
        let mut at = PathBuf::new();
        let mut links = 0;
        while let Some(next) = pending.pop() {
            let mut components = next.components();
            match components.next() {
                None => continue,
                Some(Component::CurDir) => {}
                Some(Component::ParentDir) => {
                    if !at.pop() {
                        return Followed::Out;
                    }
                }
                Some(Component::Normal(name)) => at.push(name),
                Some(Component::RootDir | Component::Prefix(_)) => return Followed::Out,
            }
            pending.push(components.as_path().to_owned());
            if let Some(Member::Symlink { target }) = self.members.get(&at) {
                links += 1;
                if links > MOST_LINKS {
                    return Followed::Around;
                }
                if target.is_absolute() {
                    return Followed::Out;
                }
                at.pop();
                pending.push(target.clone());
            }
        }
        let is_parent = || self.members.keys().any(|member| member.starts_with(&at));
        if self.members.contains_key(&at) || is_parent() { Followed::Member } else { Followed::Nowhere }
    }
}

enum Followed {
    Member,
    Out,
    Nowhere,
    Around,
}

fn member(path: &Path, meta: &std::fs::Metadata) -> Result<Member, Error> {
    let kind = meta.file_type();
    Ok(if kind.is_symlink() {
        Member::Symlink { target: fs_err::read_link(path)? }
    } else if kind.is_dir() {
        Member::Directory
    } else if kind.is_file() {
        let executable = meta.permissions().mode() & 0o100 != 0;
        Member::File { content: Content::File(path.to_owned()), bytes: meta.len(), executable }
    } else {
        return Err(Error::Kind { path: path.to_owned() });
    })
}

impl Content {
    /// Opens it.
    pub fn open(&self) -> std::io::Result<Box<dyn std::io::Read + '_>> {
        Ok(match self {
            Self::File(path) => Box::new(fs_err::File::open(path)?),
            Self::Bytes(bytes) => Box::new(bytes.as_slice()),
        })
    }

    /// Reads all of it.
    pub fn read(&self) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open()?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn hash(&self) -> std::io::Result<blake3::Hash> {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(self.open()?)?;
        Ok(hasher.finalize())
    }
}

/// Returns the SHA-256 of a file.
pub fn sha256_of(path: &Path) -> std::io::Result<Sha256> {
    use sha2::Digest as _;
    let mut file = fs_err::File::open(path)?;
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Sha256::from_bytes(hasher.finalize().into())),
            count => hasher.update(buffer.get(..count).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fs_err::os::unix::fs::symlink;

    fn tree(fill: impl Fn(&Path)) -> (tempfile::TempDir, Tree) {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path());
        let mut tree = Tree::default();
        tree.add(dir.path(), Path::new("p"), Selection::default()).unwrap();
        (dir, tree)
    }

    #[test]
    fn equal_files_are_links_to_the_first_unless_their_modes_differ() {
        let (_dir, mut tree) = tree(|dir| {
            for (name, text) in [("b", "same"), ("a", "same"), ("c", "else"), ("x", "same"), ("e1", ""), ("e2", "")] {
                fs_err::write(dir.join(name), text).unwrap();
            }
            fs_err::set_permissions(dir.join("x"), std::fs::Permissions::from_mode(0o755)).unwrap();
        });
        tree.link_equal_files().unwrap();
        let links: Vec<_> = tree.members().filter(|(_, member)| matches!(member, Member::HardLink { .. })).collect();
        assert_eq!(links, [(Path::new("p/b"), &Member::HardLink { target: "p/a".into() })]);
        assert_eq!(tree.bytes(), 12);
    }

    #[test]
    fn a_link_must_lead_to_a_member() {
        let of = |target: &str| {
            let (_dir, tree) = tree(|dir| {
                fs_err::create_dir(dir.join("sub")).unwrap();
                fs_err::write(dir.join("sub/file"), "x").unwrap();
                symlink(target, dir.join("link")).unwrap();
            });
            tree.check_links().err().map(|error| error.to_string())
        };
        assert_eq!(of("sub/file"), None);
        assert_eq!(of("sub/../sub"), None);
        assert_eq!(of("../p/sub"), None);
        insta::assert_snapshot!(of("../../etc").unwrap(), @"the symbolic link `p/link` to `../../etc` leads out of the archive");
        insta::assert_snapshot!(of("/etc/passwd").unwrap(), @"the symbolic link `p/link` to `/etc/passwd` leads out of the archive");
        insta::assert_snapshot!(of("none").unwrap(), @"the symbolic link `p/link` to `none` leads to nothing");
        insta::assert_snapshot!(of("link").unwrap(), @"the symbolic link `p/link` to `link` leads around in a circle");
    }

    #[test]
    fn a_part_of_a_tree_is_selected_by_paths() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["vmlinux", "vmlinux.debug", "lib"] {
            fs_err::write(dir.path().join(name), name).unwrap();
        }
        let of = |include: &[String], exclude: &[String]| {
            let mut tree = Tree::default();
            tree.add(dir.path(), Path::new(""), Selection { include, exclude }).unwrap();
            tree.members().map(|(path, _)| path.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(of(&[], &["vmlinux".into()]), ["lib", "vmlinux.debug"]);
        assert_eq!(of(&["vmlinux".into()], &[]), ["vmlinux"]);
    }
}
