//! Masks secrets inside a payload: the values of members that a dialect names, and nothing else.
//!
//! Called by the dialects whose systems put settings or passwords into what they announce, before they encode. What is not
//! masked keeps its bytes, so numbers keep their text and members their order; masking twice changes nothing. Which
//! members are secrets is for the dialect to say.

use std::borrow::Cow;

use crate::json::{JsonError, Kind, Token, Tokens, text};

/// What stands in the place of a secret, quotes included.
const REDACTED: &[u8] = b"\"REDACTED\"";

/// `json` with the values of secret members replaced by the string `REDACTED`; borrowed where there are none.
///
/// `is_secret` is asked for every member of every object that is not itself masked, with the names of the members around
/// it, outermost first, and its own name. Arrays add nothing to the path: the members of each element are asked for as if
/// the element stood in the array's place. What tells nothing stays as it is: `null`, `true`, `false`, `""`, `[]` and `{}`.
pub(crate) fn redact<'a>(
    json: &'a [u8],
    mut is_secret: impl FnMut(&[Cow<'a, str>], &str) -> bool,
) -> Result<Cow<'a, [u8]>, JsonError> {
    let mut tokens = Tokens::new(json);
    let mut path = Path::default();
    let mut masked = Vec::new();
    let mut copied = 0;
    while let Some(token) = tokens.next().transpose()? {
        match token.kind {
            Kind::Key => {
                let name = text(token.raw).ok_or(JsonError { at: token.start, expected: "UTF-8" })?;
                if is_secret(&path.names, &name) {
                    let value = value(&mut tokens)?;
                    if value.tells {
                        masked.extend_from_slice(&json[copied..value.start]);
                        masked.extend_from_slice(REDACTED);
                        copied = value.end;
                    }
                } else {
                    path.name = Some(name);
                }
            }
            Kind::ObjectStart | Kind::ArrayStart => path.enter(),
            Kind::ObjectEnd | Kind::ArrayEnd => path.leave(),
            Kind::String | Kind::Number | Kind::Literal => path.name = None,
        }
    }
    if copied == 0 {
        return Ok(Cow::Borrowed(json));
    }
    masked.extend_from_slice(&json[copied..]);
    Ok(Cow::Owned(masked))
}

/// The names around a token.
#[derive(Default)]
struct Path<'a> {
    names: Vec<Cow<'a, str>>,
    /// For each open object or array, whether it is a member's value and so has put its name on the path.
    levels: Vec<bool>,
    /// The name of the member whose value comes next.
    name: Option<Cow<'a, str>>,
}

impl Path<'_> {
    fn enter(&mut self) {
        self.levels.push(self.name.is_some());
        self.names.extend(self.name.take());
    }

    fn leave(&mut self) {
        if self.levels.pop() == Some(true) {
            self.names.pop();
        }
    }
}

/// Where a member's value stands.
struct Value {
    start: usize,
    end: usize,
    /// Whether it tells anything.
    tells: bool,
}

/// Reads the value that comes next, all its levels.
fn value(tokens: &mut Tokens<'_>) -> Result<Value, JsonError> {
    let around = tokens.depth();
    let first = next(tokens)?;
    let mut last = first;
    let mut inside = 0_usize;
    while tokens.depth() > around {
        last = next(tokens)?;
        inside += 1;
    }
    let tells = match first.kind {
        // The end of an empty object or array is the only token inside it.
        Kind::ObjectStart | Kind::ArrayStart => inside > 1,
        Kind::String => first.raw != b"\"\"",
        Kind::Number => true,
        Kind::Literal | Kind::Key | Kind::ObjectEnd | Kind::ArrayEnd => false,
    };
    Ok(Value { start: first.start, end: last.end(), tells })
}

