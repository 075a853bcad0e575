//! The `hookyard` binary.

mod config;

fn main() {}
