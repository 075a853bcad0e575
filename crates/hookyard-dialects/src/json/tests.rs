use proptest::prelude::*;

use super::*;

fn is_json(bytes: &[u8]) -> bool {
    Tokens::new(bytes).all(|token| token.is_ok())
}

#[test]
fn tokens_know_their_place() {
    let bytes = br#" {"a": [1.50e+1, "x\"y"], "b":null} "#;
    let tokens: Vec<_> = Tokens::new(bytes).map(|token| token.expect("JSON")).collect();
    let kinds: Vec<_> = tokens.iter().map(|token| token.kind).collect();
    assert_eq!(
        kinds,
        [
            Kind::ObjectStart,
            Kind::Key,
            Kind::ArrayStart,
            Kind::Number,
            Kind::String,
            Kind::ArrayEnd,
            Kind::Key,
            Kind::Literal,
            Kind::ObjectEnd,
        ]
    );
    for token in &tokens {
        assert_eq!(&bytes[token.start..token.end()], token.raw);
    }
    assert_eq!(tokens[3].raw, b"1.50e+1");
    assert_eq!(tokens[4].raw, br#""x\"y""#);
}

#[test]
fn what_json_is_and_is_not() {
    fn check(text: &str, expected: bool) {
        assert_eq!(is_json(text.as_bytes()), expected, "{text}");
        // The oracle has an opinion on everything but lone surrogates, which it refuses.
        assert_eq!(serde_json::from_str::<serde_json::Value>(text).is_ok(), expected, "serde_json on {text}");
    }
    for text in ["0", "-0", "-1.5E-3", "\"\"", "[]", "{}", " [1 , 2] ", "{\"a\":{\"a\":[]}}", "\"\\u00e9\\n\"", "true"]
    {
        check(text, true);
    }
    for text in [
        "",
        " ",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "+1",
        "1 2",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1}",
        "{\"a\"}",
        "{\"a\":1,}",
        "{a:1}",
        "{\"a\":1]",
        "{\"a\" 1}",
        "{1:1}",
        "\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\t\"",
        "tru",
        "truefalse",
        "nul",
        "[",
        "{",
        "]",
        "'a'",
        "\u{feff}1",
    ] {
        check(text, false);
    }
}

#[test]
fn nesting_ends_at_the_limit() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(is_json(nested(limits::JSON_DEPTH).as_bytes()));
    assert!(!is_json(nested(limits::JSON_DEPTH + 1).as_bytes()));
    let mixed = format!("{}1{}", "{\"a\":[".repeat(64), "]}".repeat(64));
    assert!(is_json(mixed.as_bytes()));
    assert!(!is_json("[".repeat(1_000_000).as_bytes()));
}

#[test]
fn an_error_says_where_and_what_was_expected() {
    let error = Tokens::new(b"[1 2]").find_map(Result::err).expect("not JSON");
    assert_eq!(error.to_string(), "byte 3: expected `,` or the end of the object or array");
    let mut tokens = Tokens::new(b"[x]");
    assert!(tokens.by_ref().any(|token| token.is_err()));
    assert_eq!(tokens.next(), None);
}

#[test]
fn members_keep_their_bytes() {
    fn check(text: &str, name: &str, expected: Option<&str>) {
        let found = member(text.as_bytes(), name).map(|raw| std::str::from_utf8(raw).expect("UTF-8"));
        assert_eq!(found, expected, "{name} of {text}");
    }
    let object = r#"{"a": 1.000, "b" : [ {"a": 2}, [] ] , "c":{}, "a": 10e00 , "d\u0065" : "x" }"#;
    check(object, "a", Some("10e00"));
    check(object, "b", Some(r#"[ {"a": 2}, [] ]"#));
    check(object, "c", Some("{}"));
    check(object, "de", Some("\"x\""));
    check(object, "z", None);
    check("{}", "a", None);
    check("[{\"a\":1}]", "a", None);
    check("\"a\"", "a", None);
    check("", "a", None);
    // What is not JSON as a whole has no members, however well it begins.
    check(r#"{"a":1"#, "a", None);
    check(r#"{"a":1} x"#, "a", None);
    check(r#"{"a":1,"b":}"#, "a", None);
}

#[test]
fn strings_are_read() {
    fn check(raw: &str, expected: Option<&str>) {
        assert_eq!(text(raw.as_bytes()).as_deref(), expected, "{raw}");
    }
    check(r#""plain""#, Some("plain"));
    check(r#""""#, Some(""));
    check(r#""a\"\\\/\b\f\n\r\tz""#, Some("a\"\\/\u{8}\u{c}\n\r\tz"));
    check(r#""\u00e9\uD83D\uDE00!""#, Some("é😀!"));
    check(r#""\ud83d""#, Some("\u{fffd}"));
    check(r#""\ud83d\ud83d\ude00""#, Some("\u{fffd}😀"));
    check(r#""\ude00\u0041""#, Some("\u{fffd}A"));
    check("\"", None);
    check("", None);
    check("12", None);
    check(r#""\""#, None);
    check(r#""\u12""#, None);
    check(r#""\u+123""#, None);
    check(r#""\u12é4""#, None);
    assert_eq!(text(b"\"\xff\""), None);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Tokens::new(&bytes).count();
        let _ = member(&bytes, "type");
        let _ = text(&bytes);
    }

    #[test]
    fn almost_json_is_judged_as_serde_does(text in r#"[\[\]{}",:0-9eE.\-+ \\ntrufalsebu]{0,24}"#) {
        let ours = is_json(text.as_bytes());
        let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        prop_assert_eq!(ours, theirs, "{}", text);
    }

    #[test]
    fn a_written_string_reads_back(string in ".*") {
        let raw = serde_json::to_string(&string).expect("a string");
        let read = text(raw.as_bytes());
        prop_assert_eq!(read.as_deref(), Some(string.as_str()));
    }

    #[test]
    fn a_member_is_found_whatever_stands_around_it(before in ".{0,8}", value in ".{0,8}", after in ".{0,8}") {
        let mut object = serde_json::Map::new();
        object.insert(format!("b{before}"), serde_json::json!([before, {"type": 1}]));
        object.insert("type".to_owned(), value.clone().into());
        object.insert(format!("z{after}"), serde_json::json!({"type": after}));
        let bytes = serde_json::to_vec(&object).expect("an object");
        let raw = member(&bytes, "type").and_then(text);
        prop_assert_eq!(raw.as_deref(), Some(value.as_str()));
    }
}
