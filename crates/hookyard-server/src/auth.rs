//! Who calls: bearer tokens, signed with the deployment's secret.
//!
//! A token is a JWT (HS256, HS384 or HS512). `sub=org_…` speaks for an organisation; `sub=app_…` with a claim `org` for one
//! application of it. There is no table of organisations: whichever a valid token names is one. What a token may do is
//! asked by each operation ([`Caller::organisation_only`], [`crate::api::find`]).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use hookyard_model::{ApplicationId, OrganisationId, Secret, Timestamp, limits};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::doors::Doors;
use crate::error::{ApiError, Code, Result};

/// How long a token of an organisation is good for: Svix's ten years.
const ORGANISATION_TOKEN: Duration = Duration::from_hours(24 * 3_650);
/// How long a token of one application is good for: Svix's 28 days.
const APPLICATION_TOKEN: Duration = Duration::from_hours(24 * 28);
/// How far ahead of ours the clock of whoever made a token may be.
const NOT_BEFORE_LEEWAY: Duration = Duration::from_mins(1);
/// The text is Svix's, which clients compare verbatim.
const SECRET_AS_TOKEN: &str = "Authentication failed. JWT signing secrets can not be used as tokens, please refer to \
    https://github.com/svix/svix-webhooks#authentication for more information.";

/// Makes an API token for an organisation, or for one application of it.
///
/// It is good for ten years, or for 28 days when it names an application; nothing can revoke it but another secret.
pub fn mint_token(
    secret: &Secret<String>,
    organisation: OrganisationId,
    application: Option<ApplicationId>,
    now: Timestamp,
) -> String {
    let (subject, org, span) = match application {
        Some(application) => (application.to_string(), Some(organisation.to_string()), APPLICATION_TOKEN),
        None => (organisation.to_string(), None, ORGANISATION_TOKEN),
    };
    let claims = Minted {
        iss: "hookyard",
        sub: &subject,
        org: org.as_deref(),
        iat: now.as_seconds(),
        nbf: now.as_seconds(),
        exp: now.plus(span).as_seconds(),
    };
    let key = EncodingKey::from_secret(secret.expose().as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).expect("an HMAC key of any length signs")
}

#[derive(Serialize)]
struct Minted<'a> {
    iss: &'static str,
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    org: Option<&'a str>,
    iat: i64,
    nbf: i64,
    exp: i64,
}

#[derive(Deserialize)]
struct Claims {
    sub: Option<String>,
    org: Option<String>,
    // Times in a JWT may have a fraction (RFC 7519, NumericDate).
    exp: Option<f64>,
    nbf: Option<f64>,
}

/// For whom a token speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Whose organisation.
    pub(crate) organisation: OrganisationId,
    /// The one application it speaks for; `None` is the whole organisation.
    pub(crate) application: Option<ApplicationId>,
}

impl Caller {
    /// Refuses tokens of one application.
    pub(crate) fn organisation_only(self) -> Result<Self> {
        match self.application {
            None => Ok(self),
            Some(_) => Err(ApiError::new(Code::InsufficientAccess, "Insufficient access for the requested operation.")
                .hint("use a token of the organisation; this one speaks for a single application")),
        }
    }
}

impl FromRequestParts<Arc<Doors>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, doors: &Arc<Doors>) -> Result<Self> {
        let value = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = value.and_then(bearer).ok_or_else(|| {
            ApiError::new(Code::AuthenticationFailed, "Invalid token").hint("send `Authorization: Bearer <token>`")
        })?;
        doors.tokens.verify(token, doors.clock.now())
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Verifies tokens, and remembers those that it verified.
pub(crate) struct Tokens {
    secret: Secret<String>,
    key: DecodingKey,
    rules: Validation,
    verified: RwLock<HashMap<Box<str>, Verified>>,
}

#[derive(Clone, Copy)]
struct Verified {
    caller: Caller,
    expires: Option<Timestamp>,
}

impl Tokens {
    pub(crate) fn new(secret: Secret<String>) -> Self {
        let mut rules = Validation::new(Algorithm::HS256);
        rules.algorithms = vec![Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
        // The times are checked here, by the clock of this process.
        rules.validate_exp = false;
        rules.validate_nbf = false;
        rules.validate_aud = false;
        rules.required_spec_claims.clear();
        let key = DecodingKey::from_secret(secret.expose().as_bytes());
        Self { secret, key, rules, verified: RwLock::default() }
    }

    /// For whom the token speaks at `now`.
    pub(crate) fn verify(&self, token: &str, now: Timestamp) -> Result<Caller> {
        let remembered = self.verified.read().get(token).copied();
        let verified = match remembered {
            Some(verified) => verified,
            None => self.decode(token, now)?,
        };
        if verified.expires.is_some_and(|expires| expires <= now) {
            return Err(invalid("the token has expired; make another one with `hookyard token`"));
        }
        if remembered.is_none() {
            let mut known = self.verified.write();
            if known.len() >= limits::VERIFIED_TOKENS {
                known.clear();
            }
            known.insert(token.into(), verified);
        }
        Ok(verified.caller)
    }

    fn decode(&self, token: &str, now: Timestamp) -> Result<Verified> {
        if bool::from(token.as_bytes().ct_eq(self.secret.expose().as_bytes())) {
            return Err(ApiError::new(Code::AuthenticationFailed, SECRET_AS_TOKEN));
        }
        let decoded = jsonwebtoken::decode::<Claims>(token, &self.key, &self.rules).map_err(|_| invalid(SIGNATURE))?;
        let claims = decoded.claims;
        if claims.nbf.is_some_and(|from| at(from) > now.plus(NOT_BEFORE_LEEWAY)) {
            return Err(invalid("the token is not valid yet"));
        }
        let subject = claims.sub.unwrap_or_default();
        let caller = if subject.starts_with(OrganisationId::PREFIX) {
            let organisation = subject.parse().map_err(|_| invalid(SUBJECT))?;
            Caller { organisation, application: None }
        } else {
            let application = subject.parse().map_err(|_| invalid(SUBJECT))?;
            let organisation = claims.org.unwrap_or_default().parse().map_err(|_| invalid(SUBJECT))?;
            Caller { organisation, application: Some(application) }
        };
        Ok(Verified { caller, expires: claims.exp.map(at) })
    }
}

const SIGNATURE: &str = "the token is not a JWT signed with this server's secret by HS256, HS384 or HS512";
const SUBJECT: &str =
    "the token's `sub` must be an id `org_…`, or `app_…` with the organisation's id in the claim `org`";

fn invalid(hint: &'static str) -> ApiError {
    ApiError::new(Code::AuthenticationFailed, "Invalid token").hint(hint)
}

#[expect(clippy::cast_possible_truncation, reason = "the cast saturates, and so does the timestamp")]
fn at(seconds: f64) -> Timestamp {
    Timestamp::from_seconds(seconds as i64)
}

#[cfg(test)]
mod tests {
    use hookyard_model::RawId;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

