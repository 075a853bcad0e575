//! Makes one attempt: encode, sign, send, judge, decide, and the row that tells of it.
//!
//! Called by the delivering task with a delivery that this node holds. Everything it decides comes from the dialect and
//! from `hookyard-core`; it only does. It never fails: whatever happens is an outcome.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookyard_core::settle::Ended;
use hookyard_core::{health, settle};
use hookyard_dialects::{Answer, Outbound};
use hookyard_model::{Attempt, Judgement, Next, Outcome, Peer, ResponseKept, Timestamp, Timings, Trigger, limits};
use hookyard_ports::store::Settlement;
use hookyard_ports::{Exchange, Exchanged, Handed, Request, Response};

use crate::prepared::Prepared;
use crate::shared::Shared;

/// A finished attempt on its way to the store.
pub(crate) struct Made {
    pub(crate) settlement: Settlement,
    /// The delivery as it was before, with its message.
    pub(crate) handed: Handed,
    /// The endpoint in the form that the attempt saw.
    pub(crate) prepared: Arc<Prepared>,
}

/// Makes the attempt that is due.
pub(crate) async fn make(shared: &Shared, handed: &Handed, prepared: &Arc<Prepared>) -> Made {
    let (started, request) = request(shared, handed, prepared).await;
    let sent = match request {
        Ok(request) => send(shared, request).await,
        Err(why) => Sent::not_sent(Outcome::CannotBeEncoded(why)),
    };
    conclude(shared, handed, prepared, started, sent)
}

/// When the attempt began, and its request. Where that takes long it is made elsewhere; waiting for a thread is not part of
/// the attempt, because receivers judge a signature by its age.
async fn request(shared: &Shared, handed: &Handed, prepared: &Arc<Prepared>) -> (Timestamp, Result<Request, String>) {
    let clock = &shared.parts.clock;
    let bytes = handed.message.payload.bytes().map_or(0, Bytes::len);
    if bytes <= limits::ENCODE_INLINE_BYTES {
        let started = clock.now();
        return (started, build(handed, prepared, started));
    }
    let (clock, handed, prepared) = (Arc::clone(clock), handed.clone(), Arc::clone(prepared));
    let build = move || {
        let started = clock.now();
        (started, build(&handed, &prepared, started))
    };
    shared.encoders.run(build).await
}

/// What is recorded of an attempt that panicked: a defect of ours, so the endpoint is not charged and nothing repeats it.
pub(crate) fn panicked(shared: &Shared, handed: &Handed, prepared: &Arc<Prepared>) -> Made {
    tracing::error!(message_id = %handed.delivery.key.message, endpoint = %prepared.name(),
        "an attempt panicked; this is a defect of Hookyard, please report it with the lines above");
    let outcome = Outcome::CannotBeEncoded("the attempt panicked, which is a defect of Hookyard".to_owned());
    conclude(shared, handed, prepared, shared.parts.clock.now(), Sent::not_sent(outcome))
}

/// A request and what came of it.
struct Sent {
    outcome: Outcome,
    answer: Option<Response>,
    timings: Timings,
    peer: Option<Peer>,
    request_headers: String,
}

impl Sent {
    fn not_sent(outcome: Outcome) -> Self {
        Self { outcome, answer: None, timings: Timings::default(), peer: None, request_headers: String::new() }
    }
}

