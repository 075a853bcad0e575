//! The settings of a node: defaults < file < environment < flags.
//!
//! Each value remembers where it was given, for `config show` and for what is said about it. What is wrong is noted and
//! stands at its default, so that one report holds everything.

use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use hookyard_core::retry::schedule_span;
use hookyard_egress::Allow;
use hookyard_model::{RetryPolicy, Secret, format_duration, limits, parse_duration};
use ipnet::IpNet;
use url::Url;

use super::environment::Environment;
use super::fault::{Faults, Place, quoted};
use super::key::{self, Form, Key};
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
        let mut read = Reader { layers, faults, shown: Vec::new() };
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
        let mut read = Reader { layers, faults, shown: Vec::new() };
        Self { data: read.data(), jwt_secret: read.one(&key::JWT_SECRET, secret) }
    }
}

/// Where the embedded store is, if there is one: what a command needs that copies it.
#[derive(Debug)]
pub(crate) struct DataSettings {
    pub(crate) data: Setting<PathBuf>,
    pub(crate) database: Option<Setting<Secret<String>>>,
}

impl DataSettings {
    /// The keys that it reads.
    pub(crate) const KEYS: [Key; 2] = [key::DATA, key::DATABASE];

    /// Reads them from what was given.
    pub(crate) fn read(layers: &Layers, faults: &mut Faults) -> Self {
        let mut read = Reader { layers, faults, shown: Vec::new() };
        Self { data: read.data(), database: read.one(&key::DATABASE, database) }
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
        let mut read = Reader { layers, faults, shown: Vec::new() };
        Self { main_secret: read.list(&key::MAIN_SECRET, secret), jwt_secret: read.one(&key::JWT_SECRET, secret) }
    }
}

trait OrDefault<T> {
    fn or_default(self, value: T) -> Setting<T>;
}

impl<T> OrDefault<T> for Option<Setting<T>> {
    fn or_default(self, value: T) -> Setting<T> {
        self.unwrap_or(Setting { value, place: Place::Default })
    }
}

struct Reader<'a> {
    layers: &'a Layers,
    faults: &'a mut Faults,
    shown: Vec<Shown>,
}

