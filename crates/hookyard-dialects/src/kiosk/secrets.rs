//! Which members of Kiosk's configuration are secrets.
//!
//! Called for every member of `config` before it leaves. Kiosk masks them on its own configuration page, and puts them
//! into webhooks in clear.

use std::borrow::Cow;

use crate::json::JsonError;
use crate::redact::redact;

/// What the names of secrets end in, whatever their case and without their `-` and `_`.
const ENDINGS: [&str; 9] =
    ["accesskey", "apikey", "credentials", "passphrase", "password", "privatekey", "secret", "secretkey", "token"];

/// `config` with its secrets masked.
pub(super) fn masked(config: &[u8]) -> Result<Cow<'_, [u8]>, JsonError> {
    redact(config, is_secret)
}

/// A webhook's URL may hold a token as well as its secret is one; `API` is the key of the weather service.
fn is_secret(path: &[Cow<'_, str>], name: &str) -> bool {
    let inside = |names: &[&str]| {
        path.len() == names.len() && path.iter().zip(names).all(|(name, other)| name.eq_ignore_ascii_case(other))
    };
    name.eq_ignore_ascii_case("url") && inside(&["webhooks"])
        || name.eq_ignore_ascii_case("api") && inside(&["weather", "locations"])
        || ENDINGS.iter().any(|ending| ends_in(name, ending))
}

fn ends_in(name: &str, ending: &str) -> bool {
    let mut plain = name.bytes().rev().filter(|byte| !matches!(byte, b'-' | b'_'));
    ending.bytes().rev().all(|byte| plain.next().is_some_and(|other| other.eq_ignore_ascii_case(&byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(config: &str, expected: &str) {
        let masked = masked(config.as_bytes()).expect("it is JSON");
        assert_eq!(String::from_utf8_lossy(&masked), expected);
    }

    #[test]
    fn the_secrets_of_webhooks_and_services_are_masked() {
        check(
            r#"{"webhooks":[{"url":"https://x/?t=1","event":"asset.new","secret":"s"},{"url":"u","secret":""}]}"#,
            r#"{"webhooks":[{"url":"REDACTED","event":"asset.new","secret":"REDACTED"},{"url":"REDACTED","secret":""}]}"#,
        );
        check(
            r#"{"weather":{"locations":[{"Name":"London","API":"k","Lat":"51.5"}],"API":"on","rotationInterval":60}}"#,
            r#"{"weather":{"locations":[{"Name":"London","API":"REDACTED","Lat":"51.5"}],"API":"on","rotationInterval":60}}"#,
        );
    }

    #[test]
    fn members_named_like_secrets_are_masked_at_any_depth() {
        check(
            r#"{"immich_api_key":"a","kiosk":{"Password":"b","x":[{"access-token":7}]},"clientSecret":{"a":1}}"#,
            r#"{"immich_api_key":"REDACTED","kiosk":{"Password":"REDACTED","x":[{"access-token":"REDACTED"}]},"clientSecret":"REDACTED"}"#,
        );
    }

    #[test]
    fn what_only_looks_like_one_stays() {
        let config = r#"{"url":"x","webhooks":{"a":{"url":"x"}},"tokens":1,"secretary":"x","kiosk":{"port":3000}}"#;
        check(config, config);
    }
}
