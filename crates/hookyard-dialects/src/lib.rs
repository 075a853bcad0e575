//! The wire formats of third parties, both ways, as pure functions.

mod ability;
pub use ability::*;
