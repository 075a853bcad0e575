use super::*;
use crate::examples::header;

#[test]
fn a_template_that_is_none_is_refused_with_line_and_reason() {
    assert_eq!(
        refused(&[("body", "{\n{{ payload.a | }}\n}")]),
        "options.body: line 2: unexpected end of variable block, expected identifier"
    );
    assert_eq!(
        refused(&[("body", "{% if payload %}")]),
        "options.body: line 1: unexpected end of input, expected end of block"
    );
    assert_eq!(refused(&[("body", "a\n\n{{ payload.a | tojsn }}")]), "options.body: line 3: `tojsn` is no filter");
    let branch = "{% for x in payload %}{% if x is not definde %}{% endif %}{% endfor %}";
    assert_eq!(refused(&[("body", branch)]), "options.body: line 1: `definde` is no test");
    assert_eq!(
        refused(&[("headers.x-a", "{{ paylod.a }}")]),
        "options.headers.x-a: `paylod` is no variable; there are `payload`, `payload_json`, `id`, `event_type`, `time`, \
         `endpoint`, `application`, `channels`, `tags`"
    );
    assert_eq!(
        refused(&[("body", "{{ timestamp }}")]).split(';').next(),
        Some("options.body: `timestamp` is no variable"),
        "a body does not depend on the time of the attempt"
    );
    for gone in ["debug()", "namespace()"] {
        assert!(refused(&[("body", &format!("{{{{ {gone} }}}}"))]).ends_with("`channels`, `tags`"), "{gone}");
    }
    for gone in ["{% include 'x' %}", "{% macro f() %}{% endmacro %}", "{% import 'x' as y %}"] {
        assert!(refused(&[("body", gone)]).contains("unknown statement"), "{gone}");
    }
}

#[test]
fn what_only_the_message_decides_is_saved() {
    for template in [
        "{{ payload.a.b.c | tojson }}",
        "{{ payload.a + 1 }}",
        "{{ payload.a | float > 1 }}",
        "{{ payload[0].x | upper }}",
        "{{ payload.items | map(attribute='x') | join(',') }}",
        "{% for key, value in payload | items %}{{ key }}{% endfor %}",
        "{% set t = payload.title | default('x') %}{{ t }} {% if t is startingwith 'y' %}{{ loop_ | default(1) if false }}{% endif %}",
        "{{ payload.recursive }}{% if payload.recursive %}{% endif %}{% for x in payload.recursive %}{% endfor %}",
    ] {
        let template = template.replace("{{ loop_ | default(1) if false }}", "");
        assert_eq!(check_settings(&Template, &with(&[("body", &template)]).settings), Ok(()), "{template}");
    }
}

