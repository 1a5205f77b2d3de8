//! Why a stage runs again: the differences between the inputs of its last key
//! and those of its new one, as text.

use super::key_inputs::{KeyInput, KeyInputs};
use std::collections::BTreeMap;

/// Returns the differences, one line each, in the order of the new inputs.
pub fn differences(old: &KeyInputs, new: &KeyInputs) -> Vec<String> {
    let (mut gone, mut come) = (count(old), count(new));
    for (input, times) in &mut gone {
        if let Some(there) = come.get_mut(input) {
            let both = (*times).min(*there);
            *times -= both;
            *there -= both;
        }
    }
    let left = |inputs: &BTreeMap<&KeyInput, usize>, of: &KeyInputs| -> Vec<KeyInput> {
        let mut seen = Vec::new();
        for input in of.iter() {
            if inputs.get(input).is_some_and(|times| *times > 0) && !seen.contains(input) {
                seen.push(input.clone());
            }
        }
        seen
    };
    let (mut gone, come) = (left(&gone, old), left(&come, new));
    let mut lines = Vec::new();
    for input in come {
        // A replaced value is shown as one change; options are paired by their
        // name before `=`.
        let paired = gone.iter().position(|old| old.what == input.what && stem(&old.value) == stem(&input.value));
        let paired = paired.or_else(|| {
            let alone = |inputs: &KeyInputs| inputs.iter().filter(|other| other.what == input.what).count() == 1;
            if alone(old) && alone(new) { gone.iter().position(|old| old.what == input.what) } else { None }
        });
        match paired {
            Some(at) => {
                let before = gone.remove(at);
                lines.push(changed(&input.what, &before.value, &input.value));
            }
            None => lines.push(format!("{} {} added", input.what, shown(&input.value))),
        }
    }
    lines.extend(gone.into_iter().map(|input| format!("{} {} removed", input.what, shown(&input.value))));
    if lines.is_empty() && old != new {
        lines.push("the order of its options changed".to_owned());
    }
    lines
}

fn count(inputs: &KeyInputs) -> BTreeMap<&KeyInput, usize> {
    let mut counts = BTreeMap::new();
    for input in inputs.iter() {
        *counts.entry(input).or_default() += 1;
    }
    counts
}

fn stem(value: &str) -> &str {
    value.split_once('=').map_or(value, |(stem, _)| stem)
}

fn changed(what: &str, before: &str, after: &str) -> String {
    let long = before.len().max(after.len()) > 80 || before.contains('\n') || after.contains('\n');
    if long { format!("{what} changed") } else { format!("{what} changed from `{before}` to `{after}`") }
}

fn shown(value: &str) -> String {
    let first = value.lines().next().unwrap_or("");
    if first.len() < value.len() || first.len() > 100 { "(text)".to_owned() } else { format!("`{first}`") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(pairs: &[(&str, &str)]) -> KeyInputs {
        let mut inputs = KeyInputs::default();
        pairs.iter().for_each(|(what, value)| inputs.add(*what, *value));
        inputs
    }

    #[test]
    fn additions_removals_and_changes_are_listed() {
        let old = inputs(&[("version", "16.1.0"), ("option", "--with-cpu=a"), ("option", "--nls"), ("option", "-x")]);
        let new = inputs(&[("version", "16.2.0"), ("option", "--with-cpu=b"), ("option", "-x"), ("option", "--new")]);
        insta::assert_snapshot!(differences(&old, &new).join("\n"), @r#"
        version changed from `16.1.0` to `16.2.0`
        option changed from `--with-cpu=a` to `--with-cpu=b`
        option `--new` added
        option `--nls` removed
        "#);
        assert!(differences(&old, &old).is_empty());
        let swapped = inputs(&[("option", "b"), ("option", "a")]);
        insta::assert_snapshot!(differences(&inputs(&[("option", "a"), ("option", "b")]), &swapped).join("\n"), @r#"the order of its options changed"#);
    }
}
