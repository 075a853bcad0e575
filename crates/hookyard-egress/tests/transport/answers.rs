//! Answers of every quality, on fresh connections.

use std::time::Duration;

use bytes::Bytes;
use hookyard_model::{Peer, limits};
use hookyard_ports::{Exchanged, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::interval;

use crate::receiver::{Receiver, World, read_request, request, response};

/// A receiver that reads a request, writes `answer` and closes.
async fn answering(answer: impl Into<Vec<u8>>) -> Receiver {
    let answer: Vec<u8> = answer.into();
    Receiver::start(move |mut stream| {
        let answer = answer.clone();
        async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(&answer).await;
        }
    })
    .await
}

/// What came of one POST to a receiver that answers so.
async fn exchanged(answer: impl Into<Vec<u8>>) -> Exchanged {
    let receiver = answering(answer).await;
    World::new(&["127.0.0.1"]).post(&receiver.url()).await.result
}

#[track_caller]
fn broken(exchanged: Exchanged) -> String {
    match exchanged {
        Exchanged::BrokenOff(words) => words,
        other => panic!("not broken off but {other:?}"),
    }
}

#[tokio::test]
async fn a_request_leaves_exactly_as_it_was_given() {
    let (requests, mut seen) = mpsc::unbounded_channel();
    let receiver = Receiver::start(move |mut stream| {
        let requests = requests.clone();
        async move {
            let _ = requests.send(read_request(&mut stream).await.unwrap());
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX-Answer: 42\r\nContent-Length: 2\r\n\r\nok").await;
        }
    })
    .await;
    let world = World::new(&["127.0.0.1"]);
    let mut request = request(&format!("{}?a=1&b=%20|#not-sent", receiver.url()));
    for (name, value) in [
        ("user-agent", "Hookyard/1"),
        ("x-team", "red"),
        ("x-team", "blue"),
        ("content-type", "application/json"),
        // None of these is anybody's to set.
        ("host", "evil.example"),
        ("content-length", "999"),
        ("connection", "close"),
        ("transfer-encoding", "chunked"),
        ("proxy-authorization", "Basic x"),
        ("x-smokescreen-role", "admin"),
        ("x-upstream-https-proxy", "evil.example"),
    ] {
        request.headers.append(http::HeaderName::from_static(name), value.parse().unwrap());
    }
    let exchange = world.client.send(request).await;
    assert_eq!(exchange.peer, Some(Peer::Direct(receiver.address)));
    assert!(exchange.timings.dns.is_none(), "an address needs no resolver");
    assert!(exchange.timings.connect.is_some() && exchange.timings.first_byte.is_some());
    let answer = response(exchange);
    assert_eq!((answer.status.as_u16(), &answer.body[..], answer.truncated), (200, &b"ok"[..], false));
    assert_eq!(answer.headers["x-answer"], "42");
    let expected = format!(
        "POST /hook?a=1&b=%20| HTTP/1.1\r\nHost: {}\r\nContent-Length: 7\r\nUser-Agent: Hookyard/1\r\nX-Team: red\r\n\
         X-Team: blue\r\nContent-Type: application/json\r\n\r\n{{\"a\":1}}",
        receiver.address
    );
    assert_eq!(seen.recv().await.unwrap(), expected);
}

#[tokio::test]
async fn an_empty_body_says_so() {
    let (requests, mut seen) = mpsc::unbounded_channel();
    let receiver = Receiver::start(move |mut stream| {
        let requests = requests.clone();
        async move {
            let _ = requests.send(read_request(&mut stream).await.unwrap());
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        }
    })
    .await;
    let mut request = request(&receiver.url());
    request.body = Bytes::new();
    assert_eq!(response(World::new(&["127.0.0.1"]).client.send(request).await).status.as_u16(), 204);
    assert!(seen.recv().await.unwrap().contains("\r\nContent-Length: 0\r\n"));
}

