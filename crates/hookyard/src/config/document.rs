//! A TOML file as a tree in which every value knows its place.
//!
//! The readers of settings, endpoints and sources take the keys they know out of a [`Table`] and call [`Table::finish`],
//! which refuses what is left. Nothing stops at the first fault: a value that cannot be read is noted and absent.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use hookyard_model::limits;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::environment::Environment;
use super::fault::{Faults, Place, nearest, quoted};

/// A file's text and what its values may refer to.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    /// The name as the operator gave it.
    pub(crate) file: Arc<str>,
    /// What relative paths in it start from.
    pub(crate) folder: &'a Path,
    /// What `${VAR}` stands for.
    pub(crate) environment: &'a Environment,
    text: &'a str,
    line_starts: Vec<usize>,
    /// How many characters begin before each [`CHUNK`] of the text: a file may be one long line, and every value in it has
    /// a column.
    characters: Vec<usize>,
}

const CHUNK: usize = 64;

impl<'a> Document<'a> {
    /// A document of this text; `path` is what the operator gave.
    pub(crate) fn new(path: &'a Path, text: &'a str, environment: &'a Environment) -> Self {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let sums = text.as_bytes().chunks(CHUNK).scan(0, |sum, chunk| {
            *sum += begun(chunk);
            Some(*sum)
        });
        let characters = std::iter::once(0).chain(sums).collect();
        let folder = path.parent().unwrap_or(Path::new(""));
        Self { file: path.display().to_string().into(), folder, environment, text, line_starts, characters }
    }

    /// The root table; empty when the file is not TOML, because what is read around an error is not what was meant.
    pub(crate) fn root<'d>(&'d self, faults: &mut Faults) -> Table<'d> {
        if self.text.len() > limits::CONFIG_FILE_BYTES {
            let what = format!("is longer than {} bytes", limits::CONFIG_FILE_BYTES);
            faults.add(&Place::whole(&self.file), "", what);
            return Table::empty(self);
        }
        let (root, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            faults.add(&self.place(error.span().map_or(0, |span| span.start)), "", error.message());
        }
        if !errors.is_empty() {
            return Table::empty(self);
        }
        let span = root.span();
        Table::new(self, String::new(), span, root.into_inner())
    }

    /// Where the byte at `offset` stands.
    pub(crate) fn place(&self, offset: usize) -> Place {
        let offset = offset.min(self.text.len());
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let column = self.characters_before(offset) - self.characters_before(self.line_starts[line - 1]) + 1;
        Place::File { file: Arc::clone(&self.file), line, column }
    }

    fn characters_before(&self, offset: usize) -> usize {
        let chunk = offset / CHUNK;
        self.characters[chunk] + begun(&self.text.as_bytes()[chunk * CHUNK..offset])
    }
}

/// How many characters begin in some bytes of UTF-8.
fn begun(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

/// A table whose known keys are taken out one by one.
#[derive(Debug)]
pub(crate) struct Table<'d> {
    document: &'d Document<'d>,
    path: String,
    span: Range<usize>,
    entries: Vec<(Spanned<String>, Option<Spanned<DeValue<'d>>>)>,
    known: Vec<String>,
}

impl<'d> Table<'d> {
    fn new(document: &'d Document<'d>, path: String, span: Range<usize>, table: DeTable<'d>) -> Self {
        let entries = table
            .into_iter()
            .map(|(key, value)| (Spanned::new(key.span(), key.into_inner().into_owned()), Some(value)))
            .collect();
        Self { document, path, span, entries, known: Vec::new() }
    }

    fn empty(document: &'d Document<'d>) -> Self {
        Self { document, path: String::new(), span: 0..0, entries: Vec::new(), known: Vec::new() }
    }

    /// Where it begins.
    pub(crate) fn place(&self) -> Place {
        self.document.place(self.span.start)
    }

    /// The full name of a key in it.
    pub(crate) fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Takes the value of a key, and makes the key known.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value<'d>> {
        self.known.push(name.to_owned());
        let found = self.entries.iter_mut().find(|(key, value)| key.get_ref() == name && value.is_some());
        let value = found.and_then(|(_, value)| value.take())?;
        Some(Value { document: self.document, key: self.key(name), span: value.span(), given: value.into_inner() })
    }

    /// Takes a value that must be there.
    pub(crate) fn require(&mut self, name: &str, faults: &mut Faults) -> Option<Value<'d>> {
        let value = self.take(name);
        if value.is_none() {
            faults.add(&self.place(), &self.key(name), "is missing");
        }
        value
    }

    /// Takes every value that is left, with its key; nothing is unknown afterwards.
    pub(crate) fn take_all(&mut self) -> Vec<(String, Value<'d>)> {
        let entries = std::mem::take(&mut self.entries);
        let taken = entries.into_iter().filter_map(|(name, value)| {
            let (name, value) = (name.into_inner(), value?);
            let key = self.key(&name);
            Some((name, Value { document: self.document, key, span: value.span(), given: value.into_inner() }))
        });
        taken.collect()
    }

    /// Notes every key that nobody took.
    pub(crate) fn finish(self, faults: &mut Faults) {
        for (name, value) in &self.entries {
            if value.is_none() {
                continue;
            }
            let (place, known) = (self.document.place(name.span().start), self.known.iter().map(String::as_str));
            let key = self.key(name.get_ref());
            if let Some(near) = nearest(name.get_ref(), known) {
                faults.add_with_hint(&place, &key, "is not a known key", format!("did you mean `{near}`?"));
            } else {
                faults.add(&place, &key, "is not a known key");
            }
        }
    }
}

