//! The stored form that every store shares.
//!
//! Called by the store crates when they write a row and when they read one. What is written here by one store can be
//! read by another, which is what lets `hookyard move` copy rows between them: [`carry`] does that. Each reader says
//! which columns it wants and in which order, so that two stores cannot read the same row differently; [`Columns`] hides
//! the driver. Reading never panics: what does not fit is an error that says "this column of this row is corrupt".
//!
//! What it leaves to others: SQL and drivers (the stores); what the values mean (`hookyard-model`).

mod attempt;
pub mod carry;
mod code;
mod column;
mod configuration;
mod counts;
mod delivery;
mod message;
mod page;
mod seal;
mod settings;

pub use attempt::{micros, peer_text, read_attempt};
pub use code::{
    cancel_code, decode_cancel, decode_disable, decode_fail, decode_file_kind, decode_origin, decode_outcome,
    decode_trigger, dedupe_code, disable_code, fail_code, origin_code, outcome_code, trigger_code,
};
pub use column::{Cell, Cells, Columns, FromCell, bound, int};
pub use configuration::{
    ARCHIVED, DISABLED, ENABLED, OpenedSettings, endpoint_place, open_endpoint_settings, read_application,
    read_endpoint, status_columns,
};
pub use counts::{Counts, OUTCOMES, first_minute};
pub use delivery::{CANCELLED, DELIVERED, FAILED, OPEN, earlier, read_state, read_trigger};
pub use message::{content_type, kept_headers, lines, payload, read_message, targets};
pub use page::{Pages, Step, Walk};
pub use seal::{Keyring, KeyringError, Place, SealError};
pub use settings::{SettingsError, open_settings, seal_settings};
