//! What the laws of the dialects are tested with: JSON texts, values whose numbers keep their text, and times.

use std::collections::BTreeMap;

use hookyard_model::Secret;
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use crate::examples::{NOW, request};
use crate::json::{Kind, Token, Tokens, text};
use crate::{Encoded, Inbound, Verified};

/// A JSON value whose numbers are the digits they were written in; of members with one name the last counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// A number, `true`, `false` or `null`.
    Bare(String),
    Text(String),
    Array(Vec<Value>),
    Object(BTreeMap<String, Value>),
}

/// The value that `json` is.
pub(crate) fn value(json: &[u8]) -> Value {
    let mut tokens = Tokens::new(json);
    let first = next(&mut tokens);
    let value = read(&mut tokens, first);
    assert!(tokens.next().is_none(), "more than one value");
    value
}

fn next<'a>(tokens: &mut Tokens<'a>) -> Token<'a> {
    tokens.next().expect("a token").expect("it is JSON")
}

fn read(tokens: &mut Tokens<'_>, first: Token<'_>) -> Value {
    let string = |token: Token<'_>| text(token.raw).expect("a string").into_owned();
    match first.kind {
        Kind::ObjectStart => {
            let mut members = BTreeMap::new();
            loop {
                let key = next(tokens);
                if key.kind == Kind::ObjectEnd {
                    return Value::Object(members);
                }
                let first = next(tokens);
                members.insert(string(key), read(tokens, first));
            }
        }
        Kind::ArrayStart => {
            let mut items = Vec::new();
            loop {
                let first = next(tokens);
                if first.kind == Kind::ArrayEnd {
                    return Value::Array(items);
                }
                items.push(read(tokens, first));
            }
        }
        Kind::String => Value::Text(string(first)),
        Kind::Number | Kind::Literal => Value::Bare(String::from_utf8(first.raw.to_vec()).expect("ASCII")),
        Kind::Key | Kind::ObjectEnd | Kind::ArrayEnd => panic!("no value begins with {first:?}"),
    }
}

/// Any JSON text as a publisher might write it, with space and escapes.
pub(crate) fn json() -> impl Strategy<Value = String> {
    leaf().prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[ {}]", items.join(" ,"))),
            object_of(name(), inner),
        ]
    })
}

/// An object with members of any name.
pub(crate) fn object() -> impl Strategy<Value = String> {
    object_of(name(), json())
}

/// The members of an object with other names than these, each followed by a comma.
pub(crate) fn other_members() -> impl Strategy<Value = String> {
    let member = (name(), json()).prop_map(|(name, value)| format!("\"x{}:{value},", &name[1..]));
    prop::collection::vec(member, 0..3).prop_map(|members| members.concat())
}

fn object_of(
    name: impl Strategy<Value = String>,
    value: impl Strategy<Value = String>,
) -> impl Strategy<Value = String> {
    let member = (name, value).prop_map(|(name, value)| format!("{name}\t: {value}"));
    prop::collection::vec(member, 0..4).prop_map(|members| format!("{{{}\n}}", members.join(",")))
}

fn leaf() -> impl Strategy<Value = String> {
    const NUMBERS: [&str; 11] = [
        "0",
        "-0",
        "1.00",
        "1E+2",
        "1e-7",
        "-12.50e0",
        "9007199254740993",
        "12345678901234567890123",
        "true",
        "false",
        "null",
    ];
    prop_oneof![prop::sample::select(&NUMBERS[..]).prop_map(str::to_owned), string()]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(&["\"id\"", "\"a\"", "\"\\u0061\"", "\"Z\"", "\"é\""][..]).prop_map(str::to_owned),
        string()
    ]
}

fn string() -> impl Strategy<Value = String> {
    const PARTS: [&str; 18] = [
        "a",
        "Zoë",
        " ",
        "<b>",
        "&",
        "\u{2028}",
        "\u{2029}",
        "😀",
        "\\ud83d\\ude00",
        "\\u003c",
        "\\n",
        "\\\\",
        "\\\"",
        "\\/",
        "\\u0000",
        "\u{7f}",
        "\\u2028",
        "REDACTED",
    ];
    prop::collection::vec(prop::sample::select(&PARTS[..]), 0..4).prop_map(|parts| format!("\"{}\"", parts.concat()))
}

/// An event type.
pub(crate) fn event_type() -> impl Strategy<Value = String> {
    prop::string::string_regex("[A-Za-z0-9._-]{1,20}").expect("a pattern")
}

/// A time up to its seconds, a fraction of up to nine digits or nothing, and an offset.
pub(crate) fn time() -> impl Strategy<Value = (String, String, String)> {
    let day = (1u16..9998, 1u8..=12, 1u8..=28).prop_map(|(year, month, day)| format!("{year:04}-{month:02}-{day:02}"));
    let clock =
        (0u8..24, 0u8..60, 0u8..60).prop_map(|(hour, minute, second)| format!("{hour:02}:{minute:02}:{second:02}"));
    let fraction = (0u32..1_000_000_000, 0usize..=9).prop_map(|(nanos, digits)| {
        if digits == 0 { String::new() } else { format!(".{}", &format!("{nanos:09}")[..digits]) }
    });
    let offset = prop_oneof![
        Just("Z".to_owned()),
        (prop::bool::ANY, 0u8..24, 0u8..60)
            .prop_map(|(east, hours, minutes)| format!("{}{hours:02}:{minutes:02}", if east { '+' } else { '-' })),
    ];
    (day, clock, fraction, offset)
        .prop_map(|(day, clock, fraction, offset)| (format!("{day}T{clock}"), fraction, offset))
}

/// Whether the request is accepted with this secret.
pub(crate) fn accepts(dialect: &dyn Inbound, headers: &HeaderMap, sent: &Encoded, secret: &str) -> bool {
    let secrets = [Secret::new(secret.to_owned())];
    matches!(dialect.verify(&request(headers, &sent.body), &secrets, NOW), Verified::Accepted { secret: 0, .. })
}

/// Whether nothing is accepted that differs in one bit of body or signature, or has no signature.
pub(crate) fn refuses_one_bit(
    dialect: &dyn Inbound,
    sent: &Encoded,
    signature: &'static str,
    secret: &str,
    at: prop::sample::Index,
) -> bool {
    let flip = |bytes: &[u8]| {
        let bit = at.index(bytes.len() * 8);
        let mut bytes = bytes.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    };
    let other = Encoded { headers: sent.headers.clone(), body: flip(&sent.body).into() };
    let mut none = sent.headers.clone();
    let value = none.remove(signature).expect("it is signed");
    // What cannot be a header value does not reach anybody.
    let flipped = HeaderValue::from_bytes(&flip(value.as_bytes())).map(|value| {
        let mut headers = sent.headers.clone();
        headers.insert(signature, value);
        headers
    });
    !accepts(dialect, &other.headers, &other, secret)
        && !accepts(dialect, &none, sent, secret)
        && flipped.map_or(true, |headers| !accepts(dialect, &headers, sent, secret))
}
