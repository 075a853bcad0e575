//! The way from a node to its database, and what stands on it.
//!
//! A promise about a database that goes away holds on every [`Way`]: [`on_every_way`] makes one test for each of a function
//! that takes one.

use crate::deployment::{Deployment, Node};
use crate::pooler::Pooler;
use crate::proxy::Proxy;
use crate::schema::Schema;

/// How nodes reach their database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// The server itself; what other nodes change is asked for.
    Direct,
    /// The server itself, also to listen on: every connection is a session of the node's own.
    DirectListening,
    /// Through a pooler, with nothing to listen on: what other nodes change is asked for.
    Pooled,
    /// Through a pooler, with the server itself to listen on.
    PooledListening,
}

impl Way {
    /// Whether nodes listen to what others change.
    const fn is_listening(self) -> bool {
        match self {
            Self::Direct | Self::Pooled => false,
            Self::DirectListening | Self::PooledListening => true,
        }
    }

    /// Whether a pooler stands on it.
    pub(crate) const fn is_pooled(self) -> bool {
        match self {
            Self::Direct | Self::DirectListening => false,
            Self::Pooled | Self::PooledListening => true,
        }
    }
}

/// Makes a test of each function for every way, in a module of the function's name.
macro_rules! on_every_way {
    ($($test:ident)+) => {
        $(mod $test {
            use crate::world::Way;

            #[tokio::test]
            async fn directly() {
                super::$test(Way::Direct).await;
            }

            #[tokio::test]
            async fn directly_while_listening() {
                super::$test(Way::DirectListening).await;
            }

            #[tokio::test]
            async fn through_a_pooler() {
                super::$test(Way::Pooled).await;
            }

            #[tokio::test]
            async fn through_a_pooler_while_listening() {
                super::$test(Way::PooledListening).await;
            }
        })+
    };
}
pub(crate) use on_every_way;

/// What the guide says about a pooler's settings, and fewer connections than the nodes would like to have.
pub(crate) const ADVISED: [(&str, &str); 4] =
    [("max_client_conn", "100"), ("default_pool_size", "8"), ("server_login_retry", "1"), ("query_wait_timeout", "5")];

/// A schema, and the way to it.
pub(crate) struct World {
    /// Nodes, told to leave first, may still have something to write.
    pub(crate) pooler: Option<Pooler>,
    database: String,
    listen: Option<String>,
    pub(crate) schema: Schema,
}

impl World {
    /// One on the server that tests may use; `None`, and said, where it cannot be.
    pub(crate) async fn new(way: Way) -> Option<Self> {
        let schema = Schema::new()?;
        let url = schema.url().to_owned();
        Self::through(schema, &url, way, &ADVISED).await
    }

    /// One on a server of the test's own.
    pub(crate) async fn on(url: &str, way: Way) -> Option<Self> {
        Self::through(Schema::on(url)?, url, way, &ADVISED).await
    }

    /// One whose nodes, or whose pooler, find the schema's server at another URL.
    pub(crate) async fn through(schema: Schema, url: &str, way: Way, settings: &[(&str, &str)]) -> Option<Self> {
        let listen = way.is_listening().then(|| url.to_owned());
        if !way.is_pooled() {
            return Some(Self { pooler: None, database: url.to_owned(), listen, schema });
        }
        let pooler = Pooler::before(url, settings).await?;
        Some(Self { database: pooler.url(url), pooler: Some(pooler), listen, schema })
    }

    /// Where nodes find the database.
    pub(crate) fn url(&self) -> &str {
        &self.database
    }

    /// A node of this name.
    pub(crate) fn node(&self, name: &str, config: &str) -> Deployment {
        self.node_through(&self.database, name, config)
    }

    /// A node of this name that finds the database at another URL.
    pub(crate) fn node_through(&self, url: &str, name: &str, config: &str) -> Deployment {
        let node = self.schema.node_through(url, name, config);
        match &self.listen {
            Some(listen) => node.set("HOOKYARD_DATABASE_LISTEN", listen),
            None => node,
        }
    }
}

/// Where a line is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    /// Before the server, whoever asks it.
    Server,
    /// Behind the node, which may ask a pooler.
    Node,
}

/// A world with a line in it that can be cut.
pub(crate) struct Cuttable {
    pub(crate) proxy: Proxy,
    pub(crate) world: World,
    url: String,
}

impl Cuttable {
    /// One on the server that tests may use.
    pub(crate) async fn new(way: Way, at: At) -> Option<Self> {
        match at {
            At::Server => {
                let schema = Schema::new()?;
                let proxy = Proxy::before(schema.url()).await;
                let url = proxy.url(schema.url());
                let world = World::through(schema, &url, way, &ADVISED).await?;
                Some(Self { proxy, url: world.url().to_owned(), world })
            }
            At::Node => {
                let world = World::new(way).await?;
                let proxy = Proxy::before(world.url()).await;
                Some(Self { url: proxy.url(world.url()), proxy, world })
            }
        }
    }

    /// A node whose line is the one that can be cut.
    pub(crate) fn node(&self, name: &str, config: &str) -> Deployment {
        self.world.node_through(&self.url, name, config)
    }

    /// A node with a line of its own to the server, which is left alone.
    pub(crate) fn other(&self, name: &str, config: &str) -> Deployment {
        self.world.schema.node(name, config)
    }
}

/// A message that is not taken for now: the answer says so, and when to come again; the node is not ready, says why, and
/// lives.
pub(crate) async fn check_refused(node: &Node<'_>) {
    let refused = node.publish_body(r#"{"eventType":"a","payload":0}"#).await.expect(503);
    assert_eq!(refused.json()["code"], "unavailable");
    assert_eq!(refused.headers["retry-after"], "5");
    let ready = node.get("/health/ready").await.expect(503).json();
    assert!(ready["reasons"][0].as_str().is_some_and(|reason| reason.starts_with("store ")), "{ready}");
    node.get("/health/live").await.expect(200);
}

/// The log of a node whose database was away some times: it says why, and does not bury that.
#[track_caller]
pub(crate) fn check_log(log: &str, outages: usize) {
    let warnings: Vec<_> = log.lines().filter(|line| line.contains(" WARN ") || line.contains(" ERROR ")).collect();
    let says_why =
        |line: &&str| line.contains("error=store is unavailable: ") || line.contains("error=store is full: ");
    assert!(warnings.iter().any(says_why), "no line says why:\n{log}");
    assert!(warnings.len() <= 6 * outages, "{} warnings bury why:\n{log}", warnings.len());
}
