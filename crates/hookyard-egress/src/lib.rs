//! Everything that leaves on behalf of a message: the guard, and the HTTP client behind it.
//!
//! The guard is [`Policy`], pure and asked by everybody who accepts a URL from a stranger. The client is [`Client`], the
//! [`hookyard_ports::Transport`] of the engine: it asks the policy before DNS, for every resolved address right before it
//! dials exactly that address, and again before the first byte leaves.
//!
//! **Invariant:** no other crate opens a connection to the world on behalf of a message.
//!
//! What it leaves to others: what is sent (`hookyard-dialects`), what an answer means (`hookyard-core`), and whether
//! anything is sent again (the engine; here nothing is ever repeated).

mod allow;
mod client;
mod connect;
mod connection;
mod endpoint_url;
mod exchange;
mod policy;
mod pool;
mod ranges;
mod refusal;
mod resolve;
mod tls;
mod wire;

pub use allow::{Allow, AllowError, Nat64Prefix, Nat64PrefixError};
pub use client::{Client, Options};
pub use endpoint_url::{EndpointUrl, UrlError, check_url};
pub use policy::{Destination, Host, Policy, Standing};
pub use ranges::{Opened, RANGES, Range};
pub use refusal::{Refusal, Rule, Subject};
pub use resolve::{Resolve, ResolveError, SystemResolver};
pub use tls::Tls;
