//! The settings of a node: defaults < file < environment < flags.
//!
//! Each value remembers where it was given, for `config show` and for what is said about it. What is wrong is noted and
//! stands at its default, so that one report holds everything.

mod reader;
mod value;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use hookyard_egress::Allow;
use hookyard_model::{RetryPolicy, Secret, limits};
use ipnet::IpNet;
use url::Url;

use self::reader::{OrDefault as _, Reader};
pub(super) use self::value::timeout;
use self::value::{address, boolean, choice, database, filter, network, path, positive, secret, web_url};
use super::environment::Environment;
use super::fault::{Faults, Place};
use super::key::{self, Key};
use super::layers::Layers;

/// A value and where it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting<T> {
    /// The value.
    pub(crate) value: T,
    /// Where it was given.
    pub(crate) place: Place,
}

/// Every setting of a node.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) listen: Setting<SocketAddr>,
    pub(crate) doors_listen: Option<Setting<SocketAddr>>,
    pub(crate) role: Setting<Role>,
    pub(crate) data: Setting<PathBuf>,
    pub(crate) database: Option<Database>,
    pub(crate) public_url: Option<Setting<Url>>,
    pub(crate) jwt_secret: Option<Setting<Secret<String>>>,
    pub(crate) main_secret: Setting<Vec<Secret<String>>>,
    pub(crate) admin_password: Option<Setting<Secret<String>>>,
    pub(crate) retry: RetryPolicy,
    pub(crate) request_timeout: Setting<Duration>,
    pub(crate) disable_after: Setting<Duration>,
    pub(crate) require_https: Setting<bool>,
    pub(crate) egress_allow: Setting<Vec<Allow>>,
    pub(crate) egress_trust_files: Setting<bool>,
    pub(crate) egress_proxy: Option<Setting<Url>>,
    pub(crate) default_signature: Setting<Signature>,
    pub(crate) retention: Setting<Duration>,
    pub(crate) api_enabled: Setting<bool>,
    pub(crate) trusted_proxies: Setting<Vec<IpNet>>,
    pub(crate) tls: Option<Tls>,
    pub(crate) immich_config: Option<Setting<PathBuf>>,
    pub(crate) kiosk_config: Option<Setting<PathBuf>>,
    pub(crate) kai_github_secret: Option<Setting<Secret<String>>>,
    pub(crate) kai_api_secret: Option<Setting<Secret<String>>>,
    pub(crate) log: Setting<String>,
    pub(crate) log_format: Setting<LogFormat>,
    /// All of them as they may be shown, in the order of the reference page.
    pub(crate) shown: Vec<Shown>,
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Everything.
    All,
    /// It accepts and does not deliver.
    Doors,
    /// It delivers and does not accept.
    Workers,
}

/// How secrets that are made for endpoints sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signature {
    /// HMAC-SHA256.
    Hmac256,
    /// Ed25519.
    Ed25519,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A database for several nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Database {
    /// Where it is.
    pub(crate) url: Setting<Secret<String>>,
    /// Where to listen for changes.
    pub(crate) listen: Option<Setting<Secret<String>>>,
    /// The schema.
    pub(crate) schema: Setting<String>,
    /// This node's name.
    pub(crate) node: Setting<String>,
}

impl Database {
    /// As a node opens it.
    pub(crate) fn shared(&self) -> crate::node::SharedDatabase<'_> {
        crate::node::SharedDatabase {
            url: &self.url.value,
            listen: self.listen.as_ref().map(|listen| &listen.value),
            schema: &self.schema.value,
            node: &self.node.value,
        }
    }

    /// Nodes that make secrets of their own could not read each other's rows or tokens.
    fn check_secrets(&self, jwt: bool, main: bool, faults: &mut Faults) {
        for (key, is_given) in [(&key::JWT_SECRET, jwt), (&key::MAIN_SECRET, main)] {
            if !is_given {
                let what =
                    "is required with `database`, the same for every node (make one with `openssl rand -hex 32`)";
                faults.add(&self.url.place, key.name, what);
            }
        }
    }
}

/// The files of a certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tls {
    /// The certificate chain, PEM.
    pub(crate) cert: Setting<PathBuf>,
    /// The private key, PEM.
    pub(crate) key: Setting<PathBuf>,
}

/// A setting as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Its key.
    pub(crate) name: &'static str,
    /// Its value, secrets redacted.
    pub(crate) value: String,
    /// Where it was given.
    pub(crate) place: Place,
}

