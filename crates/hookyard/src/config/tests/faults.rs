//! What each wrong value is told.

use super::*;

/// Each wrong value has one line in the report.
fn check(text: &str, expected: &str) {
    let report = report(text);
    let lines: Vec<&str> = report.lines().skip(1).collect();
    assert_eq!(lines, expected.lines().collect::<Vec<_>>(), "{text}");
}

/// The same for one line of an endpoint that is otherwise complete.
fn check_endpoint(line: &str, expected: &str) {
    let text =
        format!("[[application]]\nuid = \"a\"\n[[application.endpoint]]\nurl = \"https://a.example/\"\n{line}\n");
    check(&text, expected);
}

#[test]
fn settings_say_what_is_wrong_and_what_is_allowed() {
    for (text, expected) in [
        ("lisen = \"127.0.0.1:1\"", "hookyard.toml:1:1: `lisen`: is not a known key\n  hint: did you mean `listen`?"),
        ("zzz = 1", "hookyard.toml:1:1: `zzz`: is not a known key"),
        (
            "listen = \"localhost\"",
            "hookyard.toml:1:10: `listen`: is `localhost`, must be an address and a port (write `127.0.0.1:8080` or \
             `[::1]:8080`)",
        ),
        ("listen = 8080", "hookyard.toml:1:10: `listen`: is a whole number, must be a text in quotes"),
        ("role = \"worker\"", "hookyard.toml:1:8: `role`: is `worker`, must be `all` or `doors` or `workers`"),
        (
            "retry_schedule = [\"5s\", \"5x\"]",
            "hookyard.toml:1:25: `retry_schedule`: retry schedule entry `5x` is not a duration (write `50ms`, `5s`, `2m`, \
             `1h` or `90d`)",
        ),
        ("retry_schedule = \"8d\"", "hookyard.toml:1:18: `retry_schedule`: retry delay is longer than 7d"),
        ("retry_jitter = 1.5", "hookyard.toml:1:16: `retry_jitter`: is `1.5`, must be a number from 0 to 1"),
        ("retry_jitter = nan", "hookyard.toml:1:16: `retry_jitter`: is `nan`, must be a finite number"),
        ("retry_jitter = 1e999", "hookyard.toml:1:16: `retry_jitter`: is `1e999`, must be a finite number"),
        ("request_timeout = \"1h\"", "hookyard.toml:1:19: `request_timeout`: is `1h`, must be from `100ms` to `5m`"),
        (
            "retention = \"2d\"",
            "hookyard.toml:1:13: `retention`: is `2d`, must be at least `58h`: the retry schedule and one day",
        ),
        (
            "database = \"postgres://a:secret@b/c\"\njwt_secret = \"s\"",
            "hookyard.toml:1:12: `main_secret`: is required with `database`, the same for every node (make one with \
             `openssl rand -hex 32`)",
        ),
        (
            "database_listen = \"postgres://a:secret@b/c\"",
            "hookyard.toml:1:19: `database_listen`: needs `database` as well",
        ),
        (
            "database_schema = \"Hook yard\"",
            "hookyard.toml:1:19: `database_schema`: is `Hook yard`, must be 1 to 40 of `a-z 0-9 _`, not begin with a digit, \
             and not with `pg_`",
        ),
        (
            "role = \"workers\"",
            "hookyard.toml:1:8: `role`: is `workers`, which needs a `database` that other nodes accept into",
        ),
        (
            "database = \"mysql://a:secret@b\"",
            "hookyard.toml:1:12: `database`: must be a URL `postgres://…`; for SQLite, leave \
          it out and set `data`",
        ),
        (
            "[egress]\nallow = [\"nas:0\"]",
            "hookyard.toml:2:10: `egress.allow`: `egress.allow` entry `nas:0` is neither a network (`192.168.1.0/24`), an address \
             (`192.168.1.5`, `192.168.1.5:8123`) nor a name (`crm.lan`, `crm.lan:8080`)",
        ),
        ("[tls]\ncert = \"c.pem\"", "hookyard.toml:2:8: `tls.cert`: needs `tls.key` as well"),
        ("[tls]\ncert = \"c.pem\"\nkey = \"k.pem\"", "hookyard.toml:2:8: `tls.cert`: is not supported by this version"),
        ("doors_listen = \"127.0.0.1:1\"", "hookyard.toml:1:16: `doors_listen`: is not supported by this version"),
        ("[egress]\nproxy = \"http://proxy:1\"", "hookyard.toml:2:9: `egress.proxy`: is not supported by this version"),
        (
            "[kai]\napi_secret = \"a\"\ngithub_secret = \"b\"",
            "hookyard.toml:2:14: `kai.api_secret`: is not supported by this version\n\
             hookyard.toml:3:17: `kai.github_secret`: is not supported by this version",
        ),
        (
            "[api]\nenable = true",
            "hookyard.toml:2:1: `api.enable`: is not a known key\n  hint: did you mean `enabled`?",
        ),
        ("jwt_secret = \"${NOPE}\"", "hookyard.toml:1:14: `jwt_secret`: variable `NOPE` is not set, or empty"),
        ("jwt_secret = \"\"", "hookyard.toml:1:14: `jwt_secret`: is empty"),
        (
            "jwt_secret = \"a\"\njwt_secret_file = \"b\"",
            "hookyard.toml:2:19: `jwt_secret_file`: is given beside `jwt_secret`; keep one of them",
        ),
    ] {
        check(text, expected);
    }
}

