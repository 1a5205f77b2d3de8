//! Reads apt's configuration: `sources.list`, `*.sources`, `apt.conf`.
//!
//! Formats: sources.list(5) and apt.conf(5). A line or stanza that cannot be
//! read is skipped, as it is no business of ours to judge the host's apt.

/// An entry of apt's sources, in either format.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// `deb`, `deb-src` or both.
    pub types: Vec<String>,
    /// In the order they are tried.
    pub uris: Vec<String>,
    /// `bookworm`, `bookworm-updates`; or a path ending in `/`.
    pub suites: Vec<String>,
    /// `main`, `contrib`.
    pub components: Vec<String>,
    /// Keyring paths or fingerprints; an embedded key is kept as its text.
    pub signed_by: Option<String>,
}

/// Reads a one-line-style `sources.list`.
pub fn parse_list(text: &str) -> Vec<Entry> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Entry> {
    let line = line.split('#').next().unwrap_or("").trim();
    let (kind, rest) = line.split_once(char::is_whitespace)?;
    if kind != "deb" && kind != "deb-src" {
        return None;
    }
    let mut rest = rest.trim_start();
    let mut entry = Entry { types: vec![kind.to_owned()], ..Entry::default() };
    if let Some(inner) = rest.strip_prefix('[') {
        let (options, after) = inner.split_once(']')?;
        rest = after;
        for option in options.split_whitespace() {
            if let Some((name, value)) = option.split_once('=')
                && name.trim_end_matches(['+', '-']).eq_ignore_ascii_case("signed-by")
            {
                entry.signed_by = Some(value.to_owned());
            }
        }
    }
    let mut words = rest.split_whitespace().map(str::to_owned);
    entry.uris.push(words.next()?);
    entry.suites.push(words.next()?);
    entry.components = words.collect();
    Some(entry)
}

