//! Real output, compared with the schemas in docs/schema.

use serde_json::{Value, json};
use std::path::Path;

fn faults(schema: &str, value: &Value) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema").join(format!("{schema}.schema.json"));
    let schema: Value = serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// The output follows its schema, and the schema refuses what is not the output.
pub fn follows(schema: &str, value: &Value) {
    assert_eq!(faults(schema, value), Vec::<String>::new(), "{schema}: {value:#}");
    let mut other = value.clone();
    other["unknown_key"] = json!(1);
    assert_ne!(faults(schema, &other), Vec::<String>::new(), "{schema} accepts every key");
    other = value.clone();
    other["schema"] = json!(999);
    assert_ne!(faults(schema, &other), Vec::<String>::new(), "{schema} accepts every number");
}
