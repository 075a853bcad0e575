//! Applications and endpoints as a program declares them in code, and their way into the store.
//!
//! What passes here can be sent, by the rules that a file's endpoints keep: the dialect exists and has checked the settings,
//! no header breaks HTTP, the URL is one.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use hookyard_dialects::{Outbound, SettingsError};
use hookyard_model::{
    EndpointSettings, FileKind, HeaderPair, NameError, OrganisationId, Rate, RetryPolicy, Secret, SigningKeys,
    Timestamp, Uid, limits,
};
use hookyard_ports::store::{Import, ImportApplication, ImportEndpoint, ImportReport};
use hookyard_ports::{Ids, Store};

use super::error::DeclareError;
use crate::{header, retention};

/// The dialect of an endpoint that names none.
const DIALECT: &str = "standard";
/// Who declares, as errors name it.
const DECLARED_BY: &str = "the program that embeds Hookyard";

/// An application to declare.
#[derive(Debug, Clone)]
pub struct Application {
    /// Its key.
    pub uid: Uid,
    /// Shown to people; the uid unless it is set.
    pub name: String,
    /// Free pairs; some dialects read them (photobooth's `event_id`).
    pub metadata: BTreeMap<String, String>,
    /// How fast all its endpoints together may be sent to.
    pub rate_limit: Option<Rate>,
    /// Whether its endpoints must be `https`; `None` leaves it to the dialect and to [`super::Builder::require_https`].
    pub require_https: Option<bool>,
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
}

impl Application {
    /// An application without endpoints.
    pub fn new(uid: &str) -> Result<Self, NameError> {
        Ok(Self {
            uid: uid.parse()?,
            name: uid.to_owned(),
            metadata: BTreeMap::new(),
            rate_limit: None,
            require_https: None,
            endpoints: Vec::new(),
        })
    }

    /// The same with one endpoint more.
    #[must_use]
    pub fn with(mut self, endpoint: Endpoint) -> Self {
        self.endpoints.push(endpoint);
        self
    }

    /// The same with a free pair.
    #[must_use]
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(name.into(), value.into());
        self
    }
}

/// An endpoint to declare.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its key within the application.
    pub uid: Uid,
    /// Everything about it; the methods here set what is set most.
    pub settings: EndpointSettings,
    /// Whether the program switches it off.
    pub disabled: bool,
}

impl Endpoint {
    /// An endpoint at `url` in the dialect `standard`, which gets everything that its application publishes, save what the
    /// application's server announces about itself.
    pub fn new(uid: &str, url: &str) -> Result<Self, DeclareError> {
        let read = hookyard_egress::check_url(url)
            .map_err(|why| DeclareError::Url { endpoint: uid.chars().take(64).collect(), why })?;
        let mut settings = EndpointSettings::new(read.url, DIALECT.parse()?);
        settings.basic_auth = read.basic_auth;
        Ok(Self { uid: uid.parse()?, settings, disabled: false })
    }

    /// The same in another dialect.
    pub fn in_dialect(mut self, name: &str) -> Result<Self, NameError> {
        self.settings.dialect = name.parse()?;
        Ok(self)
    }

    /// The same, signed with one secret in the form of its dialect.
    #[must_use]
    pub fn signed_with(mut self, secret: impl Into<String>) -> Self {
        self.settings.keys = SigningKeys::single(secret);
        self
    }

    /// The same for these event types only: names, or globs such as `order.*`.
    pub fn wanting<'a>(mut self, patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, NameError> {
        let patterns: Result<Vec<_>, _> = patterns.into_iter().map(str::parse).collect();
        self.settings.event_types = Some(patterns?);
        Ok(self)
    }

    /// The same with what the application's server announces about itself (`Origin::Server`).
    #[must_use]
    pub fn with_server_events(mut self) -> Self {
        self.settings.include_server_events = true;
        self
    }

    /// The same with a header; its value is kept as a credential is.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.headers.push(HeaderPair { name: name.into(), value: Secret::new(value.into()) });
        self
    }

    /// The same with an option of its dialect.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.options.insert(name.into(), value.into());
        self
    }

    /// The same with a retry policy of its own.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.settings.retry = Some(policy);
        self
    }
}

/// What a node asks of everything that is declared to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// Whether endpoints must be `https` where their application does not say.
    pub(super) require_https: bool,
    /// How long messages are kept.
    pub(super) retention: Duration,
}

/// The applications, each endpoint checked and completed by its dialect.
pub(super) fn checked(
    applications: impl IntoIterator<Item = Application>,
    rules: Rules,
) -> Result<Vec<Application>, DeclareError> {
    let mut uids = HashSet::new();
    let mut passed = Vec::new();
    for mut application in applications {
        let name = || application.uid.to_string();
        if !uids.insert(application.uid.clone()) {
            return Err(DeclareError::ApplicationTwice(name()));
        }
        if application.endpoints.len() > limits::ENDPOINTS_PER_APPLICATION {
            return Err(DeclareError::TooManyEndpoints { application: name(), endpoints: application.endpoints.len() });
        }
        if let Err(why) = pairs(&application.metadata) {
            return Err(DeclareError::Application { application: name(), why });
        }
        let mut endpoints = HashSet::new();
        for endpoint in &application.endpoints {
            if !endpoints.insert(&endpoint.uid) {
                return Err(DeclareError::EndpointTwice { application: name(), endpoint: endpoint.uid.to_string() });
            }
        }
        for endpoint in &mut application.endpoints {
            if let Err(why) = complete(&mut endpoint.settings, application.require_https, rules) {
                let (application, endpoint) = (application.uid.to_string(), endpoint.uid.to_string());
                return Err(DeclareError::Settings { application, endpoint, why });
            }
        }
        passed.push(application);
    }
    Ok(passed)
}

