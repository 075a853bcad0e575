//! The four events that the service's document describes, each with the document's own example.
//!
//! `event_id` is in every example and required of none: the application's metadata may hold it.

use crate::CatalogueEntry;

pub(super) static EVENTS: [CatalogueEntry; 4] = [
    CatalogueEntry {
        name: "session",
        description: "A photo, GIF, video or AI-generated image was captured.",
        danger: None,
        schema: include_str!("catalogue/session.schema.json"),
        sample: include_str!("catalogue/session.json"),
    },
    CatalogueEntry {
        name: "share",
        description: "Somebody shared their photo via email or SMS.",
        danger: None,
        schema: include_str!("catalogue/share.schema.json"),
        sample: include_str!("catalogue/share.json"),
    },
    CatalogueEntry {
        name: "survey",
        description: "Somebody completed a survey or data capture form.",
        danger: None,
        schema: include_str!("catalogue/survey.schema.json"),
        sample: include_str!("catalogue/survey.json"),
    },
    CatalogueEntry {
        name: "competition_win",
        description: "Somebody won a prize in a competition, such as a scratch card game.",
        danger: None,
        schema: include_str!("catalogue/competition_win.schema.json"),
        sample: include_str!("catalogue/competition_win.json"),
    },
];
