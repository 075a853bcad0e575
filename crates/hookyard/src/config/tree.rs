//! A file of another system as a tree in which every value knows its place.
//!
//! Made by the readers of JSON ([`super::json_file`]) and YAML ([`super::yaml_file`]); the readers of Immich's and Kiosk's
//! files take the members they know out of [`Fields`]. As with `hookyard.toml`, nothing stops at the first fault.

use std::fmt;

use super::fault::{Faults, Place, nearest, quoted};

/// A value and where it stands.
#[derive(Clone)]
pub(super) struct Node {
    /// Where it begins.
    pub(super) place: Place,
    /// What stands there.
    pub(super) given: Given,
}

/// What a file says at a place.
#[derive(Clone)]
pub(super) enum Given {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A number, in the file's own digits.
    Number(String),
    /// A text, which may be a secret.
    Text(String),
    /// Values in order.
    List(Vec<Node>),
    /// Values by name.
    Map(Vec<(Name, Node)>),
}

/// The name of a value, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Name {
    pub(super) text: String,
    pub(super) place: Place,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.given.kind(), self.place)
    }
}

impl Given {
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "an object",
        }
    }
}

/// A value by its full name.
#[derive(Debug)]
pub(super) struct Field {
    /// Such as `webhooks[0].url`.
    pub(super) key: String,
    node: Node,
}

impl Field {
    /// A value that stands in no other.
    pub(super) fn root(node: Node) -> Self {
        Self { key: String::new(), node }
    }

    /// Where it stands.
    pub(super) fn place(&self) -> &Place {
        &self.node.place
    }

    /// Whether nothing stands there.
    pub(super) fn is_null(&self) -> bool {
        matches!(self.node.given, Given::Null)
    }

    /// Whether it is a list.
    pub(super) fn is_list(&self) -> bool {
        matches!(self.node.given, Given::List(_))
    }

    /// Notes what is wrong with it.
    pub(super) fn fault(&self, faults: &mut Faults, what: impl fmt::Display) {
        faults.add(&self.node.place, &self.key, what);
    }

    /// Notes what is strange about it.
    pub(super) fn warn(&self, faults: &mut Faults, what: impl fmt::Display, hint: Option<&str>) {
        faults.warn(&self.node.place, &self.key, what, hint);
    }

    fn wrong(&self, faults: &mut Faults, allowed: &str) {
        self.fault(faults, format_args!("is {}, must be {allowed}", self.node.given.kind()));
    }

    /// A text.
    pub(super) fn text(&self, faults: &mut Faults) -> Option<&str> {
        if let Given::Text(text) = &self.node.given {
            return Some(text);
        }
        self.wrong(faults, "a text in quotes");
        None
    }

