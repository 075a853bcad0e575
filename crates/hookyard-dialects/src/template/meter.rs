//! Makes a template pay for what the engine does not count: looking at long texts without making anything of them.
//!
//! The engine's fuel counts instructions, items and the bytes that are made. To compare two texts, to find a character of
//! one, to skip the items before a slice or to search by a long pattern costs it one step, whatever their length, and a
//! payload of two megabytes could keep a thread for minutes. So:
//!
//! - [`metered`](super::metered::metered) writes four filters of ours into the template, where it compares or indexes.
//! - [`install`] puts these filters into the environment, and the engine's filters and tests that compare, search or turn
//!   values into text behind a meter.
//!
//! A template makes what it would make without; it ends sooner where it looks at too much.

use std::borrow::Cow;

use minijinja::value::{Kwargs, Rest, ValueKind, ValueOrKwargs, from_args};
use minijinja::{Environment, Error, State, Value, filters, tests};

use super::filters::defined;
use super::value::size;

/// Bytes that one unit of fuel pays for, as the engine counts them.
pub(super) const BYTES_PER_FUEL: usize = 64;
/// Items that are passed over for one unit of fuel, on the way to those that are wanted.
const ITEMS_PER_FUEL: usize = 16;

/// On the left side of a comparison. One side is enough, since a comparison ends with the shorter text.
const COMPARED: &str = "_compared";
/// On what is indexed.
const INDEXED: &str = "_indexed";
/// On what is sliced.
const SLICED: &str = "_sliced";
/// On the slice.
const TAKEN: &str = "_taken";

/// Puts the meters in the place of the engine's own filters and tests.
pub(super) fn install(environment: &mut Environment<'_>) {
    environment.add_filter(COMPARED, |state: &State<'_, '_>, value: Value| {
        // The engine has charged for a text, as for any that is given to a filter.
        if value.as_str().is_none() {
            weigh(state, &value)?;
        }
        Ok::<_, Error>(value)
    });
    environment.add_filter(INDEXED, |value: Value| value);
    environment.add_filter(SLICED, |state: &State<'_, '_>, value: Value| {
        if value.as_str().is_none() {
            pass(state, &value)?;
        }
        Ok::<_, Error>(value)
    });
    environment.add_filter(TAKEN, taken);

    for (name, filter, pay) in [
        ("lines", Value::from_function(filters::lines), all as Pay),
        ("max", Value::from_function(filters::max), all),
        ("min", Value::from_function(filters::min), all),
        ("sort", Value::from_function(filters::sort), all),
        ("split", Value::from_function(filters::split), all),
        ("unique", Value::from_function(filters::unique), all),
        ("dictsort", Value::from_function(filters::dictsort), sorted),
        ("trim", Value::from_function(filters::trim), trimmed),
        ("attr", Value::from_function(filters::attr), looked_up),
        ("join", Value::from_function(filters::join), arguments),
        ("reject", Value::from_function(filters::reject), arguments),
        ("rejectattr", Value::from_function(filters::rejectattr), arguments),
        ("select", Value::from_function(filters::select), arguments),
        ("selectattr", Value::from_function(filters::selectattr), arguments),
    ] {
        environment.add_filter(name, move |state: &mut State<'_, '_>, values: Rest<ValueOrKwargs>| {
            let values = values.into_values();
            pay(state, &values)?;
            filter.call(state, &values)
        });
    }
    environment.add_filter("replace", replace);
    for (names, test, pay) in [
        (&["eq", "equalto", "=="][..], Value::from_function(tests::is_eq), shorter as Pay),
        (&["ne", "!="], Value::from_function(tests::is_ne), shorter),
        (&["lt", "lessthan", "<"], Value::from_function(tests::is_lt), shorter),
        (&["le", "<="], Value::from_function(tests::is_le), shorter),
        (&["gt", "greaterthan", ">"], Value::from_function(tests::is_gt), shorter),
        (&["ge", ">="], Value::from_function(tests::is_ge), shorter),
        (&["in"], Value::from_function(tests::is_in), sought),
        (&["startingwith"], Value::from_function(tests::is_startingwith), all_texts),
        (&["endingwith"], Value::from_function(tests::is_endingwith), all_texts),
    ] {
        for name in names {
            let test = test.clone();
            environment.add_test(*name, move |state: &mut State<'_, '_>, values: Rest<ValueOrKwargs>| {
                let values = values.into_values();
                pay(state, &values)?;
                test.call(state, &values)
            });
        }
    }
}

/// What a filter or a test costs with these values, the first of which it is applied to.
type Pay = fn(&State<'_, '_>, &[Value]) -> Result<(), Error>;

/// Of a filter that reads all it is given; the engine has charged for a text that it is applied to.
fn all(state: &State<'_, '_>, values: &[Value]) -> Result<(), Error> {
    if let Some(first) = values.first().filter(|first| first.as_str().is_none()) {
        weigh(state, first)?;
    }
    arguments(state, values)
}

