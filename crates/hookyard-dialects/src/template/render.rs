//! Runs a template, within bounds, and says what is wrong with one.
//!
//! Called when an endpoint is saved ([`check`]) and for every message ([`render`]). A template is read each time: that
//! takes microseconds, and a cache would be state in a crate that has none.

use std::io::{self, Write};
use std::sync::OnceLock;

use hookyard_model::limits;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value};

use super::metered::metered;
use super::scan::{Names, Refused, scan};
use super::{filters, variables};
use crate::header::shown;

/// Fails when a template uses what is not there, naming it.
pub(super) fn strict() -> &'static Environment<'static> {
    static STRICT: OnceLock<Environment<'static>> = OnceLock::new();
    STRICT.get_or_init(|| environment(UndefinedBehavior::Strict))
}

/// Goes on without it: for a trial, which has no payload to speak of.
fn lenient() -> &'static Environment<'static> {
    static LENIENT: OnceLock<Environment<'static>> = OnceLock::new();
    LENIENT.get_or_init(|| environment(UndefinedBehavior::Chainable))
}

fn environment(undefined: UndefinedBehavior) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(undefined);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    // So that an error names what is undefined. What else it would tell, source and variables, is never shown.
    environment.set_debug(true);
    // They show the engine's inside, keep a value from one round of a loop to the next, or hold one many times.
    environment.remove_global("debug");
    environment.remove_global("namespace");
    environment.remove_global("dict");
    filters::install(&mut environment);
    environment
}

/// Refuses a template that could not be rendered whatever the message: with line and reason.
pub(super) fn check(source: &str) -> Result<(), String> {
    let environment = lenient();
    let Names { filters, tests } = scan(source).map_err(|refused| said(&refused))?;
    for (test, names, what) in [("filter", filters, "filter"), ("test", tests, "test")] {
        let mut state = environment.empty_state();
        for (name, line) in names {
            if !state.perform_test(test, &[Value::from(name)]).unwrap_or(false) {
                return Err(format!("line {line}: `{}` is no {what}", shown(name)));
            }
        }
    }
    let template = environment.template_from_str(source).map_err(|error| reason(&error))?;
    let unknown = template
        .undeclared_variables(false)
        .into_iter()
        .filter(|name| !variables::NAMES.contains(&name.as_str()))
        .filter(|name| environment.globals().all(|(global, _)| global != name.as_str()))
        .min();
    if let Some(name) = unknown {
        let known = variables::NAMES.join("`, `");
        return Err(format!("`{}` is no variable; there are `{known}`", shown(&name)));
    }
    let metered = metered(source).map_err(|refused| said(&refused))?;
    match run(environment, &metered, &variables::sample(), (0, limits::TEMPLATE_OUTPUT_BYTES)) {
        Ok(_) => Ok(()),
        Err(Failure::Template(error)) if depends_on_the_message(error.kind()) => Ok(()),
        Err(failure) => Err(failure.said()),
    }
}

/// Whether another message may do better.
fn depends_on_the_message(kind: ErrorKind) -> bool {
    !matches!(
        kind,
        ErrorKind::SyntaxError
            | ErrorKind::OutOfFuel
            | ErrorKind::UnknownFilter
            | ErrorKind::UnknownTest
            | ErrorKind::UnknownFunction
            | ErrorKind::TooManyArguments
            | ErrorKind::MissingArgument
    )
}

/// What the template makes of these variables, which hold a payload of so many bytes, in at most `room` bytes.
pub(super) fn render(source: &str, variables: &Value, (payload, room): (usize, usize)) -> Result<Vec<u8>, String> {
    scan(source).map_err(|refused| said(&refused))?;
    let metered = metered(source).map_err(|refused| said(&refused))?;
    run(strict(), &metered, variables, (payload, room)).map_err(|failure| failure.said())
}

/// What a rendering may take: little for a small payload, with which little can be done at each step.
fn fuel(payload: usize) -> u64 {
    limits::TEMPLATE_FUEL + u64::try_from(payload / limits::TEMPLATE_BYTES_PER_FUEL).unwrap_or(u64::MAX / 2)
}

pub(super) enum Failure {
    Template(Error),
    TooLong(usize),
}

impl Failure {
    fn said(&self) -> String {
        match self {
            Self::Template(error) => reason(error),
            Self::TooLong(room) => format!("made more than {room} bytes"),
        }
    }
}

pub(super) fn run(
    environment: &Environment<'_>,
    source: &str,
    variables: &Value,
    (payload, room): (usize, usize),
) -> Result<Vec<u8>, Failure> {
    let mut environment = environment.clone();
    environment.set_fuel(Some(fuel(payload)));
    let template = environment.template_from_str(source).map_err(Failure::Template)?;
    let mut output = Bounded { text: Vec::new(), room, full: false };
    match template.render_captured_to(variables.clone(), &mut output) {
        Ok(_) => Ok(output.text),
        Err(_) if output.full => Err(Failure::TooLong(room)),
        Err(error) => Err(Failure::Template(error)),
    }
}

/// Takes so many bytes and no more.
struct Bounded {
    text: Vec<u8>,
    room: usize,
    full: bool,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.room - self.text.len() {
            self.full = true;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn said(refused: &Refused) -> String {
    match refused {
        Refused::Syntax(error) => reason(error),
        Refused::Greedy(line, why) => format!("line {line}: {why}"),
    }
}

/// Line and reason of the engine's error, without its dressing.
fn reason(error: &Error) -> String {
    let line = error.line().map_or_else(String::new, |line| format!("line {line}: "));
    let why = match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => "takes too many steps; a loop may be too long, or a text too large".to_owned(),
        (ErrorKind::UndefinedError, None) => "uses what is not defined; give it a `default`".to_owned(),
        (ErrorKind::UndefinedError, Some(detail)) => format!("{}; give it a `default`", bounded(detail)),
        (_, Some(detail)) => bounded(detail),
        (kind, None) => kind.to_string(),
    };
    format!("{line}{why}")
}

/// A detail may quote the payload, which may be long and hold anything.
fn bounded(detail: &str) -> String {
    detail.chars().take(200).map(|character| if character.is_control() { ' ' } else { character }).collect()
}
