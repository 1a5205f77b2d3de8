//! Renders the results of SFrame checks as text and JSON.

mod json;
mod rows;
mod text;

pub use json::{SCHEMA, json, rows_json};
pub use rows::rows;
pub use text::{explain, text};

#[cfg(test)]
mod tests;
