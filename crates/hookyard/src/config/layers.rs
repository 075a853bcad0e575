//! Where the texts of settings come from: file, environment, flags, each above the one before.
//!
//! [`Layers`] holds what was given and where; [`super::settings`] says what each text must be. A wrong value is a fault
//! even when a higher layer overrides it, so that it does not surface on the day the higher one goes.

use std::collections::BTreeMap;

use super::document::{Table, Value};
use super::environment::{Environment, VariableError};
use super::fault::{Faults, Place};
use super::key::{Form, Key};
use super::secret;

/// What was given for each key, the weakest first.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    given: BTreeMap<&'static str, Vec<Given>>,
}

/// What one layer gives for one key.
pub(crate) struct Given {
    /// Where.
    pub(crate) place: Place,
    /// One for a single value, any number for a list.
    pub(crate) parts: Vec<Part>,
}

/// One text and its place.
pub(crate) struct Part {
    /// The text, variables in place.
    pub(crate) text: String,
    /// Where it stands.
    pub(crate) place: Place,
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Given").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Layers {
    /// Takes `keys` out of the file's root table; what it does not know stays there.
    pub(crate) fn add_file(&mut self, root: &mut Table<'_>, keys: &[Key], faults: &mut Faults) {
        for key in keys.iter().filter(|key| key.split().0.is_empty()) {
            self.add_key_of_file(root, key, faults);
        }
        let mut sections: Vec<&str> = keys.iter().map(|key| key.split().0).filter(|name| !name.is_empty()).collect();
        sections.sort_unstable();
        sections.dedup();
        for section in sections {
            let Some(mut table) = root.take(section).and_then(|value| value.table(faults)) else { continue };
            for key in keys.iter().filter(|key| key.split().0 == section) {
                self.add_key_of_file(&mut table, key, faults);
            }
            table.finish(faults);
        }
    }

    fn add_key_of_file(&mut self, table: &mut Table<'_>, key: &Key, faults: &mut Faults) {
        let (_, name) = key.split();
        let value = table.take(name);
        let file =
            matches!(key.form, Form::Secret | Form::Secrets).then(|| table.take(&format!("{name}_file"))).flatten();
        let given = match (value, file) {
            (Some(_), Some(file)) => {
                file.fault(faults, format_args!("is given beside `{}`; keep one of them", key.name));
                None
            }
            (Some(value), None) => read(value, key.form, faults),
            (None, Some(file)) => {
                let place = file.place();
                secret::read_file(&file, faults).map(|secret| Given::one(place, secret.expose().clone()))
            }
            (None, None) => None,
        };
        self.add(key, given);
    }

    /// Takes `keys` from the environment.
    pub(crate) fn add_environment(&mut self, environment: &Environment, keys: &[Key], faults: &mut Faults) {
        for key in keys {
            self.add_variable(environment, key, key.environment, faults);
        }
    }

    /// Takes one key from a variable, and a secret also from the file that `<variable>_FILE` names.
    fn add_variable(&mut self, environment: &Environment, key: &Key, variable: &str, faults: &mut Faults) {
        let place = Place::Environment(variable.to_owned());
        match environment.get(variable) {
            Ok(text) => return self.add(key, Some(Given::of_text(place, text, key.form))),
            Err(VariableError::NotUtf8) => return faults.add(&place, "", VariableError::NotUtf8),
            Err(VariableError::Missing) => {}
        }
        let variable = format!("{variable}_FILE");
        if !matches!(key.form, Form::Secret | Form::Secrets) {
            return;
        }
        if let Ok(path) = environment.get(&variable) {
            let place = Place::Environment(variable.clone());
            match secret::content(path.as_ref()) {
                Ok(secret) => self.add(key, Some(Given::one(place, secret.expose().clone()))),
                Err(what) => faults.add(&place, "", what),
            }
        }
    }

    /// Takes one key from a flag.
    pub(crate) fn add_flag(&mut self, key: &Key, text: &str) {
        self.add(key, Some(Given::of_text(Place::Flag(key.flag()), text, key.form)));
    }

    /// What was given for a key, the weakest first.
    pub(crate) fn of(&self, key: &Key) -> &[Given] {
        self.given.get(key.name).map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, key: &Key, given: Option<Given>) {
        if let Some(given) = given {
            self.given.entry(key.name).or_default().push(given);
        }
    }
}

impl Given {
    fn one(place: Place, text: String) -> Self {
        Self { parts: vec![Part { text, place: place.clone() }], place }
    }

    fn of_text(place: Place, text: &str, form: Form) -> Self {
        match form {
            Form::List | Form::Secrets => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                let parts = parts.map(|part| Part { text: part.to_owned(), place: place.clone() }).collect();
                Self { place, parts }
            }
            Form::Text | Form::Url | Form::Secret | Form::Boolean | Form::Number => Self::one(place, text.to_owned()),
        }
    }
}

/// Entries that a list of settings may have.
const LIST_ENTRIES: usize = 1_000;

fn read(value: Value<'_>, form: Form, faults: &mut Faults) -> Option<Given> {
    let place = value.place();
    match form {
        Form::Text => value.text(faults).map(|text| Given::one(place, text.to_owned())),
        Form::Url => {
            let environment = value.document().environment;
            value.parse(|text| secret::expand(text, environment), faults).map(|text| Given::one(place, text))
        }
        Form::Secret => secret::read(value, faults).map(|secret| Given::one(place, secret.expose().clone())),
        Form::Secrets | Form::List if value.is_list() => {
            let items = value.list(LIST_ENTRIES, faults);
            let parts = items.into_iter().filter_map(|item| {
                let place = item.place();
                let text = if form == Form::List {
                    item.text(faults).map(str::to_owned)
                } else {
                    secret::read(item, faults).map(|secret| secret.expose().clone())
                };
                text.map(|text| Part { text, place })
            });
            Some(Given { parts: parts.collect(), place })
        }
        Form::Secrets => secret::read(value, faults).map(|secret| Given::one(place, secret.expose().clone())),
        Form::List => value.text(faults).map(|text| Given::of_text(place, text, form)),
        Form::Boolean => value.boolean(faults).map(|value| Given::one(place, value.to_string())),
        Form::Number => {
            value.number(faults)?;
            value.scalar().map(|text| Given::one(place, text))
        }
    }
}