/// Reads deb822-style `*.sources`: stanzas of fields, parted by empty lines.
/// Disabled stanzas are left out.
pub fn parse_sources(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut stanza: Vec<(String, String)> = Vec::new();
    for line in text.lines().chain([""]) {
        if line.trim().is_empty() {
            entries.extend(stanza_entry(&std::mem::take(&mut stanza)));
        } else if line.starts_with('#') {
            // A comment may appear between a field and its continuation.
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = stanza.last_mut() {
                value.push('\n');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            stanza.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    entries
}

fn stanza_entry(stanza: &[(String, String)]) -> Option<Entry> {
    let field = |name: &str| stanza.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let words = |name| field(name).unwrap_or("").split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let enabled = field("enabled").unwrap_or("yes").to_ascii_lowercase();
    if matches!(enabled.as_str(), "no" | "false" | "without" | "off" | "disable" | "0") {
        return None;
    }
    let entry = Entry {
        types: words("types"),
        uris: words("uris"),
        suites: words("suites"),
        components: words("components"),
        signed_by: field("signed-by").map(str::to_owned),
    };
    (!entry.uris.is_empty()).then_some(entry)
}

/// Reads a list of a `mirror` method: one URI a line, then `key:value` words.
/// The lines come back by their `priority:`, lowest first, as apt prefers them.
pub fn parse_mirror_list(text: &str) -> Vec<String> {
    let mut found: Vec<(u32, String)> = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or("");
        let mut words = line.split_whitespace();
        let Some(uri) = words.next() else { continue };
        let priority = words.find_map(|word| word.strip_prefix("priority:")?.parse().ok());
        found.push((priority.unwrap_or(u32::MAX), uri.to_owned()));
    }
    found.sort_by_key(|(priority, _)| *priority);
    found.into_iter().map(|(_, uri)| uri).collect()
}

/// Returns the value of `Acquire::http::Proxy` in the text of an `apt.conf`, in the flat or the
/// nested spelling; the last one counts. `DIRECT` comes back as it is.
pub fn http_proxy(conf: &str) -> Option<String> {
    let mut scopes: Vec<String> = Vec::new();
    let mut name = String::new();
    let mut value = None;
    let mut found = None;
    for token in tokens(conf) {
        match token {
            Token::Word(word) => name = word,
            Token::Text(text) => value = Some(text),
            Token::Open => scopes.push(std::mem::take(&mut name)),
            Token::End | Token::Close => {
                let full = scopes.iter().map(String::as_str).chain([name.as_str()]).collect::<Vec<_>>().join("::");
                if let Some(value) = value.take()
                    && full.eq_ignore_ascii_case("acquire::http::proxy")
                {
                    found = Some(value);
                }
                name.clear();
                if matches!(token, Token::Close) {
                    scopes.pop();
                }
            }
        }
    }
    found.filter(|proxy| !proxy.is_empty() && proxy != "false")
}

enum Token {
    Word(String),
    Text(String),
    Open,
    Close,
    End,
}

fn tokens(conf: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = conf;
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        rest = match first {
            '"' => {
                let (text, after) = after.split_once('"').unwrap_or((after, ""));
                found.push(Token::Text(text.to_owned()));
                after
            }
            '{' | '}' | ';' => {
                found.push(match first {
                    '{' => Token::Open,
                    '}' => Token::Close,
                    _ => Token::End,
                });
                after
            }
            '#' => after.split_once('\n').map_or("", |(_, after)| after),
            '/' if after.starts_with('/') => after.split_once('\n').map_or("", |(_, after)| after),
            '/' if after.starts_with('*') => after.split_once("*/").map_or("", |(_, after)| after),
            _ if first.is_whitespace() => after,
            _ => {
                let end = rest.find(|c: char| c.is_whitespace() || "\"{};".contains(c)).unwrap_or(rest.len());
                found.push(Token::Word(rest[..end].to_owned()));
                &rest[end..]
            }
        };
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_with_options_and_a_comment_is_read() {
        let text = "# deb http://no.example/debian x main\n\
                    deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main contrib # note\n\
                    deb-src http://mirror.example/debian bookworm main\nrpm http://x y z\ndeb [broken\n";
        let entries = parse_list(text);
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0].uris, ["http://mirror.example/debian"]);
        assert_eq!(entries[0].signed_by.as_deref(), Some("/k.gpg"));
        assert_eq!(entries[0].components, ["main", "contrib"]);
        assert_eq!(entries[1].types, ["deb-src"]);
    }

    #[test]
    fn stanzas_are_read_without_the_disabled_ones() {
        let text = "Types: deb deb-src\n# a comment within\nURIs: http://a.example/debian\n http://b.example/debian\n\
                    Suites: trixie trixie-updates\nComponents: main\nSigned-By:\n -----BEGIN\n .\n\n\
                    Enabled: no\nTypes: deb\nURIs: http://off.example/debian\nSuites: trixie\nComponents: main\n";
        let entries = parse_sources(text);
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].uris, ["http://a.example/debian", "http://b.example/debian"]);
        assert_eq!(entries[0].suites, ["trixie", "trixie-updates"]);
    }

    #[test]
    fn a_mirror_list_is_ordered_by_priority() {
        let text = "# list\nhttp://c.example/debian\nhttp://b.example/debian\tpriority:2\nhttp://a.example/debian priority:1 type:deb\n";
        assert_eq!(
            parse_mirror_list(text),
            ["http://a.example/debian", "http://b.example/debian", "http://c.example/debian"]
        );
    }

    #[test]
    fn the_proxy_is_found_in_both_spellings() {
        let flat = "// x\nAcquire::http::Proxy \"http://proxy.example:3142/\";\n";
        assert_eq!(http_proxy(flat).as_deref(), Some("http://proxy.example:3142/"));
        let nested = "Acquire { /* c */ http { Proxy \"http://p.example\"; Pipeline-Depth \"0\"; }; };";
        assert_eq!(http_proxy(nested).as_deref(), Some("http://p.example"));
        assert_eq!(http_proxy("Acquire::https::Proxy \"http://p.example\";"), None);
        assert_eq!(http_proxy("Acquire::http::Proxy \"false\";"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_a_parser_panic(text in "(?s)[\\x00-\\x7fä€#:;{}\"\\[\\]\n \t]{0,200}") {
            parse_list(&text);
            parse_sources(&text);
            parse_mirror_list(&text);
            http_proxy(&text);
        }

        #[test]
        fn a_written_entry_is_read_back(host in "[a-z]{1,8}", suite in "[a-z]{1,8}") {
            let uri = format!("http://{host}.example/debian");
            let line = parse_list(&format!("deb [arch=amd64] {uri} {suite} main"));
            let stanza = parse_sources(&format!("Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: main"));
            prop_assert_eq!(line, stanza);
        }
    }
}
