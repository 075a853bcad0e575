//! How a template's tokens belong together, as far as that can be said without a parser.
//!
//! Called by [`scan`](super::scan) and [`meter`](super::meter), which look at the tokens of the engine's own reader.
//! What it says holds for templates that the engine can read; for others it says something.

use minijinja::machinery::Token;

/// Words that stand between values and are none.
const WORDS: [&str; 8] = ["and", "else", "if", "in", "is", "not", "or", "recursive"];

/// Whether a value ends before this place, so that a bracket here belongs to it.
pub(super) fn value_ends<T>(tokens: &[(Token<'_>, T)], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).and_then(|at| tokens.get(at)).map(|(token, _)| token);
    let is =
        |back: usize| matches!(before(back), Some(Token::Ident("is"))) && !matches!(before(back + 1), Some(Token::Dot));
    let tested = is(2) || is(3) && matches!(before(2), Some(Token::Ident("not")));
    if tested && matches!(tokens.get(at), Some((Token::BracketOpen | Token::BraceOpen, _))) {
        // The list or the object that a test compares with.
        return false;
    }
    match before(1) {
        Some(Token::Ident(name)) => match before(2) {
            Some(Token::BlockStart) => false,
            Some(Token::Dot | Token::Pipe) => true,
            _ => !WORDS.contains(name),
        },
        Some(
            Token::BracketClose
            | Token::BraceClose
            | Token::ParenClose
            | Token::Str(_)
            | Token::String(_)
            | Token::Int(_)
            | Token::Int128(_)
            | Token::Float(_),
        ) => true,
        _ => false,
    }
}

/// Where the bracket that opens here is closed.
pub(super) fn closing<T>(tokens: &[(Token<'_>, T)], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, (token, _)) in tokens.iter().enumerate().skip(open) {
        if opens(token) {
            depth += 1;
        } else if closes(token) {
            depth = depth.checked_sub(1)?;
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// Where the value begins that a bracket here belongs to: a name or a bracket, with the members, items and calls that follow
/// it.
pub(super) fn operand<T>(tokens: &[(Token<'_>, T)], bracket: usize) -> usize {
    let mut start = bracket;
    while let Some(last) = start.checked_sub(1) {
        start = last;
        if closes(&tokens[last].0) {
            let Some(open) = opening(tokens, last) else { break };
            start = open;
            if value_ends(tokens, open) && !matches!(tokens[open].0, Token::BraceOpen) {
                continue;
            }
        } else if let Some(dot) = last.checked_sub(1)
            && matches!(tokens[dot].0, Token::Dot)
        {
            start = dot;
            continue;
        }
        break;
    }
    start
}

fn opening<T>(tokens: &[(Token<'_>, T)], close: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for at in (0..=close).rev() {
        let token = &tokens[at].0;
        if closes(token) {
            depth += 1;
        } else if opens(token) {
            depth = depth.checked_sub(1)?;
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

pub(super) fn opens(token: &Token<'_>) -> bool {
    matches!(token, Token::BracketOpen | Token::BraceOpen | Token::ParenOpen)
}

pub(super) fn closes(token: &Token<'_>) -> bool {
    matches!(token, Token::BracketClose | Token::BraceClose | Token::ParenClose)
}
