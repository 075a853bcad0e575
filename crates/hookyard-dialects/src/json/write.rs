//! Writes JSON the way another system's encoder does, from the tokens of what was published.
//!
//! Called by the dialects whose body is built around a payload. Space between tokens goes, strings are escaped as the
//! other encoder escapes them, and numbers keep the text that their sender wrote. Half of a surrogate pair, which no
//! text can hold, keeps its escape.

use std::borrow::Cow;
use std::ops::Range;

use super::{JsonError, Kind, Token, Tokens, text::wide};

/// Whose encoder is imitated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// JavaScript's `JSON.stringify`: `"`, `\` and control characters are escaped, the rest stays.
    JavaScript,
    /// Go's `encoding/json`: `<`, `>`, `&`, U+2028 and U+2029 too.
    Go,
}

/// The order of an object's members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberOrder {
    /// As they came, repeated names included.
    AsWritten,
    /// By name, byte by byte, at every depth; of several with one name the last.
    ByName,
}

/// Writes the value that `json` is, without the space between its tokens.
pub fn write(json: &[u8], style: Style, order: MemberOrder, into: &mut Vec<u8>) -> Result<(), JsonError> {
    let mut writer = Writer { tokens: Tokens::new(json), style, order, into };
    let first = writer.next()?;
    writer.value(first)?;
    // What follows the value must be nothing, else the whole was not JSON.
    writer.tokens.next().transpose().map(|_| ())
}

/// Writes `text` as a string with its quotes.
pub fn write_text(text: &str, style: Style, into: &mut Vec<u8>) {
    quoted(text.as_bytes(), style, into);
}

struct Writer<'t, 'o> {
    tokens: Tokens<'t>,
    style: Style,
    order: MemberOrder,
    into: &'o mut Vec<u8>,
}

