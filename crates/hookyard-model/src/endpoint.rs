//! Where to send, and how.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::{
    ApplicationId, Channel, Declaration, DialectName, EndpointId, EventPattern, Rate, RetryPolicy, Revision, Secret,
    Timestamp, Uid,
};

/// A receiver of one application's messages.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// Whose messages it gets.
    pub application: ApplicationId,
    /// The caller's own name for it, unique in its application among those that are not archived.
    pub uid: Option<Uid>,
    /// The application's revision at which this form of the endpoint began.
    pub revision: Revision,
    /// What was configured; shared, because every queued delivery points at it.
    pub settings: Arc<EndpointSettings>,
    /// Whether it is sent to.
    pub status: EndpointStatus,
    /// Since when nothing but failure came back; `None` after a success. Decides when it is disabled, across restarts.
    pub failing_since: Option<Timestamp>,
    /// The file that declares it; its declared fields are read-only elsewhere.
    pub declared: Option<Declaration>,
    /// Its application's free pairs as they are at present, in every form of the endpoint; some dialects read them.
    pub application_metadata: Arc<BTreeMap<String, String>>,
    /// When it was made.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
}

impl Endpoint {
    /// How much the guard trusts its address: what the operator's files name may be on this network.
    pub fn trust(&self) -> Trust {
        if self.declared.is_some() { Trust::Operator } else { Trust::Strict }
    }

    /// What people know it by: the name that its file shows, else its uid, else its id.
    pub fn shown_name(&self) -> String {
        let uid = || self.uid.as_ref().map(ToString::to_string);
        self.settings.name.clone().or_else(uid).unwrap_or_else(|| self.id.to_string())
    }
}

/// Everything about an endpoint that a caller or a file sets.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointSettings {
    /// `http` or `https`, by WHATWG rules, without user information.
    pub url: Url,
    /// What a file of another system calls it, shown instead of its uid: Immich's `webhook-1`. Not unique.
    pub name: Option<String>,
    /// Shown to people.
    pub description: String,
    /// The format it is sent in.
    pub dialect: DialectName,
    /// What the dialect lets an endpoint choose, by the option's name; which there are is for the dialect to say.
    pub options: BTreeMap<String, String>,
    /// The request method; `None` is the dialect's.
    pub method: Option<Method>,
    /// Added to every request, in this order; they win over the dialect's defaults, never over the transport's own.
    pub headers: Vec<HeaderPair>,
    /// Sent as `Authorization: Basic`.
    pub basic_auth: Option<BasicAuth>,
    /// What requests are signed with.
    pub keys: SigningKeys,
    /// Which event types it wants; `None` is all.
    pub event_types: Option<Vec<EventPattern>>,
    /// Which channels it listens on; empty is all messages.
    pub channels: Vec<Channel>,
    /// Whether it also gets what its server announces about itself (`origin: server`).
    pub include_server_events: bool,
    /// Per attempt, from DNS to the last byte of the answer; `None` is the dialect's or the global default.
    pub timeout: Option<Duration>,
    /// `None` is the dialect's or the global default.
    pub retry: Option<RetryPolicy>,
    /// How many attempts may run at once; `None` is the global default.
    pub concurrency: Option<NonZeroU16>,
    /// How fast it may be sent to.
    pub rate_limit: Option<Rate>,
    /// Whether deliveries wait for earlier ones.
    pub ordered: Ordered,
    /// What `410 Gone` does; `None` is the dialect's.
    pub on_gone: Option<OnGone>,
    /// Free pairs.
    pub metadata: BTreeMap<String, String>,
}

impl EndpointSettings {
    /// Settings for `url` in `dialect`, everything else absent.
    pub fn new(url: Url, dialect: DialectName) -> Self {
        Self {
            url,
            name: None,
            description: String::new(),
            dialect,
            options: BTreeMap::new(),
            method: None,
            headers: Vec::new(),
            basic_auth: None,
            keys: SigningKeys::default(),
            event_types: None,
            channels: Vec::new(),
            include_server_events: false,
            timeout: None,
            retry: None,
            concurrency: None,
            rate_limit: None,
            ordered: Ordered::No,
            on_gone: None,
            metadata: BTreeMap::new(),
        }
    }
}

