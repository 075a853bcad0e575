//! Svix: the same scheme under `svix-*` headers; `410 Gone` is a failure like any other, as with Svix's own server.

use hookyard_model::OnGone;

use crate::Dialect;
use crate::standard_webhooks::{SVIX as NAMES, StandardWebhooks, WEBHOOK};

/// The dialect.
pub(crate) static DIALECT: Dialect = Dialect {
    name: "svix",
    summary: "Svix: the payload as published, signed in `svix-*` headers.",
    outbound: Some(&SVIX),
    inbound: Some(&SVIX),
    catalogue: &[],
};

/// What it does.
pub(crate) static SVIX: StandardWebhooks = StandardWebhooks { names: &NAMES, other: &WEBHOOK, on_gone: OnGone::Retry };
