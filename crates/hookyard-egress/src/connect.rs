//! Makes a fresh connection: resolve, judge, dial, TLS.
//!
//! Used by the client when the pool has nothing. The verdict and the dial belong together: the address that was judged is
//! the address that is dialled, with nothing in between that could ask DNS again.
//!
//! A name with one good and one bad address is refused as a whole. Trying only the good ones would work more often, but
//! then it would depend on chance and on the order of records whether a webhook is let out, and nobody could explain it.

use std::borrow::Cow;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hookyard_model::{BlockedBy, limits};
use hookyard_ports::{Clock, Exchanged};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, timeout_at};

use crate::connection::Connection;
use crate::exchange::Progress;
use crate::policy::{Destination, Host, Policy};
use crate::refusal::Refusal;
use crate::resolve::{Resolve, ResolveError};
use crate::tls::{self, Tls};
use crate::wire::Stream;

/// How long a dial rests when the process has no file for its socket.
const FILE_REST: Duration = Duration::from_millis(100);

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    Dns(ResolveError),
    Connect(Cow<'static, str>),
    Tls(Cow<'static, str>),
    BrokenOff(Cow<'static, str>),
    Stale,
    Blocked(Refusal),
    TimedOut,
}

impl From<Failure> for Exchanged {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Dns(error) => Self::DnsFailed(error.to_string()),
            Failure::Connect(words) => Self::ConnectFailed(words.into_owned()),
            Failure::Tls(words) => Self::TlsFailed(words.into_owned()),
            Failure::BrokenOff(words) => Self::BrokenOff(words.into_owned()),
            Failure::Stale => Self::StaleConnection,
            Failure::Blocked(refusal) => Self::Blocked(BlockedBy::from(refusal)),
            Failure::TimedOut => Self::TimedOut,
        }
    }
}

/// Makes connections.
pub(crate) struct Connector {
    pub(crate) policy: Policy,
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) tls: Tls,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Connector {
    /// Connects to a destination. `until` is when the attempt ends; several addresses share the time that is left.
    pub(crate) async fn connect(
        &self,
        to: &Destination,
        secure: bool,
        until: Instant,
        progress: &mut Progress,
    ) -> Result<Connection, Failure> {
        let addresses = self.addresses(to, progress).await?;
        let started = self.clock.monotonic();
        let (stream, peer) = self.dial(to, &addresses, until).await?;
        let connected = self.clock.monotonic();
        progress.timings.connect = Some(connected.saturating_sub(started));
        progress.peer = Some(peer);
        let stream = if secure {
            let stream = self.secure(to, peer.ip(), stream).await?;
            progress.timings.tls = Some(self.clock.monotonic().saturating_sub(connected));
            stream
        } else {
            Stream::Plain(stream)
        };
        let opened = self.clock.monotonic();
        Connection::open(stream, peer, opened)
            .await
            .map_err(|error| Failure::BrokenOff(crate::connection::words(&error)))
    }

    /// The destination's addresses, all of them judged.
    async fn addresses(&self, to: &Destination, progress: &mut Progress) -> Result<Vec<IpAddr>, Failure> {
        let name = match &to.host {
            Host::Address(ip) => {
                self.policy.judge_address(*ip, to.port, to.standing).map_err(Failure::Blocked)?;
                return Ok(vec![*ip]);
            }
            Host::Name(name) => name,
        };
        let started = self.clock.monotonic();
        let resolved = self.resolver.resolve(name).await;
        progress.timings.dns = Some(self.clock.monotonic().saturating_sub(started));
        let mut addresses = resolved.map_err(Failure::Dns)?;
        for ip in &mut addresses {
            *ip = ip.to_canonical();
            self.policy
                .judge_address(*ip, to.port, to.standing)
                .map_err(|refusal| Failure::Blocked(refusal.told_of(name, to.port)))?;
        }
        addresses.truncate(limits::ADDRESSES_TRIED);
        if addresses.is_empty() { Err(Failure::Dns(ResolveError::NoAddress)) } else { Ok(addresses) }
    }

    /// Tries the addresses in order.
    async fn dial(
        &self,
        to: &Destination,
        addresses: &[IpAddr],
        until: Instant,
    ) -> Result<(TcpStream, SocketAddr), Failure> {
        let mut failure = Failure::Dns(ResolveError::NoAddress);
        for (index, ip) in addresses.iter().enumerate() {
            let address = SocketAddr::new(*ip, to.port);
            let left = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
            let now = Instant::now();
            let share = now + until.saturating_duration_since(now) / left;
            match patiently(share, || TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    self.judge_connected(to, &stream, address)?;
                    // Requests are written whole; waiting to fill a segment only delays them.
                    let _ = stream.set_nodelay(true);
                    return Ok((stream, address));
                }
                Ok(Err(error)) => failure = Failure::Connect(words(&error)),
                Err(_) => failure = Failure::TimedOut,
            }
        }
        Err(failure)
    }

    fn judge_connected(&self, to: &Destination, stream: &TcpStream, peer: SocketAddr) -> Result<(), Failure> {
        let Ok(local) = stream.local_addr() else { return Ok(()) };
        self.policy.judge_connected(local.ip(), peer, to.standing).map_err(|refusal| {
            Failure::Blocked(match &to.host {
                Host::Address(_) => refusal,
                Host::Name(name) => refusal.told_of(name, to.port),
            })
        })
    }

    async fn secure(&self, to: &Destination, ip: IpAddr, stream: TcpStream) -> Result<Stream, Failure> {
        let name = match &to.host {
            Host::Address(_) => ServerName::from(ip),
            Host::Name(name) => ServerName::try_from(name.clone())
                .map_err(|_| Failure::Tls("name cannot stand in a certificate".into()))?,
        };
        match self.tls.connector.connect(name, stream).await {
            Ok(stream) => Ok(Stream::Tls(Box::new(stream))),
            Err(error) => Err(Failure::Tls(tls::words(&error))),
        }
    }
}

