//! JSON as templates see it, read once for each message.
//!
//! Objects keep the order of their members and lists and objects their text, so that what is written out again is what
//! was published. A number whose text an integer does not give back is a [`Number`]: it shows as it was written, and is
//! calculated with after `| float`. A fraction is always one, because a template that works with `18.5` and not with
//! `18.50` would fail on some payloads only.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use minijinja::Value;
use minijinja::value::{DynObject, Enumerator, Object, ObjectExt as _, ObjectRepr};

use crate::json::{self, JsonError, Kind, MemberOrder, Style, Tokens};

/// A number in its own digits, which may be many, and the nearest one that can be calculated with.
#[derive(Debug)]
pub(super) struct Number {
    text: Box<str>,
    float: f64,
}

impl Number {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn float(&self) -> f64 {
        self.float
    }
}

impl Object for Number {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn is_true(self: &Arc<Self>) -> bool {
        self.float() != 0.0
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        Some(self.float().total_cmp(&other.downcast_ref::<Self>()?.float()))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// An array and its text.
#[derive(Debug)]
pub(super) struct List {
    raw: Bytes,
    items: Vec<Value>,
}

impl Object for List {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.items.get(key.as_usize()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.items.len())
    }

    /// By their texts, which is quick; two that differ in white space alone are not the same here.
    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        Some(self.raw.cmp(&other.downcast_ref::<Self>()?.raw))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&compact(&self.raw))
    }
}

/// An object and its text; of several members with one name the last counts, as in most receivers.
#[derive(Debug)]
pub(super) struct Members {
    raw: Bytes,
    pairs: Vec<(Value, Value)>,
    /// Places in `pairs`, in the order of the names.
    by_name: Vec<usize>,
}

impl Members {
    fn new(raw: Bytes, mut members: Vec<(Value, Value)>) -> Self {
        let sorted = |members: &[(Value, Value)]| {
            let mut by_name: Vec<usize> = (0..members.len()).collect();
            by_name.sort_by_key(|place| members[*place].0.as_str());
            by_name
        };
        let by_name = sorted(&members);
        // The sort is stable, so the last of several stands behind the others.
        let mut repeated = vec![false; members.len()];
        for pair in by_name.windows(2) {
            repeated[pair[0]] = members[pair[0]].0.as_str() == members[pair[1]].0.as_str();
        }
        if !repeated.contains(&true) {
            return Self { raw, pairs: members, by_name };
        }
        let mut repeated = repeated.into_iter();
        members.retain(|_| !repeated.next().unwrap_or(false));
        let by_name = sorted(&members);
        Self { raw, pairs: members, by_name }
    }
}

impl Object for Members {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let place = self.by_name.binary_search_by_key(&Some(key), |place| self.pairs[*place].0.as_str()).ok()?;
        Some(self.pairs[self.by_name[place]].1.clone())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.mapped_enumerator(|this| Box::new(this.pairs.iter().map(|(name, _)| name.clone())))
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.pairs.len())
    }

    /// By their texts, which is quick; two that differ in white space alone are not the same here.
    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        Some(self.raw.cmp(&other.downcast_ref::<Self>()?.raw))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&compact(&self.raw))
    }
}

/// The text that a value of a payload was written with, if it is a list, an object or a [`Number`].
pub(super) fn written(value: &Value) -> Option<String> {
    if let Some(number) = value.downcast_object_ref::<Number>() {
        return Some(number.text().to_owned());
    }
    let list = value.downcast_object_ref::<List>().map(|list| &list.raw);
    let raw = list.or_else(|| value.downcast_object_ref::<Members>().map(|members| &members.raw))?;
    Some(compact(raw))
}

/// Bytes of a text, or of the text that a value of a payload was written with; 0 of what the engine made of others.
pub(super) fn size(value: &Value) -> usize {
    let list = || value.downcast_object_ref::<List>().map(|list| list.raw.len());
    let members = || value.downcast_object_ref::<Members>().map(|members| members.raw.len());
    let number = || value.downcast_object_ref::<Number>().map(|number| number.text.len());
    value.as_str().map(str::len).or_else(list).or_else(members).or_else(number).unwrap_or(0)
}

fn compact(raw: &[u8]) -> String {
    let mut text = Vec::with_capacity(raw.len());
    json::write(raw, Style::JavaScript, MemberOrder::AsWritten, &mut text).expect("it was read as JSON before");
    String::from_utf8(text).expect("JSON that was read is UTF-8, and what is written of it")
}

struct Open {
    start: usize,
    /// Of an object, each beside its name.
    values: Vec<Value>,
    names: Option<Vec<Value>>,
}

/// Reads a payload; nothing recurses.
pub(super) fn read(payload: &Bytes) -> Result<Value, JsonError> {
    // What is UTF-8 as a whole is so in each of its strings, which `compact` relies on.
    std::str::from_utf8(payload).map_err(|error| JsonError { at: error.valid_up_to(), expected: "UTF-8" })?;
    let mut open: Vec<Open> = Vec::new();
    let mut read = None;
    for token in Tokens::new(payload) {
        let token = token?;
        let value = match token.kind {
            Kind::ObjectStart => {
                open.push(Open { start: token.start, values: Vec::new(), names: Some(Vec::new()) });
                continue;
            }
            Kind::ArrayStart => {
                open.push(Open { start: token.start, values: Vec::new(), names: None });
                continue;
            }
            Kind::Key => {
                if let Some(names) = open.last_mut().and_then(|open| open.names.as_mut()) {
                    names.push(string(token.raw));
                }
                continue;
            }
            Kind::ObjectEnd | Kind::ArrayEnd => {
                let Some(Open { start, values, names }) = open.pop() else { continue };
                let raw = payload.slice(start..token.end());
                match names {
                    Some(names) => Value::from_object(Members::new(raw, names.into_iter().zip(values).collect())),
                    None => Value::from_object(List { raw, items: values }),
                }
            }
            Kind::String => string(token.raw),
            Kind::Number => number(token.raw),
            Kind::Literal => match token.raw {
                b"true" => Value::from(true),
                b"false" => Value::from(false),
                _ => Value::from(()),
            },
        };
        match open.last_mut() {
            Some(open) => open.values.push(value),
            None => read = Some(value),
        }
    }
    read.ok_or(JsonError { at: payload.len(), expected: "a value" })
}

fn string(raw: &[u8]) -> Value {
    Value::from(json::text(raw).expect("the payload is UTF-8 and the token a string").as_ref())
}

fn number(raw: &[u8]) -> Value {
    let text = std::str::from_utf8(raw).expect("a number is ASCII");
    // `-0` is no integer that shows itself so.
    match text.parse::<i128>() {
        Ok(integer) if text != "-0" => i64::try_from(integer).map_or_else(|_| Value::from(integer), Value::from),
        Ok(_) | Err(_) => Value::from_object(Number { text: text.into(), float: text.parse().unwrap_or(f64::NAN) }),
    }
}
