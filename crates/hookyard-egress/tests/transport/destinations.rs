//! What the client does not dial, whatever DNS says.

use std::net::SocketAddr;
use std::time::Duration;

use hookyard_egress::{Policy, ResolveError, Tls};
use hookyard_model::{Peer, Trust, limits};
use hookyard_ports::{Exchanged, RuleLabel, Transport};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::receiver::{Receiver, World, blocked, endpoint, read_request, request, response};

/// Answers one request and closes.
async fn answer_once(mut stream: TcpStream) {
    read_request(&mut stream).await;
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await;
}

#[tokio::test]
async fn a_strangers_loopback_url_is_never_dialled() {
    let receiver = Receiver::start(answer_once).await;
    let world = World::new(&[]);
    let exchange = world.post(&receiver.url()).await;
    let hint = format!("egress.allow = [\"{}\"]", receiver.address);
    assert_eq!(blocked(&exchange), ("loopback", Some(hint.as_str())));
    assert_eq!(exchange.peer, None);
    assert_eq!(receiver.accepted(), 0);
    let counted = world.metrics.blocked.get_or_create(&RuleLabel { rule: "loopback".to_owned() }).get();
    assert_eq!(counted, 1);
}

#[tokio::test]
async fn the_operators_own_url_may_be_on_loopback() {
    let receiver = Receiver::start(answer_once).await;
    let mut request = request(&receiver.url());
    request.trust = Trust::Operator;
    response(World::new(&[]).client.send(request).await);
}

#[tokio::test]
async fn a_name_that_turns_to_loopback_after_it_was_judged_is_refused() {
    // 127.0.0.2 stands for a public address: an entry lets it through, and 127.0.0.1 has none.
    let public = Receiver::start_at("127.0.0.2:0", answer_once).await;
    let port = public.address.port();
    let victim = Receiver::start_at(&format!("127.0.0.1:{port}"), answer_once).await;
    let world = World::new(&["127.0.0.2"]);
    world.names.answer("rebind.example", &["127.0.0.2"]);
    world.names.answer("rebind.example", &["127.0.0.1"]);
    let url = format!("http://rebind.example:{port}/");
    let first = world.post(&url).await;
    assert_eq!(first.peer, Some(Peer::Direct(public.address)), "what was judged is what was dialled");
    assert!(first.timings.dns.is_some());
    response(first);
    let second = world.post(&url).await;
    let hint = format!("egress.allow = [\"rebind.example:{port}\"]");
    assert_eq!(blocked(&second), ("loopback", Some(hint.as_str())));
    assert_eq!((public.accepted(), victim.accepted()), (1, 0));
}

#[tokio::test]
async fn a_name_with_one_good_and_one_bad_address_is_refused() {
    let public = Receiver::start_at("127.0.0.2:0", answer_once).await;
    let port = public.address.port();
    for addresses in [
        ["127.0.0.2", "10.0.0.1"],
        ["10.0.0.1", "127.0.0.2"],
        ["127.0.0.2", "::ffff:10.0.0.1"],
        ["127.0.0.2", "64:ff9b::10.0.0.1"],
    ] {
        let world = World::new(&["127.0.0.2"]);
        world.names.answer("both.example", &addresses);
        assert_eq!(blocked(&world.post(&format!("http://both.example:{port}/")).await).0, "private", "{addresses:?}");
    }
    assert_eq!(public.accepted(), 0);
}

