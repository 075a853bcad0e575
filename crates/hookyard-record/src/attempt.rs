//! Attempts as columns.

use std::time::Duration;

use bytes::Bytes;
use hookyard_model::{Attempt, Peer, ResponseKept, Timings};

use crate::column::{Cells, Columns};
use crate::{decode_outcome, decode_trigger};

const PROXY: &str = "proxy ";

/// Reads an attempt from these columns: id, message, endpoint, application, trigger, outcome, started, dns, connect, tls,
/// `first_byte`, total, status, detail, rule, hint, peer, url, `request_headers`, `response_headers`, truncated, body.
pub fn read_attempt<'r, R: Cells<'r>>(columns: &Columns<R>) -> Result<Attempt, R::Fault> {
    let span = |index, column| columns.get::<Option<i64>>(index, column).map(|span| span.map(duration));
    let outcome = decode_outcome(
        columns.get(5, "outcome")?,
        columns.get(13, "detail")?,
        columns.get(14, "rule")?,
        columns.get(15, "hint")?,
    );
    let response = match columns.get(12, "status")? {
        None => None,
        Some(status) => Some(ResponseKept {
            status,
            headers: columns.get(19, "response_headers")?,
            body: Bytes::copy_from_slice(columns.get(21, "body")?),
            truncated: columns.get(20, "truncated")?,
        }),
    };
    Ok(Attempt {
        id: columns.get(0, "id")?,
        message: columns.get(1, "message")?,
        endpoint: columns.get(2, "endpoint")?,
        application: columns.get(3, "application")?,
        trigger: decode_trigger(columns.get(4, "trigger")?).ok_or_else(|| columns.corrupt("trigger"))?,
        outcome: outcome.ok_or_else(|| columns.corrupt("outcome"))?,
        started: columns.get(6, "started")?,
        timings: Timings {
            dns: span(7, "dns")?,
            connect: span(8, "connect")?,
            tls: span(9, "tls")?,
            first_byte: span(10, "first_byte")?,
            total: duration(columns.get(11, "total")?),
        },
        peer: columns.decode(16, "peer", decode_peer)?,
        url: columns.get(17, "url")?,
        request_headers: columns.get(18, "request_headers")?,
        response,
    })
}

fn duration(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// A span of time as a column keeps it: in microseconds.
pub fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// Whom a connection reached, as a column keeps it.
pub fn peer_text(peer: &Peer) -> String {
    match peer {
        Peer::Direct(address) => address.to_string(),
        Peer::Proxy(name) => format!("{PROXY}{name}"),
    }
}

fn decode_peer(text: &str) -> Option<Peer> {
    match text.strip_prefix(PROXY) {
        Some(name) => Some(Peer::Proxy(name.to_owned())),
        None => text.parse().ok().map(Peer::Direct),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_reads_back() {
        for peer in [
            Peer::Direct("[2001:db8::1]:443".parse().expect("an address")),
            Peer::Direct("192.0.2.1:80".parse().expect("an address")),
            Peer::Proxy("out of here".to_owned()),
        ] {
            assert_eq!(decode_peer(&peer_text(&peer)), Some(peer));
        }
        assert_eq!(decode_peer("nowhere"), None);
    }

    #[test]
    fn a_span_is_kept_in_microseconds_and_never_overflows() {
        assert_eq!(duration(micros(Duration::from_micros(1_500))), Duration::from_micros(1_500));
        assert_eq!(micros(Duration::MAX), i64::MAX);
        assert_eq!(duration(-1), Duration::ZERO);
    }
}
