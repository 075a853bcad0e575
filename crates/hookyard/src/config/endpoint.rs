//! `[[application.endpoint]]`: where to send, as a file says it.
//!
//! What passes here can be sent: the dialect exists and has checked the settings, no header breaks HTTP, the URL is one.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::str::FromStr;

use hookyard_dialects::{Defaults, Dialect};
use hookyard_egress::{EndpointUrl, UrlError};
use hookyard_model::{
    BasicAuth, DialectName, EndpointSettings, EventPattern, HeaderPair, Method, OnGone, Ordered, SigningKeys, Uid,
    limits,
};
use sha2::{Digest, Sha256};
use url::Url;

use super::document::{Table, Value};
use super::fault::{Faults, Place, nearest, quoted};
use super::file::Policy;
use super::{retry, secret, settings};
use crate::header;

/// What the uid of an endpoint that has none begins with.
pub(super) const DERIVED: &str = "auto-";
/// The dialect of an endpoint that names none.
const DIALECT: &str = "standard";

/// An endpoint as a file declares it.
#[derive(Debug, Clone)]
pub(crate) struct DeclaredEndpoint {
    /// Its key within the application; `None` gets one from [`derived_uid`].
    pub(crate) uid: Option<Uid>,
    /// What [`derived_uid`] makes one from.
    pub(super) digest: String,
    /// Where it is declared.
    pub(crate) place: Place,
    /// Its full name in the file, such as `application.endpoint`.
    pub(super) key: String,
    /// What is declared.
    pub(crate) settings: EndpointSettings,
    /// Whether the file switches it off.
    pub(crate) disabled: bool,
}

/// Reads one endpoint; `None` when something is wrong, which has been said.
pub(crate) fn read(mut table: Table<'_>, policy: &Policy, faults: &mut Faults) -> Option<DeclaredEndpoint> {
    let place = table.place();
    let uid = parsed::<Uid>(&mut table, "uid", faults);
    let dialect = dialect(&mut table, faults);
    let url = table.require("url", faults).and_then(|value| url(&value, dialect.as_ref(), policy, faults));
    // Everything is read before anything is given up, so that one report holds every fault.
    let description = table.take("description").and_then(|value| value.text(faults).map(str::to_owned));
    let headers = table.take("headers").map(|value| headers(value, faults)).unwrap_or_default();
    let basic_auth = table.take("basic_auth").and_then(|value| basic_auth(value, faults));
    let key = secret::take(&mut table, "secret", "secret_file", faults);
    let method = table.take("method").and_then(|value| value.parse(method, faults));
    let event_types = table.take("event_types").map(|value| event_types(value, faults));
    let channels = table.take("channels").map(|value| names(value, limits::ENDPOINT_CHANNELS, faults));
    let server_events = table.take("include_server_events").and_then(|value| value.boolean(faults));
    let timeout = table.take("timeout").and_then(|value| value.parse(settings::timeout, faults));
    let retry = table.take("retry").and_then(|value| retry::read(value, policy.jitter, faults));
    let most = u32::from(limits::LANE_CONCURRENCY_MAX);
    let concurrency = table.take("concurrency").and_then(|value| value.whole(1..=most, faults));
    let rate_limit = parsed(&mut table, "rate_limit", faults);
    let ordered = table.take("ordered").and_then(|value| ordered(&value, faults));
    let on_gone = table.take("on_gone").and_then(|value| value.parse(on_gone, faults));
    let options = table.take("options").map(|value| options(value, faults));
    let metadata = table.take("metadata").map(|value| metadata(value, faults));
    let disabled = table.take("disabled").and_then(|value| value.boolean(faults));
    let scope = table.key("");
    table.finish(faults);

    let ((url, in_url), (name, dialect)) = (url?, dialect?);
    let mut settings = EndpointSettings::new(url, name);
    settings.description = description.unwrap_or_default();
    settings.headers = headers;
    if basic_auth.is_some() && in_url.is_some() {
        faults.add(&place, &format!("{scope}basic_auth"), "is given beside a user in `url`; keep one of them");
    }
    settings.basic_auth = basic_auth.or(in_url);
    settings.keys = key.map(|key| SigningKeys::single(key.expose().clone())).unwrap_or_default();
    settings.method = method;
    settings.event_types = event_types;
    settings.channels = channels.unwrap_or_default();
    settings.include_server_events = server_events.unwrap_or(false);
    settings.timeout = timeout;
    settings.retry = retry;
    settings.concurrency = concurrency.and_then(|number| u16::try_from(number).ok()).and_then(NonZeroU16::new);
    settings.rate_limit = rate_limit;
    settings.ordered = ordered.unwrap_or_default();
    settings.on_gone = on_gone;
    settings.metadata = metadata.unwrap_or_default();
    settings.options = options.unwrap_or_default();
    let key = scope.trim_end_matches('.').to_owned();
    Some(declare(dialect, settings, Written { uid, place, key, disabled: disabled.unwrap_or(false) }, faults))
}

