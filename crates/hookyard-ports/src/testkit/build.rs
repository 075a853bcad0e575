//! Builds values for tests: one number in, the same value in every run.
//!
//! Used by the conformance suite and by the tests of every crate above the store. The plain builders set what must be set;
//! the `full_` ones set every field to something that is not its default, so that a field lost on the way is seen.
//! Everything belongs to application 1 of the default organisation unless the test says otherwise.

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookyard_model::{
    Application, ApplicationId, Attempt, AttemptId, BasicAuth, DeliveryKey, Endpoint, EndpointId, EndpointSettings,
    EndpointStatus, FileKind, HeaderPair, Message, MessageId, Method, OnGone, Ordered, OrganisationId, Origin, Outcome,
    Payload, Peer, Rate, RawId, ResponseKept, RetryPolicy, Revision, Secret, SigningKeys, SigningSecret, Timestamp,
    Timings, Trigger, limits,
};
use url::Url;

use crate::store::{
    Accept, ApplicationView, Dedupe, DedupeKind, FirstState, Import, ImportApplication, ImportEndpoint, NewDelivery,
};

/// When tests begin: 2026-01-01T00:00:00Z, the start of a minute.
pub const NOW: Timestamp = Timestamp::from_seconds(1_767_225_600);

/// `seconds` after [`NOW`].
pub fn at(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

/// The `n`th id of a kind, minted at [`NOW`]; ids of one kind sort by `n`.
fn raw(kind: u8, n: u64) -> RawId {
    let mut bytes = *RawId::first_of(NOW).as_bytes();
    bytes[5] = kind;
    bytes[12..].copy_from_slice(&n.to_be_bytes());
    RawId::from_bytes(bytes)
}

/// The `n`th application's id.
pub fn application_id(n: u64) -> ApplicationId {
    ApplicationId::from_raw(raw(1, n))
}

/// The `n`th endpoint's id.
pub fn endpoint_id(n: u64) -> EndpointId {
    EndpointId::from_raw(raw(2, n))
}

/// The `n`th message's id.
pub fn message_id(n: u64) -> MessageId {
    MessageId::from_raw(raw(3, n))
}

/// The `n`th attempt's id.
pub fn attempt_id(n: u64) -> AttemptId {
    AttemptId::from_raw(raw(4, n))
}

/// The delivery of the `message`th message to the `endpoint`th endpoint.
pub fn key(message: u64, endpoint: u64) -> DeliveryKey {
    DeliveryKey { message: message_id(message), endpoint: endpoint_id(endpoint) }
}

/// The organisation of everything built here.
pub fn organisation() -> OrganisationId {
    OrganisationId::default_organisation()
}

/// Settings of the `n`th endpoint: a URL and the dialect `standard`, all else absent.
pub fn settings(n: u64) -> EndpointSettings {
    let url = Url::parse(&format!("https://receiver-{n}.example/hook")).expect("the text is a URL");
    EndpointSettings::new(url, "standard".parse().expect("the text is a dialect's name"))
}

/// Settings of the `n`th endpoint with every field set.
pub fn full_settings(n: u64) -> EndpointSettings {
    EndpointSettings {
        url: Url::parse(&format!("http://[2001:db8::1]:8080/h%C3%BCk/{n}?a=b&c=%20#f")).expect("the text is a URL"),
        name: Some(format!("webhook-{n}")),
        description: format!("Empfänger {n} “quoted” \u{1f4f7}\nsecond line"),
        dialect: "photobooth".parse().expect("the text is a dialect's name"),
        options: BTreeMap::from([("signature_encoding".to_owned(), "base64".to_owned())]),
        method: Some(Method::Patch),
        headers: vec![
            HeaderPair { name: "X-Zeta".to_owned(), value: Secret::new("first".to_owned()) },
            HeaderPair { name: "x-alpha".to_owned(), value: Secret::new(format!("second, {n}")) },
            HeaderPair { name: "X-Zeta".to_owned(), value: Secret::new(String::new()) },
        ],
        basic_auth: Some(BasicAuth { user: "us:er".to_owned(), password: Secret::new("pässword".to_owned()) }),
        keys: SigningKeys {
            keys: vec![
                SigningSecret { text: Secret::new(format!("whsec_{n}")), expires: None },
                SigningSecret { text: Secret::new("older".to_owned()), expires: Some(at(3_600)) },
            ],
        },
        event_types: Some(vec![
            "task.*".parse().expect("the text is a pattern"),
            "asset.created".parse().expect("the text is a pattern"),
        ]),
        channels: vec!["eu:north".parse().expect("the text is a channel")],
        include_server_events: true,
        timeout: Some(Duration::from_millis(1_500)),
        retry: Some(RetryPolicy::Exponential {
            delay: Duration::from_millis(1_250),
            factor: 1.5,
            max_delay: Duration::from_hours(2),
            retries: 7,
            jitter: 0.1,
        }),
        concurrency: NonZeroU16::new(3),
        rate_limit: Some(Rate { count: NonZeroU32::new(20).expect("20 is not zero"), per: Duration::from_mins(1) }),
        ordered: Ordered::Pointer("/data/id~1x".to_owned()),
        on_gone: Some(OnGone::Disable),
        metadata: BTreeMap::from([("b".to_owned(), String::new()), ("a \"q\"".to_owned(), format!("ä{n}"))]),
    }
}

/// The `n`th endpoint, enabled since [`NOW`].
pub fn endpoint(n: u64) -> Endpoint {
    Endpoint {
        id: endpoint_id(n),
        application: application_id(1),
        uid: Some(format!("receiver-{n}").parse().expect("the text is a uid")),
        revision: Revision(1),
        settings: Arc::new(settings(n)),
        status: EndpointStatus::Enabled,
        failing_since: None,
        declared: None,
        application_metadata: Arc::default(),
        created: NOW,
        updated: NOW,
    }
}

/// The `n`th application, made at [`NOW`].
pub fn application(n: u64) -> Application {
    Application {
        id: application_id(n),
        organisation: organisation(),
        uid: Some(format!("tenant-{n}").parse().expect("the text is a uid")),
        name: format!("Tenant {n}"),
        metadata: BTreeMap::new(),
        rate_limit: None,
        require_https: None,
        declared: None,
        revision: Revision(1),
        created: NOW,
        updated: NOW,
        archived: None,
    }
}

/// Application 1 with these endpoints.
pub fn view(endpoints: &[u64]) -> ApplicationView {
    ApplicationView {
        application: application(1),
        endpoints: endpoints.iter().map(|n| Arc::new(endpoint(*n))).collect(),
    }
}

/// The `n`th message of application 1, accepted `n` seconds after [`NOW`] at revision 1.
pub fn message(n: u64) -> Message {
    let accepted = at(n);
    Message {
        id: message_id(n),
        organisation: organisation(),
        application: application_id(1),
        event_type: "thing.happened".parse().expect("the text is an event type"),
        event_id: None,
        event_time: None,
        accepted,
        channels: Vec::new(),
        tags: Vec::new(),
        content_type: "application/json".to_owned(),
        payload: Payload::Kept(Bytes::from(format!("{{\"n\":{n}}}"))),
        kept_headers: Vec::new(),
        origin: Origin::Api,
        targets: None,
        revision: Revision(1),
        deliver_at: None,
        expires: accepted.plus(limits::RETENTION),
    }
}

/// The `n`th message with every field set; its payload is no text and holds every byte.
pub fn full_message(n: u64) -> Message {
    let bytes: Vec<u8> = (0..=u8::MAX).rev().chain([0, 0xff, 0xfe, 0]).collect();
    Message {
        event_type: "asset.created_v2-x".parse().expect("the text is an event type"),
        event_id: Some(format!("event-{n}").parse().expect("the text is an event id")),
        event_time: Some("2023-10-17T19:39:32.924194436+02:00".parse().expect("the text is a time")),
        channels: vec!["b:1".parse().expect("a channel"), "a".parse().expect("a channel")],
        tags: vec!["grün \"quoted\"".parse().expect("a tag"), "a,b".parse().expect("a tag")],
        content_type: "application/octet-stream; charset=\"x\"".to_owned(),
        payload: Payload::Kept(Bytes::from(bytes)),
        kept_headers: vec![
            ("x-github-event".to_owned(), "push".to_owned()),
            ("a".to_owned(), "ü: \"1\"".to_owned()),
            ("x-github-event".to_owned(), String::new()),
        ],
        origin: Origin::EditOf(message_id(n.wrapping_sub(1))),
        targets: Some(vec![endpoint_id(2), endpoint_id(1)]),
        deliver_at: Some(at(n + 7)),
        ..message(n)
    }
}

/// A request to accept a message, owing one delivery to each of these endpoints, without dedupe keys.
pub fn accept(message: Message, deliveries: &[(u64, FirstState)]) -> Accept {
    let deliveries = deliveries
        .iter()
        .map(|(n, state)| NewDelivery { endpoint: endpoint_id(*n), state: *state, order_key: None })
        .collect();
    Accept { message: Arc::new(message), deliveries, dedupe: Vec::new() }
}

/// A first state: pending, due `seconds` after [`NOW`].
pub fn pending(seconds: u64) -> FirstState {
    FirstState::Pending { due: at(seconds) }
}

/// A dedupe key without fingerprint that counts for as long as its message is kept.
pub fn dedupe(kind: DedupeKind, key: &str) -> Dedupe {
    Dedupe { kind, key: key.to_owned(), fingerprint: None, expires: None }
}

/// The `n`th attempt: of this delivery, begun `n` seconds after [`NOW`], 20 ms long. It has a response exactly when the
/// outcome is one that needs a status.
pub fn attempt(n: u64, key: DeliveryKey, outcome: Outcome) -> Attempt {
    let status = match outcome {
        Outcome::Delivered => Some(200),
        Outcome::Refused => Some(503),
        Outcome::TimedOut
        | Outcome::DnsFailed(_)
        | Outcome::ConnectFailed(_)
        | Outcome::TlsFailed(_)
        | Outcome::BrokenOff(_)
        | Outcome::StaleConnection
        | Outcome::Blocked(_)
        | Outcome::Interrupted
        | Outcome::CannotBeEncoded(_) => None,
    };
    Attempt {
        id: attempt_id(n),
        message: key.message,
        endpoint: key.endpoint,
        application: application_id(1),
        trigger: Trigger::Scheduled,
        outcome,
        started: at(n),
        timings: Timings { total: Duration::from_millis(20), ..Timings::default() },
        peer: None,
        url: "https://receiver.example/hook".to_owned(),
        request_headers: "content-type: application/json\n".to_owned(),
        response: status.map(|status| ResponseKept {
            status,
            headers: "server: test\n".to_owned(),
            body: Bytes::from_static(b"ok"),
            truncated: false,
        }),
    }
}

/// The `n`th attempt with every field set.
pub fn full_attempt(n: u64, key: DeliveryKey, outcome: Outcome) -> Attempt {
    let micros = Duration::from_micros;
    Attempt {
        trigger: Trigger::Manual,
        timings: Timings {
            dns: Some(micros(1)),
            connect: Some(micros(1_002)),
            tls: Some(micros(20_003)),
            first_byte: Some(micros(300_004)),
            total: micros(4_000_005),
        },
        peer: Some(Peer::Direct("[2001:db8::1]:443".parse().expect("an address"))),
        url: "https://receiver.example/h%C3%BCk?key=***".to_owned(),
        request_headers: "authorization: ***\nx-a: ü\n".to_owned(),
        response: Some(ResponseKept {
            status: 418,
            headers: "x-a: 1\nx-a: 2\n".to_owned(),
            body: Bytes::from_static(&[0, 0xff, 0xfe, b'\n', 0]),
            truncated: true,
        }),
        ..attempt(n, key, outcome)
    }
}

/// The file kind that declares these applications for the default organisation at [`NOW`].
pub fn import(applications: Vec<ImportApplication>) -> Import {
    Import {
        kind: FileKind::Hookyard,
        file: "hookyard.toml".to_owned(),
        organisation: organisation(),
        applications,
        now: NOW,
    }
}

/// The `n`th application as a file declares it, with these endpoints.
pub fn import_application(n: u64, endpoints: &[u64]) -> ImportApplication {
    let application = application(n);
    ImportApplication {
        id: application.id,
        uid: application.uid.expect("built with a uid"),
        name: application.name,
        metadata: application.metadata,
        rate_limit: application.rate_limit,
        require_https: application.require_https,
        endpoints: endpoints.iter().map(|n| import_endpoint(*n)).collect(),
    }
}

/// The `n`th endpoint as a file declares it.
pub fn import_endpoint(n: u64) -> ImportEndpoint {
    let endpoint = endpoint(n);
    ImportEndpoint {
        id: endpoint.id,
        uid: endpoint.uid.expect("built with a uid"),
        settings: endpoint.settings,
        disabled: false,
    }
}
