//! Errors as RFC 9457 problem documents, in one shape everywhere.
//!
//! A handler returns `Err(Problem)`. The problem travels in the response's extensions to the edge, which
//! alone knows the request id, writes the document, and logs what the client is not told. So a document never
//! holds a cause, and a cause is logged exactly once.

use std::{borrow::Cow, error::Error as StdError, sync::Arc};

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::flow::{self, groups::ChangeError};

// Stable error codes.
mod code;

pub use code::Code;

/// A problem document (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
#[serde(rename_all = "camelCase")]
pub struct Document<'a> {
    /// URL that explains the code.
    #[serde(rename = "type")]
    #[schema(example = "/docs#invalid_request")]
    kind: String,
    /// Short title, the same for every occurrence of the code.
    #[schema(example = "The request cannot be taken")]
    title: &'a str,
    /// HTTP status.
    #[schema(example = 422)]
    status: u16,
    /// What happened here, and what to do.
    #[schema(example = "\"to\" is missing: the number to ring, as in \"+14155550100\"")]
    detail: &'a str,
    /// Stable code of the error, for programs.
    #[schema(example = "invalid_request")]
    code: Code,
    /// Id of this request in the server's logs; also in the `x-request-id` header.
    request_id: &'a str,
    /// Until when the obstacle lasts, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<DateTime<Utc>>,
    /// Every error of the body, if its fields were checked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Fault<'a>>,
}

impl<'a> Document<'a> {
    fn new(code: Code, status: StatusCode, detail: &'a str, request_id: &'a str) -> Self {
        Self {
            kind: format!("/docs#{}", code.as_str()),
            title: code.title(),
            status: status.as_u16(),
            detail,
            code,
            request_id,
            until: None,
            errors: Vec::new(),
        }
    }
}

impl Code {
    /// Example document with this code.
    pub(super) fn example(self) -> serde_json::Value {
        let request = "0197f5e0-0000-4000-8000-000000000009";
        json!(Document::new(self, self.status(), self.title(), request))
    }
}

/// One error of a body.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Fault<'a> {
    /// What is wrong, and what to do.
    detail: &'a str,
    /// JSON Pointer to the field.
    #[schema(example = "#/to")]
    pointer: String,
}

impl<'a> Fault<'a> {
    /// `"to" is missing: ...` is about `to`; a detail that does not begin with a field is about none.
    fn of(detail: &'a str) -> Option<Self> {
        let (field, _) = detail.strip_prefix('"')?.split_once('"')?;
        let field = field.replace('~', "~0").replace('/', "~1");
        let pointer = format!("#/{field}");
        Some(Self { detail, pointer })
    }
}

/// A limit that is used up (draft-ietf-httpapi-ratelimit-headers).
#[derive(Debug, Clone, Copy)]
pub(super) struct Limited {
    /// What is limited.
    pub(super) name: &'static str,
    /// How many are allowed in the window.
    pub(super) quota: u32,
    /// Seconds of the window.
    pub(super) window: u64,
    /// Seconds until it begins anew.
    pub(super) reset: u64,
}

