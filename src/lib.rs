//! Builds every cross toolchain and kernel of a target matrix with one command.
//!
//! `ARCHITECTURE.md` at the top of the repository is the map. The modules are
//! layers; a module uses only those that stand below it in this list, which
//! `tests/layers.rs` keeps true:
//!
//! | layer | knows |
//! |---|---|
//! | [`cli`] | arguments, exit codes; the only one beside `report` that prints |
//! | [`report`] | how events and plans look on a terminal, in a log, as JSON |
//! | [`publish`] | results as archives that are the same bytes everywhere |
//! | [`record`] | what runs established of each target, kept in the repository |
//! | [`run`] | runs a plan: scheduling, tokens, memory, interrupts, events |
//! | [`cache`] | finished stages shared between machines: signed, verified on arrival |
//! | [`host`] | this machine: its tools and their identity |
//! | [`plan`] | targets x recipes as one graph of stages with keys |
//! | [`source`] | brings verified source trees onto this machine |
//! | [`store`] | what is finished, published by one rename each |
//! | [`remote`] | directories, buckets and servers that hold files for other machines |
//! | [`process`] | children in groups that never outlive their run |
//! | [`config`] | targets, recipes, release sets, profiles: parsed, then trusted |
//! | [`debuginfo`] | DWARF, SFrame and BTF: a library of its own, which uses only `base` |
//! | [`base`] | words that all of them use |

pub mod base;
pub mod cache;
pub mod cli;
pub mod config;
pub mod debuginfo;
pub mod host;
pub mod plan;
pub mod process;
pub mod publish;
pub mod record;
pub mod remote;
pub mod report;
pub mod run;
pub mod source;
pub mod store;
