//! Import: the rows of a file kind are what the file says, and what happened at run time stays.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use hookyard_model::{
    Application, Declaration, DisableReason, EndpointChange, EndpointSettings, EndpointStatus, FileKind, Next,
    OrganisationId, Outcome, Rate, Revision, Timestamp,
};

use super::fixture::WORKS;
use super::{Fixture, Ground};
use crate::store::{
    ApplicationRef, FirstState, Import, ImportApplication, ImportEndpoint, ImportError, ImportReport, StatusChange,
};
use crate::testkit::build::{self, application_id, at, endpoint_id};

fn report(created: usize, updated: usize, archived: usize, unchanged: usize) -> ImportReport {
    ImportReport { created, updated, archived, unchanged }
}

/// The file with application 1 and these endpoints, read at `seconds`.
fn file(seconds: u64, endpoints: Vec<ImportEndpoint>) -> Import {
    let application = ImportApplication { endpoints, ..build::import_application(1, &[]) };
    Import { now: at(seconds), ..build::import(vec![application]) }
}

fn plain(endpoints: &[u64]) -> Vec<ImportEndpoint> {
    endpoints.iter().map(|n| build::import_endpoint(*n)).collect()
}

fn switched_off(n: u64) -> ImportEndpoint {
    ImportEndpoint { disabled: true, ..build::import_endpoint(n) }
}

/// The `n`th endpoint as the file declares it after somebody edited its description.
fn edited(n: u64) -> ImportEndpoint {
    let settings = Arc::new(EndpointSettings { description: "edited".to_owned(), ..build::settings(n) });
    ImportEndpoint { settings, ..build::import_endpoint(n) }
}

async fn endpoint_ids(fixture: &Fixture) -> Vec<hookyard_model::EndpointId> {
    fixture.view().await.endpoints.iter().map(|endpoint| endpoint.id).collect()
}

pub async fn declared_rows_exist_afterwards(ground: Arc<dyn Ground>) {
    let fixture = Fixture::empty(ground).await;
    let mut declared = build::import_application(1, &[2, 1]);
    declared.metadata = BTreeMap::from([("event_id".to_owned(), "7".to_owned())]);
    declared.rate_limit = Some(Rate { count: NonZeroU32::MIN, per: Duration::from_hours(1) });
    declared.require_https = Some(true);
    let import = Import { now: at(5), ..build::import(vec![declared.clone()]) };
    assert_eq!(fixture.import(import).await, report(3, 0, 0, 0));

    let declaration = Declaration { kind: FileKind::Hookyard, file: "hookyard.toml".to_owned() };
    let view = fixture.view().await;
    let expected = Application {
        metadata: declared.metadata,
        rate_limit: declared.rate_limit,
        require_https: Some(true),
        declared: Some(declaration.clone()),
        created: at(5),
        updated: at(5),
        ..build::application(1)
    };
    assert_eq!(view.application, expected);
    assert_eq!(view.application.revision, Revision(1), "a new application begins at revision 1");
    assert_eq!(endpoint_ids(&fixture).await, [endpoint_id(1), endpoint_id(2)], "by id");
    for (endpoint, n) in view.endpoints.iter().zip(1..) {
        let expected = hookyard_model::Endpoint {
            declared: Some(declaration.clone()),
            application_metadata: Arc::new(view.application.metadata.clone()),
            created: at(5),
            updated: at(5),
            ..build::endpoint(n)
        };
        assert_eq!(**endpoint, expected);
    }
    let fixture = fixture.crash(at(60)).await;
    assert_eq!(fixture.view().await, view);
}

