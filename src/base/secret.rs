//! Passwords and tokens, and text without them. Prints nothing.
//!
//! Two things are hidden: credentials in URLs, by their syntax, and the values that were registered, wherever they are.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::RwLock;

/// What stands for a secret.
pub const HIDDEN: &str = "***";

/// A shorter value is not registered: it would be found within ordinary words.
pub const SHORTEST: usize = 8;

/// Parts of the names of query parameters whose values are secret, in lower case.
const SECRET_PARAMETERS: [&str; 9] =
    ["token", "secret", "passw", "signature", "credential", "apikey", "api_key", "api-key", "auth"];
const SECRET_NAMES: [&str; 4] = ["sig", "key", "pwd", "pass"];

/// Schemes whose user name is an account of the host, as in `ssh://git@host`, and only the password is secret.
const ACCOUNT_SCHEMES: [&str; 3] = ["ssh", "sftp", "rsync"];

// Longest first. A message of any layer may quote a secret, so all of them are kept in one place.
static KNOWN: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// Registers secret values; those below [`SHORTEST`] are ignored. Returns those that were not known yet.
pub fn register(values: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut known = KNOWN.write().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut new: Vec<String> = Vec::new();
    // A value of several lines appears line by line.
    for line in values.into_iter().flat_map(|value| value.lines().map(str::to_owned).collect::<Vec<_>>()) {
        let line = line.trim();
        if line.len() >= SHORTEST && !known.iter().chain(&new).any(|other| other == line) {
            new.push(line.to_owned());
        }
    }
    known.extend(new.iter().cloned());
    known.sort_by_key(|value| std::cmp::Reverse(value.len()));
    new
}

/// Returns `text` with [`HIDDEN`] in place of the credentials of its URLs and of registered values.
pub fn redact(text: &str) -> Cow<'_, str> {
    let known = KNOWN.read().unwrap_or_else(std::sync::PoisonError::into_inner);
    redact_known(text, &known)
}

fn redact_known<'a>(text: &'a str, known: &[String]) -> Cow<'a, str> {
    let mut shown = redact_urls(text);
    for value in known {
        if shown.contains(value.as_str()) {
            shown = Cow::Owned(shown.replace(value.as_str(), HIDDEN));
        }
    }
    shown
}

/// Returns the secret values in the URLs of `text`: passwords, tokens and signatures, as they are written and decoded.
pub fn in_urls(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for range in secrets(text) {
        let secret = &text[range];
        let (user, password) = secret.split_once(':').unwrap_or((secret, ""));
        // Some services take a token as the user, with a fixed word or nothing as the password.
        let values = if matches!(password, "" | "x-oauth-basic") { [user, ""] } else { ["", password] };
        for value in values.into_iter().filter(|value| !value.is_empty()) {
            found.extend([value.to_owned(), decoded(value)]);
        }
    }
    found.dedup();
    found
}

/// Returns a URL without user information, unless that is only an account of the host.
pub fn bare(url: &str) -> Cow<'_, str> {
    let Some(scheme_end) = url.find("://") else { return Cow::Borrowed(url) };
    match user_info(url, scheme_end + 3).filter(|_| !is_account(url, scheme_end)) {
        Some(range) => Cow::Owned(format!("{}{}", &url[..range.start], &url[range.end + 1..])),
        None => Cow::Borrowed(url),
    }
}

// Whether the scheme that ends at `scheme_end` has accounts of the host as its users.
fn is_account(text: &str, scheme_end: usize) -> bool {
    let scheme = text[..scheme_end].rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    ACCOUNT_SCHEMES.contains(&scheme.to_ascii_lowercase().as_str())
}

fn redact_urls(text: &str) -> Cow<'_, str> {
    let ranges = secrets(text);
    if ranges.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    let mut done = 0;
    for range in ranges {
        shown.push_str(&text[done..range.start]);
        shown.push_str(HIDDEN);
        done = range.end;
    }
    shown.push_str(&text[done..]);
    Cow::Owned(shown)
}

// Where the secrets of URLs are, in order and apart from each other.
fn secrets(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while let Some(scheme_end) = text[at..].find("://").map(|offset| at + offset) {
        let start = scheme_end + 3;
        let end = start + text[start..].find(ends_url).unwrap_or(text.len() - start);
        let mut next = start;
        if let Some(info) = user_info(&text[..end], start) {
            next = info.end;
            let password = text[info.clone()].find(':').map(|colon| info.start + colon + 1..info.end);
            found.extend(
                if is_account(text, scheme_end) { password } else { Some(info) }.filter(|range| !range.is_empty()),
            );
        }
        // A URL in the query of another one is read as well.
        let inner = text[next..end].find("://").map_or(end, |offset| next + offset);
        found.extend(parameters(&text[..inner], next));
        at = inner.max(next);
    }
    found
}

fn ends_url(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '"' | '`' | '<' | '>' | '\\')
}

// The user information of a URL whose authority begins at `start` and that ends with `text`.
fn user_info(text: &str, start: usize) -> Option<Range<usize>> {
    let url = &text[start..];
    let authority = &url[..url.find(['/', '?', '#']).unwrap_or(url.len())];
    let at = match authority.rfind('@') {
        Some(at) => at,
        // `user:pass/word@host`: the password should have been encoded, and is one all the same.
        None => {
            let (_, port) = authority.rsplit_once(':')?;
            let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
            url.rfind('@').filter(|_| !is_port && !authority.starts_with('['))?
        }
    };
    Some(start..start + at)
}

