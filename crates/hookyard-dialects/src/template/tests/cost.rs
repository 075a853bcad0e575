//! What a template pays for looking at long texts, and that paying changes nothing else.

use proptest::prelude::*;

use super::*;
use crate::template::metered::metered;

/// A payload of some hundred kilobytes: long texts that differ at their end, a list of them, and a long list.
fn long() -> String {
    let text = "x".repeat(50_000);
    let zeros = "0,".repeat(40_000);
    format!(
        "{{\"a\":\"{text}a\",\"b\":\"{text}b\",\"l\":[\"{text}a\",\"{text}b\"],\"m\":[\"{text}a\",\"{text}c\"],\"zeros\":[{zeros}0],\"{0}a\":1,\"k\":7}}",
        "k".repeat(5_000),
    )
}

#[test]
fn looking_at_a_long_text_costs_what_it_takes() {
    let payload = long();
    for greedy in [
        "{% if payload.a == payload.b %}{% endif %}",
        "{% if payload.a != payload.b %}{% endif %}",
        "{% if payload.a < payload.b or payload.a >= payload.b %}{% endif %}",
        "{% if payload.a < payload.b < payload.a %}{% endif %}",
        "{% if payload.l == payload.m %}{% endif %}",
        "{% if (payload.l | list) == (payload.m | list) %}{% endif %}",
        "{% if payload.b in payload.l %}{% endif %}",
        "{% if payload.b not in payload.l %}{% endif %}",
        "{% if payload.b is in payload.l %}{% endif %}",
        "{% if payload.a is eq payload.b %}{% endif %}",
        "{% if payload.a is lessthan(payload.b) %}{% endif %}",
        "{% if payload.a is startingwith payload.b %}{% endif %}",
        "{% if 'x' is endingwith(payload) %}{% endif %}",
        "{% set a = payload.a ~ payload.b %}{% if a == payload.b ~ payload.a %}{% endif %}",
        "{% set a = payload.a[-1] %}",
        "{% set a = payload.a[k] %}",
        "{% set a = payload.l[0][k] %}",
        "{% set a = payload | attr(payload.b) | default('') %}",
        "{% set a = payload.a[49999:] %}",
        "{% set a = payload.a[:5] %}",
        "{% set a = payload.a[::-1] %}",
        "{% set a = payload.a | trim(payload.b) %}",
        "{% set a = 'x' | trim(payload.b) %}",
        "{% set a = 'x' | replace(payload.b, '') %}",
        "{% set a = payload.a | replace('x', '') %}",
        "{% set a = 'x' | split(payload.b) %}",
        "{% set a = [] | join(payload.l) %}",
        "{% set a = payload.l | sort %}",
        "{% set a = payload.l | unique %}",
        "{% set a = payload.l | min %}",
        "{% set a = payload.l | max(case_sensitive=true) %}",
        "{% set a = payload | dictsort %}",
        "{% set a = payload.l | select('eq', payload.b) %}",
        "{% set a = payload.l | map('upper') %}",
        "{% set a = payload.l | map('trim') %}",
        "{% set a = payload.zeros[39999:] %}",
        "{% set a = payload.zeros[:1] %}",
    ] {
        // So few rounds that what the engine counts by itself is a fraction of what it gives.
        let greedy = greedy.repeat(3);
        let template = format!("{{% set k = 49999 %}}{{% for round in range(500) %}}{greedy}{{% endfor %}}");
        let error = body_fails(&template, &payload);
        assert_eq!(error, format!("template of the body: line 1: {TOO_MANY}"), "{greedy}");
    }
    let walk = "{% for round in range(600) %}{% set a = range(99999) | attr(99998) %}{% endfor %}";
    assert_eq!(refused(&[("body", walk)]), format!("options.body: line 1: {TOO_MANY}"));
}

