//! `GET /api/v1/app/{app}/endpoint`: the endpoints of an application, descending unless asked otherwise.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use hookyard_model::{Endpoint, EndpointId};
use hookyard_ports::store::{Order, PageStart};

use super::EndpointOut;
use crate::api::page::List;
use crate::api::{archived, find};
use crate::auth::Caller;
use crate::doors::Doors;
use crate::error::Result;
use crate::query::Query;
use crate::reply;
use crate::segments::Segments;

pub(crate) async fn list(
    State(doors): State<Arc<Doors>>,
    caller: Caller,
    Segments(application): Segments<String>,
    uri: Uri,
) -> Result<Response> {
    let query = Query::of(&uri);
    let (limit, start, order) = (query.limit()?, query.start()?, query.order(Order::Descending)?);
    let view = find::application_ever(&doors, caller, &application).await?;
    let mut endpoints: Vec<&Endpoint> = view.endpoints.iter().map(|endpoint| &**endpoint).collect();
    if order == Order::Descending {
        endpoints.reverse();
    }
    let (page, done) = cut(&endpoints, start, order, limit);
    let ends = page.first().zip(page.last()).map(|(first, last)| (first.id, last.id));
    let data = page.iter().map(|endpoint| EndpointOut::from(*endpoint)).collect();
    Ok(archived::mark(&view.application, reply::json(StatusCode::OK, &List::page(data, ends, done))))
}

/// The page, and whether nothing more is in the direction that was walked. `endpoints` stand in `order`.
fn cut<'a, 'b>(
    endpoints: &'a [&'b Endpoint],
    start: PageStart<EndpointId>,
    order: Order,
    limit: usize,
) -> (&'a [&'b Endpoint], bool) {
    let is_before = |endpoint: &&Endpoint, id: EndpointId| match order {
        Order::Ascending => endpoint.id < id,
        Order::Descending => endpoint.id > id,
    };
    match start {
        PageStart::First => (&endpoints[..limit.min(endpoints.len())], endpoints.len() <= limit),
        PageStart::After(id) => {
            let from = endpoints.partition_point(|endpoint| is_before(endpoint, id) || endpoint.id == id);
            let until = endpoints.len().min(from + limit);
            (&endpoints[from..until], until == endpoints.len())
        }
        PageStart::Before(id) => {
            let until = endpoints.partition_point(|endpoint| is_before(endpoint, id));
            let from = until.saturating_sub(limit);
            (&endpoints[from..until], from == 0)
        }
    }
}
