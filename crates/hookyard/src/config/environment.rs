//! The environment's variables, read once.
//!
//! Settings and `${VAR}` look here and nowhere else, so that a test can give its own.

use std::collections::BTreeMap;

/// Variables by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    variables: BTreeMap<String, Variable>,
}

/// A variable's value.
#[derive(Clone)]
enum Variable {
    Text(String),
    /// Not UTF-8; only a variable that is asked for is worth an error.
    Bytes,
}

impl std::fmt::Debug for Variable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Why a variable has no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum VariableError {
    /// It is not set, or empty.
    #[error("is not set, or empty")]
    Missing,
    /// Its bytes are not UTF-8.
    #[error("is not valid UTF-8")]
    NotUtf8,
}

impl Environment {
    /// The variables of this process.
    pub(crate) fn of_process() -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| {
                let value = value.into_string().map_or(Variable::Bytes, Variable::Text);
                Some((name.into_string().ok()?, value))
            })
            .collect();
        Self { variables }
    }

    /// A variable's text. Empty counts as not set, as compose files and unit files leave variables empty.
    pub(crate) fn get(&self, name: &str) -> Result<&str, VariableError> {
        match self.variables.get(name) {
            Some(Variable::Text(text)) if !text.is_empty() => Ok(text),
            Some(Variable::Bytes) => Err(VariableError::NotUtf8),
            Some(Variable::Text(_)) | None => Err(VariableError::Missing),
        }
    }

    /// The names that are set.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.keys().map(String::as_str)
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Self {
        let variables = variables.into_iter().map(|(name, text)| (name.to_owned(), Variable::Text(text.to_owned())));
        Self { variables: variables.collect() }
    }
}