pub async fn an_application_is_found_by_id_and_by_uid_in_its_organisation(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let by_uid = ApplicationRef::Uid("tenant-1".parse().expect("a uid"));
    let find = async |organisation, reference: &ApplicationRef| {
        fixture.store().application(organisation, reference).await.expect(WORKS)
    };
    let found = find(build::organisation(), &by_uid).await.expect("it is declared");
    assert_eq!(found, fixture.view().await);
    let elsewhere = OrganisationId::from_raw(application_id(7).raw());
    assert_eq!(find(elsewhere, &by_uid).await, None);
    assert_eq!(find(elsewhere, &ApplicationRef::Id(application_id(1))).await, None);
    assert_eq!(find(build::organisation(), &ApplicationRef::Id(application_id(2))).await, None);
}

pub async fn the_same_file_again_changes_nothing(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let before = fixture.view().await;
    let mut again = file(50, plain(&[1, 2, 3]));
    again.applications[0].id = application_id(90);
    for (endpoint, n) in again.applications[0].endpoints.iter_mut().zip(90..) {
        endpoint.id = endpoint_id(n);
    }
    assert_eq!(fixture.import(again).await, report(0, 0, 0, 4), "fresh ids are used for new rows only");
    assert_eq!(fixture.view().await, before);
}

pub async fn what_differs_gets_a_new_revision_and_only_that(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let mut endpoints = plain(&[1, 3, 4]);
    endpoints.push(edited(2));
    assert_eq!(fixture.import(file(50, endpoints)).await, report(1, 1, 0, 3));
    let view = fixture.view().await;
    assert_eq!(view.application.revision, Revision(2), "one for the whole import");
    let revisions: Vec<u64> = view.endpoints.iter().map(|endpoint| endpoint.revision.0).collect();
    assert_eq!(revisions, [1, 2, 1, 2]);
    assert_eq!(view.endpoints[1].settings.description, "edited");
    assert_eq!((view.endpoints[1].created, view.endpoints[1].updated), (at(0), at(50)));
    assert_eq!(view.endpoints[0].updated, at(0));
    assert_eq!(view.application.updated, at(0), "its own fields are as they were");
}

pub async fn an_applications_own_fields_follow_the_file(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let mut import = file(50, plain(&[1, 2, 3]));
    import.applications[0].name.push_str(", renamed");
    import.applications[0].metadata.insert("a".to_owned(), "b".to_owned());
    assert_eq!(fixture.import(import).await, report(0, 1, 0, 3));
    let application = fixture.view().await.application.clone();
    assert_eq!((application.name.as_str(), application.metadata.len()), ("Tenant 1, renamed", 1));
    assert_eq!((application.created, application.updated), (at(0), at(50)));
    assert_eq!(application.revision, Revision(2));
}

pub async fn an_endpoint_carries_its_applications_pairs_of_the_present(ground: Arc<dyn Ground>) {
    let fixture = Fixture::empty(ground).await;
    let mut declared = build::import_application(1, &[1]);
    for value in ["7", "8"] {
        declared.metadata = BTreeMap::from([("event_id".to_owned(), value.to_owned())]);
        let cursor = fixture.store().changes_since(None).await.expect(WORKS).cursor;
        fixture.import(build::import(vec![declared.clone()])).await;
        let view = fixture.view().await;
        assert_eq!(*view.endpoints[0].application_metadata, declared.metadata);
        let endpoint = fixture.store().endpoint(endpoint_id(1)).await.expect(WORKS).expect("it is there");
        assert_eq!(*endpoint.application_metadata, declared.metadata);
        let changed = fixture.store().changes_since(Some(cursor)).await.expect(WORKS).endpoints;
        assert!(changed.contains(&endpoint_id(1)), "what is sent may depend on them");
    }
}

pub async fn an_endpoint_that_left_the_file_is_archived(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    assert_eq!(fixture.import(file(50, plain(&[1, 3]))).await, report(0, 0, 1, 3));
    assert_eq!(endpoint_ids(&fixture).await, [endpoint_id(1), endpoint_id(3)]);
    let archived = fixture.endpoint(2).await;
    assert_eq!(archived.status, EndpointStatus::Archived { since: at(50) });
    assert_eq!((archived.revision, fixture.revision().await), (Revision(2), Revision(2)));
    assert_eq!(*archived.settings, build::settings(2), "kept for its history");
    let enabled = fixture.store().change_status(endpoint_id(2), StatusChange::Enable, at(60)).await.expect(WORKS);
    assert_eq!(enabled, None, "archived is never left");
    assert_eq!(fixture.import(file(70, plain(&[1, 3]))).await, report(0, 0, 0, 3), "once");
}

