//! The small numbers that stand for the words of the model in a row.
//!
//! A number is never given another meaning: rows outlive versions.

use hookyard_model::{
    BlockedBy, CancelReason, DisableReason, FailReason, FileKind, MessageId, Origin, Outcome, Trigger,
};
use hookyard_ports::store::DedupeKind;

/// The number of an outcome.
pub const fn outcome_code(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Delivered => 0,
        Outcome::Refused => 1,
        Outcome::TimedOut => 2,
        Outcome::DnsFailed(_) => 3,
        Outcome::ConnectFailed(_) => 4,
        Outcome::TlsFailed(_) => 5,
        Outcome::BrokenOff(_) => 6,
        Outcome::StaleConnection => 7,
        Outcome::Blocked(_) => 8,
        Outcome::Interrupted => 9,
        Outcome::CannotBeEncoded(_) => 10,
    }
}

/// The outcome of a number, with what is kept beside it: the detail (of a blocked one: why), its rule and its hint.
pub fn decode_outcome(
    code: i64,
    detail: Option<String>,
    rule: Option<String>,
    hint: Option<String>,
) -> Option<Outcome> {
    let detail = detail.unwrap_or_default();
    Some(match code {
        0 => Outcome::Delivered,
        1 => Outcome::Refused,
        2 => Outcome::TimedOut,
        3 => Outcome::DnsFailed(detail),
        4 => Outcome::ConnectFailed(detail),
        5 => Outcome::TlsFailed(detail),
        6 => Outcome::BrokenOff(detail),
        7 => Outcome::StaleConnection,
        8 => Outcome::Blocked(BlockedBy { rule: rule?, why: detail, hint }),
        9 => Outcome::Interrupted,
        10 => Outcome::CannotBeEncoded(detail),
        _ => return None,
    })
}

/// The number of a trigger.
pub const fn trigger_code(trigger: Trigger) -> u8 {
    match trigger {
        Trigger::Scheduled => 0,
        Trigger::Manual => 1,
    }
}

/// The trigger of a number.
pub const fn decode_trigger(code: i64) -> Option<Trigger> {
    match code {
        0 => Some(Trigger::Scheduled),
        1 => Some(Trigger::Manual),
        _ => None,
    }
}

/// The number of a reason to give up.
pub const fn fail_code(reason: FailReason) -> u8 {
    match reason {
        FailReason::ScheduleSpent => 0,
        FailReason::CannotBeEncoded => 1,
        FailReason::Permanent => 2,
    }
}

/// The reason to give up of a number.
pub const fn decode_fail(code: i64) -> Option<FailReason> {
    match code {
        0 => Some(FailReason::ScheduleSpent),
        1 => Some(FailReason::CannotBeEncoded),
        2 => Some(FailReason::Permanent),
        _ => None,
    }
}

/// The number of a reason to call off.
pub const fn cancel_code(reason: CancelReason) -> u8 {
    match reason {
        CancelReason::EndpointRemoved => 0,
        CancelReason::HeldTooLong => 1,
        CancelReason::EndpointGone => 2,
        CancelReason::ByHand => 3,
        CancelReason::Expunged => 4,
    }
}

/// The reason to call off of a number.
pub const fn decode_cancel(code: i64) -> Option<CancelReason> {
    match code {
        0 => Some(CancelReason::EndpointRemoved),
        1 => Some(CancelReason::HeldTooLong),
        2 => Some(CancelReason::EndpointGone),
        3 => Some(CancelReason::ByHand),
        4 => Some(CancelReason::Expunged),
        _ => None,
    }
}

/// The number of a reason to disable.
pub const fn disable_code(reason: DisableReason) -> u8 {
    match reason {
        DisableReason::Manual => 0,
        DisableReason::Failing => 1,
        DisableReason::Gone => 2,
    }
}

/// The reason to disable of a number.
pub const fn decode_disable(code: i64) -> Option<DisableReason> {
    match code {
        0 => Some(DisableReason::Manual),
        1 => Some(DisableReason::Failing),
        2 => Some(DisableReason::Gone),
        _ => None,
    }
}

/// The number of a kind of dedupe key.
pub const fn dedupe_code(kind: DedupeKind) -> u8 {
    match kind {
        DedupeKind::EventId => 0,
        DedupeKind::Idempotency => 1,
        DedupeKind::Provider => 2,
        DedupeKind::JobTime => 3,
    }
}

/// The number of an origin, and what is kept beside it: a source's name, or the text of the id of what was edited.
pub fn origin_code(origin: &Origin) -> (u8, Option<String>) {
    match origin {
        Origin::Api => (0, None),
        Origin::Server => (1, None),
        Origin::Source(name) => (2, Some(name.clone())),
        Origin::Job => (3, None),
        Origin::Test => (4, None),
        Origin::Operational => (5, None),
        Origin::EditOf(message) => (6, Some(message.to_string())),
    }
}

/// The origin of a number and what is kept beside it.
pub fn decode_origin(code: i64, detail: Option<String>) -> Option<Origin> {
    Some(match code {
        0 => Origin::Api,
        1 => Origin::Server,
        2 => Origin::Source(detail?),
        3 => Origin::Job,
        4 => Origin::Test,
        5 => Origin::Operational,
        6 => Origin::EditOf(detail?.parse::<MessageId>().ok()?),
        _ => return None,
    })
}

/// The file kind of its name.
pub fn decode_file_kind(name: &str) -> Option<FileKind> {
    [FileKind::Hookyard, FileKind::Immich, FileKind::Kiosk, FileKind::Kai, FileKind::Demo, FileKind::Program]
        .into_iter()
        .find(|kind| kind.as_str() == name)
}

#[cfg(test)]
mod tests {
    use hookyard_model::RawId;

    use super::*;

    #[test]
    fn every_code_reads_back() {
        for code in 0..=255_u8 {
            let wide = i64::from(code);
            if let Some(outcome) = decode_outcome(wide, Some("why".into()), Some("rule".into()), None) {
                assert_eq!(outcome_code(&outcome), code);
            }
            assert_eq!(decode_trigger(wide).map_or(code, trigger_code), code);
            assert_eq!(decode_fail(wide).map_or(code, fail_code), code);
            assert_eq!(decode_cancel(wide).map_or(code, cancel_code), code);
            assert_eq!(decode_disable(wide).map_or(code, disable_code), code);
        }
        for origin in [
            Origin::Api,
            Origin::Server,
            Origin::Source("github".into()),
            Origin::Job,
            Origin::Test,
            Origin::Operational,
            Origin::EditOf(MessageId::from_raw(RawId::MAX)),
        ] {
            let (code, detail) = origin_code(&origin);
            assert_eq!(decode_origin(i64::from(code), detail), Some(origin));
        }
        assert_eq!(decode_origin(2, None), None);
        assert_eq!(decode_file_kind("kiosk"), Some(FileKind::Kiosk));
        assert_eq!(decode_file_kind("kiosks"), None);
    }
}
