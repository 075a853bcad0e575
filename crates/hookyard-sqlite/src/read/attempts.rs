//! Attempts, one or a page.

use hookyard_model::{ApplicationId, Attempt, AttemptId, EndpointId, RawId};
use hookyard_ports::store::{AttemptQuery, Page};
use hookyard_record::{Pages, Step, Walk};
use rusqlite::{Connection, OptionalExtension as _, Rows, params};

use crate::attempt::{self, Glance};
use crate::fault::Attempted;
use crate::hot;

/// An application's endpoints, archived ones included.
pub(crate) const ENDPOINTS: &str = "SELECT row FROM endpoint INDEXED BY endpoint_application WHERE application = ?1";
/// An endpoint of an application, archived or not.
pub(crate) const ENDPOINT: &str = "SELECT row FROM endpoint WHERE id = ?2 AND application = ?1";

/// One attempt. Looks for it at each endpoint of the application: an index of ids alone would cost every settle more than
/// this costs the rare reader.
pub(crate) fn one(connection: &Connection, application: ApplicationId, id: AttemptId) -> Attempted<Option<Attempt>> {
    let Some(application) = crate::configuration::application_row(connection, application)? else { return Ok(None) };
    let mut statement = connection.prepare_cached(attempt::BY_ID)?;
    for endpoint in endpoints(connection, application)? {
        let found = statement
            .query_row(params![endpoint, id.raw().as_bytes()], |row| Ok(attempt::read(row)))
            .optional()?
            .transpose()?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn endpoints(connection: &Connection, application: i64) -> Attempted<Vec<i64>> {
    let mut statement = connection.prepare_cached(ENDPOINTS)?;
    let rows = statement.query_map([application], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A page of the attempts of a message, of an endpoint, of both, or of a whole application.
pub(crate) fn page(connection: &Connection, query: &AttemptQuery) -> Attempted<Page<Attempt>> {
    let mut pages = Pages::new(query.page.limit);
    let walk = Walk::new(&query.page, |id: AttemptId| id.raw(), query.after, query.before);
    if let Some(application) = crate::configuration::application_row(connection, query.application)? {
        let endpoint = match query.endpoint {
            None => None,
            Some(id) => match endpoint_row(connection, application, id)? {
                None => return Ok(pages.finish(&query.page.start)),
                Some(row) => Some(row),
            },
        };
        if let Some(message) = query.message {
            let mut seq = connection.prepare_cached(hot::SEQ)?;
            let seq = seq.query_row(params![application, message.raw().as_bytes()], |row| row.get::<_, i64>(0));
            if let Some(seq) = seq.optional()? {
                let of = walk.of(attempt::OF_MESSAGE_UPWARDS, attempt::OF_MESSAGE_DOWNWARDS);
                let mut statement = connection.prepare_cached(of)?;
                collect(&mut pages, query, endpoint, statement.query(params![seq, walk.above, walk.below])?)?;
            }
        } else if let Some(endpoint) = endpoint {
            let of = walk.of(attempt::OF_ENDPOINT_UPWARDS, attempt::OF_ENDPOINT_DOWNWARDS);
            let mut statement = connection.prepare_cached(of)?;
            collect(&mut pages, query, None, statement.query(params![endpoint, walk.above, walk.below])?)?;
        } else {
            merge(connection, &mut pages, query, &endpoints(connection, application)?, &walk)?;
        }
    }
    Ok(pages.finish(&query.page.start))
}

fn endpoint_row(connection: &Connection, application: i64, id: EndpointId) -> Attempted<Option<i64>> {
    let mut statement = connection.prepare_cached(ENDPOINT)?;
    Ok(statement.query_row(params![application, id.raw().as_bytes()], |row| row.get(0)).optional()?)
}

fn collect(
    pages: &mut Pages<Attempt>,
    query: &AttemptQuery,
    endpoint: Option<i64>,
    mut rows: Rows<'_>,
) -> Attempted<()> {
    while let Some(row) = rows.next()? {
        let glance = Glance::new(row);
        let is_of = match endpoint {
            None => true,
            Some(endpoint) => glance.endpoint()? == endpoint,
        };
        match pages.step(glance.id()?, is_of && is_wanted(query, &glance)?) {
            Step::Take => pages.take(attempt::read(row)?, 0),
            Step::Skip => {}
            Step::Stop => break,
        }
    }
    Ok(())
}

/// Walks the attempts of several endpoints as one list: of the next ones of each, the first, again and again.
fn merge(
    connection: &Connection,
    pages: &mut Pages<Attempt>,
    query: &AttemptQuery,
    endpoints: &[i64],
    walk: &Walk,
) -> Attempted<()> {
    let mut next = connection.prepare_cached(walk.of(attempt::NEXT_UPWARDS, attempt::NEXT_DOWNWARDS))?;
    let mut after = |endpoint: i64, above: &[u8], below: &[u8]| -> Attempted<Option<RawId>> {
        let id = next.query_row(params![endpoint, above, below], |row| row.get(0)).optional()?;
        Ok(id.map(RawId::from_bytes))
    };
    let mut heads = std::collections::BTreeSet::new();
    for endpoint in endpoints {
        heads.extend(after(*endpoint, &walk.above, &walk.below)?.map(|id| (id, *endpoint)));
    }
    let mut read = connection.prepare_cached(attempt::BY_ID)?;
    while let Some((id, endpoint)) = if walk.upwards { heads.pop_first() } else { heads.pop_last() } {
        let mut rows = read.query(params![endpoint, id.as_bytes()])?;
        if let Some(row) = rows.next()? {
            match pages.step(id, is_wanted(query, &Glance::new(row))?) {
                Step::Take => pages.take(attempt::read(row)?, 0),
                Step::Skip => {}
                Step::Stop => break,
            }
        }
        let following = if walk.upwards {
            after(endpoint, id.as_bytes(), &walk.below)?
        } else {
            after(endpoint, &walk.above, id.as_bytes())?
        };
        heads.extend(following.map(|id| (id, endpoint)));
    }
    Ok(())
}

fn is_wanted(query: &AttemptQuery, glance: &Glance<'_, '_>) -> Attempted<bool> {
    let succeeded = match query.succeeded {
        None => true,
        Some(asked) => glance.succeeded()? == asked,
    };
    let class = match query.status_class {
        None => true,
        Some(asked) => glance.status_class()? == asked,
    };
    let started = glance.started()?;
    let time = query.before.is_none_or(|before| started < before) && query.after.is_none_or(|after| started >= after);
    Ok(succeeded && class && time)
}
