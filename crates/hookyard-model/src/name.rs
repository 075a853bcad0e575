//! Names that callers choose: uids, event types and their patterns, channels, tags, dialects.
//!
//! Each is parsed once at a door and has passed its rule ever after. The rules are Svix's where Svix has one.

use std::fmt;
use std::str::FromStr;

use crate::limits;

/// A name that breaks its rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{text}` {rule}")]
pub struct NameError {
    what: &'static str,
    text: String,
    rule: &'static str,
}

impl NameError {
    fn new(what: &'static str, text: &str, rule: &'static str) -> Self {
        Self { what, text: text.chars().take(64).collect(), rule }
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident, $what:literal, $max:expr, $rule:literal, $check:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let check: fn(&str) -> bool = $check;
                if text.is_empty() || text.len() > $max || !check(text) {
                    return Err(NameError::new($what, text, $rule));
                }
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    )*};
}

const PREFIXES: [&str; 8] = ["app_", "ep_", "msg_", "atmpt_", "org_", "src_", "job_", "qtask_"];

names! {
    /// A caller's own name for an application or endpoint; usable wherever its id is.
    Uid, "uid", limits::NAME_BYTES,
        "must be 1 to 256 of `a-z A-Z 0-9 - _ .` and must not begin with an id prefix such as `app_` or `ep_`",
        |text| text.bytes().all(is_name_byte) && !PREFIXES.iter().any(|prefix| text.starts_with(prefix));
    /// What kind of event a message is.
    EventType, "event type", limits::NAME_BYTES, "must be 1 to 256 of `a-z A-Z 0-9 - _ .`",
        |text| text.bytes().all(is_name_byte);
    /// A publisher's own id for an event; unique in its application for as long as the message is kept.
    EventId, "event id", limits::NAME_BYTES, "must be 1 to 256 of `a-z A-Z 0-9 - _ .` and must not begin with `msg_`",
        |text| text.bytes().all(is_name_byte) && !text.starts_with("msg_");
    /// A second, free dimension of subscription.
    Channel, "channel", limits::CHANNEL_BYTES, "must be 1 to 128 of `a-z A-Z 0-9 - _ . :`",
        |text| text.bytes().all(|byte| is_name_byte(byte) || byte == b':');
    /// A mark on a message for searching; has no effect on fan-out.
    Tag, "tag", limits::CHANNEL_BYTES, "must be 1 to 128 characters without control characters",
        |text| !text.chars().any(char::is_control);
    /// The name of a dialect, such as `standard`; whether it exists is for `hookyard-dialects` to say.
    DialectName, "dialect", 64, "must be 1 to 64 of `a-z 0-9 -`",
        |text| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    /// Which event types an endpoint wants: a name, or a glob in which each `*` stands for any characters, dots included.
    EventPattern, "event type pattern", limits::NAME_BYTES, "must be 1 to 256 of `a-z A-Z 0-9 - _ . *`",
        |text| text.bytes().all(|byte| is_name_byte(byte) || byte == b'*');
}

impl EventPattern {
    /// Whether the pattern has a `*` and so may match several types.
    pub fn is_glob(&self) -> bool {
        self.0.contains('*')
    }

    /// Whether the pattern covers `event_type`, in time linear in their lengths multiplied.
    pub fn matches(&self, event_type: &EventType) -> bool {
        let (pattern, text) = (self.0.as_bytes(), event_type.0.as_bytes());
        let (mut p, mut t) = (0, 0);
        // Where to resume when a later literal fails: just after the last star, one character further in the text.
        let mut resume = None;
        while t < text.len() {
            if pattern.get(p) == Some(&b'*') {
                resume = Some((p + 1, t));
                p += 1;
            } else if pattern.get(p) == Some(&text[t]) {
                p += 1;
                t += 1;
            } else if let Some((after_star, from)) = resume {
                p = after_star;
                t = from + 1;
                resume = Some((after_star, from + 1));
            } else {
                return false;
            }
        }
        pattern[p..].iter().all(|byte| *byte == b'*')
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        pattern.parse::<EventPattern>().expect("a pattern").matches(&text.parse().expect("an event type"))
    }

    #[test]
    fn globs_cover_whole_names() {
        for (pattern, text, expected) in [
            ("task.created", "task.created", true),
            ("task.created", "task.created.x", false),
            ("task.*", "task.comment.created", true),
            ("task.*", "tasks.overdue", false),
            ("*", "anything", true),
            ("*.deleted", "project.deleted", true),
            ("*.deleted", "project.deleted.not", false),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXc", false),
            ("**", "x", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} on {text}");
        }
    }

    proptest! {
        #[test]
        fn a_glob_made_from_a_name_covers_it(name in "[a-z.]{1,40}", cuts in prop::collection::vec(0usize..40, 0..4)) {
            let mut pattern = name.clone();
            for cut in cuts {
                let at = cut.min(pattern.len());
                pattern.replace_range(at..(at + 1).min(pattern.len()), "*");
            }
            prop_assert!(matches(&pattern, &name), "{} on {}", pattern, name);
        }
    }

    #[test]
    fn names_are_checked() {
        assert!("party".parse::<Uid>().is_ok());
        assert!("ep_party".parse::<Uid>().is_err());
        assert!("a b".parse::<EventType>().is_err());
        assert!("".parse::<EventType>().is_err());
        assert!("x".repeat(256).parse::<EventType>().is_ok());
        assert!("x".repeat(257).parse::<EventType>().is_err());
        assert_eq!(
            "a b".parse::<EventType>().expect_err("a space").to_string(),
            "event type `a b` must be 1 to 256 of `a-z A-Z 0-9 - _ .`"
        );
    }
}