/// Of a filter that takes its own value item by item, for which the engine charges.
fn arguments(state: &State<'_, '_>, values: &[Value]) -> Result<(), Error> {
    values.iter().skip(1).try_for_each(|value| weigh(state, value))
}

/// Of `dictsort`, as the engine charges for `sort`.
fn sorted(state: &State<'_, '_>, values: &[Value]) -> Result<(), Error> {
    let members = values.first().and_then(Value::len).unwrap_or(0);
    let comparisons = usize::try_from(members.checked_ilog2().unwrap_or(0) + 1).unwrap_or(usize::MAX);
    state.consume_fuel(fuel(members.saturating_mul(comparisons)))?;
    all(state, values)
}

/// Of `trim`: each character of the text may be looked for among those that are to go.
fn trimmed(state: &State<'_, '_>, values: &[Value]) -> Result<(), Error> {
    if let [text, characters, ..] = values {
        charge(state, size(text).saturating_mul(size(characters)))?;
    }
    all(state, values)
}

/// Of `attr`, which walks to an item where it cannot go straight to it.
fn looked_up(state: &State<'_, '_>, values: &[Value]) -> Result<(), Error> {
    if let Some(first) = values.first().filter(|first| first.kind() == ValueKind::Iterable) {
        pass(state, first)?;
    }
    arguments(state, values)
}

/// Of a comparison.
fn shorter(state: &State<'_, '_>, values: &[Value]) -> Result<(), Error> {
    match values {
        [value, other, ..] => match (value.as_str(), other.as_str()) {
            (Some(value), Some(other)) => charge(state, value.len().min(other.len())),
            (Some(_), None) | (None, Some(_)) => Ok(()),
            (None, None) => weigh(state, value),
        },
        [] | [_] => Ok(()),
    }
}

/// Of `in`: what is sought; the engine charges for where.
fn sought(state: &State<'_, '_>, values: &[Value]) -> Result<(), Error> {
    values.first().map_or(Ok(()), |value| weigh(state, value))
}

/// Of a test that makes texts of what it is given.
fn all_texts(state: &State<'_, '_>, values: &[Value]) -> Result<(), Error> {
    values.iter().try_for_each(|value| weigh(state, value))
}

/// The engine's own, which cannot be had with its limit on replacements.
fn replace(
    state: &mut State<'_, '_>,
    value: &Value,
    from: &Value,
    to: &Value,
    limit: Rest<ValueOrKwargs>,
) -> Result<String, Error> {
    let limit = limit.into_values();
    let (count, kwargs): (Option<usize>, Kwargs) = from_args(&limit)?;
    let count = match count {
        Some(count) => count,
        None => kwargs.get::<Option<usize>>("count")?.unwrap_or(usize::MAX),
    };
    kwargs.assert_all_used()?;
    for given in [value, from, to] {
        defined(state, given)?;
        weigh(state, given)?;
    }
    let (value, from, to) = (text(value), text(from), text(to));
    let replaced = value.matches(&*from).take(count).count();
    charge(state, replaced.saturating_mul(to.len()))?;
    Ok(value.replacen(&*from, &to, count))
}

fn text(value: &Value) -> Cow<'_, str> {
    value.as_str().map_or_else(|| Cow::Owned(value.to_string()), Cow::Borrowed)
}

/// The items of a slice. The engine's would be walked to again whenever it is looked at.
fn taken(state: &mut State<'_, '_>, value: Value) -> Result<Value, Error> {
    if value.kind() != ValueKind::Iterable {
        return Ok(value);
    }
    let mut items = Vec::new();
    for item in value.try_iter()?.checked() {
        state.consume_fuel(1)?;
        items.push(item?);
    }
    Ok(Value::make_object_iterable(items, |items| Box::new(items.iter().cloned())))
}

/// Charges for the bytes that must be looked at to compare a value with one like it.
fn weigh(state: &State<'_, '_>, value: &Value) -> Result<(), Error> {
    let bytes = size(value);
    if bytes > 0 {
        return charge(state, bytes);
    }
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => {
            for item in value.try_iter()?.checked() {
                state.consume_fuel(1)?;
                weigh(state, &item?)?;
            }
        }
        ValueKind::Map => {
            for name in value.try_iter()?.checked() {
                let name = name?;
                state.consume_fuel(1)?;
                weigh(state, &name)?;
                weigh(state, &value.get_item(&name)?)?;
            }
        }
        // Of the others none is large; that a kind may be added is the engine's way of declaring them.
        ValueKind::Undefined | ValueKind::None | _ => {}
    }
    Ok(())
}

/// Charges for walking over all items of a list.
fn pass(state: &State<'_, '_>, value: &Value) -> Result<(), Error> {
    state.consume_fuel(fuel(value.len().unwrap_or(0) / ITEMS_PER_FUEL))
}

/// Charges for bytes.
pub(super) fn charge(state: &State<'_, '_>, bytes: usize) -> Result<(), Error> {
    state.consume_fuel(fuel(bytes / BYTES_PER_FUEL))
}

fn fuel(units: usize) -> u64 {
    u64::try_from(units).unwrap_or(u64::MAX)
}