#[tokio::test]
async fn every_form_of_an_answer_is_read() {
    async fn check(answer: &str, status: u16, body: &str) {
        match exchanged(answer).await {
            Exchanged::Response(response) => {
                assert_eq!((response.status.as_u16(), &response.body[..]), (status, body.as_bytes()), "{answer}");
                assert!(!response.truncated, "{answer}");
            }
            other => panic!("{answer}: {other:?}"),
        }
    }
    check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok").await;
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x=y\r\nbc\r\n0\r\nX: y\r\n\r\n",
        200,
        "abc",
    )
    .await;
    check("HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, "until the end").await;
    check("HTTP/1.0 500 Oh\r\nContent-Length: 3\r\n\r\nbad", 500, "bad").await;
    check("HTTP/1.1 204 No Content\r\n\r\n", 204, "").await;
    check("HTTP/1.1 200\r\nConnection: close\r\n\r\nbare", 200, "bare").await;
    check("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Made\r\nContent-Length: 0\r\n\r\n", 201, "")
        .await;
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let elsewhere = answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let answer = format!("HTTP/1.1 307 Moved\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", elsewhere.url());
    let receiver = answering(answer).await;
    let answer = World::new(&["127.0.0.1"]).answer(&receiver.url()).await;
    assert_eq!(answer.status.as_u16(), 307);
    assert_eq!((receiver.accepted(), elsewhere.accepted()), (1, 0));
}

#[tokio::test]
async fn what_is_not_an_answer_is_broken_off_in_words() {
    async fn check(answer: impl Into<Vec<u8>>, words: &str) {
        assert_eq!(broken(exchanged(answer).await), words);
    }
    check("", "connection closed before an answer").await;
    check("HTTP/1.1 200 OK\r\nContent-Le", "connection closed before an answer").await;
    check("SSH-2.0-OpenSSH_9.9\r\n", "answer is not HTTP/1").await;
    check("HTTP/1.1 200 OK\r\nContent-Length: nine\r\n\r\n", "answer is not HTTP/1").await;
    check("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n", "answer is not HTTP/1").await;
    let too_much = "answer has more than 32 KiB of headers, or more than 100 of them";
    check(format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(limits::RESPONSE_HEADER_READ)), too_much).await;
    check(format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(limits::RESPONSE_HEADERS + 1)), too_much).await;
}

