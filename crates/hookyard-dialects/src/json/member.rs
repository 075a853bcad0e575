//! The members of an object, in the bytes they were written in.

use std::iter::FusedIterator;

use super::{JsonError, Kind, Tokens, text};

/// One member of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member<'a> {
    /// Its name as written, quotes included; [`text`] reads it.
    pub key: &'a [u8],
    /// Its value as written, without the space around it.
    pub value: &'a [u8],
}

impl Member<'_> {
    /// Whether it has this name, however its writer escaped it.
    pub fn is(&self, name: &str) -> bool {
        if self.key.contains(&b'\\') {
            text(self.key).is_some_and(|key| key == name)
        } else {
            let unquoted = self.key.strip_prefix(b"\"").and_then(|key| key.strip_suffix(b"\""));
            unquoted == Some(name.as_bytes())
        }
    }
}

/// The members of one object in their order, repeated names included; after an error nothing follows.
#[derive(Debug, Clone)]
pub struct Members<'a> {
    tokens: Tokens<'a>,
    begun: bool,
}

/// The members of the object that `bytes` are.
pub fn members(bytes: &[u8]) -> Members<'_> {
    Members { tokens: Tokens::new(bytes), begun: false }
}

impl<'a> Members<'a> {
    fn advance(&mut self) -> Result<Option<Member<'a>>, JsonError> {
        if !self.begun {
            self.begun = true;
            let first = self.tokens.next().transpose()?;
            if first.is_none_or(|token| token.kind != Kind::ObjectStart) {
                return Err(JsonError { at: 0, expected: "an object" });
            }
        }
        let Some(key) = self.tokens.next().transpose()?.filter(|token| token.kind == Kind::Key) else {
            // The object is closed; what follows it must be nothing, else the whole was not JSON.
            return self.tokens.next().transpose().map(|_| None);
        };
        let Some(first) = self.tokens.next().transpose()? else { return Ok(None) };
        let mut last = first;
        while self.tokens.depth() > 1 {
            let Some(token) = self.tokens.next().transpose()? else { return Ok(None) };
            last = token;
        }
        Ok(Some(Member { key: key.raw, value: &self.tokens.bytes[first.start..last.end()] }))
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Result<Member<'a>, JsonError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

impl FusedIterator for Members<'_> {}

/// The value of the object's member `name`, as written; `None` when `bytes` are not an object that has one.
///
/// Of several members with the name the last one counts, as in most receivers.
pub fn member<'a>(bytes: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut found = None;
    for member in members(bytes) {
        let member = member.ok()?;
        if member.is(name) {
            found = Some(member.value);
        }
    }
    found
}
