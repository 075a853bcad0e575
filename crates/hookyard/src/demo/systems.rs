//! The systems whose formats the demo shows: an application and an endpoint each, in that system's dialect.
//!
//! Called by the demo for its rows, by the trickle for their events, which are the samples of the dialects' catalogues, and
//! by the receiver, which verifies and reads what arrives as that system's own receivers do.

use std::collections::BTreeMap;

use hookyard_dialects::{CatalogueEntry, Dialect, Inbound};
use hookyard_model::{DialectName, EndpointSettings, HeaderPair, Secret, SigningKeys};

use super::events::Event;

/// A system around Hookyard.
#[derive(Debug, Clone, Copy)]
pub(super) struct System {
    /// The application's uid.
    pub(super) application: &'static str,
    /// The application's name.
    pub(super) name: &'static str,
    /// The dialect; also the endpoint's uid and the receiver's path.
    pub(super) dialect: &'static str,
    /// How the receiver knows who sent it.
    proof: Proof,
}

/// How a receiver of a system knows who sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// A signature by the endpoint's secret.
    Signature,
    /// A header of the endpoint with the secret, because the system signs nothing.
    Header(&'static str),
}

/// All of them, in the order of their turns.
pub(super) const SYSTEMS: [System; 4] = [
    System {
        application: "demo-immich",
        name: "Immich, a photo server",
        dialect: "immich",
        proof: Proof::Header("X-Webhook-Secret"),
    },
    System {
        application: "demo-kiosk",
        name: "Immich Kiosk, a photo frame",
        dialect: "kiosk",
        proof: Proof::Signature,
    },
    System { application: "demo-vikunja", name: "Vikunja, a to-do app", dialect: "vikunja", proof: Proof::Signature },
    System { application: "demo-photobooth", name: "A photobooth", dialect: "photobooth", proof: Proof::Signature },
];

impl System {
    fn found(&self) -> &'static Dialect {
        hookyard_dialects::find(&self.dialect_name()).expect("the demo's dialects are ours")
    }

    /// The dialect's checked name.
    pub(super) fn dialect_name(&self) -> DialectName {
        self.dialect.parse().expect("it is a dialect's name")
    }

    /// What verifies and reads its requests.
    pub(super) fn inbound(&self) -> &'static dyn Inbound {
        self.found().inbound().expect("the demo's dialects go both ways")
    }

    /// Has an endpoint prove with `secret` who sends.
    pub(super) fn prove(&self, settings: &mut EndpointSettings, secret: &Secret<String>) {
        match self.proof {
            Proof::Signature => settings.keys = SigningKeys::single(secret.expose().clone()),
            Proof::Header(name) => {
                settings.headers = vec![HeaderPair { name: name.to_owned(), value: secret.clone() }];
            }
        }
    }

    /// What the dialect wants to know about the application.
    pub(super) fn metadata(&self) -> BTreeMap<String, String> {
        match self.dialect {
            "photobooth" => BTreeMap::from([("event_id".to_owned(), "1".to_owned())]),
            _ => BTreeMap::new(),
        }
    }

    /// The `number`th event of the system: a sample of its catalogue that is harmless to send.
    pub(super) fn event(&self, number: u64) -> Event {
        let harmless: Vec<&CatalogueEntry> =
            self.found().catalogue().iter().filter(|entry| entry.danger.is_none()).collect();
        let place = usize::try_from(number % harmless.len() as u64).expect("less than the number of samples");
        Event {
            event_type: harmless[place].name.parse().expect("a catalogue's names are event types"),
            payload: harmless[place].sample.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_system_has_events_and_a_reader() {
        for system in SYSTEMS {
            let mut types = std::collections::BTreeSet::new();
            for number in [0, 1, 2, 3, u64::MAX] {
                let Event { event_type, payload } = system.event(number);
                serde_json::from_slice::<serde_json::Value>(&payload).expect("a sample is JSON");
                types.insert(event_type);
            }
            assert!(types.len() >= 4, "{types:?}");
            let _ = system.inbound();
        }
    }

    #[test]
    fn what_a_system_is_told_can_be_sent() {
        for system in SYSTEMS {
            let url = "http://127.0.0.1:1/x".parse().expect("a URL");
            let mut settings = EndpointSettings::new(url, system.dialect_name());
            system.prove(&mut settings, &Secret::new("a secret".to_owned()));
            let outbound = system.found().outbound().expect("it sends");
            assert_eq!(hookyard_dialects::check_settings(outbound, &settings), Ok(()), "{}", system.dialect);
        }
    }
}
