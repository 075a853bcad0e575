//! Reads: pages in both directions, filters, counts, and values exactly as they were given.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookyard_model::{
    Attempt, BlockedBy, DeliveryState, DisableReason, EndpointSettings, EventTime, Message, Method, Next, OnGone,
    Ordered, Origin, Outcome, Payload, Peer, RetryPolicy, StateKind, Timings,
};

use super::fixture::{WORKS, retry};
use super::{Fixture, Ground};
use crate::store::{FirstState, ImportEndpoint, MessageRef, Overview, Settlement, StatusChange};
use crate::testkit::build::{self, application_id, at, attempt_id, endpoint_id, key, message_id};

async fn message(fixture: &Fixture, n: u64) -> Arc<Message> {
    let found = fixture.store().message(application_id(1), &MessageRef::Id(message_id(n))).await.expect(WORKS);
    found.expect("it is stored").message
}

/// Accepts it, reads it, claims it, and reads it again after a crash: the same each time.
async fn check_message(ground: Arc<dyn Ground>, messages: Vec<Message>) {
    let fixture = Fixture::new(ground).await;
    let offered = messages.iter().map(|message| build::accept(message.clone(), &[(1, build::pending(0))])).collect();
    fixture.offer(offered).await;
    let claimed = fixture.claim(1, 1_000, at(9_000)).await;
    assert_eq!(claimed.len(), messages.len());
    let stored = async |fixture: &Fixture, expected: &Message| {
        let reference = MessageRef::Id(expected.id);
        let found = fixture.store().message(application_id(1), &reference).await.expect(WORKS);
        assert_eq!(*found.expect("it is stored").message, *expected);
    };
    for expected in &messages {
        stored(&fixture, expected).await;
        let sent = claimed.iter().find(|claimed| claimed.message.id == expected.id).expect("it was claimed");
        assert_eq!(*sent.message, *expected);
    }
    drop(claimed);
    let fixture = fixture.crash(at(9_000)).await;
    for expected in &messages {
        stored(&fixture, expected).await;
    }
}

pub async fn a_message_with_every_field_is_read_as_it_was_given(ground: Arc<dyn Ground>) {
    check_message(ground, vec![build::full_message(5)]).await;
}