impl EndpointSettings {
    /// The URL as it may be shown and logged: a Telegram bot's token is a part of the path (`/bot<number>:<token>/…`).
    pub fn shown_url(&self) -> String {
        let is_token = |segment: &str| {
            segment.strip_prefix("bot").and_then(|rest| rest.split_once(':')).is_some_and(|(number, token)| {
                !number.is_empty() && !token.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
            })
        };
        if !self.url.path().split('/').any(is_token) {
            return self.url.to_string();
        }
        let parts = self.url.path().split('/').map(|part| if is_token(part) { "bot***" } else { part });
        let path: Vec<&str> = parts.collect();
        let mut shown = self.url.clone();
        shown.set_path(&path.join("/"));
        shown.to_string()
    }
}

/// Whether an endpoint is sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointStatus {
    /// Its deliveries are claimed when due. Left by disabling and by archiving.
    Enabled,
    /// Nothing is claimed; what is pending is held, what is accepted meanwhile owes it nothing. Left by enabling.
    Disabled {
        /// Since when.
        since: Timestamp,
        /// Who or what did it.
        reason: DisableReason,
    },
    /// Gone, kept for its history; what was pending is cancelled. Never left.
    Archived {
        /// Since when.
        since: Timestamp,
    },
}

/// Why an endpoint is disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisableReason {
    /// By a caller or a file.
    Manual,
    /// Nothing but failure for longer than `disable_after`.
    Failing,
    /// The receiver answered `410 Gone` and the endpoint's rule is to stop then.
    Gone,
}

/// How an endpoint's address is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trust {
    /// Named by the operator's own file or environment: loopback and LAN are fine when `egress.trust_files` is on.
    Operator,
    /// Named through the API: public addresses only, save for what `egress.allow` lists.
    Strict,
}

/// A request method that a webhook may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// The usual one.
    Post,
    /// Replaces.
    Put,
    /// Changes.
    Patch,
}

impl Method {
    /// The method as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
        }
    }
}

/// A header of an endpoint; the value may be a credential and is treated as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderPair {
    /// The name as the caller spelled it.
    pub name: String,
    /// The value.
    pub value: Secret<String>,
}

/// User and password, sent as `Authorization: Basic`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BasicAuth {
    /// The user name.
    pub user: String,
    /// The password.
    pub password: Secret<String>,
}

/// The secrets an endpoint's requests are signed with; during a rotation several count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SigningKeys {
    /// The newest first; empty means requests are not signed.
    pub keys: Vec<SigningSecret>,
}

impl SigningKeys {
    /// A single key that does not expire.
    pub fn single(text: impl Into<String>) -> Self {
        Self { keys: vec![SigningSecret { text: Secret::new(text.into()), expires: None }] }
    }

    /// The keys that count at `now`, the newest first.
    pub fn active(&self, now: Timestamp) -> impl Iterator<Item = &Secret<String>> {
        self.keys.iter().filter(move |key| key.expires.is_none_or(|until| now < until)).map(|key| &key.text)
    }
}

/// One signing secret, in the text form of its dialect (`whsec_…`, `whsk_…` or plain text).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningSecret {
    /// The secret.
    pub text: Secret<String>,
    /// Until when an old key still signs beside the new one; `None` for the current one.
    pub expires: Option<Timestamp>,
}

/// Whether an endpoint's deliveries wait for earlier ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Ordered {
    /// They do not.
    #[default]
    No,
    /// Each waits for all earlier ones of the endpoint.
    Endpoint,
    /// Each waits for the earlier ones with the same value at this JSON pointer (RFC 6901) of the payload.
    Pointer(String),
}

/// What `410 Gone` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnGone {
    /// Ends the delivery and disables the endpoint, as Standard Webhooks asks.
    Disable,
    /// A failure like any other.
    Retry,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bot_token_in_a_url_is_not_shown() {
        for (url, expected) in [
            ("https://api.telegram.org/bot123:AAbb-cc/sendMessage", "https://api.telegram.org/bot***/sendMessage"),
            ("http://localhost:8081/x/bot1:a/sendMessage?a=b", "http://localhost:8081/x/bot***/sendMessage?a=b"),
            ("https://example.com/bots/1", "https://example.com/bots/1"),
            ("https://example.com/bot:x", "https://example.com/bot:x"),
        ] {
            let dialect = "raw".parse().expect("a name");
            assert_eq!(EndpointSettings::new(url.parse().expect("a URL"), dialect).shown_url(), expected);
        }
    }
}
