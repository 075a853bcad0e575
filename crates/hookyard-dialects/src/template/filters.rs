//! The filters that differ from the template engine's own: those that write, and those that calculate.
//!
//! A value is written as text where it is text and as JSON where it is anything else, by `{{ }}` and by the filters alike,
//! and the numbers of a payload keep their digits. Filters that make one value hold another many times are left out, see
//! `scan`; `map` is one of them where it may call any filter, so it calls some.

use minijinja::filters;
use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Output, State, Value};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::meter::{self, charge};
use super::value::{Number, size, written};
use crate::json::{Style, write_text};

/// What need not be encoded anywhere in a URL or a form.
const ENCODED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Filters and tests of the engine that are left out: they show its inside, hold a value many times, or walk long texts
/// without counting.
const LEFT_OUT: [&str; 5] = ["chain", "format", "groupby", "pprint", "zip"];
const TESTS_LEFT_OUT: [&str; 2] = ["lower", "upper"];
/// What `map` may do to each item.
const MAPPED: [&str; 12] =
    ["abs", "capitalize", "float", "int", "length", "lower", "round", "string", "title", "tojson", "trim", "upper"];

/// Puts them in the place of the engine's.
pub(super) fn install(environment: &mut Environment<'_>) {
    environment.set_formatter(show);
    environment.add_filter("tojson", tojson);
    environment.add_filter("urlencode", urlencode);
    environment.add_filter("float", |state: &State<'_, '_>, value: &Value, default: Option<Value>, kwargs: Kwargs| {
        filters::float(state, &calculable(value), default, kwargs)
    });
    environment.add_filter("int", int);
    environment.add_filter("round", |value: &Value, precision: Option<i32>, method: Option<&str>, kwargs: Kwargs| {
        filters::round(calculable(value), precision, method, kwargs)
    });
    for name in LEFT_OUT {
        environment.remove_filter(name);
    }
    for name in TESTS_LEFT_OUT {
        environment.remove_test(name);
    }
    meter::install(environment);
    environment.add_filter("map", map);
    // The engine's would fill the last row with as many of one value as are missing.
    environment.add_filter("batch", |state: &State<'_, '_>, values: Value, count: usize| {
        filters::batch(state, values, count, None)
    });
    environment.add_filter("slice", |state: &State<'_, '_>, values: Value, count: usize| {
        filters::slice(state, values, count, None)
    });
    environment.add_filter("sum", sum);
    environment
        .add_filter("plus", |value: &Value, other: &Value| calculate((value, other), i128::checked_add, |a, b| a + b));
    environment
        .add_filter("times", |value: &Value, other: &Value| calculate((value, other), i128::checked_mul, |a, b| a * b));
    environment.add_filter("abs", |value: &Value| filters::abs(calculable(value)));
    environment.add_test("number", |value: &Value| {
        value.downcast_object_ref::<Number>().is_some() || value.kind() == ValueKind::Number
    });
}

fn int(
    state: &State<'_, '_>,
    value: &Value,
    default: Option<Value>,
    base: Option<u32>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    filters::int(state, &calculable(value), default, base, kwargs)
}

fn calculable(value: &Value) -> Value {
    value.downcast_object_ref::<Number>().map_or_else(|| value.clone(), |number| Value::from(number.float()))
}

fn calculate(
    (left, right): (&Value, &Value),
    integers: fn(i128, i128) -> Option<i128>,
    floats: fn(f64, f64) -> f64,
) -> Result<Value, Error> {
    let (left, right) = (number(left)?, number(right)?);
    let exact = integer(&left).zip(integer(&right)).and_then(|(left, right)| integers(left, right));
    if let Some(exact) = exact {
        return Ok(i64::try_from(exact).map_or_else(|_| Value::from(exact), Value::from));
    }
    Ok(Value::from(floats(f64::try_from(left)?, f64::try_from(right)?)))
}

fn integer(value: &Value) -> Option<i128> {
    if value.is_integer() { i128::try_from(value.clone()).ok() } else { None }
}

fn number(value: &Value) -> Result<Value, Error> {
    let number = calculable(value);
    if number.kind() == ValueKind::Number {
        return Ok(number);
    }
    let why = format!("{} is no number; `float` makes one of a text", value.kind());
    Err(Error::new(ErrorKind::InvalidOperation, why))
}

fn sum(state: &mut State<'_, '_>, values: &Value) -> Result<Value, Error> {
    let mut sum = Value::from(0);
    for value in items(state, values)? {
        step(state)?;
        sum = calculate((&sum, &value?), i128::checked_add, |a, b| a + b)?;
    }
    Ok(sum)
}

/// A filter by name, or `attribute="a.b"`, for each item.
#[expect(clippy::needless_pass_by_value, reason = "the engine gives a filter its arguments")]
fn map(state: &mut State<'_, '_>, values: &Value, filter: Option<&str>, kwargs: Kwargs) -> Result<Value, Error> {
    let attribute: Option<&str> = kwargs.get("attribute")?;
    kwargs.assert_all_used()?;
    let mut mapped = Vec::new();
    for value in items(state, values)? {
        step(state)?;
        let value = value?;
        mapped.push(match (filter, attribute) {
            (Some(name), None) if MAPPED.contains(&name) => {
                charge(state, size(&value))?;
                let made = state.apply_filter(name, &[value])?;
                charge(state, size(&made))?;
                made
            }
            (None, Some(path)) => attribute_of(state, value, path)?,
            _ => {
                let why = format!("`map` needs `attribute=\"…\"`, or one of \"{}\"", MAPPED.join("\", \""));
                return Err(Error::new(ErrorKind::InvalidOperation, why));
            }
        });
    }
    Ok(Value::from(mapped))
}