#[test]
fn headers_that_cannot_be_sent_are_refused() {
    assert_eq!(
        refused(&[("headers.Host", "x")]),
        "options.headers.Host: `Host` belongs to the connection and cannot be set"
    );
    assert_eq!(
        refused(&[("headers.a b", "x")]),
        "options.headers.a b: `a b` is not a header name (letters, digits and `-`)"
    );
    assert_eq!(
        refused(&[("headers.Content-Type", "x")]),
        "options.headers.content-type: is what `options.content_type` says"
    );
    assert_eq!(refused(&[("headers.X-A", "x"), ("headers.x-a", "y")]), "options.headers.x-a: is there twice");
    assert_eq!(
        refused(&[("content_type", "a\nb")]),
        "options.content_type: must be a media type on one line, such as `application/json`"
    );
    assert_eq!(refused(&[("signature.header", "te")]).split(':').next(), Some("options.signature.header"));
    let names: Vec<String> = (0..=limits::ENDPOINT_HEADERS).map(|number| format!("headers.x-{number}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    assert_eq!(check_settings(&Template, &with(&many[1..]).settings), Ok(()));
    assert_eq!(refused(&many), "options.headers: 65 headers, at most 64 are allowed");
}

#[test]
fn a_secret_and_a_place_for_the_signature_belong_together() {
    let keys = SigningKeys::single("canary");
    let check = |options: &[(&str, &str)]| check_settings(&Template, &signing(with(options), &keys).settings);
    let refused_with_secret = |options: &[(&str, &str)]| check(options).expect_err("it cannot be saved").to_string();
    assert_eq!(
        refused_with_secret(&[]),
        "secret: nothing says where a signature goes; name its header in `options.signature.header`, or leave the secret \
         out"
    );
    assert_eq!(
        refused(&[("signature.header", "X-Signature")]),
        "options.signature.header: needs something to sign with; give the endpoint a `secret`, or leave `signature` out"
    );
    assert_eq!(
        refused_with_secret(&[("signature.encoding", "hex")]),
        "options.signature.encoding: says how to sign, and nothing says where; name the header in \
         `options.signature.header`"
    );
    assert_eq!(check(&[("signature.header", "X-Signature")]), Ok(()));
    assert_eq!(
        refused_with_secret(&[("signature.header", "X-A"), ("headers.x-a", "x")]),
        "options.signature.header: `x-a` is a header of the endpoint already; choose another"
    );
    assert_eq!(
        refused_with_secret(&[("signature.header", "X-A"), ("signature.timestamp_header", "x-a")]),
        "options.signature.timestamp_header: `x-a` is a header of the endpoint already; choose another"
    );
    assert_eq!(
        refused_with_secret(&[("signature.header", "X-A"), ("signature.content", "{timestamp}.{body}")]),
        "options.signature.content: covers `{timestamp}`, which the receiver is not told; name a header for it in \
         `options.signature.timestamp_header`, or put it into `options.signature.prefix`"
    );
    for (content, why) in [
        ("{payload}", "`{payload}` is none of `{body}`, `{timestamp}` and `{id}`"),
        ("a{body", "has a `{` without its `}`"),
        ("", "is empty, so that every request would have the same signature"),
    ] {
        let error = refused_with_secret(&[("signature.header", "X-A"), ("signature.content", content)]);
        assert_eq!(error, format!("options.signature.content: {why}"));
    }
    for (prefix, why) in [
        ("{body}", "cannot hold `{body}`; there are `{timestamp}` and `{id}`"),
        ("a\n", "has a line break or another control character; only text is allowed"),
    ] {
        let error = refused_with_secret(&[("signature.header", "X-A"), ("signature.prefix", prefix)]);
        assert_eq!(error, format!("options.signature.prefix: {why}"));
    }
    let mut endpoint = signing(with(&[("signature.header", "X-Signature")]), &keys);
    Arc::make_mut(&mut endpoint.settings).headers = vec![header("x-signature", "mine")];
    assert_eq!(
        check_settings(&Template, &endpoint.settings).expect_err("it would win").to_string(),
        "options.signature.header: `x-signature` is among the endpoint's own `headers`, which would replace the signature"
    );
    let empty = SigningKeys::single("");
    let endpoint = signing(with(&[("signature.header", "X-Signature")]), &empty);
    assert_eq!(check_settings(&Template, &endpoint.settings).expect_err("no key").to_string(), "secret: is empty");
}

#[test]
fn options_say_what_they_do() {
    for option in Template.options() {
        assert!(option.meaning.ends_with('.'), "{}", option.name);
    }
    assert_eq!(
        refused(&[("signature.algorithm", "md5")]),
        "options.signature.algorithm: is `md5`, must be one of `sha256`, `sha512`, `sha1`"
    );
    assert_eq!(settings("template").options.len(), 0);
}

#[test]
fn a_credential_is_refused_where_it_would_be_shown() {
    for name in ["Authorization", "x-api-key", "Cookie"] {
        let option = format!("headers.{name}");
        let said = refused(&[(&option, "Bearer canary")]);
        let expected = format!("options.headers.{}: carries a credential, and options are shown", name.to_lowercase());
        assert!(said.starts_with(&expected) && !said.contains("canary"), "{said}");
    }
}
