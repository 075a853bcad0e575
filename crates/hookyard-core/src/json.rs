//! Checks that bytes are one JSON value, and how deep it is nested.
//!
//! Called by the publisher for every payload that says it is JSON, so it is on the hot path: one pass, no recursion, no
//! tree, and no allocation for values within [`hookyard_model::limits::JSON_DEPTH`]. What it lets through is kept and sent
//! byte for byte.
//!
//! It holds to the grammar of RFC 8259 and to nothing more: repeated names, numbers beyond 2^53 and escaped lone
//! surrogates are fine. Which of them a dialect can put into another format is for the dialect to say.

mod scanner;

pub(crate) use scanner::Scanner;

/// Why bytes are not one JSON value, and at which byte, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// It ends too early.
    #[error("it ends at byte {at}, where {expected} must follow")]
    Ends {
        /// How many bytes there are.
        at: usize,
        /// What must follow.
        expected: &'static str,
    },
    /// A byte that may not stand there.
    #[error("`{}` at byte {at} is not {expected}", found.escape_ascii())]
    Unexpected {
        /// Which byte.
        found: u8,
        /// Where it stands.
        at: usize,
        /// What must stand there.
        expected: &'static str,
    },
    /// A string that is not UTF-8.
    #[error("the string is not UTF-8 at byte {at}")]
    NotUtf8 {
        /// Where it ends to be UTF-8.
        at: usize,
    },
    /// More levels than allowed.
    #[error("it is nested deeper than {max} levels at byte {at}, at most {max} are allowed")]
    TooDeep {
        /// Where the first level too many begins.
        at: usize,
        /// How many levels are allowed.
        max: usize,
    },
}

/// Checks that `bytes` are exactly one JSON value, white space around it aside, of at most `max` levels of arrays and
/// objects. A value that is neither has no levels.
pub fn check_depth(bytes: &[u8], max: usize) -> Result<(), JsonError> {
    let mut scanner = Scanner::new(bytes, max);
    scanner.value()?;
    scanner.end()
}

#[cfg(test)]
mod tests {
    use hookyard_model::limits;
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    fn check(bytes: impl AsRef<[u8]>, expected: Result<(), &str>) {
        let bytes = bytes.as_ref();
        let answer = check_depth(bytes, limits::JSON_DEPTH).map_err(|error| error.to_string());
        assert_eq!(answer, expected.map_err(str::to_owned), "{}", bytes.escape_ascii());
    }

    #[test]
    fn one_value_is_json() {
        for text in [
            "null",
            "true",
            "false",
            "0",
            "-0",
            "10",
            "-1.5e+3",
            "0.1E-9",
            r#""""#,
            "[]",
            "{}",
            " \t\r\n{ \n} ",
            "[[],[[]]]",
            r#"{"a":1,"a":2}"#,
            r#"{"a":{"b":[1,{"c":null}]},"":""}"#,
            r#""\"\\\/\b\f\n\r\t\u0000\uD83D\ude00\ud800""#,
            "\"gr\u{fc}n \u{1f4f7}\"",
            "123456789012345678901234567890",
            "1e999",
            "\"\u{7f}\u{2028}\"",
            r#""long enough for several words at once, and then \" some""#,
        ] {
            check(text, Ok(()));
        }
    }