impl Reader<'_> {
    /// A setting that is one value.
    fn one<T, E: Display>(&mut self, key: &Key, parse: impl Fn(&str) -> Result<T, E>) -> Option<Setting<T>> {
        let list = self.list(key, parse);
        let place = list.place;
        list.value.into_iter().next_back().map(|value| Setting { value, place })
    }

    /// A setting that is a list; empty by default.
    fn list<T, E: Display>(&mut self, key: &Key, parse: impl Fn(&str) -> Result<T, E>) -> Setting<Vec<T>> {
        let mut setting = Setting { value: Vec::new(), place: Place::Default };
        let mut shown = key.default.to_owned();
        for given in self.layers.of(key) {
            let mut value = Vec::with_capacity(given.parts.len());
            for part in &given.parts {
                match parse(&part.text) {
                    Ok(parsed) => value.push(parsed),
                    Err(error) => self.faults.add(&part.place, key.name, error),
                }
            }
            if value.len() == given.parts.len() {
                let texts: Vec<String> = given.parts.iter().map(|part| show(&part.text, key.form)).collect();
                shown = texts.join(",");
                setting = Setting { value, place: given.place.clone() };
            }
        }
        self.shown.push(Shown { name: key.name, value: shown, place: setting.place.clone() });
        setting
    }

    /// Kai's port variable moves the default, and nothing else.
    fn listen(&mut self, environment: &Environment) -> Setting<SocketAddr> {
        let given = self.one(&key::LISTEN, address);
        if let Some(given) = given {
            return given;
        }
        let place = Place::Environment("WEBHOOK_PORT".to_owned());
        let setting: Setting<SocketAddr> = match environment.get("WEBHOOK_PORT").ok().map(str::parse) {
            None => Setting { value: (Ipv4Addr::LOCALHOST, 8080).into(), place: Place::Default },
            Some(Ok(port)) => Setting { value: (Ipv4Addr::UNSPECIFIED, port).into(), place },
            Some(Err(_)) => {
                self.faults.add(&place, "", "is not a port (write a number from 0 to 65535)");
                Setting { value: (Ipv4Addr::LOCALHOST, 8080).into(), place: Place::Default }
            }
        };
        if let Some(shown) = self.shown.last_mut() {
            *shown = Shown { name: shown.name, value: setting.value.to_string(), place: setting.place.clone() };
        }
        setting
    }

    fn data(&mut self) -> Setting<PathBuf> {
        self.one(&key::DATA, path).or_default(PathBuf::from("./hookyard-data"))
    }

    /// The policy, and where its schedule was given.
    fn retry(&mut self) -> (RetryPolicy, Place) {
        let entry = |text: &str| parse_duration(text).map_err(|error| format!("retry schedule entry {error}"));
        let given = self.list(&key::RETRY_SCHEDULE, entry);
        let jitter = self.one(&key::RETRY_JITTER, share).or_default(0.2).value;
        let delays = if given.place == Place::Default {
            let RetryPolicy::Schedule { delays, .. } = RetryPolicy::default() else {
                return (RetryPolicy::default(), Place::Default);
            };
            delays
        } else {
            given.value
        };
        let policy = RetryPolicy::Schedule { delays, jitter }.checked().unwrap_or_else(|error| {
            self.faults.add(&given.place, key::RETRY_SCHEDULE.name, error);
            RetryPolicy::default()
        });
        (policy, given.place)
    }

    fn retention(&mut self, retry: &RetryPolicy, schedule: &Place) -> Setting<Duration> {
        let least = shortest_retention(retry);
        let setting = self.one(&key::RETENTION, retention).or_default(limits::RETENTION);
        if setting.value < least && setting.place == Place::Default {
            // What the operator wrote is the schedule; a default has no line to look at.
            let what = too_long(retry);
            self.faults.add(schedule, key::RETRY_SCHEDULE.name, what);
        } else if setting.value < least {
            let given = format_duration(setting.value);
            let what = format!("is `{given}`, must be at least {}: the retry schedule and one day", in_hours(least));
            self.faults.add(&setting.place, key::RETENTION.name, what);
        }
        setting
    }

    /// The keys beside it are checked and shown in any case.
    fn database(&mut self, listen: &Setting<SocketAddr>) -> Option<Database> {
        let url = self.one(&key::DATABASE, database);
        let hears = self.one(&key::DATABASE_LISTEN, database);
        let schema = self.one(&key::DATABASE_SCHEMA, schema).or_default("hookyard".to_owned());
        // Several nodes may run on one machine, each at a port of its own.
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let node = self.one(&key::NODE, named).or_default(format!("{host}:{}", listen.value.port()));
        if let (None, Some(hears)) = (&url, &hears) {
            self.faults.add(&hears.place, key::DATABASE_LISTEN.name, "needs `database` as well");
        }
        Some(Database { url: url?, listen: hears, schema, node })
    }

    fn tls(&mut self) -> Option<Tls> {
        match (self.one(&key::TLS_CERT, path), self.one(&key::TLS_KEY, path)) {
            (Some(cert), Some(key)) => Some(Tls { cert, key }),
            (Some(one), None) => {
                self.faults.add(&one.place, key::TLS_CERT.name, "needs `tls.key` as well");
                None
            }
            (None, Some(one)) => {
                self.faults.add(&one.place, key::TLS_KEY.name, "needs `tls.cert` as well");
                None
            }
            (None, None) => None,
        }
    }
}

/// What retention must be at least, so that nothing is pruned while its schedule runs.
pub(crate) fn shortest_retention(retry: &RetryPolicy) -> Duration {
    schedule_span(retry).saturating_add(Duration::from_hours(24))
}

/// What a schedule is told that goes on for longer than messages are kept.
pub(crate) fn too_long(retry: &RetryPolicy) -> String {
    let (span, least) = (in_hours(schedule_span(retry)), in_hours(shortest_retention(retry)));
    format!("takes up to {span}, so `retention` must be at least {least}")
}

/// Whole hours, rounded up: the spans of jittered schedules have fractions that nobody wants to type.
fn in_hours(span: Duration) -> String {
    format!("`{}h`", span.as_secs().div_ceil(3_600))
}