#[test]
fn a_database_that_nothing_can_connect_to_is_said_without_its_password() {
    let secrets = "jwt_secret = \"s\"\nmain_secret = \"s\"\n";
    let hint = "hint: write `postgres://user:password@host:5432/database?sslmode=verify-full`";
    check(
        &format!("{secrets}database = \"postgres://a:hunter2@b/c?sslmod=require\""),
        &format!(
            "hookyard.toml:3:12: `database`: database URL cannot be used: a part of it is not known, or has a value that is \
             not allowed\n  {hint}"
        ),
    );
    let text = format!("{secrets}database = \"postgres://b/c\"\ndatabase_listen = \"postgres:///c\"\n");
    let report = report(&text);
    assert!(report.contains("hookyard.toml:4:19: `database_listen`: database URL cannot be used: it names no host"));
    let text = format!("{secrets}database = \"postgres://b/c?sslmode=verify-full&sslrootcert=/not/there.pem\"");
    let report = super::report(&text);
    assert!(report.contains("`database`: certificates of `/not/there.pem` cannot be used"), "{report}");
}

#[test]
fn what_has_no_effect_is_a_warning() {
    let text = "default_signature = \"ed25519\"\ntrusted_proxies = [\"10.0.0.0/8\"]\n[[source]]\nname = \"in\"\n\
                dialect = \"standard\"\napplication = \"a\"\n";
    let environment =
        Environment::from([("HOOKYARD_ADMIN_PASSWORD", "x"), ("HOOKYARD_RETENTIO", "1d"), ("HOOKYARD_TYPO", "1")]);
    let warnings = read(text, &environment).expect("no fault").warnings.to_string();
    let expected = "warning: hookyard.toml:1:21: `default_signature`: has no effect in this version\n\
                    warning: hookyard.toml:2:19: `trusted_proxies`: has no effect in this version\n\
                    warning: hookyard.toml:3:1: `source`: has no door in this version; sources are checked and not opened\n\
                    warning: environment `HOOKYARD_ADMIN_PASSWORD`: `admin_password`: has no effect in this version\n\
                    warning: environment `HOOKYARD_RETENTIO`: is not a setting and has no effect\n  \
                    hint: did you mean `HOOKYARD_RETENTION`?\n\
                    warning: environment `HOOKYARD_TYPO`: is not a setting and has no effect\n";
    assert_eq!(warnings, expected);
}

#[test]
fn a_schedule_beyond_the_default_retention_is_said_where_it_stands() {
    let text = format!("\nretry_schedule = [{}]\n", ["\"7d\""; 14].join(", "));
    check(&text, "hookyard.toml:2:18: `retry_schedule`: takes up to `2823h`, so `retention` must be at least `2847h`");
}

#[test]
fn no_fault_moves_the_cursor_of_a_terminal() {
    for (text, expected) in [
        (
            "[[application]]\nuid = \"\\u001b[2J\\n\"",
            "hookyard.toml:2:7: `application.uid`: uid `\\u{1b}[2J\\n` must be 1 to 256 of `a-z A-Z 0-9 - _ .` and must not \
             begin with an id prefix such as `app_` or `ep_`",
        ),
        (
            "role = \"\\u202e\\\\'\"",
            "hookyard.toml:1:8: `role`: is `\\u{202e}\\'`, must be `all` or `doors` or `workers`",
        ),
    ] {
        check(text, expected);
    }
}

#[test]
fn what_is_not_utf_8_is_said_where_it_begins() {
    let bytes = b"listen = \"127.0.0.1:1\"\ndata = \"\xc3\xa9\xff\"\n".to_vec();
    let path = Path::new("hookyard.toml");
    let faults = Config::of_bytes(path, bytes, &Flags::default(), &Environment::default()).expect_err("not UTF-8");
    assert_eq!(faults.to_string().lines().nth(1), Some("hookyard.toml:2:10: is not UTF-8 from here on"));
}

