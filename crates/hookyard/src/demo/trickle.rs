//! The steady trickle of events.
//!
//! Started by the demo and ended with it. It publishes as an embedding program would, through the publisher, and says now
//! and then how the demo stands, because success is silent in the log.

use std::sync::Arc;
use std::time::Duration;

use hookyard_accept::{Publish, Publisher};
use hookyard_model::{EventId, MessageId, OrganisationId, Timestamp};
use hookyard_ports::Clock;
use hookyard_ports::store::ApplicationRef;
use tokio::time::MissedTickBehavior;

use super::receiver::Tally;
use super::systems::SYSTEMS;
use super::{APPLICATION, events, uid_of};

/// How often an event happens.
const EVERY: Duration = Duration::from_secs(2);
/// After how many events the log says how the demo stands.
const REPORT: u64 = 15;

/// Whose turn it is, and the event: every second one is the demo's own, and the systems share the others.
fn turn(number: u64, now: Timestamp) -> (&'static str, events::Event) {
    let round = number / 2;
    if number.is_multiple_of(2) {
        return (APPLICATION, events::event(round, now));
    }
    let systems = SYSTEMS.len() as u64;
    let system = SYSTEMS[usize::try_from(round % systems).expect("less than the number of systems")];
    (system.application, system.event(round / systems))
}

/// Publishes one event after the other.
pub(super) struct Trickle {
    publisher: Publisher,
    clock: Arc<dyn Clock>,
    tally: Arc<Tally>,
    number: u64,
}

impl Trickle {
    /// A trickle that has published nothing.
    pub(super) fn new(publisher: Publisher, clock: Arc<dyn Clock>, tally: Arc<Tally>) -> Self {
        Self { publisher, clock, tally, number: 0 }
    }

    /// Publishes the next event; `None` when that failed, which the log explains.
    pub(super) async fn publish(&mut self) -> Option<MessageId> {
        let now = self.clock.now();
        let (application, event) = turn(self.number, now);
        self.number += 1;
        // The time keeps the ids of several starts apart; an event happens every two seconds.
        let event_id =
            format!("demo-{}", now.as_micros()).parse::<EventId>().expect("a word and digits are an event id");
        let mut publish = Publish::json(event.event_type, event.payload.into());
        publish.event_id = Some(event_id);
        let application = ApplicationRef::Uid(uid_of(application));
        match self.publisher.publish(OrganisationId::default_organisation(), &application, publish).await {
            Ok(published) => Some(published.message().id),
            Err(error) => {
                tracing::warn!("the demo's event was not accepted: {error}");
                None
            }
        }
    }

    /// Publishes until it is dropped.
    pub(super) async fn run(mut self) {
        let mut times = tokio::time::interval(EVERY);
        times.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick is at once, and the first event was published before.
        times.tick().await;
        loop {
            times.tick().await;
            self.publish().await;
            if self.number.is_multiple_of(REPORT) {
                tracing::info!("the demo published {} events; its receiver {}", self.number, self.tally.shown());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demos_own_events_and_those_of_the_systems_take_turns() {
        let whose: Vec<&str> = (0..10).map(|number| turn(number, Timestamp::EPOCH).0).collect();
        let [immich, kiosk, vikunja, photobooth] = SYSTEMS.map(|system| system.application);
        let expected = [
            APPLICATION,
            immich,
            APPLICATION,
            kiosk,
            APPLICATION,
            vikunja,
            APPLICATION,
            photobooth,
            APPLICATION,
            immich,
        ];
        assert_eq!(whose, expected);
        assert_ne!(turn(1, Timestamp::EPOCH).1.event_type, turn(9, Timestamp::EPOCH).1.event_type);
    }
}
