//! Reads settings from what was given, with what holds between several of them.
//!
//! Called by [`Settings::read`](super::Settings::read) and by what reads some of them. What is wrong is noted, and the value
//! stands at its default.

use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use hookyard_model::{RetryPolicy, limits, parse_duration};
use url::Url;

use super::value::{address, database, named, path, retention, schema, share};
use super::{Database, Setting, Shown, Tls};
use crate::config::environment::Environment;
use crate::config::fault::{Faults, Place};
use crate::config::key::{self, Form, Key};
use crate::config::layers::Layers;
use crate::retention::{check, check_schedule};

/// What holds where nothing is given.
pub(super) trait OrDefault<T> {
    fn or_default(self, value: T) -> Setting<T>;
}

impl<T> OrDefault<T> for Option<Setting<T>> {
    fn or_default(self, value: T) -> Setting<T> {
        self.unwrap_or(Setting { value, place: Place::Default })
    }
}

/// Reads settings one by one, and keeps how each may be shown.
pub(super) struct Reader<'a> {
    layers: &'a Layers,
    pub(super) faults: &'a mut Faults,
    pub(super) shown: Vec<Shown>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(layers: &'a Layers, faults: &'a mut Faults) -> Self {
        Self { layers, faults, shown: Vec::new() }
    }

    /// A setting that is one value.
    pub(super) fn one<T, E: Display>(&mut self, key: &Key, parse: impl Fn(&str) -> Result<T, E>) -> Option<Setting<T>> {
        let list = self.list(key, parse);
        let place = list.place;
        list.value.into_iter().next_back().map(|value| Setting { value, place })
    }

    /// A setting that is a list; empty by default.
    pub(super) fn list<T, E: Display>(&mut self, key: &Key, parse: impl Fn(&str) -> Result<T, E>) -> Setting<Vec<T>> {
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
    pub(super) fn listen(&mut self, environment: &Environment) -> Setting<SocketAddr> {
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

    pub(super) fn data(&mut self) -> Setting<PathBuf> {
        self.one(&key::DATA, path).or_default(PathBuf::from("./hookyard-data"))
    }

    /// The policy, and where its schedule was given.
    pub(super) fn retry(&mut self) -> (RetryPolicy, Place) {
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

    pub(super) fn retention(&mut self, retry: &RetryPolicy, schedule: &Place) -> Setting<Duration> {
        let setting = self.one(&key::RETENTION, retention).or_default(limits::RETENTION);
        if setting.place == Place::Default {
            // What the operator wrote is the schedule; a default has no line to look at.
            if let Err(why) = check_schedule(retry, setting.value) {
                self.faults.add(schedule, key::RETRY_SCHEDULE.name, why);
            }
        } else if let Err(why) = check(setting.value, retry) {
            self.faults.add(&setting.place, key::RETENTION.name, why);
        }
        setting
    }

    pub(super) fn schema(&mut self) -> Setting<String> {
        self.one(&key::DATABASE_SCHEMA, schema).or_default("hookyard".to_owned())
    }

    /// The keys beside it are checked and shown in any case.
    pub(super) fn database(&mut self, listen: &Setting<SocketAddr>) -> Option<Database> {
        let url = self.one(&key::DATABASE, database);
        let hears = self.one(&key::DATABASE_LISTEN, database);
        let schema = self.schema();
        // Several nodes may run on one machine, each at a port of its own.
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let node = self.one(&key::NODE, named).or_default(format!("{host}:{}", listen.value.port()));
        if let (None, Some(hears)) = (&url, &hears) {
            self.faults.add(&hears.place, key::DATABASE_LISTEN.name, "needs `database` as well");
        }
        Some(Database { url: url?, listen: hears, schema, node })
    }

    pub(super) fn tls(&mut self) -> Option<Tls> {
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