pub async fn an_application_that_left_the_file_is_archived_with_its_endpoints(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let both = vec![build::import_application(1, &[1, 2, 3]), build::import_application(2, &[20])];
    fixture.import(build::import(both)).await;
    let one = Import { now: at(50), ..build::import(vec![build::import_application(2, &[20])]) };
    assert_eq!(fixture.import(one).await, report(0, 0, 4, 2));
    for reference in [ApplicationRef::Id(application_id(1)), ApplicationRef::Uid("tenant-1".parse().expect("a uid"))] {
        let gone = fixture.store().application(build::organisation(), &reference).await.expect(WORKS);
        assert_eq!(gone, None);
    }
    for n in 1..=3 {
        assert_eq!(fixture.endpoint(n).await.status, EndpointStatus::Archived { since: at(50) });
    }
    let left = fixture.store().applications(build::organisation(), None, 9).await.expect(WORKS);
    assert_eq!(left.iter().map(|application| application.id).collect::<Vec<_>>(), [application_id(2)]);
    assert_eq!(fixture.endpoint(20).await.status, EndpointStatus::Enabled);
}

pub async fn a_uid_that_comes_back_makes_a_new_row(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.import(build::import(Vec::new())).await;
    let mut back = file(50, plain(&[1]));
    back.applications[0].id = application_id(9);
    back.applications[0].endpoints[0].id = endpoint_id(9);
    assert_eq!(fixture.import(back).await, report(2, 0, 0, 0));
    let by_uid = ApplicationRef::Uid("tenant-1".parse().expect("a uid"));
    let found = fixture.store().application(build::organisation(), &by_uid).await.expect(WORKS).expect("it is back");
    assert_eq!((found.application.id, found.application.revision), (application_id(9), Revision(1)));
    assert_eq!(found.endpoints.iter().map(|endpoint| endpoint.id).collect::<Vec<_>>(), [endpoint_id(9)]);
    assert!(matches!(fixture.endpoint(1).await.status, EndpointStatus::Archived { .. }), "the old row stays archived");
}

pub async fn an_endpoint_uid_that_comes_back_makes_a_new_row(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.import(file(50, plain(&[1, 2]))).await;
    let mut back = plain(&[1, 2, 3]);
    back[2].id = endpoint_id(33);
    assert_eq!(fixture.import(file(60, back)).await, report(1, 0, 0, 3));
    assert_eq!(endpoint_ids(&fixture).await, [1, 2, 33].map(endpoint_id));
}

pub async fn a_uid_of_another_owner_is_taken_and_nothing_happens(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let applications = vec![build::import_application(5, &[50]), build::import_application(1, &[1])];
    let file = "immich.json".to_owned();
    let other = Import { kind: FileKind::Immich, file, ..build::import(applications) };
    let answer = fixture.store().import(other).await.expect(WORKS);
    let uid = "tenant-1".parse().expect("a uid");
    assert_eq!(answer, Err(ImportError::Taken { uid, owner: "hookyard.toml".to_owned() }));
    let left = fixture.store().applications(build::organisation(), None, 9).await.expect(WORKS);
    assert_eq!(left.len(), 1, "application 5 was not made either");
    assert_eq!(fixture.store().endpoint(endpoint_id(50)).await.expect(WORKS), None);
    assert_eq!(fixture.view().await.endpoints.len(), 3);
}

