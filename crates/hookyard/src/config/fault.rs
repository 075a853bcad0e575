//! What is wrong with a configuration, all of it at once, and what is only strange.
//!
//! Filled by every reader of settings and files, rendered once by the command that asked. A fault says where, which key,
//! what was given and what is allowed; it never shows a secret. A warning has the same form and stops nothing.

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

impl Fault {
    /// Other crates' errors quote what they were given as it is, so what they say is made fit for a terminal here.
    fn new(place: &Place, key: &str, what: &str, hint: Option<&str>) -> Self {
        Self { place: place.clone(), key: key.to_owned(), what: printable(what), hint: hint.map(printable) }
    }

    /// What is wrong in one line, and the one thing to do about it.
    pub(crate) fn parts(&self) -> (String, Option<&str>) {
        let key = if self.key.is_empty() { String::new() } else { format!("{}: ", quoted(&self.key)) };
        (format!("{}: {key}{}", self.place, self.what), self.hint.as_deref())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (said, hint) = self.parts();
        f.write_str(&said)?;
        if let Some(hint) = hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

/// Everything that is wrong, and everything that is strange.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Faults {
    faults: Vec<Fault>,
    warnings: Warnings,
}

/// Everything that is strange and counts nevertheless, in the order of the files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Warnings(Vec<Fault>);

impl Warnings {
    /// Each of them, and what was probably meant.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (String, Option<&str>)> {
        self.0.iter().map(Fault::parts)
    }

    /// Writes each into the log.
    pub(crate) fn log(&self) {
        for Fault { place, key, what, hint } in &self.0 {
            tracing::warn!(%place, key, hint, "{what}");
        }
    }
}

impl Faults {
    /// The report of one fault that no key has.
    pub(crate) fn from_one(place: &Place, what: impl fmt::Display) -> Self {
        let mut faults = Self::default();
        faults.add(place, "", what);
        faults
    }

    /// Notes a fault of `key` at `place`.
    pub(crate) fn add(&mut self, place: &Place, key: &str, what: impl fmt::Display) {
        self.faults.push(Fault::new(place, key, &what.to_string(), None));
    }

    /// Notes a fault for which there is one thing to do.
    pub(crate) fn add_with_hint(&mut self, place: &Place, key: &str, what: impl fmt::Display, hint: impl fmt::Display) {
        self.faults.push(Fault::new(place, key, &what.to_string(), Some(&hint.to_string())));
    }

    /// Notes something strange of `key` at `place`, and what was probably meant.
    pub(crate) fn warn(&mut self, place: &Place, key: &str, what: impl fmt::Display, hint: Option<&str>) {
        self.warnings.0.push(Fault::new(place, key, &what.to_string(), hint));
    }

    /// Takes over what another report has.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.faults.append(&mut other.faults);
        self.warnings.0.append(&mut other.warnings.0);
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// Each thing that is wrong, with its place.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Place, &Fault)> {
        self.faults.iter().map(|fault| (&fault.place, fault))
    }

    /// How many things are wrong.
    pub(crate) fn count(&self) -> usize {
        self.faults.len()
    }

    /// `value` if nothing is wrong, else the report in the order of the file.
    pub(crate) fn or<T>(self, value: T) -> Result<T, Self> {
        self.or_else(|_| value)
    }

    /// What `make` makes of the warnings if nothing is wrong, else the report in the order of the file.
    pub(crate) fn or_else<T>(mut self, make: impl FnOnce(Warnings) -> T) -> Result<T, Self> {
        let in_order = |faults: &mut Vec<Fault>| faults.sort_by(|a, b| a.place.cmp(&b.place));
        in_order(&mut self.warnings.0);
        if self.is_empty() {
            return Ok(make(self.warnings));
        }
        in_order(&mut self.faults);
        Err(self)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.faults.len();
        writeln!(f, "configuration has {count} {}", if count == 1 { "fault" } else { "faults" })?;
        for fault in self.faults.iter().take(SHOWN) {
            writeln!(f, "{fault}")?;
        }
        if count > SHOWN {
            writeln!(f, "and {} more", count - SHOWN)?;
        }
        self.warnings.fmt(f)
    }
}

impl fmt::Display for Warnings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for warning in self.0.iter().take(SHOWN) {
            writeln!(f, "warning: {warning}")?;
        }
        if self.0.len() > SHOWN {
            writeln!(f, "and {} more warnings", self.0.len() - SHOWN)?;
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
