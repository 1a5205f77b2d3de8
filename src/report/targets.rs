//! The matrix on paper.

use crate::config::expect::KnownFailure;
use crate::config::matrix::{Matrix, Target};
use serde_json::{Value, json};

/// One line a target.
pub fn list(matrix: &Matrix, as_json: bool) -> String {
    if as_json {
        let targets: Vec<Value> = matrix.targets.values().map(value).collect();
        return format!("{:#}\n", json!({ "schema": 1, "targets": targets }));
    }
    let mut text = format!("{:12} {:20} {:10} {:10} {}\n", "TARGET", "TRIPLE", "TIER", "ARCH", "");
    for target in matrix.targets.values() {
        let shares = if target.toolchain == target.name {
            String::new()
        } else {
            format!(" (toolchain of {})", target.toolchain)
        };
        let line = format!(
            "{:12} {:20} {:10} {:10} {}{shares}",
            target.name, target.triple, target.tier, target.arch, target.summary
        );
        text += line.trim_end();
        text.push('\n');
    }
    for (name, known) in &matrix.not_built {
        text += &format!("{name:12} not built: {}\n", known.why);
    }
    text
}

/// Everything known of one.
pub fn one(target: &Target, as_json: bool) -> String {
    if as_json {
        return format!("{:#}\n", value(target));
    }
    let mut text = format!("{}: {}\n", target.name, target.summary);
    let mut line = |what: &str, value: &str| {
        if !value.is_empty() {
            text += &format!("  {what:12} {value}\n");
        }
    };
    line("triple", &target.triple);
    line("tier", &target.tier);
    line("ARCH", &target.arch);
    line("toolchain", if target.toolchain == target.name { "its own" } else { target.toolchain.as_str() });
    if let Some(kernel) = &target.kernel {
        line("defconfig", &kernel.defconfig);
        line("fragments", &kernel.fragments.join(" "));
        line("tiny", &kernel.tiny_fragments.join(" "));
        line("image", &kernel.image);
    }
    for (package, options) in &target.options {
        for option in options {
            let from = option.from.as_ref().map(|from| format!(" [{from}]")).unwrap_or_default();
            line(package.as_str(), &format!("{}: {}{from}", option.add.join(" "), option.why));
        }
    }
    for requires in &target.requires {
        line("requires", &format!("{} {}: {}", requires.package, requires.versions, requires.why));
    }
    for (check, expected) in &target.expect {
        line("expects", &format!("{check}: {expected}"));
    }
    for (check, known) in &target.known_failures {
        line("known failure", &format!("{check}: {}{}", known.why, ends(known)));
    }
    for (fact, value) in target.facts.iter().filter(|(_, value)| !value.is_empty()) {
        line("fact", &format!("{fact} = {value}"));
    }
    for note in &target.notes {
        line("note", note);
    }
    text
}

fn ends(known: &KnownFailure) -> String {
    let mut text = known.until.map(|day| format!("; until {day}")).unwrap_or_default();
    for (package, range) in &known.versions {
        text += &format!("; {package} {range}");
    }
    text
}

/// Settings, profiles and release sets.
pub fn settings(matrix: &Matrix, as_json: bool) -> String {
    let settings: Vec<Value> = matrix
        .settings
        .iter()
        .map(|(name, setting)| {
            json!({ "name": name, "default": setting.default.to_string(), "choices": setting.choices, "summary": setting.summary })
        })
        .collect();
    let profiles: Vec<Value> = matrix
        .profiles
        .iter()
        .map(|(name, profile)| {
            let set: serde_json::Map<_, _> =
                profile.set.iter().map(|(name, value)| (name.clone(), json!(value.to_string()))).collect();
            json!({ "name": name, "summary": profile.summary, "set": set })
        })
        .collect();
    let sets: Vec<Value> = matrix
        .release_sets
        .iter()
        .map(|(name, set)| {
            let versions: serde_json::Map<_, _> =
                set.versions.iter().map(|(name, (version, _))| (name.to_string(), json!(version.as_str()))).collect();
            json!({ "name": name, "summary": set.summary, "versions": versions })
        })
        .collect();
    if as_json {
        return format!(
            "{:#}\n",
            json!({ "schema": 1, "settings": settings, "profiles": profiles, "release-sets": sets })
        );
    }
    let mut text = String::new();
    for (title, rows, detail) in
        [("settings", &settings, "default"), ("profiles", &profiles, "set"), ("release sets", &sets, "versions")]
    {
        text += &format!("{title}:\n");
        for row in rows {
            let word = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
            let detail = match &row[detail] {
                Value::Object(pairs) => {
                    let pairs =
                        pairs.iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()));
                    pairs.collect::<Vec<_>>().join(" ")
                }
                _ => format!("default {}", word(detail)),
            };
            text += &format!("  {:14} {}\n  {:14} {detail}\n", word("name"), word("summary"), "");
        }
    }
    text
}

fn value(target: &Target) -> Value {
    let options: serde_json::Map<_, _> = target
        .options
        .iter()
        .map(|(package, options)| {
            let options: Vec<_> = options
                .iter()
                .map(|option| {
                    json!({ "add": option.add, "why": option.why, "from": option.from, "versions": option.versions.to_string() })
                })
                .collect();
            (package.to_string(), json!(options))
        })
        .collect();
    json!({
        "name": target.name.as_str(), "summary": target.summary, "tier": target.tier, "triple": target.triple,
        "arch": target.arch, "toolchain": target.toolchain.as_str(), "options": options,
        "kernel": target.kernel.as_ref().map(|kernel| json!({
            "defconfig": kernel.defconfig, "fragments": kernel.fragments, "tiny-fragments": kernel.tiny_fragments,
            "image": kernel.image, "make-target": kernel.make_target,
        })),
        "requires": target.requires.iter().map(|requires| json!({
            "package": requires.package.as_str(), "versions": requires.versions.to_string(), "why": requires.why,
        })).collect::<Vec<_>>(),
        "expect": target.expect.iter().map(|(check, word)| (check.to_string(), json!(word))).collect::<serde_json::Map<_, _>>(),
        "known_failures": target.known_failures.iter().map(|(check, known)| (check.to_string(), json!({
            "why": known.why, "until": known.until.map(|day| day.to_string()),
            "versions": known.versions.iter().map(|(name, range)| (name.to_string(), json!(range.to_string()))).collect::<serde_json::Map<_, _>>(),
        }))).collect::<serde_json::Map<_, _>>(),
        "facts": target.facts,
        "notes": target.notes,
    })
}