    #[test]
    fn what_is_not_json_is_told_with_its_place() {
        check("", Err("it ends at byte 0, where a value must follow"));
        check("  ", Err("it ends at byte 2, where a value must follow"));
        check("{} {}", Err("`{` at byte 3 is not the end, which must follow the value"));
        check("\u{feff}{}", Err("`\\xef` at byte 0 is not a value"));
        check("nope", Err("`o` at byte 1 is not the rest of `null`"));
        check("tru", Err("it ends at byte 3, where the rest of `true` must follow"));
        check("[1,]", Err("`]` at byte 3 is not a value"));
        check("[1 2]", Err("`2` at byte 3 is not `,` or `]`"));
        check("[1}", Err("`}` at byte 2 is not `,` or `]`"));
        check("[", Err("it ends at byte 1, where a value must follow"));
        check("{", Err("it ends at byte 1, where a name in quotes must follow"));
        check("{a:1}", Err("`a` at byte 1 is not a name in quotes"));
        check(r#"{"a" 1}"#, Err("`1` at byte 5 is not `:`"));
        check(r#"{"a":1]"#, Err("`]` at byte 6 is not `,` or `}`"));
        check(r#"{"a":1,}"#, Err("`}` at byte 7 is not a name in quotes"));
        check("01", Err("`1` at byte 1 is not the end, which must follow the value"));
        check("-", Err("it ends at byte 1, where a digit must follow"));
        check("+1", Err("`+` at byte 0 is not a value"));
        check("1.", Err("it ends at byte 2, where a digit must follow"));
        check("1.e3", Err("`e` at byte 2 is not a digit"));
        check("1e", Err("it ends at byte 2, where a digit must follow"));
        check(".5", Err("`.` at byte 0 is not a value"));
        check("NaN", Err("`N` at byte 0 is not a value"));
        check("'a'", Err("`\\'` at byte 0 is not a value"));
        check("\"a", Err("it ends at byte 2, where the end of the string must follow"));
        check("\"a\nb\"", Err("`\\n` at byte 2 is not allowed in a string unless it is escaped"));
        check(r#""\x""#, Err("`x` at byte 2 is not one of `\" \\ / b f n r t u`"));
        check(r#""\u12g4""#, Err("`g` at byte 5 is not a hexadecimal digit"));
        check(r#""\u12"#, Err("it ends at byte 5, where a hexadecimal digit must follow"));
        check(b"\"ok\xff\"", Err("the string is not UTF-8 at byte 3"));
        check(b"\"\xc3\"", Err("the string is not UTF-8 at byte 1"));
        check(b"{\"\xed\xa0\x80\":1}", Err("the string is not UTF-8 at byte 2"));
        check("[1] // no", Err("`/` at byte 4 is not the end, which must follow the value"));
        check("\u{b}1", Err("`\\x0b` at byte 0 is not a value"));
    }

    fn nested(depth: usize, object: bool) -> String {
        let (open, close) = if object { (r#"{"a":"#, "}") } else { ("[", "]") };
        format!("{}1{}", open.repeat(depth), close.repeat(depth))
    }

    #[test]
    fn depth_is_allowed_up_to_its_edge() {
        for object in [false, true] {
            for max in [0, 1, 2, 127, 128, 129, 256, 1_000] {
                assert_eq!(check_depth(nested(max, object).as_bytes(), max), Ok(()), "{max}");
                let at = max * if object { 5 } else { 1 };
                let deeper = nested(max + 1, object);
                assert_eq!(check_depth(deeper.as_bytes(), max), Err(JsonError::TooDeep { at, max }), "{max}");
            }
        }
        assert_eq!(
            JsonError::TooDeep { at: 7, max: 128 }.to_string(),
            "it is nested deeper than 128 levels at byte 7, at most 128 are allowed"
        );
    }

    #[test]
    fn ten_thousand_levels_neither_recurse_nor_confuse() {
        for object in [false, true] {
            let deep = nested(10_000, object);
            assert!(matches!(check_depth(deep.as_bytes(), limits::JSON_DEPTH), Err(JsonError::TooDeep { .. })));
            assert_eq!(check_depth(deep.as_bytes(), 10_000), Ok(()));
            assert!(check_depth(&deep.as_bytes()[..deep.len() - 1], 10_000).is_err());
        }
        // Alternating kinds, so that a level closed as the wrong kind would be seen beyond every word of the stack.
        let open: String = (0..5_000).map(|_| r#"[{"a":"#).collect();
        let close: String = (0..5_000).map(|_| "}]").collect();
        assert_eq!(check_depth(format!("{open}0{close}").as_bytes(), 10_000), Ok(()));
        let wrong: String = (0..5_000).map(|_| "]}").collect();
        assert!(check_depth(format!("{open}0{wrong}").as_bytes(), 10_000).is_err());
        assert!(check_depth("[".repeat(1_000_000).as_bytes(), usize::MAX).is_err());
    }

    /// What `serde_json` says of the same bytes; it reads a raw value by the grammar, without a limit of depth.
    fn reference(bytes: &[u8]) -> bool {
        serde_json::from_slice::<&RawValue>(bytes).is_ok()
    }

    fn agree(bytes: &[u8]) -> Result<(), TestCaseError> {
        let answer = check_depth(bytes, usize::MAX);
        prop_assert_eq!(answer.is_ok(), reference(bytes), "{:?} for {}", answer, bytes.escape_ascii());
        Ok(())
    }

    fn any_value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(6, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn any_bytes_are_judged_as_serde_json_does(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            agree(&bytes)?;
        }

        #[test]
        fn anything_made_of_tokens_is_judged_as_serde_json_does(
            tokens in prop::collection::vec(prop::sample::select(&[
                "{", "}", "[", "]", ",", ":", "\"", "\"a\"", "\\", "\\u00e9", "\\ud800", "0", "1", "-", ".", "e", "E", "+",
                "12.5e3", "null", "true", "false", "nul", " ", "\n", "\t", "\u{b}", "\u{e9}", "{}", "[]", "\"k\":", "abcdefghij",
            ][..]), 0..16),
        ) {
            agree(tokens.concat().as_bytes())?;
        }

        #[test]
        fn every_value_passes_and_a_changed_byte_is_judged_as_serde_json_does(
            value in any_value(), pretty: bool, place: prop::sample::Index, byte: u8,
        ) {
            let text = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) };
            let mut text = text.expect("a value can be written");
            prop_assert_eq!(check_depth(&text, limits::JSON_DEPTH), Ok(()));
            let place = place.index(text.len());
            agree(&text[..place])?;
            text[place] = byte;
            agree(&text)?;
        }
    }
}
