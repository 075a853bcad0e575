//! The store for several nodes, on a real server: the port's promises, and what it keeps to beyond them.
//!
//! `HOOKYARD_TEST_POSTGRES` is the URL of a server and a role that may make schemas; `scripts/check/55-postgres.sh` starts
//! one. Without it every test passes over and says so.

mod conformance;
mod ground;
mod keeping;
mod nodes;
mod opening;
