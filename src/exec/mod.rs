//! Runs a plan. Prints nothing: everything that happens is an [`event::Event`].

pub mod event;
