//! The real engine on a store in memory, with receivers that follow a script and a clock that only tests move.
//!
//! Each file shows one promise of the engine from the outside: a message is published as the doors do it, and what the
//! receivers saw and what the store holds afterwards is what counts. Nothing waits for real time.

mod announcing;
mod ending;
mod lines;
mod receivers;
mod requests;
mod schedule;
mod standing;
mod steering;
mod storing;
mod turns;
mod world;
