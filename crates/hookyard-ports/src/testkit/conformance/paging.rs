//! Pages of messages and attempts: both orders, both directions, exact ends, and a bound on what is examined.

use std::sync::Arc;

use hookyard_model::{Attempt, Message, MessageId, Next, Outcome, Payload, ResponseKept, limits};

use super::fixture::{WORKS, number};
use super::{Fixture, Ground};
use crate::store::{
    AttemptQuery, FirstState, MessageQuery, Order, Page, PageRequest, PageStart, Payloads, Settlement, StoredMessage,
};
use crate::testkit::build::{self, application_id, at, attempt_id, endpoint_id, key, message_id};

const ORDERS: [Order; 2] = [Order::Ascending, Order::Descending];

fn messages_of(application: u64, page: PageRequest<MessageId>) -> MessageQuery {
    let application = application_id(application);
    let payloads = Payloads::Read;
    MessageQuery { application, event_types: Vec::new(), channel: None, before: None, after: None, payloads, page }
}

fn first<I>(limit: usize, order: Order) -> PageRequest<I> {
    PageRequest { limit, start: PageStart::First, order }
}

fn all_messages() -> MessageQuery {
    messages_of(1, first(limits::PAGE, Order::Ascending))
}

fn all_attempts() -> AttemptQuery {
    AttemptQuery {
        application: application_id(1),
        message: None,
        endpoint: Some(endpoint_id(1)),
        succeeded: None,
        status_class: None,
        before: None,
        after: None,
        page: first(limits::PAGE, Order::Ascending),
    }
}

async fn page(fixture: &Fixture, query: MessageQuery) -> Page<StoredMessage> {
    fixture.store().messages(query).await.expect(WORKS)
}

async fn numbers(fixture: &Fixture, query: MessageQuery) -> Vec<u64> {
    page(fixture, query).await.items.iter().map(|stored| number(stored.message.id)).collect()
}

async fn attempts(fixture: &Fixture, query: AttemptQuery) -> Vec<hookyard_model::AttemptId> {
    fixture.store().attempts(query).await.expect(WORKS).items.iter().map(|attempt| attempt.id).collect()
}

/// A store with the messages 1 to 7, of which every third is `odd.one` and every second is on the channel `two`.
async fn seven(ground: Arc<dyn Ground>) -> Fixture {
    let fixture = Fixture::new(ground).await;
    let message = |n: u64| Message {
        event_type: if n.is_multiple_of(3) { "odd.one" } else { "thing.happened" }.parse().expect("an event type"),
        channels: if n.is_multiple_of(2) { vec!["two".parse().expect("a channel")] } else { Vec::new() },
        ..build::message(n)
    };
    // Accepted backwards: pages go by id, whatever the order of acceptance.
    fixture.offer((1..=7).rev().map(|n| build::accept(message(n), &[])).collect()).await;
    fixture
}

