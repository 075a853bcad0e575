//! Tells why each endpoint got a message or did not, and how that stands.
//!
//! Called by the doors for a person who asks where a message went, perhaps at night. The decision is recomputed with
//! [`crate::fan_out`] from the endpoints as the message's revision had them, so it is the decision that was made; the
//! present state comes from the deliveries.

use std::sync::Arc;

use hookyard_model::{Delivery, Endpoint, EndpointId, Message, StateKind, Timestamp, Uid};

use crate::fan_out::{Decision, fan_out};

mod decision;
mod standing;

/// One endpoint's part in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// Which endpoint.
    pub endpoint: EndpointId,
    /// Its own name then, when its fan-out saw it.
    pub uid: Option<Uid>,
    /// What people knew it by then, when its fan-out saw it.
    pub name: Option<String>,
    /// What was decided; `None` when the fan-out did not see the endpoint, so that only a hand can have sent it there.
    pub decision: Option<Decision>,
    /// The decision and its reason, as a sentence without a full stop.
    pub why: String,
    /// How the delivery stands, when there is one.
    pub standing: Option<Standing>,
}

/// How a delivery stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its state.
    pub state: StateKind,
    /// The state and its reason, as a sentence without a full stop.
    pub why: String,
    /// When the next attempt is due, if one waits.
    pub due: Option<Timestamp>,
}

