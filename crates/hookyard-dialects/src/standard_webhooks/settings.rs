//! Refuses settings of an endpoint that the scheme could never send.
//!
//! Called when an endpoint is saved. What passes here is signed on every attempt without an error.

use hookyard_model::EndpointSettings;

use super::Names;
use crate::secret::Key;
use crate::{SettingsError, header};

/// Svix's deny list; here because endpoints move between the two dialects and must stay valid.
const DENIED: [&str; 19] = [
    "age",
    "cache-control",
    "clear-site-data",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-type",
    "expires",
    "keep-alive",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailers",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "warning",
];
const DENIED_PREFIXES: [&str; 9] =
    ["svix-", "x-amz-", "x-amzn-", "x-azure-", "x-fd-", "x-gfe", "x-goog-", "x-google", "x-svix-"];

pub(crate) fn check(endpoint: &EndpointSettings, names: &'static Names) -> Result<(), SettingsError> {
    header::check(&endpoint.headers)?;
    for pair in &endpoint.headers {
        let name = pair.name.as_str();
        if header::named(name, &DENIED, &DENIED_PREFIXES) {
            let why = format!("`{}` cannot be set in dialects `standard` and `svix`", header::shown(name));
            return Err(header::refused(why));
        }
        if names.all().iter().any(|own| name.eq_ignore_ascii_case(own.as_str())) {
            let why = format!("`{}` carries the signature and cannot be set", header::shown(name));
            return Err(header::refused(why));
        }
    }
    for key in &endpoint.keys.keys {
        let refused = |why: String| SettingsError { field: "secret".to_owned(), why };
        match Key::read(&key.text) {
            Ok(Key::Shared(_) | Key::Pair(_)) => {}
            Ok(Key::Public(_)) => {
                return Err(refused("a public key, `whpk_…`, cannot sign; give the `whsk_…` it belongs to".to_owned()));
            }
            Err(error) => return Err(refused(error.to_string())),
        }
    }
    Ok(())
}
