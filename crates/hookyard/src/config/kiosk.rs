//! The `webhooks:` list of Kiosk's `config.yaml`; everything else in that file is Kiosk's own business.
//!
//! Read unchanged: one event for each entry, any number of entries with the same URL and event, each delivered by itself,
//! in the deployment's retry policy. An entry is called `webhook-<n>`, counted from 1.

use hookyard_egress::EndpointUrl;
use hookyard_model::{EndpointSettings, EventPattern, SigningKeys, limits};

use super::endpoint::{DeclaredEndpoint, Written, declare};
use super::fault::Faults;
use super::foreign::{Source, System, numbered, read_url};
use super::tree::{Field, Fields, Name};
use super::yaml_file;

/// What Kiosk sends is called so by Kiosk, and `cache.flushed` by its documentation.
const FLUSH: [&str; 2] = ["cache.flush", "cache.flushed"];
/// What an entry may have.
const KEYS: [&str; 3] = ["url", "event", "secret"];

/// The endpoints that the file declares.
pub(super) fn read(source: &Source<'_>, faults: &mut Faults) -> Vec<DeclaredEndpoint> {
    let Some(root) = yaml_file::read(&source.document.file, source.text, faults).map(Field::root) else {
        return Vec::new();
    };
    if root.is_null() {
        return Vec::new();
    }
    let Some(mut root) = root.fields(faults) else { return Vec::new() };
    let webhooks = root.take("webhooks").and_then(|list| list.list(limits::ENDPOINTS_PER_APPLICATION, faults));
    let is_there = webhooks.is_some();
    let mut strays: Vec<Name> = Vec::new();
    for unknown in root.unknown() {
        if is_of_entry(&unknown.name) {
            strays.push(unknown.name);
        } else if let Some(near) = unknown.near.filter(|_| !is_there) {
            let what = "is not read, and nothing else declares webhooks";
            faults.warn(&unknown.name.place, &unknown.key, what, Some(&format!("did you mean `{near}`?")));
        }
    }
    let mut endpoints = Vec::new();
    for (index, webhook) in webhooks.unwrap_or_default().into_iter().enumerate() {
        let fields = webhook.fields(faults);
        endpoints.extend(fields.and_then(|fields| entry(source, index, fields, &strays, faults)));
    }
    for stray in strays {
        faults.warn(&stray.place, &stray.text, "stands outside of every entry and has no effect", Some(INDENT));
    }
    endpoints
}

const INDENT: &str = "indent it as far as the entry's `url`, so that it belongs to the entry";

fn is_of_entry(name: &Name) -> bool {
    KEYS.contains(&name.text.as_str())
}

/// One entry; `None` when it is wrong or skipped, which has been said.
fn entry(
    source: &Source<'_>,
    index: usize,
    mut fields: Fields,
    strays: &[Name],
    faults: &mut Faults,
) -> Option<DeclaredEndpoint> {
    let (name, dialect) = source.system.dialect();
    let defaults = dialect.outbound().map(hookyard_dialects::Outbound::defaults);
    let https_only = source.policy.requires_https(defaults.as_ref());

    let url = require(&mut fields, "url", strays, faults).and_then(|url| read_url(&url, https_only, faults));
    let event = require(&mut fields, "event", strays, faults);
    let event = event.and_then(|event| read_event(source.system, &event, faults));
    let secret = fields.take("secret").map(|secret| secret.text(faults).map(str::to_owned));
    let (place, key) = (fields.place().clone(), fields.own_key().to_owned());
    for unknown in fields.unknown() {
        let what = format!("is not a known key; an entry has `{}`", KEYS.join("`, `"));
        let (place, key) = (&unknown.name.place, &unknown.key);
        match unknown.near {
            Some(near) => faults.add_with_hint(place, key, what, format_args!("did you mean `{near}`?")),
            None => faults.add(place, key, what),
        }
    }

    let (EndpointUrl { url, basic_auth }, event) = (url?, event?);
    let mut settings = EndpointSettings::new(url, name);
    settings.name = Some(numbered(index));
    settings.basic_auth = basic_auth;
    settings.event_types = Some(vec![event]);
    // An empty secret is none, as to Kiosk.
    let secret = secret.flatten().filter(|secret| !secret.is_empty());
    settings.keys = secret.map(SigningKeys::single).unwrap_or_default();
    Some(declare(dialect, settings, Written { uid: None, place, key, disabled: false }, faults))
}

/// Takes what an entry must have. Where it stands at the top level instead, as in an example that lost its indentation,
/// the fault says so.
fn require(fields: &mut Fields, name: &'static str, strays: &[Name], faults: &mut Faults) -> Option<Field> {
    let found = fields.take(name);
    if found.is_some() {
        return found;
    }
    let (place, key) = (fields.place().clone(), fields.key(name));
    match strays.iter().find(|stray| stray.text == name) {
        Some(stray) => {
            let hint = format!("`{name}` stands at the top level, at {}; {INDENT}", stray.place);
            faults.add_with_hint(&place, &key, "is missing", hint);
        }
        None => faults.add(&place, &key, "is missing"),
    }
    None
}

fn read_event(system: &System, field: &Field, faults: &mut Faults) -> Option<EventPattern> {
    if field.is_list() {
        field.fault(faults, "is a list, must be one event; write an entry for each");
        return None;
    }
    let text = field.text(faults)?;
    if text.is_empty() {
        field.fault(faults, "is empty, must be the name of an event such as `asset.new`");
        return None;
    }
    system.event(field, text, &FLUSH, faults)
}
