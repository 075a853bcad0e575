//! Random deeds, done to the store under test and to the store in memory: all reads agree.
//!
//! Everything follows from a seed, so a failure names the seed and the deed and happens again. Deeds whose outcome the port
//! leaves open (which attempt id a rescue gives to which delivery, say) are either not drawn or not compared.

use std::collections::BTreeMap;
use std::sync::Arc;

use hookyard_model::{
    Attempt, AttemptId, CancelReason, Delivery, DeliveryKey, DeliveryState, DisableReason, Endpoint, EndpointChange,
    EndpointId, EndpointSettings, EndpointStatus, FailReason, Message, Next, OrderKey, Outcome, Revision, Timestamp,
    limits,
};

use super::comparing::comparable;
use super::fixture::WORKS;
use super::{Fixture, Ground, MemoryGround};
use crate::store::{
    Accept, Acceptance, Accepted, Claim, Dedupe, DedupeKind, FirstState, ImportEndpoint, Resend, Room, Settlement,
    StatusChange,
};
use crate::testkit::Seed;
use crate::testkit::build::{self, application_id, at, attempt_id, dedupe, endpoint_id, message_id};

const DEEDS: u64 = 300;

pub async fn random_deeds_agree_with_the_model_from_seed_1(ground: Arc<dyn Ground>) {
    run(ground, 1).await;
}

pub async fn random_deeds_agree_with_the_model_from_seed_2(ground: Arc<dyn Ground>) {
    run(ground, 2).await;
}

pub async fn random_deeds_agree_with_the_model_from_seed_3(ground: Arc<dyn Ground>) {
    run(ground, 3).await;
}

pub async fn random_deeds_agree_with_the_model_from_seed_4(ground: Arc<dyn Ground>) {
    run(ground, 4).await;
}

async fn run(ground: Arc<dyn Ground>, seed: u64) {
    let mut pair = Pair {
        tested: Fixture::new(ground).await,
        model: Fixture::new(Arc::new(MemoryGround::new())).await,
        seed: Seed::new(seed),
        now: 10,
        messages: 0,
        attempts: 0,
        endpoints: vec![endpoint_id(1), endpoint_id(2), endpoint_id(3)],
        held: Vec::new(),
    };
    for n in 0..DEEDS {
        let deed = pair.step().await;
        pair = if deed == "crash" { pair.crash().await } else { pair };
        if n % 10 == 0 || n + 1 == DEEDS {
            pair.compare(&format!("seed {seed}, after deed {n}, {deed}")).await;
        }
    }
}

/// The two stores and what is needed to draw the next deed.
pub(super) struct Pair {
    pub(super) tested: Fixture,
    pub(super) model: Fixture,
    seed: Seed,
    now: u64,
    pub(super) messages: u64,
    attempts: u64,
    pub(super) endpoints: Vec<EndpointId>,
    held: Vec<DeliveryKey>,
}

/// Does the same to both stores; the answers must be the same.
macro_rules! both {
    ($pair:ident, $deed:ident($($argument:expr),*)) => {{
        let tested = $pair.tested.store().$deed($($argument.clone()),*).await.expect(WORKS);
        let model = $pair.model.store().$deed($($argument.clone()),*).await.expect(WORKS);
        assert_eq!(tested, model, "{} at {:?}", stringify!($deed), $pair.now());
        model
    }};
}

pub(super) use both;

impl Pair {
    pub(super) fn now(&self) -> Timestamp {
        at(self.now)
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.seed.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let index = self.seed.below(from.len().max(1) as u64);
        from.get(usize::try_from(index).expect("an index fits")).copied()
    }

    fn new_attempt(&mut self) -> AttemptId {
        self.attempts += 1;
        attempt_id(self.attempts)
    }

    /// One of the last messages, pruned or not; 0 when there is none.
    fn some_message(&mut self) -> u64 {
        self.messages - self.seed.below(self.messages.clamp(1, 25)).min(self.messages)
    }

    /// One of the last messages' deliveries.
    async fn some_delivery(&mut self) -> Option<DeliveryKey> {
        let message = self.some_message();
        let keys: Vec<DeliveryKey> = self.model.deliveries(message).await.iter().map(|one| one.key).collect();
        self.pick(&keys)
    }