#[test]
fn one_look_at_a_long_text_is_fine() {
    let payload = long();
    for (template, made) in [
        ("{{ payload.a == payload.b }}", "false"),
        ("{{ payload.b in payload.l }}", "true"),
        ("{{ payload.a[-1] }}{{ payload.b[-1] }}", "ab"),
        ("{{ payload.a[:5] }}{{ payload.zeros[:3] }}", "xxxxx[0,0,0]"),
        ("{{ payload.l | sort | length }}", "2"),
        ("{{ payload.a | trim('x') }}", "a"),
        ("{% for n in range(1000) %}{% if payload.zeros[n] == payload.k %}{{ n }}{% endif %}{% endfor %}", ""),
        ("{% for z in payload.zeros[:9000] %}{{ ',' if not loop.first }}{% endfor %}", &",".repeat(8_999)),
    ] {
        assert!(body(template, &payload) == made, "{template}");
    }
}

#[test]
fn every_member_of_the_largest_payload_can_be_written() {
    let lines: Vec<_> = (0..100_000).map(|n| format!("{{\"n\":\"{n:05}\",\"p\":1}}")).collect();
    let payload = format!("{{\"lines\":[{}]}}", lines.join(","));
    assert!(payload.len() < limits::API_BODY_BYTES);
    let template =
        "{% for line in payload.lines %}{{ ',' if not loop.first }}{{ line.n | tojson }}:{{ line.p }}{% endfor %}";
    let made = body(template, &payload);
    assert_eq!((made.matches(':').count(), &made[..20]), (100_000, "\"00000\":1,\"00001\":1,"));
}

#[test]
fn meters_stand_where_a_text_is_looked_at() {
    for (template, with_meters) in [
        ("{{ a }} == [0]", "{{ a }} == [0]"),
        ("{{ a == b }}", "{{ a |_compared == b }}"),
        ("{{ 'x' == b }}{{ 1 < b }}", "{{ 'x' == b }}{{ 1 < b }}"),
        ("{% if a not in b %}", "{% if a |_compared not in b %}"),
        ("{% for a in b if a in c %}", "{% for a in b if a |_compared in c %}"),
        ("{% if a is in b and a is not in(c) %}", "{% if a is in b and a is not in(c) %}"),
        ("{{ a[0] }}{{ a['b'] }}{{ a.b[7] }}", "{{ a[0] }}{{ a['b'] }}{{ a.b[7] }}"),
        ("{{ a[b] }}", "{{ (a|_indexed)[(b)|_compared] }}"),
        ("{{ a.b[-1].c }}", "{{ (a.b|_indexed)[(-1)|_compared].c }}"),
        ("{{ x ~ f(a)[b[1:]] }}", "{{ x ~ (f(a)|_indexed)[(((b|_sliced)[1:]|_taken))|_compared] }}"),
        ("{{ a[:1][b] }}", "{{ (((a|_sliced)[:1]|_taken)|_indexed)[(b)|_compared] }}"),
        ("{{ (a ~ b)[1:]==c }}", "{{ (((a ~ b)|_sliced)[1:]|_taken)|_compared ==c }}"),
        ("{{ a is eq [1, 2] or a is not eq {'b': 1} }}", "{{ a is eq [1, 2] or a is not eq {'b': 1} }}"),
        ("{{ a[{'b': 1}['b']] }}", "{{ (a|_indexed)[({'b': 1}['b'])|_compared] }}"),
    ] {
        assert_eq!(metered(template).ok().as_deref(), Some(with_meters), "{template}");
    }
}

