//! Any receiver: headers and body from templates, and a signature from a *signature template*.
//!
//! The templates are Jinja's, rendered by `minijinja`; what they see is the message, its endpoint and its application,
//! never a clock and never a secret, so that every attempt sends the same bytes. A template ends within
//! [`TEMPLATE_FUEL`](hookyard_model::limits::TEMPLATE_FUEL) and
//! [`TEMPLATE_OUTPUT_BYTES`](hookyard_model::limits::TEMPLATE_OUTPUT_BYTES), whatever it says. The signature is no
//! Jinja: it is literals and three placeholders, because what is signed must be plain to whoever verifies it.
//!
//! Outbound only: how a request is verified depends on an endpoint's options, and a source has none.

mod filters;
mod meter;
mod metered;
mod plan;
mod render;
mod scan;
mod signature;
mod tokens;
mod value;
mod variables;

use bytes::Bytes;
use hookyard_model::{Endpoint, EndpointSettings, Message, Timestamp, limits};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};

use self::plan::{Plan, options};
use crate::{
    Choices, Dialect, EncodeError, Encoded, OptionSpec, Outbound, SettingsError, body_signature, header, payload,
};

/// The dialect.
pub(crate) static DIALECT: Dialect = Dialect {
    name: "template",
    summary: "Template: headers, body and signature as the endpoint's own templates say; it only sends.",
    outbound: Some(&Template),
    inbound: None,
    catalogue: &[],
};

/// What it does.
pub(crate) struct Template;

const fn text(name: &'static str, default: &'static str, meaning: &'static str) -> OptionSpec {
    OptionSpec { name, choices: Choices::Text, default, meaning }
}

static OPTIONS: [OptionSpec; 9] = [
    text(options::BODY, "the payload as it was published", "A Jinja template of the body."),
    text(
        options::CONTENT_TYPE,
        "`application/json`, or the payload's own where there is no `body`",
        "The body's media type.",
    ),
    text(
        options::HEADERS,
        "none",
        "Jinja templates of further headers, by name; a value is one line and no credential.",
    ),
    text(options::SIGNATURE_HEADER, "nothing is signed", "The header that carries the signature; it needs a secret."),
    text(options::SIGNATURE_PREFIX, "empty", "What stands before the digest; may hold `{timestamp}` and `{id}`."),
    OptionSpec {
        name: options::SIGNATURE_ENCODING,
        choices: Choices::OneOf(&["hex", "base64"]),
        default: "hex",
        meaning: "How the digest is written.",
    },
    OptionSpec {
        name: options::SIGNATURE_ALGORITHM,
        choices: Choices::OneOf(&["sha256", "sha512", "sha1"]),
        default: "sha256",
        meaning: "The hash of the HMAC; `sha1` is for receivers that know no other.",
    },
    text(
        options::SIGNATURE_CONTENT,
        "`{body}`",
        "What is signed: literals, `{body}`, `{timestamp}` (whole seconds of the attempt) and `{id}` (the message's).",
    ),
    text(options::SIGNATURE_TIMESTAMP_HEADER, "none", "The header that carries `{timestamp}`."),
];

impl Outbound for Template {
    fn options(&self) -> &'static [OptionSpec] {
        &OPTIONS
    }

    fn check(&self, endpoint: &EndpointSettings) -> Result<(), SettingsError> {
        header::check(&endpoint.headers)?;
        body_signature::check(endpoint)?;
        let plan = Plan::read(endpoint)?;
        for (name, source) in plan.templates() {
            let refused = |why| SettingsError { field: format!("options.{name}"), why };
            render::check(source).map_err(refused)?;
        }
        plan.check(endpoint)
    }

    fn encode(&self, message: &Message, endpoint: &Endpoint, _: u8) -> Result<Encoded, EncodeError> {
        let plan = Plan::read(&endpoint.settings).map_err(|error| EncodeError(error.to_string()))?;
        // Also asked where no template shows the payload: what was expunged is not sent in any form.
        let mut encoded = payload::encode(message)?;
        if let Some(content_type) = plan.content_type(&encoded) {
            encoded.headers.insert(CONTENT_TYPE, content_type);
        }
        if plan.body.is_none() && plan.headers.is_empty() {
            return Ok(encoded);
        }
        let variables = variables::of(message, endpoint, &encoded.body);
        let payload = encoded.body.len();
        for (name, source) in &plan.headers {
            let value = render::render(source, &variables, (payload, limits::HEADER_VALUE_BYTES))
                .map_err(|why| EncodeError(format!("template of header `{name}`: {why}")))?;
            encoded.headers.insert(name, header_value(name, &value)?);
        }
        if let Some(source) = plan.body {
            let body = render::render(source, &variables, (payload, limits::TEMPLATE_OUTPUT_BYTES))
                .map_err(|why| EncodeError(format!("template of the body: {why}")))?;
            encoded.body = Bytes::from(body);
        }
        Ok(encoded)
    }

    fn sign(
        &self,
        encoded: &Encoded,
        message: &Message,
        endpoint: &Endpoint,
        now: Timestamp,
        headers: &mut HeaderMap,
    ) -> Result<(), EncodeError> {
        let plan = Plan::read(&endpoint.settings).map_err(|error| EncodeError(error.to_string()))?;
        let Some(signature) = plan.signature else { return Ok(()) };
        signature.sign(&endpoint.settings.keys, now, &message.id.to_string(), &encoded.body, headers)
    }
}

fn header_value(name: &HeaderName, value: &[u8]) -> Result<HeaderValue, EncodeError> {
    HeaderValue::from_bytes(value).map_err(|_| {
        let why = "made a value with a line break or another control character; only text is allowed";
        EncodeError(format!("template of header `{name}`: {why}"))
    })
}

#[cfg(test)]
mod tests;
