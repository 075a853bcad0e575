//! What a media type promises about a payload.
//!
//! Asked by accept, which checks what is promised, and by whoever embeds or reads a payload: all by one rule, so that nobody
//! takes for JSON what was not checked to be.

/// Whether a media type says JSON: its subtype is `json` or ends in `+json`; parameters and case aside.
pub fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let Some((kind, subtype)) = essence.split_once('/') else { return false };
    let (name, suffix) = subtype.rsplit_once('+').unwrap_or(("json", subtype));
    !kind.is_empty() && !name.is_empty() && suffix.eq_ignore_ascii_case("json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_told_by_the_subtype() {
        for json in [
            "application/json",
            "text/json",
            "Application/JSON; charset=utf-8",
            " application/json ;q=1",
            "application/cloudevents+json",
            "application/vnd.a.b+JSON",
            "a/b+c+json",
        ] {
            assert!(is_json(json), "{json}");
        }
        for other in [
            "",
            "json",
            "+json",
            "a+json",
            "/json",
            "a/+json",
            "application/jsonl",
            "application/x-json",
            "application/json+xml",
            "application/json/x",
            "text/plain",
            "text/plain; a=x/json",
            "é/jso",
        ] {
            assert!(!is_json(other), "{other}");
        }
    }
}
