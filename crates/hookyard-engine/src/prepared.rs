//! An endpoint made ready to be sent to: its dialect looked up, its headers parsed, its defaults filled in.
//!
//! Made once per form of an endpoint and shared by its attempts, so that an attempt only encodes, signs and sends.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookyard_dialects::{Dialect, Outbound};
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
    /// The URL as the log of attempts shows it.
    pub(crate) shown_url: String,
    user_agent: HeaderValue,
    standing: Mutex<Standing>,
}

/// How an endpoint stands, as this node knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    failing: Failing,
    /// Whether it was said already that it is disabled: attempts that were in flight then say it once more.
    is_disabled: bool,
}

/// Since when nothing but failure came back. The store keeps the truth for all nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failing {
    /// The endpoint was not read for this: it may have failed or recovered since.
    Unsure,
    /// As it was read, and as the attempts since then changed it.
    Known(Option<Timestamp>),
}

impl Prepared {
    /// An endpoint as it was just read from the store.
    pub(crate) fn new(endpoint: Arc<Endpoint>, settings: &Settings) -> Self {
        let dialect = hookyard_dialects::find(&endpoint.settings.dialect).and_then(Dialect::outbound);
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
            shown_url: own.shown_url(),
            user_agent: settings.user_agent.clone(),
            standing: Mutex::new(Standing { failing: Failing::Known(endpoint.failing_since), is_disabled: false }),
            endpoint,
        }
    }

    /// What the log calls it: by its owner's own name where it has one.
    pub(crate) fn name(&self) -> String {
        self.endpoint.shown_name()
    }

    /// What a command finds it by.
    pub(crate) fn reference(&self) -> String {
        self.endpoint.uid.as_ref().map_or_else(|| self.endpoint.id.to_string(), ToString::to_string)
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.endpoint.status == EndpointStatus::Enabled
    }

    /// An endpoint as the publisher remembers it: since when it fails may be of any time.
    pub(crate) fn remembered(endpoint: Arc<Endpoint>, settings: &Settings) -> Self {
        let prepared = Self::new(endpoint, settings);
        prepared.standing.lock().failing = Failing::Unsure;
        prepared
    }

    /// Takes the place of an older form. What attempts in flight have told that one may not be in the store yet, so where
    /// the two differ nothing is sure.
    pub(crate) fn follow(&self, older: &Self) {
        let older = older.standing.lock().failing;
        let mut standing = self.standing.lock();
        if standing.failing != older {
            standing.failing = Failing::Unsure;
        }
    }

    /// Since when it fails, for the judgement of an attempt that ended at `ended`. Who is unsure takes a success for a
    /// recovery, which is written down whatever was before, and a failure for the first, about which the store is asked.
    pub(crate) fn failing_since(&self, delivered: bool, ended: Timestamp) -> Option<Timestamp> {
        match self.standing.lock().failing {
            Failing::Unsure => delivered.then_some(ended),
            Failing::Known(since) => since,
        }
    }

    /// Notes what an attempt does to the endpoint. Of many failures only the first is written down, and of several
    /// attempts that find it gone only the first says so: `None` when this is no news.
    pub(crate) fn note(&self, change: EndpointChange) -> Option<EndpointChange> {
        let mut standing = self.standing.lock();
        match change {
            EndpointChange::Failing { since } => standing.failing = Failing::Known(Some(since)),
            EndpointChange::Recovered => standing.failing = Failing::Known(None),
            EndpointChange::Disabled { .. } if standing.is_disabled => return None,
            EndpointChange::Disabled { .. } => standing.is_disabled = true,
        }
        Some(change)
    }

    /// Notes since when the endpoint fails by the store's account, unless it has recovered meanwhile.
    pub(crate) fn learn(&self, since: Timestamp, is_disabled: bool) {
        let mut standing = self.standing.lock();
        if let Failing::Known(Some(known)) = &mut standing.failing {
            *known = since;
        }
        standing.is_disabled = is_disabled;
    }

    /// What was noted did not reach the store.
    pub(crate) fn forget(&self) {
        *self.standing.lock() = Standing { failing: Failing::Unsure, is_disabled: false };
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
