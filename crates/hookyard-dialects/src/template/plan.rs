//! What an endpoint's options ask for, read and checked against each other.
//!
//! Called when an endpoint is saved and again for every message, because settings are text; what the first call refuses
//! never reaches the second. That templates are Jinja is not asked here.

use std::collections::BTreeSet;

use hookyard_model::{EndpointSettings, limits};
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue};

use super::signature::{Algorithm, Content, Encoding, Signature};
use crate::header::{shown, transport_header};
use crate::{Encoded, SettingsError, credential_header};

/// The names of the options.
pub(super) mod options {
    pub(crate) const BODY: &str = "body";
    pub(crate) const CONTENT_TYPE: &str = "content_type";
    pub(crate) const HEADERS: &str = "headers.*";
    pub(crate) const SIGNATURE_HEADER: &str = "signature.header";
    pub(crate) const SIGNATURE_PREFIX: &str = "signature.prefix";
    pub(crate) const SIGNATURE_ENCODING: &str = "signature.encoding";
    pub(crate) const SIGNATURE_ALGORITHM: &str = "signature.algorithm";
    pub(crate) const SIGNATURE_CONTENT: &str = "signature.content";
    pub(crate) const SIGNATURE_TIMESTAMP_HEADER: &str = "signature.timestamp_header";
}

const HEADER_TABLE: &str = "headers.";
const SIGNATURE_TABLE: &str = "signature.";

/// The options, read.
pub(super) struct Plan<'a> {
    /// The template of the body.
    pub(super) body: Option<&'a str>,
    content_type: Option<HeaderValue>,
    /// The templates of further headers.
    pub(super) headers: Vec<(HeaderName, &'a str)>,
    pub(super) signature: Option<Signature<'a>>,
}

fn refused(option: &str, why: impl Into<String>) -> SettingsError {
    SettingsError { field: format!("options.{}", shown(option)), why: why.into() }
}

impl<'a> Plan<'a> {
    pub(super) fn read(settings: &'a EndpointSettings) -> Result<Self, SettingsError> {
        let given = |name: &str| settings.options.get(name).map(String::as_str);
        let content_type = given(options::CONTENT_TYPE)
            .map(|text| {
                let value = HeaderValue::try_from(text).ok().filter(|value| !value.is_empty());
                let why = "must be a media type on one line, such as `application/json`";
                value.ok_or_else(|| refused(options::CONTENT_TYPE, why))
            })
            .transpose()?;
        let mut headers = Vec::new();
        for (option, source) in &settings.options {
            if let Some(name) = option.strip_prefix(HEADER_TABLE) {
                headers.push((header_name(option, name)?, source.as_str()));
            }
        }
        if headers.len() > limits::ENDPOINT_HEADERS {
            let why = format!("{} headers, at most {} are allowed", headers.len(), limits::ENDPOINT_HEADERS);
            return Err(refused("headers", why));
        }
        Ok(Self { body: given(options::BODY), content_type, headers, signature: signature(settings)? })
    }

    /// Every Jinja template, under the name of its option.
    pub(super) fn templates(&self) -> impl Iterator<Item = (String, &'a str)> {
        let body = self.body.map(|source| (options::BODY.to_owned(), source));
        let headers = self.headers.iter().map(|(name, source)| (format!("{HEADER_TABLE}{name}"), *source));
        body.into_iter().chain(headers)
    }

    /// The media type, where it is not the payload's own.
    pub(super) fn content_type(&self, payload: &Encoded) -> Option<HeaderValue> {
        let json = || HeaderValue::from_static("application/json");
        let own = self.body.is_none() && payload.headers.contains_key(CONTENT_TYPE);
        self.content_type.clone().or_else(|| (!own).then(json))
    }

    /// Refuses what contradicts itself: one header twice, a secret without a place for the signature, or the reverse; and a
    /// credential where it would be shown.
    pub(super) fn check(&self, settings: &EndpointSettings) -> Result<(), SettingsError> {
        let mut names = BTreeSet::from([CONTENT_TYPE.as_str()]);
        for (name, _) in &self.headers {
            if *name == CONTENT_TYPE {
                return Err(refused("headers.content-type", "is what `options.content_type` says"));
            }
            if credential_header(name.as_str()) {
                let why = "carries a credential, and options are shown to whoever may read the endpoint; put it into the \
                           endpoint's own `headers`";
                return Err(refused(&format!("{HEADER_TABLE}{name}"), why));
            }
            if !names.insert(name.as_str()) {
                return Err(refused(&format!("{HEADER_TABLE}{name}"), "is there twice"));
            }
        }
        let Some(signature) = &self.signature else {
            if settings.keys.keys.is_empty() {
                return Ok(());
            }
            let why = "nothing says where a signature goes; name its header in `options.signature.header`, or leave the \
                       secret out";
            return Err(SettingsError { field: "secret".to_owned(), why: why.to_owned() });
        };
        if settings.keys.keys.is_empty() {
            let why = "needs something to sign with; give the endpoint a `secret`, or leave `signature` out";
            return Err(refused(options::SIGNATURE_HEADER, why));
        }
        let carriers = [
            (options::SIGNATURE_HEADER, Some(&signature.header)),
            (options::SIGNATURE_TIMESTAMP_HEADER, signature.timestamp_header.as_ref()),
        ];
        for (option, name) in carriers {
            let Some(name) = name else { continue };
            if !names.insert(name.as_str()) {
                return Err(refused(option, format!("`{name}` is a header of the endpoint already; choose another")));
            }
            if settings.headers.iter().any(|pair| pair.name.eq_ignore_ascii_case(name.as_str())) {
                let why = format!("`{name}` is among the endpoint's own `headers`, which would replace the signature");
                return Err(refused(option, why));
            }
        }
        signature.check().map_err(|why| refused(options::SIGNATURE_CONTENT, why))
    }
}

fn header_name(option: &str, name: &str) -> Result<HeaderName, SettingsError> {
    if transport_header(name) {
        return Err(refused(option, format!("`{}` belongs to the connection and cannot be set", shown(name))));
    }
    HeaderName::try_from(name)
        .map_err(|_| refused(option, format!("`{}` is not a header name (letters, digits and `-`)", shown(name))))
}

fn signature(settings: &EndpointSettings) -> Result<Option<Signature<'_>>, SettingsError> {
    let given = |name: &str| settings.options.get(name).map(String::as_str);
    let Some(header) = given(options::SIGNATURE_HEADER) else {
        let alone = settings.options.keys().find(|name| name.starts_with(SIGNATURE_TABLE));
        let why = "says how to sign, and nothing says where; name the header in `options.signature.header`";
        return alone.map_or(Ok(None), |option| Err(refused(option, why)));
    };
    let content =
        |option: &str, default| Content::read(given(option).unwrap_or(default)).map_err(|why| refused(option, why));
    let prefix = content(options::SIGNATURE_PREFIX, "")?;
    prefix.check_prefix().map_err(|why| refused(options::SIGNATURE_PREFIX, why))?;
    let timestamp_header = given(options::SIGNATURE_TIMESTAMP_HEADER)
        .map(|name| header_name(options::SIGNATURE_TIMESTAMP_HEADER, name))
        .transpose()?;
    Ok(Some(Signature {
        header: header_name(options::SIGNATURE_HEADER, header)?,
        prefix,
        encoding: given(options::SIGNATURE_ENCODING).map_or(Encoding::Hex, Encoding::read),
        algorithm: given(options::SIGNATURE_ALGORITHM).map_or(Algorithm::Sha256, Algorithm::read),
        content: content(options::SIGNATURE_CONTENT, "{body}")?,
        timestamp_header,
    }))
}
