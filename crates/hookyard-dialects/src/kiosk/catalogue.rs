//! The events that Kiosk's document lists; all have one form.
//!
//! The samples have every member that Kiosk sends, its configuration included, with secrets masked.

use crate::CatalogueEntry;

const ASSET: &str = concat!(
    r#"{
"deviceID": "ed08beb1-6de7-4592-9827-078c3ad91ae4",
"clientName": "dining-room-pi",
"assetCount": 1,
"assets": ["#,
    include_str!("catalogue/asset.json"),
    r#"],
"config": "#,
    include_str!("catalogue/config.json"),
    r#",
"meta": { "source": "immich-kiosk", "version": "0.39.3" }
}"#
);

/// Clearing the cache shows no asset.
const NO_ASSET: &str = concat!(
    r#"{
"deviceID": "ed08beb1-6de7-4592-9827-078c3ad91ae4",
"clientName": "dining-room-pi",
"assetCount": 0,
"assets": [],
"config": "#,
    include_str!("catalogue/config.json"),
    r#",
"meta": { "source": "immich-kiosk", "version": "0.39.3" }
}"#
);

const fn event(name: &'static str, description: &'static str, sample: &'static str) -> CatalogueEntry {
    CatalogueEntry { name, description, danger: None, schema: include_str!("catalogue/schema.json"), sample }
}

pub(super) static EVENTS: [CatalogueEntry; 14] = [
    event("asset.new", "A new asset was requested from Kiosk.", ASSET),
    event("asset.prefetch", "Kiosk prefetched an asset's data from Immich.", ASSET),
    event("asset.history.next", "A history asset (next) was requested from Kiosk.", ASSET),
    event("asset.history.previous", "A history asset (previous) was requested from Kiosk.", ASSET),
    event("cache.flushed", "The cache was manually cleared; Kiosk itself sends it as `cache.flush`.", NO_ASSET),
    event("user.navigation.custom", "The user clicked or tapped the custom navigation section in Kiosk.", ASSET),
    event(
        "user.webhook.trigger.info_overlay",
        "The “trigger webhook” button was clicked in the asset details overlay.",
        ASSET,
    ),
    event("user.like.info_overlay", "The “like” button was clicked in the asset details overlay.", ASSET),
    event("user.unlike.info_overlay", "The “unlike” button was clicked in the asset details overlay.", ASSET),
    event("user.hide.info_overlay", "The “hide” button was clicked in the asset details overlay.", ASSET),
    event("user.unhide.info_overlay", "The “unhide” button was clicked in the asset details overlay.", ASSET),
    event("asset.offline.new", "A new asset was requested from Kiosk when using offline mode.", ASSET),
    event(
        "asset.offline.history.next",
        "A history asset (next) was requested from Kiosk when using offline mode.",
        ASSET,
    ),
    event(
        "asset.offline.history.previous",
        "A history asset (previous) was requested from Kiosk when using offline mode.",
        ASSET,
    ),
];