/// The request of an attempt at `now`; `Err` says why the message cannot be put into the dialect.
fn build(handed: &Handed, prepared: &Prepared, now: Timestamp) -> Result<Request, String> {
    let endpoint = &prepared.endpoint;
    let unknown = || format!("this version cannot send in dialect `{}`", endpoint.settings.dialect);
    let dialect: &dyn Outbound = prepared.dialect.ok_or_else(unknown)?;
    let encoded =
        dialect.encode(&handed.message, endpoint, handed.delivery.variant).map_err(|error| error.to_string())?;
    let mut headers = encoded.headers.clone();
    for name in ["traceparent", "tracestate"] {
        let kept = handed.message.kept_headers.iter().find(|(kept, _)| kept == name);
        if let Some(value) = kept.and_then(|(_, value)| http::HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    }
    dialect.sign(&encoded, &handed.message, endpoint, now, &mut headers).map_err(|error| error.to_string())?;
    prepared.lay_over(&mut headers);
    Ok(Request {
        endpoint: endpoint.id,
        url: endpoint.settings.url.clone(),
        trust: endpoint.trust(),
        method: prepared.method,
        headers,
        body: encoded.body,
        timeout: prepared.timeout,
    })
}

async fn send(shared: &Shared, request: Request) -> Sent {
    let request_headers = hookyard_dialects::mask_headers(&request.headers);
    let Exchange { result, timings, peer } = shared.parts.transport.send(request).await;
    let (outcome, answer) = match result {
        // Whether an answer means success is for the dialect to judge.
        Exchanged::Response(response) => (Outcome::Refused, Some(response)),
        Exchanged::TimedOut => (Outcome::TimedOut, None),
        Exchanged::DnsFailed(why) => (Outcome::DnsFailed(why), None),
        Exchanged::ConnectFailed(why) => (Outcome::ConnectFailed(why), None),
        Exchanged::TlsFailed(why) => (Outcome::TlsFailed(why), None),
        Exchanged::BrokenOff(why) => (Outcome::BrokenOff(why), None),
        Exchanged::StaleConnection => (Outcome::StaleConnection, None),
        Exchanged::Blocked(by) => (Outcome::Blocked(by), None),
    };
    Sent { outcome, answer, timings, peer, request_headers }
}

fn conclude(shared: &Shared, handed: &Handed, prepared: &Arc<Prepared>, started: Timestamp, sent: Sent) -> Made {
    let ended = shared.parts.clock.now();
    let judgement = sent.answer.as_ref().zip(prepared.dialect).map(|(answer, dialect)| {
        let Response { status, headers, body, .. } = answer;
        dialect.judge(&Answer { status: *status, headers, body, now: ended })
    });
    let delivered = judgement == Some(Judgement::Delivered);
    let outcome = if delivered { Outcome::Delivered } else { sent.outcome };
    let next = settle::settle(&Ended {
        delivery: &handed.delivery,
        outcome: &outcome,
        judgement: judgement.as_ref(),
        policy: &prepared.retry,
        on_gone: prepared.on_gone,
        ended,
        draw: if delivered { 0.0 } else { shared.parts.rng.unit() },
    });
    let endpoint = health::change(
        prepared.failing_since(delivered, ended),
        &outcome,
        judgement.as_ref(),
        prepared.on_gone,
        handed.delivery.trigger,
        ended,
        shared.parts.settings.disable_after,
    );
    let endpoint = endpoint.and_then(|change| prepared.note(change));
    let attempt = Attempt {
        id: shared.parts.ids.attempt(),
        message: handed.message.id,
        endpoint: handed.delivery.key.endpoint,
        application: handed.delivery.application,
        trigger: handed.delivery.trigger,
        outcome,
        started,
        timings: sent.timings,
        peer: sent.peer,
        url: prepared.shown_url.clone(),
        request_headers: sent.request_headers,
        response: sent.answer.as_ref().map(keep),
    };
    let settlement = Settlement { key: handed.delivery.key, attempt, next, endpoint, operational: Vec::new() };
    let made = Made { settlement, handed: handed.clone(), prepared: Arc::clone(prepared) };
    report(&made);
    made
}

fn keep(response: &Response) -> ResponseKept {
    ResponseKept {
        status: response.status.as_u16(),
        headers: hookyard_dialects::mask_headers(&response.headers),
        truncated: response.truncated || response.body.len() > limits::RESPONSE_BYTES_KEPT,
        body: response.body.slice(..response.body.len().min(limits::RESPONSE_BYTES_KEPT)),
    }
}

/// One line for a person who must find out why something did not arrive.
fn report(made: &Made) {
    let Made { settlement, handed, prepared } = made;
    let Settlement { attempt, next, key, .. } = settlement;
    if attempt.outcome == Outcome::Delivered {
        tracing::debug!(message_id = %key.message, endpoint = %prepared.name(), "delivered");
        return;
    }
    let settings = &prepared.endpoint.settings;
    let follows = match next {
        Next::Delivered | Next::StaysDelivered => "it stays delivered".to_owned(),
        Next::Retry { due, charged, .. } => {
            format!("attempt {charged} of {}, next at {due}", prepared.retry.retries() + 1)
        }
        Next::Again { .. } => "tried again at once, not counted".to_owned(),
        Next::Failed { reason, .. } => format!("given up: {}", reason.as_str()),
        Next::Cancelled { reason, .. } => format!("called off: {}", reason.as_str()),
    };
    let name = prepared.name();
    let event_type = &handed.message.event_type;
    let hint = attempt.outcome.blocked().and_then(|by| by.hint.as_deref());
    let what = match &attempt.response {
        Some(response) => format!("answered {}", response.status),
        None => words(&attempt.outcome, prepared.timeout),
    };
    let host = settings.url.host_str().unwrap_or_default();
    tracing::warn!(
        message_id = %key.message, %event_type, application = %attempt.application, endpoint = %name, host,
        outcome = attempt.outcome.as_str(), status = attempt.response.as_ref().map(|response| response.status),
        by_hand = attempt.trigger == Trigger::Manual, hint,
        "{what}; {follows}"
    );
}

/// An outcome without an answer, as a person reads it.
fn words(outcome: &Outcome, timeout: Duration) -> String {
    match outcome {
        Outcome::Delivered => "delivered".to_owned(),
        Outcome::Refused => "refused".to_owned(),
        Outcome::TimedOut => format!("no complete answer within {}", hookyard_model::format_duration(timeout)),
        Outcome::DnsFailed(why) => format!("the name could not be resolved: {why}"),
        Outcome::ConnectFailed(why) => format!("no connection could be made: {why}"),
        Outcome::TlsFailed(why) => format!("TLS could not be set up: {why}"),
        Outcome::BrokenOff(why) => format!("the answer broke off: {why}"),
        Outcome::StaleConnection => "the kept-alive connection was closed before an answer".to_owned(),
        Outcome::Blocked(by) => format!("not let out: {}", by.why),
        Outcome::Interrupted => "interrupted".to_owned(),
        Outcome::CannotBeEncoded(why) => format!("the message cannot be encoded: {why}"),
    }
}
