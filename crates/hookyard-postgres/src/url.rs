//! The database's URL, as libpq writes it.
//!
//! The client knows `disable`, `prefer` and `require` of `sslmode`; the modes that check the server's certificate, and
//! `sslrootcert`, are taken out here and kept by [`crate::tls`].

use std::path::PathBuf;
use std::time::Duration;

use hookyard_model::Secret;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use url::Url;

use crate::OpenError;

/// How long one address may take to answer.
const CONNECT: Duration = Duration::from_secs(5);
/// How long sent bytes may stay unacknowledged: a database that was cut off shows within a heartbeat's limit.
const UNACKNOWLEDGED: Duration = Duration::from_secs(8);
/// How long a connection may be silent before the system asks whether the other side is there.
const SILENT: Duration = Duration::from_secs(30);

/// Whose certificate is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// Anyone's: encrypted, not authenticated (`prefer`, `require`).
    Nobody,
    /// That of a known authority, for any name (`verify-ca`).
    Authority,
    /// That of a known authority, for the host's name (`verify-full`).
    Host,
}

/// A database as a URL names it.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) config: Config,
    pub(crate) check: Check,
    /// The authorities, instead of the system's.
    pub(crate) authorities: Option<PathBuf>,
}

impl Place {
    /// Reads a URL.
    pub(crate) fn parse(given: &Secret<String>) -> Result<Self, OpenError> {
        let bad = |why: &str| OpenError::Url(why.to_owned());
        let mut url = Url::parse(given.expose()).map_err(|error| OpenError::Url(error.to_string()))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(bad("it must begin with `postgres://`"));
        }
        let (mut check, mut authorities, mut kept) = (Check::Nobody, None, Vec::new());
        for (name, value) in url.query_pairs() {
            match (&*name, &*value) {
                ("sslmode", "verify-full") => check = Check::Host,
                ("sslmode", "verify-ca") => check = Check::Authority,
                ("sslmode", "allow") => kept.push((name.into_owned(), "prefer".to_owned())),
                ("sslrootcert", "system") => {}
                ("sslrootcert", file) => authorities = Some(PathBuf::from(file)),
                _ => kept.push((name.into_owned(), value.into_owned())),
            }
        }
        // As libpq: who names an authority and asks for encryption wants to be sure of it.
        let requires = kept.iter().any(|(name, value)| name == "sslmode" && value == "require");
        if check == Check::Nobody && authorities.is_some() && requires {
            check = Check::Authority;
        }
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).finish();
        // A plus sign is a space to forms and a plus sign to the client.
        url.set_query((!query.is_empty()).then(|| query.replace('+', "%20")).as_deref());
        // The client's own words may show a value, and one of them is the password.
        let not_known = |_| bad("a part of it is not known, or has a value that is not allowed");
        let mut config: Config = url.as_str().parse().map_err(not_known)?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(bad("it names no host"));
        }
        if check != Check::Nobody {
            config.ssl_mode(SslMode::Require);
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(UNACKNOWLEDGED);
        }
        config.keepalives_idle(SILENT);
        if config.get_application_name().is_none() {
            config.application_name("hookyard");
        }
        Ok(Self { config, check, authorities })
    }

    /// Host and port, for people.
    pub(crate) fn at(&self) -> String {
        let hosts = self.config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        });
        let mut ports = self.config.get_ports().iter().cycle();
        let places: Vec<String> = hosts.map(|host| format!("`{host}:{}`", ports.next().unwrap_or(&5432))).collect();
        places.join(", ")
    }

    /// Who asks to be let in.
    pub(crate) fn user(&self) -> String {
        self.config.get_user().unwrap_or_default().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Place, OpenError> {
        Place::parse(&Secret::new(url.to_owned()))
    }

    #[test]
    fn ssl_modes_are_those_of_libpq() {
        for (query, mode, check) in [
            ("", SslMode::Prefer, Check::Nobody),
            ("?sslmode=disable", SslMode::Disable, Check::Nobody),
            ("?sslmode=allow", SslMode::Prefer, Check::Nobody),
            ("?sslmode=require", SslMode::Require, Check::Nobody),
            ("?sslmode=require&sslrootcert=/ca.pem", SslMode::Require, Check::Authority),
            ("?sslmode=verify-ca", SslMode::Require, Check::Authority),
            ("?sslmode=verify-full&sslrootcert=/ca.pem", SslMode::Require, Check::Host),
            ("?sslmode=verify-full&sslrootcert=system&connect_timeout=3", SslMode::Require, Check::Host),
        ] {
            let place = parse(&format!("postgres://u:p@db.example/hooks{query}")).expect(query);
            assert_eq!((place.config.get_ssl_mode(), place.check), (mode, check), "{query}");
            assert_eq!(place.authorities.is_some(), query.contains("/ca.pem"), "{query}");
            assert_eq!(place.config.get_password(), Some(&b"p"[..]));
        }
    }

    #[test]
    fn several_hosts_sockets_and_odd_passwords_are_read() {
        let place = parse("postgres:///hooks?host=one&host=two&port=5432,6000&user=u").expect("a URL");
        assert_eq!(place.at(), "`one:5432`, `two:6000`");
        let place = parse("postgres://u@%2Frun%2Fpostgresql/hooks").expect("a URL");
        assert_eq!(place.at(), "`/run/postgresql:5432`");
        let place = parse("postgres://u:a+b@localhost/hooks").expect("a URL");
        assert_eq!(place.config.get_password(), Some(&b"a+b"[..]));
        let place = parse("postgres://u:p%2B%20x@localhost/hooks?application_name=a%20b").expect("a URL");
        assert_eq!(place.config.get_password(), Some(&b"p+ x"[..]));
        assert_eq!(place.config.get_application_name(), Some("a b"));
    }

    #[test]
    fn a_bad_url_is_refused_without_its_password() {
        for url in [
            "",
            "mysql://u:hunter2@h/d",
            "postgres://u:hunter2@h/d?sslmode=perhaps",
            "postgres://u:hunter2@h/d?nonsense=1",
            "postgres://u:hunter2@h:port/d",
        ] {
            let error = parse(url).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains("cannot be used") && !error.contains("hunter2"), "{url}: {error}");
        }
    }
}
