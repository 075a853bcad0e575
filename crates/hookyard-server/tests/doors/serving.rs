//! The loop on a real socket, and what is open to everybody.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use hookyard_ports::testkit::{Deed, Fault};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::world::{APP, World, token};

/// How long a test waits for what must happen.
const DEADLINE: Duration = Duration::from_secs(10);

struct Served {
    stream: TcpStream,
    stop: CancellationToken,
    tasks: TaskTracker,
}

async fn serve(world: &World) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    tasks.spawn(Arc::clone(&world.doors).serve(listener, stop.clone()));
    tasks.close();
    Served { stream: TcpStream::connect(address).await.expect("a connection"), stop, tasks }
}

async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    let read = async {
        while !String::from_utf8_lossy(&text).contains(end) {
            if stream.read_buf(&mut text).await.expect("readable") == 0 {
                break;
            }
        }
    };
    tokio::time::timeout(DEADLINE, read).await.expect("an answer in time");
    String::from_utf8(text).expect("text")
}

#[tokio::test]
async fn what_is_open_to_everybody_is_open() {
    let world = World::new().await;
    for (path, status, body) in [
        ("/health", StatusCode::OK, r#"{"status": "ok"}"#),
        ("/health/", StatusCode::OK, r#"{"status": "ok"}"#),
        ("/health/live", StatusCode::OK, r#"{"status": "ok"}"#),
        ("/health/ready", StatusCode::OK, r#"{"status":"ok"}"#),
        ("/api/v1/health", StatusCode::NO_CONTENT, ""),
        ("/api/v1/health/", StatusCode::NO_CONTENT, ""),
        ("/api/v1/health/ping", StatusCode::NO_CONTENT, ""),
    ] {
        let request = axum::http::Request::builder().uri(path).body(axum::body::Body::empty());
        let answer = world.send(request.expect("a request")).await;
        assert_eq!((answer.status, answer.text()), (status, body), "{path}");
    }
    world.publish("a").await;
    let metrics = world.get("/metrics").await;
    assert!(metrics.text().contains("hookyard_messages_accepted_total 1"), "{}", metrics.text());
    assert!(
        metrics.headers["content-type"].to_str().is_ok_and(|kind| kind.starts_with("application/openmetrics-text"))
    );
}

#[tokio::test]
async fn one_connection_carries_several_requests_until_it_is_told_to_stop() {
    let world = World::new().await;
    let Served { mut stream, stop, tasks } = serve(&world).await;
    for _ in 0..3 {
        stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("writable");
        let answer = read_until(&mut stream, r#"{"status": "ok"}"#).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }
    stop.cancel();
    tokio::time::timeout(DEADLINE, tasks.wait()).await.expect("an idle connection holds nobody up");
    assert_eq!(stream.read(&mut [0; 1]).await.ok(), Some(0), "the idle connection is closed");
}

#[tokio::test]
async fn a_stop_lets_the_request_in_flight_finish() {
    let (began, seen) = std::sync::mpsc::channel();
    let world = World::failing(move |deed| {
        if deed == Deed::Accept {
            began.send(()).expect("the test listens");
            return Fault::Delay(Duration::from_millis(50));
        }
        Fault::Pass
    })
    .await;
    let Served { mut stream, stop, tasks } = serve(&world).await;
    let body = r#"{"eventType":"a","payload":1}"#;
    let head = format!("POST {APP}/msg HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n", token(None));
    let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.expect("writable");
    let accepting = async {
        while seen.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, accepting).await.expect("the store is asked");
    stop.cancel();
    let answer = read_until(&mut stream, "\"origin\":\"api\"}").await;
    assert!(answer.starts_with("HTTP/1.1 202 Accepted"), "{answer}");
    tokio::time::timeout(DEADLINE, tasks.wait()).await.expect("the loop ends");
}

#[tokio::test]
async fn headers_beyond_the_limit_are_refused() {
    let world = World::new().await;
    let Served { mut stream, stop, tasks } = serve(&world).await;
    let request = format!("GET /health HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "x".repeat(70 * 1024));
    // The server may answer and close before all of it is written.
    drop(stream.write_all(request.as_bytes()).await);
    let answer = read_until(&mut stream, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    stop.cancel();
    tokio::time::timeout(DEADLINE, tasks.wait()).await.expect("the loop ends");
}

#[tokio::test]
async fn a_client_that_sends_too_much_gets_to_read_why() {
    let world = World::new().await;
    let Served { mut stream, stop, tasks } = serve(&world).await;
    let body = vec![b'x'; hookyard_model::limits::API_BODY_BYTES + 1];
    let head = format!("POST {APP}/msg HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n", token(None));
    let request = [format!("{head}content-length: {}\r\n\r\n", body.len()).as_bytes(), &body].concat();
    stream.write_all(&request).await.expect("all of it is taken");
    let answer = read_until(&mut stream, "\"}").await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("payload_too_large"), "{answer}");
    stop.cancel();
    tokio::time::timeout(DEADLINE, tasks.wait()).await.expect("the loop ends");
}

#[tokio::test]
async fn connections_are_bounded_and_the_next_one_waits() {
    let world =
        World::with(|settings| hookyard_server::DoorsSettings { connections: 1, ..settings }, |_| Fault::Pass).await;
    let Served { mut stream, stop, tasks } = serve(&world).await;
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("writable");
    read_until(&mut stream, r#"{"status": "ok"}"#).await;
    let mut second = TcpStream::connect(stream.peer_addr().expect("an address")).await.expect("the system queues it");
    second.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("writable");
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("writable");
    read_until(&mut stream, r#"{"status": "ok"}"#).await;
    assert!(second.try_read(&mut [0; 1]).is_err(), "the second connection is not served beside the first");
    drop(stream);
    read_until(&mut second, r#"{"status": "ok"}"#).await;
    stop.cancel();
    tokio::time::timeout(DEADLINE, tasks.wait()).await.expect("the loop ends");
}
