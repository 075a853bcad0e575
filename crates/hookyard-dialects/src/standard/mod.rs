//! Standard Webhooks: `webhook-*` headers, and receivers that end a subscription with `410 Gone`.

use hookyard_model::OnGone;

use crate::standard_webhooks::{SVIX, StandardWebhooks, WEBHOOK};

/// The dialect.
pub(crate) static STANDARD: StandardWebhooks = StandardWebhooks {
    name: "standard",
    summary: "Standard Webhooks: the payload as published, signed in `webhook-*` headers.",
    names: &WEBHOOK,
    other: &SVIX,
    on_gone: OnGone::Disable,
};