/// A value and where it stands.
#[derive(Debug)]
pub(crate) struct Value<'d> {
    document: &'d Document<'d>,
    /// Its full name.
    pub(crate) key: String,
    span: Range<usize>,
    given: DeValue<'d>,
}

impl<'d> Value<'d> {
    /// Which file it stands in.
    pub(crate) fn document(&self) -> &'d Document<'d> {
        self.document
    }

    /// Where it stands.
    pub(crate) fn place(&self) -> Place {
        self.document.place(self.span.start)
    }

    /// Notes what is wrong with it.
    pub(crate) fn fault(&self, faults: &mut Faults, what: impl std::fmt::Display) {
        faults.add(&self.place(), &self.key, what);
    }

    fn wrong(&self, faults: &mut Faults, allowed: &str) {
        self.fault(faults, format_args!("is {}, must be {allowed}", kind(&self.given)));
    }

    /// Whether it is a table.
    pub(crate) fn is_table(&self) -> bool {
        matches!(self.given, DeValue::Table(_))
    }

    /// Whether it is `true` or `false`.
    pub(crate) fn is_boolean(&self) -> bool {
        matches!(self.given, DeValue::Boolean(_))
    }

    /// Whether it is an array.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.given, DeValue::Array(_))
    }

    /// A text.
    pub(crate) fn text(&self, faults: &mut Faults) -> Option<&str> {
        if let DeValue::String(text) = &self.given {
            return Some(text);
        }
        self.wrong(faults, "a text in quotes");
        None
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self, faults: &mut Faults) -> Option<bool> {
        if let DeValue::Boolean(value) = self.given {
            return Some(value);
        }
        self.wrong(faults, "`true` or `false`");
        None
    }

    /// A whole number within `range`.
    pub(crate) fn whole(&self, range: std::ops::RangeInclusive<u32>, faults: &mut Faults) -> Option<u32> {
        let DeValue::Integer(number) = &self.given else {
            self.wrong(faults, "a whole number");
            return None;
        };
        let read = i128::from_str_radix(number.as_str(), number.radix()).ok();
        let read = read.and_then(|number| u32::try_from(number).ok()).filter(|number| range.contains(number));
        if read.is_none() {
            let (given, from, to) = (quoted(number.as_str()), range.start(), range.end());
            self.fault(faults, format_args!("is {given}, must be a whole number from {from} to {to}"));
        }
        read
    }

    /// A number; finite.
    pub(crate) fn number(&self, faults: &mut Faults) -> Option<f64> {
        let text = match &self.given {
            DeValue::Float(number) => number.as_str(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                self.wrong(faults, "a number");
                return None;
            }
        };
        let read = text.parse().ok().filter(|number: &f64| number.is_finite());
        if read.is_none() {
            self.fault(faults, format_args!("is {}, must be a finite number", quoted(text)));
        }
        read
    }

    /// The items of an array, at most `max`.
    pub(crate) fn list(self, max: usize, faults: &mut Faults) -> Vec<Self> {
        if !self.is_list() {
            self.wrong(faults, "a list in brackets");
            return Vec::new();
        }
        let (place, document, key) = (self.place(), self.document, self.key);
        let DeValue::Array(items) = self.given else { return Vec::new() };
        if items.len() > max {
            faults.add(&place, &key, format_args!("has {} entries, at most {max} are allowed", items.len()));
            return Vec::new();
        }
        let value = |item: Spanned<DeValue<'d>>| Self {
            document,
            key: key.clone(),
            span: item.span(),
            given: item.into_inner(),
        };
        items.into_iter().map(value).collect()
    }

    /// A table.
    pub(crate) fn table(self, faults: &mut Faults) -> Option<Table<'d>> {
        if !self.is_table() {
            self.wrong(faults, "a table");
            return None;
        }
        let DeValue::Table(table) = self.given else { return None };
        Some(Table::new(self.document, self.key, self.span, table))
    }

    /// Reads a text as what `parse` makes of it; its error says what is wrong and what is allowed.
    pub(crate) fn parse<T, E: std::fmt::Display>(
        &self,
        parse: impl FnOnce(&str) -> Result<T, E>,
        faults: &mut Faults,
    ) -> Option<T> {
        match parse(self.text(faults)?) {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.fault(faults, error);
                None
            }
        }
    }

    /// What stands there as the text of one setting: numbers and booleans as they are written.
    pub(crate) fn scalar(&self) -> Option<String> {
        match &self.given {
            DeValue::String(text) => Some(text.clone().into_owned()),
            DeValue::Integer(number) => Some(number.to_string()),
            DeValue::Float(number) => Some(number.to_string()),
            DeValue::Boolean(value) => Some(value.to_string()),
            DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
        }
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
