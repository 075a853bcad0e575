//! Reads a JSON file into a tree of places.
//!
//! Called for Immich's file. Strict RFC 8259, at most [`limits::JSON_DEPTH`](hookyard_model::limits::JSON_DEPTH) levels
//! deep; nothing recurses.

use hookyard_dialects::json::{self, Kind, Token, Tokens};

use super::document::Document;
use super::fault::Faults;
use super::tree::{Given, Name, Node};

/// An object or list that is not complete.
struct Open {
    node: Node,
    /// The name of the value that comes next, in an object.
    name: Option<Name>,
}

/// The file's value; `None` when it is not JSON, which has been said.
pub(super) fn read(document: &Document<'_>, text: &str, faults: &mut Faults) -> Option<Node> {
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    for token in Tokens::new(text.as_bytes()) {
        let token = match token {
            Ok(token) => token,
            Err(error) => {
                faults.add(
                    &document.place(error.at),
                    "",
                    format_args!("is not JSON: expected {} here", error.expected),
                );
                return None;
            }
        };
        let place = document.place(token.start);
        let given = match token.kind {
            Kind::ObjectStart => {
                open.push(Open { node: Node { place, given: Given::Map(Vec::new()) }, name: None });
                continue;
            }
            Kind::ArrayStart => {
                open.push(Open { node: Node { place, given: Given::List(Vec::new()) }, name: None });
                continue;
            }
            Kind::Key => {
                if let Some(object) = open.last_mut() {
                    object.name = Some(Name { text: string(token), place });
                }
                continue;
            }
            Kind::ObjectEnd | Kind::ArrayEnd => {
                let closed = open.pop()?.node;
                put(&mut open, &mut root, closed);
                continue;
            }
            Kind::String => Given::Text(string(token)),
            Kind::Number => Given::Number(String::from_utf8_lossy(token.raw).into_owned()),
            Kind::Literal => match token.raw {
                b"true" => Given::Boolean(true),
                b"false" => Given::Boolean(false),
                _ => Given::Null,
            },
        };
        put(&mut open, &mut root, Node { place, given });
    }
    root
}

/// A string's text. The file is UTF-8, so there always is one.
fn string(token: Token<'_>) -> String {
    json::text(token.raw).map(std::borrow::Cow::into_owned).unwrap_or_default()
}

/// Puts a complete value where it belongs.
fn put(open: &mut [Open], root: &mut Option<Node>, value: Node) {
    let Some(outer) = open.last_mut() else {
        *root = Some(value);
        return;
    };
    match &mut outer.node.given {
        Given::Map(members) => members.extend(outer.name.take().map(|name| (name, value))),
        Given::List(items) => items.push(value),
        Given::Null | Given::Boolean(_) | Given::Number(_) | Given::Text(_) => {}
    }
}
