//! The simplest signature there is: one header with the HMAC-SHA256 of the exact body.
//!
//! Shared by the dialects whose systems sign so; they differ in the header's name and in how the digest is written. The
//! key is the secret's UTF-8 bytes. There is room for one signature, so of several keys the newest signs, and a request
//! that comes in may be by any of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use hookyard_model::{Endpoint, EndpointSettings, Secret, SigningKeys, Timestamp};
use http::{HeaderMap, HeaderValue};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::{EncodeError, Encoded, RawRequest, Refused, SettingsError, Verified};

/// Bytes of the digest.
const DIGEST: usize = 32;
/// Before the digits, where a form has it.
const PREFIX: &str = "sha256=";

/// How the digest is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Lower-case hexadecimal digits.
    Hex,
    /// The same behind `sha256=`, as GitHub does.
    PrefixedHex,
    /// Base64 with padding.
    Base64,
}

impl Form {
    fn write(self, digest: &[u8; DIGEST]) -> HeaderValue {
        let text = match self {
            Self::Hex => hex::encode(digest),
            Self::PrefixedHex => format!("{PREFIX}{}", hex::encode(digest)),
            Self::Base64 => STANDARD.encode(digest),
        };
        HeaderValue::try_from(text).expect("digits and base64 are a header value")
    }

    /// Reads what [`Self::write`] wrote, and nothing else: a digest has one text, so upper-case digits are none.
    fn read(self, value: &[u8]) -> Option<[u8; DIGEST]> {
        let digits = match self {
            Self::Hex => value,
            Self::PrefixedHex => value.strip_prefix(PREFIX.as_bytes())?,
            Self::Base64 => {
                // The estimate of what base64 takes is rounded up.
                let mut buffer = [0; DIGEST + 4];
                let length = STANDARD.decode_slice(value, &mut buffer).ok()?;
                return buffer[..length].try_into().ok();
            }
        };
        if digits.iter().any(u8::is_ascii_uppercase) {
            return None;
        }
        let mut digest = [0; DIGEST];
        hex::decode_to_slice(digits, &mut digest).ok()?;
        Some(digest)
    }
}

fn digest(secret: &Secret<String>, body: &[u8]) -> [u8; DIGEST] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    mac.finalize().into_bytes().into()
}

/// Signs `encoded` in `header` by the newest key that counts at `now`; an endpoint without keys is sent to unsigned.
pub(crate) fn sign(
    (header, form): (&'static str, Form),
    encoded: &Encoded,
    endpoint: &Endpoint,
    now: Timestamp,
    headers: &mut HeaderMap,
) -> Result<(), EncodeError> {
    if let Some(signature) = signature(form, &endpoint.settings.keys, now, &encoded.body)? {
        headers.insert(header, signature);
    }
    Ok(())
}

/// The header's value; `None` for an endpoint without keys.
fn signature(form: Form, keys: &SigningKeys, now: Timestamp, body: &[u8]) -> Result<Option<HeaderValue>, EncodeError> {
    if keys.keys.is_empty() {
        return Ok(None);
    }
    // To send it unsigned instead would look to the receiver like a forgery.
    let expired = || EncodeError("every signing key of the endpoint has expired".to_owned());
    let secret = keys.active(now).next().ok_or_else(expired)?;
    Ok(Some(form.write(&digest(secret, body))))
}

/// Refuses keys that could not sign: any text is a key, but an empty one is none.
pub(crate) fn check(settings: &EndpointSettings) -> Result<(), SettingsError> {
    if settings.keys.keys.iter().any(|key| key.text.expose().is_empty()) {
        return Err(SettingsError { field: "secret".to_owned(), why: "is empty".to_owned() });
    }
    Ok(())
}

/// The same as [`verify`] for systems in which a secret is optional: a source without one takes unsigned requests, one
/// with a secret nothing unsigned.
pub(crate) fn verify_where_keyed(
    (header, form, rule): (&'static str, Form, &'static str),
    request: &RawRequest<'_>,
    secrets: &[Secret<String>],
) -> Verified {
    if secrets.is_empty() {
        return Verified::UNPROVEN;
    }
    verify((header, &[form], rule), request.headers, request.body, secrets)
}

/// Whether `header` holds the digest of `body` by one of the secrets, in one of the forms; `rule` names what did.
///
/// A source without secrets cannot tell anybody's request from another's: it refuses them all.
pub(crate) fn verify(
    (header, forms, rule): (&'static str, &[Form], &'static str),
    headers: &HeaderMap,
    body: &[u8],
    secrets: &[Secret<String>],
) -> Verified {
    if secrets.is_empty() {
        return Verified::Refused(Refused::NoSecret("the source has none".to_owned()));
    }
    if secrets.iter().all(|secret| secret.expose().is_empty()) {
        return Verified::Refused(Refused::NoSecret("it is empty".to_owned()));
    }
    let Some(value) = headers.get(header) else { return Verified::Refused(Refused::MissingHeader(header)) };
    let Some(given) = forms.iter().find_map(|form| form.read(value.as_bytes())) else {
        let forms: Vec<&str> = forms.iter().map(|form| form.described()).collect();
        let why = format!("must be the HMAC-SHA256 of the body as {}", forms.join(", or "));
        return Verified::Refused(Refused::BadHeader { header, why });
    };
    // Anybody can sign with an empty key.
    let by = |secret: &Secret<String>| !secret.expose().is_empty() && digest(secret, body).ct_eq(&given).into();
    match secrets.iter().position(by) {
        Some(secret) => Verified::Accepted { rule, secret },
        None => Verified::Refused(Refused::NoMatch),
    }
}

impl Form {
    const fn described(self) -> &'static str {
        match self {
            Self::Hex => "64 lower-case hexadecimal digits",
            Self::PrefixedHex => "`sha256=` and 64 lower-case hexadecimal digits",
            Self::Base64 => "base64",
        }
    }
}

