//! What must be true after a storm, and what the storm did.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hookyard_model::{
    Attempt, Delivery, DeliveryKey, DeliveryState, Endpoint, EndpointId, FailReason, Outcome, RetryPolicy,
};
use hookyard_ports::store::{AttemptQuery, MessageRef, Order, PageRequest, PageStart};
use hookyard_ports::testkit::build;

use crate::world::{ENDPOINTS, ORDERED, World};

/// What storms did, to see that they did something.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) seeds: usize,
    accepted: usize,
    ends: usize,
    attempts: usize,
    interrupted: usize,
    repeated: usize,
    given_up: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.accepted += other.accepted;
        self.ends += other.ends;
        self.attempts += other.attempts;
        self.interrupted += other.interrupted;
        self.repeated += other.repeated;
        self.given_up += other.given_up;
    }

    /// Everything that can go wrong did.
    pub(crate) fn harmed_enough(&self) -> bool {
        self.repeated > 0 && self.given_up > 0 && self.harmed_some()
    }

    /// Workers ended, held something as they did, and much was tried again; the rest is rare where few seeds are run.
    pub(crate) fn harmed_some(&self) -> bool {
        self.ends > 0 && self.interrupted > 0 && self.attempts > 2 * self.accepted
    }
}

/// Attempts in words, for a promise that was broken.
fn log(attempts: &[Attempt]) -> String {
    let line =
        |attempt: &Attempt| format!("{} {} {:?}", attempt.started, attempt.outcome.as_str(), attempt.timings.total);
    attempts.iter().map(line).collect::<Vec<_>>().join("; ")
}

fn small(count: usize) -> u32 {
    u32::try_from(count).expect("small")
}

impl World {
    /// Checks every promise.
    pub(crate) async fn check(&self) -> Tally {
        let seed = self.seed;
        let mut tally = Tally { seeds: 1, accepted: self.accepted.len(), ends: self.ends, ..Tally::default() };
        self.check_order().await;
        let deliveries = self.deliveries().await;
        let owed = self.accepted.len() * usize::try_from(ENDPOINTS).expect("small");
        assert_eq!(deliveries.len(), owed, "seed {seed}: a delivery is missing");
        for delivery in &deliveries {
            let attempts = self.attempts(delivery.key).await;
            let count = |outcome: &Outcome| attempts.iter().filter(|attempt| attempt.outcome == *outcome).count();
            let (unsure, recorded) = (count(&Outcome::Interrupted), count(&Outcome::Delivered));
            self.check_end(delivery, recorded).await;
            self.check_held_once(delivery.key, &attempts, small(unsure));
            let taken = self.seen.lock().taken.get(&delivery.key).copied().unwrap_or(0);
            tally.attempts += attempts.len();
            tally.interrupted += unsure;
            tally.repeated += usize::from(taken > 1);
            tally.given_up += usize::from(matches!(delivery.state, DeliveryState::Failed(_)));
        }
        tally
    }

    /// It has ended, and for the reason that its log shows.
    async fn check_end(&self, delivery: &Delivery, recorded: usize) {
        let (seed, key) = (self.seed, delivery.key);
        match delivery.state {
            DeliveryState::Delivered { .. } => {
                let taken = self.seen.lock().taken.contains_key(&key);
                assert!(taken, "seed {seed}: {key:?} is delivered and nobody took it");
                assert!(recorded >= 1, "seed {seed}: {key:?} is delivered without an attempt that says so");
            }
            DeliveryState::Failed(reason) => {
                assert_eq!(reason, FailReason::ScheduleSpent, "seed {seed}: {key:?}");
                assert_eq!(recorded, 0, "seed {seed}: {key:?} failed after a success");
                let charged = usize::from(delivery.charged);
                assert_eq!(charged, self.retries(key.endpoint).await + 1, "seed {seed}: {key:?} gave up early");
            }
            DeliveryState::Pending { .. } | DeliveryState::Leased { .. } | DeliveryState::Cancelled(_) => {
                panic!("seed {seed}: {key:?} ended as {:?}", delivery.state)
            }
        }
    }

    /// A duplicate, and a request beside another one, is possible only where a lease was lost in flight, and that is logged.
    fn check_held_once(&self, key: DeliveryKey, attempts: &[Attempt], unsure: u32) {
        let of = |counts: &BTreeMap<DeliveryKey, u32>| counts.get(&key).copied().unwrap_or(0);
        let (taken, beside) = {
            let requests = self.seen.lock();
            (of(&requests.taken), of(&requests.beside))
        };
        let seed = self.seed;
        assert!(taken <= unsure + 1, "seed {seed}: {key:?} was taken {taken} times: {}", log(attempts));
        assert!(beside <= unsure, "seed {seed}: {key:?} had {beside} requests beside another: {}", log(attempts));
    }

    /// The ordered endpoint took messages first in the order of acceptance, those that nobody acknowledged included.
    async fn check_order(&self) {
        let endpoint = build::endpoint_id(ORDERED);
        let taken = self.seen.lock().order.get(&endpoint).cloned().unwrap_or_default();
        let mut last = None;
        let mut seen = BTreeSet::new();
        for message in taken.into_iter().filter(|message| seen.insert(*message)) {
            let reference = MessageRef::Id(message);
            let stored = self.store().message(build::application_id(1), &reference).await;
            let seq = stored.expect("this handle does not fail").expect("what was sent is stored").seq;
            assert!(Some(seq) > last, "seed {}: {message} overtook another message", self.seed);
            last = Some(seq);
        }
    }

    async fn attempts(&self, key: DeliveryKey) -> Vec<Attempt> {
        let query = AttemptQuery {
            application: build::application_id(1),
            message: Some(key.message),
            endpoint: Some(key.endpoint),
            succeeded: None,
            status_class: None,
            before: None,
            after: None,
            page: PageRequest { limit: 250, start: PageStart::First, order: Order::Ascending },
        };
        let page = self.store().attempts(query).await.expect("this handle does not fail");
        assert!(page.done, "seed {}: too many attempts of {key:?}", self.seed);
        page.items
    }

    async fn retries(&self, endpoint: EndpointId) -> usize {
        let endpoint: Option<Arc<Endpoint>> = self.store().endpoint(endpoint).await.expect("this handle does not fail");
        endpoint.and_then(|endpoint| endpoint.settings.retry.as_ref().map(RetryPolicy::retries)).expect("a policy")
    }
}
