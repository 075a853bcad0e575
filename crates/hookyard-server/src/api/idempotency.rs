//! The header `idempotency-key`.
//!
//! A key counts for one kind of operation on one thing, for twelve hours. The store remembers it in the transaction of
//! what it guards, so that a repeat cannot slip in between, not even across a restart.

use axum::http::HeaderMap;
use hookyard_accept::RepeatKey;
use hookyard_model::limits;
use sha2::{Digest, Sha256};

use crate::error::{ApiError, Result};

/// The key that the caller gave.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<&str>> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=limits::IDEMPOTENCY_KEY_BYTES).contains(&key.len()));
    key.map(Some).ok_or_else(|| {
        ApiError::value(
            ["header", "idempotency-key"],
            format!("an idempotency key is 1 to {} visible ASCII characters", limits::IDEMPOTENCY_KEY_BYTES),
        )
    })
}

/// A key in its scope (the operation and what the path names within the application), with what was asked under it.
pub(crate) fn repeat(scope: &str, key: &str, body: [u8; 32]) -> RepeatKey {
    RepeatKey::idempotency(format!("{scope} {key}"), body)
}

/// A hash of what was asked.
pub(crate) fn fingerprint(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_a_limit_at_its_edge() {
        let headers = |key: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("idempotency-key", key.parse().expect("a header value"));
            headers
        };
        let longest = "k".repeat(limits::IDEMPOTENCY_KEY_BYTES);
        assert_eq!(key(&headers(&longest)).ok(), Some(Some(longest.as_str())));
        assert!(key(&headers(&format!("{longest}k"))).is_err());
        assert!(key(&headers("")).is_err());
        assert_eq!(key(&HeaderMap::new()).ok(), Some(None));
    }
}
