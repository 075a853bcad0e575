//! What the store under test and the model must agree on, whatever was done to both.

use hookyard_model::{
    Attempt, AttemptId, Delivery, DeliveryState, Endpoint, EndpointId, ExtraAttempt, Incarnation, MessageId, Outcome,
    RawId, Revision, Seq, StateKind, Timestamp, Trigger, limits,
};

use super::Fixture;
use super::agreeing::{Pair, both};
use super::fixture::WORKS;
use crate::store::{AttemptQuery, MessageQuery, MessageRef, Order, PageRequest, PageStart, Payloads};
use crate::testkit::build::{application_id, at, message_id};

impl Pair {
    pub(super) async fn compare(&self, when: &str) {
        assert_eq!(self.tested.view().await.application, self.model.view().await.application, "the application {when}");
        self.compare_endpoints(when).await;
        self.compare_messages(when).await;
        both!(self, due(None::<EndpointId>, 1_000usize));
        let overview = async |fixture: &Fixture| {
            let overview = fixture.store().overview(self.now()).await.expect(WORKS);
            let open: Vec<(StateKind, u64)> = overview.open.into_iter().filter(|(_, count)| *count > 0).collect();
            (open, overview.oldest_due)
        };
        assert_eq!(overview(&self.tested).await, overview(&self.model).await, "the overview {when}");
    }

    async fn compare_endpoints(&self, when: &str) {
        for id in &self.endpoints {
            both!(self, endpoint(id));
            both!(self, rollups(id, at(0), Timestamp::MAX));
        }
        // What failed since when is of any time in a form of the past.
        let forms = async |fixture: &Fixture, revision| {
            let forms = fixture.store().endpoints_at(application_id(1), revision).await.expect(WORKS);
            forms.iter().map(|form| Endpoint { failing_since: None, ..Endpoint::clone(form) }).collect::<Vec<_>>()
        };
        for revision in (0..=self.model.revision().await.0).map(Revision) {
            assert_eq!(forms(&self.tested, revision).await, forms(&self.model, revision).await, "{revision:?} {when}");
        }
    }

    async fn compare_messages(&self, when: &str) {
        for n in 1..=self.messages {
            let stored = async |fixture: &Fixture| {
                let found = fixture.store().message(application_id(1), &MessageRef::Id(message_id(n))).await;
                found.expect(WORKS).map(|stored| stored.message)
            };
            assert_eq!(stored(&self.tested).await, stored(&self.model).await, "message {n} {when}");
            let deliveries = async |fixture: &Fixture| {
                let me = fixture.store().incarnation();
                fixture.deliveries(n).await.into_iter().map(|one| comparable(one, me)).collect::<Vec<_>>()
            };
            assert_eq!(deliveries(&self.tested).await, deliveries(&self.model).await, "deliveries of {n} {when}");
            assert_eq!(logged(&self.tested, n).await, logged(&self.model, n).await, "attempts of {n} {when}");
        }
        for n in 0..6 {
            let reference = MessageRef::EventId(format!("event-{n}").parse().expect("an event id"));
            let found = async |fixture: &Fixture| {
                let found = fixture.store().message(application_id(1), &reference).await.expect(WORKS);
                found.map(|stored| stored.message.id)
            };
            assert_eq!(found(&self.tested).await, found(&self.model).await, "event {n} {when}");
        }
        let query = MessageQuery {
            application: application_id(1),
            event_types: Vec::new(),
            channel: None,
            before: Some(self.now()),
            after: Some(at(200)),
            payloads: Payloads::Read,
            page: PageRequest { limit: 20, start: PageStart::First, order: Order::Descending },
        };
        let listed = async |fixture: &Fixture| {
            let page = fixture.store().messages(query.clone()).await.expect(WORKS);
            (page.items.iter().map(|stored| stored.message.id).collect::<Vec<MessageId>>(), page.done)
        };
        assert_eq!(listed(&self.tested).await, listed(&self.model).await, "the newest messages {when}");
    }
}

/// A message's attempts; which id an interrupted one got is the store's choice.
async fn logged(fixture: &Fixture, n: u64) -> Vec<Attempt> {
    let query = AttemptQuery {
        application: application_id(1),
        message: Some(message_id(n)),
        endpoint: None,
        succeeded: None,
        status_class: None,
        before: None,
        after: None,
        page: PageRequest { limit: limits::PAGE, start: PageStart::First, order: Order::Ascending },
    };
    let page = fixture.store().attempts(query).await.expect(WORKS);
    let (mut interrupted, mut others): (Vec<Attempt>, Vec<Attempt>) =
        page.items.into_iter().partition(|attempt| attempt.outcome == Outcome::Interrupted);
    for attempt in &mut interrupted {
        attempt.id = AttemptId::from_raw(RawId::MIN);
    }
    interrupted.sort_by_key(|attempt| (attempt.started, attempt.endpoint));
    others.append(&mut interrupted);
    others
}

/// A delivery without what differs from store to store: the number of `seq`, the name of the incarnation, and the trigger
/// of an attempt that will never be made.
pub(super) fn comparable(delivery: Delivery, me: Incarnation) -> Delivery {
    let named = |holder| Incarnation(u64::from(holder == me));
    let (state, is_over) = match delivery.state {
        DeliveryState::Leased { holder, due } => (DeliveryState::Leased { holder: named(holder), due }, false),
        DeliveryState::Delivered { extra: Some(ExtraAttempt::Leased { holder, due }) } => {
            (DeliveryState::Delivered { extra: Some(ExtraAttempt::Leased { holder: named(holder), due }) }, false)
        }
        DeliveryState::Pending { .. } | DeliveryState::Delivered { extra: Some(ExtraAttempt::Waiting { .. }) } => {
            (delivery.state, false)
        }
        DeliveryState::Delivered { extra: None } | DeliveryState::Failed(_) | DeliveryState::Cancelled(_) => {
            (delivery.state, true)
        }
    };
    let trigger = if is_over { Trigger::Scheduled } else { delivery.trigger };
    Delivery { state, trigger, seq: Seq(0), ..delivery }
}
