//! The stored form that every store shares.
//!
//! Called by the store crates when they write a row and when they read one. What is written here by one store can be
//! read by another, which is what lets `hookyard move` copy rows between them: [`carry`] does that. Reading never panics: what does not fit is
//! an error that the store turns into "this column of this row is corrupt".
//!
//! What it leaves to others: SQL, and which column holds what (the stores); what the values mean (`hookyard-model`).

pub mod carry;
mod code;
mod counts;
mod seal;
mod settings;

pub use code::{
    cancel_code, decode_cancel, decode_disable, decode_fail, decode_file_kind, decode_origin, decode_outcome,
    decode_trigger, dedupe_code, disable_code, fail_code, origin_code, outcome_code, trigger_code,
};
pub use counts::{Counts, OUTCOMES};
pub use seal::{Keyring, KeyringError, Place, SealError};
pub use settings::{SettingsError, open_settings, seal_settings};
