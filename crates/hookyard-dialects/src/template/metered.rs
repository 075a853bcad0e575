//! Writes meters into a template: filters that charge for what the engine looks at.
//!
//! Called before every rendering, with a template that [`scan`](super::scan) has let through; what the filters charge is in
//! [`meter`](super::meter). They stand where tokens alone show that they belong: before an operator that compares, and
//! around what a bracket indexes. So nothing but a value goes through them, and lines stay where they were.

use minijinja::machinery::{Span, Token, tokenize};
use minijinja::syntax::SyntaxConfig;

use super::scan::Refused;
use super::tokens::{closes, closing, opens, operand, value_ends};

/// An index up to this is found at once in any text.
const NEAR: u64 = 1_000;

/// The template with its meters, line by line as it was.
pub(super) fn metered(source: &str) -> Result<String, Refused> {
    let mut tokens = Vec::new();
    for token in tokenize(source, false, SyntaxConfig::default()) {
        tokens.push(token.map_err(Refused::Syntax)?);
    }
    let mut meters = Meters { tokens: &tokens, added: Vec::new() };
    let mut target = false;
    let refused = |at: usize, why: &str| Refused::Greedy(tokens[at].1.start_line, why.to_owned());
    for (at, (token, _)) in tokens.iter().enumerate() {
        if matches!(token, Token::Ident("for")) && matches!(meters.before(at, 1), Some(Token::BlockStart)) {
            target = true;
        } else if matches!(token, Token::Ident("in")) {
            if !std::mem::take(&mut target) {
                meters.inclusion(at);
            }
        } else if matches!(token, Token::Eq | Token::Ne | Token::Lt | Token::Lte | Token::Gt | Token::Gte) {
            meters.comparison(at);
        } else if matches!(token, Token::BracketOpen) && value_ends(&tokens, at) {
            meters.index(at).map_err(|why| refused(at, why))?;
        } else if matches!(token, Token::ParenOpen) && meters.calls_changed(at) {
            return Err(refused(at, "`loop.changed` compares what is not counted; compare with `loop.previtem`"));
        }
    }
    let mut added = meters.added;
    added.sort_by_key(|(place, side, _)| (*place, *side));
    let mut metered = String::with_capacity(source.len() + added.len() * 16);
    let mut written = 0;
    for (place, _, text) in added {
        metered.push_str(&source[written..place]);
        metered.push_str(text);
        written = place;
    }
    metered.push_str(&source[written..]);
    Ok(metered)
}

/// On which side of a place between two tokens something is put: what belongs to the former comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    After,
    Before,
}

struct Meters<'t, 's> {
    tokens: &'t [(Token<'s>, Span)],
    added: Vec<(usize, Side, &'static str)>,
}

impl<'t, 's> Meters<'t, 's> {
    fn before(&self, at: usize, back: usize) -> Option<&'t Token<'s>> {
        self.tokens.get(at.checked_sub(back)?).map(|(token, _)| token)
    }

    fn put_before(&mut self, at: usize, text: &'static str) {
        self.added.push((offset(self.tokens[at].1.start_offset), Side::Before, text));
    }

    fn put_after(&mut self, at: usize, text: &'static str) {
        self.added.push((offset(self.tokens[at].1.end_offset), Side::After, text));
    }

    /// Of an operator's left side the last operand is enough: what operators make is charged for when it is made.
    fn comparison(&mut self, operator: usize) {
        if !matches!(
            self.before(operator, 1),
            Some(Token::Str(_) | Token::String(_) | Token::Int(_) | Token::Int128(_) | Token::Float(_))
        ) {
            self.put_before(operator, "|_compared ");
        }
    }

    /// `in` and `not in`; not the test, which has a meter of its own.
    fn inclusion(&mut self, operator: usize) {
        match (self.before(operator, 2), self.before(operator, 1)) {
            (_, Some(Token::Ident("is") | Token::Dot | Token::Pipe))
            | (Some(Token::Ident("is")), Some(Token::Ident("not"))) => {}
            (_, Some(Token::Ident("not"))) => self.comparison(operator - 1),
            _ => self.comparison(operator),
        }
    }

    fn calls_changed(&self, open: usize) -> bool {
        matches!(self.before(open, 1), Some(Token::Ident("changed")))
            && matches!(self.before(open, 2), Some(Token::Dot))
    }

    /// `value[key]` and `value[start:end]`.
    fn index(&mut self, open: usize) -> Result<(), &'static str> {
        let Some(close) = closing(self.tokens, open) else { return Ok(()) };
        let inside = &self.tokens[open + 1..close];
        if let [(token, _)] = inside
            && (matches!(token, Token::Str(_) | Token::String(_)) || matches!(token, Token::Int(near) if *near <= NEAR))
        {
            return Ok(());
        }
        let start = operand(self.tokens, open);
        let tested = matches!(self.before(start, 2), Some(Token::Ident("is")))
            || matches!(self.before(start, 3), Some(Token::Ident("is")))
                && matches!(self.before(start, 2), Some(Token::Ident("not")));
        if tested {
            return Err("an index after a test stands in brackets: `x is eq(y[z])`");
        }
        self.put_before(start, "(");
        if is_slice(inside) {
            self.put_before(start, "(");
            self.put_before(open, "|_sliced)");
            self.put_after(close, "|_taken)");
        } else {
            self.put_before(open, "|_indexed)");
            self.put_after(open, "(");
            self.put_before(close, ")|_compared");
        }
        Ok(())
    }
}

/// Whether what stands in an index is a range, and no object in which there is a colon.
fn is_slice(inside: &[(Token<'_>, Span)]) -> bool {
    let mut depth = 0_usize;
    inside.iter().any(|(token, _)| {
        if opens(token) {
            depth += 1;
        } else if closes(token) {
            depth = depth.saturating_sub(1);
        }
        depth == 0 && matches!(token, Token::Colon)
    })
}

/// A span counts in 32 bits.
fn offset(offset: u32) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}