/// The next token, where the text cannot be over: behind a name, or inside an object or array.
fn next<'a>(tokens: &mut Tokens<'a>) -> Result<Token<'a>, JsonError> {
    tokens.next().transpose()?.ok_or(JsonError { at: 0, expected: "a value" })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Masks `secret` anywhere, and `api` inside `weather.locations`.
    fn redacted(json: &str) -> Result<String, JsonError> {
        let is_secret = |path: &[Cow<'_, str>], name: &str| match name {
            "secret" => true,
            "api" => path == ["weather", "locations"],
            _ => false,
        };
        redact(json.as_bytes(), is_secret).map(|json| String::from_utf8(json.into_owned()).expect("UTF-8"))
    }

    #[track_caller]
    fn check(json: &str, expected: &str) {
        assert_eq!(redacted(json).as_deref(), Ok(expected), "{json}");
        assert_eq!(redacted(expected).as_deref(), Ok(expected), "again changes nothing");
    }

    #[test]
    fn secrets_are_masked_at_any_depth_and_the_rest_keeps_its_bytes() {
        check(
            r#" { "a" : [ { "secret" : "x\"y" , "n" : 1.00 } , [ { "secret":7 } ] ] , "secret" : { "a" : [1] } , "z":1E+2 } "#,
            r#" { "a" : [ { "secret" : "REDACTED" , "n" : 1.00 } , [ { "secret":"REDACTED" } ] ] , "secret" : "REDACTED" , "z":1E+2 } "#,
        );
    }

    #[test]
    fn a_name_is_the_same_however_it_is_escaped_or_repeated() {
        check(
            r#"{"s\u0065cret":"a","secret":"b","secret":[1]}"#,
            r#"{"s\u0065cret":"REDACTED","secret":"REDACTED","secret":"REDACTED"}"#,
        );
    }

    #[test]
    fn what_tells_nothing_stays() {
        let json = r#"[{"secret":null},{"secret":true},{"secret":false},{"secret":""},{"secret":[ ]},{"secret":{ }}]"#;
        check(json, json);
        assert!(matches!(redact(json.as_bytes(), |_, _| true), Ok(Cow::Borrowed(_))));
    }

    #[test]
    fn a_path_is_the_names_around_a_member() {
        check(
            r#"{"weather":{"locations":[{"api":"k","name":"x"}],"api":"stays"},"api":"stays","locations":[{"api":"stays"}]}"#,
            r#"{"weather":{"locations":[{"api":"REDACTED","name":"x"}],"api":"stays"},"api":"stays","locations":[{"api":"stays"}]}"#,
        );
    }

    #[test]
    fn values_that_have_no_members_stay() {
        for json in ["7", "\"secret\"", "null", "[]", "[\"secret\",\"x\"]", "{\"a\":\"secret\"}"] {
            check(json, json);
        }
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for json in ["", "{", "{\"secret\"", "{\"secret\":", "{\"secret\":}", "{\"secret\":[1}", "{\"secret\":\"x\"}x"]
        {
            redacted(json).expect_err(json);
        }
        redact(b"{\"\xff\":1}", |_, _| false).expect_err("not UTF-8");
    }

    /// Masks by values instead of tokens.
    fn oracle(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Object(members) => {
                for (name, value) in members {
                    let tells = match value {
                        serde_json::Value::Null | serde_json::Value::Bool(_) => false,
                        serde_json::Value::Number(_) => true,
                        serde_json::Value::String(text) => !text.is_empty(),
                        serde_json::Value::Array(elements) => !elements.is_empty(),
                        serde_json::Value::Object(members) => !members.is_empty(),
                    };
                    if name == "secret" && tells {
                        *value = "REDACTED".into();
                    } else {
                        oracle(value);
                    }
                }
            }
            serde_json::Value::Array(elements) => elements.iter_mut().for_each(oracle),
            serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Number(_)
            | serde_json::Value::String(_) => {}
        }
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i32>().prop_map(Into::into),
            "\\PC{0,3}".prop_map(Into::into),
        ];
        leaf.prop_recursive(5, 30, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::btree_map("secret|[a-c]", inner, 0..4)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn masking_tokens_is_masking_values(value in json()) {
            let pretty = serde_json::to_string_pretty(&value).expect("it has a form");
            let masked = redacted(&pretty).expect("it is JSON");
            let mut expected = value;
            oracle(&mut expected);
            let read: serde_json::Value = serde_json::from_str(&masked).expect("it is JSON");
            prop_assert_eq!(read, expected);
        }
    }
}
