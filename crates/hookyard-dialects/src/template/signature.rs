//! Signs by a *signature template*: which header, what before the digest, which hash, and what is covered.
//!
//! Called for every attempt. The content comes in parts and is never copied together. There is room for one signature, so
//! of several keys the newest that counts signs; the key is the secret's UTF-8 bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use hookyard_model::{Secret, SigningKeys, Timestamp, limits};
use http::{HeaderMap, HeaderName, HeaderValue};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use crate::EncodeError;
use crate::header::shown;

/// What an endpoint says about its signature.
pub(super) struct Signature<'a> {
    pub(super) header: HeaderName,
    pub(super) prefix: Content<'a>,
    pub(super) encoding: Encoding,
    pub(super) algorithm: Algorithm,
    pub(super) content: Content<'a>,
    pub(super) timestamp_header: Option<HeaderName>,
}

/// How the digest is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Hex,
    Base64,
}

impl Encoding {
    /// Reads a choice that the option's own rule has let through.
    pub(super) fn read(choice: &str) -> Self {
        if choice == "base64" { Self::Base64 } else { Self::Hex }
    }
}

/// The hash of the HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Sha1,
    Sha256,
    Sha512,
}

impl Algorithm {
    /// Reads a choice that the option's own rule has let through.
    pub(super) fn read(choice: &str) -> Self {
        match choice {
            "sha1" => Self::Sha1,
            "sha512" => Self::Sha512,
            _ => Self::Sha256,
        }
    }

    fn digest(self, secret: &Secret<String>, parts: &[&[u8]]) -> Vec<u8> {
        macro_rules! digest {
            ($hash:ty) => {{
                let key = secret.expose().as_bytes();
                let mut mac = Hmac::<$hash>::new_from_slice(key).expect("HMAC takes keys of any length");
                for part in parts {
                    mac.update(part);
                }
                mac.finalize().into_bytes().to_vec()
            }};
        }
        match self {
            Self::Sha1 => digest!(Sha1),
            Self::Sha256 => digest!(Sha256),
            Self::Sha512 => digest!(Sha512),
        }
    }
}

/// A part of what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part<'a> {
    Literal(&'a str),
    Body,
    Timestamp,
    Id,
}

/// Literals and placeholders, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content<'a>(Vec<Part<'a>>);

impl<'a> Content<'a> {
    /// Reads a text in which every `{` begins a placeholder.
    pub(super) fn read(text: &'a str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once('{') {
            if !literal.is_empty() {
                parts.push(Part::Literal(literal));
            }
            let (name, after) = after.split_once('}').ok_or("has a `{` without its `}`")?;
            parts.push(match name {
                "body" => Part::Body,
                "timestamp" => Part::Timestamp,
                "id" => Part::Id,
                _ => return Err(format!("`{{{}}}` is none of `{{body}}`, `{{timestamp}}` and `{{id}}`", shown(name))),
            });
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest));
        }
        Ok(Self(parts))
    }

    fn has(&self, part: Part<'_>) -> bool {
        self.0.contains(&part)
    }

    /// Refuses what cannot stand before a digest in a header.
    pub(super) fn check_prefix(&self) -> Result<(), &'static str> {
        if self.has(Part::Body) {
            return Err("cannot hold `{body}`; there are `{timestamp}` and `{id}`");
        }
        let literal = |part: &Part<'_>| match part {
            Part::Literal(text) => Some(text.len()).filter(|_| HeaderValue::from_str(text).is_ok()),
            Part::Body | Part::Timestamp | Part::Id => Some(0),
        };
        let length: Option<usize> = self.0.iter().map(literal).sum();
        match length {
            None => Err("has a line break or another control character; only text is allowed"),
            // The digest and what stands for the placeholders need far less than the other half.
            Some(length) if length > limits::HEADER_VALUE_BYTES / 2 => {
                Err("is too long for a header, at most 2048 bytes")
            }
            Some(_) => Ok(()),
        }
    }

    fn bytes<'b>(&'b self, body: &'b [u8], timestamp: &'b str, id: &'b str) -> Vec<&'b [u8]> {
        let part = |part: &'b Part<'_>| match part {
            Part::Literal(text) => text.as_bytes(),
            Part::Body => body,
            Part::Timestamp => timestamp.as_bytes(),
            Part::Id => id.as_bytes(),
        };
        self.0.iter().map(part).collect()
    }
}

impl Signature<'_> {
    /// Refuses a signature that no receiver could verify.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.content.0.is_empty() {
            return Err("is empty, so that every request would have the same signature".to_owned());
        }
        let sent = self.timestamp_header.is_some() || self.prefix.has(Part::Timestamp);
        if self.content.has(Part::Timestamp) && !sent {
            return Err("covers `{timestamp}`, which the receiver is not told; name a header for it in \
                        `options.signature.timestamp_header`, or put it into `options.signature.prefix`"
                .to_owned());
        }
        Ok(())
    }

    pub(super) fn sign(
        &self,
        keys: &SigningKeys,
        now: Timestamp,
        id: &str,
        body: &[u8],
        headers: &mut HeaderMap,
    ) -> Result<(), EncodeError> {
        // To send it unsigned instead would look to the receiver like a forgery.
        let expired = || EncodeError("every signing key of the endpoint has expired".to_owned());
        let secret = keys.active(now).next().ok_or_else(expired)?;
        let timestamp = now.as_seconds().to_string();
        let digest = self.algorithm.digest(secret, &self.content.bytes(body, &timestamp, id));
        let mut value = self.prefix.bytes(b"", &timestamp, id).concat();
        value.extend_from_slice(
            match self.encoding {
                Encoding::Hex => hex::encode(digest),
                Encoding::Base64 => STANDARD.encode(digest),
            }
            .as_bytes(),
        );
        let value = HeaderValue::try_from(value)
            .map_err(|_| EncodeError("the signature's prefix has a control character".to_owned()))?;
        headers.insert(&self.header, value);
        if let Some(name) = &self.timestamp_header {
            headers.insert(name, HeaderValue::from(now.as_seconds()));
        }
        Ok(())
    }
}
