//! Checking BTF.
