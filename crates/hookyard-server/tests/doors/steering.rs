//! Resending, enabling and disabling by hand.

use axum::body::Body;
use axum::http::{Method, StatusCode};
use hookyard_model::{OrganisationId, Outcome, RawId, StateKind};
use hookyard_ports::Store;
use hookyard_ports::store::ImportReport;
use hookyard_ports::testkit::{Fault, build};

use hookyard_server::{DoorsSettings, Reload, ReloadError, mint_token};

use crate::world::{APP, World, ask, secret};

#[tokio::test]
async fn a_resend_is_202_and_a_repeat_of_it_sends_nothing() {
    let world = World::new().await;
    let id = world.publish("a").await;
    world.attempt(1, 1, &Outcome::Delivered).await;
    let path = format!("{APP}/msg/{id}/endpoint/receiver-1/resend");
    let keyed = async |key: &str, body: &'static str| {
        let request = ask(Method::POST, &path).header("idempotency-key", key).body(Body::from(body));
        world.send(request.expect("a request")).await
    };
    let first = keyed("k", "").await;
    assert_eq!((first.status, first.text()), (StatusCode::ACCEPTED, "{}"));
    assert_eq!(world.attempt(1, 2, &Outcome::Delivered).await, 1);
    assert_eq!(keyed("k", "").await.status, StatusCode::ACCEPTED);
    assert_eq!(world.attempt(1, 3, &Outcome::Delivered).await, 0, "the repeat queued nothing");
    assert_eq!(keyed("k", "{}").await.json()["code"], "idempotency_conflict");
    assert_eq!(keyed("k2", "").await.status, StatusCode::ACCEPTED);
    assert_eq!(world.attempt(1, 4, &Outcome::Delivered).await, 1);
    let owed = world.node.deliveries(build::application_id(1), id.parse().expect("an id")).await.expect("answers");
    assert_eq!(owed[0].state.kind(), StateKind::Delivered);
}

#[tokio::test]
async fn an_endpoint_is_switched_off_and_on_and_the_next_message_knows() {
    let world = World::new().await;
    world.publish("a").await;
    let off = world.post(&format!("{APP}/endpoint/receiver-1/disable"), "").await;
    assert_eq!(off.status, StatusCode::OK);
    assert_eq!((&off.json()["disabled"], &off.json()["disabledReason"]), (&true.into(), &"manual".into()));
    let id = world.publish("a").await;
    let owed = world.node.deliveries(build::application_id(1), id.parse().expect("an id")).await.expect("answers");
    assert!(owed.iter().all(|delivery| delivery.key.endpoint != build::endpoint_id(1)));
    let on = world.post(&format!("{APP}/endpoint/{}/enable/", build::endpoint_id(1)), "").await;
    assert_eq!((on.status, &on.json()["disabled"]), (StatusCode::OK, &false.into()));
    assert_eq!(world.get(&format!("{APP}/endpoint/receiver-1")).await.text(), on.text());
    let id = world.publish("a").await;
    let owed = world.node.deliveries(build::application_id(1), id.parse().expect("an id")).await.expect("answers");
    assert_eq!(owed.len(), 3);
}

const RELOAD: &str = "/api/v1/hookyard/config/reload";

async fn reloading(answer: Result<ImportReport, ReloadError>) -> World {
    let reload = Reload::new(move || std::future::ready(answer.clone()));
    World::with(|settings| DoorsSettings { reload: Some(reload), ..settings }, |_| Fault::Pass).await
}

#[tokio::test]
async fn a_reload_answers_with_what_changed_or_with_the_whole_report() {
    let report = ImportReport { created: 1, updated: 2, archived: 3, unchanged: 4 };
    let done = reloading(Ok(report)).await.post(RELOAD, "").await;
    assert_eq!(done.status, StatusCode::OK);
    assert_eq!(done.json(), serde_json::json!({"created": 1, "updated": 2, "archived": 3, "unchanged": 4}));
    let refused = reloading(Err(ReloadError::Refused("two\nfaults".to_owned()))).await.post(RELOAD, "").await;
    assert_eq!((refused.status, &refused.json()["detail"]), (StatusCode::BAD_REQUEST, &"two\nfaults".into()));
    let failed = reloading(Err(ReloadError::Failed("disk".to_owned()))).await.post(RELOAD, "").await;
    assert_eq!((failed.status, failed.text()), (StatusCode::INTERNAL_SERVER_ERROR, "{}"));
    assert_eq!(World::new().await.post(RELOAD, "").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn only_the_organisation_of_the_files_reloads() {
    let world = reloading(Ok(ImportReport::default())).await;
    let other = OrganisationId::from_raw(RawId::MIN);
    let own = OrganisationId::default_organisation();
    for (organisation, application) in [(other, None), (own, Some(build::application_id(1)))] {
        let token = mint_token(&secret(), organisation, application, build::NOW);
        let request = axum::http::Request::post(RELOAD).header("authorization", format!("Bearer {token}"));
        let answer = world.send(request.body(Body::empty()).expect("a request")).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
    }
}
