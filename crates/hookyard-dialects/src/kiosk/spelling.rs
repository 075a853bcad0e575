//! The event that has two names: the document says `cache.flushed`, Kiosk sends `cache.flush`.
//!
//! Called when an endpoint is saved, so that either name in its filter matches both, and when a message is encoded, so that
//! its receiver reads the name it asked for.

use hookyard_model::{EndpointSettings, EventPattern, EventType};

const SPELLINGS: [&str; 2] = ["cache.flushed", "cache.flush"];

/// Adds the other name behind the one that the filter has.
pub(super) fn complete(endpoint: &mut EndpointSettings) {
    let Some(patterns) = &mut endpoint.event_types else { return };
    let position = |spelling: &str| patterns.iter().position(|pattern| pattern.as_str() == spelling);
    let (at, missing) = match SPELLINGS.map(position) {
        [Some(at), None] => (at, SPELLINGS[1]),
        [None, Some(at)] => (at, SPELLINGS[0]),
        [None, None] | [Some(_), Some(_)] => return,
    };
    let missing: EventPattern = missing.parse().expect("it is a name");
    patterns.insert(at + 1, missing);
}

/// The name under which the endpoint gets a message of this type: the one that stands first in its filter, where the
/// type has two and the filter names it.
pub(super) fn of<'a>(event_type: &'a EventType, endpoint: &'a EndpointSettings) -> &'a str {
    let own = event_type.as_str();
    let names = endpoint.event_types.iter().flatten().map(EventPattern::as_str);
    let asked = names.into_iter().find(|name| SPELLINGS.contains(name));
    asked.filter(|_| SPELLINGS.contains(&own)).unwrap_or(own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examples::settings;

    fn filtered(patterns: &[&str]) -> EndpointSettings {
        let mut settings = settings("kiosk");
        settings.event_types = Some(patterns.iter().map(|pattern| pattern.parse().expect("a pattern")).collect());
        settings
    }

    #[test]
    fn either_name_brings_the_other_and_stays_first() {
        let check = |given: &[&str], expected: &[&str]| {
            let mut settings = filtered(given);
            for _ in 0..2 {
                complete(&mut settings);
                assert_eq!(settings, filtered(expected), "{given:?}");
            }
        };
        check(&["asset.new", "cache.flushed", "user.*"], &["asset.new", "cache.flushed", "cache.flush", "user.*"]);
        check(&["cache.flush"], &["cache.flush", "cache.flushed"]);
        check(&["cache.flush", "asset.new", "cache.flushed"], &["cache.flush", "asset.new", "cache.flushed"]);
        check(&["cache.*", "*"], &["cache.*", "*"]);
        check(&[], &[]);
        let mut all = settings("kiosk");
        complete(&mut all);
        assert_eq!(all.event_types, None);
    }

    #[test]
    fn a_receiver_reads_the_name_it_asked_for() {
        let check = |patterns: &[&str], event_type: &str, expected: &str| {
            let mut settings = filtered(patterns);
            complete(&mut settings);
            let event_type = event_type.parse().expect("a name");
            assert_eq!(of(&event_type, &settings), expected, "{patterns:?}");
        };
        check(&["cache.flushed"], "cache.flush", "cache.flushed");
        check(&["cache.flush"], "cache.flush", "cache.flush");
        check(&["cache.flush"], "cache.flushed", "cache.flush");
        check(&["asset.new", "cache.flush", "cache.flushed"], "cache.flushed", "cache.flush");
        check(&["cache.*"], "cache.flush", "cache.flush");
        check(&["*", "cache.flushed"], "asset.new", "asset.new");
    }
}
