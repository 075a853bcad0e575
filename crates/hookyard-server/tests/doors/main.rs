//! The doors on a store in memory, asked as a client asks them.

mod archiving;
mod publishing;
mod reading;
mod refusing;
mod serving;
mod steering;
mod world;