/// Makes what the program declared be exactly what was checked.
pub(super) async fn import(
    applications: Vec<Application>,
    store: &dyn Store,
    ids: &Ids,
    now: Timestamp,
) -> Result<ImportReport, DeclareError> {
    let endpoint = |endpoint: Endpoint| ImportEndpoint {
        id: ids.endpoint(),
        uid: endpoint.uid,
        settings: Arc::new(endpoint.settings),
        disabled: endpoint.disabled,
    };
    let application = |application: Application| ImportApplication {
        id: ids.application(),
        uid: application.uid,
        name: application.name,
        metadata: application.metadata,
        rate_limit: application.rate_limit,
        require_https: application.require_https,
        endpoints: application.endpoints.into_iter().map(endpoint).collect(),
    };
    let import = Import {
        kind: FileKind::Program,
        file: DECLARED_BY.to_owned(),
        organisation: OrganisationId::default_organisation(),
        applications: applications.into_iter().map(application).collect(),
        now,
    };
    Ok(store.import(import).await??)
}

/// Checks settings by the rules for all endpoints, then has the dialect check and complete them.
fn complete(settings: &mut EndpointSettings, of_application: Option<bool>, rules: Rules) -> Result<(), SettingsError> {
    let outbound = outbound(settings)?;
    let https_only = of_application.unwrap_or(rules.require_https || outbound.defaults().require_https);
    address(settings, https_only)?;
    if settings.headers.len() > limits::ENDPOINT_HEADERS {
        return Err(too_many("headers", settings.headers.len(), limits::ENDPOINT_HEADERS));
    }
    for pair in &settings.headers {
        header::check(&pair.name, &pair.value)
            .map_err(|why| refused(&format!("header `{}`", pair.name.escape_default()), why))?;
    }
    if settings.channels.len() > limits::ENDPOINT_CHANNELS {
        return Err(too_many("channels", settings.channels.len(), limits::ENDPOINT_CHANNELS));
    }
    match settings.event_types.as_ref().map(Vec::len) {
        Some(0) => {
            let why = "is empty, so nothing would ever be sent (`None` is all event types)";
            return Err(refused("event_types", why));
        }
        Some(count) if count > limits::EVENT_PATTERNS => {
            return Err(too_many("event_types", count, limits::EVENT_PATTERNS));
        }
        Some(_) | None => {}
    }
    pairs(&settings.metadata)?;
    if settings.timeout.is_some_and(|timeout| !limits::TIMEOUT.contains(&timeout)) {
        let [least, most] = [limits::TIMEOUT.start(), limits::TIMEOUT.end()].map(|end| format_span(*end));
        return Err(refused("timeout", format!("must be from `{least}` to `{most}`")));
    }
    if settings.concurrency.is_some_and(|number| number.get() > limits::LANE_CONCURRENCY_MAX) {
        return Err(refused("concurrency", format!("must be at most {}", limits::LANE_CONCURRENCY_MAX)));
    }
    if let Some(policy) = settings.retry.clone() {
        let policy = policy.checked().map_err(|error| refused("retry", error.to_string()))?;
        retention::check_schedule(&policy, rules.retention).map_err(|why| refused("retry", why))?;
    }
    hookyard_dialects::check_settings(outbound, settings)?;
    outbound.complete(settings);
    Ok(())
}

fn outbound(settings: &EndpointSettings) -> Result<&'static dyn Outbound, SettingsError> {
    let Some(dialect) = hookyard_dialects::find(&settings.dialect) else {
        let names: Vec<&str> = hookyard_dialects::names().collect();
        let why = format!("is `{}`, must be one of `{}`", settings.dialect, names.join("`, `"));
        return Err(refused("dialect", why));
    };
    dialect.outbound().ok_or_else(|| refused("dialect", "can verify what comes in, but not send"))
}

/// A program may have set the URL by hand: whatever reads URLs elsewhere reads it here again.
fn address(settings: &mut EndpointSettings, https_only: bool) -> Result<(), SettingsError> {
    let read = hookyard_egress::check_url(settings.url.as_str()).map_err(|error| refused("url", error.to_string()))?;
    if https_only && read.url.scheme() == "http" {
        return Err(refused("url", "must be `https`: its application, its dialect or the node requires it"));
    }
    settings.url = read.url;
    if settings.basic_auth.is_some() && read.basic_auth.is_some() {
        return Err(refused("basic_auth", "is given beside a user in `url`; keep one of them"));
    }
    settings.basic_auth = settings.basic_auth.take().or(read.basic_auth);
    if settings.basic_auth.as_ref().is_some_and(|auth| auth.user.contains(':')) {
        return Err(refused("basic_auth", "has a colon in its user, which Basic authentication cannot carry"));
    }
    Ok(())
}

fn pairs(metadata: &BTreeMap<String, String>) -> Result<(), SettingsError> {
    let bytes: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > limits::METADATA_BYTES {
        let why = format!("takes {bytes} bytes, at most {} are allowed", limits::METADATA_BYTES);
        return Err(refused("metadata", why));
    }
    Ok(())
}

fn format_span(span: Duration) -> String {
    hookyard_model::format_duration(span)
}

fn too_many(field: &str, count: usize, most: usize) -> SettingsError {
    refused(field, format!("has {count} entries, at most {most} are allowed"))
}

fn refused(field: &str, why: impl Into<String>) -> SettingsError {
    SettingsError { field: field.to_owned(), why: why.into() }
}
