//! Turns names into addresses.
//!
//! Asked by the client for every fresh connection, never for one that is kept alive. The answers are only that: each
//! address is judged afterwards. [`SystemResolver`] asks the servers of `/etc/resolv.conf` and honours `/etc/hosts`, as
//! any program on the machine does, save for one thing: names are complete, so no search domain is ever appended and a
//! stranger cannot reach `db` by way of `db.corp.example`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolveHosts};
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::Name;
use hookyard_model::limits;
use hookyard_ports::Clock;
use parking_lot::Mutex;

/// Answers which addresses a name has.
#[async_trait]
pub trait Resolve: Send + Sync + 'static {
    /// All addresses of `name` (lower case, without a final dot), in the order in which they are to be tried.
    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError>;
}

/// Why a name has no addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// DNS knows no such name.
    #[error("name does not exist")]
    NoSuchName,
    /// The name exists and has no address.
    #[error("name has no address")]
    NoAddress,
    /// No server answered in time, or none is known.
    #[error("resolver did not answer")]
    NoAnswer,
    /// The server answered that it cannot tell.
    #[error("resolver could not find out")]
    Failed,
}

/// The resolver of the machine.
pub struct SystemResolver {
    clock: Arc<dyn Clock>,
    current: Mutex<Current>,
}

struct Current {
    resolver: Option<Arc<TokioResolver>>,
    read: Duration,
}

/// A resolver that fails reads the machine's files again when they are older: a laptop that moved or a container that
/// got its network late has other servers by then.
const READ_AGAIN: Duration = limits::UNRESOLVED_KEPT;

impl SystemResolver {
    /// The resolver that the machine's files describe. Without readable ones every name fails and addresses still work.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let current = Current { resolver: read_files(), read: clock.monotonic() };
        Self { clock, current: Mutex::new(current) }
    }

    fn current(&self) -> Option<Arc<TokioResolver>> {
        self.current.lock().resolver.clone()
    }

    fn read_again(&self) {
        let now = self.clock.monotonic();
        let mut current = self.current.lock();
        if now.saturating_sub(current.read) >= READ_AGAIN {
            *current = Current { resolver: read_files(), read: now };
        }
    }
}

fn read_files() -> Option<Arc<TokioResolver>> {
    let built = TokioResolver::builder_tokio().and_then(|mut builder| {
        let options = builder.options_mut();
        options.timeout = limits::RESOLVE / 2;
        options.attempts = 1;
        options.cache_size = limits::RESOLVED_NAMES as u64;
        options.positive_max_ttl = Some(limits::RESOLVED_KEPT);
        options.negative_max_ttl = Some(limits::UNRESOLVED_KEPT);
        options.use_hosts_file = ResolveHosts::Always;
        // IPv4 first: a machine with an IPv6 address and no IPv6 route is the commoner misfortune.
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.try_tcp_on_error = true;
        builder.build()
    });
    built
        .map(Arc::new)
        .inspect_err(|error| tracing::warn!("the system's resolver settings cannot be used: {error}"))
        .ok()
}

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let mut complete = Name::from_ascii(name).map_err(|_| ResolveError::NoSuchName)?;
        complete.set_fqdn(true);
        let result = match self.current() {
            Some(resolver) => look_up(&resolver, complete).await,
            None => Err(ResolveError::NoAnswer),
        };
        if result.is_err() {
            self.read_again();
        }
        result
    }
}

async fn look_up(resolver: &TokioResolver, name: Name) -> Result<Vec<IpAddr>, ResolveError> {
    match tokio::time::timeout(limits::RESOLVE, resolver.lookup_ip(name)).await {
        Ok(Ok(found)) => {
            let addresses: Vec<IpAddr> = found.iter().collect();
            if addresses.is_empty() { Err(ResolveError::NoAddress) } else { Ok(addresses) }
        }
        Ok(Err(error)) if error.is_nx_domain() => Err(ResolveError::NoSuchName),
        Ok(Err(error)) if error.is_no_records_found() => Err(ResolveError::NoAddress),
        Ok(Err(NetError::Dns(error))) => {
            tracing::debug!("the resolver failed: {error}");
            Err(ResolveError::Failed)
        }
        Ok(Err(error)) => {
            tracing::debug!("the resolver could not be asked: {error}");
            Err(ResolveError::NoAnswer)
        }
        Err(_) => Err(ResolveError::NoAnswer),
    }
}

impl std::fmt::Debug for SystemResolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SystemResolver").finish_non_exhaustive()
    }
}
