//! Which headers an endpoint may set, and what a header may hold.
//!
//! Called by every dialect's `check` when an endpoint is saved, and by the engine, which asks once more before it lays an
//! endpoint's headers over a request. What passes here can be sent: no value can begin a second header.

use hookyard_model::{HeaderPair, limits};
use http::{HeaderName, HeaderValue};

use crate::SettingsError;

/// Headers that belong to the connection, in lower case; setting one would break the framing or fool a proxy.
const TRANSPORT: [&str; 9] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-upstream-https-proxy",
];
/// The same for whole families: credentials of the way out, and orders to the egress proxy.
const TRANSPORT_PREFIXES: [&str; 2] = ["proxy-", "x-smokescreen-"];

/// Whether a header is the transport's own and may never be set, however its name is spelled.
pub fn transport_header(name: &str) -> bool {
    named(name, &TRANSPORT, &TRANSPORT_PREFIXES)
}

/// Whether `name` is one of `names` or begins with one of `prefixes`, all given in lower case.
pub(crate) fn named(name: &str, names: &[&str], prefixes: &[&str]) -> bool {
    let begins = |prefix: &&str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    names.iter().any(|other| name.eq_ignore_ascii_case(other)) || prefixes.iter().any(begins)
}

/// Refuses headers that cannot be sent or are the transport's own; the error names the header, never its value.
pub(crate) fn check(headers: &[HeaderPair]) -> Result<(), SettingsError> {
    if headers.len() > limits::ENDPOINT_HEADERS {
        return Err(refused(format!("{} headers, at most {} are allowed", headers.len(), limits::ENDPOINT_HEADERS)));
    }
    for HeaderPair { name, value } in headers {
        if HeaderName::try_from(name).is_err() {
            return Err(refused(format!("`{}` is not a header name (letters, digits and `-`)", shown(name))));
        }
        if transport_header(name) {
            return Err(refused(format!("`{}` belongs to the connection and cannot be set", shown(name))));
        }
        let value = value.expose();
        if value.len() > limits::HEADER_VALUE_BYTES {
            return Err(refused(format!(
                "the value of `{}` has {} bytes, at most {} are allowed",
                shown(name),
                value.len(),
                limits::HEADER_VALUE_BYTES
            )));
        }
        if HeaderValue::try_from(value).is_err() {
            return Err(refused(format!(
                "the value of `{}` has a line break or another control character; only text is allowed",
                shown(name)
            )));
        }
    }
    Ok(())
}

pub(crate) fn refused(why: String) -> SettingsError {
    SettingsError { field: "headers".to_owned(), why }
}

/// A name as an error shows it: what callers send as a name may be long and may hold anything.
pub(crate) fn shown(name: &str) -> String {
    name.chars().take(64).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use hookyard_model::Secret;
    use proptest::prelude::*;

    use super::*;

    fn pair(name: &str, value: &str) -> HeaderPair {
        HeaderPair { name: name.to_owned(), value: Secret::new(value.to_owned()) }
    }

    #[test]
    fn the_transports_headers_are_known_in_any_spelling() {
        for name in [
            "Host",
            "content-length",
            "Transfer-Encoding",
            "CONNECTION",
            "TE",
            "Trailer",
            "Upgrade",
            "Keep-Alive",
            "Proxy-Authorization",
            "proxy-",
            "X-Smokescreen-Role",
            "X-Upstream-Https-Proxy",
        ] {
            assert!(transport_header(name), "{name}");
        }
        for name in ["", "hosts", "x-host", "content-type", "user-agent", "prox", "proxi-x", "é", "prox\u{e9}-", "tee"]
        {
            assert!(!transport_header(name), "{name}");
        }
    }

    #[test]
    fn a_refused_header_is_named_and_its_value_is_not() {
        fn check_refused(name: &str, value: &str, expected: &str) {
            let error = check(&[pair("X-Fine", "fine"), pair(name, value)]).expect_err(name);
            assert_eq!(error.field, "headers");
            assert_eq!(error.why, expected);
        }
        let control = "the value of `X-A` has a line break or another control character; only text is allowed";
        check_refused("X-A", "canary\r\nX-B: canary", control);
        check_refused("X-A", "canary\n", control);
        check_refused("X-A", "canary\r", control);
        check_refused("X-A", "canary\0", control);
        check_refused("X-A", "canary\x7f", control);
        check_refused("X-A\r\nX-B", "canary", "`X-A\\r\\nX-B` is not a header name (letters, digits and `-`)");
        check_refused("X A", "canary", "`X A` is not a header name (letters, digits and `-`)");
        check_refused("", "canary", "`` is not a header name (letters, digits and `-`)");
        check_refused("Host", "canary", "`Host` belongs to the connection and cannot be set");
    }

    #[test]
    fn headers_are_bounded_in_number_and_length() {
        let longest = "x".repeat(limits::HEADER_VALUE_BYTES);
        assert_eq!(check(&[pair("X-A", &longest)]), Ok(()));
        let error = check(&[pair("X-A", &format!("{longest}x"))]).expect_err("too long");
        assert_eq!(error.why, "the value of `X-A` has 4097 bytes, at most 4096 are allowed");
        let many = vec![pair("X-A", "Grüße\t"); limits::ENDPOINT_HEADERS];
        assert_eq!(check(&many), Ok(()));
        let error = check(&[many, vec![pair("X-A", "")]].concat()).expect_err("too many");
        assert_eq!(error.why, "65 headers, at most 64 are allowed");
    }

    proptest! {
        #[test]
        fn what_passes_can_be_sent(name in ".{0,20}", value in ".{0,20}") {
            if check(&[pair(&name, &value)]).is_ok() {
                prop_assert!(HeaderName::try_from(&name).is_ok());
                prop_assert!(!value.contains(['\r', '\n', '\0']));
            }
        }
    }
}