#[tokio::test]
async fn headers_up_to_the_limit_are_read() {
    let headers = "A: b\r\n".repeat(limits::RESPONSE_HEADERS - 1);
    let answer = exchanged(format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: 0\r\n\r\n")).await;
    assert!(matches!(answer, Exchanged::Response(_)), "{answer:?}");
    let frame = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: \r\n\r\n".len();
    let value = "x".repeat(limits::RESPONSE_HEADER_READ - frame);
    let answer = exchanged(format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: {value}\r\n\r\n")).await;
    assert!(matches!(answer, Exchanged::Response(_)), "{answer:?}");
}

#[tokio::test]
async fn headers_without_end_take_no_more_memory_than_the_limit() {
    let receiver = Receiver::start(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while stream.write_all(b"X-More: and more and more\r\n").await.is_ok() {}
    })
    .await;
    let words = broken(World::new(&["127.0.0.1"]).post(&receiver.url()).await.result);
    assert!(words.starts_with("answer has more than"), "{words}");
}

#[tokio::test]
async fn dripping_headers_end_with_the_time_limit() {
    let receiver = Receiver::start(|mut stream| async move {
        let mut tick = interval(Duration::from_millis(10));
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX: ").await;
        while stream.write_all(b"x").await.is_ok() {
            tick.tick().await;
        }
    })
    .await;
    let mut request = request(&receiver.url());
    request.timeout = Duration::from_millis(200);
    let exchange = World::new(&["127.0.0.1"]).client.send(request).await;
    assert!(matches!(exchange.result, Exchanged::TimedOut), "{:?}", exchange.result);
    assert_eq!(exchange.peer, Some(Peer::Direct(receiver.address)), "what was reached is known nonetheless");
    assert!(exchange.timings.connect.is_some() && exchange.timings.first_byte.is_none());
}

#[tokio::test]
async fn interim_answers_without_end_do_not_extend_the_time_limit() {
    let receiver = Receiver::start(|mut stream| async move {
        while stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_ok() {}
    })
    .await;
    let mut request = request(&receiver.url());
    request.timeout = Duration::from_millis(200);
    let exchange = World::new(&["127.0.0.1"]).client.send(request).await;
    assert!(matches!(exchange.result, Exchanged::TimedOut), "{:?}", exchange.result);
}

#[tokio::test]
async fn a_dripping_body_does_not_hold_up_a_status_that_has_decided() {
    for status in [200, 503] {
        let receiver = Receiver::start(move |mut stream| async move {
            let mut tick = interval(Duration::from_millis(10));
            let _ =
                stream.write_all(format!("HTTP/1.1 {status} X\r\nContent-Length: 1000000\r\n\r\n").as_bytes()).await;
            while stream.write_all(b"x").await.is_ok() {
                tick.tick().await;
            }
        })
        .await;
        let mut request = request(&receiver.url());
        request.timeout = Duration::from_millis(200);
        let answer = response(World::new(&["127.0.0.1"]).client.send(request).await);
        assert_eq!((answer.status.as_u16(), answer.truncated), (status, true));
    }
}

#[tokio::test]
async fn a_body_that_stalls_is_waited_for_no_longer_than_its_own_limit() {
    let receiver = Receiver::start(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").await;
        // Stays until the client has gone.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let mut request = request(&receiver.url());
    // Longer than any test may take: only the limit for bodies can end this.
    request.timeout = Duration::from_hours(1);
    let answer = response(World::new(&["127.0.0.1"]).client.send(request).await);
    assert_eq!((&answer.body[..], answer.truncated), (&b"abc"[..], true));
}

#[tokio::test]
async fn an_endless_body_is_cut_and_its_connection_closed() {
    let (closed, mut was_closed) = mpsc::unbounded_channel();
    let receiver = Receiver::start(move |mut stream| {
        let closed = closed.clone();
        async move {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
            while stream.write_all(b"4\r\nmore\r\n").await.is_ok() {}
            let _ = closed.send(());
        }
    })
    .await;
    let answer = World::new(&["127.0.0.1"]).answer(&receiver.url()).await;
    assert_eq!((answer.body.len(), answer.truncated), (limits::RESPONSE_BYTES_KEPT, true));
    assert!(answer.body.starts_with(b"moremore"));
    was_closed.recv().await.expect("the receiver notices that nobody reads on");
}

#[tokio::test]
async fn a_body_is_kept_up_to_its_limit() {
    for (length, truncated) in [(limits::RESPONSE_BYTES_KEPT, false), (limits::RESPONSE_BYTES_KEPT + 1, true)] {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        match exchanged([head.into_bytes(), vec![b'x'; length]].concat()).await {
            Exchanged::Response(answer) => {
                assert_eq!((answer.body.len(), answer.truncated), (limits::RESPONSE_BYTES_KEPT, truncated), "{length}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_the_status_standing() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nten bytes!",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nten bytes!\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nten bytes!\r\nnonsense",
    ] {
        match exchanged(answer).await {
            Exchanged::Response(response) => {
                assert_eq!((&response.body[..], response.truncated), (&b"ten bytes!"[..], true), "{answer}");
            }
            other => panic!("{answer}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_answer_that_comes_before_the_request_was_read_counts() {
    let receiver = Receiver::start(|mut stream| async move {
        let _ = stream.read_exact(&mut [0; 16]).await;
        let _ = stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig").await;
        // Closing with bytes unread resets the connection under the request that is still being written.
    })
    .await;
    let mut request = request(&receiver.url());
    request.body = Bytes::from(vec![b'x'; 16 * 1024 * 1024]);
    let answer = response(World::new(&["127.0.0.1"]).client.send(request).await);
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (413, &b"big"[..]));
}

#[tokio::test]
async fn a_refused_connection_is_told_as_such() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap();
    let exchange = World::new(&["127.0.0.1"]).post(&format!("http://{free}/")).await;
    assert!(
        matches!(&exchange.result, Exchanged::ConnectFailed(words) if words == "connection refused"),
        "{exchange:?}"
    );
    assert_eq!(exchange.peer, None);
}
