use hookyard_model::Secret;

use super::*;

const STRUCTURED: &str = "application/cloudevents+json; charset=UTF-8";

fn structured(body: &str) -> Result<Decoded, DecodeError> {
    decoded(&headers(&[("content-type", STRUCTURED)]), body.to_owned())
}

/// An event with these members beside the required ones.
fn with(members: &str) -> String {
    format!(
        r#"{{"specversion":"1.0","type":"com.example.someevent","source":"/mycontext","id":"A234-1234-1234"{members}}}"#
    )
}

#[track_caller]
fn check(members: &str, content_type: &str, payload: &str) {
    let decoded = structured(&with(members)).expect(members);
    assert_eq!((decoded.content_type.as_str(), &decoded.payload[..]), (content_type, payload.as_bytes()), "{members}");
}

#[test]
fn the_published_structured_events_come_in() {
    let event = with(
        r#","time":"2018-04-05T17:31:00Z","comexampleextension1":"value","comexampleothervalue":5,"unsetextension":null,"datacontenttype":"application/xml","data":"<much wow=\"xml\"/>""#,
    );
    let decoded = structured(&event).expect("decoded");
    assert_eq!(decoded.event_type.as_str(), "com.example.someevent");
    assert_eq!(decoded.event_time.expect("it says").text(), "2018-04-05T17:31:00Z");
    assert_eq!((decoded.content_type.as_str(), &decoded.payload[..]), ("application/xml", &b"<much wow=\"xml\"/>"[..]));

    check(
        r#","subject":null,"datacontenttype":"application/json","data" : { "appinfoA" : "abc", "n": 1.00 }"#,
        "application/json",
        r#"{ "appinfoA" : "abc", "n": 1.00 }"#,
    );
    check(r#","data":"I'm just a string""#, "application/json", r#""I'm just a string""#);
}

#[test]
fn binary_data_come_in_as_they_were() {
    let decoded = structured(&with(r#","datacontenttype":"image/jpeg","data_base64":"AP8=""#)).expect("decoded");
    assert_eq!((decoded.content_type.as_str(), &decoded.payload[..]), ("image/jpeg", &b"\x00\xff"[..]));
    let decoded = structured(&with(r#","data_base64":"AP8=""#)).expect("decoded");
    assert_eq!(decoded.content_type, "application/octet-stream");
}

#[test]
fn an_event_without_data_has_null() {
    check("", "application/json", "null");
    check(r#","data":null"#, "application/json", "null");
    check(r#","data_base64":null"#, "application/json", "null");
    check(r#","datacontenttype":"text/plain""#, "text/plain", "");
}

#[test]
fn the_published_binary_event_comes_in() {
    let all = [
        ("ce-specversion", "1.0"),
        ("ce-type", "com.example.someevent"),
        ("ce-time", "2018-04-05T03:56:24Z"),
        ("ce-id", "1234-1234-1234"),
        ("ce-source", "/mycontext/subcontext"),
        ("content-type", "application/json; charset=utf-8"),
    ];
    let event = decoded(&headers(&all), "{ \"n\": 1.00 }").expect("decoded");
    assert_eq!(event.event_type.as_str(), "com.example.someevent");
    assert_eq!(event.event_time.expect("it says").text(), "2018-04-05T03:56:24Z");
    assert_eq!(event.content_type, "application/json; charset=utf-8");
    assert_eq!(&event.payload[..], b"{ \"n\": 1.00 }");
    for (missing, _) in &all[..5] {
        let rest: Vec<_> = all.iter().copied().filter(|(name, _)| name != missing).collect();
        let event = decoded(&headers(&rest), "{}");
        match missing.strip_prefix("ce-").expect("an attribute") {
            "time" => assert_eq!(event.expect("decoded").event_time, None),
            name => assert_eq!(event.expect_err(name).to_string(), format!("attribute `{name}` is missing")),
        }
    }
    let event = decoded(&headers(&all[..5]), Bytes::new()).expect("decoded");
    assert_eq!((event.content_type.as_str(), &event.payload[..]), ("application/json", &b"null"[..]));
    let event = decoded(&headers(&all[..5]), "\u{1}").expect("decoded");
    assert_eq!(event.content_type, "application/octet-stream");
    let error = decoded(&headers(&all), "nonsense").expect_err("not JSON").to_string();
    assert_eq!(error, "the data are not JSON, as their media type says");
}

#[test]
fn header_values_are_unquoted_and_decoded_once() {
    let said = |text: &str| binary::unescape(text.as_bytes());
    assert_eq!(said("Euro%20%E2%82%AC%20%f0%9f%98%80").as_deref(), Some("Euro € 😀"));
    assert_eq!(said("%2520").as_deref(), Some("%20"));
    assert_eq!(said("%41%zz%").as_deref(), Some("A%zz%"));
    assert_eq!(said(r#""a b\"c\\d%20""#).as_deref(), Some(r#"a b"c\d "#));
    assert_eq!(said("\"").as_deref(), Some("\""));
    assert_eq!(said("\"a\\\"").as_deref(), Some("a"));
    assert_eq!(said("%C0%A0"), None, "an overlong space");
    let bad = headers(&[("ce-specversion", "1.0"), ("ce-id", "%C0%A0")]);
    let error = decoded(&bad, "{}").expect_err("not UTF-8").to_string();
    assert_eq!(error, "header `ce-id` is not percent-encoded UTF-8");
}

#[test]
fn a_batch_of_one_comes_in_and_others_are_refused() {
    let batch =
        |body: &str| decoded(&headers(&[("content-type", "application/cloudevents-batch+json")]), body.to_owned());
    let one = batch(&format!(" [ {} ] ", with(r#","data":[{"a":[]},2]"#))).expect("one event");
    assert_eq!(&one.payload[..], br#"[{"a":[]},2]"#);
    let refused = |body: &str| batch(body).expect_err(body).to_string();
    let many =
        |events: usize| format!("a batch of {events} events is not taken apart; send each in a request of its own");
    assert_eq!(refused("[]"), many(0));
    assert_eq!(refused(&format!("[{0},{0}]", with(""))), many(2));
    assert_eq!(refused(&format!("[{},7,[],[1]]", with(""))), many(4));
    assert_eq!(refused("{}"), "body must be a JSON array, as its media type says");
    assert_eq!(refused("["), "body must be a JSON array; byte 1: expected a value");
    assert_eq!(refused("[7]"), "event must be a JSON object; byte 0: expected an object");
    assert_eq!(refused("[[{}]]"), "event must be a JSON object; byte 0: expected an object");
}

#[test]
fn what_is_no_event_says_why() {
    let refused = |body: &str| structured(body).expect_err(body).to_string();
    assert_eq!(refused("[]"), "event must be a JSON object; byte 0: expected an object");
    assert_eq!(refused("{}"), "attribute `specversion` is missing");
    assert_eq!(refused(r#"{"specversion":"0.3"}"#), "attribute `specversion` is `0.3`, must be `1.0`");
    assert_eq!(refused(r#"{"specversion":1.0}"#), "attribute `specversion` must be a string");
    assert_eq!(refused(r#"{"specversion":"1.0","id":""}"#), "attribute `id` is missing");
    assert_eq!(refused(r#"{"specversion":"1.0","id":"a","source":null}"#), "attribute `source` is missing");
    assert_eq!(refused(r#"{"specversion":"1.0","id":"a\u0000"}"#), "attribute `id` has a control character");
    let kind = r#"{"specversion":"1.0","id":"a","source":"/","type":"a/b"}"#;
    assert_eq!(refused(kind), "attribute `type`: event type `a/b` must be 1 to 256 of `a-z A-Z 0-9 - _ .`");
    assert!(refused(&with(r#","time":"now""#)).starts_with("attribute `time`: `now` is not an RFC 3339 time"));
    assert_eq!(refused(&with(r#","data":1,"data_base64":"AP8=""#)), "`data` and `data_base64` exclude each other");
    for odd in [r#","data_base64":"%""#, r#","data_base64":7"#] {
        assert_eq!(refused(&with(odd)), "`data_base64` must be a string of base64");
    }
    assert_eq!(
        refused(&with(r#","datacontenttype":"text/plain","data":{}"#)),
        "`data` must be a string, because `datacontenttype` does not say that it is JSON"
    );
    assert_eq!(refused(&with(r#","datacontenttype":7"#)), "attribute `datacontenttype` must be a string");
    let avro = decoded(&headers(&[("content-type", "application/cloudevents+avro")]), "x").expect_err("another format");
    assert_eq!(
        avro.to_string(),
        "media type `application/cloudevents+avro` is a format that is not read; send `application/cloudevents+json`, or the binary mode"
    );
    let latin = decoded(&headers(&[("content-type", STRUCTURED)]), &b"{\"a\":\"\xff\"}"[..]).expect_err("not UTF-8");
    assert_eq!(latin.to_string(), "event must be a JSON object; it is not UTF-8");
}

#[test]
fn an_id_counts_within_its_source() {
    let id = |source: &str, id: &str| {
        let event = format!(r#"{{"specversion":"1.0","type":"t","source":"{source}","id":"{id}"}}"#);
        structured(&event).expect("decoded").deduplication_id.expect("it has one")
    };
    assert_eq!(id("/a", "1"), id("/a", "1"));
    assert_ne!(id("/a", "1"), id("/b", "1"));
    assert_ne!(id("/a", "1"), id("/a", "2"));
    assert_ne!(id("/a", "11"), id("/a1", "1"));
    assert_eq!(id("/a", "1").len(), 64);
}

#[test]
fn who_sends_is_told_by_a_header() {
    let body = Bytes::from_static(b"{}");
    let verified = |pairs: &[(&'static str, &str)], secrets: &[Secret<String>]| {
        CloudEvents.verify(&request(&headers(pairs), &body), secrets, NOW)
    };
    let secrets = [Secret::new("canary".to_owned())];
    assert_eq!(verified(&[], &[]), Verified::Accepted { rule: "none", secret: 0 });
    let accepted = Verified::Accepted { rule: "shared secret", secret: 0 };
    assert_eq!(verified(&[("authorization", "Bearer canary")], &secrets), accepted);
    assert!(matches!(verified(&[], &secrets), Verified::Refused(_)));
}
