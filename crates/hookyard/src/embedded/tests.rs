//! An embedded node as a program sees it: declared, published, delivered, opened again.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use hookyard_model::{DisableReason, EndpointStatus, Origin, RetryPolicy, StateKind, Trust};
use hookyard_ports::StoreError;
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;

const SECRET: &str = "whsec_YW4gZXhhbXBsZSwgbm90IGEgcmVhbCBzZWNyZXQ=";

/// Answers every request with 204 and keeps what it got.
struct Receiver {
    address: SocketAddr,
    got: Arc<Mutex<Vec<String>>>,
    _task: JoinSet<()>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let got: Arc<Mutex<Vec<String>>> = Arc::default();
        let (kept, mut task) = (Arc::clone(&got), JoinSet::new());
        task.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut bytes = Vec::new();
                while !ends(&bytes) && stream.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {}
                kept.lock().push(String::from_utf8_lossy(&bytes).into_owned());
                let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
                stream.write_all(answer).await.expect("the node listens for an answer");
            }
        });
        Self { address, got, _task: task }
    }

    fn endpoint(&self, uid: &str) -> Endpoint {
        let url = format!("http://{}/{uid}", self.address);
        Endpoint::new(uid, &url).expect("declarable").signed_with(SECRET)
    }
}

/// The bodies of these tests end with a brace and have no other.
fn ends(request: &[u8]) -> bool {
    request.ends_with(b"}")
}

fn shop(endpoints: impl IntoIterator<Item = Endpoint>) -> Application {
    endpoints.into_iter().fold(Application::new("shop").expect("a uid"), Application::with)
}

fn paid() -> Publish {
    Publish::json("order.paid".parse().expect("an event type"), Bytes::from_static(b"{\"order\":1}"))
}

async fn open(directory: &Path, applications: impl IntoIterator<Item = Application>) -> Hookyard {
    Hookyard::builder(directory).declare(applications).open().await.expect("opens")
}

fn states(deliveries: &[Delivery]) -> Vec<StateKind> {
    deliveries.iter().map(|delivery| delivery.state.kind()).collect()
}

#[tokio::test]
async fn what_is_published_is_signed_delivered_and_logged() {
    let (directory, receiver) = (TempDir::new().expect("a directory"), Receiver::start().await);
    let hookyard = open(directory.path(), [shop([receiver.endpoint("crm")])]).await;
    let published = hookyard.publish("shop", paid()).await.expect("published");
    let id = published.message().id;
    let deliveries = hookyard.settled("shop", id).await.expect("settled");
    assert_eq!(states(&deliveries), [StateKind::Delivered]);
    let attempts = hookyard.attempts("shop", id).await.expect("attempts");
    assert_eq!(attempts.iter().map(|a| a.response.as_ref().map(|r| r.status)).collect::<Vec<_>>(), [Some(204)]);
    // Names of headers have no case.
    let got = receiver.got.lock().join("").to_lowercase();
    assert!(got.starts_with("post /crm http/1.1\r\n"), "{got}");
    assert!(got.contains("webhook-signature: v1,") && got.ends_with("\r\n\r\n{\"order\":1}"), "{got}");
    hookyard.stop().await;
}

#[tokio::test]
async fn only_those_who_asked_hear_what_a_server_says_about_itself() {
    let (directory, receiver) = (TempDir::new().expect("a directory"), Receiver::start().await);
    let endpoints = [receiver.endpoint("crm"), receiver.endpoint("operator").with_server_events()];
    let hookyard = open(directory.path(), [shop(endpoints)]).await;
    let publish = Publish { origin: Origin::Server, ..paid() };
    let published = hookyard.publish("shop", publish).await.expect("published");
    let deliveries = hookyard.settled("shop", published.message().id).await.expect("settled");
    assert_eq!(states(&deliveries), [StateKind::Delivered]);
    assert!(receiver.got.lock().join("").starts_with("POST /operator "));
    hookyard.stop().await;
}

