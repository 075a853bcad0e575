//! Which members of Immich's events are secrets, and how they are masked.
//!
//! Immich announces its whole settings with `ConfigInit`, `ConfigUpdate` and `ConfigValidate`: the password of its mail
//! server and the secret of its OAuth client among them. `UserSignup` carries the new user's password in clear, and the
//! `Job*` events the data of any job: that password again, and the headers of Immich's own webhooks. No other event is
//! looked into, so that what an application announces under names of its own leaves as it is. Called by both dialects of
//! Immich before they encode.

use std::borrow::Cow;

use hookyard_model::{EndpointSettings, EventType};

use crate::json::JsonError;
use crate::redact::redact;
use crate::{Choices, OptionSpec, option};

/// Whether an endpoint gets them.
pub(crate) static REDACT: OptionSpec = OptionSpec {
    name: "redact",
    choices: Choices::OneOf(&["true", "false"]),
    default: "true",
    meaning: "Whether passwords, tokens and keys in `Config*`, `UserSignup` and `Job*` events leave as `REDACTED`.",
};

/// The events that are looked into. Older versions of Immich write them with dots and in lower case.
const EVENTS: [&str; 9] = [
    "ConfigInit",
    "ConfigUpdate",
    "ConfigValidate",
    "JobComplete",
    "JobError",
    "JobRun",
    "JobStart",
    "JobSuccess",
    "UserSignup",
];

/// A member is a secret when its name is one of these, whatever its case and without its `-` and `_`.
const NAMES: [&str; 3] = ["authorization", "cookie", "key"];
/// Or when it ends in one of these.
const ENDINGS: [&str; 11] = [
    "accesskey",
    "apikey",
    "credentials",
    "encryptionkey",
    "passphrase",
    "password",
    "privatekey",
    "secret",
    "secretkey",
    "signingkey",
    "token",
];

/// Whether the endpoint gets payloads without secrets, as it does unless it says otherwise.
pub(crate) fn are_masked(endpoint: &EndpointSettings) -> bool {
    option::given(endpoint, &REDACT) != Some("false")
}

/// The payload, without its secrets where it may have some and they are to be masked.
pub(crate) fn masked<'a>(
    event_type: &EventType,
    payload: &'a [u8],
    are_masked: bool,
) -> Result<Cow<'a, [u8]>, JsonError> {
    if are_masked && has_secrets(event_type.as_str()) {
        redact(payload, |_, name| is_secret(name))
    } else {
        Ok(Cow::Borrowed(payload))
    }
}

pub(super) fn has_secrets(event_type: &str) -> bool {
    let letters = || event_type.bytes().filter(|byte| *byte != b'.');
    EVENTS.iter().any(|event| {
        letters().map(|byte| byte.to_ascii_lowercase()).eq(event.bytes().map(|byte| byte.to_ascii_lowercase()))
    })
}

fn is_secret(name: &str) -> bool {
    let name: String =
        name.chars().filter(|letter| !matches!(letter, '-' | '_')).map(|letter| letter.to_ascii_lowercase()).collect();
    NAMES.contains(&name.as_str()) || ENDINGS.iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(event_type: &str, json: &str, expected: &str) {
        let event_type = event_type.parse().expect("a name");
        let masked = |are_masked| {
            let masked = masked(&event_type, json.as_bytes(), are_masked).expect("it is JSON");
            String::from_utf8(masked.into_owned()).expect("UTF-8")
        };
        assert_eq!(masked(true), expected, "{event_type:?}");
        assert_eq!(masked(false), json, "redaction is off");
    }

    #[test]
    fn settings_leave_without_their_secrets() {
        let json = r#"{"newConfig":{"oauth":{"clientId":"immich","clientSecret":"canary","storageQuotaClaim":"q"},"notifications":{"smtp":{"transport":{"host":"mail","password":"canary","port":587}}},"passwordLogin":{"enabled":true}},"oldConfig":{"oauth":{"clientSecret":""},"x":[{"api_key":"canary","API-Token":7}]}}"#;
        let expected = r#"{"newConfig":{"oauth":{"clientId":"immich","clientSecret":"REDACTED","storageQuotaClaim":"q"},"notifications":{"smtp":{"transport":{"host":"mail","password":"REDACTED","port":587}}},"passwordLogin":{"enabled":true}},"oldConfig":{"oauth":{"clientSecret":""},"x":[{"api_key":"REDACTED","API-Token":"REDACTED"}]}}"#;
        for event_type in ["ConfigInit", "ConfigUpdate", "ConfigValidate", "config.update"] {
            check(event_type, json, expected);
        }
    }

    #[test]
    fn a_new_users_password_is_masked_and_jobs_are_too() {
        check(
            "UserSignup",
            r#"{"notify":true,"id":"u","password":"canary"}"#,
            r#"{"notify":true,"id":"u","password":"REDACTED"}"#,
        );
        let job = r#"["backgroundTask",{"name":"WebhookDelivery","data":{"headers":{"Authorization":"canary","X-Webhook-Secret":"canary"},"url":"u"}}]"#;
        let expected = r#"["backgroundTask",{"name":"WebhookDelivery","data":{"headers":{"Authorization":"REDACTED","X-Webhook-Secret":"REDACTED"},"url":"u"}}]"#;
        for event_type in ["JobRun", "JobStart", "JobComplete", "JobSuccess", "JobError"] {
            check(event_type, job, expected);
        }
    }

    #[test]
    fn no_other_event_is_looked_into() {
        let json = r#"{"password":"stays","token":"stays"}"#;
        for event_type in ["PersonCreate", "UserCreate", "Custom", "Config", "JobRunner", "configupdates"] {
            check(event_type, json, json);
        }
    }

    #[test]
    fn names_that_only_look_like_secrets_stay() {
        for name in ["passwordLogin", "tokenEndpointAuthMethod", "signingAlgorithm", "keyframes", "secretary", "keys"] {
            assert!(!is_secret(name), "{name}");
        }
        for name in ["key", "Cookie", "tempPassword", "REFRESH_TOKEN", "x-api-key", "privateKey"] {
            assert!(is_secret(name), "{name}");
        }
    }
}
