//! Lists that the server gives in pages.

use hookyard_model::limits;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::client::Client;
use super::failure::Failure;

/// A page as the server gives it.
#[derive(Deserialize)]
struct Page {
    data: Vec<Box<RawValue>>,
    iterator: Option<String>,
    done: bool,
}

/// The items of a list, page after page, at most `max`.
pub(crate) async fn all(
    client: &mut Client,
    path: &[&str],
    query: &[(&str, &str)],
    max: usize,
) -> Result<Vec<Value>, Failure> {
    let items = as_they_are(client, path, query, max).await?;
    let read = items.iter().map(|item| serde_json::from_str(item.get())).collect::<Result<_, _>>();
    read.map_err(|error| Failure::Server(format!("the server's answer has an item that cannot be read: {error}")))
}

/// The same as the JSON that they are, for items with payloads.
pub(crate) async fn as_they_are(
    client: &mut Client,
    path: &[&str],
    query: &[(&str, &str)],
    max: usize,
) -> Result<Vec<Box<RawValue>>, Failure> {
    let mut items = Vec::new();
    let mut iterator: Option<String> = None;
    while items.len() < max {
        let limit = (max - items.len()).min(limits::PAGE).to_string();
        let mut query = query.to_vec();
        query.push(("limit", &limit));
        query.extend(iterator.as_deref().map(|iterator| ("iterator", iterator)));
        let Page { mut data, iterator: next, done } = client.get(path, &query).await?.read()?;
        data.truncate(max - items.len());
        items.append(&mut data);
        // A page without a way on is the last one, whatever it says.
        if done || next.is_none() || next == iterator {
            break;
        }
        iterator = next;
    }
    Ok(items)
}