#[tokio::test]
async fn what_a_stopped_node_left_pending_leaves_in_the_form_that_is_declared_at_the_next_opening() {
    let (directory, receiver) = (TempDir::new().expect("a directory"), Receiver::start().await);
    let closed = Endpoint::new("crm", "http://127.0.0.1:9/closed").expect("declarable").signed_with(SECRET);
    let accepting = Hookyard::builder(directory.path()).declare([shop([closed])]).accept_only();
    let hookyard = accepting.open().await.expect("opens");
    let published = hookyard.publish("shop", paid()).await.expect("published");
    let id = published.message().id;
    hookyard.stop().await;

    let hookyard = open(directory.path(), [shop([receiver.endpoint("crm")])]).await;
    assert_eq!(states(&hookyard.settled("shop", id).await.expect("settled")), [StateKind::Delivered]);
    assert_eq!(hookyard.attempts("shop", id).await.expect("attempts").len(), 1, "the former address was not tried");
    hookyard.stop().await;
}

#[tokio::test]
async fn the_directory_is_free_once_the_node_stopped_and_its_clones_say_so() {
    let (directory, receiver) = (TempDir::new().expect("a directory"), Receiver::start().await);
    let hookyard = open(directory.path(), [shop([receiver.endpoint("crm")])]).await;
    let second = Hookyard::builder(directory.path()).open().await.expect_err("in use");
    assert!(matches!(second, OpenError::Store(hookyard_sqlite::OpenError::InUse(_))), "{second:?}");
    let clone = hookyard.clone();
    hookyard.stop().await;
    clone.stop().await;
    let refused = clone.publish("shop", paid()).await.expect_err("stopped");
    assert!(matches!(refused, PublishError::Store(StoreError::Unavailable(_))), "{refused:?}");
    Hookyard::builder(directory.path()).open().await.expect("free").stop().await;
}

#[tokio::test]
async fn a_declaration_is_the_whole_of_it_and_keeps_what_stays() {
    let directory = TempDir::new().expect("a directory");
    let endpoint = |uid: &str| Endpoint::new(uid, "https://example.com/").expect("declarable").signed_with(SECRET);
    let hookyard = open(directory.path(), [shop([endpoint("crm"), endpoint("mail")])]).await;
    let before = hookyard.find("shop").await.expect("declared");
    let report = hookyard.declare([shop([endpoint("crm")])]).await.expect("declared");
    assert_eq!((report.archived, report.created), (1, 0), "{report:?}");
    let after = hookyard.find("shop").await.expect("declared");
    assert_eq!(after.endpoints.len(), 1);
    assert!(before.endpoints.iter().any(|endpoint| endpoint.id == after.endpoints[0].id));
    assert_eq!(after.endpoints[0].trust(), Trust::Operator);
    hookyard.stop().await;

    // Nothing is declared at this opening, so nothing is archived.
    let hookyard = Hookyard::builder(directory.path()).open().await.expect("opens");
    assert_eq!(hookyard.find("shop").await.expect("still there").endpoints.len(), 1);
    assert_eq!(hookyard.applications().await.expect("read").len(), 1);
    hookyard.declare([]).await.expect("nothing is declared");
    assert!(matches!(hookyard.find("shop").await, Err(ReadError::UnknownApplication)));
    hookyard.stop().await;
}

#[tokio::test]
async fn an_endpoint_is_switched_by_hand() {
    let (directory, receiver) = (TempDir::new().expect("a directory"), Receiver::start().await);
    let hookyard = open(directory.path(), [shop([receiver.endpoint("crm")])]).await;
    let disabled = hookyard.disable("shop", "crm").await.expect("disabled");
    assert!(matches!(disabled.status, EndpointStatus::Disabled { reason: DisableReason::Manual, .. }));
    let published = hookyard.publish("shop", paid()).await.expect("published");
    assert_eq!(hookyard.deliveries("shop", published.message().id).await.expect("read"), []);
    hookyard.enable("shop", &disabled.id.to_string()).await.expect("enabled");
    let key = DeliveryKey { message: published.message().id, endpoint: disabled.id };
    assert_eq!(hookyard.resend("shop", key).await.expect("resent"), Resent::Queued);
    assert_eq!(states(&hookyard.settled("shop", key.message).await.expect("settled")), [StateKind::Delivered]);
    assert!(matches!(hookyard.enable("shop", "nobody").await, Err(ReadError::UnknownEndpoint)));
    hookyard.stop().await;
}

