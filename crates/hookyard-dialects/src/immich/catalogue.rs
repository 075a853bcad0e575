//! The events that Immich emits and that its `events` lists may name.
//!
//! Several events have payloads of one shape: schema and sample of each shape stand in `catalogue/`. An event whose
//! emitter gives no argument has `null` as its payload, one that gives several has an array of them.

use crate::CatalogueEntry;

const CONFIG: &str = "It carries the server's settings, with the password of its mail server and the secret of its OAuth \
                      client; with `redact = \"false\"` the receiver reads them in clear.";
const SIGNUP: &str = "It may carry the new user's password; with `redact = \"false\"` the receiver reads it in clear.";
const JOB: &str = "There is one for every job of the server, and delivering a webhook is such a job: a receiver that makes \
                   Immich work by being told of its work is told for ever. The data of a job may hold passwords and the \
                   headers of other webhooks; with `redact = \"false\"` the receiver reads them in clear.";

/// An event: its name, what it tells, the shape of its payload and why sending it is dangerous.
macro_rules! event {
    ($name:literal, $description:literal, $shape:literal) => {
        event!($name, $description, $shape, danger: None)
    };
    ($name:literal, $description:literal, $shape:literal, $danger:ident) => {
        event!($name, $description, $shape, danger: Some($danger))
    };
    ($name:literal, $description:literal, $shape:literal, danger: $danger:expr) => {
        CatalogueEntry {
            name: $name,
            description: $description,
            danger: $danger,
            schema: include_str!(concat!("catalogue/", $shape, ".schema.json")),
            sample: include_str!(concat!("catalogue/", $shape, ".sample.json")),
        }
    };
}

pub(super) static EVENTS: [CatalogueEntry; 40] = [
    event!("PersonCreate", "A person was created, by hand or by face recognition.", "person"),
    event!("PersonUpdate", "A person was changed; `previous` is what it was.", "person-update"),
    event!("PersonDelete", "A person was deleted; without `actorId` when Immich cleaned up.", "person"),
    event!("AssetCreate", "A photo or video was added.", "asset"),
    event!("AssetMetadataExtracted", "The metadata of an asset were read, and why.", "asset-metadata"),
    event!("AssetTag", "An asset was given a tag.", "asset-id"),
    event!("AssetUntag", "A tag was taken from an asset.", "asset-id"),
    event!("AssetHide", "An asset was hidden, such as the video of a live photo.", "asset-of-user"),
    event!("AssetShow", "A hidden asset is shown again.", "asset-of-user"),
    event!("AssetTrash", "An asset was moved to the trash.", "asset-of-user"),
    event!("AssetDelete", "An asset was deleted for good.", "asset-of-user"),
    event!("AssetTrashAll", "Assets were moved to the trash together.", "assets-of-user"),
    event!("AssetDeleteAll", "Assets were deleted together.", "assets-of-user"),
    event!("AssetRestoreAll", "Assets were taken out of the trash together.", "assets-of-user"),
    event!("AlbumUpdate", "An album that is shared with somebody has something new.", "album-update"),
    event!("AlbumInvite", "An album was shared with a user.", "album-invite"),
    event!("StackCreate", "Assets were stacked.", "stack"),
    event!("StackUpdate", "A stack was changed.", "stack"),
    event!("StackDelete", "A stack was dissolved.", "stack"),
    event!("StackDeleteAll", "Stacks were dissolved together.", "stacks"),
    event!("UserSignup", "A user was registered and is to be welcomed.", "user-signup", SIGNUP),
    event!("UserCreate", "A user was created.", "user"),
    event!("UserTrash", "A user was marked for deletion.", "user"),
    event!("UserDelete", "A user was deleted for good.", "user"),
    event!("UserRestore", "A user is no longer marked for deletion.", "user"),
    event!("AuthChangePassword", "A user changed the password.", "password-change"),
    event!("SessionDelete", "A session was ended.", "session"),
    event!("WebsocketConnect", "A user's browser or phone connected.", "connection"),
    event!("AppBootstrap", "A process of the server has started.", "nothing"),
    event!("AppShutdown", "A process of the server is stopping.", "nothing"),
    event!("AppRestart", "The server restarts, into maintenance or out of it.", "restart"),
    event!("ConfigInit", "A process has read the server's settings for the first time.", "config", CONFIG),
    event!("ConfigUpdate", "The server's settings were changed.", "config-change", CONFIG),
    event!("ConfigValidate", "Changed settings are about to be checked.", "config-change", CONFIG),
    event!("QueueStart", "A queue of jobs was told to begin.", "queue"),
    event!("JobRun", "A worker has received a job: its queue and the job.", "job-of-queue", JOB),
    event!("JobStart", "A job is about to begin: its queue and the job.", "job-of-queue", JOB),
    event!("JobComplete", "A job has ended, well or not: its queue and the job.", "job-of-queue", JOB),
    event!("JobSuccess", "A job has ended well.", "job-success", JOB),
    event!("JobError", "A job has failed; what its error says is not told.", "job-error", JOB),
];