/// An error response on its way to the edge.
#[derive(Debug, Clone)]
pub struct Problem {
    code: Code,
    status: StatusCode,
    detail: Cow<'static, str>,
    until: Option<DateTime<Utc>>,
    retry_after_sec: Option<u32>,
    challenge: Option<&'static str>,
    limit: Option<Limited>,
    cause: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Problem {
    /// A problem with the code's default status.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            status: code.status(),
            detail: detail.into(),
            until: None,
            retry_after_sec: None,
            challenge: None,
            limit: None,
            cause: None,
        }
    }

    /// There is no call with this id.
    pub(super) fn no_such_call() -> Self {
        Self::new(
            Code::NotFound,
            "there is no call with this id: it never was, or it was removed after its retention",
        )
    }

    /// Same code, other status.
    pub(super) const fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Sets `RateLimit` and `RateLimit-Policy`.
    pub(super) const fn limited(mut self, limit: Limited) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Sets `Retry-After`, in seconds.
    pub(super) const fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_sec = Some(seconds);
        self
    }

    /// Sets the `WWW-Authenticate` of a 401.
    pub(super) const fn challenge(mut self, challenge: &'static str) -> Self {
        self.challenge = Some(challenge);
        self
    }

    /// Sets until when the obstacle lasts.
    pub(super) const fn until(mut self, until: Option<DateTime<Utc>>) -> Self {
        self.until = until;
        self
    }

    /// Sets a cause, which is logged but not sent.
    pub(super) fn cause(mut self, cause: impl StdError + Send + Sync + 'static) -> Self {
        self.cause = Some(Arc::new(cause));
        self
    }

    /// Stable code of the error.
    pub(super) const fn code(&self) -> Code {
        self.code
    }

    /// What happened, and what to do.
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    /// Masks the detail, for a client that may not see numbers.
    pub(super) fn mask(&mut self, mask: impl FnOnce(&mut String)) {
        mask(self.detail.to_mut());
    }

    /// The cause and its own causes in one line, for the log.
    pub(super) fn causes(&self) -> Option<String> {
        let first: &dyn StdError = self.cause.as_deref()?;
        let chain = std::iter::successors(Some(first), |&error| error.source());
        Some(
            chain
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(": "),
        )
    }

    /// Writes the document into the response that carried it, whose headers (`Allow`) stay.
    pub(super) fn write(&self, carrier: Response, request_id: &str) -> Response {
        // The database writes one error per line.
        let faults = || self.detail.lines();
        let detail = match faults().count() {
            0 | 1 => Cow::Borrowed(&*self.detail),
            several => {
                let first = faults().next().unwrap_or_default();
                format!("{several} faults, all of them in errors; the first: {first}").into()
            }
        };
        let of_body = matches!(self.code, Code::InvalidRequest);
        let document = Document {
            until: self.until,
            errors: faults().filter(|_| of_body).filter_map(Fault::of).collect(),
            ..Document::new(self.code, self.status, &detail, request_id)
        };
        let (mut parts, _nothing) = carrier.into_parts();
        parts.status = self.status;
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        let text = serde_json::to_vec(&document).unwrap_or_default();
        Response::from_parts(parts, Body::from(text))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(seconds) = self.retry_after_sec {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(Limited {
            name,
            quota,
            window,
            reset,
        }) = self.limit
        {
            for (header, value) in [
                (
                    "ratelimit-policy",
                    format!("\"{name}\";q={quota};w={window}"),
                ),
                ("ratelimit", format!("\"{name}\";r=0;t={reset}")),
            ] {
                if let Ok(value) = HeaderValue::try_from(value) {
                    response.headers_mut().insert(header, value);
                }
            }
        }
        if let Some(challenge) = self.challenge {
            let value = HeaderValue::from_static(challenge);
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, value);
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<flow::Error> for Problem {
    fn from(error: flow::Error) -> Self {
        match error {
            flow::Error::LockedOut => Self::new(
                Code::Locked,
                "somebody's open transaction holds the call: try again",
            )
            .retry_after(1),
            flow::Error::Contract { .. } | flow::Error::Refused { .. } => {
                Self::internal().cause(error)
            }
            other => Self::unavailable().cause(other),
        }
    }
}

/// A value that does not fit is the client's error; the database says what to do.
impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::UnknownTrunk => Self::new(
                Code::UnknownTrunk,
                "there is no trunk of this name: GET /api/v1/trunks shows those there are",
            ),
            ChangeError::Refused(words) => Self::new(Code::InvalidRequest, words),
            ChangeError::Flow(error) => error.into(),
        }
    }
}

impl Problem {
    /// An internal error.
    pub(super) fn internal() -> Self {
        Self::new(
            Code::Internal,
            "something went wrong here; our log knows it by the request id",
        )
    }

    /// The database does not respond.
    pub(super) fn unavailable() -> Self {
        Self::new(
            Code::Unavailable,
            "the database does not answer now: try again, with the same idempotency key where there is one",
        )
        .retry_after(2)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use serde_json::{Value, json};

    use super::*;

    async fn written(problem: Problem) -> (StatusCode, Value) {
        let response = problem.write(problem.clone().into_response(), "req-1");
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_document_has_the_members_of_rfc_9457_and_ours() {
        let problem = Problem::new(Code::InvalidRequest, "\"to\" is missing");
        let (status, document) = written(problem).await;
        assert_eq!(status, 422);
        assert_eq!(
            document,
            json!({"type": "/docs#invalid_request", "title": "The request cannot be taken",
                   "status": 422, "detail": "\"to\" is missing", "code": "invalid_request",
                   "requestId": "req-1", "errors": [{"detail": "\"to\" is missing", "pointer": "#/to"}]})
        );
    }

    #[tokio::test]
    async fn a_cause_is_for_the_log_only() {
        let problem = Problem::from(flow::Error::Contract {
            verb: "cancel",
            got: "a secret word".to_owned(),
        });
        assert!(problem.causes().unwrap().contains("a secret word"));
        let (status, document) = written(problem).await;
        assert_eq!(status, 500);
        assert!(!document.to_string().contains("secret"), "{document}");
    }

    #[test]
    fn every_code_is_listed_once_under_its_own_word() {
        let mut words: Vec<_> = Code::ALL.map(Code::as_str).to_vec();
        for code in Code::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Code::ALL.len());
    }
}
