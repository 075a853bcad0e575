//! Endpoint settings as JSON, sealed as a whole: URL, headers and keys may all be credentials.
//!
//! Members that are absent say nothing, and unknown ones are ignored, so that a row outlives the version that wrote it.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::time::Duration;

use hookyard_model::{
    BasicAuth, EndpointSettings, HeaderPair, Method, OnGone, Ordered, RetryPolicy, Secret, SigningKeys, SigningSecret,
    Timestamp,
};
use hookyard_ports::Rng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{Keyring, Place, SealError};

/// Why kept settings cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// They do not open.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// They are not what was written. Names no value: it could be a credential.
    #[error("endpoint settings have an invalid `{0}`")]
    Member(&'static str),
}

/// Writes settings, sealed for `place`.
pub fn seal_settings(settings: &EndpointSettings, keyring: &Keyring, place: &Place<'_>, rng: &dyn Rng) -> Vec<u8> {
    let plain = Zeroizing::new(serde_json::to_vec(&Record::from(settings)).expect("every member has a JSON form"));
    keyring.seal(place, &plain, rng)
}

/// Reads what [`seal_settings`] wrote for the same place.
pub fn open_settings(sealed: &[u8], keyring: &Keyring, place: &Place<'_>) -> Result<EndpointSettings, SettingsError> {
    let plain = keyring.open(place, sealed)?;
    let record: Record = serde_json::from_slice(&plain).map_err(|_| SettingsError::Member("form"))?;
    record.try_into()
}

/// A secret inside the record, wiped when dropped like any other.
struct Hidden(Secret<String>);

impl Serialize for Hidden {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}

