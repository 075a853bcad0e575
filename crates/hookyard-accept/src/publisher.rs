//! Accepts: check, decide, put on disk, hand over.
//!
//! Shared by every door and every job of a node; cloning it is cheap. The decision is made on the configuration that the
//! directory remembers, and the store refuses it when that is out of date; then it is made again on what the store has.

use std::sync::Arc;

use hookyard_core::{fan_out, order};
use hookyard_model::{
    ApplicationId, Delivery, DeliveryKey, DeliveryState, EndpointId, Message, OrganisationId, Payload, Seq, Timestamp,
    Trigger, limits,
};
use hookyard_ports::store::{
    Accept, Acceptance, Accepted, ApplicationRef, ApplicationView, Dedupe, DedupeKind, FirstState, MessageRef,
    NewDelivery, Resend, Resent,
};
use hookyard_ports::{Clock, Handed, Handoff, Ids, Metrics, Reservation, Store, StoreError};
use tokio_util::task::TaskTracker;

use crate::check::check;
use crate::directory::Directory;
use crate::finish::Finish;
use crate::{Defaults, Publish, PublishError, Published, RepeatKey};

/// Turns requests to publish into accepted messages.
#[derive(Clone)]
pub struct Publisher {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<dyn Store>,
    handoff: Arc<dyn Handoff>,
    clock: Arc<dyn Clock>,
    ids: Arc<Ids>,
    metrics: Arc<Metrics>,
    defaults: Defaults,
    directory: Directory,
    /// What runs on after its caller went away.
    tasks: TaskTracker,
}

type Answer = Result<Published, PublishError>;

/// A message that has passed its checks, and the keys that it must be alone with.
struct Draft {
    /// Which of the requests.
    index: usize,
    message: Arc<Message>,
    dedupe: Vec<Dedupe>,
}

/// A message with what it owes, ready for the store.
struct Plan {
    accept: Accept,
    owed: Vec<Owed>,
}

/// What the lane of one delivery is told once the delivery is on disk.
enum Owed {
    /// Leased to this node, with room in its lane.
    Now(EndpointId, Reservation),
    /// Pending.
    Later(EndpointId, Timestamp),
}

impl Publisher {
    /// A publisher on `store` whose first attempts go to `handoff`.
    pub fn new(
        store: Arc<dyn Store>,
        handoff: Arc<dyn Handoff>,
        clock: Arc<dyn Clock>,
        ids: Arc<Ids>,
        metrics: Arc<Metrics>,
        defaults: Defaults,
    ) -> Self {
        let (directory, tasks) = (Directory::new(), TaskTracker::new());
        Self { shared: Arc::new(Shared { store, handoff, clock, ids, metrics, defaults, directory, tasks }) }
    }

    /// Publishes one message to an application of `organisation`.
    ///
    /// Afterwards it is on disk with every delivery it owes; the same holds for a repeat, whose answer is the message
    /// that the first request made.
    pub async fn publish(
        &self,
        organisation: OrganisationId,
        application: &ApplicationRef,
        publish: Publish,
    ) -> Result<Published, PublishError> {
        let mut answers = self.publish_batch(organisation, application, vec![publish]).await?;
        answers.pop().expect("one request has one answer")
    }

    /// Publishes several messages to one application in one transaction, in order; one answer for each.
    ///
    /// A request that breaks a rule, or whose key is taken, has its own error and keeps none of the others back. When the
    /// call itself fails, nothing was published.
    pub async fn publish_batch(
        &self,
        organisation: OrganisationId,
        application: &ApplicationRef,
        batch: Vec<Publish>,
    ) -> Result<Vec<Answer>, PublishError> {
        let shared = &self.shared;
        let mut view = shared.view(organisation, application).await?;
        let now = shared.clock.now();
        let mut drafts = Vec::with_capacity(batch.len());
        let mut answers = Vec::with_capacity(batch.len());
        for (index, publish) in batch.into_iter().enumerate() {
            match check(&publish, now) {
                Ok(()) => {
                    drafts.push(shared.draft(index, publish, &view, now));
                    answers.push(None);
                }
                Err(error) => answers.push(Some(Err(error))),
            }
        }
        for _ in 0..limits::STALE_ROUNDS {
            if drafts.is_empty() {
                return Ok(answered(answers));
            }
            let plans = shared.plan(&drafts, &view, now)?;
            let commit = Arc::clone(shared).commit(plans, now);
            match Finish::new(commit, shared.tasks.clone()).await? {
                Accepted::Committed(acceptances) => {
                    for (draft, acceptance) in drafts.into_iter().zip(acceptances) {
                        let index = draft.index;
                        answers[index] = Some(shared.answer(draft, acceptance).await);
                    }
                    return Ok(answered(answers));
                }
                Accepted::Stale(_) => {
                    shared.directory.forget(organisation, application, view.application.revision);
                    view = shared.view(organisation, application).await?;
                    for draft in &mut drafts {
                        let message = Arc::make_mut(&mut draft.message);
                        message.application = view.application.id;
                        message.revision = view.application.revision;
                    }
                }
            }
        }
        Err(PublishError::Contended)
    }

