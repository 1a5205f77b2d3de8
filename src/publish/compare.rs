//! Where two tars differ: the first member, and what of it.

use super::Error;
use crate::base::decode;
use std::fmt;
use std::io::{self, Read};
use std::path::Path;

/// Bytes of each side that a difference shows.
const SHOWN: usize = 16;

/// The first difference of two archives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The member, as the first archive names it; where it has no more, as the second does.
    pub member: String,
    /// What differs.
    pub what: What,
}

/// What differs of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The second archive has another member in its place, or none.
    Name(Option<String>),
    /// Only the second archive has the member.
    Added,
    /// A field of the header: its name and both values.
    Field(&'static str, String, String),
    /// The content, from this byte on: what follows there in each.
    Bytes(u64, Vec<u8>, Vec<u8>),
    /// Nothing that a member has: the padding or the extended headers.
    Framing,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let member = &self.member;
        match &self.what {
            What::Name(Some(other)) => write!(f, "`{member}` is in the place of `{other}` of the second"),
            What::Name(None) => write!(f, "`{member}` is in the first only"),
            What::Added => write!(f, "`{member}` is in the second only"),
            What::Field(field, first, second) => write!(f, "`{member}`: {field} is {first} and {second}"),
            What::Bytes(at, first, second) => {
                write!(f, "`{member}` differs from byte {at} on: {} and {}", hex(first), hex(second))
            }
            What::Framing => write!(f, "the members are equal, but not the bytes between them (after `{member}`)"),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "the end".to_owned();
    }
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let text: String = bytes.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' }).collect();
    format!("{} `{text}`", hex.join(" "))
}

// A field of a member's header, as text.
type Field = fn(&tar::Header) -> String;

/// Returns the first difference of two archives, compressed or not; none where they have the same members. The caller knows
/// by their digests whether they differ at all.
pub fn first_difference(first: &Path, second: &Path) -> Result<Difference, Error> {
    let open = |path: &Path| Ok::<_, Error>(tar::Archive::new(decode::decoder(fs_err::File::open(path)?)?));
    let (mut first, mut second) = (open(first)?, open(second)?);
    let (mut first, mut second) = (first.entries()?, second.entries()?);
    let mut last = String::new();
    loop {
        let (one, other) = (first.next().transpose()?, second.next().transpose()?);
        let (member, what) = match (one, other) {
            (None, None) => return Ok(Difference { member: last, what: What::Framing }),
            (Some(one), None) => (name(&one), Some(What::Name(None))),
            (None, Some(other)) => (name(&other), Some(What::Added)),
            (Some(mut one), Some(mut other)) => (name(&one), of_members(&mut one, &mut other)?),
        };
        if let Some(what) = what {
            return Ok(Difference { member, what });
        }
        last = member;
    }
}

fn name<R: Read>(entry: &tar::Entry<'_, R>) -> String {
    String::from_utf8_lossy(&entry.path_bytes()).into_owned()
}

fn of_members<R: Read>(one: &mut tar::Entry<'_, R>, other: &mut tar::Entry<'_, R>) -> Result<Option<What>, Error> {
    if one.path_bytes() != other.path_bytes() {
        return Ok(Some(What::Name(Some(name(other)))));
    }
    let fields: [(&str, Field); 5] = [
        ("the kind", |header| format!("{:?}", header.entry_type())),
        ("the mode", |header| header.mode().map_or_else(|_| "unreadable".to_owned(), |mode| format!("{mode:o}"))),
        ("the time", |header| header.mtime().map_or_else(|_| "unreadable".to_owned(), |time| time.to_string())),
        ("the owner", |header| header.uid().map_or_else(|_| "unreadable".to_owned(), |uid| uid.to_string())),
        ("the group", |header| header.gid().map_or_else(|_| "unreadable".to_owned(), |gid| gid.to_string())),
    ];
    for (field, of) in fields {
        let (first, second) = (of(one.header()), of(other.header()));
        if first != second {
            return Ok(Some(What::Field(field, first, second)));
        }
    }
    let link = |entry: &tar::Entry<'_, R>| {
        entry.link_name_bytes().map(|link| String::from_utf8_lossy(&link).into_owned()).unwrap_or_default()
    };
    let (first, second) = (link(one), link(other));
    if first != second {
        return Ok(Some(What::Field("the link", first, second)));
    }
    Ok(of_content(one, other)?)
}

fn of_content(one: &mut impl Read, other: &mut impl Read) -> io::Result<Option<What>> {
    let (mut at, mut first, mut second) = (0_u64, Vec::new(), Vec::new());
    loop {
        fill(one, &mut first)?;
        fill(other, &mut second)?;
        let equal = first.iter().zip(&second).take_while(|(a, b)| a == b).count();
        if equal < first.len() || equal < second.len() {
            let shown = |bytes: &[u8]| bytes.iter().skip(equal).take(SHOWN).copied().collect();
            return Ok(Some(What::Bytes(at + equal as u64, shown(&first), shown(&second))));
        }
        if first.is_empty() {
            return Ok(None);
        }
        at += equal as u64;
        first.clear();
        second.clear();
    }
}

fn fill(from: &mut impl Read, to: &mut Vec<u8>) -> io::Result<()> {
    from.take(decode::CHUNK as u64).read_to_end(to).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Member(&'static str, u32, Vec<u8>);

    fn archive(members: &[Member]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut tar = tar::Builder::new(file.reopen().unwrap());
        for Member(name, mode, content) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(*mode);
            header.set_mtime(1);
            tar.append_data(&mut header, name, content.as_slice()).unwrap();
        }
        tar.finish().unwrap();
        file
    }

    fn found(first: &[Member], second: &[Member]) -> String {
        first_difference(archive(first).path(), archive(second).path()).unwrap().to_string()
    }

    #[test]
    fn the_first_difference_is_named_with_its_bytes() {
        let one = || Member("a/one", 0o644, b"same".to_vec());
        let two = |content: &[u8]| Member("a/two", 0o755, content.to_vec());
        let long = |last: u8| [vec![b'x'; 200_000], vec![last, b'!']].concat();
        let cases = [
            found(&[one(), two(b"built at 10:41")], &[one(), two(b"built at 10:42")]),
            found(&[one(), two(b"short")], &[one(), two(b"shorter")]),
            found(&[one(), two(&long(0))], &[one(), two(&long(7))]),
            found(&[one(), two(b"")], &[one()]),
            found(&[one()], &[one(), two(b"")]),
            found(&[one()], &[two(b"")]),
            found(&[Member("a/one", 0o600, b"same".to_vec())], &[one()]),
            found(&[one()], &[one()]),
        ];
        insta::assert_snapshot!(cases.join("\n"), @r"
        `a/two` differs from byte 13 on: 31 `1` and 32 `2`
        `a/two` differs from byte 5 on: the end and 65 72 `er`
        `a/two` differs from byte 200000 on: 00 21 `.!` and 07 21 `.!`
        `a/two` is in the first only
        `a/two` is in the second only
        `a/one` is in the place of `a/two` of the second
        `a/one`: the mode is 600 and 644
        the members are equal, but not the bytes between them (after `a/one`)
        ");
    }
}
