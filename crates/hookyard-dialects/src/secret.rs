//! The forms in which signing secrets are written, and making new ones.
//!
//! Called by the doors when an endpoint wants a secret or a page shows one, and by the dialects for every request they
//! sign or verify; reading a key therefore decodes on the stack and allocates nothing.
//!
//! What it leaves to others: drawing the randomness, and which of several secrets count.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{SigningKey, VerifyingKey};
use hmac::{Hmac, KeyInit as _};
use hookyard_model::Secret;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::SecretForm;

/// Before the base64 of a key that both sides share.
const SHARED: &str = "whsec_";
/// Before the base64 of an Ed25519 key pair.
const PAIR: &str = "whsk_";
/// Before the base64 of its public half.
const PUBLIC: &str = "whpk_";
/// Bytes of a shared key: Svix's range.
const SHARED_BYTES: std::ops::RangeInclusive<usize> = 24..=75;
/// Characters of the longest of them in base64, the key pair's 88 included.
const LONGEST_BASE64: usize = 100;

/// How requests are signed where a dialect knows several ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SignatureAlgorithm {
    /// HMAC-SHA256 with a key that both sides share.
    #[default]
    Hmac256,
    /// Ed25519: the receiver only holds the public half.
    Ed25519,
}

/// Makes a secret of a dialect's form from bytes that nobody can guess; `None` for a dialect that does not sign.
pub fn generate(form: SecretForm, algorithm: SignatureAlgorithm, random: &[u8; 32]) -> Option<Secret<String>> {
    let text = match (form, algorithm) {
        (SecretForm::None, _) => return None,
        (SecretForm::StandardWebhooks, SignatureAlgorithm::Hmac256) => written(SHARED, random),
        (SecretForm::StandardWebhooks, SignatureAlgorithm::Ed25519) => {
            written(PAIR, &Zeroizing::new(SigningKey::from_bytes(random).to_keypair_bytes())[..])
        }
        (SecretForm::Text, _) => hex::encode(random),
    };
    Some(Secret::new(text))
}

/// The `whpk_…` with which receivers verify what a `whsk_…` signs; `None` for every other secret.
pub fn public_form(secret: &Secret<String>) -> Option<String> {
    match Key::read(secret) {
        Ok(Key::Pair(pair)) => Some(written(PUBLIC, pair.verifying_key().as_bytes())),
        Ok(Key::Shared(_) | Key::Public(_)) | Err(_) => None,
    }
}

fn written(prefix: &str, bytes: &[u8]) -> String {
    let mut text = String::with_capacity(prefix.len() + bytes.len().div_ceil(3) * 4);
    text.push_str(prefix);
    STANDARD.encode_string(bytes, &mut text);
    text
}

/// A secret of the Standard Webhooks forms, ready for use.
pub(crate) enum Key {
    /// Signs and verifies `v1`.
    Shared(Hmac<Sha256>),
    /// Signs and verifies `v1a`.
    Pair(SigningKey),
    /// Verifies `v1a`.
    Public(VerifyingKey),
}

/// Why a secret is no key; never shows the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("a shared secret must be `whsec_` and base64, with padding, of 24 to 75 bytes")]
    Shared,
    #[error("a key pair must be `whsk_` and base64, with padding, of 64 bytes: the secret half, then the public half")]
    Pair,
    #[error("the halves of this `whsk_` key pair do not belong to each other")]
    Mismatch,
    #[error("a public key must be `whpk_` and base64, with padding, of 32 bytes that are an Ed25519 public key")]
    Public,
}

impl Key {
    /// Reads `whsec_…`, `whsk_…`, `whpk_…`, or the bare base64 of a shared key, which Svix takes as well.
    pub(crate) fn read(secret: &Secret<String>) -> Result<Self, KeyError> {
        let text = secret.expose();
        let mut buffer = Zeroizing::new([0; LONGEST_BASE64]);
        if let Some(base64) = text.strip_prefix(PAIR) {
            let bytes = decode(base64, &mut buffer).and_then(|bytes| bytes.try_into().ok()).ok_or(KeyError::Pair)?;
            return SigningKey::from_keypair_bytes(bytes).map(Self::Pair).map_err(|_| KeyError::Mismatch);
        }
        if let Some(base64) = text.strip_prefix(PUBLIC) {
            let bytes = decode(base64, &mut buffer).and_then(|bytes| bytes.try_into().ok()).ok_or(KeyError::Public)?;
            let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::Public)?;
            // Under a key of small order a signature can be made that fits many messages.
            return if key.is_weak() { Err(KeyError::Public) } else { Ok(Self::Public(key)) };
        }
        // Supabase shows its secrets with the version of the signature in front.
        let base64 = text.strip_prefix("v1,whsec_").or_else(|| text.strip_prefix(SHARED)).unwrap_or(text);
        let bytes = decode(base64, &mut buffer).filter(|bytes| SHARED_BYTES.contains(&bytes.len()));
        let mac = Hmac::new_from_slice(bytes.ok_or(KeyError::Shared)?).expect("HMAC takes keys of any length");
        Ok(Self::Shared(mac))
    }
}

