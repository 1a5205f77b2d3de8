//! The record as text: one stage a line, so that a new results is a short
//! difference and the file is no longer than it must be.

use super::Record;
use serde_json::Value;
use std::fmt::Write as _;

/// Returns the record as JSON, ending in a newline.
pub fn text(record: &Record) -> serde_json::Result<String> {
    let value = serde_json::to_value(record)?;
    let mut out = String::new();
    write(&value, 0, &mut out);
    out.push('\n');
    Ok(out)
}

fn write(value: &Value, depth: usize, out: &mut String) {
    let inner = "  ".repeat(depth + 1);
    match value {
        Value::Object(fields) if fields.values().any(is_deep) => {
            out.push('{');
            for (at, (name, field)) in fields.iter().enumerate() {
                let _ = write!(out, "{}\n{inner}{}: ", comma(at), Value::from(name.as_str()));
                write(field, depth + 1, out);
            }
            let _ = write!(out, "\n{}}}", "  ".repeat(depth));
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                let _ = write!(out, "{}\n{inner}{item}", comma(at));
            }
            let _ = write!(out, "\n{}]", "  ".repeat(depth));
        }
        _ => {
            let _ = write!(out, "{value}");
        }
    }
}

fn comma(at: usize) -> &'static str {
    if at == 0 { "" } else { "," }
}

// Containers of containers get a line for each element.
fn is_deep(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(Value::is_object),
        Value::Object(fields) => fields.values().any(|field| field.is_object() || field.is_array()),
        _ => false,
    }
}
