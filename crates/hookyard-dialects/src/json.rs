//! Reads JSON as tokens that know their place, so that what is not touched keeps its bytes.
//!
//! Called by dialects that look into a body or rewrite one: they copy, sort or escape members, and the text of every
//! number stays what the sender wrote, which no reader into values can promise. Nothing recurses, nothing is copied, and
//! the memory used does not depend on the input; what is deeper than [`limits::JSON_DEPTH`] is refused.
//!
//! What it leaves to others: that the bytes are UTF-8 is asked only where a string is read ([`text`]).

mod member;
mod text;
mod write;

use std::iter::FusedIterator;

use hookyard_model::limits;

pub use member::{Member, Members, member, members};
pub use text::text;
pub use write::{MemberOrder, Style, write, write_text};

/// Whether each open level is an object, one bit a level; a level more than it has bits could not be told apart.
type Levels = u128;
const _: () = assert!(limits::JSON_DEPTH == 128, "every level needs a bit, and the error for one more says the number");

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `{`.
    ObjectStart,
    /// `}`.
    ObjectEnd,
    /// `[`.
    ArrayStart,
    /// `]`.
    ArrayEnd,
    /// A member's name, its quotes included.
    Key,
    /// A string, its quotes included.
    String,
    /// A number, in the sender's digits.
    Number,
    /// `true`, `false` or `null`.
    Literal,
}

/// One token; white space, colons and commas are not tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: Kind,
    /// Where its first byte is.
    pub start: usize,
    /// Its bytes.
    pub raw: &'a [u8],
}

impl Token<'_> {
    /// Where the byte after its last one is.
    pub fn end(&self) -> usize {
        self.start + self.raw.len()
    }
}

/// Bytes that are not JSON, or not what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}: expected {expected}")]
pub struct JsonError {
    /// Where, counted from 0.
    pub at: usize,
    /// What would have been allowed there.
    pub expected: &'static str,
}

#[derive(Debug, Clone, Copy)]
enum Expect {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    CommaOrEnd,
    Nothing,
}

/// The tokens of one JSON text (RFC 8259), in order; after an error nothing follows.
#[derive(Debug, Clone)]
pub struct Tokens<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    objects: Levels,
    expect: Expect,
}

impl<'a> Tokens<'a> {
    /// Begins at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, depth: 0, objects: 0, expect: Expect::Value }
    }

    /// How many objects and arrays are open after the last token.
    pub fn depth(&self) -> usize {
        self.depth
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn error(&self, expected: &'static str) -> JsonError {
        JsonError { at: self.at, expected }
    }

    fn advance(&mut self) -> Result<Option<Token<'a>>, JsonError> {
        self.skip_space();
        if matches!(self.expect, Expect::CommaOrEnd) && self.peek() == Some(b',') {
            self.at += 1;
            self.skip_space();
            self.expect = if self.in_object() { Expect::Key } else { Expect::Value };
        }
        let start = self.at;
        let kind = match (self.expect, self.peek()) {
            (Expect::Nothing, None) => return Ok(None),
            (Expect::Nothing, Some(_)) => return Err(self.error("the end of the text")),
            (Expect::KeyOrEnd, Some(b'}')) => self.close(Kind::ObjectEnd),
            (Expect::ValueOrEnd, Some(b']')) => self.close(Kind::ArrayEnd),
            (Expect::CommaOrEnd, Some(b'}')) if self.in_object() => self.close(Kind::ObjectEnd),
            (Expect::CommaOrEnd, Some(b']')) if !self.in_object() => self.close(Kind::ArrayEnd),
            (Expect::CommaOrEnd, _) => return Err(self.error("`,` or the end of the object or array")),
            (Expect::Key | Expect::KeyOrEnd, Some(b'"')) => return self.key(start).map(Some),
            (Expect::Key | Expect::KeyOrEnd, _) => return Err(self.error("a member's name in quotes")),
            (Expect::Value | Expect::ValueOrEnd, Some(b'{')) => self.open(Kind::ObjectStart)?,
            (Expect::Value | Expect::ValueOrEnd, Some(b'[')) => self.open(Kind::ArrayStart)?,
            (Expect::Value | Expect::ValueOrEnd, first) => self.scalar(first)?,
        };
        Ok(Some(Token { kind, start, raw: &self.bytes[start..self.at] }))
    }

    fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }

    fn open(&mut self, kind: Kind) -> Result<Kind, JsonError> {
        if self.depth == limits::JSON_DEPTH {
            return Err(self.error("at most 128 levels of nesting"));
        }
        let object = kind == Kind::ObjectStart;
        self.at += 1;
        self.depth += 1;
        self.objects = (self.objects << 1) | Levels::from(object);
        self.expect = if object { Expect::KeyOrEnd } else { Expect::ValueOrEnd };
        Ok(kind)
    }

    fn close(&mut self, kind: Kind) -> Kind {
        self.at += 1;
        self.depth -= 1;
        self.objects >>= 1;
        self.value_done();
        kind
    }

    fn value_done(&mut self) {
        self.expect = if self.depth == 0 { Expect::Nothing } else { Expect::CommaOrEnd };
    }

    /// The name and its colon: a name alone is no token to act on.
    fn key(&mut self, start: usize) -> Result<Token<'a>, JsonError> {
        self.string()?;
        let token = Token { kind: Kind::Key, start, raw: &self.bytes[start..self.at] };
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.error("`:`"));
        }
        self.at += 1;
        self.expect = Expect::Value;
        Ok(token)
    }

    fn scalar(&mut self, first: Option<u8>) -> Result<Kind, JsonError> {
        let kind = match first {
            Some(b'"') => {
                self.string()?;
                Kind::String
            }
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                Kind::Number
            }
            Some(b't') => self.literal(b"true")?,
            Some(b'f') => self.literal(b"false")?,
            Some(b'n') => self.literal(b"null")?,
            _ => return Err(self.error("a value")),
        };
        self.value_done();
        Ok(kind)
    }

    fn literal(&mut self, text: &[u8]) -> Result<Kind, JsonError> {
        if !self.bytes[self.at..].starts_with(text) {
            return Err(self.error("a value"));
        }
        self.at += text.len();
        Ok(Kind::Literal)
    }

    /// Stands on the opening quote, ends behind the closing one.
    fn string(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        loop {
            match self.peek() {
                None => return Err(self.error("the end of the string")),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape()?;
                }
                Some(0..=0x1f) => return Err(self.error("no control characters in a string")),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return Err(self.error("four hexadecimal digits"));
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.error("one of `\"\\/bfnrtu`")),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), JsonError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        // A leading zero stands alone; what follows it then fails as a missing comma.
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(self.error("a digit")) } else { Ok(()) }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Result<Token<'a>, JsonError>;

    fn next(&mut self) -> Option<Self::Item> {
        let result = self.advance();
        if result.is_err() {
            self.at = self.bytes.len();
            self.expect = Expect::Nothing;
        }
        result.transpose()
    }
}

impl FusedIterator for Tokens<'_> {}

#[cfg(test)]
mod tests;
