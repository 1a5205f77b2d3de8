//! Reads gpgv's reports on its status descriptor (GnuPG's doc/DETAILS, "General
//! status codes"). Its exit status alone means nothing: it is 0 for a revoked
//! key and 2 for a good signature beside one by an unknown key.

use super::{Form, Problem, Verified, date};
use std::time::Duration;

const PREFIX: &str = "[GNUPG:] ";
/// A clock may be wrong by so much.
const DAY: u64 = 86_400;

/// The hash algorithms of OpenPGP (RFC 9580 9.5) with their ids.
const HASHES: [(u32, &str); 9] = [
    (1, "MD5"),
    (2, "SHA-1"),
    (3, "RIPEMD-160"),
    (8, "SHA-256"),
    (9, "SHA-384"),
    (10, "SHA-512"),
    (11, "SHA-224"),
    (12, "SHA3-256"),
    (14, "SHA3-512"),
];
/// Those of them that still count.
const STRONG: std::ops::RangeInclusive<u32> = 8..=14;

/// Reports of one signature.
#[derive(Debug, Default)]
struct Entry<'a> {
    /// `GOODSIG` or its like, and what follows.
    verdict: Option<(&'a str, Vec<&'a str>)>,
    valid: Option<Vec<&'a str>>,
    /// When the key, or a key it belongs to, expired.
    expired: Vec<u64>,
}

/// Returns the result of a run of gpgv: the first signature that counts, or why the first one does
/// not. `keys` are the fingerprints of the keyring's primary keys, `now` is seconds since 1970,
/// `complaint` gpgv's last words.
pub(super) fn judge(status: &str, form: Form, keys: &[String], now: u64, complaint: &str) -> Result<Verified, Problem> {
    let mut first = None;
    for entry in entries(status, form)? {
        match entry.judge(form, keys, now, complaint) {
            Ok(verified) => return Ok(verified),
            Err(problem) => first = first.or(Some(problem)),
        }
    }
    Err(first.unwrap_or_else(|| unreadable("the file contains no signature")))
}

fn unreadable(why: impl Into<String>) -> Problem {
    Problem::Unreadable { why: why.into() }
}

fn entries(status: &str, form: Form) -> Result<Vec<Entry<'_>>, Problem> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    let mut texts = 0;
    for line in status.lines() {
        let Some(line) = line.strip_prefix(PREFIX) else {
            return Err(unreadable(format!("gpgv reported `{line}`, which is not a status")));
        };
        let mut words = line.split(' ');
        let keyword = words.next().unwrap_or("");
        let words: Vec<&str> = words.collect();
        match keyword {
            "NEWSIG" => {
                entries.push(Entry::default());
                continue;
            }
            // A signed message with its own text is no statement about the file.
            "PLAINTEXT" if form == Form::Detached => {
                return Err(unreadable("it is a signed message, not a detached signature"));
            }
            "PLAINTEXT" => texts += 1,
            _ => {}
        }
        let unexpected = || unreadable(format!("gpgv reported `{line}` out of turn"));
        match keyword {
            "GOODSIG" | "BADSIG" | "EXPSIG" | "EXPKEYSIG" | "REVKEYSIG" | "ERRSIG" => {
                let entry = entries.last_mut().filter(|entry| entry.verdict.is_none()).ok_or_else(unexpected)?;
                entry.verdict = Some((keyword, words));
            }
            "VALIDSIG" => {
                let entry = entries.last_mut().filter(|entry| entry.valid.is_none()).ok_or_else(unexpected)?;
                entry.valid = Some(words);
            }
            "KEYEXPIRED" => {
                let entry = entries.last_mut().ok_or_else(unexpected)?;
                // A subkey that ends with its primary key has 0.
                let end = words.first().and_then(|time| time.parse::<u64>().ok());
                entry.expired.extend(end.filter(|time| *time > 0));
            }
            _ => {}
        }
    }
    // The signatures of one text do not cover another.
    if form == Form::Clear && texts != 1 && !entries.is_empty() {
        return Err(unreadable(format!("it has {texts} signed texts instead of one")));
    }
    Ok(entries)
}

/// The fields of `VALIDSIG` that count.
struct Valid<'a> {
    key: &'a str,
    created: u64,
    expires: u64,
    hash: u32,
    class: &'a str,
    primary: &'a str,
}

