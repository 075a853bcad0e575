//! What tests of the store and of everything above it stand on.
//!
//! [`MemoryStore`] is the port in ordinary collections, shared by several nodes, and the model that other stores are
//! compared with. [`FaultyStore`] makes any store fail where a plan says, and [`Outside`] lets one that does real input and
//! output be asked from a world whose time a test holds. [`build`] makes values with ids that are the same
//! in every run. [`conformance`] is the port's doc sentences as tests, run by each store through [`conformance_tests!`].
//!
//! Nothing here reads a clock or draws randomness. It is compiled only with the feature `testkit`, which no shipped crate
//! turns on.
//!
//! [`conformance_tests!`]: crate::conformance_tests

pub mod build;
pub mod conformance;
mod faulty;
mod memory;
mod outside;
mod seed;

pub use faulty::{Call, Deed, Fault, FaultyStore, Shares};
pub use memory::{MemoryNode, MemoryStore};
pub use outside::{Outside, Pace};
pub use seed::Seed;
