//! The store for several nodes, on a real server: the port's promises, and what it keeps to beyond them.
//!
//! `HOOKYARD_TEST_POSTGRES` is the URL of a server and a role that may make schemas; `scripts/check/55-postgres.sh` starts
//! one. Without it every test passes over and says so; those over TLS want `HOOKYARD_TEST_POSTGRES_CA` as well, the file of the
//! authority that signed the server's certificate for `localhost`.

mod conformance;
mod ground;
mod hints;
mod keeping;
mod nodes;
mod opening;
mod racing;
mod tls;