#[derive(Serialize, Deserialize)]
struct Record {
    url: Hidden,
    dialect: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    options: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    method: Option<MethodRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(String, Hidden)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    basic_auth: Option<(String, Hidden)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keys: Vec<(Hidden, Option<i64>)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event_types: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    channels: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    include_server_events: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout_micros: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry: Option<RetryRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    concurrency: Option<NonZeroU16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rate_limit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ordered: Option<OrderedRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_gone: Option<OnGoneRecord>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum MethodRecord {
    Post,
    Put,
    Patch,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RetryRecord {
    Fixed { delay_micros: u64, retries: u16 },
    Exponential { delay_micros: u64, factor: f64, max_delay_micros: u64, retries: u16, jitter: f64 },
    Schedule { delays_micros: Vec<u64>, jitter: f64 },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OrderedRecord {
    Endpoint,
    Pointer(String),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OnGoneRecord {
    Disable,
    Retry,
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

impl From<&EndpointSettings> for Record {
    fn from(settings: &EndpointSettings) -> Self {
        Self {
            url: Hidden(Secret::new(settings.url.as_str().to_owned())),
            dialect: settings.dialect.as_str().to_owned(),
            options: settings.options.clone(),
            name: settings.name.clone(),
            description: settings.description.clone(),
            method: settings.method.map(|method| match method {
                Method::Post => MethodRecord::Post,
                Method::Put => MethodRecord::Put,
                Method::Patch => MethodRecord::Patch,
            }),
            headers: settings.headers.iter().map(|pair| (pair.name.clone(), Hidden(pair.value.clone()))).collect(),
            basic_auth: settings.basic_auth.as_ref().map(|auth| (auth.user.clone(), Hidden(auth.password.clone()))),
            keys: (settings.keys.keys.iter())
                .map(|key| (Hidden(key.text.clone()), key.expires.map(Timestamp::as_micros)))
                .collect(),
            event_types: (settings.event_types.as_ref())
                .map(|patterns| patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect()),
            channels: settings.channels.iter().map(|channel| channel.as_str().to_owned()).collect(),
            include_server_events: settings.include_server_events,
            timeout_micros: settings.timeout.map(micros),
            retry: settings.retry.as_ref().map(RetryRecord::from),
            concurrency: settings.concurrency,
            rate_limit: settings.rate_limit.map(|rate| rate.to_string()),
            ordered: match &settings.ordered {
                Ordered::No => None,
                Ordered::Endpoint => Some(OrderedRecord::Endpoint),
                Ordered::Pointer(pointer) => Some(OrderedRecord::Pointer(pointer.clone())),
            },
            on_gone: settings.on_gone.map(|rule| match rule {
                OnGone::Disable => OnGoneRecord::Disable,
                OnGone::Retry => OnGoneRecord::Retry,
            }),
            metadata: settings.metadata.clone(),
        }
    }
}

impl From<&RetryPolicy> for RetryRecord {
    fn from(policy: &RetryPolicy) -> Self {
        match policy {
            RetryPolicy::Fixed { delay, retries } => Self::Fixed { delay_micros: micros(*delay), retries: *retries },
            RetryPolicy::Exponential { delay, factor, max_delay, retries, jitter } => Self::Exponential {
                delay_micros: micros(*delay),
                factor: *factor,
                max_delay_micros: micros(*max_delay),
                retries: *retries,
                jitter: *jitter,
            },
            RetryPolicy::Schedule { delays, jitter } => {
                Self::Schedule { delays_micros: delays.iter().copied().map(micros).collect(), jitter: *jitter }
            }
        }
    }
}

impl TryFrom<RetryRecord> for RetryPolicy {
    type Error = SettingsError;

    fn try_from(record: RetryRecord) -> Result<Self, Self::Error> {
        let policy = match record {
            RetryRecord::Fixed { delay_micros, retries } => {
                Self::Fixed { delay: Duration::from_micros(delay_micros), retries }
            }
            RetryRecord::Exponential { delay_micros, factor, max_delay_micros, retries, jitter } => Self::Exponential {
                delay: Duration::from_micros(delay_micros),
                factor,
                max_delay: Duration::from_micros(max_delay_micros),
                retries,
                jitter,
            },
            RetryRecord::Schedule { delays_micros, jitter } => {
                Self::Schedule { delays: delays_micros.into_iter().map(Duration::from_micros).collect(), jitter }
            }
        };
        policy.checked().map_err(|_| SettingsError::Member("retry"))
    }
}

/// Reads each text of a list as a checked name.
fn names<T: std::str::FromStr>(texts: Vec<String>, member: &'static str) -> Result<Vec<T>, SettingsError> {
    texts.into_iter().map(|text| text.parse().map_err(|_| SettingsError::Member(member))).collect()
}

impl TryFrom<Record> for EndpointSettings {
    type Error = SettingsError;

    fn try_from(record: Record) -> Result<Self, Self::Error> {
        let bad = SettingsError::Member;
        Ok(Self {
            url: record.url.0.expose().parse().map_err(|_| bad("url"))?,
            dialect: record.dialect.parse().map_err(|_| bad("dialect"))?,
            options: record.options,
            name: record.name,
            description: record.description,
            method: record.method.map(|method| match method {
                MethodRecord::Post => Method::Post,
                MethodRecord::Put => Method::Put,
                MethodRecord::Patch => Method::Patch,
            }),
            headers: record.headers.into_iter().map(|(name, value)| HeaderPair { name, value: value.0 }).collect(),
            basic_auth: record.basic_auth.map(|(user, password)| BasicAuth { user, password: password.0 }),
            keys: SigningKeys {
                keys: (record.keys.into_iter())
                    .map(|(text, expires)| SigningSecret { text: text.0, expires: expires.map(Timestamp::from_micros) })
                    .collect(),
            },
            event_types: record.event_types.map(|texts| names(texts, "event_types")).transpose()?,
            channels: names(record.channels, "channels")?,
            include_server_events: record.include_server_events,
            timeout: record.timeout_micros.map(Duration::from_micros),
            retry: record.retry.map(RetryPolicy::try_from).transpose()?,
            concurrency: record.concurrency,
            rate_limit: record.rate_limit.map(|text| text.parse().map_err(|_| bad("rate_limit"))).transpose()?,
            ordered: match record.ordered {
                None => Ordered::No,
                Some(OrderedRecord::Endpoint) => Ordered::Endpoint,
                Some(OrderedRecord::Pointer(pointer)) => Ordered::Pointer(pointer),
            },
            on_gone: record.on_gone.map(|rule| match rule {
                OnGoneRecord::Disable => OnGone::Disable,
                OnGoneRecord::Retry => OnGone::Retry,
            }),
            metadata: record.metadata,
        })
    }
}

#[cfg(test)]
mod tests {
    use hookyard_ports::SystemRng;

    use super::*;

    const PLACE: Place<'static> = Place { table: "endpoint_revision", id: b"ep", revision: 1 };

    fn keyring() -> Keyring {
        Keyring::from_secrets(&[Secret::new("main".to_owned())]).expect("a secret")
    }

    fn check(settings: &EndpointSettings) {
        let sealed = seal_settings(settings, &keyring(), &PLACE, &SystemRng);
        assert_eq!(open_settings(&sealed, &keyring(), &PLACE).as_ref(), Ok(settings));
    }

    fn settings() -> EndpointSettings {
        let url = "https://example.com/hooks?token=canary".parse().expect("a url");
        EndpointSettings::new(url, "standard".parse().expect("a dialect"))
    }

    #[test]
    fn settings_read_back_when_nothing_is_set() {
        check(&settings());
    }

    #[test]
    fn settings_read_back_when_everything_is_set() {
        let mut full = settings();
        full.name = Some("webhook-1".into());
        full.description = "CRM".into();
        full.options = BTreeMap::from([("signature_encoding".into(), "base64".into())]);
        full.method = Some(Method::Patch);
        full.headers = vec![HeaderPair { name: "X-Team".into(), value: Secret::new("red".into()) }];
        full.basic_auth = Some(BasicAuth { user: "u".into(), password: Secret::new("p".into()) });
        full.keys = SigningKeys::single("whsec_new");
        let expires = Some(Timestamp::from_seconds(1_700_000_000));
        full.keys.keys.push(SigningSecret { text: Secret::new("whsec_old".into()), expires });
        full.event_types = Some(vec!["task.*".parse().expect("a pattern")]);
        full.channels = vec!["a:b".parse().expect("a channel")];
        full.include_server_events = true;
        full.timeout = Some(Duration::from_millis(1_500));
        full.concurrency = NonZeroU16::new(64);
        full.rate_limit = Some("50/s".parse().expect("a rate"));
        full.ordered = Ordered::Pointer("/id".into());
        full.on_gone = Some(OnGone::Disable);
        full.metadata = BTreeMap::from([("event_id".into(), "1".into())]);
        let (delay, max_delay) = (Duration::from_secs(2), Duration::from_hours(1));
        for retry in [
            RetryPolicy::default(),
            RetryPolicy::Fixed { delay, retries: 3 },
            RetryPolicy::Exponential { delay, factor: 1.7, max_delay, retries: 4, jitter: 0.2 },
        ] {
            full.retry = Some(retry);
            check(&full);
        }
        full.event_types = Some(Vec::new());
        full.ordered = Ordered::Endpoint;
        check(&full);
    }

    #[test]
    fn nothing_of_the_settings_is_readable_in_the_sealed_form() {
        let sealed = seal_settings(&settings(), &keyring(), &PLACE, &SystemRng);
        assert!(!sealed.windows(6).any(|window| window == b"canary"));
    }

    #[test]
    fn a_member_that_breaks_its_rule_is_named_without_its_value() {
        for (json, member) in [
            (r#"{"url":"not a url","dialect":"standard"}"#, "url"),
            (r#"{"url":"https://a.example/","dialect":"Standard"}"#, "dialect"),
            (r#"{"url":"https://a.example/","dialect":"standard","channels":["a b"]}"#, "channels"),
            (r#"{"url":"https://a.example/"}"#, "form"),
            ("[]", "form"),
        ] {
            let sealed = keyring().seal(&PLACE, json.as_bytes(), &SystemRng);
            let error = open_settings(&sealed, &keyring(), &PLACE).expect_err("broken");
            assert_eq!(error, SettingsError::Member(member), "{json}");
        }
    }
}
