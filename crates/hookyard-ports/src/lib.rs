//! What Hookyard asks of the world, as traits: a store, a transport, a handoff, a clock, randomness.
//!
//! The engine, the doors and the publisher are written against these and never against what stands behind them; only the
//! binary puts the two together. Each deed's doc says what is true afterwards, also after a crash. The conformance suite
//! (feature `testkit`) turns those sentences into tests that every store runs unchanged.
//!
//! What it leaves to others: every decision (`hookyard-core`), and every wire or file format.

mod clock;
mod handoff;
mod ids;
mod metrics;
mod rng;
pub mod store;
#[cfg(feature = "testkit")]
pub mod testkit;
mod transport;

pub use clock::{Clock, SystemClock};
pub use handoff::{Handed, Handoff, NoHandoff, Reservation};
pub use ids::Ids;
pub use metrics::{Metrics, OutcomeLabel, RuleLabel, StateLabel};
pub use rng::{Rng, SystemRng};
pub use store::{Store, StoreError};
pub use transport::{Exchange, Exchanged, Request, Response, Transport};
