//! The publisher on a store, with a handoff that writes down what it is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hookyard_accept::{Defaults, Publish, PublishError, Published, Publisher, RepeatKey};
use hookyard_model::{
    DeliveryState, DisableReason, Endpoint, EndpointId, OrderKey, Ordered, RawId, StateKind, Timestamp, limits,
};
use hookyard_ports::store::{ApplicationRef, ImportApplication, MessageRef, Resent, StatusChange};
use hookyard_ports::testkit::{Deed, Fault, FaultyStore, MemoryNode, MemoryStore, build};
use hookyard_ports::{Clock, Handed, Handoff, Ids, Metrics, Rng, Store};
use parking_lot::Mutex;

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        build::NOW
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

struct Counting(AtomicU64);

impl Rng for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        let n = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        bytes.fill(0);
        bytes[..8].copy_from_slice(&n);
    }
}

/// Lanes with room for so many deliveries together.
#[derive(Default)]
struct Lanes {
    room: Mutex<usize>,
    handed: Mutex<Vec<Handed>>,
    hinted: Mutex<Vec<(EndpointId, Timestamp)>>,
}

impl Handoff for Lanes {
    fn try_reserve(&self, _: &Arc<Endpoint>, _: usize) -> bool {
        let mut room = self.room.lock();
        let has = *room > 0;
        *room -= usize::from(has);
        has
    }

    fn unreserve(&self, _: EndpointId, _: usize) {
        *self.room.lock() += 1;
    }

    fn hand_over(&self, handed: Handed) {
        self.handed.lock().push(handed);
    }

    fn hint(&self, endpoint: EndpointId, due: Timestamp) {
        self.hinted.lock().push((endpoint, due));
    }
}

struct World {
    node: Arc<MemoryNode>,
    lanes: Arc<Lanes>,
    metrics: Arc<Metrics>,
    publisher: Publisher,
    application: ApplicationRef,
}

impl World {
    async fn new(room: usize, plan: impl FnMut(Deed) -> Fault + Send + 'static) -> Self {
        Self::with(vec![build::import_application(1, &[1, 2])], room, plan).await
    }

    async fn with(
        applications: Vec<ImportApplication>,
        room: usize,
        mut plan: impl FnMut(Deed) -> Fault + Send + 'static,
    ) -> Self {
        let node = Arc::new(MemoryStore::shared().node("a", build::NOW));
        node.import(build::import(applications)).await.expect("the store answers").expect("nothing is taken");
        let store = Arc::new(FaultyStore::new(Arc::clone(&node), move |call| plan(call.deed)));
        let lanes = Arc::new(Lanes { room: Mutex::new(room), ..Lanes::default() });
        let metrics = Arc::new(Metrics::new());
        let ids = Ids::new(RawId::MIN, Arc::new(Still), Arc::new(Counting(AtomicU64::new(0))));
        let publisher = Publisher::new(
            store,
            Arc::clone(&lanes) as Arc<dyn Handoff>,
            Arc::new(Still),
            Arc::new(ids),
            Arc::clone(&metrics),
            Defaults::default(),
        );
        let application = ApplicationRef::Id(build::application_id(1));
        Self { node, lanes, metrics, publisher, application }
    }

    async fn publish(&self, publish: Publish) -> Result<Published, PublishError> {
        self.publisher.publish(build::organisation(), &self.application, publish).await
    }

    async fn states(&self, published: &Published) -> Vec<StateKind> {
        let id = published.message().id;
        let owed = self.node.deliveries(build::application_id(1), id).await.expect("the store answers");
        owed.iter().map(|delivery| delivery.state.kind()).collect()
    }

    fn told(&self) -> (usize, usize, usize) {
        (self.lanes.handed.lock().len(), self.lanes.hinted.lock().len(), *self.lanes.room.lock())
    }
}

