//! Connections that are kept alive between requests, per endpoint.
//!
//! Used by the client. A *site* is an endpoint's URL with everything that follows from it alone: the judged destination,
//! the request line and the `Host` header, so that a request on a kept-alive connection computes none of them. A site
//! belongs to one endpoint and to one URL and trust; connections are never shared between endpoints, and a changed URL
//! closes what the old one left.
//!
//! **Invariant:** at most `limits::IDLE_CONNECTIONS` connections wait here, none longer than `limits::IDLE_CONNECTION`
//! plus one turn of the sweep, and each younger than `limits::CONNECTION_AGE` when it is taken.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use hookyard_model::{EndpointId, Trust, limits};
use http::{HeaderValue, Uri};
use parking_lot::Mutex;
use url::Url;

use crate::connection::Connection;
use crate::policy::Destination;

/// An endpoint's URL, prepared, with its idle connections.
pub(crate) struct Site {
    pub(crate) url: Url,
    pub(crate) trust: Trust,
    pub(crate) destination: Destination,
    pub(crate) secure: bool,
    /// The request's target in origin form.
    pub(crate) target: Uri,
    pub(crate) host: HeaderValue,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    /// A retired site takes nothing back: its URL is no longer the endpoint's, or the client has stopped.
    retired: bool,
    connections: Vec<Connection>,
}

impl Site {
    pub(crate) fn new(url: Url, trust: Trust, destination: Destination, target: Uri, host: HeaderValue) -> Self {
        let secure = url.scheme() == "https";
        Self { url, trust, destination, secure, target, host, idle: Mutex::default() }
    }
}

/// All sites.
#[derive(Default)]
pub(crate) struct Pool {
    sites: Mutex<Sites>,
    idle: AtomicUsize,
}

#[derive(Default)]
struct Sites {
    by_endpoint: HashMap<EndpointId, Arc<Site>>,
    /// Whether a task sweeps; there is one as long as there are sites.
    swept: bool,
    closed: bool,
}

/// Whether the caller must start sweeping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sweep {
    Start,
    Runs,
}

impl Pool {
    /// The endpoint's site, if it is still for this URL.
    pub(crate) fn site(&self, endpoint: EndpointId, url: &Url, trust: Trust) -> Option<Arc<Site>> {
        let sites = self.sites.lock();
        sites.by_endpoint.get(&endpoint).filter(|site| site.trust == trust && site.url == *url).cloned()
    }

    /// Makes `site` the endpoint's one.
    pub(crate) fn put_site(&self, endpoint: EndpointId, site: &Arc<Site>) -> Sweep {
        let mut sites = self.sites.lock();
        if sites.closed {
            site.idle.lock().retired = true;
            return Sweep::Runs;
        }
        if let Some(old) = sites.by_endpoint.insert(endpoint, Arc::clone(site)) {
            self.retire(&old);
        }
        if std::mem::replace(&mut sites.swept, true) { Sweep::Runs } else { Sweep::Start }
    }

    /// Takes the connection that was used last and can still be used; it is the likeliest to be open.
    pub(crate) async fn take(&self, site: &Site, now: Duration) -> Option<Connection> {
        loop {
            let mut connection = {
                let mut idle = site.idle.lock();
                let connection = idle.connections.pop()?;
                self.idle.fetch_sub(1, Ordering::Relaxed);
                if now.saturating_sub(connection.idle_since) > limits::IDLE_CONNECTION {
                    // The others have waited longer still.
                    self.idle.fetch_sub(idle.connections.len(), Ordering::Relaxed);
                    idle.connections.clear();
                    return None;
                }
                connection
            };
            let young = now.saturating_sub(connection.opened) < limits::CONNECTION_AGE;
            if young && poll_fn(|cx| Poll::Ready(connection.is_usable(cx))).await {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection for the site's next request, or closes it where there is no room.
    pub(crate) fn keep(&self, site: &Site, mut connection: Connection, now: Duration) {
        connection.idle_since = now;
        let mut idle = site.idle.lock();
        let room = !idle.retired && idle.connections.len() < limits::IDLE_PER_ENDPOINT;
        if room && self.idle.fetch_add(1, Ordering::Relaxed) < limits::IDLE_CONNECTIONS {
            idle.connections.push(connection);
        } else if room {
            self.idle.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Closes what waits for an endpoint.
    pub(crate) fn forget(&self, endpoint: EndpointId) {
        if let Some(site) = self.sites.lock().by_endpoint.remove(&endpoint) {
            self.retire(&site);
        }
    }

    /// Closes what has waited too long and drops the sites that nobody uses; `false` when no site is left to sweep.
    pub(crate) fn sweep(&self, now: Duration) -> bool {
        let mut sites = self.sites.lock();
        sites.by_endpoint.retain(|_, site| {
            let mut idle = site.idle.lock();
            let before = idle.connections.len();
            idle.connections.retain(|one| now.saturating_sub(one.idle_since) <= limits::IDLE_CONNECTION);
            self.idle.fetch_sub(before - idle.connections.len(), Ordering::Relaxed);
            !idle.connections.is_empty() || Arc::strong_count(site) > 1
        });
        sites.swept = !sites.by_endpoint.is_empty();
        sites.swept
    }

    /// Closes everything that waits, for good.
    pub(crate) fn close(&self) {
        let mut sites = self.sites.lock();
        sites.closed = true;
        for (_, site) in sites.by_endpoint.drain() {
            self.retire(&site);
        }
    }

    fn retire(&self, site: &Site) {
        let mut idle = site.idle.lock();
        idle.retired = true;
        self.idle.fetch_sub(idle.connections.len(), Ordering::Relaxed);
        idle.connections.clear();
    }
}