pub async fn file_kinds_leave_each_others_rows_alone(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let mut other = build::import(vec![build::import_application(2, &[20])]);
    other.kind = FileKind::Kiosk;
    assert_eq!(fixture.import(other.clone()).await, report(2, 0, 0, 0));
    other.applications.clear();
    assert_eq!(fixture.import(other).await, report(0, 0, 2, 0));
    assert_eq!(fixture.view().await.endpoints.len(), 3);
}

pub async fn organisations_leave_each_others_rows_alone(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let elsewhere = OrganisationId::from_raw(application_id(7).raw());
    let mut same_uid = build::import_application(1, &[]);
    same_uid.id = application_id(2);
    let import = Import { organisation: elsewhere, ..build::import(vec![same_uid]) };
    assert_eq!(fixture.import(import).await, report(1, 0, 0, 0), "a uid is unique in its organisation");
    let emptied = Import { organisation: elsewhere, ..build::import(Vec::new()) };
    assert_eq!(fixture.import(emptied).await, report(0, 0, 1, 0));
    assert_eq!(fixture.view().await.endpoints.len(), 3);
}

pub async fn the_file_switches_endpoints_off_and_on(ground: Arc<dyn Ground>) {
    let fixture = Fixture::empty(ground).await;
    let off = |since: Timestamp| EndpointStatus::Disabled { since, reason: DisableReason::Manual };
    fixture.import(file(5, vec![build::import_endpoint(1), switched_off(2)])).await;
    assert_eq!(fixture.endpoint(2).await.status, off(at(5)));
    let both_off = || vec![switched_off(1), switched_off(2)];
    assert_eq!(fixture.import(file(10, both_off())).await, report(0, 1, 0, 2));
    assert_eq!(fixture.endpoint(1).await.status, off(at(10)));
    assert_eq!(fixture.endpoint(2).await.status, off(at(5)), "since it was switched off");
    assert_eq!(fixture.import(file(20, both_off())).await, report(0, 0, 0, 3));
    assert_eq!(fixture.import(file(30, plain(&[1, 2]))).await, report(0, 2, 0, 1));
    assert_eq!(fixture.endpoint(1).await.status, EndpointStatus::Enabled);
    assert_eq!(fixture.endpoint(2).await.status, EndpointStatus::Enabled);
}

pub async fn what_was_switched_by_hand_stays_until_the_file_says_something_else(ground: Arc<dyn Ground>) {
    let fixture = Fixture::empty(ground).await;
    let off = |since: Timestamp| EndpointStatus::Disabled { since, reason: DisableReason::Manual };
    let by_hand = async |n, change, seconds| {
        let changed = fixture.store().change_status(endpoint_id(n), change, at(seconds)).await.expect(WORKS);
        assert!(changed.is_some(), "it is there");
    };
    let first = || vec![build::import_endpoint(1), switched_off(2)];
    fixture.import(file(5, first())).await;
    by_hand(1, StatusChange::Disable(DisableReason::Manual), 6).await;
    by_hand(2, StatusChange::Enable, 7).await;
    assert_eq!(fixture.import(file(10, first())).await, report(0, 0, 0, 3));
    assert_eq!(fixture.import(file(11, vec![edited(1), switched_off(2)])).await, report(0, 1, 0, 2));
    let fixture = fixture.crash(at(20)).await;
    assert_eq!(fixture.import(file(21, first())).await, report(0, 1, 0, 2), "only the description");
    assert_eq!(fixture.endpoint(1).await.status, off(at(6)), "the file has nothing new to say");
    assert_eq!(fixture.endpoint(2).await.status, EndpointStatus::Enabled);

    let other_way_round = || vec![switched_off(1), build::import_endpoint(2)];
    assert_eq!(fixture.import(file(30, other_way_round())).await, report(0, 0, 0, 3), "both are what it says already");
    assert_eq!(fixture.endpoint(1).await.status, off(at(6)), "since it was switched off");
    assert_eq!(fixture.import(file(40, first())).await, report(0, 2, 0, 1), "it was remembered all the same");
    assert_eq!(fixture.endpoint(1).await.status, EndpointStatus::Enabled);
    assert_eq!(fixture.endpoint(2).await.status, off(at(40)));
}

