//! An endpoint made ready to be sent to: its dialect looked up, its headers parsed, its defaults filled in.
//!
//! Made once per form of an endpoint and shared by its attempts, so that an attempt only encodes, signs and sends.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookyard_dialects::Outbound;
use hookyard_model::{Endpoint, EndpointChange, EndpointStatus, Method, OnGone, RetryPolicy, Timestamp, limits};
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;

use crate::Settings;

/// An endpoint with everything an attempt needs to know about it.
pub(crate) struct Prepared {
    pub(crate) endpoint: Arc<Endpoint>,
    /// `None` when the store names a dialect that this version does not have, or one that cannot send.
    pub(crate) dialect: Option<&'static dyn Outbound>,
    /// Laid over the dialect's headers, in order; the first of a name replaces, further ones are added.
    overlay: Vec<(HeaderName, HeaderValue)>,
    pub(crate) method: Method,
    pub(crate) retry: RetryPolicy,
    pub(crate) timeout: Duration,
    pub(crate) on_gone: OnGone,
    pub(crate) concurrency: NonZeroU16,
    user_agent: HeaderValue,
    /// Since when nothing but failure came back, as this node knows it; the store keeps the earliest time of all nodes.
    failing_since: Mutex<Option<Timestamp>>,
}

impl Prepared {
    pub(crate) fn new(endpoint: Arc<Endpoint>, settings: &Settings) -> Self {
        let dialect = hookyard_dialects::find(&endpoint.settings.dialect).and_then(|dialect| dialect.outbound());
        let defaults = dialect.map(Outbound::defaults).unwrap_or_default();
        let own = &endpoint.settings;
        let mut overlay = Vec::with_capacity(own.headers.len() + 1);
        if let Some(basic) = &own.basic_auth {
            let pair = format!("{}:{}", basic.user, basic.password.expose());
            let mut value =
                HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair))).expect("base64 is a header value");
            value.set_sensitive(true);
            overlay.push((AUTHORIZATION, value));
        }
        for pair in &own.headers {
            // What cannot be a header was refused when the endpoint was saved.
            let parsed = HeaderName::try_from(&pair.name).ok().zip(HeaderValue::try_from(pair.value.expose()).ok());
            if let Some((name, mut value)) = parsed
                && !hookyard_dialects::transport_header(name.as_str())
            {
                // Whether it is a token only its owner knows, so the log shows none of them.
                value.set_sensitive(true);
                overlay.push((name, value));
            }
        }
        let concurrency = own.concurrency.unwrap_or(settings.concurrency);
        Self {
            dialect,
            overlay,
            method: own.method.unwrap_or(defaults.method),
            retry: own.retry.clone().or(defaults.retry).unwrap_or_else(|| settings.retry.clone()),
            timeout: own.timeout.or(defaults.timeout).unwrap_or(settings.timeout),
            on_gone: own.on_gone.unwrap_or(defaults.on_gone),
            concurrency: concurrency.min(NonZeroU16::new(limits::LANE_CONCURRENCY_MAX).expect("the limit is not zero")),
            user_agent: settings.user_agent.clone(),
            failing_since: Mutex::new(endpoint.failing_since),
            endpoint,
        }
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.endpoint.status == EndpointStatus::Enabled
    }

    pub(crate) fn failing_since(&self) -> Option<Timestamp> {
        *self.failing_since.lock()
    }

    /// Notes what an attempt does to the endpoint, so that only the first of many failures is written down.
    pub(crate) fn note(&self, change: EndpointChange) {
        let mut since = self.failing_since.lock();
        match change {
            EndpointChange::Failing { since: first } => *since = Some(since.unwrap_or(first)),
            EndpointChange::Recovered => *since = None,
            EndpointChange::Disabled { .. } => {}
        }
    }

    /// Puts the endpoint's own headers over `headers`, which the dialect gave.
    pub(crate) fn lay_over(&self, headers: &mut HeaderMap) {
        if !headers.contains_key(http::header::USER_AGENT) {
            headers.insert(http::header::USER_AGENT, self.user_agent.clone());
        }
        for (index, (name, value)) in self.overlay.iter().enumerate() {
            let repeated = self.overlay[..index].iter().any(|(earlier, _)| earlier == name);
            if repeated {
                headers.append(name, value.clone());
            } else {
                headers.insert(name, value.clone());
            }
        }
    }
}
