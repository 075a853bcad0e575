//! What is counted and measured, by its public name.
//!
//! One set per process, made by the binary and shared by the doors, the engine, the store and the egress; `/metrics`
//! shows it. [`Metrics::reference`] is the source of the reference page, so that the page cannot differ from the code.

use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Label of what is counted by outcome.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabel {
    /// The outcome's name.
    pub outcome: &'static str,
}

/// Label of what is counted by delivery state.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StateLabel {
    /// The state's name.
    pub state: &'static str,
}

/// Label of what is counted by the rule that refused it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RuleLabel {
    /// The rule's short name.
    pub rule: String,
}

/// One metric, as the reference page lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricDoc {
    /// The name on `/metrics`, without the suffixes that counters and histograms add.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// The labels it has.
    pub labels: &'static str,
    /// What it tells.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($(#[$doc:meta])* $field:ident: $type:ty = $make:expr, $kind:literal, $name:literal, $labels:literal, $help:literal;)*) => {
        /// All metrics of a process.
        #[derive(Debug)]
        pub struct Metrics {
            registry: Registry,
            $(#[doc = $help] pub $field: $type,)*
        }

        impl Metrics {
            /// A fresh set, everything zero.
            pub fn new() -> Self {
                let mut registry = Registry::with_prefix("hookyard");
                $(
                    let $field: $type = $make;
                    registry.register($name, $help, $field.clone());
                )*
                Self { registry, $($field,)* }
            }

            /// Every metric, for the reference page.
            pub const fn reference() -> &'static [MetricDoc] {
                &[$(MetricDoc { name: concat!("hookyard_", $name), kind: $kind, labels: $labels, help: $help },)*]
            }
        }
    };
}

fn seconds() -> Histogram {
    Histogram::new([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0])
}

fn powers_of_two() -> Histogram {
    Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0])
}

metrics! {
    accepted: Counter = Counter::default(), "counter", "messages_accepted", "",
        "Messages committed to disk and acknowledged";
    duplicates: Counter = Counter::default(), "counter", "messages_duplicate", "",
        "Publish requests answered from an earlier message with the same event id or idempotency key";
    rejected: Family<RuleLabel, Counter> = Family::default(), "counter", "requests_rejected", "rule",
        "Requests that a door turned away, by the code of the error";
    attempts: Family<OutcomeLabel, Counter> = Family::default(), "counter", "attempts", "outcome",
        "Delivery attempts that ended, by outcome";
    attempt_seconds: Histogram = seconds(), "histogram", "attempt_duration_seconds", "",
        "How long attempts took in all";
    delivery_seconds: Histogram = seconds(), "histogram", "accept_to_delivery_seconds", "",
        "Time from accepting a message to the success of its first attempt";
    blocked: Family<RuleLabel, Counter> = Family::default(), "counter", "egress_blocked", "rule",
        "Requests that the egress guard did not let out, by rule";
    disabled: Counter = Counter::default(), "counter", "endpoints_disabled", "",
        "Endpoints disabled after sustained failure or 410 Gone";
    rescued: Counter = Counter::default(), "counter", "deliveries_rescued", "",
        "Deliveries freed from a node that died, each logged as interrupted";
    queue: Family<StateLabel, Gauge> = Family::default(), "gauge", "deliveries", "state",
        "Deliveries that are pending or leased";
    oldest_due_seconds: Gauge = Gauge::default(), "gauge", "oldest_due_seconds", "",
        "How long the oldest due delivery of an enabled endpoint has been waiting; 0 when none is";
    lanes: Gauge = Gauge::default(), "gauge", "lanes", "",
        "Endpoints with work in memory";
    lanes_slow: Gauge = Gauge::default(), "gauge", "lanes_slow", "",
        "Lanes with an attempt in flight for more than a second";
    in_flight: Gauge = Gauge::default(), "gauge", "attempts_in_flight", "",
        "Attempts in flight";
    lane_bytes: Gauge = Gauge::default(), "gauge", "lane_bytes", "",
        "Bytes of payloads held in memory for lanes";
    commits: Counter = Counter::default(), "counter", "store_commits", "",
        "Write transactions of the store";
    commit_deeds: Histogram = powers_of_two(), "histogram", "store_commit_deeds", "",
        "Deeds that one write transaction carried";
    commit_seconds: Histogram = seconds(), "histogram", "store_commit_seconds", "",
        "How long committing took, the fsync included";
    checkpoint_seconds: Histogram = seconds(), "histogram", "store_checkpoint_seconds", "",
        "How long moving the write-ahead log into the database took";
    store_bytes: Gauge = Gauge::default(), "gauge", "store_bytes", "",
        "Bytes that the store takes on disk";
    pruned: Counter = Counter::default(), "counter", "messages_pruned", "",
        "Messages removed at the end of their retention";
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// The text form that Prometheus scrapes (`OpenMetrics`).
    pub fn render(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a string cannot fail");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_shown_under_its_public_name() {
        let metrics = Metrics::new();
        metrics.accepted.inc();
        metrics.attempts.get_or_create(&OutcomeLabel { outcome: "delivered" }).inc();
        let text = metrics.render();
        assert!(text.contains("hookyard_messages_accepted_total 1"), "{text}");
        assert!(text.contains("hookyard_attempts_total{outcome=\"delivered\"} 1"), "{text}");
        for doc in Metrics::reference().iter().filter(|doc| doc.labels.is_empty()) {
            assert!(text.contains(&format!("# HELP {} ", doc.name)), "{} in {text}", doc.name);
        }
    }
}
