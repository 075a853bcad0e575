//! Every bound of the system: its unit, and why it is what it is.
//!
//! A bound that is not here does not exist; a test at each edge stands beside the code that keeps it.

use std::time::Duration;

/// Bytes of an inbound request's body: what GitHub's largest useful events need, and what Kai allowed.
pub const INBOUND_BODY_BYTES: usize = 1024 * 1024;
/// Bytes of an API request's body: Svix's limit.
pub const API_BODY_BYTES: usize = 2 * 1024 * 1024;
/// Levels of nesting in a JSON payload: what serde's readers and every common receiver can take.
pub const JSON_DEPTH: usize = 128;
/// Bytes of all headers of a request that a door reads; hyper's buffer for them.
pub const REQUEST_HEADER_BYTES: usize = 64 * 1024;
/// Bytes of a uid, event type or event id: Svix's limit.
pub const NAME_BYTES: usize = 256;
/// Bytes of a channel or tag: Svix's limit.
pub const CHANNEL_BYTES: usize = 128;
/// Channels of one message: Svix's limit.
pub const MESSAGE_CHANNELS: usize = 5;
/// Channels of one endpoint: Svix's limit.
pub const ENDPOINT_CHANNELS: usize = 10;
/// Tags of one message.
pub const MESSAGE_TAGS: usize = 8;
/// Bytes of an idempotency key: a UUID with any prefix fits many times.
pub const IDEMPOTENCY_KEY_BYTES: usize = 256;
/// How long an idempotency key is remembered: Svix's 12 hours.
pub const IDEMPOTENCY_KEPT: Duration = Duration::from_hours(12);
/// Messages in one `msg/batch` request; one transaction must stay short.
pub const BATCH_MESSAGES: usize = 1_000;
/// Event type patterns of one endpoint.
pub const EVENT_PATTERNS: usize = 1_000;
/// Headers of one endpoint.
pub const ENDPOINT_HEADERS: usize = 64;
/// Bytes of one configured header value: Svix's limit.
pub const HEADER_VALUE_BYTES: usize = 4_096;
/// Bytes of a URL: what common servers accept in a request line.
pub const URL_BYTES: usize = 8_000;
/// Bytes of an application's or endpoint's metadata, names and values together: Svix's limit.
pub const METADATA_BYTES: usize = 4_096;
/// Bytes of an endpoint's dialect options, names and values together: a template of a few screens.
pub const OPTION_BYTES: usize = 16 * 1024;
/// Steps of one rendering of a template, in the template engine's fuel: about one for an instruction and for 64 bytes that
/// are made or looked at. A list of a thousand items needs half of them.
pub const TEMPLATE_FUEL: u64 = 25_000;
/// A rendering gets one step more for so many bytes of the payload: enough to write each of 100,000 items that fill the
/// largest one, and no more than a second whatever the template says, in a hundred megabytes.
pub const TEMPLATE_BYTES_PER_FUEL: usize = 1;
/// Bytes that a template may make: the largest payload, with every quote escaped.
pub const TEMPLATE_OUTPUT_BYTES: usize = 2 * API_BODY_BYTES;
/// Brackets, commas and filters of one template: each may nest a value one level deeper, and nested values are walked by
/// recursion on a thread's stack.
pub const TEMPLATE_BRACKETS: usize = 512;
/// Endpoints of one application: fan-out examines each for every message.
pub const ENDPOINTS_PER_APPLICATION: usize = 10_000;
/// Bytes of a configuration file.
pub const CONFIG_FILE_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of a response body that are read; the rest closes the connection.
pub const RESPONSE_BYTES_READ: usize = 64 * 1024;
/// Bytes of a response body that are kept in the log.
pub const RESPONSE_BYTES_KEPT: usize = 16 * 1024;
/// Bytes of response headers that are kept in the log.
pub const RESPONSE_HEADER_BYTES: usize = 8 * 1024;
/// How long the body is read once 2xx headers are in: the status has decided.
pub const BODY_AFTER_SUCCESS: Duration = Duration::from_secs(1);
/// Redirects followed: none, because they lose bodies and leak signatures.
pub const REDIRECTS: usize = 0;

/// Attempts after the first that a policy may have.
pub const RETRIES: usize = 100;
/// The longest delay of a policy.
pub const RETRY_DELAY: Duration = Duration::from_hours(7 * 24);
/// How far `Retry-After` may push an attempt.
pub const RETRY_AFTER: Duration = Duration::from_hours(24);
/// Attempts in a row that a dialect may ask for at once with another variant.
pub const VARIANTS: u8 = 3;
/// The shortest and the longest time limit of an attempt.
pub const TIMEOUT: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_mins(5);
/// The default time limit of an attempt.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15);
/// How far in the future `deliverAt` may be.
pub const DELIVER_AT: Duration = Duration::from_hours(90 * 24);

