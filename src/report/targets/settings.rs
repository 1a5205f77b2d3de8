//! Lists settings, profiles and release sets.

use crate::config::matrix::Matrix;
use serde_json::{Value, json};

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
