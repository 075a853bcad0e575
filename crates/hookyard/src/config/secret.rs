//! Secrets that a file refers to instead of holding them: `${VAR}` and `secret_file`.
//!
//! Used wherever a secret stands, in `hookyard.toml` and for key settings. A secret is never part of a fault's text.

use std::path::Path;

use hookyard_model::Secret;

use super::document::{Document, Table, Value};
use super::environment::Environment;
use super::fault::Faults;
use crate::secret_file;

/// Bytes of a text with its variables in place; above every limit of what such a text is for.
const EXPANDED_BYTES: usize = 64 * 1024;

/// Reads a secret: a text in which `${VAR}` stands for a variable, or `{ secret_file = "…" }`.
pub(crate) fn read(value: Value<'_>, faults: &mut Faults) -> Option<Secret<String>> {
    if !value.is_table() {
        return value.parse(|text| expand(text, value.document().environment), faults).map(Secret::new);
    }
    let mut table = value.table(faults)?;
    let read = table.require("secret_file", faults).and_then(|path| read_file(&path, faults));
    table.finish(faults);
    read
}

/// Reads the secret of a table from `key` or from the file that `file_key` names; not both.
pub(crate) fn take(table: &mut Table<'_>, key: &str, file_key: &str, faults: &mut Faults) -> Option<Secret<String>> {
    let (direct, file) = (table.take(key), table.take(file_key));
    match (direct, file) {
        (Some(direct), Some(file)) => {
            file.fault(faults, format_args!("is given beside `{}`; keep one of them", direct.key));
            None
        }
        (Some(direct), None) => read(direct, faults),
        (None, Some(file)) => read_file(&file, faults),
        (None, None) => None,
    }
}

/// Reads the secret in the file that a value names.
pub(crate) fn read_file(value: &Value<'_>, faults: &mut Faults) -> Option<Secret<String>> {
    let Document { folder, environment, .. } = value.document();
    value.parse(|path| expand(path, environment).and_then(|path| content(&folder.join(path))), faults)
}

/// The secret in a file. The error says in one line what is wrong and names the file.
pub(crate) fn content(path: &Path) -> Result<Secret<String>, String> {
    secret_file::read(path).map_err(|error| format!("{:#}", anyhow::Error::new(error)))
}

/// Puts the values of variables in place of `${VAR}`; `$${` is a literal `${`.
pub(crate) fn expand(text: &str, environment: &Environment) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, after) = (&rest[..at], &rest[at + 2..]);
        if let Some(literal) = before.strip_suffix('$') {
            expanded.push_str(literal);
            expanded.push_str("${");
            rest = after;
            continue;
        }
        expanded.push_str(before);
        let (name, after) = after.split_once('}').ok_or("`${` has no closing `}` (write `$${` for a literal `${`)")?;
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err("`${…}` must hold the name of a variable of `A-Z a-z 0-9 _`".to_owned());
        }
        let value = environment.get(name).map_err(|error| format!("variable `{name}` {error}"))?;
        expanded.push_str(value);
        // A variable's value is taken as it is: expanding it again would let a secret name other variables.
        if expanded.len() > EXPANDED_BYTES {
            return Err(format!("is longer than {EXPANDED_BYTES} bytes with its variables"));
        }
        rest = after;
    }
    expanded.push_str(rest);
    if expanded.is_empty() {
        return Err("is empty".to_owned());
    }
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn expanded(text: &str) -> Result<String, String> {
        expand(text, &Environment::from([("A", "one"), ("B_2", "${A}"), ("EMPTY", "")]))
    }

    #[test]
    fn variables_stand_for_their_values() {
        for (text, expected) in [
            ("plain", "plain"),
            ("${A}", "one"),
            ("x${A}y${A}", "xoneyone"),
            ("${B_2}", "${A}"),
            ("$${A}", "${A}"),
            ("$A", "$A"),
            ("100$", "100$"),
        ] {
            assert_eq!(expanded(text), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_stands_for_nothing_is_refused_by_its_name() {
        for (text, expected) in [
            ("${C}", "variable `C` is not set, or empty"),
            ("${EMPTY}", "variable `EMPTY` is not set, or empty"),
            ("${A", "`${` has no closing `}` (write `$${` for a literal `${`)"),
            ("${}", "`${…}` must hold the name of a variable of `A-Z a-z 0-9 _`"),
            ("", "is empty"),
        ] {
            assert_eq!(expanded(text), Err(expected.to_owned()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_without_a_dollar_sign_stays(text in "[^$]{1,100}") {
            prop_assert_eq!(expanded(&text), Ok(text));
        }

        #[test]
        fn any_text_is_expanded_or_refused(text in "[$}{AB_ ]{0,40}") {
            let _ = expanded(&text);
        }
    }
}