/// What a file says about an endpoint beside its settings.
pub(super) struct Written {
    /// Its key within the application, if it has one.
    pub(super) uid: Option<Uid>,
    /// Where it stands.
    pub(super) place: Place,
    /// Its full name.
    pub(super) key: String,
    /// Whether it is switched off.
    pub(super) disabled: bool,
}

/// Has the dialect check and complete the settings of an endpoint of any file.
pub(super) fn declare(
    dialect: &'static Dialect,
    mut settings: EndpointSettings,
    written: Written,
    faults: &mut Faults,
) -> DeclaredEndpoint {
    let Written { uid, place, key, disabled } = written;
    // Before the dialect adds to it: the uid is made of what the file says.
    let digest = digest(&settings);
    match dialect.outbound().map(|outbound| (outbound, hookyard_dialects::check_settings(outbound, &settings))) {
        Some((outbound, Ok(()))) => outbound.complete(&mut settings),
        Some((_, Err(error))) => faults.add(&place, &format!("{key}.{}", error.field), error.why),
        None => faults.add(&place, &format!("{key}.dialect"), "can verify what comes in, but not send"),
    }
    DeclaredEndpoint { uid, digest, place, key, settings, disabled }
}

/// Where an endpoint sends what, as a hash.
fn digest(settings: &EndpointSettings) -> String {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    part(settings.url.as_str().as_bytes());
    match &settings.event_types {
        None => part(b"all"),
        Some(patterns) => {
            let mut names: Vec<&str> = patterns.iter().map(EventPattern::as_str).collect();
            names.sort_unstable();
            names.dedup();
            part(b"some");
            for name in names {
                part(name.as_bytes());
            }
        }
    }
    hex::encode(&hash.finalize()[..12])
}

/// The uid of an endpoint that has none, from its digest: reordering a file moves nothing.
///
/// `ordinal` counts among those of the application whose URL and events are equal.
pub(crate) fn derived_uid(digest: &str, ordinal: usize) -> Uid {
    let uid = match ordinal {
        0 => format!("{DERIVED}{digest}"),
        _ => format!("{DERIVED}{digest}-{}", ordinal + 1),
    };
    uid.parse().expect("letters, digits and dashes are a uid")
}

fn dialect(table: &mut Table<'_>, faults: &mut Faults) -> Option<(DialectName, &'static Dialect)> {
    let Some(value) = table.take("dialect") else {
        let name: DialectName = DIALECT.parse().expect("the default dialect has a name");
        let dialect = hookyard_dialects::find(&name).expect("the default dialect is one of ours");
        return Some((name, dialect));
    };
    known_dialect(&value, faults)
}