impl<'a> Valid<'a> {
    fn parse(words: &[&'a str]) -> Option<Self> {
        let [key, _, created, expires, _, _, _, hash, class, primary] = words[..] else { return None };
        let is_fingerprint = |word: &str| word.len() == 40 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_fingerprint(key) || !is_fingerprint(primary) {
            return None;
        }
        let (created, expires) = (created.parse().ok()?, expires.parse().ok()?);
        Some(Self { key, created, expires, hash: hash.parse().ok()?, class, primary })
    }
}

impl Entry<'_> {
    fn judge(&self, form: Form, keys: &[String], now: u64, complaint: &str) -> Result<Verified, Problem> {
        let Some((keyword, words)) = &self.verdict else {
            return Err(unreadable("gpgv came to no verdict"));
        };
        let key = words.first().copied().unwrap_or("").to_owned();
        match *keyword {
            "BADSIG" => return Err(Problem::Wrong { key }),
            "ERRSIG" => return Err(unchecked(form, words, complaint)),
            _ => {}
        }
        let valid = self.valid.as_deref().and_then(Valid::parse);
        let valid = valid.filter(|valid| valid.key.ends_with(&key) && key.len() == 16);
        let Some(valid) = valid else {
            return Err(unreadable(format!("gpgv reported {keyword} without a valid signature")));
        };
        if !keys.iter().any(|known| known == valid.primary) {
            return Err(Problem::UnknownKey { key: valid.primary.to_owned() });
        }
        check_form(form, valid.class, valid.hash)?;
        let mut expired = None;
        let time = |why| Err(Problem::Time { why });
        if valid.created > now.saturating_add(DAY) {
            return time(format!("it was created on {}, in the future", date(valid.created)));
        }
        match *keyword {
            "GOODSIG" => {}
            "REVKEYSIG" => return Err(Problem::Revoked { key }),
            "EXPSIG" => return time(format!("it was valid until {}", date(valid.expires))),
            // gpgv does not report which expiry counts: the earliest is the safe one. One after the
            // release does not undo the release.
            _ => match self.expired.iter().min() {
                Some(end) if valid.created <= *end => expired = Some(*end),
                Some(end) => return Err(Problem::Expired { key, on: date(*end) }),
                None => return Err(unreadable("gpgv reported an expired key without its date")),
            },
        }
        Ok(Verified { fingerprint: valid.primary.to_owned(), expired })
    }
}

/// Over a file as it is, with a hash that cannot be forged.
fn check_form(form: Form, class: &str, hash: u32) -> Result<(), Problem> {
    if !is_over_file(form, class) {
        return Err(unreadable("it is not over a file"));
    }
    if STRONG.contains(&hash) { Ok(()) } else { Err(Problem::WeakHash { hash: hash_name(hash) }) }
}

/// Signature types 0x00 (binary) and, for a clear-signed text, 0x01 (text; RFC 9580 5.2.1).
fn is_over_file(form: Form, class: &str) -> bool {
    class == "00" || (form == Form::Clear && class == "01")
}

fn hash_name(id: u32) -> String {
    HASHES.iter().find(|(known, _)| *known == id).map_or_else(|| format!("number {id}"), |(_, name)| (*name).to_owned())
}

