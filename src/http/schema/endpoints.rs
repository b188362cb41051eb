//! Bodies about endpoints and deliveries.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::Why;
use crate::flow::{
    resend::ResendOnly,
    view::{Endpoint, EndpointDeliverySummary, EventKind},
};

/// All endpoints.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Endpoints {
    /// Sorted by name.
    pub endpoints: Vec<Endpoint>,
}

/// A new endpoint.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateEndpointRequest {
    /// Lowercase letters, digits and any of `_ - . @`; at most 63 characters.
    #[schema(example = "crm", pattern = "^[a-z0-9][a-z0-9_@.-]{0,62}$")]
    pub name: String,
    /// URL that events are posted to: `https://`, or `http://` within networks that the workers' settings name.
    #[schema(
        example = "https://crm.example.com/hooks/pgdial",
        max_length = 2000,
        pattern = r#"^https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?([/?][!-"$-~]*)?$"#
    )]
    pub url: String,
    /// Omitted fields take their defaults.
    #[serde(flatten)]
    pub changes: SetEndpointRequest,
}

/// Settings of an endpoint.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetEndpointRequest {
    /// URL that events are posted to: `https://`, or `http://` within networks that the workers' settings name.
    #[schema(
        max_length = 2000,
        pattern = r#"^https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?([/?][!-"$-~]*)?$"#
    )]
    pub url: Option<String>,
    /// Kinds of events that it gets; default: how calls end, and results that are added later.
    #[schema(value_type = Option<Vec<EventKind>>, example = json!(["completed", "failed"]), min_items = 1)]
    pub kinds: Option<Vec<String>>,
    /// Only events of calls of these campaigns; null means of all.
    #[schema(min_items = 1, max_items = 100)]
    pub campaigns: Option<Vec<String>>,
    /// Reason, kept with the act.
    pub why: Option<Why>,
}

/// A new endpoint with its secret.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedEndpoint {
    /// The endpoint.
    #[serde(flatten)]
    pub endpoint: Endpoint,
    /// Signing secret, as a library of Standard Webhooks takes it. It is not shown again.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=")]
    pub secret: String,
}

/// A secret to replace.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RotateEndpointRequest {
    /// How long the present secret signs too, up to 30 days; default `24 hours`. With `0 seconds` it ends at once.
    #[schema(example = "24 hours", pattern = r"^[^\u0000]*$")]
    pub overlap: Option<String>,
    /// Reason, kept with the act.
    pub why: Option<Why>,
}

/// The new secret of an endpoint.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RotatedEndpoint {
    /// Signing secret, as a library of Standard Webhooks takes it. It is not shown again.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=")]
    pub secret: String,
}

/// A test that is on its way.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TestedEndpoint {
    /// Id of its delivery.
    #[schema(example = "evt_2a7_51_64b0c2f1a2b3c")]
    pub id: String,
}

/// Events of an endpoint to deliver once more, by when they happened.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResendRequest {
    /// Instant of the first (RFC 3339).
    #[schema(example = "2026-01-31T09:00:00Z")]
    pub from: DateTime<Utc>,
    /// Instant before which the last was (RFC 3339).
    #[schema(example = "2026-01-31T10:00:00Z")]
    pub until: DateTime<Utc>,
    /// Which of them; default `all`.
    #[serde(default)]
    pub only: ResendOnly,
    /// `cursor` of the previous batch.
    #[schema(pattern = r"^[^\u0000]*$")]
    pub cursor: Option<String>,
    /// Reason, kept with the act.
    pub why: Option<Why>,
}

/// What becomes of a delivery that is to be sent once more.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ResendResponse {
    /// `resent`, or `pending` if it was on its way.
    #[schema(example = "resent")]
    pub result: String,
}

/// A page of deliveries, the latest events first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeliveryPage {
    /// The latest events first.
    pub deliveries: Vec<EndpointDeliverySummary>,
    /// `cursor` of the next page; null on the last.
    pub next_cursor: Option<String>,
}