/// Dials until there is a connection or an answer. That this process has no file left for a socket is no answer: it is not
/// the receiver's fault, and trying again at once would spend its schedule in a moment.
async fn patiently<T, F>(until: Instant, mut dial: impl FnMut() -> F) -> Result<io::Result<T>, Elapsed>
where
    F: Future<Output = io::Result<T>>,
{
    let mut starved = None;
    let dialled = timeout_at(until, async {
        loop {
            match dial().await {
                Err(error) if is_out_of_files(&error) => starved = Some(error),
                dialled => return dialled,
            }
            sleep(FILE_REST).await;
        }
    });
    match (dialled.await, starved) {
        (Err(_), Some(error)) => Ok(Err(error)),
        (dialled, _) => dialled,
    }
}

/// Whether this process, or the system, has as many files open as it may. The standard library has no kind for these.
fn is_out_of_files(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
}

/// What a failed dial is called.
#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is the standard library's and grows")]
fn words(error: &io::Error) -> Cow<'static, str> {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::ConnectionReset => "connection reset",
        io::ErrorKind::HostUnreachable => "no route to host",
        io::ErrorKind::NetworkUnreachable => "network is unreachable",
        io::ErrorKind::TimedOut => "no answer to the connection request",
        io::ErrorKind::PermissionDenied => "this machine does not permit the connection",
        io::ErrorKind::AddrNotAvailable => "this machine has no free port for the connection",
        // The rest has no class of its own, such as too many open files; the system's own words are the best ones.
        _ => return error.to_string().into(),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Dials that fail with the system's errors `codes`, one after the other, and succeed afterwards.
    async fn dialled(codes: &[i32], within: Duration) -> (Option<io::Result<()>>, Duration) {
        let begun = Instant::now();
        let mut codes = codes.iter();
        let dial = || std::future::ready(codes.next().map_or(Ok(()), |code| Err(io::Error::from_raw_os_error(*code))));
        let outcome = patiently(begun + within, dial).await;
        (outcome.ok(), begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_dial_waits_for_a_file_and_for_nothing_else() {
        let second = Duration::from_secs(1);
        let (dialled_at_once, took) = dialled(&[], second).await;
        assert!(matches!(dialled_at_once, Some(Ok(()))) && took.is_zero());
        let (dialled_later, took) = dialled(&[24, 23, 24], second).await;
        assert!(matches!(dialled_later, Some(Ok(()))));
        assert_eq!(took, FILE_REST * 3);
        let (refused, took) = dialled(&[111], second).await;
        assert!(matches!(refused, Some(Err(_))) && took.is_zero());
    }

    #[tokio::test(start_paused = true)]
    async fn a_dial_that_never_gets_a_file_says_so_when_its_time_is_up() {
        let (outcome, took) = dialled(&[24; 100], Duration::from_millis(950)).await;
        let Some(Err(error)) = outcome else { panic!("{outcome:?}") };
        assert!(is_out_of_files(&error));
        assert_eq!(took, Duration::from_millis(950));
    }
}