#[tokio::test]
async fn what_could_never_be_sent_is_not_declared() {
    let directory = TempDir::new().expect("a directory");
    let hookyard = open(directory.path(), [shop([])]).await;
    let endpoint = || Endpoint::new("crm", "http://example.com/").expect("declarable").signed_with(SECRET);
    let refused = async |endpoint: Endpoint, expected: &str| {
        let error = hookyard.declare([shop([endpoint])]).await.expect_err(expected);
        assert!(error.to_string().contains(expected), "`{error}` does not say `{expected}`");
    };
    refused(endpoint().in_dialect("morse").expect("a name"), "dialect: is `morse`, must be one of `standard`").await;
    refused(endpoint().header("Host", "elsewhere"), "header `Host`: is the transport's own header").await;
    refused(endpoint().header("X-Team", "a\r\nb"), "header `X-Team`: holds a line break").await;
    refused(endpoint().wanting([]).expect("no name"), "event_types: is empty").await;
    refused(endpoint().signed_with("not a secret"), "endpoint `crm` of application `shop`: secret").await;
    refused(endpoint().option("encoding", "hex"), "options.encoding: is no option").await;
    let mut slow = endpoint();
    slow.settings.timeout = Some(Duration::from_hours(1));
    refused(slow, "timeout: must be from `100ms` to `5m`").await;

    let https = Application { require_https: Some(true), ..shop([endpoint()]) };
    let error = hookyard.declare([https]).await.expect_err("not https");
    assert!(error.to_string().contains("url: must be `https`"), "{error}");
    let twice = hookyard.declare([shop([endpoint(), endpoint()])]).await.expect_err("twice");
    assert!(twice.to_string().ends_with("is declared twice"), "{twice}");
    assert!(matches!(Endpoint::new("crm", "ftp://example.com"), Err(DeclareError::Url { .. })));
    assert_eq!(hookyard.find("shop").await.expect("as it was").endpoints.len(), 0);
    hookyard.stop().await;
}

#[tokio::test]
async fn a_directory_keeps_the_key_it_was_made_with() {
    let directory = TempDir::new().expect("a directory");
    let endpoint = Endpoint::new("crm", "https://example.com/").expect("declarable").signed_with(SECRET);
    open(directory.path(), [shop([endpoint])]).await.stop().await;
    assert!(directory.path().join("main_secret").is_file(), "the key lies where `hookyard serve` looks for it");
    let other = Hookyard::builder(directory.path()).main_secret("another one").open().await.expect_err("another key");
    assert!(matches!(other, OpenError::Store(hookyard_sqlite::OpenError::WrongSecret(_))), "{other:?}");
    Hookyard::builder(directory.path()).open().await.expect("its own key opens it").stop().await;
}

#[tokio::test]
async fn messages_are_kept_for_as_long_as_their_schedule_or_nothing_opens() {
    let directory = TempDir::new().expect("a directory");
    let days = |days: u64| Duration::from_hours(24 * days);
    let refused = |builder: Builder| async { builder.open().await.expect_err("refused").to_string() };
    let builder = || Hookyard::builder(directory.path());
    let said = refused(builder().retention(days(2))).await;
    assert_eq!(said, "`retention` is `2d`, must be at least `58h`: the retry schedule and one day");
    let slow = RetryPolicy::Fixed { delay: days(7), retries: 2 };
    let said = refused(builder().retry(slow.clone()).retention(days(14))).await;
    assert!(said.ends_with("must be at least `360h`: the retry schedule and one day"), "{said}");
    let crm = Endpoint::new("crm", "https://example.com/").expect("declarable").signed_with(SECRET).retry(slow);
    let said = refused(builder().retention(days(14)).declare([shop([crm.clone()])])).await;
    let expected = "takes up to `336h`, so `retention` must be at least `360h`";
    assert!(said.contains("endpoint `crm`") && said.ends_with(expected), "{said}");
    assert!(std::fs::read_dir(directory.path()).expect("readable").next().is_none(), "nothing was begun");

    let hookyard = builder().retention(days(14)).open().await.expect("opens");
    let said = hookyard.declare([shop([crm.clone()])]).await.expect_err("refused").to_string();
    assert!(said.ends_with(expected), "a later declaration is judged alike: {said}");
    hookyard.stop().await;
    builder().retention(days(15)).declare([shop([crm])]).open().await.expect("fifteen days suffice").stop().await;
}