    async fn step(&mut self) -> &'static str {
        self.now += self.seed.below(30);
        match self.seed.below(40) {
            0..=7 => self.accept().await,
            8..=16 => self.claim().await,
            17..=25 => self.settle().await,
            26..=29 => self.resend().await,
            30 => self.cancel().await,
            31 => self.release().await,
            32 => self.change_status().await,
            33..=34 => self.import().await,
            35 => {
                if self.one_in(8) {
                    self.now += limits::HELD.as_secs();
                }
                both!(self, sweep(self.now(), limits::SWEEP_ROWS));
                "sweep"
            }
            36..=37 => {
                both!(self, prune(self.now(), limits::SWEEP_ROWS));
                "prune"
            }
            38 => self.expunge().await,
            _ => "crash",
        }
    }

    async fn accept(&mut self) -> &'static str {
        let view = self.model.view().await;
        let mut accepts = Vec::new();
        for _ in 0..=self.seed.below(3) {
            self.messages += 1;
            let revision = if self.one_in(30) { Revision(0) } else { view.application.revision };
            accepts.push(self.draw_message(self.messages, revision, &view.endpoints));
        }
        let tested = self.tested.store().accept(accepts.clone()).await.expect(WORKS);
        let model = self.model.store().accept(accepts.clone()).await.expect(WORKS);
        let without_seq = |answer: Accepted| match answer {
            Accepted::Stale(application) => Err(application),
            Accepted::Committed(answers) => Ok(answers
                .into_iter()
                .map(|answer| match answer {
                    Acceptance::New { .. } => None,
                    Acceptance::Duplicate { kind, message, same_request } => Some((kind, message, same_request)),
                })
                .collect::<Vec<_>>()),
        };
        let answers = without_seq(model);
        assert_eq!(without_seq(tested), answers, "accept at {:?}", self.now());
        for (accept, _) in
            accepts.iter().zip(answers.into_iter().flatten()).filter(|(_, duplicate)| duplicate.is_none())
        {
            let leased = accept.deliveries.iter().filter(|delivery| delivery.state == FirstState::Leased);
            let message = accept.message.id;
            self.held.extend(leased.map(|delivery| DeliveryKey { message, endpoint: delivery.endpoint }));
        }
        "accept"
    }

    fn draw_message(&mut self, n: u64, revision: Revision, endpoints: &[Arc<Endpoint>]) -> Accept {
        let now = self.now();
        let mut keys = Vec::new();
        let mut message =
            Message { accepted: now, expires: at(self.now + 20 + self.seed.below(900)), revision, ..build::message(n) };
        if self.one_in(3) {
            let name = format!("event-{}", self.seed.below(6));
            message.event_id = Some(name.parse().expect("an event id"));
            keys.push(dedupe(DedupeKind::EventId, &name));
        }
        if self.one_in(3) {
            keys.push(self.draw_idempotency());
        }
        let enabled = endpoints.iter().filter(|endpoint| endpoint.status == EndpointStatus::Enabled);
        let mut accept = build::accept(message, &[]);
        for endpoint in enabled {
            if self.one_in(4) {
                continue;
            }
            let due = at(self.now + self.seed.below(60));
            let state = if self.one_in(3) { FirstState::Leased } else { FirstState::Pending { due } };
            // Every third message is ordered; those are never expunged, because a cancelled one frees those behind it.
            let order_key = n.is_multiple_of(3).then_some(OrderKey(0));
            accept.deliveries.push(crate::store::NewDelivery { endpoint: endpoint.id, state, order_key });
        }
        Accept { dedupe: keys, ..accept }
    }

    fn draw_idempotency(&mut self) -> Dedupe {
        let name = format!("request-{}", self.seed.below(6));
        let fingerprint = Some([u8::from(self.one_in(2)); 32]);
        Dedupe { fingerprint, expires: Some(at(self.now + 100)), ..dedupe(DedupeKind::Idempotency, &name) }
    }

    async fn claim(&mut self) -> &'static str {
        let mut rooms = Vec::new();
        for endpoint in self.endpoints.clone() {
            if !self.one_in(3) {
                let bytes = if self.one_in(3) { 20 } else { 10_000 };
                let count = usize::try_from(self.seed.below(5)).expect("a count fits");
                rooms.push(Room { endpoint, count, bytes });
            }
        }
        let claim = Claim { rooms, now: self.now() };
        let tested = self.tested.store().claim(claim.clone()).await.expect(WORKS);
        let model = self.model.store().claim(claim.clone()).await.expect(WORKS);
        let next = |next: Vec<(EndpointId, Option<Timestamp>)>| next.into_iter().collect::<BTreeMap<_, _>>();
        assert_eq!(next(tested.next), next(model.next), "what is due next, {claim:?}");
        for room in &claim.rooms {
            let of = |claims: &[crate::store::ClaimedDelivery], me| {
                let mine = claims.iter().filter(|claimed| claimed.delivery.key.endpoint == room.endpoint);
                mine.map(|claimed| (comparable(claimed.delivery.clone(), me), claimed.endpoint_revision))
                    .collect::<Vec<_>>()
            };
            let (tested_is, model_is) = (self.tested.store().incarnation(), self.model.store().incarnation());
            assert_eq!(of(&tested.deliveries, tested_is), of(&model.deliveries, model_is), "{claim:?}");
        }
        self.held.extend(model.deliveries.iter().map(|claimed| claimed.delivery.key));
        "claim"
    }

    async fn settle(&mut self) -> &'static str {
        let held = self.held.clone();
        let key = if self.one_in(10) { self.some_delivery().await } else { self.pick(&held) };
        let Some(key) = key else { return "nothing to settle" };
        let deliveries = self.model.store().deliveries(application_id(1), key.message).await.expect(WORKS);
        let Some(delivery) = deliveries.into_iter().find(|delivery| delivery.key == key) else {
            return "nothing to settle";
        };
        let outcomes = [Outcome::Delivered, Outcome::Refused, Outcome::TimedOut];
        let outcome = outcomes[usize::try_from(self.seed.below(3)).expect("an index fits")].clone();
        let next = self.draw_next(&delivery);
        let endpoint = match self.seed.below(12) {
            0..=2 => Some(EndpointChange::Failing { since: at(self.now - self.seed.below(10)) }),
            3..=4 => Some(EndpointChange::Recovered),
            5 => Some(EndpointChange::Disabled { since: self.now(), reason: DisableReason::Failing }),
            _ => None,
        };
        let attempt = Attempt { id: self.new_attempt(), started: self.now(), ..build::attempt(0, key, outcome) };
        let settlements = vec![Settlement { key, attempt, next, endpoint, operational: Vec::new() }];
        both!(self, settle(settlements));
        if self.one_in(10) {
            both!(self, settle(settlements));
        }
        if !matches!(next, Next::Again { .. }) {
            self.held.retain(|other| *other != key);
        }
        "settle"
    }

    fn draw_next(&mut self, delivery: &Delivery) -> Next {
        let charged = delivery.charged;
        if matches!(delivery.state, DeliveryState::Delivered { .. }) {
            return if self.one_in(3) { Next::Again { charged, variant: 1 } } else { Next::StaysDelivered };
        }
        match self.seed.below(6) {
            0 | 1 => Next::Delivered,
            2 => {
                Next::Retry { due: at(self.now + self.seed.below(90)), charged: charged.saturating_add(1), variant: 0 }
            }
            3 => Next::Again { charged, variant: 1 },
            4 => Next::Failed { reason: FailReason::ScheduleSpent, charged: charged.saturating_add(1) },
            _ => Next::Cancelled { reason: CancelReason::EndpointGone, charged },
        }
    }

    async fn resend(&mut self) -> &'static str {
        let endpoints = self.endpoints.clone();
        let endpoint = self.pick(&endpoints).expect("there are endpoints");
        let anywhere = DeliveryKey { message: message_id(self.some_message()), endpoint };
        let key = if self.one_in(4) { None } else { self.some_delivery().await }.unwrap_or(anywhere);
        let idempotency = self.one_in(3).then(|| self.draw_idempotency());
        let resend = Resend { application: application_id(1), key, now: self.now(), idempotency };
        both!(self, resend(resend));
        "resend"
    }

    async fn cancel(&mut self) -> &'static str {
        if let Some(key) = self.some_delivery().await {
            both!(self, cancel(key, self.now()));
        }
        "cancel"
    }

    async fn release(&mut self) -> &'static str {
        let held = self.held.clone();
        if let Some(key) = self.pick(&held) {
            let keys = vec![key];
            both!(self, release(keys));
            self.held.retain(|other| *other != key);
        }
        "release"
    }

    async fn change_status(&mut self) -> &'static str {
        let endpoints = self.endpoints.clone();
        let endpoint = self.pick(&endpoints).expect("there are endpoints");
        let present = self.model.store().endpoint(endpoint).await.expect(WORKS).expect("it was declared");
        let change = match present.status {
            EndpointStatus::Enabled if self.one_in(2) => StatusChange::Disable(DisableReason::Manual),
            EndpointStatus::Enabled => return "nothing to change",
            EndpointStatus::Disabled { .. } | EndpointStatus::Archived { .. } => StatusChange::Enable,
        };
        both!(self, change_status(endpoint, change, self.now()));
        "change_status"
    }

    async fn import(&mut self) -> &'static str {
        let present = self.model.view().await;
        let mut application = build::import_application(1, &[]);
        if self.one_in(4) {
            application.metadata.insert("edited".to_owned(), self.now.to_string());
        }
        for n in 1..=4 {
            if self.one_in(8) {
                continue;
            }
            let mut declared = build::import_endpoint(n);
            if present.endpoints.iter().all(|endpoint| endpoint.uid.as_ref() != Some(&declared.uid)) {
                declared.id = endpoint_id(10 + self.endpoints.len() as u64);
                self.endpoints.push(declared.id);
            }
            if self.one_in(4) {
                let description = format!("edited {}", self.seed.below(3));
                declared.settings = Arc::new(EndpointSettings { description, ..build::settings(n) });
            }
            application.endpoints.push(ImportEndpoint { disabled: self.one_in(6), ..declared });
        }
        let import = crate::store::Import { now: self.now(), ..build::import(vec![application]) };
        both!(self, import(import)).expect("nobody else has the uid");
        "import"
    }

    async fn expunge(&mut self) -> &'static str {
        let message = self.some_message();
        if !message.is_multiple_of(3) {
            both!(self, expunge(application_id(1), message_id(message)));
        }
        "expunge"
    }

    async fn crash(mut self) -> Self {
        let now = self.now();
        self.tested = self.tested.crash(now).await;
        self.model = self.model.crash(now).await;
        self.held.clear();
        let ids: Vec<AttemptId> = (0..200).map(|_| self.new_attempt()).collect();
        let freed = both!(self, rescue(now, ids));
        assert!(freed < 200, "all of it in one step");
        self
    }
}
