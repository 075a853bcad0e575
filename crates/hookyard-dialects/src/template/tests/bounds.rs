//! What no template may do, whatever it says: run on, take all memory, or take the stack.

use proptest::prelude::*;

use super::*;

/// Less than any thread of the product has, in a build that takes more of it than the product's does.
const STACK: usize = 2 * 1024 * 1024;

fn on_a_small_stack<T: Send + 'static>(what: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(what).expect("a thread");
    thread.join().expect("it does not panic")
}

#[test]
fn a_loop_that_gets_nowhere_ends() {
    let nested = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}";
    assert_eq!(refused(&[("body", nested)]), format!("options.body: line 1: {TOO_MANY}"));
    let nested = "{% for a in payload %}{% for b in range(100000) %}{% endfor %}{% endfor %}";
    assert_eq!(body_fails(nested, "[1]"), format!("template of the body: line 1: {TOO_MANY}"));
}

#[test]
fn memory_is_paid_for_before_it_is_taken() {
    for greedy in [
        "{{ range(100000) | list | string }}",
        "{{ 'a,b' | indent(1000000000, true) }}",
        "{% set a = range(4000) | join('xxxxxxxxxxxxxxxxxxxx') %}{{ a | replace('x', a) }}",
        "{% set a = range(4000) | join('xxxxxxxxxxxxxxxxxxxx') %}{% set a = a ~ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a %}{{ a ~ a ~ a }}",
    ] {
        assert_eq!(refused(&[("body", greedy)]), format!("options.body: line 1: {TOO_MANY}"), "{greedy}");
    }
    let payload = format!("\"{}\"", "\\u0001".repeat(300_000));
    assert_eq!(
        body_fails("{{ payload | tojson }}{{ payload | tojson }}{{ payload | tojson }}", &payload),
        format!("template of the body: made more than {} bytes", limits::TEMPLATE_OUTPUT_BYTES)
    );
}

#[test]
fn what_would_hold_a_value_many_times_is_refused() {
    let literal = "a list or an object that names variables must be written at once, with `| tojson` or `| urlencode`";
    let tuple = "a comma makes a tuple; write a list for `tojson`";
    for (template, why) in [
        ("{% set a = [payload, payload] %}", literal),
        ("{{ [payload, payload] ~ '' }}", literal),
        ("{{ [[payload] ~ '', 1] | tojson }}", literal),
        ("{{ {'a': [payload] | string} | tojson }}", literal),
        ("{{ ([payload]) | tojson }}", literal),
        ("{{ '' | default([payload], true) | string }}", literal),
        ("{% for a in [[payload, payload]] %}{% endfor %}", literal),
        ("{% if [payload] == [payload] %}{% endif %}", literal),
        ("{% if {'a': payload} %}{% endif %}", literal),
        ("{% if payload is eq [payload, payload] %}{% endif %}", literal),
        ("{% set a = (payload, payload) %}", tuple),
        ("{% set a = payload, payload %}", tuple),
        ("{% for a in payload, payload %}{% endfor %}", tuple),
        ("{{ payload * 1000000 }}", "`*` may repeat a list; write `a | times(b)`"),
        ("{{ payload + payload }}", "`+` may join lists; write `a | plus(b)`"),
        ("{{ payload + 0 | default(payload, true) }}", "`+` may join lists; write `a | plus(b)`"),
        ("{{ payload.0 + payload }}", "`+` may join lists; write `a | plus(b)`"),
        ("{{ payload | batch(1000000, payload) | list ~ '' }}", "too many arguments"),
        ("{{ payload | slice(1000000, payload) | list ~ '' }}", "too many arguments"),
        ("{{ payload | chain(payload) }}", "`chain` is no filter"),
        ("{{ payload | zip(payload) }}", "`zip` is no filter"),
    ] {
        assert_eq!(refused(&[("body", template)]), format!("options.body: line 1: {why}"), "{template}");
    }
    assert!(refused(&[("body", "{{ dict(a=payload) }}")]).starts_with("options.body: `dict` is no variable"));
    let escaping = "options.body: line 1: `autoescape` does nothing here; write `| escape` or `| tojson`";
    assert_eq!(refused(&[("body", "{% autoescape true %}{% endautoescape %}")]), escaping);
    assert_eq!(refused(&[("body", "{{ payload | map('default', 1) }}")]), "options.body: line 1: too many arguments");
    assert!(body_fails("{{ payload | map('default') }}", "[1]").contains("`map` needs"));
}

