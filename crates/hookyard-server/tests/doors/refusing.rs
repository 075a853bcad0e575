//! What is turned away, and in which words.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use hookyard_ports::RuleLabel;
use hookyard_ports::testkit::{Fault, build};
use serde_json::json;

use crate::world::{APP, World, ask, secret, token};

#[tokio::test]
async fn without_a_valid_token_there_is_nothing() {
    let world = World::new().await;
    let app_token = token(Some(build::application_id(1)));
    for authorization in [None, Some("Bearer nonsense"), Some("Basic dTpw"), Some("Bearer"), Some(app_token.as_str())] {
        let mut request = Request::builder().uri(format!("{APP}/msg"));
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let answer = world.send(request.body(Body::empty()).expect("a request")).await;
        let json = answer.json();
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{authorization:?}");
        assert_eq!((&json["code"], &json["detail"]), (&json!("authentication_failed"), &json!("Invalid token")));
    }
    let as_token = format!("Bearer {}", secret().expose());
    let request = Request::builder().uri("/api/v1/app").header("authorization", as_token).body(Body::empty());
    let answer = world.send(request.expect("a request")).await;
    assert_eq!(
        answer.json(),
        json!({
            "code": "authentication_failed",
            "detail": "Authentication failed. JWT signing secrets can not be used as tokens, please refer to \
                       https://github.com/svix/svix-webhooks#authentication for more information.",
        })
    );
}

#[tokio::test]
async fn a_token_of_one_application_reads_its_own_and_publishes_nothing() {
    let world = World::new().await;
    let id = world.publish("a").await;
    let own = token(Some(build::application_id(1)));
    let check = async |method: Method, path: String, expected: StatusCode| {
        let request = Request::builder().method(method).uri(&path).header("authorization", format!("Bearer {own}"));
        let answer = world.send(request.body(Body::from("{}")).expect("a request")).await;
        assert_eq!(answer.status, expected, "{path}: {answer:?}");
        answer
    };
    check(Method::GET, APP.to_owned(), StatusCode::OK).await;
    check(Method::GET, format!("{APP}/msg/{id}"), StatusCode::OK).await;
    check(Method::GET, format!("{APP}/endpoint/receiver-1"), StatusCode::OK).await;
    check(Method::POST, format!("{APP}/msg/{id}/endpoint/receiver-1/resend"), StatusCode::ACCEPTED).await;
    for (method, path) in [
        (Method::GET, "/api/v1/app"),
        (Method::POST, "/api/v1/app/tenant-1/msg"),
        (Method::POST, "/api/v1/app/tenant-1/msg/batch"),
    ] {
        let answer = check(method, path.to_owned(), StatusCode::FORBIDDEN).await;
        assert_eq!(answer.json()["code"], "insufficient access");
    }
    let other = check(Method::GET, "/api/v1/app/tenant-2".to_owned(), StatusCode::NOT_FOUND).await;
    assert_eq!(other.json()["detail"], "Entity not found");
}