/// The dialect that a value names.
pub(super) fn known_dialect(value: &Value<'_>, faults: &mut Faults) -> Option<(DialectName, &'static Dialect)> {
    let text = value.text(faults)?;
    let name: Option<DialectName> = text.parse().ok();
    if let Some((name, dialect)) = name.and_then(|name| hookyard_dialects::find(&name).map(|dialect| (name, dialect))) {
        return Some((name, dialect));
    }
    let names: Vec<&str> = hookyard_dialects::names().collect();
    let what = match nearest(text, names.iter().copied()) {
        Some(near) => format!("is {}, which is not a dialect; did you mean `{near}`?", quoted(text)),
        None => format!("is {}, must be one of `{}`", quoted(text), names.join("`, `")),
    };
    value.fault(faults, what);
    None
}

/// The URL, and the user in it. What is wrong is said without the URL, which may hold a credential.
fn url(
    value: &Value<'_>,
    dialect: Option<&(DialectName, &'static Dialect)>,
    policy: &Policy,
    faults: &mut Faults,
) -> Option<(Url, Option<BasicAuth>)> {
    let text = value.parse(|text| secret::expand(text, value.document().environment), faults)?;
    let defaults = dialect.and_then(|(_, dialect)| dialect.outbound()).map(hookyard_dialects::Outbound::defaults);
    match endpoint_url(&text, policy.requires_https(defaults.as_ref())) {
        Ok(EndpointUrl { url, basic_auth }) => Some((url, basic_auth)),
        Err(what) => {
            value.fault(faults, what);
            None
        }
    }
}

/// The URL of an endpoint of any file. The error does not show it: it may hold a credential.
pub(super) fn endpoint_url(text: &str, https_only: bool) -> Result<EndpointUrl, String> {
    let url = match hookyard_egress::check_url(text) {
        Ok(url) => url,
        Err(UrlError::Scheme) => {
            // Without the slashes, what stands before the colon may be a user; so may what is no scheme (RFC 3986, 3.1).
            let is_scheme =
                |text: &&str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
            let scheme = text.trim().split_once("://").map(|(scheme, _)| scheme).filter(is_scheme);
            return Err(match scheme {
                Some(scheme) => format!("has the scheme {}, must be `http` or `https`", quoted(scheme)),
                None => "must begin with `http://` or `https://`".to_owned(),
            });
        }
        Err(error) => return Err(error.to_string()),
    };
    if https_only && url.url.scheme() == "http" {
        return Err("must be `https`: `require_https` is on for it".to_owned());
    }
    Ok(url)
}

fn headers(value: Value<'_>, faults: &mut Faults) -> Vec<HeaderPair> {
    let (place, key) = (value.place(), value.key.clone());
    let Some(mut table) = value.table(faults) else { return Vec::new() };
    let entries = table.take_all();
    if entries.len() > limits::ENDPOINT_HEADERS {
        faults.add(
            &place,
            &key,
            format_args!("has {} headers, at most {} are allowed", entries.len(), limits::ENDPOINT_HEADERS),
        );
        return Vec::new();
    }
    entries.into_iter().filter_map(|(name, value)| header(name, value, faults)).collect()
}

fn header(name: String, value: Value<'_>, faults: &mut Faults) -> Option<HeaderPair> {
    let (place, key) = (value.place(), value.key.clone());
    let text = secret::read(value, faults)?;
    match header::check(&name, &text) {
        Ok(()) => Some(HeaderPair { name, value: text }),
        Err(what) => {
            faults.add(&place, &key, what);
            None
        }
    }
}

fn basic_auth(value: Value<'_>, faults: &mut Faults) -> Option<BasicAuth> {
    let mut table = value.table(faults)?;
    let user = table.require("user", faults).and_then(|value| secret::read(value, faults));
    let (place, key) = (table.place(), table.key("password"));
    let before = faults.count();
    let password = secret::take(&mut table, "password", "password_file", faults);
    if password.is_none() && faults.count() == before {
        faults.add(&place, &key, "is missing");
    }
    table.finish(faults);
    let (user, password) = (user?, password?);
    if user.expose().contains(':') {
        faults.add(&place, &key.replace("password", "user"), "holds a colon, which Basic authentication cannot carry");
    }
    Some(BasicAuth { user: user.expose().clone(), password })
}

/// Pairs of texts, bounded.
pub(super) fn metadata(value: Value<'_>, faults: &mut Faults) -> BTreeMap<String, String> {
    let (place, key) = (value.place(), value.key.clone());
    let Some(mut table) = value.table(faults) else { return BTreeMap::new() };
    let entries = table.take_all();
    let pairs: BTreeMap<String, String> =
        entries.into_iter().filter_map(|(name, value)| Some((name, value.text(faults)?.to_owned()))).collect();
    let bytes: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > limits::METADATA_BYTES {
        faults.add(&place, &key, format_args!("takes {bytes} bytes, at most {} are allowed", limits::METADATA_BYTES));
    }
    pairs
}

/// The dialect's options, a table in a table as one name with a dot.
fn options(value: Value<'_>, faults: &mut Faults) -> BTreeMap<String, String> {
    let mut options = BTreeMap::new();
    let Some(mut table) = value.table(faults) else { return options };
    for (name, value) in table.take_all() {
        if !value.is_table() {
            options.extend(option(&value, faults).map(|text| (name, text)));
            continue;
        }
        let inner = value.table(faults).map(|mut table| table.take_all()).unwrap_or_default();
        for (member, value) in inner {
            options.extend(option(&value, faults).map(|text| (format!("{name}.{member}"), text)));
        }
    }
    options
}

fn option(value: &Value<'_>, faults: &mut Faults) -> Option<String> {
    let scalar = value.scalar();
    if scalar.is_none() {
        value.text(faults);
    }
    scalar
}

/// A list of names; those that break their rule are said and left out.
pub(super) fn names<T: FromStr<Err: std::fmt::Display>>(value: Value<'_>, max: usize, faults: &mut Faults) -> Vec<T> {
    value.list(max, faults).iter().filter_map(|item| item.parse(str::parse, faults)).collect()
}

/// A value that its type reads from text.
pub(super) fn parsed<T: FromStr<Err: std::fmt::Display>>(
    table: &mut Table<'_>,
    name: &str,
    faults: &mut Faults,
) -> Option<T> {
    table.take(name).and_then(|value| value.parse(str::parse, faults))
}

fn event_types(value: Value<'_>, faults: &mut Faults) -> Vec<EventPattern> {
    let (place, key, before) = (value.place(), value.key.clone(), faults.count());
    let patterns = names(value, limits::EVENT_PATTERNS, faults);
    if patterns.is_empty() && faults.count() == before {
        faults.add(&place, &key, "is empty, so nothing would ever be sent (leave it out for all event types)");
    }
    patterns
}

fn ordered(value: &Value<'_>, faults: &mut Faults) -> Option<Ordered> {
    if value.is_boolean() {
        return value.boolean(faults).map(|on| if on { Ordered::Endpoint } else { Ordered::No });
    }
    value.parse(
        |text| match text {
            "endpoint" => Ok(Ordered::Endpoint),
            pointer if pointer.starts_with('/') => Ok(Ordered::Pointer(pointer.to_owned())),
            other => Err(format!(
                "is {}, must be `false`, `\"endpoint\"` or a JSON pointer such as `\"/id\"`",
                quoted(other)
            )),
        },
        faults,
    )
}

fn method(text: &str) -> Result<Method, String> {
    let methods = [Method::Post, Method::Put, Method::Patch];
    let found = methods.into_iter().find(|method| method.as_str() == text);
    found.ok_or_else(|| format!("is {}, must be `POST`, `PUT` or `PATCH`", quoted(text)))
}

fn on_gone(text: &str) -> Result<OnGone, String> {
    match text {
        "disable" => Ok(OnGone::Disable),
        "retry" => Ok(OnGone::Retry),
        other => Err(format!("is {}, must be `disable` or `retry`", quoted(other))),
    }
}

impl Policy {
    /// Whether an endpoint must be `https`: its application's word, else the deployment's or the dialect's.
    pub(super) fn requires_https(&self, defaults: Option<&Defaults>) -> bool {
        self.application_https.unwrap_or(self.require_https || defaults.is_some_and(|defaults| defaults.require_https))
    }
}