#[tokio::test]
async fn a_refusal_does_not_tell_where_a_name_points() {
    let world = World::new(&[]);
    world.names.answer("inside.example", &["10.1.2.3"]);
    match world.post("http://inside.example/").await.result {
        Exchanged::Blocked(by) => {
            assert_eq!(
                by.why,
                "`inside.example` resolves to a private address, and webhooks go to public addresses only"
            );
            assert_eq!(by.hint.as_deref(), Some("egress.allow = [\"inside.example:80\"]"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_verdict_for_one_name_is_not_used_for_another() {
    let receiver = Receiver::start(answer_once).await;
    let port = receiver.address.port();
    let world = World::new(&[&format!("a.example:{port}")]);
    world.names.answer("a.example", &["127.0.0.1"]);
    world.names.answer("b.example", &["127.0.0.1"]);
    world.answer(&format!("http://a.example:{port}/")).await;
    for number in [1, 2] {
        let mut request = request(&format!("http://b.example:{port}/"));
        request.endpoint = endpoint(number);
        assert_eq!(blocked(&world.client.send(request).await).0, "loopback");
    }
    assert_eq!(receiver.accepted(), 1);
}

#[tokio::test]
async fn metadata_stays_shut_for_the_operators_own_names() {
    let world = World::new(&["0.0.0.0/0", "meta.example"]);
    world.names.answer("meta.example", &["169.254.169.254"]);
    for trust in [Trust::Strict, Trust::Operator] {
        let mut request = request("http://meta.example/latest/meta-data");
        request.trust = trust;
        assert_eq!(blocked(&world.client.send(request).await), ("metadata", None));
    }
}

#[tokio::test]
async fn a_mapped_address_of_a_resolver_is_dialled_as_what_it_is() {
    let receiver = Receiver::start(answer_once).await;
    let port = receiver.address.port();
    let world = World::new(&["127.0.0.1"]);
    world.names.answer("mapped.example", &["::ffff:127.0.0.1"]);
    let exchange = world.post(&format!("http://mapped.example:{port}/")).await;
    assert_eq!(exchange.peer, Some(Peer::Direct(receiver.address)));
    response(exchange);
}

#[tokio::test]
async fn a_name_is_tried_at_its_first_addresses_in_order() {
    let receiver = Receiver::start_at("127.0.0.99:0", answer_once).await;
    let port = receiver.address.port();
    let world = World::new(&["127.0.0.0/8"]);
    for ahead in 0..=limits::ADDRESSES_TRIED {
        let name = format!("many{ahead}.example");
        let mut addresses: Vec<String> = (0..ahead).map(|number| format!("127.0.0.{}", 10 + number)).collect();
        addresses.push(receiver.address.ip().to_string());
        world.names.put(&name, Ok(addresses.iter().map(|address| address.parse().unwrap()).collect()));
        let exchange = world.post(&format!("http://{name}:{port}/")).await;
        if ahead < limits::ADDRESSES_TRIED {
            assert_eq!(exchange.peer, Some(Peer::Direct(receiver.address)), "{ahead} refuse ahead of it");
            response(exchange);
        } else {
            assert!(matches!(&exchange.result, Exchanged::ConnectFailed(words) if words == "connection refused"));
        }
    }
}

#[tokio::test]
async fn the_host_header_has_no_final_dot_and_no_usual_port() {
    let receiver = Receiver::start(|mut stream| async move {
        let request = read_request(&mut stream).await.unwrap();
        let host = request.lines().nth(1).unwrap_or_default().to_owned();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{host}", host.len());
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await;
    let port = receiver.address.port();
    let world = World::new(&["127.0.0.1"]);
    world.names.answer("dot.example", &["127.0.0.1"]);
    let answer = world.answer(&format!("http://Dot.example.:{port}/")).await;
    assert_eq!(answer.body, format!("Host: dot.example:{port}"));
}

#[tokio::test]
async fn a_listener_of_our_own_is_recognised_by_the_connection_itself() {
    // Open on all addresses, so that only the connection tells that it stayed on this machine.
    let receiver = Receiver::start_at("0.0.0.0:0", answer_once).await;
    let port = receiver.address.port();
    // A machine without a network has no such address, and then nobody can reach the listener through one.
    let Some(own) = own_address() else { return };
    let policy = Policy {
        allow: vec!["0.0.0.0/0".parse().unwrap()],
        own_listeners: vec![receiver.address],
        ..Policy::default()
    };
    let world = World::with(policy, Tls::trusting(rustls::RootCertStore::empty()));
    world.names.answer("self.example", &[&own.ip().to_string()]);
    for url in [format!("http://{}:{port}/", own.ip()), format!("http://self.example:{port}/")] {
        assert_eq!(blocked(&world.post(&url).await).0, "own_listener", "{url}");
    }
}

/// The address of this machine on its network, if it is on one; nothing is sent to find out.
fn own_address() -> Option<SocketAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().filter(|address| !address.ip().is_loopback() && !address.ip().is_unspecified())
}

#[tokio::test]
async fn what_dns_says_is_told_in_words() {
    let world = World::new(&[]);
    world.names.put("slow.example", Err(ResolveError::NoAnswer));
    world.names.put("bare.example", Err(ResolveError::NoAddress));
    world.names.answer("empty.example", &[]);
    for (name, words) in [
        ("missing.example", "name does not exist"),
        ("slow.example", "resolver did not answer"),
        ("bare.example", "name has no address"),
        ("empty.example", "name has no address"),
    ] {
        let exchange = world.post(&format!("http://{name}/")).await;
        assert!(matches!(&exchange.result, Exchanged::DnsFailed(told) if told == words), "{name}: {exchange:?}");
    }
}

#[tokio::test]
async fn the_resolver_counts_against_the_time_limit() {
    struct Silent;
    #[async_trait::async_trait]
    impl hookyard_egress::Resolve for Silent {
        async fn resolve(&self, _: &str) -> Result<Vec<std::net::IpAddr>, ResolveError> {
            std::future::pending().await
        }
    }
    let client = hookyard_egress::Client::new(hookyard_egress::Options {
        policy: Policy::default(),
        resolver: std::sync::Arc::new(Silent),
        tls: Tls::trusting(rustls::RootCertStore::empty()),
        metrics: std::sync::Arc::default(),
        clock: std::sync::Arc::new(hookyard_ports::SystemClock::new()),
    });
    let mut request = request("http://silent.example/");
    request.timeout = Duration::from_millis(100);
    let exchange = client.send(request).await;
    assert!(matches!(exchange.result, Exchanged::TimedOut), "{:?}", exchange.result);
    assert!(exchange.timings.connect.is_none() && exchange.timings.total >= Duration::from_millis(100));
}