pub async fn payloads_are_kept_byte_for_byte(ground: Arc<dyn Ground>) {
    let payloads: [&[u8]; 6] = [b"", b"\0", b"{ \"a\" : 1.00 }\n", b"\xff\xfe\0", "\u{feff}{}".as_bytes(), b"\r\n"];
    let with = |(n, payload): (u64, &[u8])| Message {
        payload: Payload::Kept(Bytes::copy_from_slice(payload)),
        ..build::message(n)
    };
    let mut messages: Vec<Message> = (1..).zip(payloads).map(with).collect();
    let large: Vec<u8> = (0..2_000_000u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    messages.push(with((50, &large)));
    check_message(ground, messages).await;
}

pub async fn event_times_keep_their_text(ground: Arc<dyn Ground>) {
    let texts = ["2023-10-17T19:39:32.924194436+02:00", "1969-12-31t23:59:59z", "2023-10-17T00:00:00.5-00:00"];
    let with = |(n, text): (u64, &str)| {
        let event_time: EventTime = text.parse().expect("a time");
        Message { event_time: Some(event_time), ..build::message(n) }
    };
    check_message(ground, (1..).zip(texts).map(with).collect()).await;
}

pub async fn every_origin_is_kept(ground: Arc<dyn Ground>) {
    let origins = [
        Origin::Api,
        Origin::Server,
        Origin::Source("github \"x\"".to_owned()),
        Origin::Job,
        Origin::Test,
        Origin::Operational,
        Origin::EditOf(message_id(99)),
    ];
    let with = |(n, origin)| Message { origin, ..build::message(n) };
    check_message(ground, (1..).zip(origins).map(with).collect()).await;
}

pub async fn no_targets_and_no_restriction_are_different(ground: Arc<dyn Ground>) {
    let nobody = Message { targets: Some(Vec::new()), ..build::message(1) };
    check_message(ground, vec![nobody, build::message(2)]).await;
}

/// Imports endpoint 1 with these settings and reads them back, after a crash too.
async fn check_settings(ground: Arc<dyn Ground>, settings: Vec<EndpointSettings>) {
    let fixture = Fixture::empty(ground).await;
    let mut application = build::import_application(1, &[]);
    let declared = (1..).zip(&settings);
    application.endpoints = declared
        .map(|(n, settings)| ImportEndpoint { settings: Arc::new(settings.clone()), ..build::import_endpoint(n) })
        .collect();
    fixture.import(build::import(vec![application.clone()])).await;
    let again = fixture.import(build::import(vec![application])).await;
    assert_eq!(again.unchanged, settings.len() + 1, "what is read back is equal to what was declared");
    let fixture = fixture.crash(at(60)).await;
    for (endpoint, expected) in fixture.view().await.endpoints.iter().zip(&settings) {
        assert_eq!(*endpoint.settings, *expected);
    }
    let last = settings.len() as u64;
    assert_eq!(Some(&*fixture.endpoint(last).await.settings), settings.last());
    let past = fixture.store().endpoints_at(application_id(1), hookyard_model::Revision(1)).await.expect(WORKS);
    assert_eq!(past.iter().map(|form| EndpointSettings::clone(&form.settings)).collect::<Vec<_>>(), settings);
}

pub async fn settings_with_every_field_are_read_as_they_were_given(ground: Arc<dyn Ground>) {
    check_settings(ground, vec![build::full_settings(1), build::settings(2)]).await;
}

pub async fn every_variant_of_settings_is_kept(ground: Arc<dyn Ground>) {
    let retries = [
        RetryPolicy::Fixed { delay: Duration::from_millis(1), retries: 0 },
        RetryPolicy::default(),
        RetryPolicy::Schedule { delays: Vec::new(), jitter: 0.0 },
    ];
    let mut settings: Vec<EndpointSettings> =
        retries.into_iter().map(|retry| EndpointSettings { retry: Some(retry), ..build::settings(1) }).collect();
    for method in [Method::Post, Method::Put, Method::Patch] {
        settings.push(EndpointSettings { method: Some(method), ..build::settings(1) });
    }
    for ordered in [Ordered::Endpoint, Ordered::Pointer(String::new())] {
        settings.push(EndpointSettings { ordered, ..build::settings(1) });
    }
    for on_gone in [OnGone::Disable, OnGone::Retry] {
        settings.push(EndpointSettings { on_gone: Some(on_gone), ..build::settings(1) });
    }
    settings.push(EndpointSettings { event_types: Some(Vec::new()), ..build::settings(1) });
    check_settings(ground, settings).await;
}

pub async fn every_reason_to_disable_is_kept(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let reasons = [DisableReason::Manual, DisableReason::Failing, DisableReason::Gone];
    let mut expected = Vec::new();
    for (n, reason) in (1..).zip(reasons) {
        expected.push(fixture.change_status(n, StatusChange::Disable(reason), at(n)).await);
    }
    let fixture = fixture.crash(at(60)).await;
    for (n, expected) in (1..).zip(expected) {
        assert_eq!(fixture.endpoint(n).await, expected);
    }
}

pub async fn attempts_are_read_as_they_were_given(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let blocked = BlockedBy {
        rule: "private".to_owned(),
        why: "10.0.0.1 is a private address".to_owned(),
        hint: Some("egress.allow = [\"10.0.0.1/32\"]".to_owned()),
    };
    let outcomes = [
        Outcome::Delivered,
        Outcome::Refused,
        Outcome::TimedOut,
        Outcome::DnsFailed("nö".to_owned()),
        Outcome::ConnectFailed(String::new()),
        Outcome::TlsFailed("t".to_owned()),
        Outcome::BrokenOff("b".to_owned()),
        Outcome::StaleConnection,
        Outcome::Blocked(blocked.clone()),
        Outcome::Blocked(BlockedBy { hint: None, ..blocked }),
        Outcome::Interrupted,
        Outcome::CannotBeEncoded("c".to_owned()),
    ];
    fixture.accept(1, &[(1, FirstState::Leased)]).await;
    let mut expected = Vec::new();
    for (n, outcome) in (1..).zip(outcomes) {
        expected.push(build::full_attempt(2 * n, key(1, 1), outcome.clone()));
        expected.push(build::attempt(2 * n + 1, key(1, 1), outcome));
    }
    expected.push(Attempt {
        peer: Some(Peer::Proxy("corp \"a\"".to_owned())),
        timings: Timings { connect: Some(Duration::ZERO), total: Duration::from_micros(1), ..Timings::default() },
        ..build::attempt(900, key(1, 1), Outcome::Refused)
    });
    expected.push(Attempt {
        peer: Some(Peer::Direct("192.0.2.7:80".parse().expect("an address"))),
        ..build::attempt(901, key(1, 1), Outcome::Refused)
    });
    let again = Next::Again { charged: 0, variant: 0 };
    let settlement = |attempt: &Attempt| Settlement {
        key: key(1, 1),
        attempt: attempt.clone(),
        next: again,
        endpoint: None,
        operational: Vec::new(),
    };
    fixture.store().settle(expected.iter().map(settlement).collect()).await.expect(WORKS);
    let fixture = fixture.crash(at(60)).await;
    for expected in expected {
        let found = fixture.store().attempt(application_id(1), expected.id).await.expect(WORKS);
        assert_eq!(found, Some(expected));
    }
}

pub async fn a_message_is_found_in_its_application_only(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(2, build::pending(0)), (1, build::pending(0))]).await;
    let reference = MessageRef::Id(message_id(1));
    assert_eq!(fixture.store().message(application_id(2), &reference).await.expect(WORKS), None);
    assert_eq!(fixture.store().deliveries(application_id(2), message_id(1)).await.expect(WORKS), []);
    assert_eq!(fixture.deliveries(9).await, []);
    assert_eq!(message(&fixture, 1).await.id, message_id(1));
}

