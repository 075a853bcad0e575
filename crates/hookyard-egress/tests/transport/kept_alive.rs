//! Connections that are used again, and those that must not be.

use std::sync::Arc;
use std::time::Duration;

use hookyard_model::{Trust, limits};
use hookyard_ports::{Exchanged, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::receiver::{Receiver, World, endpoint, read_request, request, response};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Answers every request on the connection.
async fn keep_answering(mut stream: TcpStream) {
    while read_request(&mut stream).await.is_some() {
        let _ = stream.write_all(OK).await;
    }
}

#[tokio::test]
async fn a_kept_alive_connection_is_used_again() {
    let receiver = Receiver::start(keep_answering).await;
    let world = World::new(&["127.0.0.1"]);
    world.answer(&receiver.url()).await;
    let second = world.post(&receiver.url()).await;
    assert!(second.timings.connect.is_none() && second.timings.first_byte.is_some());
    assert!(second.peer.is_some());
    response(second);
    // Another path is another site; nothing is lost but the connection.
    world.answer(&format!("{}/elsewhere", receiver.url())).await;
    assert_eq!(receiver.accepted(), 2);
}

#[tokio::test]
async fn a_kept_alive_connection_that_closes_without_a_byte_is_stale() {
    let receiver = Receiver::start(|mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(OK).await;
        read_request(&mut stream).await;
    })
    .await;
    let world = World::new(&["127.0.0.1"]);
    world.answer(&receiver.url()).await;
    let second = world.post(&receiver.url()).await;
    assert!(matches!(second.result, Exchanged::StaleConnection), "{:?}", second.result);
    assert_eq!(receiver.accepted(), 1, "nothing is repeated silently");
    world.answer(&receiver.url()).await;
    assert_eq!(receiver.accepted(), 2, "the next request has a fresh connection");
}

#[tokio::test]
async fn a_kept_alive_connection_that_closes_within_an_answer_is_broken_off() {
    let receiver = Receiver::start(|mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(OK).await;
        read_request(&mut stream).await;
        let _ = stream.write_all(b"H").await;
    })
    .await;
    let world = World::new(&["127.0.0.1"]);
    world.answer(&receiver.url()).await;
    let second = world.post(&receiver.url()).await;
    assert!(matches!(second.result, Exchanged::BrokenOff(_)), "{:?}", second.result);
}

