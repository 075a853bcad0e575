//! The query string of a list or of a write: flags, times, filters, pages.
//!
//! Names are in `snake_case`; what is unknown is ignored, what is known and wrong is refused.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use hookyard_model::{Timestamp, limits};
use hookyard_ports::store::{Order, PageStart};
use url::form_urlencoded;

use crate::error::{ApiError, Code, Result};

/// The pairs of a query string.
#[derive(Debug)]
pub(crate) struct Query<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Query<'a> {
    pub(crate) fn of(uri: &'a axum::http::Uri) -> Self {
        Self { pairs: uri.query().map_or_else(Vec::new, |query| form_urlencoded::parse(query.as_bytes()).collect()) }
    }

    /// The value of a name; the last one counts, and an empty one is none.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, value)| &**value).filter(|value| !value.is_empty())
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self, name: &'static str, default: bool) -> Result<bool> {
        match self.text(name) {
            None => Ok(default),
            Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(other) => Err(ApiError::new(
                Code::Generic,
                format!("query parameter `{name}` is `{}`, write `true` or `false`", cut(other)),
            )),
        }
    }

    /// A value that its type parses.
    pub(crate) fn parsed<T>(&self, name: &'static str) -> Result<Option<T>>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.text(name)
            .map(|text| text.parse().map_err(|error: T::Err| ApiError::value(["query", name], error.to_string())))
            .transpose()
    }

    /// A whole number.
    pub(crate) fn number(&self, name: &'static str) -> Result<Option<u64>> {
        let number = |text: &str| {
            let error = || ApiError::value(["query", name], format!("`{}` is not a whole number", cut(text)));
            text.parse().map_err(|_| error())
        };
        self.text(name).map(number).transpose()
    }

    /// RFC 3339, or the form `2026-01-31 08:30:00.25 UTC` that clients of Svix also send.
    pub(crate) fn time(&self, name: &'static str) -> Result<Option<Timestamp>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let parsed = match text.strip_suffix(" UTC") {
            Some(utc) => format!("{}Z", utc.replacen(' ', "T", 1)).parse(),
            None => text.parse(),
        };
        let refused = |error: hookyard_model::ParseTimeError| {
            let refused = ApiError::value(["query", name], error.to_string());
            // An unencoded plus sign arrives as a space.
            if text.contains(' ') { refused.hint("write `+` in a query string as `%2B`") } else { refused }
        };
        parsed.map(Some).map_err(refused)
    }

    /// A list written with commas (`a,b`), repeated (`name[]=a`) or counted (`name[0]=a`).
    pub(crate) fn list<T>(&self, name: &'static str) -> Result<Vec<T>>
    where
        T: FromStr,
        T::Err: Display,
    {
        let mut items = Vec::new();
        for (key, value) in &self.pairs {
            let counted = |key: &str| {
                let inner = key.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']')?;
                inner.bytes().all(|byte| byte.is_ascii_digit()).then_some(())
            };
            if key != name && counted(key).is_none() {
                continue;
            }
            for item in value.split(',').filter(|item| !item.is_empty()) {
                if items.len() == limits::EVENT_PATTERNS {
                    let problem = format!("more than {} values", limits::EVENT_PATTERNS);
                    return Err(ApiError::value(["query", name], problem));
                }
                let refused = |error: T::Err| ApiError::value(["query", name], error.to_string());
                items.push(item.parse().map_err(refused)?);
            }
        }
        Ok(items)
    }

    /// How many items of a page.
    pub(crate) fn limit(&self) -> Result<usize> {
        let Some(limit) = self.number("limit")? else { return Ok(limits::PAGE_DEFAULT) };
        usize::try_from(limit).ok().filter(|limit| (1..=limits::PAGE).contains(limit)).ok_or_else(|| {
            ApiError::value(["query", "limit"], format!("`{limit}` is not between 1 and {}", limits::PAGE))
        })
    }

    /// Where a page begins: an id goes forward from it, an id after a minus sign goes backward.
    pub(crate) fn start<I>(&self) -> Result<PageStart<I>>
    where
        I: FromStr,
        I::Err: Display,
    {
        let Some(text) = self.text("iterator") else { return Ok(PageStart::First) };
        let refused = |error: I::Err| {
            ApiError::value(["query", "iterator"], error.to_string())
                .hint("pass the `iterator` or `prevIterator` of an earlier page")
        };
        match text.strip_prefix('-') {
            Some(id) => id.parse().map(PageStart::Before).map_err(refused),
            None => text.parse().map(PageStart::After).map_err(refused),
        }
    }

    /// `ascending` or `descending`.
    pub(crate) fn order(&self, default: Order) -> Result<Order> {
        match self.text("order") {
            None => Ok(default),
            Some("ascending") => Ok(Order::Ascending),
            Some("descending") => Ok(Order::Descending),
            Some(other) => Err(ApiError::value(
                ["query", "order"],
                format!("`{}` is not an order (write `ascending` or `descending`)", cut(other)),
            )),
        }
    }
}

