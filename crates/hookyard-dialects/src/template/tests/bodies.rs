use super::*;

const PAYLOAD: &str = r#"{"title":"A \"quoted\" one\n& more","total":18.40,"big":12345678901234567890123456789012345678901234567890,"n":7,"minus":-0,"exp":1E+2,"yes":true,"none":null,"items":[{"name":"a","price":1.00},{"name":"b","price":2}]}"#;

#[test]
fn without_options_the_payload_leaves_as_it_came() {
    let mut message = message(" {\"a\" : 1} ");
    let encoded = Template.encode(&message, &with(&[]), 0).expect("encoded");
    assert_eq!(&encoded.body[..], b" {\"a\" : 1} ");
    assert_eq!(encoded.headers[CONTENT_TYPE], "application/json");
    message.content_type = "text/csv".to_owned();
    let encoded = Template.encode(&message, &with(&[]), 0).expect("encoded");
    assert_eq!(encoded.headers[CONTENT_TYPE], "text/csv", "what is not changed keeps its media type");
    let encoded = Template.encode(&message, &with(&[("content_type", "text/plain")]), 0).expect("encoded");
    assert_eq!(encoded.headers[CONTENT_TYPE], "text/plain");
    let encoded = Template.encode(&message, &with(&[("body", "{}")]), 0).expect("encoded");
    assert_eq!(encoded.headers[CONTENT_TYPE], "application/json");
    message.payload = Payload::Expunged;
    let error = Template.encode(&message, &with(&[("body", "{}")]), 0).expect_err("nothing may leave");
    assert_eq!(error.to_string(), "its payload was expunged");
}

