//! The program as a person runs it, on a tiny matrix: hermetic, with a real
//! server, real processes and a real store.

#![expect(clippy::disallowed_types, reason = "a test starts programs itself")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod bisect;
mod bisect_sets;
mod budgets;
mod build;
mod bundles;
mod cache;
mod checks;
mod ci_service;
mod claims;
mod classes;
mod command_line;
mod compare;
mod git_sources;
mod host_comparison;
mod install;
mod interrupt;
mod isolation;
mod job_graph;
mod json;
mod mistakes;
mod package;
mod plan;
mod prove;
mod publish;
mod rebuild;
mod recipe_verbs;
mod reduce;
mod report;
mod secrets;
mod services;
mod source_checks;
mod source_of;
mod store;
mod store_users;
mod submit;
mod submit_slurm;
mod trouble;
mod unreadable;
mod watch;
mod world;
