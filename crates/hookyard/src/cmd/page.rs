//! Lists that the server gives in pages.

use hookyard_model::limits;
use serde_json::Value;

use super::client::Client;
use super::failure::Failure;

/// The items of a list, page after page, at most `max`.
pub(crate) async fn all(
    client: &mut Client,
    path: &[&str],
    query: &[(&str, &str)],
    max: usize,
) -> Result<Vec<Value>, Failure> {
    let mut items = Vec::new();
    let mut iterator: Option<String> = None;
    while items.len() < max {
        let limit = (max - items.len()).min(limits::PAGE).to_string();
        let mut query = query.to_vec();
        query.push(("limit", &limit));
        query.extend(iterator.as_deref().map(|iterator| ("iterator", iterator)));
        let mut page = client.get(path, &query).await?.json()?;
        let next = page["iterator"].as_str().map(str::to_owned);
        let Value::Array(mut data) = page["data"].take() else {
            return Err(Failure::Server("the server's answer has no list".to_owned()));
        };
        data.truncate(max - items.len());
        items.append(&mut data);
        // A page without a way on is the last one, whatever it says.
        if page["done"] == Value::Bool(true) || next.is_none() || next == iterator {
            break;
        }
        iterator = next;
    }
    Ok(items)
}