    fn secret() -> Secret<String> {
        Secret::new("a secret of some length".to_owned())
    }

    fn organisation() -> OrganisationId {
        OrganisationId::default_organisation()
    }

    fn signed(algorithm: Algorithm, claims: &serde_json::Value) -> String {
        let key = EncodingKey::from_secret(secret().expose().as_bytes());
        jsonwebtoken::encode(&Header::new(algorithm), claims, &key).expect("signed")
    }

    fn code_and_detail(token: &str) -> (Code, String) {
        let error = Tokens::new(secret()).verify(token, NOW).expect_err("refused");
        let wire = serde_json::to_value(error.wire()).expect("an error can be written");
        (error.code(), wire["detail"].as_str().expect("a text").to_owned())
    }

    #[test]
    fn a_minted_token_speaks_for_its_organisation_or_application_until_it_expires() {
        let application = ApplicationId::from_raw(RawId::first_of(NOW));
        for (application, span) in [(None, ORGANISATION_TOKEN), (Some(application), APPLICATION_TOKEN)] {
            let token = mint_token(&secret(), organisation(), application, NOW);
            let tokens = Tokens::new(secret());
            let expected = Caller { organisation: organisation(), application };
            for _ in 0..2 {
                assert_eq!(tokens.verify(&token, NOW).expect("valid"), expected);
            }
            assert!(tokens.verify(&token, NOW.plus(span)).is_err(), "a remembered token expires as well");
            assert!(Tokens::new(secret()).verify(&token, NOW.plus(span)).is_err());
        }
    }

    #[test]
    fn all_three_hmac_algorithms_are_taken() {
        let claims = serde_json::json!({ "sub": organisation().to_string() });
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            assert!(Tokens::new(secret()).verify(&signed(algorithm, &claims), NOW).is_ok(), "{algorithm:?}");
        }
    }

    #[test]
    fn a_token_that_is_not_ours_is_refused_in_svix_words() {
        let other = mint_token(&Secret::new("another".to_owned()), organisation(), None, NOW);
        let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJvcmdfMjNyYjhZZEdxTVQwcUl6cGdHd2RYZkhpck11In0.";
        let app_alone = signed(Algorithm::HS256, &serde_json::json!({ "sub": "app_23rb8YdGqMT0qIzpgGwdXfHirMu" }));
        let user = signed(Algorithm::HS256, &serde_json::json!({ "sub": "user_1" }));
        let early = signed(
            Algorithm::HS256,
            &serde_json::json!({ "sub": organisation().to_string(), "nbf": NOW.as_seconds() + 3_600 }),
        );
        let endless =
            signed(Algorithm::HS256, &serde_json::json!({ "sub": organisation().to_string(), "exp": -1e300 }));
        for token in ["", "x", "a.b.c", &other, unsigned, &app_alone, &user, &early, &endless] {
            let expected = (Code::AuthenticationFailed, "Invalid token".to_owned());
            assert_eq!(code_and_detail(token), expected, "{token}");
        }
    }

    #[test]
    fn the_signing_secret_is_not_a_token_and_the_answer_says_so() {
        let expected = "Authentication failed. JWT signing secrets can not be used as tokens, please refer to \
                        https://github.com/svix/svix-webhooks#authentication for more information.";
        assert_eq!(code_and_detail(secret().expose()), (Code::AuthenticationFailed, expected.to_owned()));
    }

    #[test]
    fn the_tokens_that_are_remembered_are_bounded() {
        let tokens = Tokens::new(secret());
        for seconds in 0..=i64::try_from(limits::VERIFIED_TOKENS).expect("small") {
            let made = Timestamp::from_seconds(NOW.as_seconds() - seconds);
            tokens.verify(&mint_token(&secret(), organisation(), None, made), NOW).expect("valid");
        }
        assert_eq!(tokens.verified.read().len(), 1);
    }

    #[test]
    fn the_scheme_is_bearer_in_any_case() {
        assert_eq!(bearer("Bearer x.y.z"), Some("x.y.z"));
        assert_eq!(bearer("bearer  x"), Some("x"));
        assert_eq!(bearer("Basic x"), None);
        assert_eq!(bearer("x"), None);
    }
}
