//! Reads the URL of an endpoint as a person or a file wrote it.
//!
//! Called by the doors and the file import when an endpoint is saved. Parsing follows the WHATWG rules, so that every
//! spelling of an address (`0x7f.1`, `2130706433`, full-width digits) becomes the one that the guard judges. What comes
//! out can be kept: it has no credentials, which belong into `basic_auth`, and no fragment, which is never sent.
//!
//! What it leaves to others: whether the destination may be reached ([`crate::Policy::judge_url`]).

use hookyard_model::{BasicAuth, Secret, limits};
use percent_encoding::percent_decode_str;
use url::{ParseError, Url};

use crate::allow::plain_name;

/// An endpoint's URL, ready to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointUrl {
    /// The URL, without user information and fragment.
    pub url: Url,
    /// The user information that the text had.
    pub basic_auth: Option<BasicAuth>,
}

/// Why a text is not the URL of an endpoint. The text itself is not repeated: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It is too long.
    #[error("the URL has more than {} bytes", limits::URL_BYTES)]
    TooLong,
    /// It is not an absolute URL.
    #[error("the URL is not absolute (write `https://example.com/hook`)")]
    NotAbsolute,
    /// Its scheme is another one.
    #[error("the URL is neither `http` nor `https`")]
    Scheme,
    /// It has no host, or one that cannot exist.
    #[error("the URL's host is neither a name nor an address (zone ids such as `%eth0` are not allowed)")]
    Host,
    /// Its port is not one.
    #[error("the URL's port is not between 1 and 65535")]
    Port,
    /// Its user information is not text.
    #[error("the URL's user or password is not UTF-8")]
    UserInfo,
    /// Anything else.
    #[error("the URL cannot be read")]
    Unreadable,
}

/// Reads the URL of an endpoint; see the module for what is kept of it.
pub fn check_url(text: &str) -> Result<EndpointUrl, UrlError> {
    let text = text.trim();
    if text.len() > limits::URL_BYTES {
        return Err(UrlError::TooLong);
    }
    let mut url = Url::parse(text).map_err(refused)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(UrlError::Scheme);
    }
    match url.host().ok_or(UrlError::Host)? {
        url::Host::Domain(name) => {
            plain_name(name).ok_or(UrlError::Host)?;
        }
        url::Host::Ipv4(_) | url::Host::Ipv6(_) => {}
    }
    if url.port() == Some(0) {
        return Err(UrlError::Port);
    }
    let basic_auth = user_info(&url)?;
    url.set_username("").and_then(|()| url.set_password(None)).expect("an http URL with a host can have no user");
    url.set_fragment(None);
    // Percent-encoding makes a text longer.
    if url.as_str().len() > limits::URL_BYTES {
        return Err(UrlError::TooLong);
    }
    Ok(EndpointUrl { url, basic_auth })
}

fn user_info(url: &Url) -> Result<Option<BasicAuth>, UrlError> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let plain = |text: &str| match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(UrlError::UserInfo),
    };
    let user = plain(url.username())?;
    let password = Secret::new(plain(url.password().unwrap_or_default())?);
    Ok(Some(BasicAuth { user, password }))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is another library's and grows")]
fn refused(error: ParseError) -> UrlError {
    match error {
        ParseError::RelativeUrlWithoutBase | ParseError::RelativeUrlWithCannotBeABaseBase => UrlError::NotAbsolute,
        ParseError::InvalidPort => UrlError::Port,
        ParseError::Overflow => UrlError::TooLong,
        ParseError::EmptyHost
        | ParseError::IdnaError
        | ParseError::InvalidIpv4Address
        | ParseError::InvalidIpv6Address
        | ParseError::InvalidDomainCharacter => UrlError::Host,
        _ => UrlError::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_address_becomes_the_canonical_one() {
        fn check(text: &str, host: &str) {
            assert_eq!(check_url(text).unwrap_or_else(|error| panic!("{text}: {error}")).url.host_str(), Some(host));
        }
        for loopback in [
            "http://127.0.0.1/",
            "http://0x7f.1/",
            "http://017700000001/",
            "http://2130706433/",
            "http://127.1/",
            "http://0x7f000001/",
            "http://127.0.0.1./",
            "http://%31%32%37.0.0.1/",
            "http://１２７.０.０.１/",
            "http://127。0。0。1/",
            "http:\\\\127.0.0.1\\",
            "http:127.0.0.1",
        ] {
            check(loopback, "127.0.0.1");
        }
        check("https://EXAMPLE.com/", "example.com");
        check("https://[::FFFF:7F00:1]/", "[::ffff:7f00:1]");
    }

    #[test]
    fn user_information_is_given_back_apart_and_a_fragment_is_dropped() {
        let read = check_url("https://kai:p%40ss@example.com:8443/hook?a=1#top").unwrap();
        assert_eq!(read.url.as_str(), "https://example.com:8443/hook?a=1");
        let auth = read.basic_auth.unwrap();
        assert_eq!((auth.user.as_str(), auth.password.expose().as_str()), ("kai", "p@ss"));
        assert_eq!(check_url("https://example.com/").unwrap().basic_auth, None);
        let password_only = check_url("https://:secret@example.com/").unwrap().basic_auth.unwrap();
        assert_eq!((password_only.user.as_str(), password_only.password.expose().as_str()), ("", "secret"));
    }

    #[test]
    fn what_cannot_be_an_endpoint_is_refused() {
        fn check(text: &str, error: UrlError) {
            assert_eq!(check_url(text), Err(error), "{text}");
        }
        check("", UrlError::NotAbsolute);
        check("example.com/hook", UrlError::NotAbsolute);
        check("/hook", UrlError::NotAbsolute);
        check("ftp://example.com/", UrlError::Scheme);
        check("file:///etc/passwd", UrlError::Scheme);
        check("javascript:alert(1)", UrlError::Scheme);
        check("http://", UrlError::Host);
        check("http://a..b/", UrlError::Host);
        check("http://./", UrlError::Host);
        check("http://[fe80::1%25eth0]/", UrlError::Host);
        check("http://256.256.256.256/", UrlError::Host);
        check("http://1.2.3.4.5/", UrlError::Host);
        check("http://exa mple.com/", UrlError::Host);
        check("http://example.com:0/", UrlError::Port);
        check("http://example.com:65536/", UrlError::Port);
        check("https://%ff:x@example.com/", UrlError::UserInfo);
        check(&format!("https://example.com/{}", "a".repeat(limits::URL_BYTES)), UrlError::TooLong);
        check(&format!("https://example.com/{}", "é".repeat(limits::URL_BYTES / 4)), UrlError::TooLong);
    }

    #[test]
    fn a_url_of_the_longest_length_is_kept() {
        let head = "https://example.com/";
        let text = format!("{head}{}", "a".repeat(limits::URL_BYTES - head.len()));
        assert_eq!(check_url(&text).unwrap().url.as_str(), text);
        assert_eq!(check_url(&format!("{text}a")), Err(UrlError::TooLong));
    }
}
