//! One shape for every refusal, and the one list of codes in it.
//!
//! The wire is Svix's: `{code, detail}`, with a `hint` of ours where there is one thing to do; 422 for input that breaks a
//! rule, as a list of `{loc, msg, type}`; `{}` for 500, so that nothing internal leaves. Every body is JSON, because the
//! official clients parse it whatever the status.

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hookyard_model::limits;
use hookyard_ports::StoreError;
use serde::Serialize;

use crate::reply;

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $name:ident = $status:ident, $text:literal;)*) => {
        /// What an error body says in `code` (or, for 422, in `type`); clients may rely on the texts.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[doc = $doc])* $name,)*
        }

        impl Code {
            /// All of them, for the reference page.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The text on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// When it is said, in a sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),*).trim_ascii(),)* }
            }

            /// The status that it comes with.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }
        }
    };
}

codes! {
    /// The request makes no sense as it is.
    Generic = BAD_REQUEST, "generic_error";
    /// The message's payload was expunged.
    MissingPayload = BAD_REQUEST, "missing_payload";
    /// No valid token.
    AuthenticationFailed = UNAUTHORIZED, "authentication_failed";
    /// The token is valid and may not do this.
    InsufficientAccess = FORBIDDEN, "insufficient access";
    /// Nothing is there.
    NotFound = NOT_FOUND, "not_found";
    /// The path is there, but not for this method.
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method_not_allowed";
    /// The client took too long to send the request.
    RequestTimeout = REQUEST_TIMEOUT, "request_timeout";
    /// Something else has the name.
    Conflict = CONFLICT, "conflict";
    /// The idempotency key was used by another request.
    IdempotencyConflict = CONFLICT, "idempotency_conflict";
    /// The body is over the limit.
    PayloadTooLarge = PAYLOAD_TOO_LARGE, "payload_too_large";
    /// A field breaks its rule.
    Value = UNPROCESSABLE_ENTITY, "value_error";
    /// The body is not JSON.
    JsonDecode = UNPROCESSABLE_ENTITY, "value_error.jsondecode";
    /// Something broke on our side; the log says what.
    Internal = INTERNAL_SERVER_ERROR, "internal";
    /// The store cannot take it at the moment; try again later.
    Unavailable = SERVICE_UNAVAILABLE, "unavailable";
}

/// A refusal.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    code: Code,
    detail: Cow<'static, str>,
    /// Where in the request, outermost first; for 422 only.
    place: Vec<Cow<'static, str>>,
    hint: Option<String>,
}

/// An operation's answer.
pub(crate) type Result<T> = std::result::Result<T, ApiError>;

impl ApiError {
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, detail: detail.into(), place: Vec::new(), hint: None }
    }

    /// A field that breaks its rule.
    pub(crate) fn value<const N: usize>(place: [&'static str; N], detail: impl Into<Cow<'static, str>>) -> Self {
        Self { place: place.into_iter().map(Cow::Borrowed).collect(), ..Self::new(Code::Value, detail) }
    }

    /// A body that is not JSON.
    pub(crate) fn not_json(detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code: Code::JsonDecode, ..Self::value(["body"], detail) }
    }

    /// Nothing is there; the detail is what clients of Svix know.
    pub(crate) fn not_found(hint: impl Into<String>) -> Self {
        Self::new(Code::NotFound, "Entity not found").hint(hint)
    }

    /// Adds the one thing to do.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same error, further inside: `outer` stands between the body and the rest of the place.
    pub(crate) fn inside(mut self, outer: [Cow<'static, str>; 2]) -> Self {
        let at = self.place.len().min(1);
        self.place.splice(at..at, outer);
        self
    }

    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// The body, as it stands alone or in the answer of a batch.
    pub(crate) fn wire(&self) -> WireError<'_> {
        match self.code {
            Code::Internal => WireError::Nothing {},
            Code::Value | Code::JsonDecode => WireError::Invalid {
                detail: [Problem { loc: &self.place, msg: &self.detail, kind: self.code.as_str() }],
                hint: self.hint.as_deref(),
            },
            Code::Generic
            | Code::MissingPayload
            | Code::AuthenticationFailed
            | Code::InsufficientAccess
            | Code::NotFound
            | Code::MethodNotAllowed
            | Code::RequestTimeout
            | Code::Conflict
            | Code::IdempotencyConflict
            | Code::PayloadTooLarge
            | Code::Unavailable => {
                WireError::Standard { code: self.code.as_str(), detail: &self.detail, hint: self.hint.as_deref() }
            }
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if error.is_retryable() {
            return Self::new(Code::Unavailable, error.to_string());
        }
        tracing::error!(%error, "a store deed failed");
        Self::new(Code::Internal, "")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = reply::json(self.code.status(), &self.wire());
        if self.code == Code::Unavailable {
            let seconds = limits::RETRY_AFTER_UNAVAILABLE.as_secs();
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        // For the counter of what was turned away, which sees only the response.
        response.extensions_mut().insert(self.code);
        response
    }
}

/// The body of a refusal.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum WireError<'a> {
    Nothing {},
    Standard {
        code: &'static str,
        detail: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<&'a str>,
    },
    Invalid {
        detail: [Problem<'a>; 1],
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<&'a str>,
    },
}

/// One broken rule.
#[derive(Debug, Serialize)]
pub(crate) struct Problem<'a> {
    loc: &'a [Cow<'static, str>],
    msg: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(error: &ApiError) -> String {
        serde_json::to_string(&error.wire()).expect("an error can be written")
    }

    #[test]
    fn every_code_is_on_the_list() {
        let list: Vec<String> =
            Code::ALL.iter().map(|code| format!("{} {}", code.status().as_u16(), code.as_str())).collect();
        insta::assert_snapshot!(list.join("\n"), @r"
        400 generic_error
        400 missing_payload
        401 authentication_failed
        403 insufficient access
        404 not_found
        405 method_not_allowed
        408 request_timeout
        409 conflict
        409 idempotency_conflict
        413 payload_too_large
        422 value_error
        422 value_error.jsondecode
        500 internal
        503 unavailable
        ");
    }

    #[test]
    fn each_kind_has_its_shape() {
        let not_found = ApiError::not_found("look elsewhere");
        assert_eq!(wire(&not_found), r#"{"code":"not_found","detail":"Entity not found","hint":"look elsewhere"}"#);
        let value = ApiError::value(["body", "eventType"], "wrong");
        assert_eq!(wire(&value), r#"{"detail":[{"loc":["body","eventType"],"msg":"wrong","type":"value_error"}]}"#);
        let inside = value.inside(["messages".into(), "3".into()]);
        assert!(wire(&inside).contains(r#"["body","messages","3","eventType"]"#), "{}", wire(&inside));
        assert_eq!(wire(&ApiError::from(StoreError::Other("disk on fire".to_owned()))), "{}");
    }

    #[test]
    fn a_store_that_cannot_answer_asks_to_wait() {
        for error in [StoreError::Unavailable("closing".to_owned()), StoreError::Full("disk".to_owned())] {
            let response = ApiError::from(error).into_response();
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(response.headers()[header::RETRY_AFTER], "5");
        }
    }
}
