//! Static libraries (ar): members without time and owner, as `ar D` writes them.

use object::read::archive::ArchiveFile;

const MAGIC: &[u8] = b"!<arch>\n";

/// Returns the number of members; `None` for another file.
pub(super) fn check(bytes: &[u8], note: &mut dyn FnMut(String)) -> Option<usize> {
    if !bytes.starts_with(MAGIC) {
        return None;
    }
    let mut count = 0;
    let archive = match ArchiveFile::parse(bytes) {
        Ok(archive) => archive,
        Err(error) => {
            note(format!("cannot be read as a static library: {error}"));
            return Some(0);
        }
    };
    for member in archive.members() {
        let member = match member {
            Ok(member) => member,
            Err(error) => {
                note(format!("cannot be read as a static library: {error}"));
                break;
            }
        };
        count += 1;
        let name = String::from_utf8_lossy(member.name()).into_owned();
        if member.date().is_some_and(|date| date != 0) {
            note(format!("its member `{name}` has a date; write it with `ar D`"));
        } else if [member.uid(), member.gid()].iter().any(|id| id.is_some_and(|id| id != 0)) {
            note(format!("its member `{name}` has an owner; write it with `ar D`"));
        }
    }
    Some(count)
}
