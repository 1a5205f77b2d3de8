//! Single members out of a package, read in one pass and never unpacked whole.
//!
//! A package is a `.deb` (deb(5): an `ar` archive whose `data.tar.*` contains the
//! files) or, as Debian's `gcc-N.orig.tar.gz`, a tar archive of archives.

use super::Error;
use super::tree::{self, Followed};
use crate::base::decode;
use crate::base::suggest;
use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

const AR: &[u8] = b"!<arch>\n";
/// So many names are remembered for the message about a missing member.
const NAMES: usize = 50_000;
/// So many files, of at most so many bytes, are kept in case a link leads to them.
const KEPT: usize = 16;
const KEPT_SIZE: u64 = 4 << 20;

/// The handler of a wanted member: its index in the list of wanted ones and its bytes.
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
    data_of(package, label, wanted, found)
}

/// Finds the `data.tar.*` of a `.deb`. deb(5): the common form of `ar` and no other, so without long names. Each
/// header has 60 bytes, ends in "`\n", and has the size in decimal in bytes 48 to 58; members are padded to two.
fn data_of<R: Read>(mut package: R, label: &str, wanted: &[&str], found: &mut Found<'_>) -> Result<(), Error> {
    let broken = |source| Error::Archive { archive: label.to_owned(), source };
    let invalid = |why: &'static str| broken(io::Error::new(io::ErrorKind::InvalidData, why));
    io::copy(&mut (&mut package).take(AR.len() as u64), &mut io::sink()).map_err(broken)?;
    loop {
        let mut header = Vec::new();
        (&mut package).take(60).read_to_end(&mut header).map_err(broken)?;
        if header.is_empty() {
            return Err(broken(io::Error::new(io::ErrorKind::UnexpectedEof, "the package has no `data.tar`")));
        }
        let [name @ .., _, _, _, _, _, _, _, _, _, _, b'`', b'\n'] = &header[..] else {
            return Err(invalid("a member of the package has no header"));
        };
        let digits = header.get(48..58).and_then(|field| std::str::from_utf8(field).ok());
        let Some(size) = digits.and_then(|digits| digits.trim_end().parse::<u64>().ok()) else {
            return Err(invalid("a member of the package has no size"));
        };
        if name.starts_with(b"data.tar") {
            return of_tar(package.take(size), label, wanted, found);
        }
        // Ten digits are no more than 10 GB, so this cannot overflow.
        let padded = size + size % 2;
        if io::copy(&mut (&mut package).take(padded), &mut io::sink()).map_err(broken)? < size {
            return Err(broken(io::Error::new(io::ErrorKind::UnexpectedEof, "the package ends within a member")));
        }
    }
}

fn of_tar<R: Read>(tar: R, label: &str, wanted: &[&str], found: &mut Found<'_>) -> Result<(), Error> {
    let broken = |source| Error::Archive { archive: label.to_owned(), source };
    let wanted: Vec<PathBuf> = wanted.iter().map(|name| plain(Path::new(name))).collect();
    let mut seen = vec![false; wanted.len()];
    let mut rest = Rest::default();
    let mut data = decode::decoder(tar).map_err(broken)?;
    let mut archive = tar::Archive::new(&mut data);
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = plain(&entry.path().map_err(broken)?);
        if !entry.header().entry_type().is_file() {
            if let Some(target) = entry.link_name().map_err(broken)?.filter(|_| rest.links.len() < NAMES) {
                rest.links.insert(name, target.into_owned());
            }
            continue;
        }
        let left = entry.size();
        let mut whole = Whole { reader: &mut entry, left };
        match wanted.iter().position(|want| *want == name).and_then(|index| Some((index, seen.get_mut(index)?))) {
            Some((_, true)) => return Err(tree::refused(&name, "the package contains it twice")),
            Some((index, seen)) => {
                *seen = true;
                found(index, &mut whole)?;
                io::copy(&mut whole, &mut io::sink()).map_err(broken)?;
            }
            None => rest.keep(name, &mut whole, &wanted).map_err(broken)?,
        }
    }
    // To the end, where the decoders check that nothing is missing.
    io::copy(&mut data, &mut io::sink()).map_err(broken)?;
    for (index, want) in wanted.iter().enumerate().filter(|(index, _)| seen.get(*index) == Some(&false)) {
        match rest.through_links(want) {
            Some(bytes) => found(index, &mut &bytes[..])?,
            None => {
                let (archive, member) = (label.to_owned(), want.display().to_string());
                return Err(Error::NoMember { archive, near: near(&member, &rest.names), member });
            }
        }
    }
    Ok(())
}

