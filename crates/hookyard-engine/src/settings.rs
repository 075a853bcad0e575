//! What a deployment sets for the engine.

use std::num::NonZeroU16;
use std::time::Duration;

use hookyard_model::{RetryPolicy, limits};
use http::HeaderValue;

/// The deployment's defaults and bounds; endpoints and dialects may say otherwise within the limits.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where neither endpoint nor dialect has a policy.
    pub retry: RetryPolicy,
    /// Where neither endpoint nor dialect has a time limit.
    pub timeout: Duration,
    /// How long nothing but failure is endured.
    pub disable_after: Duration,
    /// Attempts at once to one endpoint that does not say.
    pub concurrency: NonZeroU16,
    /// Attempts at once to all endpoints.
    pub slots: usize,
    /// Bytes of payloads in memory for all lanes.
    pub lane_bytes: usize,
    /// Sent as `User-Agent` where nothing else is set.
    pub user_agent: HeaderValue,
    /// How often the due index is asked.
    pub due_sweep: Duration,
    /// How often retention and holding are looked after.
    pub ageing: Duration,
    /// How often gauges are refreshed.
    pub gauges: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            retry: RetryPolicy::default(),
            timeout: limits::DEFAULT_TIMEOUT,
            disable_after: limits::DISABLE_AFTER,
            concurrency: NonZeroU16::new(limits::LANE_CONCURRENCY).expect("the limit is not zero"),
            slots: limits::SLOTS,
            lane_bytes: limits::LANE_BYTES,
            user_agent: HeaderValue::from_static(concat!("Hookyard/", env!("CARGO_PKG_VERSION"))),
            due_sweep: limits::DUE_SWEEP,
            ageing: Duration::from_mins(1),
            gauges: Duration::from_secs(5),
        }
    }
}
