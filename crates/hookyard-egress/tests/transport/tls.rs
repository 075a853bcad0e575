//! TLS against receivers with certificates of a test's own authority.

use std::sync::Arc;

use bytes::Bytes;
use hookyard_egress::{Policy, Tls};
use hookyard_ports::{Exchanged, Transport};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{RootCertStore, ServerConfig};
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

use crate::receiver::{Receiver, World, read_request, request, response};

/// A certificate authority.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// What a client uses that trusts this authority and nothing else.
    fn tls(&self) -> Tls {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        Tls::trusting(roots)
    }

    /// A receiver with a certificate for `name`.
    async fn receiver(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Receiver {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        serve(certificate.der().clone(), &key).await
    }
}

async fn serve(certificate: CertificateDer<'static>, key: &KeyPair) -> Receiver {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Receiver::start(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            while let Some(request) = read_request(&mut stream).await {
                if request.ends_with("close") {
                    return;
                }
                let name = stream.get_ref().1.server_name().unwrap_or("none").to_owned();
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len());
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.flush().await;
            }
        }
    })
    .await
}

/// A world that trusts `tls`, lets loopback through and knows `shop.example`.
fn world(tls: Tls) -> World {
    let world = World::with(Policy { allow: vec!["127.0.0.1".parse().unwrap()], ..Policy::default() }, tls);
    world.names.answer("shop.example", &["127.0.0.1"]);
    world
}

fn url(receiver: &Receiver) -> String {
    format!("https://shop.example:{}/", receiver.address.port())
}

#[track_caller]
fn failed(exchanged: &Exchanged) -> &str {
    match exchanged {
        Exchanged::TlsFailed(words) => words,
        other => panic!("TLS did not fail but {other:?}"),
    }
}

#[tokio::test]
async fn a_good_certificate_is_accepted_and_the_connection_kept() {
    let authority = Authority::new("ours");
    let receiver = authority.receiver("shop.example", |_| ()).await;
    let world = world(authority.tls());
    let first = world.post(&url(&receiver)).await;
    assert!(first.timings.dns.is_some() && first.timings.connect.is_some() && first.timings.tls.is_some());
    assert_eq!(response(first).body, "shop.example", "the receiver is told which name is meant");
    let second = world.post(&url(&receiver)).await;
    assert!(second.timings.tls.is_none());
    response(second);
    assert_eq!(receiver.accepted(), 1);
}

#[tokio::test]
async fn a_certificate_for_an_address_is_accepted_for_it() {
    let authority = Authority::new("ours");
    let receiver = authority.receiver("127.0.0.1", |_| ()).await;
    let answer = world(authority.tls()).answer(&format!("https://{}/", receiver.address)).await;
    assert_eq!(answer.body, "none", "an address is not a server name");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new("ours");
    let receiver = authority.receiver("other.example", |_| ()).await;
    let exchange = world(authority.tls()).post(&url(&receiver)).await;
    assert_eq!(failed(&exchange.result), "certificate is not valid for name");
    assert!(exchange.peer.is_some() && exchange.timings.connect.is_some() && exchange.timings.tls.is_none());
}

#[tokio::test]
async fn a_certificate_outside_its_time_is_refused() {
    let authority = Authority::new("ours");
    let expired = authority.receiver("shop.example", |params| params.not_after = date_time_ymd(2020, 1, 1)).await;
    let exchange = world(authority.tls()).post(&url(&expired)).await;
    assert_eq!(failed(&exchange.result), "certificate has expired");
    let early = authority.receiver("shop.example", |params| params.not_before = date_time_ymd(4000, 1, 1)).await;
    let exchange = world(authority.tls()).post(&url(&early)).await;
    assert_eq!(failed(&exchange.result), "certificate is not valid yet");
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    let receiver = Authority::new("an unknown one").receiver("shop.example", |_| ()).await;
    let exchange = world(Authority::new("another").tls()).post(&url(&receiver)).await;
    assert_eq!(failed(&exchange.result), "certificate has an unknown issuer");
    let exchange = world(Tls::system([])).post(&url(&receiver)).await;
    assert_eq!(failed(&exchange.result), "certificate has an unknown issuer");
}

#[tokio::test]
async fn a_receiver_without_tls_is_told_apart() {
    let plain = Receiver::start(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
        read_request(&mut stream).await;
    })
    .await;
    let world = world(Authority::new("another").tls());
    let exchange = world.post(&url(&plain)).await;
    assert_eq!(failed(&exchange.result), "receiver does not speak TLS on this port");
    let closing = Receiver::start(|stream| async move { drop(stream) }).await;
    let exchange = world.post(&url(&closing)).await;
    assert_eq!(failed(&exchange.result), "connection closed during the TLS handshake");
}

#[tokio::test]
async fn a_kept_alive_tls_connection_that_closes_without_a_byte_is_stale() {
    let authority = Authority::new("ours");
    let receiver = authority.receiver("shop.example", |_| ()).await;
    let world = world(authority.tls());
    world.answer(&url(&receiver)).await;
    let mut closing = request(&url(&receiver));
    closing.body = Bytes::from_static(b"close");
    let exchange = world.client.send(closing).await;
    assert!(matches!(exchange.result, Exchanged::StaleConnection), "{:?}", exchange.result);
}