#[tokio::test]
async fn a_connection_closed_while_idle_never_fails_a_request() {
    let (closing, mut closed) = mpsc::unbounded_channel();
    let receiver = Receiver::start(move |mut stream| {
        let closing = closing.clone();
        async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(OK).await;
            drop(stream);
            let _ = closing.send(());
        }
    })
    .await;
    let world = World::new(&["127.0.0.1"]);
    for _ in 0..20 {
        // Whether the close was noticed in time is up to the machine; either way nobody is charged.
        match world.post(&receiver.url()).await.result {
            Exchanged::Response(_) => closed.recv().await.unwrap(),
            Exchanged::StaleConnection => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_connection_whose_receiver_spoke_out_of_turn_is_not_used_again() {
    let receiver = Receiver::start(|mut stream| async move {
        read_request(&mut stream).await;
        // A second answer, to a request that was never made: it must not become the answer to the next one.
        let _ = stream.write_all(&[OK, b"HTTP/1.1 500 Forged\r\nContent-Length: 0\r\n\r\n"].concat()).await;
        read_request(&mut stream).await;
    })
    .await;
    let world = World::new(&["127.0.0.1"]);
    for _ in 0..3 {
        assert_eq!(world.answer(&receiver.url()).await.status.as_u16(), 200);
    }
    assert_eq!(receiver.accepted(), 3);
}

#[tokio::test]
async fn an_idle_connection_is_used_until_its_limit_and_not_after() {
    let receiver = Receiver::start(keep_answering).await;
    let world = World::new(&["127.0.0.1"]);
    world.answer(&receiver.url()).await;
    world.clock.advance(limits::IDLE_CONNECTION);
    world.answer(&receiver.url()).await;
    assert_eq!(receiver.accepted(), 1);
    world.clock.advance(limits::IDLE_CONNECTION + Duration::from_micros(1));
    world.answer(&receiver.url()).await;
    assert_eq!(receiver.accepted(), 2);
}

#[tokio::test]
async fn a_busy_connection_grows_no_older_than_an_answer_of_the_resolver() {
    let receiver = Receiver::start(keep_answering).await;
    let world = World::new(&["127.0.0.1"]);
    let step = limits::IDLE_CONNECTION;
    let mut age = Duration::ZERO;
    while age < limits::CONNECTION_AGE {
        world.answer(&receiver.url()).await;
        assert_eq!(receiver.accepted(), 1, "at the age of {age:?}");
        world.clock.advance(step);
        age += step;
    }
    world.answer(&receiver.url()).await;
    assert_eq!(receiver.accepted(), 2);
}

#[tokio::test]
async fn a_connection_that_the_receiver_closes_by_word_is_not_kept() {
    let receiver = Receiver::start(|mut stream| async move {
        while read_request(&mut stream).await.is_some() {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await;
        }
    })
    .await;
    let world = World::new(&["127.0.0.1"]);
    world.answer(&receiver.url()).await;
    world.answer(&receiver.url()).await;
    assert_eq!(receiver.accepted(), 2);
}

#[tokio::test]
async fn connections_are_not_shared_between_endpoints_or_degrees_of_trust() {
    let receiver = Receiver::start(keep_answering).await;
    let world = World::new(&["127.0.0.1"]);
    world.answer(&receiver.url()).await;
    let mut other = request(&receiver.url());
    other.endpoint = endpoint(2);
    response(world.client.send(other).await);
    assert_eq!(receiver.accepted(), 2);
    let mut trusted = request(&receiver.url());
    trusted.trust = Trust::Operator;
    response(world.client.send(trusted).await);
    assert_eq!(receiver.accepted(), 3);
}

#[tokio::test]
async fn a_connection_is_kept_when_its_body_was_read_to_the_end_and_not_otherwise() {
    for (length, connections) in [(limits::RESPONSE_BYTES_READ, 1), (limits::RESPONSE_BYTES_READ + 1, 2)] {
        let receiver = Receiver::start(move |mut stream| async move {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            while read_request(&mut stream).await.is_some() {
                // The last byte comes apart, so that reading can stop right before it.
                let body = vec![b'x'; length - 1];
                let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
                let _ = stream.write_all(b"x").await;
            }
        })
        .await;
        let world = World::new(&["127.0.0.1"]);
        for _ in 0..2 {
            let answer = world.answer(&receiver.url()).await;
            assert_eq!((answer.body.len(), answer.truncated), (limits::RESPONSE_BYTES_KEPT, true));
        }
        assert_eq!(receiver.accepted(), connections, "{length} bytes");
    }
}

/// A receiver that tells when a connection was closed by the client.
async fn telling(closed: mpsc::UnboundedSender<()>) -> Receiver {
    Receiver::start(move |stream| {
        let closed = closed.clone();
        async move {
            keep_answering(stream).await;
            let _ = closed.send(());
        }
    })
    .await
}

#[tokio::test]
async fn a_forgotten_endpoint_leaves_no_connection_behind() {
    let (closed, mut was_closed) = mpsc::unbounded_channel();
    let receiver = telling(closed).await;
    let world = World::new(&["127.0.0.1"]);
    world.answer(&receiver.url()).await;
    world.client.forget(endpoint(1));
    was_closed.recv().await.unwrap();
    world.answer(&receiver.url()).await;
    assert_eq!(receiver.accepted(), 2);
}

#[tokio::test]
async fn shutting_down_closes_what_is_idle_and_keeps_nothing_more() {
    let (closed, mut was_closed) = mpsc::unbounded_channel();
    let receiver = telling(closed).await;
    let world = World::new(&["127.0.0.1"]);
    world.answer(&receiver.url()).await;
    world.client.shutdown().await;
    was_closed.recv().await.unwrap();
    world.answer(&receiver.url()).await;
    was_closed.recv().await.unwrap();
}

#[tokio::test]
async fn an_idle_connection_is_closed_though_nobody_asks_for_it() {
    let (closed, mut was_closed) = mpsc::unbounded_channel();
    let receiver = telling(closed).await;
    let world = World::new(&["127.0.0.1"]);
    world.answer(&receiver.url()).await;
    world.clock.advance(limits::IDLE_CONNECTION + Duration::from_micros(1));
    was_closed.recv().await.unwrap();
}

#[tokio::test]
async fn a_request_that_is_dropped_closes_its_connection() {
    let (heard, mut was_heard) = mpsc::unbounded_channel();
    let (closed, mut was_closed) = mpsc::unbounded_channel();
    let receiver = Receiver::start(move |mut stream| {
        let (heard, closed) = (heard.clone(), closed.clone());
        async move {
            read_request(&mut stream).await;
            let _ = heard.send(());
            let _ = stream.read_to_end(&mut Vec::new()).await;
            let _ = closed.send(());
        }
    })
    .await;
    let world = World::new(&["127.0.0.1"]);
    let client = Arc::clone(&world.client);
    let request = request(&receiver.url());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { client.send(request).await });
    was_heard.recv().await.unwrap();
    tasks.abort_all();
    was_closed.recv().await.unwrap();
}

#[tokio::test]
async fn idle_connections_of_an_endpoint_are_kept_up_to_their_limit() {
    let gate = Arc::new(Semaphore::new(0));
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let (closed, mut was_closed) = mpsc::unbounded_channel();
    let opened = Arc::clone(&gate);
    let receiver = Receiver::start(move |mut stream| {
        let (gate, arrived, closed) = (Arc::clone(&opened), arrived.clone(), closed.clone());
        async move {
            read_request(&mut stream).await;
            let _ = arrived.send(());
            gate.acquire().await.unwrap().forget();
            let _ = stream.write_all(OK).await;
            keep_answering(stream).await;
            let _ = closed.send(());
        }
    })
    .await;
    let world = World::new(&["127.0.0.1"]);
    let mut tasks = JoinSet::new();
    let count = limits::IDLE_PER_ENDPOINT + 1;
    for _ in 0..count {
        let (client, request) = (Arc::clone(&world.client), request(&receiver.url()));
        tasks.spawn(async move { response(client.send(request).await) });
    }
    for _ in 0..count {
        arrivals.recv().await.unwrap();
    }
    gate.add_permits(count);
    assert_eq!(tasks.join_all().await.len(), count);
    was_closed.recv().await.expect("the one too many is closed");
    assert!(was_closed.try_recv().is_err(), "all others wait");
}