impl Settings {
    /// Reads every setting from what was given.
    pub(crate) fn read(layers: &Layers, environment: &Environment, faults: &mut Faults) -> Self {
        let mut read = Reader::new(layers, faults);
        let listen = read.listen(environment);
        let doors_listen = read.one(&key::DOORS_LISTEN, address);
        let role = [("all", Role::All), ("doors", Role::Doors), ("workers", Role::Workers)];
        let role = read.one(&key::ROLE, |text| choice(text, &role)).or_default(Role::All);
        let data = read.data();
        let database = read.database(&listen);
        let public_url = read.one(&key::PUBLIC_URL, web_url);
        let jwt_secret = read.one(&key::JWT_SECRET, secret);
        let main_secret = read.list(&key::MAIN_SECRET, secret);
        if let Some(database) = &database {
            database.check_secrets(jwt_secret.is_some(), !main_secret.value.is_empty(), read.faults);
        } else if role.value == Role::Workers {
            read.faults.add(
                &role.place,
                key::ROLE.name,
                "is `workers`, which needs a `database` that other nodes accept into",
            );
        }
        let admin_password = read.one(&key::ADMIN_PASSWORD, secret);
        let (retry, schedule) = read.retry();
        let request_timeout = read.one(&key::REQUEST_TIMEOUT, timeout).or_default(limits::DEFAULT_TIMEOUT);
        let disable_after = read.one(&key::DISABLE_AFTER, positive).or_default(limits::DISABLE_AFTER);
        let require_https = read.one(&key::REQUIRE_HTTPS, boolean).or_default(false);
        let egress_allow = read.list(&key::EGRESS_ALLOW, str::parse::<Allow>);
        let egress_trust_files = read.one(&key::EGRESS_TRUST_FILES, boolean).or_default(true);
        let egress_proxy = read.one(&key::EGRESS_PROXY, web_url);
        let signature = [("hmac256", Signature::Hmac256), ("ed25519", Signature::Ed25519)];
        let signature =
            read.one(&key::DEFAULT_SIGNATURE, |text| choice(text, &signature)).or_default(Signature::Hmac256);
        let retention = read.retention(&retry, &schedule);
        let api_enabled = read.one(&key::API_ENABLED, boolean).or_default(true);
        let trusted_proxies = read.list(&key::TRUSTED_PROXIES, network);
        let tls = read.tls();
        let immich_config = read.one(&key::IMMICH_CONFIG, path);
        let kiosk_config = read.one(&key::KIOSK_CONFIG, path);
        let kai_github_secret = read.one(&key::KAI_GITHUB_SECRET, secret);
        let kai_api_secret = read.one(&key::KAI_API_SECRET, secret);
        let log = read.one(&key::LOG, filter).or_default("info".to_owned());
        let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        let log_format = read.one(&key::LOG_FORMAT, |text| choice(text, &formats)).or_default(LogFormat::Text);
        let shown = read.shown;
        Self {
            listen,
            doors_listen,
            role,
            data,
            database,
            public_url,
            jwt_secret,
            main_secret,
            admin_password,
            retry,
            request_timeout,
            disable_after,
            require_https,
            egress_allow,
            egress_trust_files,
            egress_proxy,
            default_signature: signature,
            retention,
            api_enabled,
            trusted_proxies,
            tls,
            immich_config,
            kiosk_config,
            kai_github_secret,
            kai_api_secret,
            log,
            log_format,
            shown,
        }
    }
}

/// What a command needs to make a token: the data directory and the secret, and nothing else of the file.
#[derive(Debug)]
pub(crate) struct TokenSettings {
    pub(crate) data: Setting<PathBuf>,
    pub(crate) jwt_secret: Option<Setting<Secret<String>>>,
}

impl TokenSettings {
    /// The keys that it reads.
    pub(crate) const KEYS: [Key; 2] = [key::DATA, key::JWT_SECRET];

    /// Reads them from what was given.
    pub(crate) fn read(layers: &Layers, faults: &mut Faults) -> Self {
        let mut read = Reader::new(layers, faults);
        Self { data: read.data(), jwt_secret: read.one(&key::JWT_SECRET, secret) }
    }
}

/// Where the store is: what a command needs that copies it.
#[derive(Debug)]
pub(crate) struct DataSettings {
    pub(crate) data: Setting<PathBuf>,
    pub(crate) database: Option<Setting<Secret<String>>>,
    pub(crate) schema: Setting<String>,
}

impl DataSettings {
    /// The keys that it reads.
    pub(crate) const KEYS: [Key; 3] = [key::DATA, key::DATABASE, key::DATABASE_SCHEMA];

    /// Reads them from what was given.
    pub(crate) fn read(layers: &Layers, faults: &mut Faults) -> Self {
        let mut read = Reader::new(layers, faults);
        Self { data: read.data(), database: read.one(&key::DATABASE, database), schema: read.schema() }
    }
}

/// The secrets without which a copy of a store is of little use.
#[derive(Debug)]
pub(crate) struct KeySettings {
    pub(crate) main_secret: Setting<Vec<Secret<String>>>,
    pub(crate) jwt_secret: Option<Setting<Secret<String>>>,
}

impl KeySettings {
    /// The keys that it reads.
    pub(crate) const KEYS: [Key; 2] = [key::MAIN_SECRET, key::JWT_SECRET];

    /// Reads them from what was given.
    pub(crate) fn read(layers: &Layers, faults: &mut Faults) -> Self {
        let mut read = Reader::new(layers, faults);
        Self { main_secret: read.list(&key::MAIN_SECRET, secret), jwt_secret: read.one(&key::JWT_SECRET, secret) }
    }
}
