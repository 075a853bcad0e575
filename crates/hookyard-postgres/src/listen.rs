//! Which endpoints changed, on whatever node they did, and what other nodes say is due.
//!
//! The table of changes is the truth. Whoever waits asks it when this process changed something, when another node says so
//! (`NOTIFY`, where there is a connection to listen on), and now and then in any case. What is due is
//! only heard, and passed on as the hint that it is ([`crate::hint`]).

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use hookyard_model::EndpointId;
use hookyard_ports::StoreError;
use hookyard_ports::store::Changes;
use tokio::sync::watch;
use tokio_postgres::AsyncMessage;
use tokio_postgres::types::Type;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::column::{Columns, int};
use crate::fault::Attempted;
use crate::hint;
use crate::node::{Deed, Node};
use crate::transaction::{Mode, Tx};
use crate::url::Place;

/// How often the table is asked without a listener.
const POLL: Duration = Duration::from_secs(1);
/// How often it is asked beside one: a notice may be lost with its connection.
const POLL_BESIDE_LISTENER: Duration = Duration::from_secs(10);
/// How long the listener waits before it connects again.
const AGAIN: Duration = Duration::from_secs(1);

/// How far the cursors are, and from where the changes are known.
pub(crate) const KNOWN: &str = "SELECT coalesce((SELECT cursor FROM @change ORDER BY cursor DESC LIMIT 1), 0), \
     coalesce((SELECT cursor FROM @change ORDER BY cursor LIMIT 1), 0)";
/// Endpoints that changed after a cursor.
pub(crate) const SINCE: &str = "SELECT DISTINCT endpoint FROM @change WHERE cursor > $1";
/// Every endpoint there is.
const ALL: &str = "SELECT id FROM @endpoint";

/// What changed after a cursor.
struct Since(Option<u64>);

impl Deed for Since {
    type Answer = Changes;
    const MODE: Mode = Mode::Read;

    async fn run(&self, tx: &Tx) -> Attempted<Changes> {
        let (cursor, first) = match tx.find(KNOWN, &[]).await? {
            None => (0, 0),
            Some(row) => {
                let columns = Columns::new("change", &row);
                (columns.get::<u64>(0, "cursor")?, columns.get::<u64>(1, "cursor")?)
            }
        };
        let Some(after) = self.0.filter(|after| *after != cursor) else {
            return Ok(Changes { cursor, endpoints: Vec::new() });
        };
        // A cursor that is older than what is known, or of another database, may have missed any.
        let rows = if after > cursor || after + 1 < first {
            tx.query(ALL, &[]).await?
        } else {
            tx.query(SINCE, &[(&int(after), Type::INT8)]).await?
        };
        let read = |row| Ok(EndpointId::from_raw(Columns::new("change", row).id(0, "endpoint")?));
        let mut endpoints = rows.iter().map(read).collect::<Attempted<Vec<_>>>()?;
        endpoints.sort_unstable();
        Ok(Changes { cursor, endpoints })
    }
}

/// Tells what changed after a cursor, once something did; the present cursor at once where there is none.
pub(crate) async fn changes(
    node: &Arc<Node>,
    cursor: Option<u64>,
    mut ended: watch::Receiver<bool>,
    is_listening: bool,
) -> Result<Changes, StoreError> {
    loop {
        let mut woken = node.wakes();
        let changes = node.perform(&Since(cursor)).await?;
        if cursor.is_none_or(|cursor| cursor != changes.cursor) {
            return Ok(changes);
        }
        let poll = if is_listening { POLL_BESIDE_LISTENER } else { POLL };
        tokio::select! {
            biased;
            _ = ended.wait_for(|ended| *ended) => {
                return Err(StoreError::Unavailable("it is closed".to_owned()));
            }
            _ = woken.changed() => {}
            () = tokio::time::sleep(poll) => {}
        }
    }
}

/// Listens for as long as the store is open, connecting again whenever the connection is lost.
pub(crate) async fn listen(node: Arc<Node>, place: Place, tls: MakeRustlsConnect, mut ended: watch::Receiver<bool>) {
    let mut is_failing = false;
    loop {
        tokio::select! {
            biased;
            _ = ended.wait_for(|ended| *ended) => return,
            lost = hear(&node, &place, &tls, &mut is_failing) => {
                if !is_failing {
                    is_failing = true;
                    tracing::warn!(error = %lost, "the listener lost its connection; changes are asked for meanwhile");
                }
            }
        }
        tokio::select! {
            biased;
            _ = ended.wait_for(|ended| *ended) => return,
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}

/// Passes on what one connection hears, until it is lost; gives why.
async fn hear(node: &Node, place: &Place, tls: &MakeRustlsConnect, is_failing: &mut bool) -> String {
    let (client, mut connection) = match place.config.connect(tls.clone()).await {
        Ok(connected) => connected,
        Err(error) => return crate::fault::told(&error),
    };
    let mut messages = std::pin::pin!(stream::poll_fn(move |context| connection.poll_message(context)));
    let due = node.schema.due_channel();
    let mut words = format!("LISTEN \"{}\"", node.schema.channel());
    if node.heard.delivers() {
        write!(words, "; LISTEN \"{due}\"").expect("writing to memory cannot fail");
    }
    let mut listening = std::pin::pin!(client.batch_execute(&words));
    let mut is_listening = false;
    loop {
        tokio::select! {
            biased;
            listens = &mut listening, if !is_listening => {
                if let Err(error) = listens {
                    return crate::fault::told(&error);
                }
                (is_listening, *is_failing) = (true, false);
                // What was said before anybody listened.
                node.wake();
            }
            message = messages.next() => match message {
                Some(Ok(AsyncMessage::Notification(said))) if said.channel() == due => hint::heard(node, said.payload()),
                Some(Ok(AsyncMessage::Notification(_))) => node.wake(),
                Some(Ok(_)) => {}
                Some(Err(error)) => return crate::fault::told(&error),
                None => return "the server closed it".to_owned(),
            },
        }
    }
}
