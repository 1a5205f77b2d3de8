//! Why a stage runs again: the difference between what determined an earlier
//! result and what determines the next, in words.

use super::material::{Fact, Material};
use std::collections::BTreeMap;

/// The differences, one line each, in the order of the new material.
pub fn differences(old: &Material, new: &Material) -> Vec<String> {
    let (mut gone, mut come) = (count(old), count(new));
    for (fact, times) in &mut gone {
        if let Some(there) = come.get_mut(fact) {
            let both = (*times).min(*there);
            *times -= both;
            *there -= both;
        }
    }
    let left = |facts: &BTreeMap<&Fact, usize>, of: &Material| -> Vec<Fact> {
        let mut seen = Vec::new();
        for fact in of.facts() {
            if facts.get(fact).is_some_and(|times| *times > 0) && !seen.contains(fact) {
                seen.push(fact.clone());
            }
        }
        seen
    };
    let (mut gone, come) = (left(&gone, old), left(&come, new));
    let mut lines = Vec::new();
    for fact in come {
        // One value that took another's place reads best as a change; options
        // are paired by the word before `=`.
        let paired = gone.iter().position(|old| old.what == fact.what && stem(&old.value) == stem(&fact.value));
        let paired = paired.or_else(|| {
            let alone = |facts: &Material| facts.facts().iter().filter(|other| other.what == fact.what).count() == 1;
            if alone(old) && alone(new) { gone.iter().position(|old| old.what == fact.what) } else { None }
        });
        match paired {
            Some(at) => {
                let before = gone.remove(at);
                lines.push(changed(&fact.what, &before.value, &fact.value));
            }
            None => lines.push(format!("{} {} added", fact.what, shown(&fact.value))),
        }
    }
    lines.extend(gone.into_iter().map(|fact| format!("{} {} removed", fact.what, shown(&fact.value))));
    if lines.is_empty() && old != new {
        lines.push("the order of its options changed".to_owned());
    }
    lines
}

fn count(material: &Material) -> BTreeMap<&Fact, usize> {
    let mut counts = BTreeMap::new();
    for fact in material.facts() {
        *counts.entry(fact).or_default() += 1;
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

    fn material(facts: &[(&str, &str)]) -> Material {
        let mut material = Material::default();
        facts.iter().for_each(|(what, value)| material.add(*what, *value));
        material
    }

    #[test]
    fn what_came_went_and_changed_is_said() {
        let old = material(&[("version", "16.1.0"), ("option", "--with-cpu=a"), ("option", "--nls"), ("option", "-x")]);
        let new = material(&[("version", "16.2.0"), ("option", "--with-cpu=b"), ("option", "-x"), ("option", "--new")]);
        insta::assert_snapshot!(differences(&old, &new).join("\n"), @r#"
        version changed from `16.1.0` to `16.2.0`
        option changed from `--with-cpu=a` to `--with-cpu=b`
        option `--new` added
        option `--nls` removed
        "#);
        assert!(differences(&old, &old).is_empty());
        let swapped = material(&[("option", "b"), ("option", "a")]);
        insta::assert_snapshot!(differences(&material(&[("option", "a"), ("option", "b")]), &swapped).join("\n"), @r#"the order of its options changed"#);
    }
}
