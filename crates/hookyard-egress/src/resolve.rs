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
use hickory_resolver::config::{LookupIpStrategy, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name;
use hickory_resolver::{ResolverBuilder, TokioResolver};
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
    files: Box<dyn Fn() -> ResolverBuilder<TokioRuntimeProvider> + Send + Sync>,
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
    /// The resolver that the machine's files describe. Where they name no server, only `/etc/hosts` is asked.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::reading(clock, read_files)
    }

    fn reading(
        clock: Arc<dyn Clock>,
        files: impl Fn() -> ResolverBuilder<TokioRuntimeProvider> + Send + Sync + 'static,
    ) -> Self {
        let current = Current { resolver: build(files()), read: clock.monotonic() };
        Self { clock, files: Box::new(files), current: Mutex::new(current) }
    }

    fn current(&self) -> Option<Arc<TokioResolver>> {
        self.current.lock().resolver.clone()
    }

    fn read_again(&self) {
        let now = self.clock.monotonic();
        let mut current = self.current.lock();
        if now.saturating_sub(current.read) >= READ_AGAIN {
            *current = Current { resolver: build((self.files)()), read: now };
        }
    }
}

fn read_files() -> ResolverBuilder<TokioRuntimeProvider> {
    TokioResolver::builder_tokio().unwrap_or_else(|error| {
        tracing::warn!("the system's resolver settings cannot be used: {error}");
        let nobody = ResolverConfig::from_parts(None, Vec::new(), Vec::new());
        TokioResolver::builder_with_config(nobody, TokioRuntimeProvider::default())
    })
}

