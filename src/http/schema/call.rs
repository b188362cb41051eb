//! Pages of calls and of webhook events.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::flow::view::{CallSummary, WebhookEvent};

/// A webhook event with its body.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookWithBody {
    /// The event, its fields beside the body's.
    #[serde(flatten)]
    pub event: WebhookEvent,
    /// Body as received; null if it is not UTF-8.
    pub body: Option<String>,
    /// Body in base64; null if it is UTF-8.
    pub body_base64: Option<String>,
}

/// A page of webhook events, newest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookPage {
    /// Newest first.
    pub webhooks: Vec<WebhookWithBody>,
    /// `cursor` of the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// A page of calls, newest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallPage {
    /// Newest first.
    pub calls: Vec<CallSummary>,
    /// `cursor` of the next page; null on the last.
    pub next_cursor: Option<String>,
}