/// Attempts in flight in all lanes together. Each holds a socket, so a lower limit of open files lowers it.
pub const SLOTS: usize = 1_024;
/// Bytes of a payload that is encoded and signed between other tasks, in at most some milliseconds. A larger one is
/// encoded on a thread of its own, so that no other delivery waits for it.
pub const ENCODE_INLINE_BYTES: usize = 16 * 1024;
/// Such threads at once; others wait. A template may need a hundred megabytes and a second of a processor.
pub const ENCODE_THREADS: usize = 2;
/// Attempts in flight in one lane, by default.
pub const LANE_CONCURRENCY: u16 = 16;
/// Attempts in flight in one lane, at most.
pub const LANE_CONCURRENCY_MAX: u16 = 256;
/// Deliveries in memory for one lane, queued and in flight.
pub const LANE_ROOM: usize = 512;
/// Bytes of payloads in memory for all lanes.
pub const LANE_BYTES: usize = 64 * 1024 * 1024;
/// One lane holds at most one byte in this many of them: a receiver that takes few large messages must not keep out all
/// others. A lane that holds nothing may have one message of any size.
pub const LANE_BYTES_SHARE: usize = 8;
/// One byte in this many is left to what is claimed: what waits in the store must not wait for fresh messages to end.
pub const CLAIM_BYTES_SHARE: usize = 4;
/// Attempts that have ended and that the store has not taken; no more begin until it has. Each holds a response.
pub const UNSETTLED: usize = 4_096;
/// An attempt in flight for longer makes its lane a slow one.
pub const SLOW_AFTER: Duration = Duration::from_secs(1);
/// Slow lanes together hold at most one slot, and one byte, in this many.
pub const SLOW_SHARE: usize = 2;
/// Attempts in flight in all lanes together, those beyond the share of slow lanes included: when many lanes turn slow at
/// once, what they have in flight stays, and the others still get the other half.
pub const SLOTS_HARD: usize = 4 * SLOTS;
/// Between two attempts of lanes that are slow or not known yet: each costs the processor about a tenth of a millisecond,
/// and however many are due, the others must get theirs. Slow lanes could not make use of more: an attempt of theirs takes
/// a second and more, and they share [`SLOTS`].
pub const TRICKLE: Duration = Duration::from_micros(500);
/// Such attempts that may begin together.
pub const TRICKLE_AT_ONCE: u32 = 4;
/// How long a lane without work is remembered.
pub const LANE_IDLE: Duration = Duration::from_mins(1);
/// How often the due index is asked what timers and notifications may have missed.
pub const DUE_SWEEP: Duration = Duration::from_secs(5);
/// Lanes that one claim serves, at most. Nothing else is written meanwhile.
pub const CLAIM_LANES: usize = 32;
/// How long a kept-alive connection may be idle: receivers commonly close theirs after five seconds.
pub const IDLE_CONNECTION: Duration = Duration::from_secs(4);

/// How long a node may be without a confirmed heartbeat before it drops what it holds.
pub const HEARTBEAT_LIMIT: Duration = Duration::from_secs(10);
/// How long a node trusts its own leases after a confirmed heartbeat: less than [`HEARTBEAT_LIMIT`], because the clocks of
/// nodes differ.
pub const LEASE_TRUSTED: Duration = Duration::from_secs(7);
/// How long a stop waits for what is in flight.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(20);
/// How long a disabled endpoint's deliveries are held beyond the end of their schedule.
pub const HELD: Duration = Duration::from_hours(7 * 24);
/// How long nothing but failure is endured before an endpoint is disabled, by default.
pub const DISABLE_AFTER: Duration = Duration::from_hours(120);
/// How long messages are kept, by default.
pub const RETENTION: Duration = Duration::from_hours(90 * 24);

