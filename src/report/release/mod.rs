//! A release for people: a page, and notes as Markdown.

pub mod notes;
pub mod page;