    /// A text, or what a request would make of a number or a boolean.
    pub(super) fn scalar(&self, faults: &mut Faults) -> Option<String> {
        match &self.node.given {
            Given::Text(text) | Given::Number(text) => Some(text.clone()),
            Given::Boolean(value) => Some(value.to_string()),
            Given::Null | Given::List(_) | Given::Map(_) => {
                self.wrong(faults, "a text in quotes");
                None
            }
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self, faults: &mut Faults) -> Option<bool> {
        if let Given::Boolean(value) = self.node.given {
            return Some(value);
        }
        self.wrong(faults, "`true` or `false`");
        None
    }

    /// A whole number of at least `least`, however it is written.
    pub(super) fn whole(&self, least: u64, faults: &mut Faults) -> Option<u64> {
        let Given::Number(text) = &self.node.given else {
            self.wrong(faults, "a whole number");
            return None;
        };
        let read = whole(text).filter(|number| *number >= least);
        if read.is_none() {
            self.fault(faults, format_args!("is {}, must be a whole number of at least {least}", quoted(text)));
        }
        read
    }

    /// The items of a list, at most `max`.
    pub(super) fn list(self, max: usize, faults: &mut Faults) -> Option<Vec<Self>> {
        if !self.is_list() {
            self.wrong(faults, "a list");
            return None;
        }
        let Given::List(items) = self.node.given else { return None };
        if items.len() > max {
            let what = format!("has {} entries, at most {max} are allowed", items.len());
            faults.add(&self.node.place, &self.key, what);
            return None;
        }
        let item = |(index, node)| Self { key: format!("{}[{index}]", self.key), node };
        Some(items.into_iter().enumerate().map(item).collect())
    }

    /// The values of an object.
    pub(super) fn fields(self, faults: &mut Faults) -> Option<Fields> {
        if !matches!(self.node.given, Given::Map(_)) {
            self.wrong(faults, "an object");
            return None;
        }
        let Given::Map(members) = self.node.given else { return None };
        let members = members.into_iter().map(|(name, node)| (name, Some(node))).collect();
        Some(Fields { key: self.key, place: self.node.place, members, known: Vec::new() })
    }
}

/// A whole number in JSON's or YAML's digits: `15000`, but also `15000.0` and `1.5e4`, which are the same number there.
fn whole(text: &str) -> Option<u64> {
    /// Every whole number up to here has a floating-point number of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let number: f64 = text.parse().ok()?;
    // Its shortest text without a fraction is the number again.
    (number.fract() == 0.0 && (0.0..=EXACT).contains(&number))
        .then(|| format!("{:.0}", number.abs()).parse().ok())
        .flatten()
}

/// The values of an object, of which the known ones are taken out one by one.
#[derive(Debug)]
pub(super) struct Fields {
    key: String,
    place: Place,
    members: Vec<(Name, Option<Node>)>,
    known: Vec<&'static str>,
}

/// A member that nobody took.
pub(super) struct Unknown {
    /// Its full name.
    pub(super) key: String,
    /// Its name in the object.
    pub(super) name: Name,
    /// The known member that was probably meant.
    pub(super) near: Option<&'static str>,
}

impl Fields {
    /// Where the object begins.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// The full name of a member.
    pub(super) fn key(&self, name: &str) -> String {
        if self.key.is_empty() { name.to_owned() } else { format!("{}.{name}", self.key) }
    }

    /// The full name of the object.
    pub(super) fn own_key(&self) -> &str {
        &self.key
    }

    /// Takes a member, and makes its name known. One that is null is absent; of several, the last one counts, as in every
    /// reader that these files were written for.
    pub(super) fn take(&mut self, name: &'static str) -> Option<Field> {
        self.known.push(name);
        let key = self.key(name);
        let named = self.members.iter_mut().filter(|(given, _)| given.text == name);
        let node = named.filter_map(|(_, node)| node.take()).last()?;
        if matches!(node.given, Given::Null) { None } else { Some(Field { key, node }) }
    }

    /// Takes a member that must be there.
    pub(super) fn require(&mut self, name: &'static str, faults: &mut Faults) -> Option<Field> {
        let field = self.take(name);
        if field.is_none() {
            faults.add(&self.place, &self.key(name), "is missing");
        }
        field
    }

    /// Every member with its name, in the file's order.
    pub(super) fn all(self) -> Vec<(Name, Field)> {
        let key =
            |name: &Name| if self.key.is_empty() { name.text.clone() } else { format!("{}.{}", self.key, name.text) };
        let member = |(name, node): (Name, Option<Node>)| {
            let key = key(&name);
            node.map(|node| (name, Field { key, node }))
        };
        self.members.into_iter().filter_map(member).collect()
    }

    /// Every member that nobody took.
    pub(super) fn unknown(self) -> Vec<Unknown> {
        let left = self.members.iter().filter(|(_, node)| node.is_some());
        let unknown = left.map(|(name, _)| Unknown {
            key: self.key(&name.text),
            name: name.clone(),
            near: nearest(&name.text, self.known.iter().copied()),
        });
        unknown.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_read_however_they_are_written() {
        for (text, expected) in [
            ("0", Some(0)),
            ("15000", Some(15_000)),
            ("15000.0", Some(15_000)),
            ("1.5e4", Some(15_000)),
            ("-0", Some(0)),
            ("1.5", None),
            ("-1", None),
            ("1e300", None),
            ("1e-300", None),
            ("9007199254740993.0", Some(9_007_199_254_740_992)),
            ("18446744073709551615", Some(u64::MAX)),
            ("NaN", None),
        ] {
            assert_eq!(whole(text), expected, "{text}");
        }
    }
}