/// Deeds that the embedded store commits in one transaction, at most; bounds the time a caller waits for the others.
pub const GROUP_COMMIT: usize = 1_024;
/// Rows that one claim takes, at most.
pub const CLAIM_ROWS: usize = 256;
/// Rows that one step of pruning, cancelling or rescuing touches, at most; other deeds run between the steps.
pub const SWEEP_ROWS: usize = 1_000;
/// Items of a page.
pub const PAGE: usize = 250;
/// Items of a page when the caller does not say.
pub const PAGE_DEFAULT: usize = 50;
/// Bytes of payloads on a page: the item that reaches them is the last one, so that no list is larger than these and one
/// payload.
pub const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Rows that one search page examines, at most.
pub const PAGE_EXAMINED: usize = 20_000;
/// How far into the future a list may reach: the clocks of callers differ.
pub const CLOCK_SKEW: Duration = Duration::from_hours(1);
/// Refusals kept for one source.
pub const REFUSALS_KEPT: usize = 10_000;
/// Pending deliveries, after which the doors answer 503.
pub const PENDING: u64 = 10_000_000;
/// One part in this many of the disk must be free, else the doors answer 503.
pub const FREE_DISK_SHARE: u64 = 20;
/// What a door asks a caller to wait when it answers 503.
pub const RETRY_AFTER_UNAVAILABLE: Duration = Duration::from_secs(5);

/// Applications whose fan-out configuration the publisher keeps in memory.
pub const DIRECTORY_APPLICATIONS: usize = 10_000;
/// Endpoints of all applications that the publisher keeps in memory; each takes about a kilobyte.
pub const DIRECTORY_ENDPOINTS: usize = 50_000;
/// How often a publisher decides again because the configuration changed under it, before it gives up.
pub const STALE_ROUNDS: usize = 8;
/// Deliveries that the messages of one `msg/batch` request may owe together; one transaction must stay short.
pub const BATCH_DELIVERIES: usize = 50_000;
/// Days that a publisher may ask a message to be kept: Svix's range.
pub const RETENTION_DAYS: std::ops::RangeInclusive<u64> = 5..=90;
/// How long a list of messages or attempts reaches back from its end: Svix's window.
pub const LIST_WINDOW: Duration = Duration::from_hours(90 * 24);

/// Connections that the doors serve at once; each holds a file and at most two buffers of [`REQUEST_HEADER_BYTES`].
pub const DOOR_CONNECTIONS: usize = 4_096;
/// How long a client may take to send the headers of a request; also how long a kept-alive connection may be idle.
pub const HEADER_READ: Duration = Duration::from_mins(1);
/// How long a client may take to send a request's body.
pub const BODY_READ: Duration = Duration::from_secs(30);
/// Bytes of the answers with payloads that are being sent to all callers together: ten of the largest pages. The next one
/// waits.
pub const ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// How long such an answer waits for room.
pub const ANSWER_ROOM: Duration = Duration::from_secs(10);
/// How long a client may take no byte of its answer.
pub const ANSWER_STALL: Duration = Duration::from_secs(30);
/// Bytes of a body that was refused for its size which are still read and thrown away: a client that is writing does not
/// see the answer, and one whose connection is reset never does.
pub const REFUSED_BODY_BYTES: usize = 2 * API_BODY_BYTES;
/// How long that takes at most.
pub const REFUSED_BODY_READ: Duration = Duration::from_secs(2);
/// Tokens whose verification is remembered.
pub const VERIFIED_TOKENS: usize = 1_024;
/// How long the store may take to answer before the node calls itself not ready.
pub const READY_WITHIN: Duration = Duration::from_secs(1);

/// Bytes of the status line and headers of an answer that are read: four times what common servers send at most.
pub const RESPONSE_HEADER_READ: usize = 32 * 1024;
/// Headers of an answer: what hyper parses without an allocation.
pub const RESPONSE_HEADERS: usize = 100;
/// Idle connections kept for one endpoint: as many as its lane can use at once.
pub const IDLE_PER_ENDPOINT: usize = LANE_CONCURRENCY_MAX as usize;
/// Idle connections kept for all endpoints: as many as there are slots. Each holds a file and a read buffer.
pub const IDLE_CONNECTIONS: usize = SLOTS;
/// How long a connection is used: after that the name is resolved and judged afresh.
pub const CONNECTION_AGE: Duration = RESOLVED_KEPT;
/// How long the resolver may take.
pub const RESOLVE: Duration = Duration::from_secs(5);
/// Answers of the resolver that are kept; each takes about half a kilobyte.
pub const RESOLVED_NAMES: usize = 4_096;
/// How long an answer of the resolver is kept, at most.
pub const RESOLVED_KEPT: Duration = Duration::from_mins(5);
/// How long it is kept that a name does not exist, at most.
pub const UNRESOLVED_KEPT: Duration = Duration::from_secs(30);
/// Addresses of one name that are tried, one after the other.
pub const ADDRESSES_TRIED: usize = 4;