#[test]
fn what_cannot_be_metered_is_refused() {
    let why = "options.body: line 2: an index after a test stands in brackets: `x is eq(y[z])`";
    assert_eq!(refused(&[("body", "\n{{ payload.a is eq payload.b[id] }}")]), why);
    assert_eq!(refused(&[("body", "\n{{ payload.a is not eq payload[id] }}")]), why);
    assert_eq!(body("{{ payload.a is eq(payload.b[-1]) }}", r#"{"a":2,"b":[1,2]}"#), "true");
    let why = "options.body: line 1: `loop.changed` compares what is not counted; compare with `loop.previtem`";
    let changed = "{% for x in payload %}{{ loop.changed(x) }}{% endfor %}";
    assert_eq!(refused(&[("body", changed)]), why);
}

#[test]
fn what_is_missing_is_named_behind_a_meter_too() {
    for (template, what) in [
        ("{{ payload.x == 1 }}", "payload.x"),
        ("{{ payload.x in [1] }}", "payload.x"),
        ("{{ payload.x[-1] }}", "payload.x"),
        ("{{ payload.x[1:] }}", "payload.x"),
        ("{{ payload.x | replace('a', 'b') }}", "payload.x"),
        ("{{ payload.x | trim('a') }}", "payload.x"),
    ] {
        let error = body_fails(template, "{}");
        assert!(error.contains("give it a `default`") && !error.contains("_compared"), "{template}: {error}");
        assert!(error.contains(what), "{template}: {error}");
    }
}

/// Expressions as people write them, of texts, numbers, lists and objects.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("payload.t"),
        Just("payload.u"),
        Just("payload.n"),
        Just("payload.l"),
        Just("payload.o"),
        Just("payload.o.t"),
        Just("'a'"),
        Just("2"),
        Just("1.5"),
        Just("payload['t']"),
        Just("payload.l[0]"),
        Just("event_type"),
        Just("[1, 'a']"),
        Just("range(4)"),
    ]
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 24, 3, |inner| {
        let infix = prop_oneof![
            Just("=="),
            Just("!="),
            Just("<"),
            Just("<="),
            Just(">"),
            Just(">="),
            Just("in"),
            Just("not in"),
            Just("~"),
            Just("and"),
            Just("or"),
            Just("-"),
            Just("is eq"),
            Just("is not in"),
            Just("is startingwith"),
        ];
        let filter = prop_oneof![
            Just("length"),
            Just("upper"),
            Just("sort"),
            Just("list"),
            Just("first"),
            Just("trim('a')"),
            Just("replace('a', 'bb', 1)"),
            Just("replace('a', '', count=2)"),
            Just("split('b')"),
            Just("join('-')"),
            Just("unique"),
            Just("max"),
            Just("dictsort(reverse=true)"),
            Just("select('eq', 2)"),
            Just("map('string')"),
            Just("attr(1)"),
            Just("reverse"),
            Just("lines"),
            Just("tojson"),
        ];
        prop_oneof![
            (inner.clone(), infix.clone(), inner.clone()).prop_map(|(a, infix, b)| format!("({a}) {infix} ({b})")),
            (inner.clone(), infix, inner.clone()).prop_map(|(a, infix, b)| format!("{a} {infix} {b}")),
            (inner.clone(), filter).prop_map(|(a, filter)| format!("({a}) | {filter}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})[{b}]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})[{b}:]")),
            (inner.clone(), -4..4).prop_map(|(a, b)| format!("({a})[{b}:]")),
            (inner.clone(), -4..4).prop_map(|(a, b)| format!("({a})[:{b}]")),
            (inner.clone(), -4..4).prop_map(|(a, b)| format!("({a})[{b}]")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("({a} if {b} else {c})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn a_metered_template_makes_what_the_plain_one_makes(expression in expression()) {
        let payload = Bytes::from_static(
            br#"{"t":"abcab","u":"abc\nabd","n":2,"l":["b","abcab",2,"a"],"o":{"t":"abcab","a":[1,2,3]}}"#,
        );
        let endpoint = with(&[]);
        let variables = variables::of(&message(payload.clone()), &endpoint, &payload);
        let template = format!("{{{{ ({expression}) | tojson }}}}");
        let bounds = (payload.len(), limits::TEMPLATE_OUTPUT_BYTES);
        let plain = render::run(render::strict(), &template, &variables, bounds).ok();
        let Ok(metered) = metered(&template) else { return Ok(()) };
        let with_meters = render::run(render::strict(), &metered, &variables, bounds).ok();
        prop_assert_eq!(plain, with_meters, "{}", metered);
    }
}
