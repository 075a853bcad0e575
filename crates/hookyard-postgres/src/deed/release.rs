//! Gives leases back without a trace.

use std::collections::BTreeSet;

use hookyard_model::DeliveryKey;
use tokio_postgres::types::Type;

use crate::column::{Id, int};
use crate::fault::Attempted;
use crate::node::Deed;
use crate::transaction::{Tx, Whom};

/// Deliveries lose their holder.
pub(crate) const RELEASE: &str = "UPDATE @owed o SET holder = NULL FROM unnest($2, $3) AS k(message, endpoint) \
    WHERE o.message = k.message AND o.endpoint = k.endpoint AND coalesce(o.holder, 0) = $1";

/// Releases what this incarnation holds of these.
pub(crate) struct Release(pub(crate) Vec<DeliveryKey>);

impl Deed for Release {
    type Answer = ();

    async fn run(&self, tx: &Tx) -> Attempted<()> {
        let (messages, endpoints): (Vec<Id>, Vec<Id>) =
            self.0.iter().map(|key| (Id(key.message.raw()), Id(key.endpoint.raw()))).unzip();
        let me = int(tx.node().incarnation.0);
        let parameters: [crate::column::Parameter<'_>; 3] =
            [(&me, Type::INT8), (&messages, Type::BYTEA_ARRAY), (&endpoints, Type::BYTEA_ARRAY)];
        tx.execute(RELEASE, &parameters).await?;
        let now = tx.node().clock.now();
        for endpoint in self.0.iter().map(|key| key.endpoint).collect::<BTreeSet<_>>() {
            tx.say_due(endpoint, now, Whom::Others);
        }
        Ok(())
    }
}
