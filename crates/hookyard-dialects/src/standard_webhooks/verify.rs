//! Verifies: whether one of the listed signatures is by one of the secrets, over the bytes as they came.
//!
//! Called by the inbound door for every request. What a stranger can make it do is bounded: few of the listed signatures
//! are examined, fewer still where each costs a hash of the whole body.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use hmac::{Hmac, Mac as _};
use hookyard_model::{Secret, Timestamp, limits};
use http::{HeaderMap, HeaderName};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::Names;
use crate::secret::Key;
use crate::{RawRequest, Refused};

/// Seconds that the sender's clock may differ from ours, both ways: what the official verifiers allow.
const TOLERANCE: u64 = 300;
/// Listed signatures that are examined. Senders list one for each key in rotation; Svix has at most eleven.
const SIGNATURES: usize = 32;
/// Checks of an Ed25519 signature for one request, over all keys.
const ED25519_CHECKS: usize = 16;

/// What the headers say, before anything of it is believed.
#[derive(Debug)]
pub(crate) struct Signed<'a> {
    /// The sender's id of the message, the same on every attempt.
    pub(crate) id: &'a str,
    timestamp: &'a str,
    seconds: i64,
    names: &'static Names,
}

/// Reads id and timestamp from the first complete set of headers, `own` before `other`.
///
/// One set is used whole, and by verifying and decoding alike: else an id beside the signed one could take its place.
pub(crate) fn signed<'a>(
    headers: &'a HeaderMap,
    own: &'static Names,
    other: &'static Names,
) -> Result<Signed<'a>, Refused> {
    let has = |name: &HeaderName| headers.contains_key(name);
    let whole = [own, other].into_iter().find(|names| names.all().into_iter().all(has));
    let begun = || [own, other].into_iter().find(|names| names.all().into_iter().any(has));
    let names = whole.or_else(begun).unwrap_or(own);
    let text = |name: &'static HeaderName| {
        let value = headers.get(name).ok_or(Refused::MissingHeader(name.as_str()))?;
        value.to_str().map_err(|_| bad(name, "has bytes that are not visible ASCII"))
    };
    let (id, timestamp) = (text(&names.id)?, text(&names.timestamp)?);
    if !has(&names.signature) {
        return Err(Refused::MissingHeader(names.signature.as_str()));
    }
    if id.is_empty() || id.len() > limits::NAME_BYTES {
        return Err(bad(&names.id, "must have 1 to 256 characters"));
    }
    // Digits only: `parse` alone would also take a sign, and one time must not have two texts.
    let digits = timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = timestamp.parse().ok().filter(|_| digits);
    let seconds =
        seconds.ok_or_else(|| bad(&names.timestamp, "must be whole seconds since 1970, such as `1614265330`"))?;
    Ok(Signed { id, timestamp, seconds, names })
}

fn bad(header: &'static HeaderName, why: &str) -> Refused {
    Refused::BadHeader { header: header.as_str(), why: why.to_owned() }
}

/// The rule that accepts the request, and which secret it was.
pub(crate) fn verify(
    request: &RawRequest<'_>,
    own: &'static Names,
    other: &'static Names,
    secrets: &[Secret<String>],
    now: Timestamp,
) -> Result<(&'static str, usize), Refused> {
    let signed = signed(request.headers, own, other)?;
    let off = signed.seconds.abs_diff(now.as_seconds());
    if off > TOLERANCE {
        let direction = if signed.seconds < now.as_seconds() { "behind" } else { "ahead of" };
        return Err(Refused::Stale { off, direction, allowed: TOLERANCE });
    }
    let content = Content { id: signed.id, timestamp: signed.timestamp, body: request.body };
    let listed = Listed { headers: request.headers, name: &signed.names.signature };
    let mut ed25519_checks = ED25519_CHECKS;
    let mut unusable = None;
    let mut usable = false;
    for (index, secret) in secrets.iter().enumerate() {
        let rule = match Key::read(secret) {
            Ok(Key::Shared(mac)) => content.is_by(mac, &listed),
            Ok(Key::Pair(pair)) => content.is_by_owner(&pair.verifying_key(), &listed, &mut ed25519_checks),
            Ok(Key::Public(key)) => content.is_by_owner(&key, &listed, &mut ed25519_checks),
            Err(error) => {
                unusable.get_or_insert(error);
                continue;
            }
        };
        usable = true;
        if let Some(rule) = rule {
            return Ok((rule, index));
        }
    }
    match unusable {
        _ if usable => Err(Refused::NoMatch),
        Some(error) => Err(Refused::NoSecret(error.to_string())),
        None => Err(Refused::NoSecret("the source has none".to_owned())),
    }
}

/// The signatures that a request lists.
struct Listed<'a> {
    headers: &'a HeaderMap,
    name: &'static HeaderName,
}

impl Listed<'_> {
    /// The decoded signatures of one version; what has another version, no version or no base64 is skipped.
    fn of<const N: usize>(&self, version: &'static [u8]) -> impl Iterator<Item = [u8; N]> {
        let lists = self.headers.get_all(self.name).into_iter();
        let entries = lists.flat_map(|list| list.as_bytes().split(|byte| *byte == b' '));
        entries.take(SIGNATURES).filter_map(move |entry| {
            let base64 = entry.strip_prefix(version)?.strip_prefix(b",")?;
            // The estimate of what base64 takes is rounded up, so the buffer has more room than a signature needs.
            let mut buffer = [0; 72];
            let length = STANDARD.decode_slice(base64, &mut buffer).ok()?;
            buffer[..length].try_into().ok()
        })
    }
}

/// What was signed.
struct Content<'a> {
    id: &'a str,
    timestamp: &'a str,
    body: &'a [u8],
}

impl Content<'_> {
    fn parts(&self) -> [&[u8]; 5] {
        [self.id.as_bytes(), b".", self.timestamp.as_bytes(), b".", self.body]
    }

    fn is_by(&self, mut mac: Hmac<Sha256>, listed: &Listed<'_>) -> Option<&'static str> {
        for part in self.parts() {
            mac.update(part);
        }
        let expected = mac.finalize().into_bytes();
        let matches = listed.of::<32>(b"v1").any(|signature| expected.ct_eq(&signature).into());
        matches.then_some("v1 HMAC-SHA256")
    }

    fn is_by_owner(&self, key: &VerifyingKey, listed: &Listed<'_>, checks: &mut usize) -> Option<&'static str> {
        let mut content = Vec::new();
        for signature in listed.of::<64>(b"v1a") {
            *checks = checks.checked_sub(1)?;
            if content.is_empty() {
                content = self.parts().concat();
            }
            if key.verify_strict(&content, &Signature::from_bytes(&signature)).is_ok() {
                return Some("v1a Ed25519");
            }
        }
        None
    }
}