// The values of secret parameters of the query; `start` is within the URL, which ends with `text`.
fn parameters(text: &str, start: usize) -> Vec<Range<usize>> {
    let Some(query) = text[start..].find('?').map(|offset| start + offset + 1) else { return Vec::new() };
    let mut found = Vec::new();
    let mut at = query;
    for pair in text[query..].split(['&', ';', '#']) {
        if let Some((name, value)) = pair.split_once('=') {
            let lower = name.to_ascii_lowercase();
            let is_secret =
                SECRET_PARAMETERS.iter().any(|part| lower.contains(part)) || SECRET_NAMES.contains(&lower.as_str());
            // The quote or bracket around a URL is not part of it.
            let value = value.trim_end_matches(['\'', ')']);
            let begin = at + name.len() + 1;
            if is_secret && !value.is_empty() {
                found.push(begin..begin + value.len());
            }
        }
        at += pair.len() + 1;
    }
    found
}

// RFC 3986 2.1; a `%` without two digits stays.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        match after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(b'%');
                rest = after;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn credentials_of_urls_are_hidden() {
        let cases = [
            (
                "cannot fetch `https://deploy:s3cr3t@host.example/a.tar.xz`: 401",
                "cannot fetch `https://***@host.example/a.tar.xz`: 401",
            ),
            ("git+https://ghp_0123456789@host/r.git#main", "git+https://***@host/r.git#main"),
            ("ssh://git@host/r.git and ssh://git:pw@host/r", "ssh://git@host/r.git and ssh://git:***@host/r"),
            ("https://u:p@ss@host/", "https://***@host/"),
            ("https://u:pa/ss@host/x", "https://***@host/x"),
            ("http://host:8080/a@b", "http://host:8080/a@b"),
            ("http://[::1]:80/a@b", "http://[::1]:80/a@b"),
            ("https://h/x?a=1&X-Amz-Signature=abc&X-Amz-Date=2", "https://h/x?a=1&X-Amz-Signature=***&X-Amz-Date=2"),
            ("('https://h/x?sig=ab%2Fc')", "('https://h/x?sig=***')"),
            (
                r#"{"url":"https://h/?access_token=t\n","n":"https://a:b@c"}"#,
                r#"{"url":"https://h/?access_token=***\n","n":"https://***@c"}"#,
            ),
            ("https://h/login?to=https://u:p@other/&token=x", "https://h/login?to=https://***@other/&token=x"),
            ("https://a@b:c://d:e@f", "https://***@b:c://***@f"),
            ("a://b ://@ x:// user@host", "a://b ://@ x:// user@host"),
        ];
        for (text, wanted) in cases {
            assert_eq!(redact_urls(text), wanted);
        }
    }

    #[test]
    fn registered_values_are_hidden_wherever_they_are() {
        let known = ["topsecretvalue".to_owned(), "secretvalue".to_owned()];
        assert_eq!(redact_known("x topsecretvalue=secretvalue.", &known), "x ***=***.");
        assert!(matches!(redact_known("nothing", &known), Cow::Borrowed(_)));
        // `register` alone changes what the whole program knows, so these values are of this test only.
        let new = register(["ab5c\nQv9-first-line\r\n  Qv9-second-line ".to_owned(), "Qv9-first-line".to_owned()]);
        assert_eq!(new, ["Qv9-first-line", "Qv9-second-line"]);
        assert_eq!(redact("ab5c Qv9-second-line"), "ab5c ***");
        assert_eq!(register(["Qv9-first-line".to_owned()]), Vec::<String>::new());
    }

    #[test]
    fn secrets_of_urls_are_found_as_written_and_decoded() {
        assert_eq!(in_urls("https://me:p%40ssword@h/x"), ["p%40ssword", "p@ssword"]);
        assert_eq!(in_urls("https://ghp_token@h/ https://tok:x-oauth-basic@h/"), ["ghp_token", "tok"]);
        assert_eq!(in_urls("https://h/?token=abc https://h/?a=b"), ["abc"]);
        assert_eq!(in_urls("ssh://git@h/ https://h/"), Vec::<String>::new());
        assert_eq!(decoded("%zz%4"), "%zz%4");
        assert_eq!(bare("https://u:p@h/x"), "https://h/x");
        assert_eq!(bare("ssh://git@h/x"), "ssh://git@h/x");
        assert_eq!(bare("/a/b@c"), "/a/b@c");
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in "[a:/@?&=#'\\\\ é]{0,40}") {
            let shown = redact_urls(&text).into_owned();
            prop_assert_eq!(redact_urls(&shown), shown.as_str());
        }

        #[test]
        fn no_password_is_left(password in "[a-zA-Z0-9%+_.~!$&()*,;=-]{8,20}") {
            let text = format!("error: `https://user:{password}@host/x?y=1` and token https://host/?token={}", "q".repeat(9));
            let shown = redact_urls(&text).into_owned();
            prop_assert!(!shown.contains(&password) && !shown.contains("qqqq"), "{}", shown);
        }
    }
}
