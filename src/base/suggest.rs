//! "Did you mean": valid choices for an unknown word.

/// Returns the one of `choices` that `word` was probably meant to be, if any is near enough.
///
/// Two words are near if their edit distance is at most a quarter of the shorter word's length (at
/// least one), or if one is a prefix of the other: `arm46` is `arm64` and `risc` is `riscv64`, but
/// `amd64`, two letters away from `arm64`, is another architecture.
pub fn nearest<'a>(word: &str, choices: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    choices
        .into_iter()
        .filter_map(|choice| {
            let edits = strsim::damerau_levenshtein(word, choice);
            let few = edits <= (word.len().min(choice.len()) / 4).max(1) && edits < choice.len();
            let begins = word.len().min(choice.len()) >= 3 && (choice.starts_with(word) || word.starts_with(choice));
            (few || begins).then_some((if few { 0 } else { 1 }, edits, choice))
        })
        .min()
        .map(|(_, _, choice)| choice)
}

/// More choices than this are listed only where none is near.
const FEW: usize = 20;

/// Returns the hints for a word that is not one of `choices`: the nearest one, then all of them in
/// order unless there are many.
pub fn hints<'a>(word: &str, what: &str, choices: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut choices: Vec<&str> = choices.into_iter().collect();
    choices.sort_unstable();
    choices.dedup();
    let near = nearest(word, choices.iter().copied());
    let mut lines = Vec::new();
    if let Some(near) = near {
        lines.push(format!("did you mean `{near}`?"));
    }
    if !choices.is_empty() && (near.is_none() || choices.len() <= FEW) {
        lines.push(format!("valid {what} are {}", list(choices)));
    }
    lines
}

/// `` `a`, `b`, `c` ``
pub fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_named_only_when_it_is_near() {
        assert_eq!(nearest("arm46", ["arm64", "s390", "arm"]), Some("arm64"));
        assert_eq!(nearest("confgure", ["configure", "build"]), Some("configure"));
        assert_eq!(nearest("vax", ["riscv64", "powerpc64le"]), None);
    }

    #[test]
    fn another_family_is_not_near() {
        assert_eq!(nearest("amd64", ["arm64", "arm"]), None);
        assert_eq!(nearest("sh5", ["s390", "sh"]), Some("sh"));
        assert_eq!(nearest("ppc64", ["powerpc64", "parisc64"]), None);
        assert_eq!(nearest("x", ["y"]), None);
    }

    #[test]
    fn a_beginning_is_near() {
        assert_eq!(nearest("riscv", ["riscv32", "riscv64", "arm"]), Some("riscv32"));
        assert_eq!(nearest("loong", ["loongarch64", "alpha"]), Some("loongarch64"));
    }
}
