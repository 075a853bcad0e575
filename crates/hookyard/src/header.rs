//! Which headers an endpoint may set, whoever declares it: a file, or a program that embeds Hookyard.
//!
//! What the dialect says about headers is its own check; here is what HTTP and the transport say about all of them.

use hookyard_model::{Secret, limits};
use http::{HeaderName, HeaderValue};

/// Whether a header can be sent. The error does not show its value, which may be a credential.
pub(crate) fn check(name: &str, value: &Secret<String>) -> Result<(), String> {
    let value = value.expose();
    let what = if name.parse::<HeaderName>().is_err() {
        "is not a header name (letters, digits and dashes)"
    } else if hookyard_dialects::transport_header(name) {
        "is the transport's own header and cannot be set"
    } else if value.len() > limits::HEADER_VALUE_BYTES {
        return Err(format!("is longer than {} bytes", limits::HEADER_VALUE_BYTES));
    } else if value.contains(['\r', '\n', '\0']) {
        "holds a line break or a zero byte, which would end the header"
    } else if HeaderValue::from_str(value).is_err() {
        "holds a control character, which no header may"
    } else {
        return Ok(());
    };
    Err(what.to_owned())
}
