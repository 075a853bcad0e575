//! An endpoint's options: what its dialect lets it choose, by name.
//!
//! Checked here against what the dialect declares, so that a wrong name or choice is said when the endpoint is saved, and
//! read here by the dialects when they encode and sign.

use hookyard_model::{EndpointSettings, limits};

use crate::header::shown;
use crate::{Choices, OptionSpec, Outbound, SettingsError};

/// Refuses settings that could never be sent in the dialect; what passes can be encoded and signed.
pub fn check_settings(dialect: &dyn Outbound, settings: &EndpointSettings) -> Result<(), SettingsError> {
    let bytes: usize = settings.options.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > limits::OPTION_BYTES {
        let why = format!("takes {bytes} bytes, at most {} are allowed", limits::OPTION_BYTES);
        return Err(SettingsError { field: "options".to_owned(), why });
    }
    for (name, value) in &settings.options {
        check(dialect.options(), name, value)
            .map_err(|why| SettingsError { field: format!("options.{}", shown(name)), why })?;
    }
    dialect.check(settings)
}

fn check(specs: &[OptionSpec], name: &str, value: &str) -> Result<(), String> {
    let Some(spec) = specs.iter().find(|spec| covers(spec, name)) else {
        let known: Vec<String> = specs.iter().map(|spec| format!("`{}`", spec.name)).collect();
        return Err(if known.is_empty() {
            "is no option: this dialect has none".to_owned()
        } else {
            format!("is no option of this dialect, which has {}", known.join(", "))
        });
    };
    match spec.choices {
        Choices::Text => Ok(()),
        Choices::OneOf(choices) if choices.contains(&value) => Ok(()),
        Choices::OneOf(choices) => Err(format!("is `{}`, must be one of `{}`", shown(value), choices.join("`, `"))),
    }
}

fn covers(spec: &OptionSpec, name: &str) -> bool {
    match spec.name.strip_suffix('*') {
        Some(table) => name.strip_prefix(table).is_some_and(|rest| !rest.is_empty()),
        None => spec.name == name,
    }
}

/// The endpoint's choice, where it made one.
pub(crate) fn given<'a>(settings: &'a EndpointSettings, spec: &OptionSpec) -> Option<&'a str> {
    settings.options.get(spec.name).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECS: [OptionSpec; 2] = [
        OptionSpec { name: "encoding", choices: Choices::OneOf(&["hex", "base64"]), default: "hex", meaning: "." },
        OptionSpec { name: "headers.*", choices: Choices::Text, default: "none", meaning: "." },
    ];

    #[test]
    fn names_and_choices_are_checked() {
        assert_eq!(check(&SPECS, "encoding", "hex"), Ok(()));
        assert_eq!(check(&SPECS, "headers.X-Team", "red"), Ok(()));
        let refused = |name, value, expected: &str| {
            assert_eq!(check(&SPECS, name, value).expect_err("refused"), expected);
        };
        refused("encoding", "octal", "is `octal`, must be one of `hex`, `base64`");
        refused("headers.", "x", "is no option of this dialect, which has `encoding`, `headers.*`");
        refused("encodin", "hex", "is no option of this dialect, which has `encoding`, `headers.*`");
        assert_eq!(check(&[], "x", "y").expect_err("refused"), "is no option: this dialect has none");
    }
}
