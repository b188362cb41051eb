//! What a caller asks for.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// One requested call, as the HTTP API, the CLI and `pgdial.enqueue_many` take it.
///
/// Limits that need no database (lengths, ranges) are checked by
/// `pgdial.read_requests`, the one place that every way in goes through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallRequest {
    /// The number to ring: `+14155550100`, with separators or as a `tel:` URI; with a region also as
    /// it is dialled there. Kept in E.164. A number that its country cannot have is refused.
    #[schema(example = "+14155550100", max_length = 250, pattern = r"^[^\u0000]*$")]
    pub to: String,
    /// Where `to` and `from` are dialled as they stand, if they have no + and country code: ISO 3166,
    /// two letters. The campaign's when absent; without either the + is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(
        example = "US",
        min_length = 2,
        max_length = 2,
        pattern = "^[A-Za-z]{2}$"
    )]
    pub region: Option<String>,
    /// What the provider should say: its name for the script, agent or assistant. 1 to 200 characters.
    #[schema(
        example = "welcome",
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\u0000]*$"
    )]
    pub script_id: String,
    /// Passed to the provider verbatim. A JSON object of at most 16 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = json!({"name": "Ada"}))]
    pub metadata: Option<Map<String, Value>>,
    /// The campaign that it belongs to; `default` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = r"^[^\u0000]*$")]
    pub campaign: Option<String>,
    /// The number to show to the callee; the provider's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 250, pattern = r"^[^\u0000]*$")]
    pub from: Option<String>,
    /// 0 to 9, higher first; 0 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 9)]
    pub priority: Option<i16>,
    /// Not before this instant (RFC 3339); at once when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_at: Option<DateTime<Utc>>,
    /// Not dialled after this instant (RFC 3339); never expires when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// How many attempts, 1 to 20; the campaign's (3) when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 20)]
    pub max_attempts: Option<i32>,
    /// The same key with the same request is the same call. 1 to 255 characters.
    /// Over HTTP a single request carries it in the `Idempotency-Key` header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 255, pattern = r"^[^\u0000]*$")]
    pub idempotency_key: Option<String>,
    /// The trace that it is asked for in, as W3C's trace context writes it; told to the provider
    /// with each dial. Over HTTP the `traceparent` header of the request is taken, where there is none here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")]
    pub traceparent: Option<String>,
}