/// The members that were not requested by their own name.
#[derive(Default)]
struct Rest {
    names: Vec<String>,
    links: HashMap<PathBuf, PathBuf>,
    /// Small files that have the name of a wanted one, in another directory. A
    /// link to that directory may follow: Debian's gcc packages contain the patches
    /// in `debian/patches`, and `patches` as a link to it comes last.
    kept: HashMap<PathBuf, Vec<u8>>,
}

impl Rest {
    fn keep(&mut self, name: PathBuf, whole: &mut Whole<'_>, wanted: &[PathBuf]) -> io::Result<()> {
        if self.names.len() < NAMES {
            self.names.push(name.display().to_string());
        }
        let alike = wanted.iter().any(|want| want.file_name() == name.file_name());
        if alike && whole.left <= KEPT_SIZE && self.kept.len() < KEPT {
            let mut bytes = Vec::new();
            whole.read_to_end(&mut bytes)?;
            self.kept.insert(name, bytes);
        }
        Ok(())
    }

    fn through_links(&self, want: &Path) -> Option<&Vec<u8>> {
        match tree::follow(want, |path| self.links.get(path)) {
            Followed::To(path) => self.kept.get(&path),
            Followed::Out | Followed::Circle => None,
        }
    }
}

fn plain(name: &Path) -> PathBuf {
    name.components().filter(|part| !matches!(part, Component::CurDir | Component::RootDir)).collect()
}

/// A reader of exactly `left` bytes: an end before that is an error, where tar would be silent.
struct Whole<'r> {
    reader: &'r mut dyn Read,
    left: u64,
}

impl Read for Whole<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buf)?;
        self.left = self.left.saturating_sub(count as u64);
        if count == 0 && self.left > 0 && !buf.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
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
    fn a_member_is_found_through_a_link_that_comes_after_it() {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(4);
        builder.append_data(&mut header, "./usr/src/debian/patches/p.diff", &b"text"[..]).unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, "./usr/src/patches", "debian/patches").unwrap();
        let package = deb("data.tar", &builder.into_inner().unwrap());
        assert_eq!(read(&package, &["usr/src/patches/p.diff"]).unwrap(), [(0, b"text".to_vec())]);
        assert!(matches!(read(&package, &["usr/src/patches/q.diff"]), Err(Error::NoMember { .. })));
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

    proptest::proptest! {
        #[test]
        fn a_hostile_package_is_an_error_and_no_panic(
            at in 8usize..400,
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 1..70),
            cut in 0usize..2000,
        ) {
            let mut package = deb("data.tar", &data_tar(FILES));
            for (byte, new) in package.iter_mut().skip(at).zip(bytes) {
                *byte = new;
            }
            package.truncate(package.len().saturating_sub(cut));
            let _ = read(&package, &["usr/doc"]);
        }

        #[test]
        fn headers_of_any_bytes_are_an_error_and_no_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let package = [AR, &bytes].concat();
            proptest::prop_assert!(read(&package, &["usr/doc"]).is_err());
        }
    }

    #[test]
    fn sizes_that_no_member_has_are_an_error() {
        for size in ["9999999999", "-1", "1e9", "", "18446744073"] {
            let package =
                format!("!<arch>\n{:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", "data.tar", "0", "0", "0", "644");
            let error = read(package.as_bytes(), &["usr/doc"]).unwrap_err();
            assert!(matches!(error, Error::Archive { .. } | Error::NoMember { .. }), "{error}");
        }
    }
}