#[test]
fn what_holds_each_value_once_is_fine() {
    for (template, made) in [
        ("{{ {'a': [payload.n, {'b': payload.n}], 'c': 1} | tojson }}", r#"{"a":[7,{"b":7}],"c":1}"#),
        ("{% if event_type in ['task.created', 'x'] %}y{% endif %}", "y"),
        ("{% for a in ['x', 'y'] %}{{ a }}{% endfor %}", "xy"),
        ("{% for a, b in payload | items %}{{ a }}={{ b }}{% endfor %}", "n=7"),
        ("{{ payload.x | default([]) }}{{ payload.x | default({}) | tojson }}", "[]{}"),
        (
            "{{ payload.n + 1 }} {{ 1 + payload.n }} {{ payload.n | plus(payload.n) }} {{ payload.n | times(2.5) }}",
            "8 8 14 17.5",
        ),
        ("{{ ['a', 'b'] | join('-') }}{{ range(3) | list }}", "a-b[0,1,2]"),
        ("{{ payload['n'] }}{{ (payload.n - 1) / 2 }}", "73.0"),
        ("{{ [1, 2, 3] | batch(2) }}{{ [1, 2, 3] | slice(2) }}{{ '<' | escape }}", "[[1,2],[3]][[1,2],[3]]&lt;"),
    ] {
        assert_eq!(body(template, "{\"n\":7}"), made, "{template}");
    }
}

#[test]
fn the_largest_payload_can_be_written_with_every_quote_escaped() {
    let payload = format!("\"{}\"", "\\\"".repeat(limits::API_BODY_BYTES / 2 - 16));
    let text = body("{{ payload_json | tojson }}", &payload);
    assert_eq!(text.len(), payload.len() * 2 + 2, "a backslash before each of its characters, and new quotes");
}

#[test]
fn what_could_nest_without_end_is_refused() {
    let why = "options.body: line 2: a loop may not be `recursive`";
    assert_eq!(refused(&[("body", "\n{% for x in payload recursive %}{{ loop(x) }}{% endfor %}")]), why);
    assert_eq!(refused(&[("body", "\n{%- for x in payload.recursive if x recursive -%}{% endfor %}")]), why);
    let brackets = |count: usize| "{{ payload[0] }}".repeat(count);
    let most = limits::TEMPLATE_BRACKETS;
    assert_eq!(check_settings(&Template, &with(&[("body", &brackets(most))]).settings), Ok(()));
    let why = "options.body: line 1: has more than 512 brackets, commas and filters";
    assert_eq!(refused(&[("body", &brackets(most + 1))]), why);
    let rounds =
        "{% for i in range(100) %}{% set x = x | default('') ~ i %}{% if loop.last %}{{ x }}{% endif %}{% endfor %}";
    assert_eq!(body(rounds, "{}"), "99", "every round begins afresh");
}

#[test]
fn the_deepest_values_fit_the_stack() {
    let deepest = format!("{}1{}", "[".repeat(limits::JSON_DEPTH), "]".repeat(limits::JSON_DEPTH));
    for end in
        ["{{ x }}", "{{ x | tojson }}", "{{ x | string | length }}", "{{ x == y }}{{ x < y }}", "{{ x | list | sort }}"]
    {
        let wrap = |name: &str| {
            let rounds = (limits::TEMPLATE_BRACKETS - 10) / 2 / 3;
            format!("{{% set {name} = payload %}}") + &format!("{{%set {name}={name}|batch(1)|list%}}").repeat(rounds)
        };
        let template = wrap("x") + &wrap("y") + end;
        let deepest = deepest.clone();
        on_a_small_stack(move || {
            let endpoint = with(&[("body", &template)]);
            check_settings(&Template, &endpoint.settings).expect("it can be saved");
            Template.encode(&message(deepest), &endpoint, 0).expect("it can be encoded");
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn no_template_panics_or_goes_over_its_bounds(
        parts in prop::collection::vec(
            prop_oneof![
                Just("{{ "), Just(" }}"), Just("{% "), Just(" %}"), Just("{#"), Just("#}"), Just("{%- raw %}"), Just("{% endraw %}"),
                Just("for x in "), Just("endfor"), Just("if "), Just("else"), Just("endif"), Just("set x = "), Just("filter upper"),
                Just("endfilter"), Just("payload"), Just("payload.a"), Just("[0]"), Just(" | "), Just("tojson"), Just("urlencode"),
                Just("float"), Just("batch(2)"), Just("join('x')"), Just("default(1)"), Just("range(99999)"), Just(" * "), Just("'é'"),
                Just("-1"), Just("1e9"), Just("["), Just("]"), Just("("), Just(")"), Just("{"), Just("}"), Just(","), Just(":"),
                Just("x"), Just("loop.index"), Just(" is "), Just("not "), Just("defined"), Just("recursive"), Just("\n"), Just("\""),
            ],
            0..30,
        ),
        payload in prop_oneof![Just("{\"a\":[1.50,{\"b\":\"\\u2028\"}]}"), Just("[]"), Just("\"x\""), Just("1E+2"), Just("null")],
    ) {
        let template = parts.concat();
        let endpoint = with(&[("body", &template), ("headers.X-A", &template)]);
        let saved = check_settings(&Template, &endpoint.settings);
        let message = message(payload);
        let encoded = Template.encode(&message, &endpoint, 0);
        if let Ok(encoded) = &encoded {
            prop_assert!(encoded.body.len() <= limits::TEMPLATE_OUTPUT_BYTES);
            prop_assert!(encoded.headers["x-a"].len() <= limits::HEADER_VALUE_BYTES);
            let again = Template.encode(&message, &endpoint, 0).expect("as before");
            prop_assert_eq!(&again, encoded, "every attempt sends the same bytes");
        }
        if let Err(error) = saved {
            prop_assert!(!error.why.contains('\n'), "{}", error);
        }
    }

    #[test]
    fn any_text_is_a_template_or_none(template in "(\\PC|[{}%#\n ]){0,40}") {
        let endpoint = with(&[("body", &template)]);
        let _ = check_settings(&Template, &endpoint.settings);
        let _ = Template.encode(&message("{}"), &endpoint, 0);
    }
}