/// `ERRSIG KEYID PKALGO HASHALGO CLASS TIME CODE [FINGERPRINT]`; codes are libgpg-error's.
fn unchecked(form: Form, words: &[&str], complaint: &str) -> Problem {
    let [key, _, hash, class, _, code, rest @ ..] = words else {
        return unreadable("gpgv could not check it");
    };
    let fingerprint = rest.first().filter(|word| word.len() >= 40).unwrap_or(key);
    match *code {
        "9" => Problem::UnknownKey { key: (*fingerprint).to_owned() },
        "125" => Problem::NotForSigning { key: (*key).to_owned(), why: "it is for other uses" },
        "32" => Problem::Time { why: format!("it was created before the key {key}") },
        "5" => Problem::WeakHash { hash: hash.parse().map_or_else(|_| (*hash).to_owned(), hash_name) },
        _ if !is_over_file(form, class) => unreadable("it is not over a file"),
        code => unreadable(format!("gpgv could not check it (error {code}): {complaint}")),
    }
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.as_ref().map_or(0, Duration::as_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "CA131991B5F383B51CFA49CE2B8385EF323D3DCE";
    const NOW: u64 = 1_795_700_000;

    fn judged(lines: &[&str]) -> String {
        let status: String = lines.iter().map(|line| format!("{PREFIX}{line}\n")).collect();
        match judge(&status, Form::Detached, &[KEY.to_owned()], NOW, "gpgv's words") {
            Ok(verified) => format!("verified by {}", verified.fingerprint),
            Err(problem) => problem.to_string(),
        }
    }

    fn valid(hash: u32) -> String {
        format!("VALIDSIG {KEY} 2026-11-26 1795691112 0 4 0 22 {hash} 00 {KEY}")
    }

    const GOOD: &str = "GOODSIG 2B8385EF323D3DCE A Releaser <a@b>";

    #[test]
    fn a_good_signature_needs_its_fingerprint() {
        assert_eq!(judged(&["NEWSIG", GOOD, &valid(8)]), format!("verified by {KEY}"));
        insta::assert_snapshot!(judged(&["NEWSIG", GOOD]), @"it cannot be read: gpgv reported GOODSIG without a valid signature");
        insta::assert_snapshot!(judged(&["NEWSIG", &valid(8)]), @"it cannot be read: gpgv came to no verdict");
        insta::assert_snapshot!(judged(&[GOOD, &valid(8)]), @"it cannot be read: gpgv reported `GOODSIG 2B8385EF323D3DCE A Releaser <a@b>` out of turn");
        insta::assert_snapshot!(judged(&["NEWSIG", "GOODSIG 0000000000000000 x", &valid(8)]), @"it cannot be read: gpgv reported GOODSIG without a valid signature");
        insta::assert_snapshot!(judged(&["NEWSIG", "BADSIG 2B8385EF323D3DCE x", GOOD, &valid(8)]), @"it cannot be read: gpgv reported `GOODSIG 2B8385EF323D3DCE A Releaser <a@b>` out of turn");
        insta::assert_snapshot!(judged(&[]), @"it cannot be read: the file contains no signature");
        insta::assert_snapshot!(judged(&["NEWSIG", GOOD, &valid(8), "PLAINTEXT 62 0 "]), @"it cannot be read: it is a signed message, not a detached signature");
        let other = valid(8).replace(&format!("00 {KEY}"), "00 0000000000000000000000000000000000000000");
        insta::assert_snapshot!(judged(&["NEWSIG", GOOD, &other]), @"signed by a key that is not in the keyring: 0000000000000000000000000000000000000000");
    }

    #[test]
    fn weak_hashes_and_other_codes_have_their_words() {
        insta::assert_snapshot!(judged(&["NEWSIG", GOOD, &valid(2)]), @"it uses the broken hash SHA-1");
        insta::assert_snapshot!(judged(&["NEWSIG", "ERRSIG 2B8385EF323D3DCE 22 1 00 1795691112 5 -"]), @"it uses the broken hash MD5");
        insta::assert_snapshot!(judged(&["NEWSIG", "ERRSIG 2B8385EF323D3DCE 99 8 00 1795691112 4 -"]), @"it cannot be read: gpgv could not check it (error 4): gpgv's words");
        insta::assert_snapshot!(judged(&["NEWSIG", "ERRSIG 2B8385EF323D3DCE 22 8 00 1795691112 32 -"]), @"its time is wrong: it was created before the key 2B8385EF323D3DCE");
        insta::assert_snapshot!(judged(&["NEWSIG", "ERRSIG 2B8385EF323D3DCE 22 8 00 1795691112 9 -"]), @"signed by a key that is not in the keyring: 2B8385EF323D3DCE");
    }

    #[test]
    fn an_expiry_counts_from_its_date() {
        let expired = "EXPKEYSIG 2B8385EF323D3DCE x";
        assert_eq!(judged(&["NEWSIG", "KEYEXPIRED 1795691112", expired, &valid(8)]), format!("verified by {KEY}"));
        insta::assert_snapshot!(judged(&["NEWSIG", "KEYEXPIRED 1795691111", "KEYEXPIRED 0", expired, &valid(8)]), @"the key 2B8385EF323D3DCE expired on 2026-11-26, before the signature was created");
        insta::assert_snapshot!(judged(&["NEWSIG", "KEYEXPIRED 0", expired, &valid(8)]), @"it cannot be read: gpgv reported an expired key without its date");
    }
}