impl<'t> Writer<'t, '_> {
    /// The next token, where the text cannot be over.
    fn next(&mut self) -> Result<Token<'t>, JsonError> {
        let end = JsonError { at: self.tokens.bytes.len(), expected: "a value" };
        self.tokens.next().transpose()?.ok_or(end)
    }

    /// Recurses once a level; the reader allows no more than [`hookyard_model::limits::JSON_DEPTH`] of them.
    fn value(&mut self, first: Token<'t>) -> Result<(), JsonError> {
        match first.kind {
            Kind::ObjectStart => self.object(),
            Kind::ArrayStart => self.array(),
            Kind::String => self.string(first).map(|_| ()),
            Kind::Number | Kind::Literal => {
                self.into.extend_from_slice(first.raw);
                Ok(())
            }
            Kind::Key | Kind::ObjectEnd | Kind::ArrayEnd => Err(JsonError { at: first.start, expected: "a value" }),
        }
    }

    fn string(&mut self, token: Token<'t>) -> Result<Cow<'t, [u8]>, JsonError> {
        let wide = wide(token.raw).ok_or(JsonError { at: token.start, expected: "UTF-8" })?;
        quoted(&wide, self.style, self.into);
        Ok(wide)
    }

    fn array(&mut self) -> Result<(), JsonError> {
        self.into.push(b'[');
        let mut token = self.next()?;
        while token.kind != Kind::ArrayEnd {
            self.value(token)?;
            token = self.next()?;
            if token.kind != Kind::ArrayEnd {
                self.into.push(b',');
            }
        }
        self.into.push(b']');
        Ok(())
    }

    fn object(&mut self) -> Result<(), JsonError> {
        self.into.push(b'{');
        let begin = self.into.len();
        let mut written: Vec<(Cow<'t, [u8]>, Range<usize>)> = Vec::new();
        let mut token = self.next()?;
        while token.kind != Kind::ObjectEnd {
            let start = self.into.len();
            let name = self.string(token)?;
            self.into.push(b':');
            let first = self.next()?;
            self.value(first)?;
            self.into.push(b',');
            if self.order == MemberOrder::ByName {
                written.push((name, start..self.into.len()));
            }
            token = self.next()?;
        }
        if !written.is_sorted_by(|(one, _), (other, _)| one < other) {
            self.arrange(begin, written);
        }
        if self.into.len() > begin {
            self.into.pop();
        }
        self.into.push(b'}');
        Ok(())
    }

    /// Puts the members that stand from `begin` on into the order of their names.
    fn arrange(&mut self, begin: usize, mut written: Vec<(Cow<'t, [u8]>, Range<usize>)>) {
        // Stable, so that of equal names the last written stands last.
        written.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut arranged = Vec::with_capacity(self.into.len() - begin);
        for (index, (name, range)) in written.iter().enumerate() {
            if written.get(index + 1).is_none_or(|(next, _)| next != name) {
                arranged.extend_from_slice(&self.into[range.clone()]);
            }
        }
        self.into.truncate(begin);
        self.into.append(&mut arranged);
    }
}

/// A string with its quotes; `wide` is UTF-8 that may hold halves of surrogate pairs.
fn quoted(wide: &[u8], style: Style, into: &mut Vec<u8>) {
    into.push(b'"');
    let mut plain = 0;
    let mut at = 0;
    while let Some(&byte) = wide.get(at) {
        let (escape, length) = match byte {
            b'"' => (&b"\\\""[..], 1),
            b'\\' => (&b"\\\\"[..], 1),
            0x08 => (&b"\\b"[..], 1),
            0x0c => (&b"\\f"[..], 1),
            b'\n' => (&b"\\n"[..], 1),
            b'\r' => (&b"\\r"[..], 1),
            b'\t' => (&b"\\t"[..], 1),
            0..=0x1f => (&b""[..], 1),
            b'<' | b'>' | b'&' if style == Style::Go => (&b""[..], 1),
            0xe2 if style == Style::Go && matches!(wide[at..], [_, 0x80, 0xa8 | 0xa9, ..]) => (&b""[..], 3),
            // A surrogate's three bytes; every other character that begins so goes on below 0xa0.
            0xed if wide.get(at + 1).is_some_and(|second| *second >= 0xa0) => (&b""[..], 3),
            _ => {
                at += 1;
                continue;
            }
        };
        into.extend_from_slice(&wide[plain..at]);
        if escape.is_empty() {
            into.extend_from_slice(b"\\u");
            let unit = match wide[at..] {
                [first, second, third, ..] if length == 3 => {
                    u16::from(first & 0x0f) << 12 | u16::from(second & 0x3f) << 6 | u16::from(third & 0x3f)
                }
                _ => u16::from(byte),
            };
            let mut digits = [0; 4];
            hex::encode_to_slice(unit.to_be_bytes(), &mut digits).expect("two bytes are four digits");
            into.extend_from_slice(&digits);
        } else {
            into.extend_from_slice(escape);
        }
        at += length;
        plain = at;
    }
    into.extend_from_slice(&wide[plain..]);
    into.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(json: &str, style: Style, order: MemberOrder) -> Result<String, JsonError> {
        let mut into = Vec::new();
        write(json.as_bytes(), style, order, &mut into)?;
        Ok(String::from_utf8(into).expect("UTF-8"))
    }

    #[track_caller]
    fn check(json: &str, style: Style, order: MemberOrder, expected: &str) {
        assert_eq!(written(json, style, order).as_deref(), Ok(expected), "{json}");
    }

    #[test]
    fn space_goes_and_numbers_stay() {
        let json = " { \"a\" : [ 1.00 , -0 , 12345678901234567890123 , 1E+2 , [ ] , { } ] , \"a\" : null } ";
        let expected = r#"{"a":[1.00,-0,12345678901234567890123,1E+2,[],{}],"a":null}"#;
        check(json, Style::JavaScript, MemberOrder::AsWritten, expected);
        check(" 7 ", Style::Go, MemberOrder::ByName, "7");
    }

    #[test]
    fn strings_are_escaped_as_the_encoder_does() {
        let json = r#""<\u0026>\u2028\u00e9😀\ud83d\ude00\/\u0001\b\f\n\r\t\"\\""#;
        check(json, Style::JavaScript, MemberOrder::AsWritten, "\"<&>\u{2028}é😀😀/\\u0001\\b\\f\\n\\r\\t\\\"\\\\\"");
        let go = r#""\u003c\u0026\u003e\u2028é😀😀/\u0001\b\f\n\r\t\"\\""#;
        check(json, Style::Go, MemberOrder::AsWritten, go);
    }

    #[test]
    fn half_of_a_surrogate_pair_keeps_its_escape() {
        for style in [Style::JavaScript, Style::Go] {
            let json = r#"["\uD800","\udc00x","\ud800\ud83d\ude00","\ud7ff\ue000"]"#;
            let expected = "[\"\\ud800\",\"\\udc00x\",\"\\ud800😀\",\"\u{d7ff}\u{e000}\"]";
            check(json, style, MemberOrder::AsWritten, expected);
        }
        check(r#"{"\ud801":1,"\ud800":2}"#, Style::Go, MemberOrder::ByName, r#"{"\ud800":2,"\ud801":1}"#);
    }

    #[test]
    fn members_are_sorted_by_the_bytes_of_their_names_at_every_depth() {
        let json = r#"{"b":{"z":1,"\u0061":2},"a":[{"y":1,"x":2}],"B":0,"é":1,"~":2}"#;
        let expected = r#"{"B":0,"a":[{"x":2,"y":1}],"b":{"a":2,"z":1},"~":2,"é":1}"#;
        check(json, Style::Go, MemberOrder::ByName, expected);
        check(r#"{"a":1,"b":2,"\u0061":3}"#, Style::Go, MemberOrder::ByName, r#"{"a":3,"b":2}"#);
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for json in ["", "{", "[1,]", "{\"a\":1}x", "\"\u{1}\"", "nul"] {
            for order in [MemberOrder::AsWritten, MemberOrder::ByName] {
                written(json, Style::Go, order).expect_err(json);
            }
        }
        let mut into = Vec::new();
        write(b"\"\xff\"", Style::Go, MemberOrder::AsWritten, &mut into).expect_err("not UTF-8");
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<i64>().prop_map(Into::into),
            "\\PC{0,6}|[<>&\u{2028}\u{7f}\n]{0,3}".prop_map(Into::into),
        ];
        leaf.prop_recursive(5, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                prop::collection::btree_map("[<a-cA-Cé\"]{0,3}", inner, 0..5)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_value_stays_the_same(value in json()) {
            let pretty = serde_json::to_string_pretty(&value).expect("it has a form");
            for (style, order) in [
                (Style::Go, MemberOrder::ByName),
                (Style::Go, MemberOrder::AsWritten),
                (Style::JavaScript, MemberOrder::ByName),
            ] {
                let text = written(&pretty, style, order).expect("it is JSON");
                let read: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
                prop_assert_eq!(&read, &value);
                prop_assert_eq!(&written(&text, style, order).expect("it is JSON"), &text, "again changes nothing");
                if style == Style::JavaScript {
                    // serde_json escapes as JavaScript does, and its map stands in the order of names.
                    prop_assert_eq!(&text, &serde_json::to_string(&value).expect("it has a form"));
                }
            }
        }
    }
}
