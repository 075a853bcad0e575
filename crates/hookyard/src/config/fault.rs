//! What is wrong with a configuration, all of it at once.
//!
//! Filled by every reader of settings and files, rendered once by the command that asked. A fault says where, which key,
//! what was given and what is allowed; it never shows a secret.

use std::fmt;
use std::sync::Arc;

/// Faults that a report spells out; a file of garbage must not scroll the first one away.
const SHOWN: usize = 50;

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// In a file; lines and columns count from 1, columns in characters.
    File {
        /// The name as the operator gave it.
        file: Arc<str>,
        /// The line; 0 speaks of the file as a whole.
        line: usize,
        /// The column.
        column: usize,
    },
    /// In an environment variable.
    Environment(String),
    /// In a flag, `--` included.
    Flag(String),
    /// Nowhere: it is the default.
    Default,
}

impl Place {
    /// The file as a whole.
    pub(crate) fn whole(file: &Arc<str>) -> Self {
        Self::File { file: Arc::clone(file), line: 0, column: 0 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line: 0, .. } => f.write_str(file),
            Self::File { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::Environment(name) => write!(f, "environment `{name}`"),
            Self::Flag(name) => write!(f, "flag `{name}`"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    place: Place,
    key: String,
    what: String,
    hint: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", quoted(&self.key))?;
        }
        f.write_str(&self.what)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

/// Everything that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    /// The report of one fault that no key has.
    pub(crate) fn from_one(place: &Place, what: impl fmt::Display) -> Self {
        let mut faults = Self::default();
        faults.add(place, "", what);
        faults
    }

    /// Notes a fault of `key` at `place`.
    pub(crate) fn add(&mut self, place: &Place, key: &str, what: impl fmt::Display) {
        self.push(place, key, &what.to_string(), None);
    }

    /// Notes a fault for which there is one thing to do.
    pub(crate) fn add_with_hint(&mut self, place: &Place, key: &str, what: impl fmt::Display, hint: impl fmt::Display) {
        self.push(place, key, &what.to_string(), Some(&hint.to_string()));
    }

    /// Other crates' errors quote what they were given as it is, so what they say is made fit for a terminal here.
    fn push(&mut self, place: &Place, key: &str, what: &str, hint: Option<&str>) {
        let (what, hint) = (printable(what), hint.map(printable));
        self.0.push(Fault { place: place.clone(), key: key.to_owned(), what, hint });
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each thing that is wrong, with its place.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Place, &Fault)> {
        self.0.iter().map(|fault| (&fault.place, fault))
    }

    /// How many things are wrong.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// `value` if nothing is wrong, else the report in the order of the file.
    pub(crate) fn or<T>(mut self, value: T) -> Result<T, Self> {
        if self.is_empty() {
            return Ok(value);
        }
        self.0.sort_by(|a, b| a.place.cmp(&b.place));
        Err(self)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        writeln!(f, "configuration has {count} {}", if count == 1 { "fault" } else { "faults" })?;
        for fault in self.0.iter().take(SHOWN) {
            writeln!(f, "{fault}")?;
        }
        if count > SHOWN {
            writeln!(f, "and {} more", count - SHOWN)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// The known name nearest to `given`, if any is near enough to be meant.
pub(crate) fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(given, name), name))
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// A stranger's text, short enough for one line and without anything that moves a terminal's cursor.
pub(crate) fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(64).collect();
    if text.chars().nth(64).is_some() {
        shown.push('…');
    }
    format!("`{}`", printable(&shown))
}

/// A text whose invisible characters are escaped; a report is made of lines, so line breaks count among them.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        // Between backticks, quotes and backslashes need no escape.
        if matches!(character, '"' | '\'' | '\\') {
            shown.push(character);
        } else {
            shown.extend(character.escape_debug());
        }
    }
    shown
}
