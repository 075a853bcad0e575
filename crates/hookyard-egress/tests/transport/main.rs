//! The client against real sockets on loopback, and against names that answer as the test says.

#![expect(clippy::unwrap_used, reason = "the whole crate is a test, its receivers included")]
#![expect(clippy::wildcard_enum_match_arm, reason = "every outcome but the expected one fails the test alike")]

mod answers;
mod destinations;
mod kept_alive;
mod receiver;
mod tls;
