//! What a caller asks for.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::Numbers;

/// One time zone, or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Timezones {
    /// As in `America/New_York`.
    One(String),
    /// At most 20.
    Several(Vec<String>),
}

/// One requested call, as the HTTP API, the CLI and `pgdial.enqueue_many` take it.
///
/// Limits that need no database (lengths, ranges) are checked by `pgdial.read_requests`, which every way in passes
/// through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallRequest {
    /// The number to ring: `+14155550100`, with separators or as a `tel:` URI; with a region also in that region's
    /// national format. Stored in E.164. A number that is not possible in its country is refused. A list has 1 to 10
    /// numbers of one person: they are rung one after the other, and never two at a time.
    pub to: Numbers,
    /// Where the callee is, as ISO 3166 writes it. The country, two letters, says whose national format `to` and
    /// `from` are in if they lack + and country code; it defaults to the campaign's region, and without either the + is
    /// required. With a part of the country, as in `US-FL`, the calling hours of that part apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "US-FL", pattern = "^[A-Za-z]{2}(-[A-Za-z0-9]{1,3})?$")]
    pub region: Option<String>,
    /// Where the callee is: an IANA time zone, or several, in all of which it must be within the calling hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<Timezones>,
    /// The provider's id of the script, agent or assistant, 1 to 200 characters.
    #[schema(
        example = "welcome",
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\u0000]*$"
    )]
    pub script_id: String,
    /// Passed to the provider unchanged. A JSON object of at most 16 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = json!({"name": "Ada"}))]
    pub metadata: Option<Map<String, Value>>,
    /// Name of the campaign; defaults to `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = r"^[^\u0000]*$")]
    pub campaign: Option<String>,
    /// Caller id shown to the callee; defaults to the provider's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 250, pattern = r"^[^\u0000]*$")]
    pub from: Option<String>,
    /// 0 to 9, higher goes first; defaults to 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 9)]
    pub priority: Option<i16>,
    /// Earliest dial (RFC 3339); defaults to now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_at: Option<DateTime<Utc>>,
    /// Latest dial (RFC 3339), after which the call expires; defaults to never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// Attempts, 1 to 20; defaults to the campaign's setting, itself 3 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 20)]
    pub max_attempts: Option<i32>,
    /// When the callee agreed to be called (RFC 3339). A campaign may require it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent_at: Option<DateTime<Utc>>,
    /// Where the consent is recorded, such as the id of a form; 1 to 255 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 255, pattern = r"^[^\u0000]*$")]
    pub consent_ref: Option<String>,
    /// When the consent ends (RFC 3339); defaults to never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent_expires_at: Option<DateTime<Utc>>,
    /// A repeated request with the same key is the same call. 1 to 255 characters. Over HTTP a single request carries
    /// it in the `Idempotency-Key` header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 255, pattern = r"^[^\u0000]*$")]
    pub idempotency_key: Option<String>,
    /// The request's trace as a W3C `traceparent`; passed to the provider with every dial. Over HTTP it defaults to
    /// the request's `traceparent` header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")]
    pub traceparent: Option<String>,
}

impl CallRequest {
    /// This number with this script, at once, and everything else by default. Fields may be added: write
    /// `CallRequest { priority: Some(9), ..CallRequest::new(to, script_id) }`.
    pub fn new(to: impl Into<Numbers>, script_id: impl Into<String>) -> Self {
        Self {
            to: to.into(),
            script_id: script_id.into(),
            region: None,
            timezone: None,
            metadata: None,
            campaign: None,
            from: None,
            priority: None,
            run_at: None,
            expires_at: None,
            max_attempts: None,
            consent_at: None,
            consent_ref: None,
            consent_expires_at: None,
            idempotency_key: None,
            traceparent: None,
        }
    }
}