fn wanted() -> Publish {
    Publish::json("task.created".parse().expect("an event type"), Bytes::from_static(br#"{"id":7}"#))
}

fn pass(_: Deed) -> Fault {
    Fault::Pass
}

#[tokio::test]
async fn what_is_accepted_is_leased_where_there_is_room_and_pending_elsewhere() {
    let world = World::new(1, pass).await;
    let published = world.publish(wanted()).await.expect("accepted");
    assert_eq!(world.states(&published).await, [StateKind::Leased, StateKind::Pending]);
    assert_eq!(world.told(), (1, 1, 0));
    let stored = world.node.message(build::application_id(1), &MessageRef::Id(published.message().id)).await;
    assert_eq!(&stored.expect("the store answers").expect("kept").message, published.message());
    let on_disk = world.node.deliveries(build::application_id(1), published.message().id).await.expect("answers");
    let handed = world.lanes.handed.lock();
    assert_eq!(handed[0].delivery, on_disk[0], "the lane is given what is on disk");
    assert_eq!(handed[0].delivery.key.endpoint, build::endpoint_id(1));
    assert_eq!(world.lanes.hinted.lock()[..], [(build::endpoint_id(2), build::NOW)]);
    assert_eq!(world.metrics.accepted.get(), 1);
}

#[tokio::test]
async fn what_is_delayed_or_ordered_is_pending() {
    let mut application = build::import_application(1, &[1]);
    application.endpoints[0].settings =
        Arc::new(hookyard_model::EndpointSettings { ordered: Ordered::Endpoint, ..build::settings(1) });
    let world = World::with(vec![application], 9, pass).await;
    let published = world.publish(wanted()).await.expect("accepted");
    let owed = world.node.deliveries(build::application_id(1), published.message().id).await.expect("answers");
    assert_eq!(owed[0].state, DeliveryState::Pending { due: build::NOW });
    assert!(matches!(owed[0].order_key, Some(OrderKey(_))));
    assert_eq!(world.told(), (0, 1, 9));

    let world = World::new(9, pass).await;
    let due = build::at(60);
    let published = world.publish(Publish { deliver_at: Some(due), ..wanted() }).await.expect("accepted");
    let owed = world.node.deliveries(build::application_id(1), published.message().id).await.expect("answers");
    assert!(owed.iter().all(|delivery| delivery.state == DeliveryState::Pending { due }), "{owed:?}");
    assert_eq!(published.message().expires, due.plus(limits::RETENTION));
    let past = Publish { deliver_at: Some(build::NOW.minus(Duration::from_secs(1))), ..wanted() };
    assert_eq!(world.publish(past).await.expect("accepted").message().deliver_at, None);
    assert_eq!(world.told(), (2, 2, 7));
}

#[tokio::test]
async fn a_directory_hit_does_not_read_the_store() {
    let reads = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&reads);
    let world = World::new(9, move |deed| {
        assert!(matches!(deed, Deed::Application | Deed::Accept), "{deed:?}");
        counted.fetch_add(u64::from(deed == Deed::Application), Ordering::Relaxed);
        Fault::Pass
    })
    .await;
    for _ in 0..3 {
        world.publish(wanted()).await.expect("accepted");
    }
    assert_eq!(reads.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_fan_out_on_an_old_configuration_is_decided_again() {
    let world = World::new(9, pass).await;
    world.publish(wanted()).await.expect("accepted");
    let off = StatusChange::Disable(DisableReason::Manual);
    world.node.change_status(build::endpoint_id(1), off, build::NOW).await.expect("the store answers");
    let published = world.publish(wanted()).await.expect("accepted");
    let owed = world.node.deliveries(build::application_id(1), published.message().id).await.expect("answers");
    assert_eq!(owed.iter().map(|delivery| delivery.key.endpoint).collect::<Vec<_>>(), [build::endpoint_id(2)]);
    assert_eq!(world.told(), (3, 0, 6), "the room of the first decision is given back");
}

#[tokio::test]
async fn an_unknown_or_archived_application_accepts_nothing() {
    let world = World::new(9, pass).await;
    let nobody = ApplicationRef::Uid("nobody".parse().expect("a uid"));
    let refused = world.publisher.publish(build::organisation(), &nobody, wanted()).await;
    assert!(matches!(refused, Err(PublishError::UnknownApplication)));
    world.publish(wanted()).await.expect("accepted");
    world.node.import(build::import(Vec::new())).await.expect("the store answers").expect("nothing is taken");
    assert!(matches!(world.publish(wanted()).await, Err(PublishError::UnknownApplication)), "remembered, and gone");
    assert_eq!(world.told(), (2, 0, 7));
}

#[tokio::test]
async fn an_event_id_has_one_message() {
    let world = World::new(9, pass).await;
    let with_id = || Publish { event_id: Some("e-1".parse().expect("an event id")), ..wanted() };
    let first = world.publish(with_id()).await.expect("accepted");
    match world.publish(with_id()).await {
        Err(PublishError::EventIdTaken { message, .. }) => assert_eq!(message, first.message().id),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.told(), (2, 0, 7), "a duplicate's room is given back");
    assert_eq!(world.metrics.duplicates.get(), 1);
}

#[tokio::test]
async fn a_repeat_gets_the_first_message_and_another_request_under_its_key_a_refusal() {
    let world = World::new(9, pass).await;
    let keyed = |fingerprint| Publish {
        event_id: Some("e-1".parse().expect("an event id")),
        repeat: Some(RepeatKey::idempotency("k".to_owned(), [fingerprint; 32])),
        ..wanted()
    };
    let first = world.publish(keyed(1)).await.expect("accepted");
    match world.publish(keyed(1)).await.expect("repeated") {
        Published::Repeat(message) => assert_eq!(&message, first.message()),
        Published::New(message) => panic!("{message:?}"),
    }
    match world.publish(keyed(2)).await {
        Err(PublishError::KeyReused { message }) => assert_eq!(message, first.message().id),
        other => panic!("{other:?}"),
    }
    let provider = || Publish { repeat: Some(RepeatKey::provider("k".to_owned())), ..wanted() };
    let other = world.publish(provider()).await.expect("another kind of key");
    assert_eq!(world.publish(provider()).await.expect("repeated"), Published::Repeat(Arc::clone(other.message())));
}

#[tokio::test]
async fn a_batch_is_answered_one_by_one_in_order() {
    let world = World::new(99, pass).await;
    let with_id = |id: &str| Publish { event_id: Some(id.parse().expect("an event id")), ..wanted() };
    let broken = Publish { payload: Bytes::from_static(b"{"), ..wanted() };
    let batch = vec![with_id("a"), broken, with_id("a"), with_id("b")];
    let answers = world.publisher.publish_batch(build::organisation(), &world.application, batch).await;
    let answers = answers.expect("the store answers");
    assert!(matches!(answers[0], Ok(Published::New(_))));
    assert!(matches!(answers[1], Err(PublishError::NotJson(_))));
    assert!(matches!(answers[2], Err(PublishError::EventIdTaken { .. })));
    assert!(matches!(answers[3], Ok(Published::New(_))));
    let none = world.publisher.publish_batch(build::organisation(), &world.application, Vec::new()).await;
    assert!(none.expect("nothing to do").is_empty());
    assert_eq!(world.metrics.accepted.get(), 2);
}

#[tokio::test]
async fn a_batch_may_owe_as_many_deliveries_as_the_limit() {
    let batch = || vec![wanted(); limits::BATCH_MESSAGES];
    let each = u64::try_from(limits::BATCH_DELIVERIES / limits::BATCH_MESSAGES).expect("small");
    for (endpoints, fits) in [(each, true), (each + 1, false)] {
        let numbers: Vec<u64> = (1..=endpoints).collect();
        let world = World::with(vec![build::import_application(1, &numbers)], 9, pass).await;
        let answers = world.publisher.publish_batch(build::organisation(), &world.application, batch()).await;
        match answers {
            Ok(answers) => assert!(fits && answers.iter().all(Result::is_ok)),
            Err(error) => assert!(!fits && matches!(error, PublishError::TooManyDeliveries), "{error}"),
        }
    }
}

#[tokio::test]
async fn a_store_that_fails_accepts_nothing_and_gives_room_back() {
    let world = World::new(9, |deed| if deed == Deed::Accept { Fault::Before } else { Fault::Pass }).await;
    match world.publish(wanted()).await {
        Err(PublishError::Store(error)) => assert!(error.is_retryable()),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.told(), (0, 0, 9));
}

#[tokio::test(start_paused = true)]
async fn what_is_leased_is_handed_over_even_if_the_caller_went_away() {
    let slow = Fault::Delay(Duration::from_secs(1));
    let world = World::new(9, move |deed| if deed == Deed::Accept { slow } else { Fault::Pass }).await;
    let gone = tokio::time::timeout(Duration::from_millis(500), world.publish(wanted())).await;
    assert!(gone.is_err(), "the caller did not wait");
    world.publisher.finish().await;
    assert_eq!(world.told(), (2, 0, 7));
}

#[tokio::test]
async fn a_resend_tells_the_lane() {
    let world = World::new(0, pass).await;
    let published = world.publish(wanted()).await.expect("accepted");
    let key = hookyard_model::DeliveryKey { message: published.message().id, endpoint: build::endpoint_id(1) };
    let key_of_request = || Some(RepeatKey::idempotency("k".to_owned(), [0; 32]));
    let resend = || world.publisher.resend(build::application_id(1), key, key_of_request());
    assert_eq!(resend().await.expect("the store answers"), Resent::DueNow);
    assert_eq!(world.told().1, 3);
    assert_eq!(resend().await.expect("the store answers"), Resent::Repeated);
    assert_eq!(world.told().1, 3);
}