    /// Makes a delivery due again by hand and tells its lane.
    pub async fn resend(
        &self,
        application: ApplicationId,
        key: DeliveryKey,
        repeat: Option<RepeatKey>,
    ) -> Result<Resent, StoreError> {
        let now = self.shared.clock.now();
        let idempotency = repeat.map(|repeat| repeat.into_dedupe(now));
        let resent = self.shared.store.resend(Resend { application, key, now, idempotency }).await?;
        match resent {
            Resent::Queued | Resent::ExtraAttempt | Resent::DueNow => self.shared.handoff.hint(key.endpoint, now),
            Resent::InFlight | Resent::Repeated | Resent::Conflicting | Resent::Expunged | Resent::NotFound => {}
        }
        Ok(resent)
    }

    /// Waits for what runs on after its caller went away. Called once the doors are closed and before the store is.
    pub async fn finish(&self) {
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").field("defaults", &self.shared.defaults).finish_non_exhaustive()
    }
}

impl Shared {
    async fn view(
        &self,
        organisation: OrganisationId,
        application: &ApplicationRef,
    ) -> Result<Arc<ApplicationView>, PublishError> {
        if let Some(view) = self.directory.find(organisation, application) {
            return Ok(view);
        }
        let loaded = self.store.application(organisation, application).await?;
        let view = loaded.ok_or(PublishError::UnknownApplication)?;
        self.directory.keep(organisation, application, &view);
        Ok(view)
    }

    fn draft(&self, index: usize, publish: Publish, view: &ApplicationView, now: Timestamp) -> Draft {
        let mut dedupe = Vec::new();
        // The caller's own key comes first: a repeat of a request is answered with the first one's message, even if the
        // event id in it is taken, by the very same message, as well.
        dedupe.extend(publish.repeat.map(|repeat| repeat.into_dedupe(now)));
        dedupe.extend(publish.event_id.as_ref().map(|id| Dedupe {
            kind: DedupeKind::EventId,
            key: id.as_str().to_owned(),
            fingerprint: None,
            expires: None,
        }));
        let deliver_at = publish.deliver_at.filter(|at| *at > now);
        let retention = publish.retention.unwrap_or(self.defaults.retention);
        let message = Arc::new(Message {
            id: self.ids.message(now),
            organisation: view.application.organisation,
            application: view.application.id,
            event_type: publish.event_type,
            event_id: publish.event_id,
            event_time: publish.event_time,
            accepted: now,
            channels: publish.channels,
            tags: publish.tags,
            content_type: publish.content_type,
            payload: Payload::Kept(publish.payload),
            kept_headers: publish.kept_headers,
            origin: publish.origin,
            targets: publish.targets,
            revision: view.application.revision,
            deliver_at,
            // What is delayed is kept for as long after its first attempt as everything else.
            expires: deliver_at.unwrap_or(now).plus(retention),
        });
        Draft { index, message, dedupe }
    }

