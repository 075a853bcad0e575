//! A store with one application, and deeds in the few words that sentences need.
//!
//! Endpoints, messages and attempts are named by the numbers of [`crate::testkit::build`]. A deed that the store refuses
//! fails the test here, so that a sentence says only what it is about.

use std::sync::Arc;

use hookyard_model::{
    Delivery, DeliveryState, Endpoint, EndpointChange, Message, Next, Outcome, Revision, Seq, Timestamp,
};

use super::Ground;
use crate::store::{
    Accept, Acceptance, Accepted, ApplicationRef, ApplicationView, Claim, ClaimedDelivery, FirstState, Import,
    ImportReport, Resend, Resent, Room, Settled, Settlement, StatusChange, Store,
};
use crate::testkit::build::{self, application_id, at, attempt_id, endpoint_id, key, message_id};

/// Why a deed of a test may not fail.
pub(super) const WORKS: &str = "the store does the deed";

/// One open store on its ground.
pub struct Fixture {
    ground: Arc<dyn Ground>,
    store: Arc<dyn Store>,
}

impl std::fmt::Debug for Fixture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fixture").finish_non_exhaustive()
    }
}

impl Fixture {
    /// A store without rows.
    pub async fn empty(ground: Arc<dyn Ground>) -> Self {
        let store = ground.open("one", at(0)).await;
        Self { ground, store }
    }

    /// A store with application 1, which has the endpoints 1, 2 and 3 and stands at revision 1.
    pub async fn new(ground: Arc<dyn Ground>) -> Self {
        let fixture = Self::empty(ground).await;
        fixture.import(build::import(vec![build::import_application(1, &[1, 2, 3])])).await;
        fixture
    }