fn show(text: &str, form: Form) -> String {
    match form {
        Form::Secret | Form::Secrets => "[redacted]".to_owned(),
        Form::Url => without_password(text),
        Form::Text | Form::List | Form::Boolean | Form::Number => text.to_owned(),
    }
}

/// A URL without its password; nothing of what is not a URL.
fn without_password(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else { return "[redacted]".to_owned() };
    if url.password().is_some() && url.set_password(Some("redacted")).is_err() {
        return "[redacted]".to_owned();
    }
    // Connection URLs take a password as a parameter, too.
    if url.query().is_some() {
        url.set_query(Some("redacted"));
    }
    url.to_string()
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("is {}, must be an address and a port (write `127.0.0.1:8080` or `[::1]:8080`)", quoted(text))
    })
}

fn choice<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("`{name}`")).collect();
        format!("is {}, must be {}", quoted(text), names.join(" or "))
    })
}

#[expect(clippy::unnecessary_wraps, reason = "all readers of settings have one form")]
fn path(text: &str) -> Result<PathBuf, String> {
    Ok(PathBuf::from(text))
}

fn database(text: &str) -> Result<Secret<String>, &'static str> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return Ok(Secret::new(text.to_owned()));
    }
    Err("must be a URL `postgres://…`; for SQLite, leave it out and set `data`")
}

fn schema(text: &str) -> Result<String, String> {
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let begins = text.starts_with(|first: char| !first.is_ascii_digit()) && !text.starts_with("pg_");
    if begins && text.len() <= 40 && text.bytes().all(is_name) {
        return Ok(text.to_owned());
    }
    Err(format!("is {}, must be 1 to 40 of `a-z 0-9 _`, not begin with a digit, and not with `pg_`", quoted(text)))
}

fn named(text: &str) -> Result<String, String> {
    if (1..=256).contains(&text.len()) && !text.contains(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(format!("is {}, must be 1 to 256 characters without control characters", quoted(text)))
}

/// What a URL is wrong for is said without the URL, which may hold a credential.
fn web_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is not a URL: {error} (write `https://example.com`)"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("must begin with `http://` or `https://`".to_owned());
    }
    Ok(url)
}

fn secret(text: &str) -> Result<Secret<String>, &'static str> {
    if text.is_empty() { Err("is empty") } else { Ok(Secret::new(text.to_owned())) }
}

fn boolean(text: &str) -> Result<bool, String> {
    choice(text, &[("true", true), ("false", false)])
}

fn share(text: &str) -> Result<f64, String> {
    let number = f64::from_str(text).ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or_else(|| format!("is {}, must be a number from 0 to 1", quoted(text)))
}

pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    let (least, most) = (format_duration(*limits::TIMEOUT.start()), format_duration(*limits::TIMEOUT.end()));
    let span = parse_duration(text).map_err(|error| error.to_string())?;
    if limits::TIMEOUT.contains(&span) {
        Ok(span)
    } else {
        Err(format!("is `{text}`, must be from `{least}` to `{most}`"))
    }
}

fn positive(text: &str) -> Result<Duration, String> {
    let span = parse_duration(text).map_err(|error| error.to_string())?;
    if span.is_zero() { Err("must be longer than `0s`".to_owned()) } else { Ok(span) }
}

/// The longest time that a deployment may keep messages.
const RETENTION_MAX: Duration = Duration::from_hours(24 * 3_650);

fn retention(text: &str) -> Result<Duration, String> {
    let span = parse_duration(text).map_err(|error| error.to_string())?;
    if span > RETENTION_MAX {
        return Err(format!("is `{text}`, must be at most `{}`", format_duration(RETENTION_MAX)));
    }
    Ok(span)
}

fn network(text: &str) -> Result<IpNet, String> {
    let parsed = text.parse::<IpNet>().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from));
    parsed.map_err(|_| format!("{} is not an address or network (write `10.0.0.1` or `10.0.0.0/8`)", quoted(text)))
}

fn filter(text: &str) -> Result<String, String> {
    match text.parse::<tracing_subscriber::filter::Targets>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(format!("is {}, must be a filter such as `info` or `info,hookyard_engine=debug`", quoted(text))),
    }
}
