//! The proof of systems that sign nothing: a header with the secret itself.
//!
//! Called by the dialects of such systems for what comes in. `X-Webhook-Secret: <secret>` and `Authorization: Bearer
//! <secret>` both count, because those are the two that their users put into the headers of an endpoint. A source without
//! secrets takes anybody's requests ([`Verified::UNPROVEN`]).

use hookyard_model::{EndpointSettings, Secret};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::{Refused, SettingsError, Verified};

/// The rule under which a secret was found.
const RULE: &str = "shared secret";
const HEADER: &str = "x-webhook-secret";
const BEARER: &str = "bearer";

/// Whether one of the two headers holds one of the secrets.
pub(crate) fn verify(headers: &HeaderMap, secrets: &[Secret<String>]) -> Verified {
    if secrets.is_empty() {
        return Verified::UNPROVEN;
    }
    if secrets.iter().all(|secret| secret.expose().is_empty()) {
        // An empty secret would let in whoever sends an empty header.
        return Verified::Refused(Refused::NoSecret("it is empty".to_owned()));
    }
    let plain = headers.get_all(HEADER).iter().map(http::HeaderValue::as_bytes);
    let bearer = headers.get_all(AUTHORIZATION).iter().filter_map(|value| token(value.as_bytes()));
    let mut has_any = false;
    for given in plain.chain(bearer) {
        has_any = true;
        let matches = |secret: &Secret<String>| !secret.expose().is_empty() && equal(secret.expose().as_bytes(), given);
        if let Some(secret) = secrets.iter().position(matches) {
            return Verified::Accepted { rule: RULE, secret };
        }
    }
    Verified::Refused(if has_any {
        let header = if headers.contains_key(HEADER) { HEADER } else { "authorization" };
        Refused::BadHeader { header, why: "does not hold the source's secret".to_owned() }
    } else if headers.contains_key(AUTHORIZATION) {
        Refused::BadHeader { header: "authorization", why: "must be `Bearer` and the source's secret".to_owned() }
    } else {
        Refused::MissingHeader(HEADER)
    })
}

/// What follows `Bearer`, in any spelling (RFC 9110, section 11.1).
fn token(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(BEARER.len())?;
    let token = rest.trim_ascii_start();
    (scheme.eq_ignore_ascii_case(BEARER.as_bytes()) && token.len() < rest.len()).then_some(token)
}

/// Compares digests, so that the time taken tells nothing of the secret, not even its length.
fn equal(one: &[u8], other: &[u8]) -> bool {
    Sha256::digest(one).ct_eq(&Sha256::digest(other)).into()
}

/// Refuses a signing secret, which nothing would be signed with; says what to do instead.
pub(crate) fn refuse_keys(dialect: &str, endpoint: &EndpointSettings) -> Result<(), SettingsError> {
    if endpoint.keys.keys.is_empty() {
        return Ok(());
    }
    let why = format!(
        "dialect `{dialect}` does not sign; leave the secret out and let a header of the endpoint tell who sends: \
         `headers = {{ Authorization = \"Bearer …\" }}`"
    );
    Err(SettingsError { field: "secret".to_owned(), why })
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn verified(headers: &[(&'static str, &str)], secrets: &[&str]) -> Verified {
        let value = |text: &str| HeaderValue::try_from(text).expect("a value");
        let mut map = HeaderMap::new();
        for (name, text) in headers {
            map.append(HeaderName::from_static(name), value(text));
        }
        let secrets: Vec<_> = secrets.iter().map(|text| Secret::new((*text).to_owned())).collect();
        verify(&map, &secrets)
    }

    #[track_caller]
    fn refused(headers: &[(&'static str, &str)], secrets: &[&str], why: &str) {
        let Verified::Refused(refused) = verified(headers, secrets) else { panic!("accepted: {headers:?}") };
        assert_eq!(refused.to_string(), why);
    }

    #[test]
    fn either_header_holds_one_of_the_secrets() {
        let by = |secret| Verified::Accepted { rule: "shared secret", secret };
        assert_eq!(verified(&[("x-webhook-secret", "new")], &["old", "new"]), by(1));
        assert_eq!(verified(&[("authorization", "Bearer old")], &["old", "new"]), by(0));
        assert_eq!(verified(&[("authorization", "bEARER  old")], &["old"]), by(0));
        let both = [("x-webhook-secret", "another system's"), ("authorization", "Bearer old")];
        assert_eq!(verified(&both, &["old"]), by(0));
        let twice = [("authorization", "Basic dTpw"), ("authorization", "Bearer old")];
        assert_eq!(verified(&twice, &["old"]), by(0));
    }

    #[test]
    fn nothing_else_is_accepted() {
        refused(&[], &["s"], "header `x-webhook-secret` is missing");
        for wrong in ["", "S", "s ", "ss", "Bearer s"] {
            // A header's value has no space around it, so the one with a space could not even arrive.
            refused(
                &[("x-webhook-secret", wrong)],
                &["s"],
                "header `x-webhook-secret` does not hold the source's secret",
            );
        }
        refused(&[("authorization", "Bearer x")], &["s"], "header `authorization` does not hold the source's secret");
        for other in ["Basic dTpw", "s", "Bearer", "Bearers", "Bearerx s"] {
            refused(
                &[("authorization", other)],
                &["s"],
                "header `authorization` must be `Bearer` and the source's secret",
            );
        }
    }

    #[test]
    fn an_empty_secret_opens_nothing() {
        refused(&[("x-webhook-secret", "")], &[""], "no usable secret: it is empty");
        refused(&[("x-webhook-secret", "")], &["", "s"], "header `x-webhook-secret` does not hold the source's secret");
        refused(
            &[("authorization", "Bearer ")],
            &["", "s"],
            "header `authorization` does not hold the source's secret",
        );
    }

    #[test]
    fn a_source_without_secrets_takes_anything() {
        let none = Verified::Accepted { rule: "none", secret: 0 };
        assert_eq!(verified(&[], &[]), none);
        assert_eq!(verified(&[("x-webhook-secret", "any")], &[]), none);
    }
}