pub async fn runtime_state_survives_an_import(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, FirstState::Leased), (2, FirstState::Leased)]).await;
    let failed = Next::Retry { due: at(900), charged: 1, variant: 0 };
    let failing = Some(EndpointChange::Failing { since: at(7) });
    fixture.settle_with(10, (1, 1), Outcome::Refused, failed, failing).await;
    let disabled = Some(EndpointChange::Disabled { since: at(8), reason: DisableReason::Failing });
    fixture.settle_with(11, (1, 2), Outcome::Refused, failed, disabled).await;

    assert_eq!(fixture.import(file(50, plain(&[1, 2, 3]))).await, report(0, 0, 0, 4));
    assert_eq!(fixture.import(file(60, vec![edited(1), edited(2), edited(3)])).await, report(0, 3, 0, 1));
    assert_eq!(fixture.endpoint(1).await.failing_since, Some(at(7)));
    let status = EndpointStatus::Disabled { since: at(8), reason: DisableReason::Failing };
    assert_eq!(fixture.endpoint(2).await.status, status, "a file that lets it does not undo what failure did");
    assert_eq!(fixture.endpoint(2).await.settings.description, "edited");
    assert_eq!(fixture.state(1, 1).await, super::fixture::pending(900));
}

pub async fn applications_are_listed_by_id_page_by_page(ground: Arc<dyn Ground>) {
    let fixture = Fixture::empty(ground).await;
    let applications = [3, 1, 5, 2, 4].map(|n| build::import_application(n, &[]));
    fixture.import(build::import(applications.to_vec())).await;
    let ids = async |after: Option<u64>, limit| {
        let listed = fixture.store().applications(build::organisation(), after.map(application_id), limit).await;
        listed.expect(WORKS).into_iter().map(|application| application.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(None, 9).await, [1, 2, 3, 4, 5].map(application_id));
    assert_eq!(ids(None, 2).await, [1, 2].map(application_id));
    assert_eq!(ids(Some(2), 2).await, [3, 4].map(application_id));
    assert_eq!(ids(Some(5), 2).await, []);
    let elsewhere = OrganisationId::from_raw(application_id(7).raw());
    assert_eq!(fixture.store().applications(elsewhere, None, 9).await.expect(WORKS), []);
}

pub async fn archived_applications_are_found_and_listed_apart(ground: Arc<dyn Ground>) {
    let fixture = Fixture::empty(ground).await;
    let (store, organisation) = (fixture.store(), build::organisation());
    let (numbered, by_uid) =
        (|n| ApplicationRef::Id(application_id(n)), ApplicationRef::Uid("tenant-1".parse().expect("a uid")));
    let called = |n| ImportApplication { id: application_id(n), ..build::import_application(1, &[]) };
    let with = |seconds, applications| Import { now: at(seconds), ..build::import(applications) };
    fixture.import(with(5, vec![called(9)])).await;
    assert_eq!(store.archived_application(organisation, &by_uid).await.expect(WORKS), None, "it is not archived");
    assert_eq!(store.archived_applications(organisation, None, 9).await.expect(WORKS), []);
    // Its uid goes twice, the second time with an application of a lower id, and is there again.
    fixture.import(with(50, Vec::new())).await;
    fixture.import(with(60, vec![called(3)])).await;
    fixture.import(with(70, vec![build::import_application(2, &[20])])).await;
    fixture.import(with(80, vec![called(4)])).await;

    let found = store.archived_application(organisation, &by_uid).await.expect(WORKS).expect("it was archived");
    assert_eq!((found.id, found.archived), (application_id(3), Some(at(70))), "the last that had the uid");
    assert_eq!(found.declared.map(|declared| declared.file).as_deref(), Some("hookyard.toml"), "who had declared it");
    for (n, archived) in [(9, Some(at(50))), (3, Some(at(70))), (2, Some(at(80))), (4, None)] {
        let found = store.archived_application(organisation, &numbered(n)).await.expect(WORKS);
        assert_eq!(found.and_then(|found| found.archived), archived, "application {n}");
    }
    let elsewhere = OrganisationId::from_raw(application_id(7).raw());
    for reference in [numbered(9), by_uid] {
        assert_eq!(store.archived_application(elsewhere, &reference).await.expect(WORKS), None);
    }
    let ids = async |organisation, after: Option<u64>, limit| {
        let listed = store.archived_applications(organisation, after.map(application_id), limit).await;
        listed.expect(WORKS).into_iter().map(|application| application.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(organisation, None, 9).await, [2, 3, 9].map(application_id));
    assert_eq!(ids(organisation, None, 1).await, [2].map(application_id));
    assert_eq!(ids(organisation, Some(2), 9).await, [3, 9].map(application_id));
    assert_eq!(ids(elsewhere, None, 9).await, []);
}

/// The rows of another file kind.
fn of_immich(applications: Vec<ImportApplication>) -> Import {
    Import { kind: FileKind::Immich, file: "immich.json".to_owned(), now: at(50), ..build::import(applications) }
}

pub async fn several_kinds_are_imported_together_or_not_at_all(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let before = fixture.view().await;
    let taken = of_immich(vec![build::import_application(5, &[50]), build::import_application(1, &[1])]);
    let edited = file(40, vec![edited(1)]);
    let answer = fixture.store().import_all(vec![edited.clone(), taken]).await.expect(WORKS);
    let uid = "tenant-1".parse().expect("a uid");
    assert_eq!(answer, Err(ImportError::Taken { uid, owner: "hookyard.toml".to_owned() }));
    assert_eq!(fixture.view().await, before, "the file before it changed nothing either");
    assert_eq!(fixture.store().endpoint(endpoint_id(50)).await.expect(WORKS), None);

    // What the store itself refuses comes after what was well.
    let conflict = ImportApplication { id: application_id(1), ..build::import_application(6, &[]) };
    let refused = fixture.store().import_all(vec![edited.clone(), of_immich(vec![conflict])]).await;
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(fixture.view().await, before);

    let fine = of_immich(vec![build::import_application(5, &[50])]);
    let answer = fixture.store().import_all(vec![edited, fine]).await.expect(WORKS);
    assert_eq!(answer, Ok(vec![report(0, 1, 2, 1), report(2, 0, 0, 0)]));
    assert_eq!(endpoint_ids(&fixture).await, [endpoint_id(1)]);
    assert_eq!(fixture.store().import_all(Vec::new()).await.expect(WORKS), Ok(Vec::new()));
}

pub async fn what_one_file_gives_up_another_may_take_in_the_same_import(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let nothing = Import { now: at(50), ..build::import(Vec::new()) };
    let mut taking = of_immich(vec![build::import_application(1, &[1])]);
    taking.applications[0].id = application_id(9);
    taking.applications[0].endpoints[0].id = endpoint_id(9);
    let first = fixture.store().import_all(vec![taking.clone(), nothing.clone()]).await.expect(WORKS);
    assert!(first.is_err(), "it is given up only afterwards: {first:?}");
    let answer = fixture.store().import_all(vec![nothing, taking]).await.expect(WORKS);
    assert_eq!(answer, Ok(vec![report(0, 0, 4, 0), report(2, 0, 0, 0)]));
    let by_uid = ApplicationRef::Uid("tenant-1".parse().expect("a uid"));
    let found = fixture.store().application(build::organisation(), &by_uid).await.expect(WORKS).expect("it is there");
    assert_eq!((found.application.id, found.endpoints[0].id), (application_id(9), endpoint_id(9)));
    let gone = fixture.store().archived_application(build::organisation(), &by_uid).await.expect(WORKS);
    assert_eq!(gone.map(|gone| gone.id), Some(application_id(1)));
}
