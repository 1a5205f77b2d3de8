//! Writer for tests.
