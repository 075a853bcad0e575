//! Status, revisions and who hears of them.

use std::sync::Arc;
use std::time::Duration;

use hookyard_model::{DisableReason, EndpointChange, EndpointSettings, EndpointStatus, Next, Outcome, Revision};

use tokio::task::JoinSet;

use super::fixture::WORKS;
use super::{Fixture, Ground};
use crate::store::{Changes, FirstState, ImportEndpoint, StatusChange, StoreError};
use crate::testkit::build::{self, application_id, at, endpoint_id};

const DISABLE: StatusChange = StatusChange::Disable(DisableReason::Manual);
/// How long a test waits for what must come; nothing waits this long when it passes.
const SOON: Duration = Duration::from_secs(30);

async fn forms_at(fixture: &Fixture, revision: u64) -> Vec<(hookyard_model::EndpointId, EndpointStatus, String)> {
    let forms = fixture.store().endpoints_at(application_id(1), Revision(revision)).await.expect(WORKS);
    forms.iter().map(|form| (form.id, form.status.clone(), form.settings.description.clone())).collect()
}

/// A task that waits for changes, as the engine does.
fn wait_for_changes(fixture: &Fixture, cursor: u64) -> JoinSet<crate::store::Result<Changes>> {
    let store = fixture.handle();
    let mut waiting = JoinSet::new();
    waiting.spawn(async move { store.changes_since(Some(cursor)).await });
    waiting
}

async fn heard(mut waiting: JoinSet<crate::store::Result<Changes>>) -> crate::store::Result<Changes> {
    let woken = tokio::time::timeout(SOON, waiting.join_next()).await.expect("whoever waits is woken");
    woken.expect("there is one task").expect("it does not panic")
}

async fn cursor(fixture: &Fixture) -> u64 {
    let changes = fixture.store().changes_since(None).await.expect(WORKS);
    assert_eq!(changes.endpoints, [], "only where to begin");
    changes.cursor
}

pub async fn a_status_change_gives_the_application_a_new_revision(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let disabled = fixture.change_status(1, DISABLE, at(5)).await;
    assert_eq!(disabled.status, EndpointStatus::Disabled { since: at(5), reason: DisableReason::Manual });
    assert_eq!((disabled.revision, disabled.created, disabled.updated), (Revision(2), at(0), at(5)));
    assert_eq!(fixture.revision().await, Revision(2));
    assert_eq!(fixture.endpoint(1).await, disabled);
    let enabled = fixture.change_status(1, StatusChange::Enable, at(9)).await;
    assert_eq!((enabled.status.clone(), enabled.revision), (EndpointStatus::Enabled, Revision(3)));
    assert_eq!(fixture.view().await.application.updated, at(0), "its own fields are as they were");
    let fixture = fixture.crash(at(60)).await;
    assert_eq!(fixture.endpoint(1).await, enabled);
}

pub async fn enabling_counts_failure_from_scratch(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, FirstState::Leased)]).await;
    let failing = Some(EndpointChange::Failing { since: at(7) });
    let next = Next::Retry { due: at(900), charged: 1, variant: 0 };
    fixture.settle_with(10, (1, 1), Outcome::Refused, next, failing).await;
    let disabled = fixture.change_status(1, DISABLE, at(20)).await;
    assert_eq!(disabled.failing_since, Some(at(7)));
    let enabled = fixture.change_status(1, StatusChange::Enable, at(30)).await;
    assert_eq!(enabled.failing_since, None);
    assert_eq!(fixture.endpoint(1).await.failing_since, None);
}

pub async fn an_unknown_endpoint_has_no_status(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    assert_eq!(fixture.store().change_status(endpoint_id(9), DISABLE, at(5)).await.expect(WORKS), None);
    assert_eq!(fixture.store().endpoint(endpoint_id(9)).await.expect(WORKS), None);
    assert_eq!(fixture.revision().await, Revision(1));
}

