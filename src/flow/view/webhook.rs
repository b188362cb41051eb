//! A webhook event as the API shows it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::CallId;

/// A webhook event: signed by the trunk's secret, and kept.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
// Not deny_unknown_fields: WebhookWithBody flattens this into one object, and the schema would forbid the
// rest of it.
#[serde(rename_all = "camelCase")]
pub struct WebhookEvent {
    /// Number of the event in this database, ascending.
    pub id: i64,
    /// The trunk whose secret signed it.
    #[schema(example = "default")]
    pub trunk: String,
    /// What was done with it: `applied`, `noted`, `stale`, `late_answer`, `mismatch`, `parked`, `unparsable`
    /// or `unmatched`.
    #[schema(example = "applied")]
    pub verdict: String,
    /// Call it is about, once known.
    pub call_id: Option<CallId>,
    /// Reference named in its URL; null if there was none.
    pub reference: Option<String>,
    /// The provider's id of the event, the same in every delivery.
    #[schema(example = "evt_1")]
    pub event_id: String,
    /// The provider's status word.
    pub status: Option<String>,
    /// The provider's id of the call.
    pub provider_call_id: Option<String>,
    /// First delivery.
    pub received_at: DateTime<Utc>,
    /// Number of deliveries, from 1.
    pub deliveries: i64,
    /// Latest delivery.
    pub last_delivery_at: DateTime<Utc>,
    /// While parked: when it is next tried. Null otherwise.
    pub tried_again_at: Option<DateTime<Utc>>,
}
