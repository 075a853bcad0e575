//! Seals what must not be readable in a stolen database.
//!
//! XChaCha20-Poly1305; the place where a value is kept (table, row, revision) is authenticated with it, so that a sealed
//! value that was copied to another row does not open there. The nonce is random: 24 bytes never repeat in practice.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hookyard_model::Secret;
use hookyard_ports::Rng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The form that is written; a later one gets another number.
const FORM: u8 = 1;
const NONCE_BYTES: usize = 24;
/// What makes a key of ours different from any other hash of the same secret.
const DOMAIN: &[u8] = b"hookyard main secret, key for sealing rows, 1\0";

/// The keys that rows are sealed with: the first seals, all open.
pub struct Keyring {
    ciphers: Vec<XChaCha20Poly1305>,
}

/// Why there is no keyring.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// No secret at all.
    #[error("`main_secret` is empty, at least one secret is needed")]
    Empty,
    /// One of the secrets is empty.
    #[error("entry {0} of `main_secret` is empty")]
    EmptyEntry(usize),
}

/// Why a sealed value does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It is not in a form that this version knows.
    #[error("sealed value has an unknown form")]
    Form,
    /// No key opens it: another `main_secret`, or it was changed or moved.
    #[error("no entry of `main_secret` opens the sealed value")]
    Key,
}

/// Where a sealed value is kept.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The table.
    pub table: &'a str,
    /// The row's own id, which stays the same when rows are copied to another store.
    pub id: &'a [u8],
    /// The row's revision, 0 where it has none.
    pub revision: u64,
}

impl Place<'_> {
    /// The place as bytes, each part after its length, so that no two places have the same.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(24 + self.table.len() + self.id.len());
        for part in [self.table.as_bytes(), self.id] {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes.extend_from_slice(&self.revision.to_be_bytes());
        bytes
    }
}

impl Keyring {
    /// Derives one key from each secret.
    pub fn from_secrets(secrets: &[Secret<String>]) -> Result<Self, KeyringError> {
        if secrets.is_empty() {
            return Err(KeyringError::Empty);
        }
        let mut ciphers = Vec::with_capacity(secrets.len());
        for (index, secret) in secrets.iter().enumerate() {
            if secret.expose().is_empty() {
                return Err(KeyringError::EmptyEntry(index + 1));
            }
            let hash = Sha256::new().chain_update(DOMAIN).chain_update(secret.expose().as_bytes()).finalize();
            let key = Zeroizing::new(<[u8; 32]>::from(hash));
            ciphers.push(XChaCha20Poly1305::new((&*key).into()));
        }
        Ok(Self { ciphers })
    }

    /// Seals `plain` for `place` with the first key.
    pub fn seal(&self, place: &Place<'_>, plain: &[u8], rng: &dyn Rng) -> Vec<u8> {
        let mut nonce = [0; NONCE_BYTES];
        rng.fill(&mut nonce);
        let sealed = self.ciphers[0]
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: &place.bytes() })
            .expect("only a plain text above 256 GiB cannot be sealed");
        let mut bytes = Vec::with_capacity(1 + NONCE_BYTES + sealed.len());
        bytes.push(FORM);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&sealed);
        bytes
    }

    /// Opens what was sealed for `place` with any of the keys.
    pub fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (form, rest) = sealed.split_first().ok_or(SealError::Form)?;
        if *form != FORM {
            return Err(SealError::Form);
        }
        let (nonce, text) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Form)?;
        let (nonce, place) = (XNonce::from(*nonce), place.bytes());
        self.ciphers
            .iter()
            .find_map(|cipher| cipher.decrypt(&nonce, Payload { msg: text, aad: &place }).ok())
            .map(Zeroizing::new)
            .ok_or(SealError::Key)
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").field("keys", &self.ciphers.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use hookyard_ports::SystemRng;
    use proptest::prelude::*;

    use super::*;

    fn keyring(secrets: &[&str]) -> Keyring {
        let secrets: Vec<_> = secrets.iter().map(|secret| Secret::new((*secret).to_owned())).collect();
        Keyring::from_secrets(&secrets).expect("secrets")
    }

    const PLACE: Place<'static> = Place { table: "endpoint", id: b"id", revision: 3 };

    #[test]
    fn the_first_key_seals_and_every_key_opens() {
        let old = keyring(&["old"]).seal(&PLACE, b"plain", &SystemRng);
        let both = keyring(&["new", "old"]);
        assert_eq!(both.open(&PLACE, &old).expect("opens").as_slice(), b"plain");
        let new = both.seal(&PLACE, b"plain", &SystemRng);
        assert_eq!(keyring(&["new"]).open(&PLACE, &new).expect("opens").as_slice(), b"plain");
        assert_eq!(keyring(&["old"]).open(&PLACE, &new), Err(SealError::Key));
    }

    #[test]
    fn a_value_does_not_open_in_another_place() {
        let keys = keyring(&["a"]);
        let sealed = keys.seal(&PLACE, b"plain", &SystemRng);
        for place in [
            Place { table: "source", ..PLACE },
            Place { id: b"ie", ..PLACE },
            Place { revision: 4, ..PLACE },
            Place { table: "endpoin", id: b"tid", revision: 3 },
        ] {
            assert_eq!(keys.open(&place, &sealed), Err(SealError::Key), "{place:?}");
        }
    }

    #[test]
    fn an_empty_secret_is_refused() {
        assert_eq!(Keyring::from_secrets(&[]).map(|_| ()), Err(KeyringError::Empty));
        let secrets = [Secret::new("a".to_owned()), Secret::new(String::new())];
        assert_eq!(Keyring::from_secrets(&secrets).map(|_| ()), Err(KeyringError::EmptyEntry(2)));
    }

    proptest! {
        #[test]
        fn a_changed_byte_does_not_open(plain: Vec<u8>, at: prop::sample::Index, bit in 0u8..8) {
            let keys = keyring(&["a"]);
            let mut sealed = keys.seal(&PLACE, &plain, &SystemRng);
            let at = at.index(sealed.len());
            sealed[at] ^= 1 << bit;
            prop_assert!(keys.open(&PLACE, &sealed).is_err());
        }

        #[test]
        fn any_bytes_are_opened_or_refused(bytes: Vec<u8>) {
            prop_assert!(keyring(&["a"]).open(&PLACE, &bytes).is_err());
        }
    }
}