pub async fn a_fan_out_of_the_past_can_be_seen_again(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.change_status(1, DISABLE, at(5)).await;
    let edited = Arc::new(EndpointSettings { description: "edited".to_owned(), ..build::settings(2) });
    let mut applications = vec![build::import_application(1, &[2, 4])];
    applications[0].endpoints[0] = ImportEndpoint { settings: edited, ..build::import_endpoint(2) };
    fixture.import(build::import(applications)).await;
    fixture.change_status(4, DISABLE, at(9)).await;

    let on = |n: u64| (endpoint_id(n), EndpointStatus::Enabled, String::new());
    let off = |n: u64, seconds| {
        let status = EndpointStatus::Disabled { since: at(seconds), reason: DisableReason::Manual };
        (endpoint_id(n), status, String::new())
    };
    let edited = || (endpoint_id(2), EndpointStatus::Enabled, "edited".to_owned());
    assert_eq!(forms_at(&fixture, 0).await, []);
    assert_eq!(forms_at(&fixture, 1).await, [on(1), on(2), on(3)]);
    assert_eq!(forms_at(&fixture, 2).await, [off(1, 5), on(2), on(3)], "disabled ones included");
    assert_eq!(forms_at(&fixture, 3).await, [edited(), on(4)], "archived ones not");
    assert_eq!(forms_at(&fixture, 4).await, [edited(), off(4, 9)]);
    assert_eq!(forms_at(&fixture, 5).await, forms_at(&fixture, 4).await);
    let elsewhere = fixture.store().endpoints_at(application_id(2), Revision(1)).await.expect(WORKS);
    assert_eq!(elsewhere, []);
    let fixture = fixture.crash(at(60)).await;
    assert_eq!(forms_at(&fixture, 1).await, [on(1), on(2), on(3)]);
}

pub async fn the_present_cursor_comes_at_once(ground: Arc<dyn Ground>) {
    let fixture = Fixture::empty(ground).await;
    let first = cursor(&fixture).await;
    fixture.import(build::import(vec![build::import_application(1, &[1])])).await;
    assert!(cursor(&fixture).await > first);
}

pub async fn whoever_waits_for_changes_is_woken_by_one(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let before = cursor(&fixture).await;
    let mut waiting = wait_for_changes(&fixture, before);
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert!(waiting.try_join_next().is_none(), "nothing has changed yet");
    fixture.change_status(2, DISABLE, at(5)).await;
    let changes = heard(waiting).await.expect(WORKS);
    assert!(changes.endpoints.contains(&endpoint_id(2)), "{changes:?}");
    assert!(changes.cursor > before);
    assert_eq!(cursor(&fixture).await, changes.cursor, "nothing is left to hear of");
}

pub async fn changes_that_happened_meanwhile_come_at_once(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let before = cursor(&fixture).await;
    fixture.change_status(1, DISABLE, at(5)).await;
    fixture.change_status(3, DISABLE, at(5)).await;
    let changes = heard(wait_for_changes(&fixture, before)).await.expect(WORKS);
    for n in [1, 3] {
        assert!(changes.endpoints.contains(&endpoint_id(n)), "{changes:?}");
    }
}

pub async fn imports_and_attempts_that_disable_are_changes(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let before = cursor(&fixture).await;
    fixture.import(build::import(vec![build::import_application(1, &[1, 2, 4])])).await;
    let imported = heard(wait_for_changes(&fixture, before)).await.expect(WORKS);
    assert!(imported.endpoints.contains(&endpoint_id(3)), "it was archived: {imported:?}");
    assert!(imported.endpoints.contains(&endpoint_id(4)), "it is new: {imported:?}");

    fixture.accept(1, &[(1, FirstState::Leased)]).await;
    let change = Some(EndpointChange::Disabled { since: at(9), reason: DisableReason::Gone });
    let next = Next::Retry { due: at(900), charged: 1, variant: 0 };
    fixture.settle_with(10, (1, 1), Outcome::Refused, next, change).await;
    let settled = heard(wait_for_changes(&fixture, imported.cursor)).await.expect(WORKS);
    assert!(settled.endpoints.contains(&endpoint_id(1)), "{settled:?}");
}

pub async fn whoever_waits_is_told_when_the_store_closes(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let waiting = wait_for_changes(&fixture, cursor(&fixture).await);
    tokio::task::yield_now().await;
    fixture.store().close().await;
    let answer = heard(waiting).await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
}

pub async fn deeds_after_close_are_unavailable(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.store().close().await;
    let answer = fixture.store().accept(vec![build::accept(build::message(1), &[])]).await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    let answer = fixture.store().release(Vec::new()).await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    fixture.store().close().await;
}

pub async fn nodes_hear_of_each_others_changes(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let Some(other) = fixture.other_node("two", at(0)).await else { return };
    let waiting = wait_for_changes(&other, cursor(&other).await);
    tokio::task::yield_now().await;
    fixture.change_status(2, DISABLE, at(5)).await;
    let changes = heard(waiting).await.expect(WORKS);
    assert!(changes.endpoints.contains(&endpoint_id(2)), "{changes:?}");
    assert_eq!(other.revision().await, Revision(2));
}
