//! Immich's webhook file: `{"webhooks": […]}`, as its documentation describes it.
//!
//! Read unchanged, so nothing in it means more than it does to Immich: no variables, no patterns. What Immich strips or
//! skips in silence is a warning here; what would keep it from running any webhook is a fault.

use std::collections::BTreeMap;
use std::time::Duration;

use hookyard_egress::EndpointUrl;
use hookyard_model::{
    EndpointSettings, EventPattern, HeaderPair, Method, RetryPolicy, Secret, format_duration, limits,
};

use super::endpoint::{DeclaredEndpoint, Written, declare};
use super::fault::{Faults, quoted};
use super::foreign::{Source, System, numbered, read_url, uid_of};
use super::json_file;
use super::tree::{Field, Fields};
use crate::header;

/// What holds where an entry says nothing, by the documentation.
const TIMEOUT_MS: u64 = 10_000;
const ATTEMPTS: u64 = 3;
const BACKOFF_MS: u64 = 2_000;
/// Each delay is this many times the one before.
const FACTOR: f64 = 2.0;

/// The endpoints that the file declares.
pub(super) fn read(source: &Source<'_>, faults: &mut Faults) -> Vec<DeclaredEndpoint> {
    let root = json_file::read(source.document, source.text, faults).map(Field::root);
    let Some(mut root) = root.and_then(|root| root.fields(faults)) else { return Vec::new() };
    let webhooks = root.take("webhooks").and_then(|list| list.list(limits::ENDPOINTS_PER_APPLICATION, faults));
    warn_of_unknown(root, faults);
    let mut endpoints = Vec::new();
    for (index, webhook) in webhooks.unwrap_or_default().into_iter().enumerate() {
        let fields = webhook.fields(faults);
        endpoints.extend(fields.and_then(|fields| entry(source, index, fields, faults)));
    }
    drop_ambiguous_uids(&mut endpoints, faults);
    endpoints
}

/// One entry; `None` when it is wrong or skipped, which has been said.
fn entry(source: &Source<'_>, index: usize, mut fields: Fields, faults: &mut Faults) -> Option<DeclaredEndpoint> {
    let (name, dialect) = source.system.dialect();
    let defaults = dialect.outbound().map(hookyard_dialects::Outbound::defaults);
    let https_only = source.policy.requires_https(defaults.as_ref());

    let id = fields.take("id").and_then(|id| checked_id(&id, faults));
    let events = fields.require("events", faults).and_then(|events| read_events(source.system, events, faults));
    let url = fields.require("url", faults).and_then(|url| read_url(&url, https_only, faults));
    let method = fields.take("method").map(|method| read_method(&method, faults));
    let headers = fields.take("headers").map(|headers| read_headers(headers, faults)).unwrap_or_default();
    let timeout = bounded(fields.take("timeoutMs"), TIMEOUT_MS, 1, &limits::TIMEOUT, faults);
    let attempts = attempts(fields.take("retries"), faults);
    let delays = Duration::ZERO..=limits::RETRY_DELAY;
    let backoff = bounded(fields.take("backoffMs"), BACKOFF_MS, 0, &delays, faults);
    let server_events = fields.take("includeServerEvents").and_then(|value| value.boolean(faults));
    let (place, key) = (fields.place().clone(), fields.own_key().to_owned());
    warn_of_unknown(fields, faults);

    let (events, EndpointUrl { url, basic_auth }) = (events?, url?);
    let shown = id.clone().unwrap_or_else(|| numbered(index));
    if events.is_empty() {
        let what = format!("names no event, so nothing would ever be sent; `{shown}` is skipped");
        faults.warn(&place, &format!("{key}.events"), what, None);
        return None;
    }
    let mut settings = EndpointSettings::new(url, name);
    settings.name = Some(shown);
    settings.basic_auth = basic_auth;
    settings.event_types = Some(events);
    settings.method = method.flatten();
    settings.headers = headers;
    settings.timeout = Some(timeout?);
    settings.retry = Some(RetryPolicy::Exponential {
        delay: backoff?,
        factor: FACTOR,
        max_delay: limits::RETRY_DELAY,
        // The first attempt is none of ours.
        retries: attempts? - 1,
        jitter: 0.0,
    });
    settings.include_server_events = server_events.unwrap_or(false);
    let uid = id.as_deref().and_then(uid_of);
    Some(declare(dialect, settings, Written { uid, place, key, disabled: false }, faults))
}

fn checked_id(field: &Field, faults: &mut Faults) -> Option<String> {
    let id = field.text(faults)?;
    if id.is_empty() || id.len() > limits::NAME_BYTES {
        field.fault(faults, format_args!("must be 1 to {} bytes long", limits::NAME_BYTES));
    } else if id.contains(char::is_control) {
        field.fault(faults, "holds a control character");
    } else {
        return Some(id.to_owned());
    }
    None
}

