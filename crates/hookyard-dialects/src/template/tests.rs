mod bodies;
mod bounds;
mod cost;
mod saving;
mod signing;

use std::sync::Arc;

use hookyard_model::{Payload, SigningKeys};

use super::*;
use crate::check_settings;
use crate::examples::{NOW, endpoint, message, settings, signing};

const TOO_MANY: &str = "takes too many steps; a loop may be too long, or a text too large";

/// An endpoint with these options.
fn with(options: &[(&str, &str)]) -> Endpoint {
    let mut endpoint = endpoint("template");
    let settings = Arc::make_mut(&mut endpoint.settings);
    settings.options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    endpoint
}

/// The body that a template makes of a payload, once it has been saved.
#[track_caller]
fn body(template: &str, payload: &str) -> String {
    let endpoint = with(&[("body", template)]);
    assert_eq!(check_settings(&Template, &endpoint.settings), Ok(()));
    let encoded = Template.encode(&message(payload.to_owned()), &endpoint, 0).expect("it can be encoded");
    String::from_utf8(encoded.body.to_vec()).expect("text")
}

/// Why a template that has been saved makes nothing of a payload.
#[track_caller]
fn body_fails(template: &str, payload: &str) -> String {
    let endpoint = with(&[("body", template)]);
    assert_eq!(check_settings(&Template, &endpoint.settings), Ok(()));
    Template.encode(&message(payload.to_owned()), &endpoint, 0).expect_err("it cannot be encoded").to_string()
}

/// Why options cannot be saved.
#[track_caller]
fn refused(options: &[(&str, &str)]) -> String {
    check_settings(&Template, &with(options).settings).expect_err("it cannot be saved").to_string()
}
