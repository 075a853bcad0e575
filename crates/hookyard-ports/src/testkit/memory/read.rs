//! Reading, page by page.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use hookyard_model::{
    ApplicationId, Attempt, AttemptId, EndpointId, MessageId, OrganisationId, Outcome, Payload, RawId, StateKind,
    Timestamp, limits,
};

use super::rows::Rows;
use crate::store::{
    ApplicationRef, ApplicationView, AttemptQuery, MessageQuery, MessageRef, Order, Overview, Page, PageRequest,
    PageStart, Payloads, RollupRow, StoredMessage,
};

impl Rows {
    pub(super) fn application(
        &self,
        organisation: OrganisationId,
        reference: &ApplicationRef,
    ) -> Option<Arc<ApplicationView>> {
        let application = match reference {
            ApplicationRef::Id(id) => self.configuration.live(*id).filter(|row| row.organisation == organisation)?,
            ApplicationRef::Uid(uid) => self.configuration.live_by_uid(organisation, uid)?,
        };
        let endpoints = self.configuration.endpoints_at(application.id, application.revision);
        Some(Arc::new(ApplicationView { application: application.clone(), endpoints }))
    }

    pub(super) fn message(&self, application: ApplicationId, reference: &MessageRef) -> Option<StoredMessage> {
        let id = match reference {
            MessageRef::Id(id) => *id,
            MessageRef::EventId(event_id) => *self.event_ids.get(&(application, event_id.clone()))?,
        };
        self.messages.get(&id).filter(|stored| stored.message.application == application).cloned()
    }

    pub(super) fn messages(&self, query: &MessageQuery) -> Page<StoredMessage> {
        let mine = |stored: &StoredMessage| stored.message.application == query.application;
        let wanted = |stored: &StoredMessage| {
            let message = &stored.message;
            (query.event_types.is_empty() || query.event_types.contains(&message.event_type))
                && query.channel.as_ref().is_none_or(|channel| message.channels.contains(channel))
                && query.before.is_none_or(|before| message.accepted < before)
                && query.after.is_none_or(|after| message.accepted >= after)
        };
        let payload = |stored: &StoredMessage| match query.payloads {
            Payloads::Read => stored.message.payload.len(),
            Payloads::LeftOut => 0,
        };
        let mut page = page(&self.messages, query.page, MessageId::raw, mine, wanted, payload);
        if query.payloads == Payloads::LeftOut {
            for stored in &mut page.items {
                Arc::make_mut(&mut stored.message).payload = Payload::Kept(Bytes::new());
            }
        }
        page
    }

    pub(super) fn attempts(&self, query: &AttemptQuery) -> Page<Attempt> {
        let mine = |attempt: &Attempt| {
            attempt.application == query.application
                && query.message.is_none_or(|message| attempt.message == message)
                && query.endpoint.is_none_or(|endpoint| attempt.endpoint == endpoint)
        };
        let wanted = |attempt: &Attempt| {
            let class = attempt.response.as_ref().map_or(0, |response| response.status / 100);
            query.succeeded.is_none_or(|succeeded| (attempt.outcome == Outcome::Delivered) == succeeded)
                && query.status_class.is_none_or(|asked| class == asked)
                && query.before.is_none_or(|before| attempt.started < before)
                && query.after.is_none_or(|after| attempt.started >= after)
        };
        page(&self.attempts, query.page, AttemptId::raw, mine, wanted, |_| 0)
    }

    pub(super) fn rollups(&self, endpoint: EndpointId, since: Timestamp, until: Timestamp) -> Vec<RollupRow> {
        let rows = self.rollups.iter().filter(|((of, minute), _)| *of == endpoint && (since..until).contains(minute));
        rows.map(|((_, minute), rollup)| RollupRow {
            minute: *minute,
            outcomes: rollup.outcomes.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
            latency: rollup.latency.to_vec(),
        })
        .collect()
    }

    pub(super) fn overview(&self) -> Overview {
        let mut open: BTreeMap<StateKind, u64> = BTreeMap::from([(StateKind::Pending, 0), (StateKind::Leased, 0)]);
        for delivery in self.deliveries.all() {
            open.entry(delivery.state.kind()).and_modify(|count| *count += 1);
        }
        Overview {
            open: open.into_iter().collect(),
            oldest_due: self.due(None, usize::MAX).into_iter().map(|due| due.first).min(),
            bytes: self.messages.values().map(|stored| stored.message.payload.len() as u64).sum(),
        }
    }
}

/// One page of `rows`: of those that are `mine`, at most `limits::PAGE_EXAMINED` are looked at. `payload` is an item's
/// bytes.
fn page<I: Ord + Copy, T: Clone>(
    rows: &BTreeMap<I, T>,
    request: PageRequest<I>,
    raw: impl Fn(&I) -> RawId,
    mine: impl Fn(&T) -> bool,
    wanted: impl Fn(&T) -> bool,
    payload: impl Fn(&T) -> usize,
) -> Page<T> {
    let upwards = (request.order == Order::Ascending) != matches!(request.start, PageStart::Before(_));
    let range = match request.start {
        PageStart::First => (Bound::Unbounded, Bound::Unbounded),
        PageStart::After(id) | PageStart::Before(id) if upwards => (Bound::Excluded(id), Bound::Unbounded),
        PageStart::After(id) | PageStart::Before(id) => (Bound::Unbounded, Bound::Excluded(id)),
    };
    let range = rows.range(range);
    let walk: Box<dyn Iterator<Item = (&I, &T)>> = if upwards { Box::new(range) } else { Box::new(range.rev()) };

    let mut page = Page { items: Vec::new(), done: true, examined_to: None };
    let (mut last, mut bytes) = (None, 0);
    for (examined, (id, row)) in walk.filter(|(_, row)| mine(row)).enumerate() {
        if examined == limits::PAGE_EXAMINED {
            page.done = false;
            page.examined_to = last.filter(|_| page.items.is_empty());
            break;
        }
        last = Some(raw(id));
        if wanted(row) {
            if page.items.len() == request.limit || bytes >= limits::PAGE_BYTES {
                page.done = false;
                break;
            }
            bytes += payload(row);
            page.items.push(row.clone());
        }
    }
    if matches!(request.start, PageStart::Before(_)) {
        page.items.reverse();
    }
    page
}
