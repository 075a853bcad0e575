//! The doors on a store in memory, asked as a client asks them.

mod publishing;
mod reading;
mod refusing;
mod serving;
mod steering;
mod world;
