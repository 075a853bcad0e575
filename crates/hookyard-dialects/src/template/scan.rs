//! Looks at a template's tokens for what rendering it could not bear.
//!
//! Called when an endpoint is saved and before every rendering. The engine's fuel counts steps and bytes; it counts neither
//! how deep values nest, which are walked and dropped by recursion, nor how large a value is that holds another one many
//! times, until it is written out. So a template may not make such values:
//!
//! - A list or an object that names variables is for `tojson` and `urlencode`, which count as they go, and for nothing
//!   else: assigned to a name, twice in itself, and so on, it would double with every line. Lists of constants are free.
//! - `*` repeats lists, `+` joins them and commas make tuples: there are the filters `times` and `plus`, and `+` beside a
//!   number.
//! - A loop may not call itself, and brackets, commas and filters are counted: each may nest one level deeper.
//!   `{% set %}` in a loop begins afresh in every round, so nothing grows that way.
//!
//! The tokens are those of the engine's own reader, so what is looked at is what is run.

use hookyard_model::limits;
use minijinja::Error;
use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::SyntaxConfig;

use super::tokens::{closes, closing, opens, value_ends};

/// The filters that take a list or an object made on the spot.
const WRITERS: [&str; 2] = ["tojson", "urlencode"];

/// The filters and tests that a template names, with the line of each.
#[derive(Debug, Default)]
pub(super) struct Names<'a> {
    pub(super) filters: Vec<(&'a str, u16)>,
    pub(super) tests: Vec<(&'a str, u16)>,
}

/// Why a template is refused before it is read.
pub(super) enum Refused {
    /// It is no Jinja.
    Syntax(Error),
    /// It could make values without bound; the line, and why.
    Greedy(u16, String),
}

/// Refuses what could make values without bound, and gives the names of filters and tests.
pub(super) fn scan(source: &str) -> Result<Names<'_>, Refused> {
    let mut tokens = Vec::new();
    for token in tokenize(source, false, SyntaxConfig::default()) {
        let (token, span) = token.map_err(Refused::Syntax)?;
        tokens.push((token, span.start_line));
    }
    let mut scan = Scan { tokens: &tokens, open: Vec::new(), nesting: 0, target: false };
    for (at, (token, line)) in tokens.iter().enumerate() {
        scan.token(at, token).map_err(|why| Refused::Greedy(*line, why))?;
    }
    let at = |at: usize| tokens.get(at).map(|(token, _)| token);
    let mut names = Names::default();
    for (number, (token, line)) in tokens.iter().enumerate() {
        let Token::Ident(name) = token else { continue };
        let before = |back: usize| number.checked_sub(back).and_then(at);
        let tested =
            |back| matches!(before(back), Some(Token::Ident("is"))) && !matches!(before(back + 1), Some(Token::Dot));
        if matches!(before(1), Some(Token::Pipe)) {
            names.filters.push((name, *line));
        } else if tested(1) && *name != "not" || matches!(before(1), Some(Token::Ident("not"))) && tested(2) {
            names.tests.push((name, *line));
        }
    }
    Ok(names)
}

/// What an open bracket belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bracket {
    /// A value before it: arguments, or an index.
    Operand,
    /// A part of an expression.
    Group,
    /// A list or an object.
    Literal,
}

struct Scan<'t, 's> {
    tokens: &'t [(Token<'s>, u16)],
    open: Vec<Bracket>,
    nesting: usize,
    /// Between `for` and `in`, where commas stand between names.
    target: bool,
}

impl<'t, 's> Scan<'t, 's> {
    fn at(&self, at: usize) -> Option<&'t Token<'s>> {
        self.tokens.get(at).map(|(token, _)| token)
    }

    fn before(&self, at: usize) -> Option<&'t Token<'s>> {
        self.at(at.checked_sub(1)?)
    }

