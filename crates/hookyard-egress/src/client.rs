//! The transport: what the engine calls for every attempt.
//!
//! Made once by the binary. It promises what the port says: one request, no redirect, no repetition, an end within the
//! time limit, and nothing sent to a destination that the guard refuses. Proxies named by the environment are not read,
//! because they would carry requests past the guard.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use hookyard_model::{BlockedBy, EndpointId, Peer, Trust, limits};
use hookyard_ports::{Clock, Exchange, Exchanged, Metrics, Request, RuleLabel, Transport};
use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::connect::{Connector, Failure};
use crate::exchange::{Outgoing, Progress, exchange};
use crate::policy::{Destination, Host, Policy};
use crate::pool::{Pool, Site, Sweep};
use crate::refusal::{Refusal, Rule};
use crate::resolve::Resolve;
use crate::tls::Tls;

/// What a client is made of.
pub struct Options {
    /// What may be reached.
    pub policy: Policy,
    /// What names resolve to.
    pub resolver: Arc<dyn Resolve>,
    /// Whom TLS trusts.
    pub tls: Tls,
    /// Where refusals are counted.
    pub metrics: Arc<Metrics>,
    /// What timings are measured with.
    pub clock: Arc<dyn Clock>,
}

/// Sends requests, guarded.
pub struct Client {
    connector: Connector,
    pool: Arc<Pool>,
    metrics: Arc<Metrics>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Client {
    /// A client without connections.
    pub fn new(options: Options) -> Self {
        let Options { policy, resolver, tls, metrics, clock } = options;
        Self {
            connector: Connector { policy, resolver, tls, clock },
            pool: Arc::default(),
            metrics,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    /// The policy that requests are judged by; the doors ask it when an endpoint is saved.
    pub const fn policy(&self) -> &Policy {
        &self.connector.policy
    }

    /// Closes what is kept alive and ends the client's own task. Requests in flight finish; later ones keep nothing.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.pool.close();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn site(&self, endpoint: EndpointId, url: &Url, trust: Trust) -> Result<Arc<Site>, Refusal> {
        if let Some(site) = self.pool.site(endpoint, url, trust) {
            return Ok(site);
        }
        let destination = self.connector.policy.judge_url(url, trust)?;
        let host = host_header(url, &destination).ok_or(Refusal::of_url(Rule::Host))?;
        let site = Arc::new(Site::new(url.clone(), trust, destination, target(url), host));
        if self.pool.put_site(endpoint, &site) == Sweep::Start {
            self.tasks.spawn(sweep(Arc::clone(&self.pool), Arc::clone(&self.connector.clock), self.stop.clone()));
        }
        Ok(site)
    }
}

/// Closes idle connections that nobody comes back for, until none is left.
async fn sweep(pool: Arc<Pool>, clock: Arc<dyn Clock>, stop: CancellationToken) {
    let turn = limits::IDLE_CONNECTION / 4;
    while stop.run_until_cancelled(tokio::time::sleep(turn)).await.is_some() {
        if !pool.sweep(clock.monotonic()) {
            break;
        }
    }
}

#[async_trait]
impl Transport for Client {
    async fn send(&self, request: Request) -> Exchange {
        let started = self.connector.clock.monotonic();
        let mut progress = Progress::default();
        let Request { endpoint, url, trust, method, headers, body, timeout } = request;
        let result = match self.site(endpoint, &url, trust) {
            Ok(site) => {
                let outgoing = Outgoing { method, headers, body, timeout };
                exchange(&self.connector, &self.pool, &site, outgoing, &mut progress).await
            }
            Err(refusal) => Err(Failure::Blocked(refusal)),
        };
        let result = match result {
            Ok(response) => Exchanged::Response(response),
            Err(failure) => Exchanged::from(failure),
        };
        if let Exchanged::Blocked(BlockedBy { rule, .. }) = &result {
            self.metrics.blocked.get_or_create(&RuleLabel { rule: rule.clone() }).inc();
        }
        progress.timings.total = self.connector.clock.monotonic().saturating_sub(started);
        Exchange { result, timings: progress.timings, peer: progress.peer.map(Peer::Direct) }
    }

    fn forget(&self, endpoint: EndpointId) {
        self.pool.forget(endpoint);
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// The `Host` header: without a final dot, which many servers do not take for the same name, and with the port only when
/// it is not the scheme's own.
fn host_header(url: &Url, destination: &Destination) -> Option<HeaderValue> {
    let host = match &destination.host {
        Host::Name(name) => name,
        Host::Address(_) => url.host_str()?,
    };
    match url.port() {
        Some(port) => HeaderValue::try_from(format!("{host}:{port}")).ok(),
        None => HeaderValue::try_from(host).ok(),
    }
}

/// The characters that a URL may keep and a request line may not (RFC 3986, 2.2 and 2.3, turned round).
const NOT_IN_TARGET: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\\').add(b'^').add(b'`').add(b'{').add(b'|').add(b'}');

/// The request's target in origin form.
fn target(url: &Url) -> Uri {
    let kept = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let parsed = kept.parse::<PathAndQuery>();
    let parsed = parsed.or_else(|_| utf8_percent_encode(kept, NOT_IN_TARGET).to_string().parse());
    parsed.map(Uri::from).expect("a URL's path and query are ASCII, and what a target cannot hold is encoded")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_and_query_that_a_url_can_hold_becomes_a_target() {
        for byte in 0..=u8::MAX {
            let character = char::from(byte);
            let text = format!("http://example.com/a{character}b/[]?c{character}d#e");
            let Ok(url) = Url::parse(&text) else { continue };
            let target = target(&url).to_string();
            assert!(
                target.starts_with('/') && target.is_ascii() && !target.contains([' ', '#', '\r', '\n']),
                "{target}"
            );
        }
        let url = Url::parse("http://example.com/bot1:A/x?a=b&c=%20d").unwrap();
        assert_eq!(target(&url).to_string(), "/bot1:A/x?a=b&c=%20d");
        assert_eq!(target(&Url::parse("http://example.com").unwrap()).to_string(), "/");
        assert_eq!(target(&Url::parse("http://example.com?x").unwrap()).to_string(), "/?x");
    }
}
