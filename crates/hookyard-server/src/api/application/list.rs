//! `GET /api/v1/app`: the applications of an organisation, ascending unless asked otherwise; with `archived=true` those that
//! are archived, and none of the others.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use hookyard_model::{Application, ApplicationId, OrganisationId, limits};
use hookyard_ports::store::{Order, PageStart};

use super::ApplicationOut;
use crate::api::page::List;
use crate::auth::Caller;
use crate::doors::Doors;
use crate::error::Result;
use crate::query::Query;
use crate::reply;

pub(crate) async fn list(State(doors): State<Arc<Doors>>, caller: Caller, uri: Uri) -> Result<Response> {
    let organisation = caller.organisation_only()?.organisation;
    let query = Query::of(&uri);
    let (limit, start, order) = (query.limit()?, query.start()?, query.order(Order::Ascending)?);
    let which = if query.flag("archived", false)? { Which::Archived } else { Which::Present };
    let of = Of { doors: &doors, organisation, which };
    // One more than is shown tells whether there is more in the direction that is walked.
    let (mut items, upward) = match (order, start) {
        (Order::Ascending, PageStart::First) => (of.above(None, limit + 1).await?, true),
        (Order::Ascending, PageStart::After(id)) | (Order::Descending, PageStart::Before(id)) => {
            (of.above(Some(id), limit + 1).await?, true)
        }
        (Order::Descending, PageStart::First) => (of.below(None, limit + 1).await?, false),
        (Order::Descending, PageStart::After(id)) | (Order::Ascending, PageStart::Before(id)) => {
            (of.below(Some(id), limit + 1).await?, false)
        }
    };
    let done = items.len() <= limit;
    if !done {
        if upward { items.truncate(limit) } else { drop(items.remove(0)) }
    }
    if order == Order::Descending {
        items.reverse();
    }
    let ends = items.first().zip(items.last()).map(|(first, last)| (first.id, last.id));
    let data = items.iter().map(ApplicationOut::from).collect();
    Ok(reply::json(StatusCode::OK, &List::page(data, ends, done)))
}

/// Which applications are listed.
#[derive(Clone, Copy)]
enum Which {
    Present,
    Archived,
}

/// A list of applications, by id.
struct Of<'a> {
    doors: &'a Doors,
    organisation: OrganisationId,
    which: Which,
}

impl Of<'_> {
    /// The first `limit` after `id`, ascending.
    async fn above(&self, id: Option<ApplicationId>, limit: usize) -> Result<Vec<Application>> {
        let (store, organisation) = (&self.doors.store, self.organisation);
        Ok(match self.which {
            Which::Present => store.applications(organisation, id, limit).await?,
            Which::Archived => store.archived_applications(organisation, id, limit).await?,
        })
    }

    /// The last `limit` before `id`, ascending. The store walks upward only, so what is below is walked through once.
    async fn below(&self, id: Option<ApplicationId>, limit: usize) -> Result<Vec<Application>> {
        let mut last = VecDeque::with_capacity(limit + 1);
        let mut after = None;
        loop {
            let some = self.above(after, limits::PAGE).await?;
            let ended = some.len() < limits::PAGE;
            for application in some {
                if id.is_some_and(|id| application.id >= id) {
                    return Ok(last.into());
                }
                after = Some(application.id);
                last.push_back(application);
                if last.len() > limit {
                    last.pop_front();
                }
            }
            if ended {
                return Ok(last.into());
            }
        }
    }
}