    fn token(&mut self, at: usize, token: &Token<'_>) -> Result<(), String> {
        let opens = opens(token);
        if opens || matches!(token, Token::Comma | Token::Pipe | Token::Plus) {
            self.nesting += 1;
            if self.nesting > limits::TEMPLATE_BRACKETS {
                return Err(format!("has more than {} brackets, commas and filters", limits::TEMPLATE_BRACKETS));
            }
        }
        if opens {
            let bracket = if value_ends(self.tokens, at) {
                Bracket::Operand
            } else if matches!(token, Token::ParenOpen) {
                Bracket::Group
            } else {
                self.literal(at)?;
                Bracket::Literal
            };
            self.open.push(bracket);
        } else if closes(token) {
            self.open.pop();
        } else if matches!(token, Token::Ident("for")) && matches!(self.before(at), Some(Token::BlockStart)) {
            self.target = true;
        } else if matches!(token, Token::Ident("in") | Token::BlockEnd | Token::BlockStart | Token::VariableStart) {
            self.target = false;
        } else if matches!(token, Token::Ident("autoescape")) && matches!(self.before(at), Some(Token::BlockStart)) {
            return Err("`autoescape` does nothing here; write `| escape` or `| tojson`".to_owned());
        } else if matches!(token, Token::Ident("recursive")) {
            let ends = matches!(self.at(at + 1), Some(Token::BlockEnd));
            if ends && !matches!(self.before(at), Some(Token::Dot)) {
                return Err("a loop may not be `recursive`".to_owned());
            }
        } else if matches!(token, Token::Comma) {
            let between = self.open.last().map_or(self.target, |bracket| *bracket != Bracket::Group);
            if !between {
                return Err("a comma makes a tuple; write a list for `tojson`".to_owned());
            }
        } else if matches!(token, Token::Mul) {
            return Err("`*` may repeat a list; write `a | times(b)`".to_owned());
        } else if matches!(token, Token::Plus) && !self.number_beside(at) {
            return Err("`+` may join lists; write `a | plus(b)`".to_owned());
        }
        Ok(())
    }

    /// Refuses a list or an object that names variables, unless it is written on the spot.
    fn literal(&self, start: usize) -> Result<(), String> {
        let end = closing(self.tokens, start).unwrap_or(self.tokens.len() - 1);
        let constant = self.tokens[start..=end].iter().all(|(token, _)| is_constant(token));
        let inside = self.open.last() == Some(&Bracket::Literal);
        let begins =
            matches!(self.before(start), Some(Token::BracketOpen | Token::BraceOpen | Token::Comma | Token::Colon));
        let ends = matches!(self.at(end + 1), Some(Token::BracketClose | Token::BraceClose | Token::Comma));
        let written = matches!(self.at(end + 1), Some(Token::Pipe))
            && matches!(self.at(end + 2), Some(Token::Ident(name)) if WRITERS.contains(name));
        if constant || written || inside && begins && ends {
            return Ok(());
        }
        Err("a list or an object that names variables must be written at once, with `| tojson` or `| urlencode`"
            .to_owned())
    }

    /// Whether one side is a bare number, to which no list can be added.
    fn number_beside(&self, plus: usize) -> bool {
        let number =
            |token: Option<&Token<'_>>| matches!(token, Some(Token::Int(_) | Token::Int128(_) | Token::Float(_)));
        let member = matches!(plus.checked_sub(2).and_then(|at| self.at(at)), Some(Token::Dot | Token::Pipe));
        let more = matches!(self.at(plus + 2), Some(Token::Pipe | Token::Dot | Token::BracketOpen | Token::ParenOpen));
        number(self.before(plus)) && !member || number(self.at(plus + 1)) && !more
    }
}

/// Whether a token can stand in a list of constants; a parenthesis may begin a call, or a tuple.
fn is_constant(token: &Token<'_>) -> bool {
    matches!(
        token,
        Token::BracketOpen
            | Token::BracketClose
            | Token::BraceOpen
            | Token::BraceClose
            | Token::Comma
            | Token::Colon
            | Token::Minus
            | Token::Str(_)
            | Token::String(_)
            | Token::Int(_)
            | Token::Int128(_)
            | Token::Float(_)
            | Token::Ident("true" | "false" | "none")
    )
}
