//! Templates that callers save, and payloads that meet them: a line for the template, the rest for the payload.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use hookyard_core::json;
use hookyard_dialects::{check_settings, find};
use hookyard_model::{Message, Payload, limits};
use hookyard_ports::testkit::build;

/// A template as body, as header and as what is signed: refused, or rendered within its bounds, the same each time.
///
/// The template is the first line; `\n` in it is a line break.
pub fn templates(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (line, payload) = (&data[..end], data.get(end + 1..).unwrap_or_default());
    let Ok(line) = str::from_utf8(line) else { return };
    let text = line.replace("\\n", "\n");
    let dialect = find(&"template".parse().expect("a dialect's name")).expect("it is one of ours");
    let outbound = dialect.outbound().expect("it sends");
    let pairs = [("body", text.as_str()), ("headers.x-rendered", &text), ("signature.content", line)];
    for (signed, pairs) in [(false, &pairs[..2]), (true, &pairs[2..])] {
        let mut endpoint = build::endpoint(1);
        let settings = Arc::make_mut(&mut endpoint.settings);
        settings.dialect = dialect.name().parse().expect("a dialect's name");
        settings.keys.keys.clear();
        settings.options = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        if signed {
            settings.keys = hookyard_model::SigningKeys::single("a secret");
            let more = [("signature.header", "x-signature"), ("signature.timestamp_header", "x-timestamp")];
            settings.options.extend(BTreeMap::from(more.map(|(name, value)| (name.to_owned(), value.to_owned()))));
        }
        if let Err(error) = check_settings(outbound, settings) {
            assert!(!error.why.contains(['\n', '\r']), "moves the cursor: {error}");
            continue;
        }
        for payload in [b"{}", payload] {
            // What is not JSON is not let in as such.
            let is_json = json::check_depth(payload, limits::JSON_DEPTH).is_ok() && str::from_utf8(payload).is_ok();
            let content_type = if is_json { "application/json" } else { "text/plain" };
            let message = Message {
                content_type: content_type.to_owned(),
                payload: Payload::Kept(Bytes::copy_from_slice(payload)),
                ..build::message(1)
            };
            let Ok(encoded) = outbound.encode(&message, &endpoint, 0) else { continue };
            assert!(encoded.body.len() <= limits::TEMPLATE_OUTPUT_BYTES.max(payload.len()));
            let rendered = encoded.headers.get("x-rendered").map_or(0, http::HeaderValue::len);
            assert!(rendered <= limits::HEADER_VALUE_BYTES);
            assert_eq!(outbound.encode(&message, &endpoint, 0).as_ref(), Ok(&encoded), "two attempts differ");
            let mut headers = encoded.headers.clone();
            outbound.sign(&encoded, &message, &endpoint, build::NOW, &mut headers).expect("what was saved signs");
            assert_eq!(headers.contains_key("x-signature"), signed);
        }
    }
}
