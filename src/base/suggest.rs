//! "Did you mean": the valid choices beside a word that is none of them.

/// The nearest of `choices` to `word`, if one is near enough to be meant.
pub fn nearest<'a>(word: &str, choices: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    choices
        .into_iter()
        .map(|choice| (strsim::damerau_levenshtein(word, choice), choice))
        .filter(|(distance, choice)| *distance <= 1 + choice.len().max(word.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, choice)| choice)
}

/// The hint lines for a word that is none of `choices`: the nearest first,
/// then all of them in order.
pub fn hints<'a>(word: &str, what: &str, choices: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut choices: Vec<&str> = choices.into_iter().collect();
    choices.sort_unstable();
    choices.dedup();
    let mut lines = Vec::new();
    if let Some(near) = nearest(word, choices.iter().copied()) {
        lines.push(format!("did you mean `{near}`?"));
    }
    if !choices.is_empty() {
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
}
