//! A message as the body that Kiosk's document shows, member for member.

use hookyard_model::Message;

use crate::json::{self, JsonError, Kind, Member, Style, Tokens};
use crate::{EncodeError, envelope};

use super::secrets;

pub(super) const EVENT: &str = "event";
pub(super) const TIMESTAMP: &str = "timestamp";
const ASSET_COUNT: &str = "assetCount";
const ASSETS: &str = "assets";
const CONFIG: &str = "config";

/// What a member of the document is: its name, its first byte, what that means, and what stands where it is missing.
type Form = (&'static str, u8, &'static str, &'static str);

const DEVICE_ID: Form = ("deviceID", b'"', "a string", "\"\"");
const CLIENT_NAME: Form = ("clientName", b'"', "a string", "\"\"");
const ASSET_LIST: Form = (ASSETS, b'[', "an array", "[]");
const CONFIGURATION: Form = (CONFIG, b'{', "an object", "{}");
const META: Form =
    ("meta", b'{', "an object", concat!(r#"{"source":"immich-kiosk","version":""#, env!("CARGO_PKG_VERSION"), "\"}"));
/// The members that do not come behind the document's: those are, or stand for the message's own.
const KNOWN: [&str; 8] = [EVENT, TIMESTAMP, DEVICE_ID.0, CLIENT_NAME.0, ASSET_COUNT, ASSETS, CONFIG, META.0];

/// The exact bytes, under this event name; the secrets in `config` masked or in clear.
pub(super) fn encode(message: &Message, event: &str, masked: bool) -> Result<Vec<u8>, EncodeError> {
    let payload = envelope::payload(message)?;
    let payload = Members(envelope::members(payload)?);
    let mut body = Vec::with_capacity(message.payload.len() + 256);
    body.extend_from_slice(b"{\"event\":");
    json::write_text(event, Style::Go, &mut body);
    body.extend_from_slice(b",\"timestamp\":");
    json::write_text(&timestamp(message), Style::Go, &mut body);
    for form in [DEVICE_ID, CLIENT_NAME] {
        write(form.0, payload.own(form)?, &mut body)?;
    }
    let assets = payload.own(ASSET_LIST)?;
    let count = count(assets).map_err(envelope::not_json)?;
    write(ASSET_COUNT, count.to_string().as_bytes(), &mut body)?;
    write(ASSETS, assets, &mut body)?;
    let config = payload.own(CONFIGURATION)?;
    if masked {
        write(CONFIG, &secrets::masked(config).map_err(envelope::not_json)?, &mut body)?;
    } else {
        write(CONFIG, config, &mut body)?;
    }
    write(META.0, payload.own(META)?, &mut body)?;
    for member in payload.0.iter().filter(|member| !KNOWN.iter().any(|known| member.is(known))) {
        envelope::write_member(member.key, member.value, Style::Go, &mut body)?;
    }
    body.push(b'}');
    Ok(body)
}

/// Writes a member of the document behind another.
fn write(name: &str, value: &[u8], body: &mut Vec<u8>) -> Result<(), EncodeError> {
    envelope::write_member(format!("\"{name}\"").as_bytes(), value, Style::Go, body)
}

/// The members of the payload.
struct Members<'a>(Vec<Member<'a>>);

impl<'a> Members<'a> {
    /// The payload's own value of a member, of several the last; `null` is none.
    fn own(&self, (name, begins, meant, missing): Form) -> Result<&'a [u8], EncodeError> {
        match self.0.iter().rfind(|member| member.is(name)) {
            None => Ok(missing.as_bytes()),
            Some(member) if member.value == b"null" => Ok(missing.as_bytes()),
            Some(member) if member.value.first() == Some(&begins) => Ok(member.value),
            Some(_) => Err(EncodeError(format!("member `{name}` of its payload must be {meant}"))),
        }
    }
}

/// How many elements an array has.
fn count(array: &[u8]) -> Result<usize, JsonError> {
    let mut tokens = Tokens::new(array);
    let mut elements = 0;
    while let Some(token) = tokens.next().transpose()? {
        elements += usize::from(match token.kind {
            Kind::ObjectStart | Kind::ArrayStart => tokens.depth() == 2,
            Kind::String | Kind::Number | Kind::Literal => tokens.depth() == 1,
            Kind::Key | Kind::ObjectEnd | Kind::ArrayEnd => false,
        });
    }
    Ok(elements)
}

/// The event time in whole seconds, at its own offset; in UTC where its text is not the usual one.
fn timestamp(message: &Message) -> String {
    const SECONDS: usize = "2024-11-19T11:03:07".len();
    let text = message.time_text();
    let shaped = |text: &str, shape: &str| {
        text.len() == shape.len()
            && text.bytes().zip(shape.bytes()).all(|(byte, form)| match form {
                b'0' => byte.is_ascii_digit(),
                b'+' => matches!(byte, b'+' | b'-'),
                other => byte == other,
            })
    };
    if let Some((seconds, rest)) = text.split_at_checked(SECONDS) {
        let offset = rest.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
        if shaped(seconds, "0000-00-00T00:00:00") && (offset == "Z" || shaped(offset, "+00:00")) {
            return format!("{seconds}{offset}");
        }
    }
    let utc = message.time().to_string();
    format!("{}Z", &utc[..SECONDS])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examples::message;

    #[test]
    fn times_are_whole_seconds_at_their_own_offset() {
        let check = |given: &str, expected: &str| {
            let mut message = message("{}");
            message.event_time = Some(given.parse().expect("a time"));
            assert_eq!(timestamp(&message), expected, "{given}");
        };
        check("2024-11-19T11:03:07Z", "2024-11-19T11:03:07Z");
        check("2024-11-19T11:03:07.999999999+01:00", "2024-11-19T11:03:07+01:00");
        check("2024-11-19T11:03:07.5-09:30", "2024-11-19T11:03:07-09:30");
        check("2024-11-19t11:03:07z", "2024-11-19T11:03:07Z");
        check("2024-11-19T11:03:07+0100", "2024-11-19T10:03:07Z");
        assert_eq!(timestamp(&message("{}")), "2026-01-01T00:00:00Z");
    }

    #[test]
    fn elements_are_counted_and_not_what_is_in_them() {
        for (array, expected) in [("[]", 0), ("[ 1 ]", 1), (r#"[{"a":[1,2]},[[3]],"x",null]"#, 4)] {
            assert_eq!(count(array.as_bytes()), Ok(expected), "{array}");
        }
    }
}
