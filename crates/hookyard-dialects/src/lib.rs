//! The wire formats of third parties, both ways, as pure functions.
//!
//! The doors find a source's [`Dialect`] here to verify and decode what comes in; the engine finds an endpoint's to encode,
//! sign and judge what goes out. The clock, the secrets and the randomness are arguments: the same call always gives the
//! same bytes, and nothing that a stranger sends makes one panic, overflow or grow without bound.
//!
//! **Invariant:** a body depends on message, endpoint and variant only, so every attempt sends the same bytes; the time
//! reaches headers and nothing else.
//!
//! What it leaves to others: moving bytes (`hookyard-egress`, the doors), deciding what follows from a judgement
//! (`hookyard-core`), and keeping secrets (the stores).

mod ability;
mod body_signature;
mod cloudevents;
mod envelope;
mod header;
mod immich;
mod immich_workflow;
pub mod json;
mod kiosk;
mod mask;
mod option;
mod payload;
mod photobooth;
mod raw;
mod redact;
pub mod retry_after;
mod secret;
mod shared_secret;
mod standard;
mod standard_webhooks;
mod svix;
mod template;
mod vikunja;

#[cfg(test)]
mod examples;
#[cfg(test)]
mod law;
#[cfg(test)]
mod schema;

use hookyard_model::DialectName;

pub use ability::*;
pub use header::transport_header;
pub use mask::{credential_header, mask_headers, mask_headers_and};
pub use option::check_settings;
pub use secret::{SignatureAlgorithm, generate, public_form};

/// The dialect of this name; `None` when this version has none, which the store may name after a step back.
pub fn find(name: &DialectName) -> Option<&'static Dialect> {
    all().iter().copied().find(|dialect| dialect.name() == name.as_str())
}

/// Every dialect, in the order in which pages list them.
pub fn all() -> &'static [&'static Dialect] {
    static ALL: [&Dialect; 10] = [
        &standard::DIALECT,
        &svix::DIALECT,
        &cloudevents::DIALECT,
        &immich::DIALECT,
        &immich_workflow::DIALECT,
        &kiosk::DIALECT,
        &vikunja::DIALECT,
        &photobooth::DIALECT,
        &raw::DIALECT,
        &template::DIALECT,
    ];
    &ALL
}

/// The names of every dialect, for an error that says what is allowed.
pub fn names() -> impl Iterator<Item = &'static str> {
    all().iter().map(|dialect| dialect.name())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_dialect_is_found_by_its_name() {
        for dialect in all() {
            let name: DialectName = dialect.name().parse().expect("a dialect's name follows the rule for such names");
            assert_eq!(find(&name).expect("it is listed").name(), dialect.name());
            assert!(dialect.summary().ends_with('.'), "{name}");
            assert!(dialect.outbound().is_some() || dialect.inbound().is_some(), "{name} can do nothing");
        }
        assert!(find(&"morse".parse().expect("a name")).is_none());
    }

    #[test]
    fn names_are_unique() {
        assert_eq!(names().collect::<BTreeSet<_>>().len(), all().len());
    }

    #[test]
    fn kept_headers_are_lower_case_and_no_credentials() {
        for name in all().iter().filter_map(|dialect| dialect.inbound()).flat_map(Inbound::kept_headers) {
            assert_eq!(name.to_ascii_lowercase(), *name);
            assert!(!credential_header(name), "{name}");
        }
    }
}
