//! A store that fails when told, on the store in memory.

use super::*;
use crate::testkit::conformance::Fixture;
use crate::testkit::{MemoryStore, build};

fn planned(faults: Vec<Fault>) -> (FaultyStore<dyn Store>, Arc<dyn Store>) {
    let inner: Arc<dyn Store> = Arc::new(MemoryStore::shared().node("one", build::NOW));
    let plan = move |call: Call| {
        let nth = usize::try_from(call.nth).expect("few calls");
        faults.get(nth).copied().unwrap_or(Fault::Pass)
    };
    (FaultyStore::new(Arc::clone(&inner), plan), inner)
}

fn file() -> Import {
    build::import(vec![build::import_application(1, &[1])])
}

async fn is_imported(store: &dyn Store) -> bool {
    store.endpoint(build::endpoint_id(1)).await.expect("the inner store does not fail").is_some()
}

#[tokio::test]
async fn a_call_that_fails_before_changes_nothing() {
    let (store, inner) = planned(vec![Fault::Before]);
    assert!(matches!(store.import(file()).await, Err(StoreError::Unavailable(_))));
    assert!(!is_imported(&*inner).await);
    store.import(file()).await.expect("the plan is over").expect("nobody has the uid");
    assert!(is_imported(&*inner).await);
}

#[tokio::test]
async fn a_broken_call_changes_nothing_and_is_not_worth_repeating() {
    let (store, inner) = planned(vec![Fault::Broken]);
    assert!(!store.import(file()).await.expect_err("it is broken").is_retryable());
    assert!(!is_imported(&*inner).await);
}

#[tokio::test]
async fn a_call_that_fails_after_has_happened() {
    let (store, inner) = planned(vec![Fault::After]);
    assert!(matches!(store.import(file()).await, Err(StoreError::Unavailable(_))));
    assert!(is_imported(&*inner).await);
}

#[tokio::test(start_paused = true)]
async fn a_delayed_call_goes_through_when_time_has_passed() {
    let (store, inner) = planned(vec![Fault::Delay(Duration::from_secs(5))]);
    let begun = tokio::time::Instant::now();
    store.import(file()).await.expect("it is only late").expect("nobody has the uid");
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
    assert!(is_imported(&*inner).await);
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_about_what_has_happened_already() {
    let (store, inner) = planned(vec![Fault::Late(Duration::from_secs(5))]);
    let begun = tokio::time::Instant::now();
    let (answer, ()) = tokio::join!(store.import(file()), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(is_imported(&*inner).await);
    });
    answer.expect("it is only late").expect("nobody has the uid");
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
}

#[tokio::test]
async fn a_plan_can_choose_by_deed() {
    let inner = Arc::new(MemoryStore::shared().node("one", build::NOW));
    let only_claims = |call: Call| if call.deed == Deed::Claim { Fault::Before } else { Fault::Pass };
    let store = FaultyStore::new(inner, only_claims);
    assert!(store.due(None, 1).await.is_ok());
    assert!(store.claim(Claim { rooms: Vec::new(), now: build::NOW }).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_seed_replays_its_faults() {
    let shares = Shares { before: 200, after: 200, delay: 200 };
    let run = async |seed| {
        let inner = Arc::new(MemoryStore::shared().node("one", build::NOW));
        let store = FaultyStore::seeded(inner, seed, shares);
        let mut went_well = Vec::new();
        for _ in 0..200 {
            went_well.push(store.due(None, 1).await.is_ok());
        }
        went_well
    };
    let first = run(7).await;
    assert_eq!(first, run(7).await);
    assert_ne!(first, run(8).await);
    let failed = first.iter().filter(|went_well| !**went_well).count();
    assert!((50..=110).contains(&failed), "about two in five fail: {failed}");
}

#[tokio::test]
async fn a_settlement_whose_answer_was_lost_is_repeated_as_it_was() {
    let ground = Arc::new(crate::testkit::conformance::MemoryGround::new());
    let fixture = Fixture::new(ground).await;
    fixture.accept(1, &[(1, crate::store::FirstState::Leased)]).await;
    let store = FaultyStore::new(fixture.handle(), |call| if call.nth == 0 { Fault::After } else { Fault::Pass });
    let key = build::key(1, 1);
    let settlement = Settlement {
        key,
        attempt: build::attempt(10, key, hookyard_model::Outcome::Delivered),
        next: hookyard_model::Next::Delivered,
        endpoint: None,
        operational: Vec::new(),
    };
    assert!(store.settle(vec![settlement.clone()]).await.is_err());
    assert_eq!(store.settle(vec![settlement]).await.expect("the plan is over"), [Settled::Moved]);
    assert!(fixture.is_logged(10).await);
}
