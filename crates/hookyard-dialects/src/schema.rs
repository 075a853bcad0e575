//! Holds every sample of every catalogue against its schema, for this crate's tests.
//!
//! It knows the keywords of JSON Schema (2020-12) that the catalogues use and stumbles over any other, so that a
//! misspelled one is found instead of meaning nothing.

use hookyard_model::{EventTime, EventType};
use serde_json::{Map, Value};

use crate::json::Tokens;

/// What is wrong with `value`, if anything is; `root` is the schema that `$ref` points into.
fn fault(root: &Value, schema: &Value, value: &Value) -> Option<String> {
    let Value::Object(keywords) = schema else { return (schema == &Value::Bool(false)).then(|| "never".to_owned()) };
    keywords.iter().find_map(|(keyword, rule)| {
        by_keyword(root, keywords, (keyword, rule), value).map(|fault| format!("{keyword}: {fault}"))
    })
}

fn by_keyword(
    root: &Value,
    keywords: &Map<String, Value>,
    (keyword, rule): (&str, &Value),
    value: &Value,
) -> Option<String> {
    let shown = || Some(format!("{value} against {rule}"));
    let unless = |fine: bool| if fine { None } else { shown() };
    match keyword {
        "$schema" => {
            assert_eq!(rule, "https://json-schema.org/draft/2020-12/schema");
            None
        }
        "$defs" => {
            assert!(rule.is_object(), "{rule}");
            None
        }
        "title" | "description" | "contentMediaType" => {
            assert!(rule.is_string(), "{rule}");
            None
        }
        "$ref" => {
            let path = rule.as_str().and_then(|path| path.strip_prefix('#')).expect("a path inside the schema");
            fault(root, root.pointer(path).unwrap_or_else(|| panic!("{rule} points nowhere")), value)
        }
        "type" => unless(match rule.as_array() {
            Some(types) => types.iter().any(|name| is_of(name, value)),
            None => is_of(rule, value),
        }),
        "enum" => unless(rule.as_array().expect("a list").contains(value)),
        "const" => unless(rule == value),
        "format" => unless(value.as_str().is_none_or(|text| is_in(rule, text))),
        "minimum" => unless(value.as_f64().is_none_or(|number| number >= rule.as_f64().expect("a number"))),
        "maximum" => unless(value.as_f64().is_none_or(|number| number <= rule.as_f64().expect("a number"))),
        "minLength" => unless(value.as_str().is_none_or(|text| text.chars().count() >= length(rule))),
        "pattern" => {
            assert_eq!(rule, "^[0-9]+$", "no other pattern is known here");
            let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            unless(value.as_str().is_none_or(is_number))
        }
        "minItems" => unless(value.as_array().is_none_or(|items| items.len() >= length(rule))),
        "maxItems" => unless(value.as_array().is_none_or(|items| items.len() <= length(rule))),
        "required" => {
            let members = value.as_object()?;
            let mut names = rule.as_array().expect("a list").iter().map(|name| name.as_str().expect("a name"));
            names.find(|name| !members.contains_key(*name)).map(|name| format!("{name} is missing"))
        }
        "properties" => {
            let members = value.as_object()?;
            let mut rules = rule.as_object()?.iter();
            rules.find_map(|(name, rule)| fault(root, rule, members.get(name)?).map(|fault| format!("{name}: {fault}")))
        }
        "additionalProperties" => {
            let named = keywords.get("properties").and_then(Value::as_object);
            let mut others =
                value.as_object()?.iter().filter(|(name, _)| !named.is_some_and(|named| named.contains_key(*name)));
            others.find_map(|(name, value)| fault(root, rule, value).map(|fault| format!("{name}: {fault}")))
        }
        "propertyNames" => {
            let mut names = value.as_object()?.keys();
            names.find_map(|name| fault(root, rule, &Value::String(name.clone())))
        }
        "prefixItems" => {
            let rules = rule.as_array().expect("a list").iter();
            rules.zip(value.as_array()?).find_map(|(rule, item)| fault(root, rule, item))
        }
        "items" => {
            let before = keywords.get("prefixItems").and_then(Value::as_array).map_or(0, Vec::len);
            value.as_array()?.iter().skip(before).find_map(|item| fault(root, rule, item))
        }
        "anyOf" => {
            let mut rules = rule.as_array().expect("a list").iter();
            unless(rules.any(|rule| fault(root, rule, value).is_none()))
        }
        other => panic!("`{other}` is no keyword that is known here"),
    }
}

