//! One request and its answer, on a connection that is kept alive or fresh.
//!
//! Used by the client, which gives the time limit and turns the result into an outcome. One timer serves the whole
//! exchange: first it is the attempt's limit, and once the headers are in it is the shorter limit for the body, because
//! by then the status has decided.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use hookyard_model::{Method, Timings, limits};
use hookyard_ports::Response;
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::{Instant, sleep};

use crate::connect::{Connector, Failure};
use crate::connection::{self, BodyEnd, BodyReader, Connection};
use crate::pool::{Pool, Site};

/// How far an exchange came; read after it ended, also when the time limit ended it.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) timings: Timings,
    pub(crate) peer: Option<SocketAddr>,
}

/// What a request sends.
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) timeout: std::time::Duration,
}

/// Makes one request to a site.
pub(crate) async fn exchange(
    connector: &Connector,
    pool: &Pool,
    site: &Arc<Site>,
    outgoing: Outgoing,
    progress: &mut Progress,
) -> Result<Response, Failure> {
    let mut limit = pin!(sleep(outgoing.timeout));
    let until = limit.deadline();
    let answered = {
        let mut answer = pin!(answer(connector, pool, site, outgoing, until, progress));
        poll_fn(|cx| match answer.as_mut().poll(cx) {
            Poll::Pending => limit.as_mut().poll(cx).map(|()| Err(Failure::TimedOut)),
            ready @ Poll::Ready(_) => ready,
        })
        .await
    };
    let (answer, mut connection) = answered?;
    let (head, body) = answer.into_parts();

    let mut reader = BodyReader::new(body);
    let mut shortened = false;
    let end = poll_fn(|cx| {
        if let Poll::Ready(end) = reader.poll_end(&mut connection, cx) {
            return Poll::Ready(end);
        }
        if !shortened {
            shortened = true;
            limit.as_mut().reset(until.min(Instant::now() + limits::BODY_AFTER_SUCCESS));
        }
        limit.as_mut().poll(cx).map(|()| BodyEnd::TooLong)
    })
    .await;
    if end == BodyEnd::Complete && poll_fn(|cx| Poll::Ready(connection.is_usable(cx))).await {
        pool.keep(site, connection, connector.clock.monotonic());
    }
    let (body, more) = reader.finish();
    Ok(Response { status: head.status, headers: head.headers, body, truncated: more || end != BodyEnd::Complete })
}

/// Sends on the connection that waits, or on a fresh one, until the headers are in.
async fn answer(
    connector: &Connector,
    pool: &Pool,
    site: &Arc<Site>,
    outgoing: Outgoing,
    until: Instant,
    progress: &mut Progress,
) -> Result<(http::Response<Incoming>, Connection), Failure> {
    let clock = connector.clock.as_ref();
    let waiting = pool.take(site, clock.monotonic()).await;
    let reused = waiting.is_some();
    let mut connection = match waiting {
        Some(connection) => connection,
        // Boxed, because this is the rare and the large part: every exchange would carry its size.
        None => Box::pin(connector.connect(&site.destination, site.secure, until, progress)).await?,
    };
    progress.peer = Some(connection.peer);
    let request = request(site, outgoing);
    let started = clock.monotonic();
    match connection.send(request).await {
        Ok(answer) => {
            progress.timings.first_byte = Some(clock.monotonic().saturating_sub(started));
            Ok((answer, connection))
        }
        // Nobody else may repeat it silently, this place included: the caller records it and decides.
        Err(_) if reused && !connection.heard() => Err(Failure::Stale),
        Err(error) => Err(Failure::BrokenOff(connection::words(&error))),
    }
}

fn request(site: &Site, outgoing: Outgoing) -> http::Request<Full<Bytes>> {
    let method = match outgoing.method {
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Patch => http::Method::PATCH,
    };
    // `Host` goes first, as RFC 9110 asks; a header map keeps the order in which it was filled.
    let mut headers = HeaderMap::with_capacity(outgoing.headers.len() + 2);
    headers.insert(HOST, site.host.clone());
    headers.insert(CONTENT_LENGTH, HeaderValue::from(outgoing.body.len()));
    let mut last = None;
    for (name, value) in outgoing.headers {
        // A repeated header gives its name once.
        if name.is_some() {
            last = name;
        }
        if let Some(name) = last.as_ref().filter(|name| !is_transport_header(name)) {
            headers.append(name, value);
        }
    }
    let mut request = http::Request::new(Full::new(outgoing.body));
    *request.method_mut() = method;
    *request.uri_mut() = site.target.clone();
    *request.headers_mut() = headers;
    request
}

/// Whether a header is the transport's own, or one that proxies act on. Saving refuses them already; here is the last place
/// where one could slip onto the wire.
fn is_transport_header(name: &HeaderName) -> bool {
    const NAMES: &[&str] = &[
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "te",
        "trailer",
        "upgrade",
        "keep-alive",
        "x-upstream-https-proxy",
    ];
    const PREFIXES: &[&str] = &["proxy-", "x-smokescreen-"];
    let name = name.as_str();
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}