pub async fn highest_id_is_above_everything_stored(ground: Arc<dyn Ground>) {
    let fixture = Fixture::empty(ground).await;
    let above = async |fixture: &Fixture, id| {
        assert!(fixture.store().highest_id().await.expect(WORKS) >= id, "{id:?}");
    };
    fixture.import(build::import(vec![build::import_application(70, &[71]), build::import_application(1, &[1])])).await;
    above(&fixture, application_id(70).raw()).await;
    above(&fixture, endpoint_id(71).raw()).await;
    fixture.accept(90, &[(1, FirstState::Leased)]).await;
    fixture.accept(3, &[]).await;
    above(&fixture, message_id(90).raw()).await;
    fixture.settle(95, (90, 1), Outcome::Refused, retry(900, 1)).await;
    above(&fixture, attempt_id(95).raw()).await;
    let fixture = fixture.crash(at(60)).await;
    above(&fixture, attempt_id(95).raw()).await;
    fixture.accept(91, &[(1, FirstState::Leased)]).await;
    let fixture = fixture.crash(at(61)).await;
    fixture.rescue(at(61), 97, 1).await;
    let fixture = fixture.crash(at(62)).await;
    above(&fixture, attempt_id(97).raw()).await;
}

pub async fn the_overview_counts_what_is_open(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let overview = async || fixture.store().overview(at(60)).await.expect(WORKS);
    let count = |overview: &Overview, kind| {
        overview.open.iter().filter(|(of, _)| *of == kind).map(|(_, count)| count).sum::<u64>()
    };
    let counts = |overview: &Overview| StateKind::ALL.map(|kind| count(overview, kind));
    assert_eq!(counts(&overview().await), [0; 5]);
    assert_eq!(overview().await.oldest_due, None);

    fixture.accept(1, &[(1, build::pending(50)), (2, build::pending(20)), (3, FirstState::Leased)]).await;
    fixture.accept(2, &[(1, build::pending(70)), (3, FirstState::Leased)]).await;
    assert_eq!(counts(&overview().await), [3, 2, 0, 0, 0]);
    assert_eq!(overview().await.oldest_due, Some(at(20)));

    fixture.change_status(2, StatusChange::Disable(DisableReason::Manual), at(5)).await;
    assert_eq!(overview().await.oldest_due, Some(at(50)), "of enabled endpoints");
    assert_eq!(counts(&overview().await), [3, 2, 0, 0, 0], "what is held is pending");

    fixture.claim_all(1, at(60)).await;
    fixture.settle(10, (1, 1), Outcome::Delivered, Next::Delivered).await;
    assert_eq!(counts(&overview().await), [2, 2, 0, 0, 0]);
    fixture.resend(1, 1, at(55)).await;
    assert_eq!(counts(&overview().await), [2, 2, 0, 0, 0], "it is delivered, whatever waits");
    assert_eq!(overview().await.oldest_due, Some(at(55)));
    assert!(matches!(fixture.state(1, 1).await, DeliveryState::Delivered { .. }));
}
