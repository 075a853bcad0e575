//! Tests of the scheme, through both of its dialects.

mod hostile;
mod inbound;
mod law;
mod outbound;

use bytes::Bytes;
use hookyard_model::{Message, Secret, SigningKeys, SigningSecret, Timestamp};
use http::{HeaderMap, HeaderValue};

use super::StandardWebhooks;
use crate::examples::{NOW, endpoint, request, signing};
use crate::secret::Key;
use crate::standard::STANDARD;
use crate::svix::SVIX;
use crate::{Encoded, Inbound as _, Outbound as _, SecretForm, SignatureAlgorithm, Verified, generate};

const BOTH: [&StandardWebhooks; 2] = [&STANDARD, &SVIX];
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Published signatures: secret, id, seconds, body, signature.
const PUBLISHED: [(&str, &str, i64, &str, &str); 2] = [
    (
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        r#"{"test": 2432232314}"#,
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ),
    (
        "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
        1_649_367_553,
        r#"{"email":"test@example.com","username":"test_user"}"#,
        "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
    ),
];

/// The `n`th secret of a kind.
fn secret(algorithm: SignatureAlgorithm, n: u8) -> Secret<String> {
    generate(SecretForm::StandardWebhooks, algorithm, &[n; 32]).expect("the form signs")
}

fn keys(secrets: &[(&Secret<String>, Option<Timestamp>)]) -> SigningKeys {
    let key = |(text, expires): &(&Secret<String>, _)| SigningSecret { text: (*text).clone(), expires: *expires };
    SigningKeys { keys: secrets.iter().map(key).collect() }
}

/// The request that an attempt at `now` makes.
fn sent(dialect: &StandardWebhooks, message: &Message, keys: &SigningKeys, now: Timestamp) -> Encoded {
    let endpoint = signing(endpoint("standard"), keys);
    let mut encoded = dialect.encode(message, &endpoint, 0).expect("it can be encoded");
    let mut headers = encoded.headers.clone();
    dialect.sign(&encoded, message, &endpoint, now, &mut headers).expect("it can be signed");
    encoded.headers = headers;
    encoded
}

fn verify(dialect: &StandardWebhooks, sent: &Encoded, secrets: &[Secret<String>]) -> Verified {
    dialect.verify(&request(&sent.headers, &sent.body), secrets, NOW)
}

fn accepts(dialect: &StandardWebhooks, sent: &Encoded, secrets: &[Secret<String>]) -> bool {
    matches!(verify(dialect, sent, secrets), Verified::Accepted { .. })
}

/// Headers of a request under the names that begin with `prefix`.
fn headers(prefix: &str, id: &str, timestamp: &str, signature: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [("id", id), ("timestamp", timestamp), ("signature", signature)] {
        let name = http::HeaderName::try_from(format!("{prefix}-{name}")).expect("a name");
        headers.insert(name, HeaderValue::try_from(value).expect("a value"));
    }
    headers
}

fn with_body(headers: HeaderMap, body: impl Into<Bytes>) -> Encoded {
    Encoded { headers, body: body.into() }
}
