//! Pages of calls and of what was said about them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::flow::view::{CallSummary, WebhookEvent};

/// A webhook event with its body.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookWithBody {
    /// The event.
    #[serde(flatten)]
    pub event: WebhookEvent,
    /// The body as it came; null where it is no UTF-8.
    pub body: Option<String>,
    /// The body in base64, where it is no UTF-8.
    pub body_base64: Option<String>,
}

/// A page of webhook events, newest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookPage {
    /// The events.
    pub webhooks: Vec<WebhookWithBody>,
    /// Give it back as `cursor` for the next page; null: this is the last.
    pub next_cursor: Option<String>,
}

/// A page of calls, newest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallPage {
    /// The calls.
    pub calls: Vec<CallSummary>,
    /// Give it back as `cursor` for the next page; null: this is the last.
    pub next_cursor: Option<String>,
}