#[test]
fn endpoints_say_what_is_wrong_and_what_is_allowed() {
    for (line, expected) in [
        (
            "dialect = \"standart\"",
            "hookyard.toml:5:11: `application.endpoint.dialect`: is `standart`, which is not a dialect; did you mean \
             `standard`?",
        ),
        (
            "uid = \"ep_1\"",
            "hookyard.toml:5:7: `application.endpoint.uid`: uid `ep_1` must be 1 to 256 of \
          `a-z A-Z 0-9 - _ .` and must not begin with an id prefix such as `app_` or `ep_`",
        ),
        (
            "event_types = []",
            "hookyard.toml:5:15: `application.endpoint.event_types`: is empty, so nothing would ever be sent \
          (leave it out for all event types)",
        ),
        (
            "event_types = [\"a b\"]",
            "hookyard.toml:5:16: `application.endpoint.event_types`: event type pattern `a b` must be 1 \
          to 256 of `a-z A-Z 0-9 - _ . *`",
        ),
        (
            "headers = { X-A = \"a\\r\\nX-B: b\" }",
            "hookyard.toml:5:19: `application.endpoint.headers.X-A`: holds a line break or a zero byte, which would end the \
             header",
        ),
        (
            "headers = { Host = \"b\" }",
            "hookyard.toml:5:20: `application.endpoint.headers.Host`: is the transport's own header and cannot be set",
        ),
        (
            "method = \"GET\"",
            "hookyard.toml:5:10: `application.endpoint.method`: is `GET`, must be `POST`, `PUT` or `PATCH`",
        ),
        (
            "concurrency = 0",
            "hookyard.toml:5:15: `application.endpoint.concurrency`: is `0`, must be a whole number from 1 to 256",
        ),
        (
            "concurrency = 99999999999999999999999999999999999999999",
            "hookyard.toml:5:15: `application.endpoint.concurrency`: is `99999999999999999999999999999999999999999`, must be a \
             whole number from 1 to 256",
        ),
        (
            "rate_limit = \"-1/s\"",
            "hookyard.toml:5:14: `application.endpoint.rate_limit`: `-1/s` is not a rate (write `50/s`, \
          `20/m` or `1000/h`, at least 1)",
        ),
        (
            "ordered = \"id\"",
            "hookyard.toml:5:11: `application.endpoint.ordered`: is `id`, must be `false`, `\"endpoint\"` or a \
          JSON pointer such as `\"/id\"`",
        ),
        (
            "retry = { policy = \"fixed\", delay = \"10s\", retries = -1 }",
            "hookyard.toml:5:54: `application.endpoint.retry.retries`: is `-1`, must be a whole number from 0 to 100",
        ),
        (
            "retry = { policy = \"exponential\", delay = \"2s\", retries = 3, factor = nan }",
            "hookyard.toml:5:71: `application.endpoint.retry.factor`: is `nan`, must be a finite number",
        ),
        (
            "retry = { policy = \"exponential\", delay = \"2s\", retries = 3, factor = 0.5 }",
            "hookyard.toml:5:9: `application.endpoint.retry.policy`: retry factor must be between 1 and 100",
        ),
        (
            "retry = { policy = \"none\" }",
            "hookyard.toml:5:20: `application.endpoint.retry.policy`: is `none`, must be `fixed`, \
          `exponential` or `schedule`",
        ),
        (
            "retry = { policy = \"schedule\", delays = [\"7d\", \"7d\", \"7d\", \"7d\", \"7d\", \"7d\", \"7d\", \"7d\", \"7d\", \"7d\", \
             \"7d\", \"7d\", \"7d\"], jitter = 0 }",
            "hookyard.toml:3:1: `application.endpoint.retry`: takes up to `2184h`, so `retention` must be at least `2208h`",
        ),
        ("secret = \"whsec_!\"", "hookyard.toml:3:1: `application.endpoint.secret`: "),
    ] {
        let text =
            format!("[[application]]\nuid = \"a\"\n[[application.endpoint]]\nurl = \"https://a.example/\"\n{line}\n");
        if expected.ends_with(": ") {
            // The rest is the dialect's own sentence, which its own tests hold.
            assert!(report(&text).contains(expected), "{}", report(&text));
        } else {
            check_endpoint(line, expected);
        }
    }
}

#[test]
fn a_wrong_url_is_said_without_its_credentials() {
    for (url, expected) in [
        ("not a url canary", "the URL is not absolute (write `https://example.com/hook`)"),
        ("ftp://canary@a.example/", "has the scheme `ftp`, must be `http` or `https`"),
        ("http://canary@a.example/", "must be `https`: `require_https` is on for it"),
    ] {
        let text =
            format!("require_https = true\n[[application]]\nuid = \"a\"\n[[application.endpoint]]\nurl = {url:?}\n");
        check(&text, &format!("hookyard.toml:5:7: `application.endpoint.url`: {expected}"));
    }
}

#[test]
fn what_is_declared_twice_is_refused() {
    check(
        "[[application]]\nuid = \"a\"\n[[application]]\nuid = \"a\"\n[[application.endpoint]]\nuid = \"e\"\nurl = \
         \"https://a.example\"\n[[application.endpoint]]\nuid = \"e\"\nurl = \"https://b.example\"\n",
        "hookyard.toml:3:1: `application.uid`: `a` is declared twice\nhookyard.toml:8:1: `application.endpoint.uid`: `e` is \
         declared twice, first at hookyard.toml:5:1",
    );
}