#[cfg(test)]
mod tests {
    use hookyard_model::SigningSecret;

    use super::*;
    use crate::examples::NOW;

    const ALL: [Form; 3] = [Form::Hex, Form::PrefixedHex, Form::Base64];

    fn secrets(texts: &[&str]) -> Vec<Secret<String>> {
        texts.iter().map(|text| Secret::new((*text).to_owned())).collect()
    }

    fn verified(forms: &[Form], value: &HeaderValue, body: &[u8], texts: &[&str]) -> Verified {
        let headers = HeaderMap::from_iter([(http::HeaderName::from_static("x-signature"), value.clone())]);
        verify(("x-signature", forms, "HMAC-SHA256"), &headers, body, &secrets(texts))
    }

    /// GitHub publishes this one for testing.
    #[test]
    fn the_published_vector_is_signed_and_verified() {
        let keys = SigningKeys::single("It's a Secret to Everybody");
        let value =
            signature(Form::PrefixedHex, &keys, NOW, b"Hello, World!").expect("it signs").expect("it has a key");
        assert_eq!(value, "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
        let accepted = Verified::Accepted { rule: "HMAC-SHA256", secret: 1 };
        assert_eq!(verified(&ALL, &value, b"Hello, World!", &["x", "It's a Secret to Everybody"]), accepted);
    }

    #[test]
    fn one_flipped_bit_is_refused_in_every_form() {
        for form in ALL {
            let value =
                signature(form, &SigningKeys::single("s"), NOW, b"{}").expect("it signs").expect("it has a key");
            assert!(matches!(verified(&ALL, &value, b"{}", &["s"]), Verified::Accepted { .. }));
            for bit in 0..value.len() * 8 {
                let mut bytes = value.as_bytes().to_vec();
                bytes[bit / 8] ^= 1 << (bit % 8);
                let Ok(flipped) = HeaderValue::from_bytes(&bytes) else { continue };
                assert!(matches!(verified(&ALL, &flipped, b"{}", &["s"]), Verified::Refused(_)), "{flipped:?}");
            }
        }
    }

    #[test]
    fn the_newest_key_that_counts_signs() {
        let key = |text: &str, expires| SigningSecret { text: Secret::new(text.to_owned()), expires };
        let signed = |keys| signature(Form::Hex, &SigningKeys { keys }, NOW, b"x");
        let by = |text: &str| signature(Form::Hex, &SigningKeys::single(text), NOW, b"x");
        assert_eq!(signed(vec![key("new", None), key("old", Some(Timestamp::MAX))]), by("new"));
        assert_eq!(signed(vec![key("over", Some(NOW)), key("new", None)]), by("new"));
        signed(vec![key("over", Some(NOW))]).expect_err("none counts");
        assert_eq!(signed(Vec::new()), Ok(None));
    }

    #[test]
    fn without_a_secret_nothing_is_accepted() {
        let value = HeaderValue::from_static("x");
        assert!(matches!(verified(&ALL, &value, b"", &[]), Verified::Refused(Refused::NoSecret(_))));
        for form in ALL {
            let by_nobody = form.write(&digest(&Secret::new(String::new()), b""));
            for texts in [&[""][..], &["", "s"]] {
                assert!(matches!(verified(&ALL, &by_nobody, b"", texts), Verified::Refused(_)), "{texts:?}");
            }
        }
        let none = verify(("x-signature", &ALL, "r"), &HeaderMap::new(), b"", &secrets(&["s"]));
        assert_eq!(none, Verified::Refused(Refused::MissingHeader("x-signature")));
        let bad = verified(&[Form::Hex, Form::Base64], &value, b"", &["s"]);
        let Verified::Refused(refused) = bad else { panic!("{bad:?}") };
        assert_eq!(
            refused.to_string(),
            "header `x-signature` must be the HMAC-SHA256 of the body as 64 lower-case hexadecimal digits, or base64"
        );
    }
}
