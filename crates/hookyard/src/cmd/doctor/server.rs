//! The address of the doors: free for a start, or a server of ours already answers on it.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use hookyard_model::Timestamp;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::Finding;
use crate::config::Config;

const PORT: &str = "port";
/// How long a server may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(3);
/// Bytes of what it may say about that.
const ANSWER_BYTES: usize = 16 * 1024;
/// What our health door says.
const ALIVE: &[u8] = br#"{"status": "ok"}"#;

/// What a running server of ours told of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answered {
    /// Its clock.
    pub(super) date: Option<Timestamp>,
}

/// Looks at the address that the settings name.
pub(super) async fn look(config: &Config, findings: &mut Vec<Finding>) -> Option<Answered> {
    let address = config.settings.listen.value;
    let Err(error) = TcpListener::bind(address).await else {
        findings.push(Finding::ok(PORT, format!("`{address}` is free")));
        return None;
    };
    let place = &config.settings.listen.place;
    if error.kind() != ErrorKind::AddrInUse {
        let said = format!("cannot listen on `{address}` ({place}): {error}");
        findings.push(Finding::fail(PORT, said).hint("name another address with `listen`"));
        return None;
    }
    let asked = async {
        let (status, headers, body) = ask(reachable(address), "/health").await?;
        (status.is_success() && body == ALIVE).then_some(headers)
    };
    let Some(headers) = asked.await else {
        let said = format!("`{address}` ({place}) is taken by something that is no Hookyard");
        findings.push(Finding::fail(PORT, said).hint("stop it, or name another address with `listen`"));
        return None;
    };
    findings.push(match ask(reachable(address), "/health/ready").await {
        Some((StatusCode::OK, ..)) => Finding::ok(PORT, format!("a server answers on `{address}` and is ready")),
        Some((_, _, body)) => {
            let said: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            let why = said["reasons"][0].as_str().unwrap_or("it does not say why");
            Finding::fail(PORT, format!("a server answers on `{address}` and is not ready: {why}"))
        }
        None => Finding::fail(PORT, format!("a server answers on `{address}` and does not tell whether it is ready")),
    });
    let date = headers.get(header::DATE).and_then(|date| date.to_str().ok()).and_then(read_date);
    Some(Answered { date })
}

/// Where to ask for what listens on every address.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Asks without a token; `None` when nothing comes back that is HTTP.
async fn ask(address: SocketAddr, path: &str) -> Option<(StatusCode, HeaderMap, Bytes)> {
    let asked = async {
        let stream = TcpStream::connect(address).await.ok()?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await.ok()?;
        // Ends with this function.
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let request = Request::get(path).header(header::HOST, address.to_string()).body(Empty::<Bytes>::new()).ok()?;
        let (head, body) = sender.send_request(request).await.ok()?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES).collect().await.ok()?.to_bytes();
        Some((head.status, head.headers, body))
    };
    tokio::time::timeout(PATIENCE, asked).await.ok().flatten()
}

/// Reads the date of an answer (RFC 9110, section 5.6.7), in the form that servers send: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn read_date(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, date) = text.split_once(", ")?;
    let mut parts = date.split(' ');
    let (day, month, year, time) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    format!("{year}-{month:02}-{day}T{time}Z").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_answers_are_read() {
        let expected: Timestamp = "1994-11-06T08:49:37Z".parse().expect("a time");
        assert_eq!(read_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(expected));
        for text in ["", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 06 Nev 1994 08:49:37 GMT", "Sun, 06 Nov"] {
            assert_eq!(read_date(text), None, "{text}");
        }
    }

    #[test]
    fn what_listens_everywhere_is_asked_at_home() {
        for (address, expected) in
            [("0.0.0.0:80", "127.0.0.1:80"), ("[::]:80", "[::1]:80"), ("192.0.2.1:80", "192.0.2.1:80")]
        {
            let address: SocketAddr = address.parse().expect("an address");
            assert_eq!(reachable(address).to_string(), expected);
        }
    }
}