/// As much of a stranger's text as an error shows.
pub(crate) fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use hookyard_model::{EventType, MessageId};

    use super::*;

    fn with<T>(query: &str, ask: impl FnOnce(&Query<'_>) -> T) -> T {
        let uri: axum::http::Uri = format!("/x?{query}").parse().expect("a URI");
        ask(&Query::of(&uri))
    }

    #[test]
    fn event_types_come_in_three_forms() {
        for query in
            ["event_types=a.b,c", "event_types[]=a.b&event_types[]=c", "event_types%5B0%5D=a.b&event_types%5B1%5D=c"]
        {
            let types: Vec<EventType> = with(query, |query| query.list("event_types")).expect("a list");
            let types: Vec<&str> = types.iter().map(EventType::as_str).collect();
            assert_eq!(types, ["a.b", "c"], "{query}");
        }
        assert!(with("event_types=a%20b", |query| query.list::<EventType>("event_types")).is_err());
        assert!(with("event_types[x]=a", |query| query.list::<EventType>("event_types")).expect("ignored").is_empty());
    }

    #[test]
    fn pages_have_limits() {
        for (query, expected) in [
            ("", Some(50)),
            ("limit=1", Some(1)),
            ("limit=250", Some(250)),
            ("limit=0", None),
            ("limit=251", None),
            ("limit=-1", None),
            ("limit=x", None),
            ("limit=99999999999999999999999", None),
        ] {
            assert_eq!(with(query, |query| query.limit().ok()), expected, "{query}");
        }
    }

    #[test]
    fn an_iterator_is_an_id_or_refused() {
        let id = "msg_23rb8YdGqMT0qIzpgGwdXfHirMu";
        let start = |query: &str| with(query, |query| query.start::<MessageId>().ok());
        let parsed: MessageId = id.parse().expect("an id");
        assert_eq!(start(""), Some(PageStart::First));
        assert_eq!(start(&format!("iterator={id}")), Some(PageStart::After(parsed)));
        assert_eq!(start(&format!("iterator=-{id}")), Some(PageStart::Before(parsed)));
        for query in ["iterator=msg_abc", "iterator=-", "iterator=ep_23rb8YdGqMT0qIzpgGwdXfHirMu", "iterator=%F0"] {
            assert_eq!(start(query), None, "{query}");
        }
    }

    #[test]
    fn times_come_in_two_forms() {
        let time = |query: &str| with(query, |query| query.time("before").ok().flatten().map(|at| at.to_string()));
        let expected = Some("2026-01-31T08:30:00.250000Z".to_owned());
        assert_eq!(time("before=2026-01-31T08:30:00.25Z"), expected);
        assert_eq!(time("before=2026-01-31T09:30:00.25%2B01:00"), expected);
        assert_eq!(time("before=2026-01-31+08:30:00.250000+UTC"), expected);
        assert_eq!(time("before=2026-01-31%2008:30:00.25%20UTC"), expected);
        for query in
            ["before=yesterday", "before=2026-01-31T09:30:00+01:00", "before=+UTC", "before=2026-13-01T00:00:00Z"]
        {
            assert!(with(query, |query| query.time("before")).is_err(), "{query}");
        }
    }

    #[test]
    fn flags_are_true_or_false() {
        assert_eq!(with("with_content=false", |query| query.flag("with_content", true).ok()), Some(false));
        assert_eq!(with("", |query| query.flag("with_content", true).ok()), Some(true));
        assert!(with("with_content=banana", |query| query.flag("with_content", true)).is_err());
    }
}
