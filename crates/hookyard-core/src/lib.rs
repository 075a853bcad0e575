//! Decides, never does.
//!
//! Called by the publisher, the engine and the doors with everything a decision needs: the message, the endpoint, what
//! came back, the time, the jitter that was drawn. The same arguments always give the same answer, and nothing a stranger
//! wrote makes any of it panic, overflow or grow without bound.
//!
//! What it leaves to others: what an answer means (`hookyard-dialects`), writing down what was decided (the stores), and
//! when to ask (the engine).

pub mod breaker;
pub mod explain;
pub mod fan_out;
pub mod health;
pub mod json;
pub mod operational;
pub mod order;
pub mod rate;
pub mod retry;
pub mod settle;

#[cfg(test)]
mod examples;
