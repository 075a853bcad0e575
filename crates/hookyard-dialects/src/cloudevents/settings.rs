//! What an endpoint may choose, and what it may not set.

use hookyard_model::{EndpointSettings, limits};

use crate::header::{self, named, shown};
use crate::{Choices, OptionSpec, SettingsError, option};

pub(super) static MODE: OptionSpec = OptionSpec {
    name: "mode",
    choices: Choices::OneOf(&["structured", "binary"]),
    default: "structured",
    meaning: "Whether an event is one JSON object, or `ce-*` headers with the payload as body.",
};
pub(super) static SOURCE: OptionSpec = OptionSpec {
    name: "source",
    choices: Choices::Text,
    default: "urn:hookyard: and the application's id",
    meaning: "The events' `source`, a URI or a relative reference.",
};
pub(super) static TYPE_PREFIX: OptionSpec = OptionSpec {
    name: "type_prefix",
    choices: Choices::Text,
    default: "nothing",
    meaning: "What stands before the event type in `type`, such as `com.example.`.",
};
pub(super) static SUBJECT: OptionSpec = OptionSpec {
    name: "subject",
    choices: Choices::Text,
    default: "none",
    meaning: "The events' `subject`, the same for all of them.",
};
pub(super) static OPTIONS: [OptionSpec; 4] = [MODE, SOURCE, TYPE_PREFIX, SUBJECT];

/// Refuses attributes that the standard does not allow, and headers that would say something else than the event does.
pub(super) fn check(endpoint: &EndpointSettings) -> Result<(), SettingsError> {
    header::check(&endpoint.headers)?;
    if let Some(pair) = endpoint.headers.iter().find(|pair| named(&pair.name, &["content-type"], &["ce-"])) {
        let why = format!("`{}` is part of the event and cannot be set", shown(&pair.name));
        return Err(header::refused(why));
    }
    for spec in [&SOURCE, &TYPE_PREFIX, &SUBJECT] {
        if let Some(why) = option::given(endpoint, spec).and_then(fault) {
            return Err(SettingsError { field: format!("options.{}", spec.name), why });
        }
    }
    match option::given(endpoint, &SOURCE) {
        Some(source) if !is_reference(source) => {
            let why = "must be a URI or a relative reference, such as `https://example.com/shop` or `/shop`";
            Err(SettingsError { field: "options.source".to_owned(), why: why.to_owned() })
        }
        Some(_) | None => Ok(()),
    }
}

fn fault(text: &str) -> Option<String> {
    if text.is_empty() || text.len() > limits::NAME_BYTES {
        Some(format!("must have 1 to {} bytes; leave it out for its default", limits::NAME_BYTES))
    } else if text.chars().any(char::is_control) {
        Some("has a line break or another control character; only text is allowed".to_owned())
    } else {
        None
    }
}

/// Whether only characters stand in it that a URI may have (RFC 3986, section 2); where they stand is its owner's to know.
fn is_reference(text: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let fine = match byte {
            b'%' => {
                let mut is_digit = || bytes.next().is_some_and(|digit| digit.is_ascii_hexdigit());
                is_digit() && is_digit()
            }
            _ => byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(&byte),
        };
        if !fine {
            return false;
        }
    }
    true
}
