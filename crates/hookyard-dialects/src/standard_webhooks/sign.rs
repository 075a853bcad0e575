//! Signs: one `v1` or `v1a` signature for each key that counts.
//!
//! Called for every attempt. The content comes in parts and is never copied together.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::ed25519::signature::MultipartSigner as _;
use hmac::Mac as _;
use hookyard_model::Secret;
use http::HeaderValue;

use crate::EncodeError;
use crate::secret::Key;

/// Characters of `v1,` and the base64 of an HMAC-SHA256: the header of an endpoint with one shared key, exactly.
const ONE_SIGNATURE: usize = 47;

/// The header's value: a signature by every key in the order given, separated by spaces.
pub(crate) fn signatures<'a>(
    keys: impl Iterator<Item = &'a Secret<String>>,
    content: &[&[u8]],
) -> Result<HeaderValue, EncodeError> {
    let mut list = String::with_capacity(ONE_SIGNATURE);
    for secret in keys {
        if !list.is_empty() {
            list.push(' ');
        }
        match Key::read(secret).map_err(|error| EncodeError(error.to_string()))? {
            Key::Shared(mut mac) => {
                for part in content {
                    mac.update(part);
                }
                list.push_str("v1,");
                STANDARD.encode_string(mac.finalize().into_bytes(), &mut list);
            }
            Key::Pair(pair) => {
                list.push_str("v1a,");
                STANDARD.encode_string(pair.multipart_sign(content).to_bytes(), &mut list);
            }
            Key::Public(_) => return Err(EncodeError("a public key, `whpk_…`, verifies but cannot sign".to_owned())),
        }
    }
    if list.is_empty() {
        // To send it unsigned instead would look to the receiver like a forgery.
        return Err(EncodeError("every signing key of the endpoint has expired".to_owned()));
    }
    Ok(HeaderValue::try_from(list).expect("versions and base64 are a header value"))
}