fn decode<'a>(base64: &str, buffer: &'a mut [u8; LONGEST_BASE64]) -> Option<&'a [u8]> {
    if base64.len() > LONGEST_BASE64 {
        return None;
    }
    let length = STANDARD.decode_slice(base64, buffer).ok()?;
    Some(&buffer[..length])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: impl Into<String>) -> Result<Key, KeyError> {
        Key::read(&Secret::new(text.into()))
    }

    fn of_bytes(prefix: &str, length: usize) -> String {
        written(prefix, &vec![7; length])
    }

    #[test]
    fn shared_keys_have_24_to_75_bytes() {
        for (length, fine) in
            [(0, false), (23, false), (24, true), (32, true), (75, true), (76, false), (10_000, false)]
        {
            for prefix in [SHARED, "", "v1,whsec_"] {
                let key = read(of_bytes(prefix, length));
                assert_eq!(matches!(key, Ok(Key::Shared(_))), fine, "{prefix} and {length} bytes");
            }
        }
    }

    #[test]
    fn what_is_not_canonical_base64_is_no_key() {
        for text in [
            "",
            "whsec_",
            "a secret",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw=",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-_",
            "WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ] {
            assert_eq!(read(text).err(), Some(KeyError::Shared), "{text}");
        }
    }

    #[test]
    fn the_halves_of_a_pair_belong_together() {
        let pair = SigningKey::from_bytes(&[1; 32]).to_keypair_bytes();
        assert!(matches!(read(written(PAIR, &pair)), Ok(Key::Pair(_))));
        let mut mixed = pair;
        mixed[32..].copy_from_slice(SigningKey::from_bytes(&[2; 32]).verifying_key().as_bytes());
        assert_eq!(read(written(PAIR, &mixed)).err(), Some(KeyError::Mismatch));
        assert_eq!(read(of_bytes(PAIR, 32)).err(), Some(KeyError::Pair));
        assert_eq!(read(of_bytes(PUBLIC, 31)).err(), Some(KeyError::Public));
    }

    #[test]
    fn a_public_key_of_small_order_is_no_key() {
        let mut identity = [0; 32];
        identity[0] = 1;
        assert_eq!(read(written(PUBLIC, &identity)).err(), Some(KeyError::Public));
    }

    #[test]
    fn generated_secrets_have_the_form_that_was_asked_for() {
        let make = |form, algorithm| generate(form, algorithm, &[9; 32]);
        assert_eq!(make(SecretForm::None, SignatureAlgorithm::Hmac256), None);
        let shared = make(SecretForm::StandardWebhooks, SignatureAlgorithm::Hmac256).expect("a secret");
        assert!(shared.expose().starts_with("whsec_CQkJ"));
        assert!(matches!(Key::read(&shared), Ok(Key::Shared(_))));
        assert_eq!(public_form(&shared), None);
        let text = make(SecretForm::Text, SignatureAlgorithm::Ed25519).expect("a secret");
        assert_eq!(text.expose(), &"09".repeat(32));
    }

    #[test]
    fn the_public_form_verifies_what_the_pair_signs() {
        // RFC 8032, section 7.1, test 1.
        let seed = hex::decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").expect("hex");
        let public = hex::decode("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a").expect("hex");
        let seed = seed.try_into().expect("32 bytes");
        let pair = generate(SecretForm::StandardWebhooks, SignatureAlgorithm::Ed25519, &seed).expect("a secret");
        assert!(pair.expose().starts_with(PAIR));
        let public_text = public_form(&pair).expect("a public half");
        assert_eq!(public_text, written(PUBLIC, &public));
        assert!(matches!(read(public_text), Ok(Key::Public(_))));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(whsec_|whsk_|whpk_|v1,whsec_)?[A-Za-z0-9+/=]{0,120}|.{0,120}") {
            let _ = public_form(&Secret::new(text));
        }

        #[test]
        fn every_generated_secret_is_a_key(random: [u8; 32]) {
            for algorithm in [SignatureAlgorithm::Hmac256, SignatureAlgorithm::Ed25519] {
                let secret = generate(SecretForm::StandardWebhooks, algorithm, &random).expect("the form signs");
                prop_assert!(Key::read(&secret).is_ok());
            }
        }
    }
}