#[test]
fn numbers_keep_their_digits_wherever_they_are_written() {
    assert_eq!(body("{{ payload.total }}", PAYLOAD), "18.40");
    assert_eq!(body("{{ payload.total | tojson }}", PAYLOAD), "18.40");
    assert_eq!(body("{{ payload.total ~ ' EUR' }}", PAYLOAD), "18.40 EUR");
    assert_eq!(body("{{ payload.total | urlencode }}", PAYLOAD), "18.40");
    assert_eq!(body("{{ payload.minus }} {{ payload.exp }} {{ payload.n }}", PAYLOAD), "-0 1E+2 7");
    assert_eq!(body("{{ payload.big }}", PAYLOAD), "12345678901234567890123456789012345678901234567890");
    assert_eq!(body("{{ {'b': payload.exp, 'a': [payload.total]} | tojson }}", PAYLOAD), r#"{"b":1E+2,"a":[18.40]}"#);
    assert_eq!(body("{{ payload.items | map(attribute='price') | join(',') }}", PAYLOAD), "1.00,2");
}

#[test]
fn numbers_are_calculated_with_after_float() {
    assert_eq!(body("{{ payload.n + 1 }} {{ payload.n > 6 }}", PAYLOAD), "8 true");
    assert_eq!(body("{{ payload.total | float > 18 }} {{ payload.total | times(2) }}", PAYLOAD), "true 36.8");
    assert_eq!(body("{{ payload.total | round(0) | int }} {{ payload.exp | int + 1 }}", PAYLOAD), "18 101");
    assert_eq!(body("{{ payload.total is number }} {{ payload.title is number }}", PAYLOAD), "true false");
    assert_eq!(body("{{ payload.items | map(attribute='price') | sum }}", PAYLOAD), "3.0");
    assert_eq!(
        body("{{ [1, 2, 3] | sum }} {{ payload.items | map(attribute='name') | map('upper') }}", PAYLOAD),
        "6 [\"A\",\"B\"]"
    );
    assert!(
        body_fails("{{ payload.items | sum }}", PAYLOAD).ends_with("map is no number; `float` makes one of a text")
    );
}

#[test]
fn text_is_written_as_it_is_and_everything_else_as_json() {
    assert_eq!(body("{{ payload.title }}", PAYLOAD), "A \"quoted\" one\n& more");
    assert_eq!(body("{{ payload.title | tojson }}", PAYLOAD), r#""A \"quoted\" one\n& more""#);
    assert_eq!(body("{{ payload.yes }} {{ payload.none }} {{ [] }} {{ {} }}", PAYLOAD), "true null [] {}");
    let items = r#"[{"name":"a","price":1.00},{"name":"b","price":2}]"#;
    assert_eq!(body("{{ payload.items }}", PAYLOAD), items);
    assert_eq!(body("{{ payload.items | tojson }}", PAYLOAD), items);
    assert_eq!(body("{{ payload | tojson }}", PAYLOAD), PAYLOAD);
    assert_eq!(body("{{ payload_json }}", " [1,  2] "), " [1,  2] ");
    assert_eq!(body("{{ payload }}", " [1,  2] "), "[1,2]");
    assert_eq!(body("{{ payload | tojson }}", r#"{"a":1,"a":2}"#), r#"{"a":1,"a":2}"#, "members that repeat stay");
    assert_eq!(body("{{ payload.a }} {{ payload | list }}", r#"{"a":1,"b":0,"a":2}"#), r#"2 ["b","a"]"#);
}

#[test]
fn payloads_of_any_kind_can_be_named() {
    assert_eq!(body("{{ payload }}", "7.50"), "7.50");
    assert_eq!(body("{{ payload }}", "\"x\""), "x");
    assert_eq!(
        body("{% for x in payload %}{{ loop.index }}={{ x }};{% endfor %}", "[1,\"b\",null]"),
        "1=1;2=b;3=null;"
    );
    let mut text = message("a,b\n");
    text.content_type = "text/csv; charset=utf-8".to_owned();
    let endpoint = with(&[("body", "{{ payload | tojson }}")]);
    assert_eq!(&Template.encode(&text, &endpoint, 0).expect("encoded").body[..], br#""a,b\n""#);
    let endpoint = with(&[("body", "{{ payload_json }}")]);
    let error = Template.encode(&text, &endpoint, 0).expect_err("it is not JSON");
    assert_eq!(error.to_string(), "template of the body: line 1: the payload is not JSON; `payload` is its text");
    let mut bytes = message(&b"\xff\xfe"[..]);
    bytes.content_type = "image/jpeg".to_owned();
    let endpoint = with(&[("body", "{{ payload }}")]);
    let error = Template.encode(&bytes, &endpoint, 0).expect_err("it is not text");
    assert_eq!(error.to_string(), "template of the body: line 1: the payload is neither JSON nor text");
}

#[test]
fn the_message_and_what_is_free_about_it_can_be_named() {
    let template = "{{ id }}|{{ event_type }}|{{ time }}|{{ endpoint.uid }}|{{ endpoint.metadata.room }}|\
                    {{ application.metadata.event_id }}|{{ channels | join(',') }}|{{ tags | tojson }}";
    let mut endpoint = with(&[("body", template)]);
    endpoint.uid = Some("crm".parse().expect("a uid"));
    Arc::make_mut(&mut endpoint.settings).metadata.insert("room".to_owned(), "7".to_owned());
    Arc::make_mut(&mut endpoint.application_metadata).insert("event_id".to_owned(), "42".to_owned());
    let mut message = message("{}");
    message.event_time = Some("2026-02-03T04:05:06.700+01:00".parse().expect("a time"));
    message.channels = vec!["a".parse().expect("a channel"), "b".parse().expect("a channel")];
    let encoded = Template.encode(&message, &endpoint, 0).expect("encoded");
    let expected = format!("{}|task.created|2026-02-03T04:05:06.700+01:00|crm|7|42|a,b|[]", message.id);
    assert_eq!(String::from_utf8_lossy(&encoded.body), expected);
    let again = Template.encode(&message, &endpoint, 0).expect("encoded");
    assert_eq!(again, encoded, "every attempt sends the same bytes");
}

#[test]
fn forms_are_encoded() {
    let payload = r#"{"a b":"ü&=+","n":1.50,"l":[1]}"#;
    assert_eq!(body("{{ payload | urlencode }}", payload), "a%20b=%C3%BC%26%3D%2B&n=1.50&l=%5B1%5D");
    assert_eq!(
        body("{{ {'text': payload['a b'], 'n': payload.n} | urlencode }}", payload),
        "text=%C3%BC%26%3D%2B&n=1.50"
    );
    assert_eq!(body("{{ 'a/b~c' | urlencode }}", payload), "a%2Fb~c");
}

#[test]
fn what_is_not_there_is_named() {
    assert_eq!(
        body_fails("a\n{{ payload.user.name }}", "{\"user\":{}}"),
        "template of the body: line 2: `payload.user.name` is undefined; give it a `default`"
    );
    assert_eq!(
        body_fails("{{ payload.total | tojson }}", "{}"),
        "template of the body: line 1: `payload.total` is undefined; give it a `default`"
    );
    assert_eq!(
        body_fails("{{ endpoint.uid | urlencode }}", "{}"),
        "template of the body: line 1: `endpoint.uid` is undefined; give it a `default`"
    );
    assert_eq!(body("{{ payload.x | default('-') }}{{ payload.y | default(0) | tojson }}", "{}"), "-0");
}

#[test]
fn headers_are_one_line_of_text() {
    let options = [("headers.X-Title", "{{ payload.title }}"), ("headers.X-Event", "{{ event_type }}")];
    let encode = |payload: &str| Template.encode(&message(payload.to_owned()), &with(&options), 0);
    let encoded = encode(r#"{"title":"Grüße"}"#).expect("encoded");
    assert_eq!(encoded.headers["x-title"].as_bytes(), "Grüße".as_bytes());
    assert_eq!(encoded.headers["x-event"], "task.created");
    assert_eq!(&encoded.body[..], r#"{"title":"Grüße"}"#.as_bytes());
    for break_ in ["\\r\\n", "\\n", "\\u0000", "\\r"] {
        let error = encode(&format!(r#"{{"title":"a{break_}X-Injected: 1"}}"#)).expect_err("a second header");
        assert_eq!(
            error.to_string(),
            "template of header `x-title`: made a value with a line break or another control character; only text is \
             allowed"
        );
    }
    let longest = "x".repeat(limits::HEADER_VALUE_BYTES);
    encode(&format!(r#"{{"title":"{longest}"}}"#)).expect("encoded");
    let error = encode(&format!(r#"{{"title":"{longest}x"}}"#)).expect_err("too long");
    assert_eq!(error.to_string(), "template of header `x-title`: made more than 4096 bytes");
}
