//! Standard Webhooks: `webhook-*` headers, and receivers that end a subscription with `410 Gone`.

use hookyard_model::OnGone;

use crate::Dialect;
use crate::standard_webhooks::{SVIX, StandardWebhooks, WEBHOOK};

/// The dialect.
pub(crate) static DIALECT: Dialect = Dialect {
    name: "standard",
    summary: "Standard Webhooks: the payload as published, signed in `webhook-*` headers.",
    outbound: Some(&STANDARD),
    inbound: Some(&STANDARD),
    catalogue: &[],
};

/// What it does.
pub(crate) static STANDARD: StandardWebhooks =
    StandardWebhooks { names: &WEBHOOK, other: &SVIX, on_gone: OnGone::Disable };
