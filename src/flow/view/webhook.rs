//! A webhook event as it is shown.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::CallId;

/// A webhook event that was kept.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
// Not deny_unknown_fields: with its body it is one object, and the schema would forbid that.
#[serde(rename_all = "camelCase")]
pub struct WebhookEvent {
    /// Its number.
    pub id: i64,
    /// The trunk whose secret signed it.
    #[schema(example = "default")]
    pub trunk: String,
    /// What became of it.
    #[schema(example = "applied")]
    pub verdict: String,
    /// The call that it is about.
    pub call_id: Option<CallId>,
    /// The dial that its URL named.
    pub reference: Option<String>,
    /// The event's id, the same in every delivery.
    #[schema(example = "evt_1")]
    pub event_id: String,
    /// The provider's word.
    pub status: Option<String>,
    /// The provider's id of the call.
    pub provider_call_id: Option<String>,
    /// When it came first.
    pub received_at: DateTime<Utc>,
    /// How often it came.
    pub deliveries: i64,
    /// When it came last.
    pub last_delivery_at: DateTime<Utc>,
    /// While it is parked: when it is tried again.
    pub tried_again_at: Option<DateTime<Utc>>,
}
