//! Armored keyrings (RFC 9580 6.2) as the binary ones that gpgv reads.

use super::Problem;
use base64::Engine as _;
use sha1::{Digest as _, Sha1};

const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";

/// The public keys of a keyring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKeys {
    /// The packets of all blocks, one after the other.
    pub packets: Vec<u8>,
    /// The fingerprint of each primary key: 40 uppercase hexadecimal digits.
    pub fingerprints: Vec<String>,
}

impl PublicKeys {
    /// Reads every armored block of `text`; what is between blocks is a comment.
    ///
    /// # Errors
    /// When there is no block, one is damaged, or one contains anything but
    /// version 4 public keys and what belongs to them.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let broken = |why: String| Problem::Keyring { why };
        let mut keys = Self { packets: Vec::new(), fingerprints: Vec::new() };
        let mut lines = text.lines().map(str::trim_end);
        while lines.any(|line| line == BEGIN) {
            let packets = block(&mut lines).map_err(broken)?;
            keys.fingerprints.extend(primary_keys(&packets).map_err(broken)?);
            keys.packets.extend(packets);
        }
        if keys.fingerprints.is_empty() { Err(broken("it contains no key".to_owned())) } else { Ok(keys) }
    }
}

/// Returns the bytes of one block, whose first line was read.
fn block<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Result<Vec<u8>, String> {
    let mut body = String::new();
    let mut checksum = None;
    // Headers (`Version: …`) end with an empty line.
    for header in lines.by_ref().take_while(|line| !line.is_empty()) {
        if !header.contains(": ") {
            return Err(format!("`{header}` is not an armor header"));
        }
    }
    for line in lines {
        if line == END {
            let decode = |text: &str| base64::engine::general_purpose::STANDARD.decode(text);
            let bytes = decode(&body).map_err(|error| format!("its base64 is damaged: {error}"))?;
            // The checksum is optional (RFC 9580 6.1).
            let Some(checksum) = checksum else { return Ok(bytes) };
            let want = decode(checksum).map_err(|error| format!("its checksum is damaged: {error}"))?;
            let is_same = want == crc24(&bytes).to_be_bytes()[1..];
            return if is_same { Ok(bytes) } else { Err("its checksum does not match".to_owned()) };
        }
        match line.strip_prefix('=') {
            Some(sum) => checksum = Some(sum),
            None if checksum.is_some() => return Err("text follows its checksum".to_owned()),
            None => body.push_str(line),
        }
    }
    Err("its last block has no end".to_owned())
}

/// RFC 9580 6.1.1.
fn crc24(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x00B7_04CE, |crc, byte| {
        (0..8).fold(crc ^ (u32::from(*byte) << 16), |crc, _| {
            let shifted = crc << 1;
            if shifted & 0x0100_0000 == 0 { shifted } else { shifted ^ 0x0186_4CFB }
        })
    })
}

/// Returns the fingerprints of the primary keys among `packets` (RFC 9580 5.5.4.2).
fn primary_keys(packets: &[u8]) -> Result<Vec<String>, String> {
    let mut fingerprints = Vec::new();
    let mut rest = packets;
    while !rest.is_empty() {
        let (tag, body, next) = packet(rest).ok_or("a packet is cut short")?;
        rest = next;
        match tag {
            6 if body.first() == Some(&4) => {
                let length = u16::try_from(body.len()).map_err(|_| "a key is too long")?;
                let hash = Sha1::new().chain_update([0x99]).chain_update(length.to_be_bytes()).chain_update(body);
                fingerprints.push(hash.finalize().iter().map(|byte| format!("{byte:02X}")).collect());
            }
            6 => return Err("a key has another version than 4".to_owned()),
            5 | 7 => return Err("it contains a secret key".to_owned()),
            // Signatures, trust, user ids, subkeys, user attributes: they follow the key that they belong to.
            2 | 12 | 13 | 14 | 17 if !fingerprints.is_empty() => {}
            tag => return Err(format!("a packet of type {tag} is out of place")),
        }
    }
    Ok(fingerprints)
}

/// Returns the first packet: its type, its body, what follows (RFC 9580 4.2). Lengths that are not
/// known in advance do not occur in keys.
fn packet(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let is_new = match first & 0b1100_0000 {
        0b1100_0000 => true,
        0b1000_0000 => false,
        _ => return None,
    };
    let (length, rest) = if is_new { new_length(rest)? } else { old_length(first & 3, rest)? };
    let tag = if is_new { first & 0b11_1111 } else { first >> 2 & 0b1111 };
    let (body, next) = rest.split_at_checked(length)?;
    Some((tag, body, next))
}

fn new_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    match first {
        0..=191 => Some((usize::from(*first), rest)),
        192..=223 => {
            let (second, rest) = rest.split_first()?;
            Some(((usize::from(*first) - 192) * 256 + usize::from(*second) + 192, rest))
        }
        255 => number(4, rest),
        _ => None,
    }
}

fn old_length(kind: u8, bytes: &[u8]) -> Option<(usize, &[u8])> {
    if kind == 3 { None } else { number(1 << kind, bytes) }
}

fn number(width: usize, bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (digits, rest) = bytes.split_at_checked(width)?;
    Some((digits.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COMMITTED: &str = include_str!("../../../recipes/keys/kernel.org.asc");

    fn why(text: &str) -> String {
        PublicKeys::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_checksum_is_computed_as_the_standard_does() {
        // The check value of CRC-24/OPENPGP.
        assert_eq!(crc24(b"123456789"), 0x0021_CF02);
    }

    #[test]
    fn blocks_with_and_without_a_checksum_are_read() {
        let keys = PublicKeys::parse(COMMITTED).unwrap();
        let bare: String =
            COMMITTED.lines().filter(|line| !line.starts_with('=')).map(|l| format!("{l}\r\n")).collect();
        assert_eq!(PublicKeys::parse(&bare).as_ref(), Ok(&keys));
        let twice = PublicKeys::parse(&format!("{COMMITTED}a comment\n{COMMITTED}")).unwrap();
        assert_eq!(twice.packets.len(), 2 * keys.packets.len());
        assert_eq!(twice.fingerprints.len(), 4);
    }

    #[test]
    fn a_damaged_block_is_refused() {
        insta::assert_snapshot!(why("no key here"), @"the keyring cannot be read: it contains no key");
        let cut: String = COMMITTED.lines().take(20).map(|line| format!("{line}\n")).collect();
        insta::assert_snapshot!(why(&cut), @"the keyring cannot be read: its last block has no end");
        insta::assert_snapshot!(why(&format!("{cut}{END}\n")), @"the keyring cannot be read: a packet is cut short");
        // One letter of the first key's text.
        let at = COMMITTED.find("mQINBE58tdUBEADY5iQsoL4k8l06dNt").unwrap() + 20;
        let mut changed = COMMITTED.to_owned();
        changed.replace_range(at..=at, "A");
        insta::assert_snapshot!(why(&changed), @"the keyring cannot be read: its checksum does not match");
        insta::assert_snapshot!(why(&format!("{BEGIN}\nmQINBE58\n{END}\n")), @"the keyring cannot be read: `mQINBE58` is not an armor header");
        insta::assert_snapshot!(why(&format!("{BEGIN}\n\nlAEE\n{END}\n")), @"the keyring cannot be read: it contains a secret key");
        insta::assert_snapshot!(why(&format!("{BEGIN}\n\nmAED\n{END}\n")), @"the keyring cannot be read: a key has another version than 4");
    }

    proptest! {
        #[test]
        fn any_packets_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = primary_keys(&bytes);
        }
    }
}
