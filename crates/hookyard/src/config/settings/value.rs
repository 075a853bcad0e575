//! What a setting's text may be.
//!
//! One function for each kind of value, called by [`Settings::read`](super::Settings::read) and wherever else such a value
//! stands. An error says what the text is and what is allowed, after the name of the setting; what may hold a credential is
//! not repeated.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use hookyard_model::{Secret, format_duration, limits, parse_duration};
use ipnet::IpNet;
use url::Url;

use crate::config::fault::quoted;
use crate::retention::check_most;

pub(in crate::config) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("is {}, must be an address and a port (write `127.0.0.1:8080` or `[::1]:8080`)", quoted(text))
    })
}

pub(in crate::config) fn choice<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("`{name}`")).collect();
        format!("is {}, must be {}", quoted(text), names.join(" or "))
    })
}

#[expect(clippy::unnecessary_wraps, reason = "all readers of settings have one form")]
pub(in crate::config) fn path(text: &str) -> Result<PathBuf, String> {
    Ok(PathBuf::from(text))
}

pub(in crate::config) fn database(text: &str) -> Result<Secret<String>, &'static str> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return Ok(Secret::new(text.to_owned()));
    }
    Err("must be a URL `postgres://…`; for SQLite, leave it out and set `data`")
}

pub(in crate::config) fn schema(text: &str) -> Result<String, String> {
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let begins = text.starts_with(|first: char| !first.is_ascii_digit()) && !text.starts_with("pg_");
    if begins && text.len() <= 40 && text.bytes().all(is_name) {
        return Ok(text.to_owned());
    }
    Err(format!("is {}, must be 1 to 40 of `a-z 0-9 _`, not begin with a digit, and not with `pg_`", quoted(text)))
}

pub(in crate::config) fn named(text: &str) -> Result<String, String> {
    if (1..=256).contains(&text.len()) && !text.contains(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(format!("is {}, must be 1 to 256 characters without control characters", quoted(text)))
}

/// What a URL is wrong for is said without the URL, which may hold a credential.
pub(in crate::config) fn web_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is not a URL: {error} (write `https://example.com`)"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("must begin with `http://` or `https://`".to_owned());
    }
    Ok(url)
}

pub(in crate::config) fn secret(text: &str) -> Result<Secret<String>, &'static str> {
    if text.is_empty() { Err("is empty") } else { Ok(Secret::new(text.to_owned())) }
}

pub(in crate::config) fn boolean(text: &str) -> Result<bool, String> {
    choice(text, &[("true", true), ("false", false)])
}

pub(in crate::config) fn share(text: &str) -> Result<f64, String> {
    let number = f64::from_str(text).ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or_else(|| format!("is {}, must be a number from 0 to 1", quoted(text)))
}

pub(in crate::config) fn timeout(text: &str) -> Result<Duration, String> {
    let (least, most) = (format_duration(*limits::TIMEOUT.start()), format_duration(*limits::TIMEOUT.end()));
    let span = parse_duration(text).map_err(|error| error.to_string())?;
    if limits::TIMEOUT.contains(&span) {
        Ok(span)
    } else {
        Err(format!("is `{text}`, must be from `{least}` to `{most}`"))
    }
}

pub(in crate::config) fn positive(text: &str) -> Result<Duration, String> {
    let span = parse_duration(text).map_err(|error| error.to_string())?;
    if span.is_zero() { Err("must be longer than `0s`".to_owned()) } else { Ok(span) }
}

pub(in crate::config) fn retention(text: &str) -> Result<Duration, String> {
    let span = parse_duration(text).map_err(|error| error.to_string())?;
    check_most(span).map(|()| span)
}

pub(in crate::config) fn network(text: &str) -> Result<IpNet, String> {
    let parsed = text.parse::<IpNet>().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from));
    parsed.map_err(|_| format!("{} is not an address or network (write `10.0.0.1` or `10.0.0.0/8`)", quoted(text)))
}

pub(in crate::config) fn filter(text: &str) -> Result<String, String> {
    match text.parse::<tracing_subscriber::filter::Targets>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(format!("is {}, must be a filter such as `info` or `info,hookyard_engine=debug`", quoted(text))),
    }
}