/// Looks into every part of a schema, whatever the samples hold: a mistake about an absent member would go unseen.
fn read_all(root: &Value, schema: &Value) {
    drop(fault(root, schema, &Value::Null));
    for (keyword, rule) in schema.as_object().into_iter().flatten() {
        match (keyword.as_str(), rule) {
            ("properties" | "$defs", Value::Object(rules)) => rules.values().for_each(|rule| read_all(root, rule)),
            ("prefixItems" | "anyOf", Value::Array(rules)) => rules.iter().for_each(|rule| read_all(root, rule)),
            ("items" | "additionalProperties" | "propertyNames", rule) => read_all(root, rule),
            _ => {}
        }
    }
}

fn length(rule: &Value) -> usize {
    rule.as_u64().and_then(|length| usize::try_from(length).ok()).expect("a length")
}

fn is_of(name: &Value, value: &Value) -> bool {
    match name.as_str().expect("the name of a type") {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("`{other}` is no type"),
    }
}

fn is_in(format: &Value, text: &str) -> bool {
    match format.as_str().expect("the name of a format") {
        "date-time" => text.parse::<EventTime>().is_ok(),
        "date" => text.len() == 10 && format!("{text}T00:00:00Z").parse::<EventTime>().is_ok(),
        "uuid" => {
            let lengths = text.split('-').map(str::len);
            lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
        }
        "uri" => url::Url::parse(text).is_ok(),
        "email" => text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && host.contains('.')),
        other => panic!("`{other}` is no format that is known here"),
    }
}

fn checked(schema: &str, value: &str) -> Option<String> {
    let read = |json: &str| -> Value { serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}")) };
    let schema = read(schema);
    fault(&schema, &schema, &read(value))
}

#[test]
fn every_sample_is_what_its_schema_says() {
    for dialect in crate::all() {
        let mut names = Vec::new();
        for entry in dialect.catalogue() {
            let place = format!("{} of {}", entry.name, dialect.name());
            assert!(entry.name.parse::<EventType>().is_ok(), "{place}");
            assert!(entry.description.ends_with('.'), "{place}");
            assert!(entry.danger.is_none_or(|danger| danger.ends_with('.')), "{place}");
            assert!(Tokens::new(entry.sample.as_bytes()).all(|token| token.is_ok()), "{place}");
            let root: Value = serde_json::from_str(entry.schema).unwrap_or_else(|error| panic!("{place}: {error}"));
            assert!(root.get("$schema").is_some() && root.get("type").is_some(), "{place} says too little");
            read_all(&root, &root);
            assert_eq!(checked(entry.schema, entry.sample), None, "{place}");
            assert!(!names.contains(&entry.name), "{place} stands twice");
            names.push(entry.name);
        }
    }
}

#[test]
#[should_panic(expected = "`propertys` is no keyword that is known here")]
fn a_misspelled_keyword_is_found_where_no_sample_goes() {
    let schema = serde_json::json!({"properties": {"a": {"items": {"anyOf": [{"propertys": {}}]}}}});
    read_all(&schema, &schema);
}

#[test]
fn a_sample_that_is_not_what_its_schema_says_is_found() {
    let schema = r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","required":["a"],
        "properties":{"a":{"$ref":"#/$defs/a"},"b":{"type":["integer","null"],"maximum":9},"c":{"format":"uuid"},
        "d":{"prefixItems":[{"const":1}],"items":{"enum":[2,3]},"maxItems":3}},
        "additionalProperties":{"type":"boolean"},"$defs":{"a":{"anyOf":[{"type":"null"},{"type":"string","minLength":2}]}}}"##;
    for fine in [r#"{"a":null}"#, r#"{"a":"xx","b":9,"z":true}"#, r#"{"a":null,"b":null,"d":[1,2,3]}"#] {
        assert_eq!(checked(schema, fine), None, "{fine}");
    }
    for wrong in [
        "[]",
        "{}",
        r#"{"a":1}"#,
        r#"{"a":"x"}"#,
        r#"{"a":null,"b":1.5}"#,
        r#"{"a":null,"b":10}"#,
        r#"{"a":null,"c":"x"}"#,
        r#"{"a":null,"d":[2]}"#,
        r#"{"a":null,"d":[1,1]}"#,
        r#"{"a":null,"d":[1,2,3,2]}"#,
        r#"{"a":null,"z":1}"#,
    ] {
        assert!(checked(schema, wrong).is_some(), "{wrong}");
    }
}