/// The names in their order, each once.
fn read_events(system: &System, field: Field, faults: &mut Faults) -> Option<Vec<EventPattern>> {
    let mut events: Vec<EventPattern> = Vec::new();
    for item in field.list(limits::EVENT_PATTERNS, faults)? {
        let Some(text) = item.text(faults).map(str::trim).filter(|text| !text.is_empty()) else { continue };
        if events.iter().all(|event| event.as_str() != text) {
            events.extend(system.event(&item, text, &[], faults));
        }
    }
    Some(events)
}

fn read_method(field: &Field, faults: &mut Faults) -> Option<Method> {
    let text = field.text(faults)?;
    let methods = [Method::Post, Method::Put, Method::Patch];
    let found = methods.into_iter().find(|method| method.as_str().eq_ignore_ascii_case(text));
    if found.is_none() {
        field.fault(faults, format_args!("is {}, must be `POST`, `PUT` or `PATCH`", quoted(text)));
    }
    found
}

fn read_headers(field: Field, faults: &mut Faults) -> Vec<HeaderPair> {
    let (place, key) = (field.place().clone(), field.key.clone());
    let Some(fields) = field.fields(faults) else { return Vec::new() };
    let members = fields.all();
    if members.len() > limits::ENDPOINT_HEADERS {
        let what = format!("has {} headers, at most {} are allowed", members.len(), limits::ENDPOINT_HEADERS);
        faults.add(&place, &key, what);
        return Vec::new();
    }
    let mut headers: BTreeMap<String, usize> = BTreeMap::new();
    let mut pairs: Vec<HeaderPair> = Vec::with_capacity(members.len());
    for (name, value) in members {
        let Some(text) = value.scalar(faults).map(Secret::new) else { continue };
        if let Err(what) = header::check(&name.text, &text) {
            value.fault(faults, what);
        } else if headers.insert(name.text.to_ascii_lowercase(), pairs.len()).is_some() {
            value.fault(faults, "is given twice; the names of headers have no upper and lower case");
        } else {
            pairs.push(HeaderPair { name: name.text, value: text });
        }
    }
    pairs
}

/// A span in milliseconds. One that is valid to Immich and beyond our range becomes the nearest that is not.
fn bounded(
    field: Option<Field>,
    default: u64,
    least: u64,
    range: &std::ops::RangeInclusive<Duration>,
    faults: &mut Faults,
) -> Option<Duration> {
    let Some(field) = field else { return Some(Duration::from_millis(default)) };
    let asked = Duration::from_millis(field.whole(least, faults)?);
    let span = asked.clamp(*range.start(), *range.end());
    if span != asked {
        let (from, to) = (format_duration(*range.start()), format_duration(*range.end()));
        let what = format!("must be from `{from}` to `{to}` here; `{}` counts", format_duration(span));
        field.warn(faults, what, None);
    }
    Some(span)
}

/// How often a delivery is tried, the first time included.
fn attempts(field: Option<Field>, faults: &mut Faults) -> Option<u16> {
    let most = u64::try_from(limits::RETRIES).unwrap_or(u64::MAX).saturating_add(1);
    let asked = match &field {
        Some(field) => field.whole(1, faults)?,
        None => ATTEMPTS,
    };
    if let Some(field) = field.filter(|_| asked > most) {
        field.warn(faults, format_args!("must be at most {most} attempts here; {most} count"), None);
    }
    u16::try_from(asked.min(most)).ok()
}

fn warn_of_unknown(fields: Fields, faults: &mut Faults) {
    for unknown in fields.unknown() {
        let near = unknown.near.map(|near| format!("did you mean `{near}`?"));
        faults.warn(&unknown.name.place, &unknown.key, "is not a known field and has no effect", near.as_deref());
    }
}

/// An id that several entries have says nothing about which is which, so each gets a uid from its URL and events.
fn drop_ambiguous_uids(endpoints: &mut [DeclaredEndpoint], faults: &mut Faults) {
    let mut counts: BTreeMap<_, usize> = BTreeMap::new();
    for uid in endpoints.iter().filter_map(|endpoint| endpoint.uid.clone()) {
        *counts.entry(uid).or_default() += 1;
    }
    for endpoint in endpoints {
        if let Some(uid) = endpoint.uid.take_if(|uid| counts.get(uid).is_some_and(|count| *count > 1)) {
            let what = format!("is `{uid}`, as of another entry; each is told apart by its URL and events");
            faults.warn(&endpoint.place, &format!("{}.id", endpoint.key), what, None);
        }
    }
}