    /// The store.
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// The store, to be shared with tasks.
    pub fn handle(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// Another node on the same ground; `None` where there can be only one.
    pub async fn other_node(&self, name: &str, now: Timestamp) -> Option<Self> {
        if !self.ground.is_shared() {
            return None;
        }
        Some(Self { ground: Arc::clone(&self.ground), store: self.ground.open(name, now).await })
    }

    /// The node dies without a word and comes back at `now`.
    pub async fn crash(self, now: Timestamp) -> Self {
        let Self { ground, store } = self;
        assert_eq!(Arc::strong_count(&store), 1, "the test holds the store that is to crash");
        drop(store);
        let store = ground.open("one", now).await;
        Self { ground, store }
    }

    /// Imports; the file must not be refused.
    pub async fn import(&self, import: Import) -> ImportReport {
        self.store.import(import).await.expect(WORKS).expect("nobody else has the uid")
    }

    /// Application 1 with its endpoints.
    pub async fn view(&self) -> Arc<ApplicationView> {
        let view = self.store.application(build::organisation(), &ApplicationRef::Id(application_id(1))).await;
        view.expect(WORKS).expect("application 1 exists")
    }

    /// The present revision of application 1.
    pub async fn revision(&self) -> Revision {
        self.view().await.application.revision
    }

    /// An endpoint in its present form.
    pub async fn endpoint(&self, n: u64) -> Arc<Endpoint> {
        self.store.endpoint(endpoint_id(n)).await.expect(WORKS).expect("the endpoint exists")
    }

    /// Turns an endpoint on or off.
    pub async fn change_status(&self, n: u64, change: StatusChange, now: Timestamp) -> Arc<Endpoint> {
        let changed = self.store.change_status(endpoint_id(n), change, now).await.expect(WORKS);
        changed.expect("the endpoint is not archived")
    }

    /// Asks for messages to be accepted, each at the present revision of application 1.
    pub async fn offer(&self, accepts: Vec<Accept>) -> Vec<Acceptance> {
        let revision = self.revision().await;
        let at_present = |accept: Accept| {
            let message = Message { revision, ..Message::clone(&accept.message) };
            Accept { message: Arc::new(message), ..accept }
        };
        let offered = accepts.into_iter().map(at_present).collect();
        match self.store.accept(offered).await.expect(WORKS) {
            Accepted::Committed(answers) => answers,
            Accepted::Stale(application) => panic!("{application} is at the revision that was just read"),
        }
    }

    /// Accepts the `n`th message with these deliveries.
    pub async fn accept(&self, n: u64, deliveries: &[(u64, FirstState)]) -> Seq {
        let answers = self.offer(vec![build::accept(build::message(n), deliveries)]).await;
        match answers.as_slice() {
            [Acceptance::New { seq }] => *seq,
            other => panic!("message {n} is new, but the store says {other:?}"),
        }
    }

    /// Claims at most `count` deliveries of one endpoint.
    pub async fn claim(&self, endpoint: u64, count: usize, now: Timestamp) -> Vec<ClaimedDelivery> {
        let room = Room { endpoint: endpoint_id(endpoint), count, bytes: usize::MAX };
        self.store.claim(Claim { rooms: vec![room], now }).await.expect(WORKS).deliveries
    }

    /// Claims everything that is due for one endpoint and gives the messages' numbers, in the order of the answer.
    pub async fn claim_all(&self, endpoint: u64, now: Timestamp) -> Vec<u64> {
        let claimed = self.claim(endpoint, 1_000, now).await;
        claimed.iter().map(|claimed| number(claimed.delivery.key.message)).collect()
    }

    /// Settles a delivery with the `n`th attempt.
    pub async fn settle(&self, n: u64, delivery: (u64, u64), outcome: Outcome, next: Next) -> Settled {
        self.settle_with(n, delivery, outcome, next, None).await
    }

    /// Settles a delivery with the `n`th attempt and a change of its endpoint.
    pub async fn settle_with(
        &self,
        n: u64,
        (message, endpoint): (u64, u64),
        outcome: Outcome,
        next: Next,
        change: Option<EndpointChange>,
    ) -> Settled {
        let key = key(message, endpoint);
        let attempt = build::attempt(n, key, outcome);
        self.settle_one(Settlement { key, attempt, next, endpoint: change, operational: Vec::new() }).await
    }

    /// Settles.
    pub async fn settle_one(&self, settlement: Settlement) -> Settled {
        let answers = self.store.settle(vec![settlement]).await.expect(WORKS);
        assert_eq!(answers.len(), 1, "one answer for each settlement");
        answers[0]
    }

    /// Resends by hand, without an idempotency key.
    pub async fn resend(&self, message: u64, endpoint: u64, now: Timestamp) -> Resent {
        let resend = Resend { application: application_id(1), key: key(message, endpoint), now, idempotency: None };
        self.store.resend(resend).await.expect(WORKS)
    }

    /// Rescues with the attempt ids `from`, `from + 1` and so on.
    pub async fn rescue(&self, now: Timestamp, from: u64, count: u64) -> usize {
        let ids = (from..from + count).map(attempt_id).collect();
        self.store.rescue(now, ids).await.expect(WORKS)
    }

    /// A message's deliveries.
    pub async fn deliveries(&self, message: u64) -> Vec<Delivery> {
        self.store.deliveries(application_id(1), message_id(message)).await.expect(WORKS)
    }

    /// One delivery.
    pub async fn delivery(&self, message: u64, endpoint: u64) -> Delivery {
        let deliveries = self.deliveries(message).await;
        deliveries.into_iter().find(|one| one.key.endpoint == endpoint_id(endpoint)).expect("the delivery exists")
    }

    /// How one delivery stands.
    pub async fn state(&self, message: u64, endpoint: u64) -> DeliveryState {
        self.delivery(message, endpoint).await.state
    }

    /// Whether the `n`th attempt is in the log of application 1.
    pub async fn is_logged(&self, n: u64) -> bool {
        self.store.attempt(application_id(1), attempt_id(n)).await.expect(WORKS).is_some()
    }

    /// Whether the `n`th message is stored for application 1.
    pub async fn is_stored(&self, n: u64) -> bool {
        let reference = crate::store::MessageRef::Id(message_id(n));
        self.store.message(application_id(1), &reference).await.expect(WORKS).is_some()
    }
}

/// The number that an id of [`build`] was made from.
pub(super) fn number(id: hookyard_model::MessageId) -> u64 {
    let raw = id.raw();
    let (_, digits) = raw.as_bytes().split_at(12);
    digits.iter().fold(0, |number, digit| number << 8 | u64::from(*digit))
}

/// Pending until `seconds` after the beginning.
pub(super) fn pending(seconds: u64) -> DeliveryState {
    DeliveryState::Pending { due: at(seconds) }
}

/// An attempt that failed, tried again at `seconds`.
pub(super) fn retry(seconds: u64, charged: u16) -> Next {
    Next::Retry { due: at(seconds), charged, variant: 0 }
}