fn attribute_of(state: &mut State<'_, '_>, mut value: Value, path: &str) -> Result<Value, Error> {
    for name in path.split('.') {
        value = value.get_attr(name)?;
    }
    if defined(state, &value).is_err() {
        return Err(Error::new(ErrorKind::UndefinedError, format!("an item without `{path}`")));
    }
    Ok(value)
}

/// The items of a list, none where undefined is allowed.
fn items<'a>(
    state: &mut State<'_, '_>,
    values: &'a Value,
) -> Result<impl Iterator<Item = Result<Value, Error>> + use<'a>, Error> {
    defined(state, values)?;
    let iter = if values.is_undefined() { None } else { Some(values.try_iter()?.checked()) };
    Ok(iter.into_iter().flatten())
}

/// What `{{ value }}` writes.
fn show(output: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let written = match value.as_str() {
        Some(text) => output.write_str(text),
        // Undefined gets here only where undefined is allowed, which is a trial.
        None if value.is_undefined() => Ok(()),
        None => output.write_str(&json(state, value)?),
    };
    written.map_err(|_| Error::from(ErrorKind::WriteFailure))
}

fn tojson(state: &mut State<'_, '_>, value: &Value) -> Result<String, Error> {
    defined(state, value)?;
    json(state, value)
}

/// For one value; for a map, the pairs of a form.
fn urlencode(state: &mut State<'_, '_>, value: &Value) -> Result<String, Error> {
    defined(state, value)?;
    if value.kind() != ValueKind::Map {
        return encoded(state, value);
    }
    let mut form = String::new();
    for name in value.try_iter()?.checked() {
        let name = name?;
        step(state)?;
        let member = value.get_item(&name)?;
        let separator = if form.is_empty() { "" } else { "&" };
        let pair = format!("{separator}{}={}", encoded(state, &name)?, encoded(state, &member)?);
        form.push_str(&pair);
    }
    Ok(form)
}

fn encoded(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    let encode = |text: &str| {
        charge(state, text.len())?;
        Ok(utf8_percent_encode(text, &ENCODED).to_string())
    };
    match value.as_str() {
        Some(text) => encode(text),
        None if value.is_undefined() => Ok(String::new()),
        None => encode(&json(state, value)?),
    }
}

/// Fails, naming it, where a value that is undefined may not be used.
pub(super) fn defined(state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    if value.is_undefined() { state.format(value.clone()).map(|_| ()) } else { Ok(()) }
}

/// Paid for every item before it is looked at: a list of the engine's may be far longer than the memory it takes.
fn step(state: &State<'_, '_>) -> Result<(), Error> {
    state.consume_fuel(1)
}

fn json(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    let mut text = Vec::new();
    write(state, value, &mut text)?;
    Ok(String::from_utf8(text).expect("it is made of text"))
}

/// Writes a value as compact JSON. Recursion is bounded by how deep a template can nest values, see `scan`.
fn write(state: &State<'_, '_>, value: &Value, into: &mut Vec<u8>) -> Result<(), Error> {
    let before = into.len();
    if let Some(text) = written(value) {
        into.extend_from_slice(text.as_bytes());
        return charge(state, text.len());
    }
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => into.extend_from_slice(b"null"),
        ValueKind::Bool => into.extend_from_slice(if value.is_true() { b"true" } else { b"false" }),
        ValueKind::Number => {
            let text = value.to_string();
            if !text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e')) {
                return Err(Error::new(ErrorKind::BadSerialization, format!("`{text}` is no number in JSON")));
            }
            into.extend_from_slice(text.as_bytes());
        }
        ValueKind::Seq | ValueKind::Iterable => {
            for (number, item) in value.try_iter()?.checked().enumerate() {
                step(state)?;
                into.push(if number == 0 { b'[' } else { b',' });
                write(state, &item?, into)?;
            }
            close(before, (b'[', b']'), into);
        }
        ValueKind::Map => {
            for (number, name) in value.try_iter()?.checked().enumerate() {
                let name = name?;
                step(state)?;
                into.push(if number == 0 { b'{' } else { b',' });
                write_text(&name.to_string(), Style::JavaScript, into);
                into.push(b':');
                write(state, &value.get_item(&name)?, into)?;
            }
            close(before, (b'{', b'}'), into);
        }
        ValueKind::Invalid => return value.try_iter().map(|_| ()),
        // What else the engine has shows as text, kinds that it may get later too.
        ValueKind::String | ValueKind::Bytes | ValueKind::Plain | _ => {
            write_text(&value.to_string(), Style::JavaScript, into);
        }
    }
    charge(state, into.len() - before)
}

/// Ends a list or an object, which has not begun if it is empty.
fn close(before: usize, (open, close): (u8, u8), into: &mut Vec<u8>) {
    if into.len() == before {
        into.push(open);
    }
    into.push(close);
}