    fn plan(&self, drafts: &[Draft], view: &ApplicationView, now: Timestamp) -> Result<Vec<Plan>, PublishError> {
        let mut total = 0;
        let mut plans = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let message = &draft.message;
            let mut deliveries = Vec::new();
            let mut owed = Vec::new();
            for (endpoint, decision) in fan_out::fan_out(message, &view.endpoints) {
                if !matches!(decision, fan_out::Decision::Owed) {
                    continue;
                }
                let payload = message.payload.bytes().map_or(&[][..], |bytes| bytes);
                let order_key = order::order_key(&endpoint.settings.ordered, payload);
                let room = (order_key.is_none() && message.deliver_at.is_none())
                    .then(|| Reservation::try_new(&self.handoff, endpoint, message.payload.len()))
                    .flatten();
                let (state, first) = if let Some(reservation) = room {
                    (FirstState::Leased, Owed::Now(endpoint.id, reservation))
                } else {
                    let due = message.deliver_at.unwrap_or(now);
                    (FirstState::Pending { due }, Owed::Later(endpoint.id, due))
                };
                deliveries.push(NewDelivery { endpoint: endpoint.id, state, order_key });
                owed.push(first);
            }
            total += owed.len();
            // A single message may owe what its application's endpoints allow; only several together are bounded here.
            if drafts.len() > 1 && total > limits::BATCH_DELIVERIES {
                return Err(PublishError::TooManyDeliveries);
            }
            let dedupe = draft.dedupe.clone();
            plans.push(Plan { accept: Accept { message: Arc::clone(message), deliveries, dedupe }, owed });
        }
        Ok(plans)
    }

    /// Puts the plans on disk and tells the lanes; one piece of work, so that no lease is left without a holder.
    async fn commit(self: Arc<Self>, plans: Vec<Plan>, now: Timestamp) -> Result<Accepted, StoreError> {
        let mut accepts = Vec::with_capacity(plans.len());
        let mut handovers = Vec::with_capacity(plans.len());
        for plan in plans {
            handovers.push((Arc::clone(&plan.accept.message), plan.owed));
            accepts.push(plan.accept);
        }
        // Should the answer be lost where the commit is not, the leases are there and nobody here has them: the engine
        // finds them when it compares what it holds with the store.
        let accepted = self.store.accept(accepts).await?;
        if let Accepted::Committed(acceptances) = &accepted {
            for ((message, owed), acceptance) in handovers.into_iter().zip(acceptances) {
                match acceptance {
                    Acceptance::New { seq } => {
                        self.metrics.accepted.inc();
                        for one in owed {
                            self.tell(&message, one, *seq, now);
                        }
                    }
                    Acceptance::Duplicate { .. } => {
                        self.metrics.duplicates.inc();
                    }
                }
            }
        }
        Ok(accepted)
    }

    fn tell(&self, message: &Arc<Message>, owed: Owed, seq: Seq, now: Timestamp) {
        match owed {
            Owed::Now(endpoint, reservation) => {
                let delivery = Delivery {
                    key: DeliveryKey { message: message.id, endpoint },
                    application: message.application,
                    seq,
                    state: DeliveryState::Leased { holder: self.store.incarnation(), due: now },
                    order_key: None,
                    charged: 0,
                    round: 0,
                    variant: 0,
                    trigger: Trigger::Scheduled,
                };
                reservation.hand_over(Handed { delivery, message: Arc::clone(message) });
            }
            Owed::Later(endpoint, due) => self.handoff.hint(endpoint, due),
        }
    }

    async fn answer(&self, draft: Draft, acceptance: Acceptance) -> Result<Published, PublishError> {
        let (kind, first, same_request) = match acceptance {
            Acceptance::New { .. } => return Ok(Published::New(draft.message)),
            Acceptance::Duplicate { kind, message, same_request } => (kind, message, same_request),
        };
        match (kind, &draft.message.event_id) {
            (DedupeKind::EventId, Some(event_id)) => {
                Err(PublishError::EventIdTaken { event_id: event_id.clone(), message: first })
            }
            _ if !same_request => Err(PublishError::KeyReused { message: first }),
            _ => {
                let stored = self.store.message(draft.message.application, &MessageRef::Id(first)).await?;
                // Pruned between the two: its key went with it, and the next try is a new request.
                stored.map(|stored| Published::Repeat(stored.message)).ok_or(PublishError::Contended)
            }
        }
    }
}

fn answered(answers: Vec<Option<Answer>>) -> Vec<Answer> {
    answers.into_iter().map(|answer| answer.expect("each request was refused, or drafted and then answered")).collect()
}