/// Explains a message: first each endpoint that its fan-out saw, in their order, then each that has a delivery all the
/// same.
///
/// `endpoints` are those of the message's revision, in the form of then; `deliveries` are the message's own.
pub fn explain(
    message: &Message,
    endpoints: &[Arc<Endpoint>],
    deliveries: &[Delivery],
    now: Timestamp,
) -> Vec<Explained> {
    let mut left: Vec<&Delivery> = deliveries.iter().collect();
    left.sort_unstable_by_key(|delivery| delivery.key.endpoint);
    let mut seen = vec![false; left.len()];
    let mut explained: Vec<_> = fan_out(message, endpoints)
        .map(|(endpoint, decided)| {
            let found = left.binary_search_by_key(&endpoint.id, |delivery| delivery.key.endpoint);
            let delivery = found.ok().map(|index| {
                seen[index] = true;
                left[index]
            });
            Explained {
                endpoint: endpoint.id,
                uid: endpoint.uid.clone(),
                name: Some(endpoint.shown_name()),
                decision: Some(decided),
                why: decision::sentence(message, endpoint, decided, delivery.is_some()),
                standing: delivery.map(|delivery| standing::of(delivery, now)),
            }
        })
        .collect();
    let by_hand = left.iter().zip(seen).filter(|(_, seen)| !seen).map(|(delivery, _)| Explained {
        endpoint: delivery.key.endpoint,
        uid: None,
        name: None,
        decision: None,
        why: "not decided by the fan-out, which did not see this endpoint: sent there by hand".to_owned(),
        standing: Some(standing::of(delivery, now)),
    });
    explained.extend(by_hand);
    explained
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use hookyard_model::{
        CancelReason, Channel, DeliveryState, DisableReason, EndpointSettings, EndpointStatus, EventPattern,
        ExtraAttempt, FailReason, Incarnation, OrderKey, Origin, Trigger,
    };
    use proptest::prelude::*;

    use super::*;
    use crate::examples::{NOW, delivery, endpoint, endpoint_id, endpoint_with, message, parsed};

    fn check_why(message: &Message, endpoint: Endpoint, deliveries: &[Delivery], expected: &str) {
        let explained = explain(message, &[Arc::new(endpoint)], deliveries, NOW);
        assert_eq!(explained[0].why, expected);
        assert_eq!(explained.len(), 1);
    }

    #[test]
    fn an_owed_delivery_says_what_let_it_through() {
        let check = |change: fn(&mut EndpointSettings), expected| {
            let message = Message { channels: parsed(&["eu", "us"]), ..message() };
            check_why(&message, endpoint_with(1, change), &[delivery(1)], expected);
        };
        check(|_| {}, "owed: the endpoint wants all event types");
        check(
            |settings| settings.event_types = Some(parsed(&["a", "task.*"])),
            "owed: event type `task.created` matches its filter `task.*`",
        );
        check(
            |settings| settings.event_types = Some(parsed(&["task.created"])),
            "owed: event type `task.created` is in its filter",
        );
        check(
            |settings| settings.channels = parsed(&["asia", "us"]),
            "owed: the endpoint wants all event types, and it listens on channel `us`",
        );
        let targeted = Message { targets: Some(vec![endpoint_id(1)]), ..message() };
        check_why(
            &targeted,
            endpoint(1),
            &[delivery(1)],
            "owed: the message names this endpoint as a target, so its filters were not asked",
        );
        check_why(&message(), endpoint(1), &[], "owed: the endpoint wants all event types; its delivery is not kept");
    }

    #[test]
    fn a_skipped_endpoint_says_what_it_wanted() {
        let check = |message: &Message, change: &dyn Fn(&mut EndpointSettings), expected: &str| {
            check_why(message, endpoint_with(1, change), &[], expected);
        };
        check(
            &message(),
            &|settings| settings.event_types = Some(parsed(&["a", "b.*"])),
            "skipped: event type `task.created` matches none that the endpoint wants: `a`, `b.*`",
        );
        check(
            &message(),
            &|settings| settings.event_types = Some(parsed(&["a", "b", "c", "d", "e", "f", "g"])),
            "skipped: event type `task.created` matches none that the endpoint wants: `a`, `b`, `c`, `d`, `e` and 2 more",
        );
        check(
            &message(),
            &|settings| settings.event_types = Some(Vec::new()),
            "skipped: the endpoint wants no event type at all, so not `task.created` either",
        );
        check(
            &message(),
            &|settings| settings.channels = parsed(&["eu"]),
            "skipped: the message is on no channel, and the endpoint listens only on `eu`",
        );
        check(
            &Message { channels: parsed(&["us"]), ..message() },
            &|settings| settings.channels = parsed(&["eu", "asia"]),
            "skipped: the message is on `us`, and the endpoint listens only on `eu`, `asia`",
        );
        check(
            &Message { targets: Some(vec![endpoint_id(2)]), ..message() },
            &|_| {},
            &format!("skipped: the message was only for `{}`", endpoint_id(2)),
        );
        check(
            &Message { targets: Some(Vec::new()), ..message() },
            &|_| {},
            "skipped: the message was for no endpoint at all",
        );
        check(
            &Message { origin: Origin::Server, ..message() },
            &|_| {},
            "skipped: the server announced it about itself, and the endpoint does not have `include_server_events` on",
        );
    }

    #[test]
    fn a_disabled_or_archived_endpoint_says_since_when() {
        let check = |status, expected| check_why(&message(), Endpoint { status, ..endpoint(1) }, &[], expected);
        let disabled = |reason| EndpointStatus::Disabled { since: NOW, reason };
        check(
            disabled(DisableReason::Manual),
            "skipped: the endpoint was disabled at 2026-01-01T00:00:00.000000Z by hand or by its file; once it is enabled, \
             `recover` sends what it missed",
        );
        check(
            disabled(DisableReason::Failing),
            "skipped: the endpoint was disabled at 2026-01-01T00:00:00.000000Z because nothing but failure had come back for \
             too long; once it is enabled, `recover` sends what it missed",
        );
        check(
            disabled(DisableReason::Gone),
            "skipped: the endpoint was disabled at 2026-01-01T00:00:00.000000Z because the receiver had answered that it is \
             gone; once it is enabled, `recover` sends what it missed",
        );
        check(
            EndpointStatus::Archived { since: NOW },
            "skipped: the endpoint was archived at 2026-01-01T00:00:00.000000Z",
        );
    }

    fn check_standing(change: impl FnOnce(&mut Delivery), why: &str, due: Option<Timestamp>) {
        let mut delivery = delivery(1);
        change(&mut delivery);
        let explained = explain(&message(), &[Arc::new(endpoint(1))], std::slice::from_ref(&delivery), NOW);
        let state = delivery.state.kind();
        assert_eq!(explained[0].standing, Some(Standing { state, why: why.to_owned(), due }));
    }

    fn later(seconds: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn a_pending_delivery_says_what_it_waits_for() {
        let pending = |due| DeliveryState::Pending { due };
        check_standing(
            |delivery| delivery.state = pending(later(330)),
            "waiting: no attempt has failed yet, the next is due in 5m (at 2026-01-01T00:05:30.000000Z)",
            Some(later(330)),
        );
        check_standing(
            |delivery| (delivery.state, delivery.charged) = (pending(later(3 * 3_600)), 1),
            "waiting: 1 attempt has failed, the next is due in 3h (at 2026-01-01T03:00:00.000000Z)",
            Some(later(3 * 3_600)),
        );
        let past = NOW.minus(Duration::from_secs(90));
        check_standing(
            |delivery| (delivery.state, delivery.charged, delivery.round) = (pending(past), 4, 1),
            "waiting: 4 attempts have failed, the next is due since 90s (at 2025-12-31T23:58:30.000000Z) and starts when its \
             endpoint is enabled and has a free slot within its rate (schedule begun afresh by hand, once)",
            Some(past),
        );
        check_standing(
            |delivery| {
                (delivery.state, delivery.order_key) = (pending(NOW), Some(OrderKey(7)));
                (delivery.trigger, delivery.round) = (Trigger::Manual, 2);
            },
            "waiting: the attempt asked for by hand is due since 0s (at 2026-01-01T00:00:00.000000Z) and starts when its \
             endpoint is enabled and has a free slot within its rate, and every earlier delivery of the same order has ended \
             (schedule begun afresh by hand, 2 times)",
            Some(NOW),
        );
    }

    #[test]
    fn a_delivery_that_moves_or_has_ended_says_how() {
        check_standing(|_| {}, "in the hands of a node: an attempt is queued or under way", None);
        check_standing(|delivery| delivery.state = DeliveryState::Delivered { extra: None }, "delivered", None);
        let extra =
            |extra| move |delivery: &mut Delivery| delivery.state = DeliveryState::Delivered { extra: Some(extra) };
        check_standing(
            extra(ExtraAttempt::Waiting { due: later(1) }),
            "delivered; one more attempt, asked for by hand, is due in 1s (at 2026-01-01T00:00:01.000000Z)",
            Some(later(1)),
        );
        check_standing(
            extra(ExtraAttempt::Leased { holder: Incarnation(1), due: NOW }),
            "delivered; one more attempt, asked for by hand, is queued or under way",
            None,
        );
        let failed = |reason, charged| {
            move |delivery: &mut Delivery| (delivery.state, delivery.charged) = (DeliveryState::Failed(reason), charged)
        };
        check_standing(
            failed(FailReason::ScheduleSpent, 8),
            "given up: all 8 attempts of its schedule failed; `resend` begins it afresh",
            None,
        );
        check_standing(
            failed(FailReason::ScheduleSpent, 1),
            "given up: the only attempt of its schedule failed; `resend` begins it afresh",
            None,
        );
        check_standing(
            failed(FailReason::Permanent, 1),
            "given up: the receiver refused it for good; see its last attempt for why, then `resend`",
            None,
        );
        check_standing(
            failed(FailReason::CannotBeEncoded, 0),
            "given up: the message cannot be put into the endpoint's dialect, so nothing was sent; correct the endpoint or the \
             message, then `resend`",
            None,
        );
    }

    #[test]
    fn every_cancellation_has_its_own_sentence() {
        let reasons = [
            CancelReason::EndpointRemoved,
            CancelReason::HeldTooLong,
            CancelReason::EndpointGone,
            CancelReason::ByHand,
            CancelReason::Expunged,
        ];
        let sentences: BTreeSet<_> = reasons
            .into_iter()
            .map(|reason| {
                let delivery = Delivery { state: DeliveryState::Cancelled(reason), ..delivery(1) };
                standing::of(&delivery, NOW).why
            })
            .collect();
        assert!(sentences.iter().all(|sentence| sentence.starts_with("called off")));
        assert_eq!(sentences.len(), reasons.len());
    }

    #[test]
    fn what_was_sent_by_hand_is_told_as_such() {
        let message = Message { targets: Some(vec![endpoint_id(1)]), ..message() };
        let deliveries = [delivery(9), delivery(2), delivery(1)];
        let endpoints = [Arc::new(endpoint(2)), Arc::new(endpoint(1))];
        let explained = explain(&message, &endpoints, &deliveries, NOW);
        let order: Vec<_> = explained.iter().map(|part| part.endpoint).collect();
        assert_eq!(order, [endpoint_id(2), endpoint_id(1), endpoint_id(9)]);
        assert_eq!(
            explained[0].why,
            format!("skipped: the message was only for `{}`; sent there by hand later", endpoint_id(1))
        );
        assert!(explained.iter().all(|part| part.standing.is_some()));
        assert_eq!(explained[2].decision, None);
        assert_eq!(explained[2].uid, None);
        assert_eq!(explained[2].why, "not decided by the fan-out, which did not see this endpoint: sent there by hand");
    }

    fn any_endpoint(n: u8) -> impl Strategy<Value = Endpoint> {
        let patterns = prop::sample::select(vec![None, Some(vec![]), Some(vec!["task.*"]), Some(vec!["other", "x.*"])]);
        let channels = prop::sample::select(vec![vec![], vec!["eu"], vec!["us", "asia"]]);
        (patterns, channels, any::<bool>(), 0..5u8).prop_map(move |(patterns, channels, server, status)| {
            let mut endpoint = endpoint_with(n, |settings| {
                settings.event_types = patterns.map(|patterns| parsed::<EventPattern>(&patterns));
                settings.channels = parsed::<Channel>(&channels);
                settings.include_server_events = server;
            });
            endpoint.status = match status {
                0 => EndpointStatus::Archived { since: NOW },
                1 => EndpointStatus::Disabled { since: NOW, reason: DisableReason::Gone },
                _ => EndpointStatus::Enabled,
            };
            endpoint
        })
    }

    fn any_message() -> impl Strategy<Value = Message> {
        let channels = prop::sample::select(vec![vec![], vec!["eu"], vec!["us", "eu"]]);
        let targets = prop::option::weighted(0.3, prop::collection::vec((0..6u8).prop_map(endpoint_id), 0..4));
        (channels, targets, any::<bool>()).prop_map(|(channels, targets, server)| Message {
            channels: parsed(&channels),
            targets,
            origin: if server { Origin::Server } else { Origin::Api },
            ..message()
        })
    }

    proptest! {
        #[test]
        fn what_is_explained_is_what_was_decided(
            message in any_message(),
            endpoints in (any_endpoint(0), any_endpoint(1), any_endpoint(2), any_endpoint(3)),
            delivered in prop::collection::btree_set(0..6u8, 0..6),
        ) {
            let (first, second, third, fourth) = endpoints;
            let endpoints = [first, second, third, fourth].map(Arc::new);
            let deliveries: Vec<_> = delivered.iter().rev().copied().map(delivery).collect();
            let explained = explain(&message, &endpoints, &deliveries, NOW);
            let (seen, beyond) = explained.split_at(endpoints.len());
            for ((endpoint, decision), part) in fan_out(&message, &endpoints).zip(seen) {
                prop_assert_eq!(part.endpoint, endpoint.id);
                prop_assert_eq!(&part.uid, &endpoint.uid);
                prop_assert_eq!(part.decision, Some(decision));
                let verb = if decision == Decision::Owed { "owed: " } else { "skipped: " };
                prop_assert!(part.why.starts_with(verb), "{}", part.why);
                prop_assert_eq!(part.standing.is_some(), deliveries.iter().any(|delivery| delivery.key.endpoint == endpoint.id));
            }
            let expected: Vec<_> = delivered.iter().filter(|n| **n >= 4).map(|n| endpoint_id(*n)).collect();
            let found: Vec<_> = beyond.iter().map(|part| part.endpoint).collect();
            prop_assert_eq!(found, expected, "each delivery is told exactly once");
            prop_assert!(beyond.iter().all(|part| part.decision.is_none() && part.standing.is_some()));
        }
    }
}