#[tokio::test]
async fn an_organisation_sees_its_own_applications_only() {
    let world = World::new().await;
    let other = hookyard_model::OrganisationId::from_raw(hookyard_model::RawId::MAX);
    let token = hookyard_server::mint_token(&secret(), other, None, build::NOW);
    for path in [APP.to_owned(), format!("/api/v1/app/{}", build::application_id(1)), format!("{APP}/msg")] {
        let request = Request::builder().uri(&path).header("authorization", format!("Bearer {token}"));
        let answer = world.send(request.body(Body::empty()).expect("a request")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_404_in_json_with_a_hint() {
    let world = World::new().await;
    let id = world.publish("a").await;
    for path in [
        "/".to_owned(),
        "/nowhere".to_owned(),
        "/api/v1/nowhere/".to_owned(),
        "/api/v1/app/nobody".to_owned(),
        "/api/v1/app/nobody/msg".to_owned(),
        "/api/v1/app/app_short".to_owned(),
        "/api/v1/app/a%20b".to_owned(),
        "/api/v1/app/%ff".to_owned(),
        format!("{APP}/msg/msg_abc"),
        format!("{APP}/msg/msg_23rb8YdGqMT0qIzpgGwdXfHirMu"),
        format!("{APP}/msg/unknown-event"),
        format!("{APP}/msg/msg_23rb8YdGqMT0qIzpgGwdXfHirMu/explain"),
        format!("{APP}/msg/{id}/attempt/atmpt_x"),
        format!("{APP}/msg/{id}/attempt/atmpt_23rb8YdGqMT0qIzpgGwdXfHirMu"),
        format!("{APP}/endpoint/ep_x"),
        format!("{APP}/endpoint/nobody"),
        format!("{APP}/attempt/endpoint/ep_23rb8YdGqMT0qIzpgGwdXfHirMu"),
        format!("/api/v1/app/tenant-2/msg/{id}"),
    ] {
        let answer = world.get(&path).await;
        let json = answer.json();
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!((&json["code"], &json["detail"]), (&json!("not_found"), &json!("Entity not found")), "{path}");
        assert!(json["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{path}");
    }
    let published = world.post("/api/v1/app/nobody/msg", r#"{"eventType":"a","payload":1}"#).await;
    assert_eq!(published.status, StatusCode::NOT_FOUND);
    assert!(published.text().contains("`nobody`"), "{}", published.text());
    let resent = world.post(&format!("{APP}/msg/{id}/endpoint/nobody/resend"), "").await;
    assert_eq!(resent.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn another_method_is_405_in_json() {
    let world = World::new().await;
    let answer = world.send(ask(Method::DELETE, &format!("{APP}/msg")).body(Body::empty()).expect("a request")).await;
    assert_eq!((answer.status, &answer.json()["code"]), (StatusCode::METHOD_NOT_ALLOWED, &json!("method_not_allowed")));
    assert!(answer.headers.contains_key("allow"));
}

#[tokio::test]
async fn bad_input_is_422_and_says_where() {
    let world = World::new().await;
    let deep = format!(r#"{{"eventType":"a","payload":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let many = |field: &str, count: usize| {
        let names: Vec<String> = (0..count).map(|n| format!("\"n{n}\"")).collect();
        format!(r#"{{"eventType":"a","payload":1,"{field}":[{}]}}"#, names.join(","))
    };
    for (body, place, kind) in [
        (b"".to_vec(), json!(["body"]), "value_error.jsondecode"),
        (b"{".to_vec(), json!(["body"]), "value_error.jsondecode"),
        (b"nonsense".to_vec(), json!(["body"]), "value_error"),
        (b"[]".to_vec(), json!(["body"]), "value_error"),
        (b"{}".to_vec(), json!(["body", "eventType"]), "value_error"),
        (b"{\"eventType\":\"a\",\"payload\":\"\xff\"}".to_vec(), json!(["body"]), "value_error.jsondecode"),
        (br#"{"eventType":"a","payload":1,"payload":2}"#.to_vec(), json!(["body"]), "value_error"),
        (br#"{"eventType":"a"}"#.to_vec(), json!(["body", "payload"]), "value_error"),
        (deep.into_bytes(), json!(["body", "payload"]), "value_error"),
        (many("channels", 6).into_bytes(), json!(["body", "channels"]), "value_error"),
        (many("tags", 9).into_bytes(), json!(["body", "tags"]), "value_error"),
        (many("tags", 5_000).into_bytes(), json!(["body", "tags"]), "value_error"),
        (
            br#"{"eventType":"a","payload":1,"deliverAt":"2030-01-01T00:00:00Z"}"#.to_vec(),
            json!(["body", "deliverAt"]),
            "value_error",
        ),
        (
            br#"{"eventType":"a","payload":1,"deliverAt":"9999-99-99"}"#.to_vec(),
            json!(["body", "deliverAt"]),
            "value_error",
        ),
    ] {
        let answer = world.post(&format!("{APP}/msg"), body.clone()).await;
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{shown}: {answer:?}");
        let problem = answer.json()["detail"][0].clone();
        assert_eq!((&problem["loc"], &problem["type"]), (&place, &json!(kind)), "{shown}: {}", answer.text());
    }
    let label = RuleLabel { rule: "value_error".to_owned() };
    assert!(world.metrics.rejected.get_or_create(&label).get() > 0, "refusals are counted by their code");
    assert_eq!(world.metrics.accepted.get(), 0);
}

#[tokio::test]
async fn bad_queries_are_refused_and_unknown_ones_ignored() {
    let world = World::new().await;
    for (path, expected) in [
        ("msg?limit=0", 422),
        ("msg?limit=251", 422),
        ("msg?limit=1x", 422),
        ("msg?iterator=msg_abc", 422),
        ("msg?iterator=-msg_", 422),
        ("msg?before=yesterday", 422),
        ("msg?channel=a%20b", 422),
        ("msg?event_types=a,b%20c", 422),
        ("msg?with_content=2", 400),
        ("endpoint?order=sideways", 422),
        ("endpoint?iterator=app_23rb8YdGqMT0qIzpgGwdXfHirMu", 422),
        ("attempt/endpoint/receiver-1?status=9", 422),
        ("attempt/endpoint/receiver-1?status_code_class=250", 422),
        ("msg?limit=250&tag=x&expanded_statuses=true&unknown[]=1", 200),
    ] {
        let answer = world.get(&format!("{APP}/{path}")).await;
        assert_eq!(answer.status.as_u16(), expected, "{path}: {answer:?}");
        let json = answer.json();
        match expected {
            422 => assert_eq!(json["detail"][0]["loc"][0], "query", "{path}"),
            400 => assert_eq!(json["code"], "generic_error", "{path}"),
            _ => assert_eq!(json["done"], true, "{path}"),
        }
    }
    let key = ask(Method::POST, &format!("{APP}/msg")).header("idempotency-key", "k".repeat(257)).body(Body::empty());
    let answer = world.send(key.expect("a request")).await;
    assert_eq!(answer.json()["detail"][0]["loc"], json!(["header", "idempotency-key"]));
}

#[tokio::test]
async fn a_broken_store_tells_strangers_nothing() {
    let world = World::failing(|_| Fault::Before).await;
    let answer = world.get(&format!("{APP}/msg")).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let ready = world.get("/health/ready").await;
    assert_eq!((ready.status, &ready.json()["status"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable")));
    assert!(ready.json()["reasons"][0].as_str().is_some_and(|reason| reason.contains("store is unavailable")));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_takes_its_time_is_not_ready() {
    let slow = Fault::Delay(std::time::Duration::from_secs(3));
    let world = World::failing(move |_| slow).await;
    let ready = world.get("/health/ready").await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ready.json()["reasons"], json!(["store did not answer within 1s"]));
    assert_eq!(world.get("/health/live").await.status, StatusCode::OK);
}

#[tokio::test]
async fn any_origin_may_ask() {
    let world = World::new().await;
    let preflight = Request::builder()
        .method(Method::OPTIONS)
        .uri(format!("{APP}/msg"))
        .header("origin", "https://example.com")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization, x-any")
        .body(Body::empty());
    let answer = world.send(preflight.expect("a request")).await;
    assert!(answer.status.is_success(), "{answer:?}");
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    assert_eq!(answer.headers["access-control-allow-headers"], "authorization, x-any");
    assert_eq!(answer.headers["access-control-allow-methods"], "POST");
    assert_eq!(answer.headers["access-control-max-age"], "600");
}

#[tokio::test]
async fn a_closed_api_is_not_there() {
    let world =
        World::with(|settings| hookyard_server::DoorsSettings { api_enabled: false, ..settings }, |_| Fault::Pass)
            .await;
    assert_eq!(world.get(APP).await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.get("/health").await.text(), r#"{"status": "ok"}"#);
}