fn build(mut builder: ResolverBuilder<TokioRuntimeProvider>) -> Option<Arc<TokioResolver>> {
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
    builder.build().map(Arc::new).inspect_err(|error| tracing::warn!("there is no resolver: {error}")).ok()
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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

    use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ProtocolConfig};
    use hickory_resolver::proto::op::{Message, ResponseCode};
    use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME};
    use hickory_resolver::proto::rr::{RData, Record, RecordType};
    use hookyard_model::Timestamp;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, UdpSocket};
    use tokio::task::JoinSet;

    use super::*;

    #[derive(Clone, Copy, PartialEq)]
    enum Over {
        Udp,
        Tcp,
    }

    /// What the test's name server says.
    fn answer(query: &[u8], over: Over, asked: &Mutex<Vec<String>>) -> Vec<u8> {
        let mut message = Message::from_vec(query).unwrap().into_response();
        let (name, kind) = (message.queries[0].name().clone(), message.queries[0].query_type());
        asked.lock().push(name.to_ascii());
        let mut records = Vec::new();
        match (name.to_ascii().to_lowercase().as_str(), kind) {
            ("both.example.", RecordType::A) => records.push(RData::A(A::new(192, 0, 2, 1))),
            ("both.example.", RecordType::AAAA) => {
                records.push(RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)));
            }
            ("alias.example.", _) => records.push(RData::CNAME(CNAME(Name::from_ascii("both.example.").unwrap()))),
            ("large.example.", RecordType::A) if over == Over::Udp => message.metadata.truncation = true,
            ("large.example.", RecordType::A) => records.push(RData::A(A::new(192, 0, 2, 2))),
            ("broken.example.", _) => message.metadata.response_code = ResponseCode::ServFail,
            ("bare.example." | "large.example.", _) => {}
            _ => message.metadata.response_code = ResponseCode::NXDomain,
        }
        message.add_answers(records.into_iter().map(|data| Record::from_rdata(name.clone(), 60, data)));
        message.to_vec().unwrap()
    }

    struct NameServer {
        address: SocketAddr,
        asked: Arc<Mutex<Vec<String>>>,
        _tasks: JoinSet<()>,
    }

    async fn name_server() -> NameServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let socket = UdpSocket::bind(address).await.unwrap();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let mut tasks = JoinSet::new();
        let (over_udp, over_tcp) = (Arc::clone(&asked), Arc::clone(&asked));
        tasks.spawn(async move {
            let mut query = [0; 1024];
            while let Ok((length, from)) = socket.recv_from(&mut query).await {
                socket.send_to(&answer(&query[..length], Over::Udp, &over_udp), from).await.unwrap();
            }
        });
        tasks.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                while let Ok(length) = stream.read_u16().await {
                    let mut query = vec![0; usize::from(length)];
                    stream.read_exact(&mut query).await.unwrap();
                    let answer = answer(&query, Over::Tcp, &over_tcp);
                    stream.write_u16(u16::try_from(answer.len()).unwrap()).await.unwrap();
                    stream.write_all(&answer).await.unwrap();
                }
            }
        });
        NameServer { address, asked, _tasks: tasks }
    }

    /// What a machine's files say that name this server, and a search domain that must never be used.
    fn files(address: SocketAddr) -> ResolverBuilder<TokioRuntimeProvider> {
        let [udp, tcp] = [ProtocolConfig::Udp, ProtocolConfig::Tcp].map(|protocol| {
            let mut connection = ConnectionConfig::new(protocol);
            connection.port = address.port();
            connection
        });
        let server = NameServerConfig::new(address.ip(), true, vec![udp, tcp]);
        let search = vec![Name::from_ascii("corp.example.").unwrap()];
        let config = ResolverConfig::from_parts(Some(search[0].clone()), search, vec![server]);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    }

    #[derive(Default)]
    struct StandingClock(AtomicU64);

    impl Clock for StandingClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_seconds(0)
        }

        fn monotonic(&self) -> Duration {
            Duration::from_secs(self.0.load(Ordering::SeqCst))
        }
    }

    #[tokio::test]
    async fn names_are_complete_and_failures_are_told_apart() {
        let server = name_server().await;
        let address = server.address;
        let resolver = SystemResolver::reading(Arc::<StandingClock>::default(), move || files(address));
        let both = Ok(vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()]);
        let cases = [
            ("both.example", both.clone()),
            ("alias.example", both),
            ("large.example", Ok(vec!["192.0.2.2".parse().unwrap()])),
            ("bare.example", Err(ResolveError::NoAddress)),
            ("missing.example", Err(ResolveError::NoSuchName)),
            ("crm", Err(ResolveError::NoSuchName)),
            ("broken.example", Err(ResolveError::Failed)),
            ("a..b", Err(ResolveError::NoSuchName)),
        ];
        for (name, expected) in cases {
            assert_eq!(resolver.resolve(name).await, expected, "{name}");
        }
        let asked = server.asked.lock().clone();
        assert!(asked.iter().any(|name| name == "crm."), "{asked:?}");
        assert!(asked.iter().all(|name| !name.contains("corp")), "{asked:?}");
    }

    #[tokio::test]
    async fn an_answer_is_asked_for_once() {
        let server = name_server().await;
        let address = server.address;
        let resolver = SystemResolver::reading(Arc::<StandingClock>::default(), move || files(address));
        for name in ["both.example", "both.example", "missing.example", "missing.example"] {
            let _ = resolver.resolve(name).await;
        }
        let asked = server.asked.lock().clone();
        assert_eq!(asked.iter().filter(|name| *name == "both.example.").count(), 2, "one question for each family");
    }

    #[tokio::test]
    async fn a_machine_without_name_servers_still_knows_itself() {
        let nobody = || {
            let config = ResolverConfig::from_parts(None, Vec::new(), Vec::new());
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let resolver = SystemResolver::reading(Arc::<StandingClock>::default(), nobody);
        assert!(resolver.resolve("localhost").await.unwrap().iter().all(IpAddr::is_loopback));
        assert_eq!(resolver.resolve("both.example").await, Err(ResolveError::NoAnswer));
    }

    #[tokio::test]
    async fn a_failure_reads_the_files_again_but_not_at_every_failure() {
        let server = name_server().await;
        let (address, read) = (server.address, Arc::<AtomicUsize>::default());
        let (clock, count) = (Arc::<StandingClock>::default(), Arc::clone(&read));
        let resolver = SystemResolver::reading(clock.clone(), move || {
            count.fetch_add(1, Ordering::SeqCst);
            files(address)
        });
        let _ = resolver.resolve("broken.example").await;
        assert_eq!(read.load(Ordering::SeqCst), 1);
        clock.0.fetch_add(READ_AGAIN.as_secs(), Ordering::SeqCst);
        let _ = resolver.resolve("both.example").await;
        assert_eq!(read.load(Ordering::SeqCst), 1, "nothing failed");
        for _ in 0..2 {
            let _ = resolver.resolve("broken.example").await;
            assert_eq!(read.load(Ordering::SeqCst), 2);
        }
    }
}