pub async fn messages_stand_in_the_order_asked_for(ground: Arc<dyn Ground>) {
    let fixture = seven(ground).await;
    assert_eq!(numbers(&fixture, messages_of(1, first(9, Order::Ascending))).await, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(numbers(&fixture, messages_of(1, first(9, Order::Descending))).await, [7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(numbers(&fixture, messages_of(2, first(9, Order::Descending))).await, [0; 0]);
}

pub async fn listed_messages_come_with_seq_and_payload(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let seq = fixture.accept(1, &[]).await;
    let items = page(&fixture, all_messages()).await.items;
    assert_eq!(items, [StoredMessage { seq, message: Arc::new(build::message(1)) }]);
}

pub async fn pages_walk_the_whole_list_forwards(ground: Arc<dyn Ground>) {
    let fixture = seven(ground).await;
    for (order, limit) in ORDERS.into_iter().flat_map(|order| (1..=8).map(move |limit| (order, limit))) {
        let mut seen = Vec::new();
        let mut request = first(limit, order);
        loop {
            let page = page(&fixture, messages_of(1, request)).await;
            assert!(page.items.len() <= limit);
            assert_eq!(page.examined_to, None, "few rows are examined to the end");
            seen.extend(page.items.iter().map(|stored| number(stored.message.id)));
            assert_eq!(page.done, seen.len() == 7, "done exactly at the end, pages of {limit}");
            if page.done {
                break;
            }
            request.start = PageStart::After(page.items.last().expect("a page that is not done has items").message.id);
        }
        let mut expected: Vec<u64> = (1..=7).collect();
        if order == Order::Descending {
            expected.reverse();
        }
        assert_eq!(seen, expected);
    }
}

pub async fn pages_walk_the_whole_list_backwards(ground: Arc<dyn Ground>) {
    let fixture = seven(ground).await;
    for (order, limit) in ORDERS.into_iter().flat_map(|order| (1..=8).map(move |limit| (order, limit))) {
        let mut expected: Vec<u64> = (1..=7).collect();
        if order == Order::Descending {
            expected.reverse();
        }
        let last = expected.pop().expect("there are seven");
        let mut request = PageRequest { limit, start: PageStart::Before(message_id(last)), order };
        loop {
            let page = page(&fixture, messages_of(1, request)).await;
            let items: Vec<u64> = page.items.iter().map(|stored| number(stored.message.id)).collect();
            assert!(!items.is_empty() && items.len() <= limit);
            let rest = expected.split_off(expected.len() - items.len());
            assert_eq!(items, rest, "a page before stands in the list's order too");
            assert_eq!(page.done, expected.is_empty(), "done exactly at the beginning, pages of {limit}");
            if page.done {
                break;
            }
            request.start = PageStart::Before(message_id(items[0]));
        }
    }
}

pub async fn pages_begin_at_ids_that_are_not_stored_too(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    for n in [10, 20, 30] {
        fixture.accept(n, &[]).await;
    }
    let at = |start, order| messages_of(1, PageRequest { limit: 9, start, order });
    assert_eq!(numbers(&fixture, at(PageStart::After(message_id(15)), Order::Ascending)).await, [20, 30]);
    assert_eq!(numbers(&fixture, at(PageStart::After(message_id(15)), Order::Descending)).await, [10]);
    assert_eq!(numbers(&fixture, at(PageStart::Before(message_id(15)), Order::Ascending)).await, [10]);
    assert_eq!(numbers(&fixture, at(PageStart::Before(message_id(15)), Order::Descending)).await, [30, 20]);
    let beyond = page(&fixture, at(PageStart::After(message_id(30)), Order::Ascending)).await;
    assert!(beyond.items.is_empty() && beyond.done);
}

pub async fn an_empty_list_is_one_done_page(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let empty = page(&fixture, all_messages()).await;
    assert_eq!(empty, Page { items: Vec::new(), done: true, examined_to: None });
    let empty = fixture.store().attempts(all_attempts()).await.expect(WORKS);
    assert_eq!(empty, Page { items: Vec::new(), done: true, examined_to: None });
}

pub async fn messages_are_filtered(ground: Arc<dyn Ground>) {
    let fixture = seven(ground).await;
    let odd = || "odd.one".parse().expect("an event type");
    let thing = || "thing.happened".parse().expect("an event type");
    let two = || Some("two".parse().expect("a channel"));
    for (query, expected) in [
        (MessageQuery { event_types: vec![odd()], ..all_messages() }, vec![3, 6]),
        (MessageQuery { event_types: vec![odd(), thing()], ..all_messages() }, vec![1, 2, 3, 4, 5, 6, 7]),
        (MessageQuery { event_types: vec!["odd".parse().expect("an event type")], ..all_messages() }, vec![]),
        (MessageQuery { channel: two(), ..all_messages() }, vec![2, 4, 6]),
        (MessageQuery { channel: two(), event_types: vec![thing()], ..all_messages() }, vec![2, 4]),
        (MessageQuery { before: Some(at(3)), ..all_messages() }, vec![1, 2]),
        (MessageQuery { after: Some(at(5)), ..all_messages() }, vec![5, 6, 7]),
        (MessageQuery { after: Some(at(3)), before: Some(at(6)), channel: two(), ..all_messages() }, vec![4]),
        (MessageQuery { after: Some(at(6)), before: Some(at(3)), ..all_messages() }, vec![]),
    ] {
        assert_eq!(numbers(&fixture, query.clone()).await, expected, "{query:?}");
    }
}

pub async fn a_filtered_page_is_done_when_nothing_more_matches(ground: Arc<dyn Ground>) {
    let fixture = seven(ground).await;
    let odd = |limit| MessageQuery {
        event_types: vec!["odd.one".parse().expect("an event type")],
        page: first(limit, Order::Ascending),
        ..all_messages()
    };
    let one = page(&fixture, odd(1)).await;
    assert!(!one.done, "message 6 is still to come");
    let both = page(&fixture, odd(2)).await;
    assert_eq!(both.items.len(), 2);
    assert!(both.done, "message 7 does not match");
}

pub async fn a_page_that_examined_too_much_ends_early(ground: Arc<dyn Ground>) {
    let fixture = Fixture::new(ground).await;
    let count = limits::PAGE_EXAMINED as u64 + 500;
    let numbers: Vec<u64> = (1..=count).collect();
    for batch in numbers.chunks(limits::BATCH_MESSAGES) {
        let message = |n: &u64| {
            let on = if *n == count { vec!["rare".parse().expect("a channel")] } else { Vec::new() };
            build::accept(Message { channels: on, ..build::message(*n) }, &[])
        };
        fixture.offer(batch.iter().map(message).collect()).await;
    }
    let mut query = MessageQuery { channel: Some("rare".parse().expect("a channel")), ..all_messages() };
    let early = page(&fixture, query.clone()).await;
    assert!(early.items.is_empty() && !early.done);
    let to = early.examined_to.expect("a page without items says where to go on from");
    query.page.start = PageStart::After(MessageId::from_raw(to));
    let late = page(&fixture, query).await;
    assert_eq!(late.items.len(), 1);
    assert!(late.done);
    assert_eq!(number(late.items[0].message.id), count);
}

/// A store with the messages 1 to 5, whose payloads are as large as the door lets in; all are on the channel `large`.
async fn five_large(ground: Arc<dyn Ground>) -> Fixture {
    let fixture = Fixture::new(ground).await;
    let large = bytes::Bytes::from(vec![b' '; limits::API_BODY_BYTES]);
    let message = |n: u64| Message {
        payload: Payload::Kept(large.clone()),
        channels: vec!["large".parse().expect("a channel")],
        ..build::message(n)
    };
    fixture.offer((1..=5).map(|n| build::accept(message(n), &[])).collect()).await;
    fixture
}

pub async fn a_page_ends_with_the_payload_that_fills_it(ground: Arc<dyn Ground>) {
    let fixture = five_large(ground).await;
    let full = limits::PAGE_BYTES.div_ceil(limits::API_BODY_BYTES);
    for order in ORDERS {
        let mut expected: Vec<u64> = (1..=5).collect();
        if order == Order::Descending {
            expected.reverse();
        }
        let mut request = first(limits::PAGE, order);
        let mut seen = Vec::new();
        loop {
            let page = page(&fixture, messages_of(1, request)).await;
            assert!(page.items.len() <= full, "{} payloads on one page", page.items.len());
            seen.extend(page.items.iter().map(|stored| number(stored.message.id)));
            assert_eq!(page.done, seen.len() == 5, "done exactly at the end");
            if page.done {
                break;
            }
            assert_eq!((page.items.len(), page.examined_to), (full, None));
            request.start = PageStart::After(page.items.last().expect("it is full").message.id);
        }
        assert_eq!(seen, expected);
        let last = message_id(expected[4]);
        let back = page(&fixture, messages_of(1, PageRequest { start: PageStart::Before(last), ..request })).await;
        let back: Vec<u64> = back.items.iter().map(|stored| number(stored.message.id)).collect();
        assert_eq!(back, expected[4 - full..4], "walked backwards it holds what stands right before");
    }
}

pub async fn a_page_without_payloads_holds_as_many_items_as_are_asked_for(ground: Arc<dyn Ground>) {
    let fixture = five_large(ground).await;
    let page = page(&fixture, MessageQuery { payloads: Payloads::LeftOut, ..all_messages() }).await;
    assert!(page.done);
    assert_eq!(page.items.len(), 5);
    for stored in &page.items {
        assert_eq!(stored.message.payload, Payload::Kept(bytes::Bytes::new()));
        assert_eq!(stored.message.channels.len(), 1, "everything else is read");
    }
}

/// A store with attempts 1 to 8: odd ones of message 1, even ones of message 2; 1 to 6 to endpoint 1, the others to 2.
async fn eight(ground: Arc<dyn Ground>) -> Fixture {
    let fixture = Fixture::new(ground).await;
    for n in 1..=2 {
        fixture.accept(n, &[(1, FirstState::Leased), (2, FirstState::Leased)]).await;
    }
    let again = Next::Again { charged: 0, variant: 0 };
    for n in 1..=8 {
        let key = key(2 - n % 2, 1 + u64::from(n > 6));
        let status =
            |status| Some(ResponseKept { status, headers: String::new(), body: bytes::Bytes::new(), truncated: false });
        let (outcome, response) = match n {
            1 | 8 => (Outcome::Delivered, status(204)),
            2 => (Outcome::Refused, status(503)),
            3 => (Outcome::Refused, status(404)),
            4 => (Outcome::Refused, status(204)),
            _ => (Outcome::TimedOut, None),
        };
        let attempt = Attempt { response, ..build::attempt(n, key, outcome) };
        fixture.settle_one(Settlement { key, attempt, next: again, endpoint: None, operational: Vec::new() }).await;
    }
    fixture
}

pub async fn attempts_are_listed_by_message_and_by_endpoint(ground: Arc<dyn Ground>) {
    let fixture = eight(ground).await;
    let of = |message: Option<u64>, endpoint: Option<u64>| AttemptQuery {
        message: message.map(message_id),
        endpoint: endpoint.map(endpoint_id),
        ..all_attempts()
    };
    for (query, expected) in [
        (of(None, Some(1)), vec![1, 2, 3, 4, 5, 6]),
        (of(None, Some(2)), vec![7, 8]),
        (of(Some(1), None), vec![1, 3, 5, 7]),
        (of(Some(2), Some(1)), vec![2, 4, 6]),
        (of(Some(9), None), vec![]),
        (AttemptQuery { application: application_id(2), ..of(Some(1), None) }, vec![]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(attempt_id).collect();
        assert_eq!(attempts(&fixture, query.clone()).await, expected, "{query:?}");
    }
}

pub async fn attempts_are_filtered(ground: Arc<dyn Ground>) {
    let fixture = eight(ground).await;
    for (query, expected) in [
        (AttemptQuery { succeeded: Some(true), ..all_attempts() }, vec![1]),
        (AttemptQuery { succeeded: Some(false), ..all_attempts() }, vec![2, 3, 4, 5, 6]),
        (AttemptQuery { status_class: Some(2), ..all_attempts() }, vec![1, 4]),
        (AttemptQuery { status_class: Some(5), ..all_attempts() }, vec![2]),
        (AttemptQuery { status_class: Some(0), ..all_attempts() }, vec![5, 6]),
        (AttemptQuery { status_class: Some(2), succeeded: Some(false), ..all_attempts() }, vec![4]),
        (AttemptQuery { before: Some(at(3)), ..all_attempts() }, vec![1, 2]),
        (AttemptQuery { after: Some(at(3)), before: Some(at(5)), ..all_attempts() }, vec![3, 4]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(attempt_id).collect();
        assert_eq!(attempts(&fixture, query.clone()).await, expected, "{query:?}");
    }
}

pub async fn attempts_walk_in_both_orders_and_directions(ground: Arc<dyn Ground>) {
    let fixture = eight(ground).await;
    for (order, start, expected, done) in [
        (Order::Descending, PageStart::First, [6, 5], false),
        (Order::Ascending, PageStart::First, [1, 2], false),
        (Order::Descending, PageStart::After(attempt_id(3)), [2, 1], true),
        (Order::Ascending, PageStart::After(attempt_id(4)), [5, 6], true),
        (Order::Descending, PageStart::Before(attempt_id(3)), [5, 4], false),
        (Order::Ascending, PageStart::Before(attempt_id(3)), [1, 2], true),
    ] {
        let query = AttemptQuery { page: PageRequest { limit: 2, start, order }, ..all_attempts() };
        let page = fixture.store().attempts(query).await.expect(WORKS);
        let ids: Vec<_> = page.items.iter().map(|attempt| attempt.id).collect();
        assert_eq!(ids, expected.map(attempt_id), "{order:?} {start:?}");
        assert_eq!(page.done, done, "{order:?} {start:?}");
    }
}
