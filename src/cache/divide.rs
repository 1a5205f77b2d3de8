//! Divides the files of a result into objects: pure, and the same for the same files wherever they are.
//!
//! Large files are objects of their own, in parts of [`PART`](super::layout::PART) bytes. Small files share objects: a
//! toolchain has thousands of headers, and a request for each takes longer than their bytes. A pack ends after a file whose
//! digest says so, so a file that changes changes its own pack, and the packs before and after it stay as they are.

use super::layout::PART;
use crate::base::Key;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Files of fewer bytes are packed.
const SMALL: u64 = 64 << 10;
/// A pack ends when it has so many bytes.
const PACK: u64 = 1 << 20;
/// It ends after one of so many files on average.
const MEAN_FILES: u8 = 32;

/// The content of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Its path in the entry: `tree/bin/gcc`.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Its digest.
    pub digest: Key,
}

/// A part of a file. The parts of a file are in the order of their objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Piece {
    /// The path in the entry.
    pub file: String,
    /// Its length.
    pub bytes: u64,
}

/// A file with the content of another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copy {
    /// The path in the entry.
    pub file: String,
    /// The path of the file with the content.
    pub of: String,
}

/// Returns the pieces of each object, and the files that repeat another one. Files without content are in neither.
#[must_use]
pub fn divide(files: &[Content]) -> (Vec<Vec<Piece>>, Vec<Copy>) {
    let mut objects = Vec::new();
    let mut copies = Vec::new();
    let mut first: BTreeMap<Key, &str> = BTreeMap::new();
    let mut pack: Vec<Piece> = Vec::new();
    for file in files.iter().filter(|file| file.bytes > 0) {
        if let Some(of) = first.get(&file.digest) {
            copies.push(Copy { file: file.name.clone(), of: (*of).to_owned() });
            continue;
        }
        first.insert(file.digest, &file.name);
        let piece = |bytes| Piece { file: file.name.clone(), bytes };
        if file.bytes >= SMALL {
            let parts = file.bytes.div_ceil(PART);
            objects.extend((0..parts).map(|part| vec![piece(PART.min(file.bytes - part * PART))]));
            continue;
        }
        pack.push(piece(file.bytes));
        let size: u64 = pack.iter().map(|piece| piece.bytes).sum();
        if size >= PACK || file.digest.as_bytes().first().is_some_and(|byte| byte % MEAN_FILES == 0) {
            objects.push(std::mem::take(&mut pack));
        }
    }
    if !pack.is_empty() {
        objects.push(pack);
    }
    (objects, copies)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn files(sizes: &[(u64, u8)]) -> Vec<Content> {
        let content = |(at, (bytes, seed)): (usize, &(u64, u8))| Content {
            name: format!("tree/{at:04}"),
            bytes: *bytes,
            digest: Key::of(format!("{bytes} {seed} {}", at / 2).as_bytes()),
        };
        sizes.iter().enumerate().map(content).collect()
    }

    proptest! {
        #[test]
        fn every_byte_of_every_file_is_in_one_object_or_copied(
            sizes in prop::collection::vec((0_u64..200_000, 0_u8..2), 0..200),
            large in prop::collection::vec((PART - 2..3 * PART, 0_u8..9), 0..3),
        ) {
            let all = files(&[sizes, large].concat());
            let (objects, copies) = divide(&all);
            let mut found: BTreeMap<&str, u64> = BTreeMap::new();
            for object in &objects {
                prop_assert!(!object.is_empty());
                prop_assert!(object.iter().map(|piece| piece.bytes).sum::<u64>() <= PART);
                for piece in object {
                    *found.entry(&piece.file).or_default() += piece.bytes;
                }
            }
            for copy in &copies {
                let of = all.iter().find(|file| file.name == copy.of).unwrap();
                prop_assert!(found.insert(&copy.file, of.bytes).is_none());
            }
            for file in &all {
                prop_assert_eq!(found.get(file.name.as_str()).copied().unwrap_or(0), file.bytes);
            }
        }
    }

    #[test]
    fn a_small_file_that_changes_changes_its_own_pack() {
        let mut all: Vec<Content> = (0..2000)
            .map(|at| Content {
                name: format!("tree/{at:04}"),
                bytes: 900,
                digest: Key::of(format!("{at}").as_bytes()),
            })
            .collect();
        let packs = |all: &[Content]| -> BTreeSet<Vec<Key>> {
            let by_name: BTreeMap<&str, Key> = all.iter().map(|file| (file.name.as_str(), file.digest)).collect();
            let (objects, _) = divide(all);
            objects.iter().map(|pieces| pieces.iter().map(|piece| by_name[piece.file.as_str()]).collect()).collect()
        };
        let before = packs(&all);
        assert!((30..150).contains(&before.len()), "{} packs", before.len());
        for at in [3, 700, 1900] {
            all[at].digest = Key::of(b"another");
            let after = packs(&all);
            assert!(after.difference(&before).count() <= 3, "{at}");
            all[at].digest = Key::of(format!("{at}").as_bytes());
        }
        // A file that is added shifts nothing.
        all.insert(1000, Content { name: "tree/0999a".into(), bytes: 900, digest: Key::of(b"new") });
        assert!(packs(&all).difference(&before).count() <= 2);
    }
}
