//! Single members out of a package, read in one pass and never unpacked whole.
//!
//! A package is a `.deb` (deb(5): an `ar` archive whose `data.tar.*` holds the
//! files) or, as Debian's `gcc-N.orig.tar.gz`, a tar archive of archives.

use super::{Error, decode, tree};
use crate::base::suggest;
use std::io::Read;

const AR: &[u8] = b"!<arch>\n";
/// So many names are remembered for the message about a missing member.
const NAMES: usize = 50_000;

/// What is done with a wanted member: its index in the list of wanted ones and its bytes.
pub(super) type Found<'f> = dyn FnMut(usize, &mut dyn Read) -> Result<(), Error> + 'f;

/// Reads `package` to the end of its file archive and hands every member that
/// is in `wanted` to `found`, in the order in which they come. `./usr/x` and
/// `usr/x` are the same. `label` is the package's name in messages.
pub(super) fn members<R: Read>(package: R, label: &str, wanted: &[&str], found: &mut Found<'_>) -> Result<(), Error> {
    let broken = |source| Error::Archive { archive: label.to_owned(), source };
    let (head, package) = decode::peek(package, AR.len() as u64).map_err(broken)?;
    if head != AR {
        return of_tar(package, label, wanted, found);
    }
    let mut archive = ar::Archive::new(package);
    while let Some(entry) = archive.next_entry() {
        let entry = entry.map_err(broken)?;
        if entry.header().identifier().starts_with(b"data.tar") {
            return of_tar(entry, label, wanted, found);
        }
    }
    Err(broken(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the package has no `data.tar`")))
}

fn of_tar<R: Read>(tar: R, label: &str, wanted: &[&str], found: &mut Found<'_>) -> Result<(), Error> {
    let broken = |source| Error::Archive { archive: label.to_owned(), source };
    let wanted: Vec<_> = wanted.iter().map(|name| plain(name.as_bytes())).collect();
    let mut seen = vec![false; wanted.len()];
    let mut names: Vec<String> = Vec::new();
    let mut data = decode::decoder(tar).map_err(broken)?;
    let mut archive = tar::Archive::new(&mut data);
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = plain(&entry.path_bytes()).to_vec();
        let size = entry.size();
        match wanted.iter().position(|want| *want == name) {
            Some(index) if entry.header().entry_type().is_file() => {
                if std::mem::replace(&mut seen[index], true) {
                    let path = String::from_utf8_lossy(&name).into_owned();
                    return Err(tree::refused(path.as_ref(), "the package holds it twice"));
                }
                let mut whole = Whole { reader: &mut entry, left: size };
                found(index, &mut whole)?;
                std::io::copy(&mut whole, &mut std::io::sink()).map_err(broken)?;
            }
            _ if entry.header().entry_type().is_file() && names.len() < NAMES => {
                names.push(String::from_utf8_lossy(&name).into_owned());
            }
            _ => {}
        }
    }
    // To the end, where the decoders check that nothing is missing.
    std::io::copy(&mut data, &mut std::io::sink()).map_err(broken)?;
    match seen.iter().position(|seen| !seen) {
        None => Ok(()),
        Some(missing) => {
            let member = String::from_utf8_lossy(wanted[missing]).into_owned();
            let near = near(&member, &names);
            Err(Error::NoMember { archive: label.to_owned(), member, near })
        }
    }
}

fn plain(name: &[u8]) -> &[u8] {
    let name = name.strip_prefix(b"./").unwrap_or(name);
    name.strip_prefix(b"/").unwrap_or(name)
}

/// A reader of exactly `left` bytes: an end before that is an error, where tar would be silent.
struct Whole<'r> {
    reader: &'r mut dyn Read,
    left: u64,
}

impl Read for Whole<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let count = self.reader.read(buf)?;
        self.left = self.left.saturating_sub(count as u64);
        if count == 0 && self.left > 0 && !buf.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(count)
    }
}

/// Up to five members that may be meant: the same ending first, then the nearest name.
fn near(member: &str, names: &[String]) -> Vec<String> {
    let file_name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let wanted = file_name(member);
    let ending = |name: &str| name.split_once(".tar").map(|(_, end)| end.to_owned());
    let mut found: Vec<String> = names.iter().filter(|name| file_name(name) == wanted).cloned().collect();
    let nearest = suggest::nearest(member, names.iter().map(String::as_str)).map(str::to_owned);
    let alike = names.iter().filter(|name| ending(&wanted).is_some() && ending(name) == ending(&wanted)).cloned();
    for name in nearest.into_iter().chain(alike) {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found.truncate(5);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn data_tar(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, *content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn deb(name: &str, data: &[u8]) -> Vec<u8> {
        let mut builder = ar::Builder::new(Vec::new());
        for (name, bytes) in [("debian-binary", &b"2.0\n"[..]), ("control.tar", &data_tar(&[])), (name, data)] {
            builder.append(&ar::Header::new(name.into(), bytes.len() as u64), bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn read(package: &[u8], wanted: &[&str]) -> Result<Vec<(usize, Vec<u8>)>, Error> {
        let mut all = Vec::new();
        members(package, "x.deb", wanted, &mut |index, reader| {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes)?;
            all.push((index, bytes));
            Ok(())
        })?;
        Ok(all)
    }

    const FILES: &[(&str, &[u8])] =
        &[("./usr/src/a.tar.xz", b"first"), ("usr/src/patches/p.diff", b"second"), ("./usr/doc", b"third")];

    #[test]
    fn members_are_found_in_either_spelling_and_any_compression() {
        let data = data_tar(FILES);
        let mut xz = xz2::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(&data).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&data).unwrap();
        let zstd = ruzstd::encoding::compress_to_vec(&data[..], ruzstd::encoding::CompressionLevel::Fastest);
        let want = vec![(1, b"first".to_vec()), (0, b"second".to_vec())];
        for package in [
            deb("data.tar", &data),
            deb("data.tar.xz", &xz.finish().unwrap()),
            deb("data.tar.gz", &gzip.finish().unwrap()),
            deb("data.tar.zst", &zstd),
            data,
        ] {
            assert_eq!(read(&package, &["./usr/src/patches/p.diff", "usr/src/a.tar.xz"]).unwrap(), want);
        }
    }

    #[test]
    fn a_missing_member_is_answered_with_near_names() {
        use crate::base::Diagnostic;
        let error = read(&deb("data.tar", &data_tar(FILES)), &["usr/src/b.tar.xz"]).unwrap_err();
        insta::assert_snapshot!(Diagnostic::from_error(&error), @r"
        error: `x.deb` has no member `usr/src/b.tar.xz`
        hint: it has `usr/src/a.tar.xz`
        ");
    }

    #[test]
    fn a_package_cut_short_is_an_error() {
        let package = deb("data.tar", &data_tar(FILES));
        for cut in [3, 30, 200, 3000] {
            assert!(matches!(read(&package[..cut], &["usr/doc"]), Err(Error::Archive { .. } | Error::NoMember { .. })));
        }
        let other = deb("other", b"");
        assert!(matches!(read(&other, &["usr/doc"]), Err(Error::Archive { .. })));
        let twice = data_tar(&[("./usr/doc", b"1"), ("usr/doc", b"2")]);
        assert!(matches!(read(&deb("data.tar", &twice), &["usr/doc"]), Err(Error::Refused { .. })));
    }
}
