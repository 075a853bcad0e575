//! A program with Hookyard inside: what a photo server does whose webhooks are its own.
//!
//! Run it with `cargo run -p hookyard --no-default-features --example embed [DIRECTORY]`. It declares two endpoints at a
//! receiver of its own, publishes two events, waits until they are delivered, shows every attempt, and stops. A directory
//! that is named stays, and `hookyard serve --data DIRECTORY` opens it.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use hookyard::accept::Publish;
use hookyard::bytes::Bytes;
use hookyard::dialects::{self, RawRequest, SecretForm, SignatureAlgorithm, Verified};
use hookyard::embedded::{Application, Endpoint, Hookyard};
use hookyard::model::{Origin, RetryPolicy, Secret, StateKind};
use hookyard::ports::{Clock as _, Rng as _, SystemClock, SystemRng};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

type Failure = Box<dyn Error + Send + Sync>;

/// How long the example waits for its own receiver.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let temporary = tempfile::tempdir()?;
    let directory = std::env::args_os().nth(1).map_or_else(|| temporary.path().to_owned(), Into::into);

    let mut random = [0; 32];
    SystemRng.fill(&mut random);
    let secret = dialects::generate(SecretForm::StandardWebhooks, SignatureAlgorithm::Hmac256, &random);
    let secret = secret.ok_or("the dialect `standard` signs")?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    tasks.spawn(receive(listener, Arc::new(secret.clone()), arrived));

    // An endpoint hears what happens in the library; only one of them hears what the server says about itself.
    let gallery = Endpoint::new("gallery", &format!("http://{address}/gallery"))?
        .signed_with(secret.expose())
        .wanting(["asset.*", "server.*"])?
        .retry(RetryPolicy::Fixed { delay: Duration::from_millis(50), retries: 3 });
    let operator = Endpoint::new("operator", &format!("http://{address}/operator"))?
        .signed_with(secret.expose())
        .with_server_events();
    let photos = Application::new("photos")?.with(gallery).with(operator);
    let hookyard = Hookyard::builder(&directory).declare([photos]).open().await?;

    let asset = Publish::json("asset.created".parse()?, Bytes::from_static(br#"{"id":"8d1f","type":"IMAGE"}"#));
    let started = Publish {
        origin: Origin::Server,
        ..Publish::json("server.started".parse()?, Bytes::from_static(br#"{"version":"1.2.3"}"#))
    };
    for (publish, owed) in [(asset, 2), (started, 1)] {
        let published = hookyard.publish("photos", publish).await?;
        let message = published.message();
        println!("{} {} is on disk", message.id, message.event_type);
        let deliveries = tokio::time::timeout(PATIENCE, hookyard.settled("photos", message.id)).await??;
        let delivered = deliveries.iter().filter(|delivery| delivery.state.kind() == StateKind::Delivered).count();
        if (deliveries.len(), delivered) != (owed, owed) {
            return Err(format!("{owed} deliveries were owed, this came of them: {deliveries:?}").into());
        }
        for attempt in hookyard.attempts("photos", message.id).await? {
            let status = attempt.response.as_ref().map_or(0, |response| response.status);
            println!("  {} {status} in {:?}: {}", attempt.url, attempt.timings.total, attempt.outcome.as_str());
        }
    }
    // Only `gallery` is told to come again, and only for its first request.
    for _ in 0..4 {
        let arrival = arrivals.recv().await.ok_or("the receiver ended")?;
        println!("the receiver got {arrival}");
    }

    hookyard.stop().await;
    println!("everything is in {}", directory.display());
    Ok(())
}

/// A receiver as anybody writes one, except that it is not ready for the first request.
async fn receive(listener: TcpListener, secret: Arc<Secret<String>>, arrived: mpsc::UnboundedSender<String>) {
    let mut refused = false;
    while let Ok((stream, _)) = listener.accept().await {
        let answer = match read(stream, &secret).await {
            Ok((stream, what)) if what.starts_with("/gallery") && !refused => {
                refused = true;
                let _ = arrived.send(format!("{what}, and was not ready"));
                (stream, "503 Service Unavailable")
            }
            Ok((stream, what)) => {
                let _ = arrived.send(what);
                (stream, "204 No Content")
            }
            Err(_) => continue,
        };
        let (mut stream, status) = answer;
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        let _ = stream.write_all(head.as_bytes()).await;
    }
}

/// Reads a request and has the dialect verify its signature; says what arrived.
async fn read(stream: TcpStream, secret: &Secret<String>) -> Result<(TcpStream, String), Failure> {
    let mut stream = BufReader::new(stream);
    let mut first = String::new();
    stream.read_line(&mut first).await?;
    let target = first.split(' ').nth(1).ok_or("no target")?.to_owned();
    let (mut headers, mut line) = (http::HeaderMap::new(), String::new());
    while stream.read_line(&mut line).await? > 2 {
        let (name, value) = line.trim_end().split_once(": ").ok_or("no header")?;
        headers.insert(http::HeaderName::try_from(name)?, value.parse()?);
        line.clear();
    }
    let length: usize = headers.get("content-length").ok_or("no length")?.to_str()?.parse()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;

    let (method, body) = (http::Method::POST, Bytes::from(body));
    let request = RawRequest { method: &method, target: &target, headers: &headers, body: &body };
    let standard = dialects::find(&"standard".parse()?).and_then(dialects::Dialect::inbound).ok_or("no dialect")?;
    match standard.verify(&request, std::slice::from_ref(secret), SystemClock::new().now()) {
        Verified::Accepted { rule, .. } => {
            let what = format!("{target} {} ({rule})", String::from_utf8_lossy(&body));
            Ok((stream.into_inner(), what))
        }
        Verified::Refused(why) => Err(why.into()),
    }
}
