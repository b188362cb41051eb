//! Dial requests.

use hyper::Uri;
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Map, Value};

use crate::calls::{OnMachine, Order};

/// A dial request. Unknown fields are accepted: other programs speak this protocol too.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PlaceRequest {
    pub(super) to: String,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    script_id: Option<String>,
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
    #[serde(default, deserialize_with = "address")]
    webhook_url: Option<Uri>,
    #[serde(default)]
    reference: Option<String>,
    #[serde(default)]
    max_duration_sec: Option<u64>,
    #[serde(default)]
    ring_timeout_sec: Option<u64>,
    #[serde(default)]
    answering_machine: OnMachine,
}

impl PlaceRequest {
    /// The order. Without a reference the key names the dial.
    pub(super) fn into_order(self, key: Option<&str>) -> Order {
        Order {
            to: self.to,
            from: self.from,
            script: self.script_id,
            metadata: self.metadata.unwrap_or_default(),
            webhook_url: self.webhook_url,
            reference: self.reference.or(key.map(str::to_owned)),
            max_duration_sec: self.max_duration_sec,
            ring_timeout_sec: self.ring_timeout_sec,
            on_machine: self.answering_machine,
            echo: Value::Null,
        }
    }
}

/// A URL that requests can be sent to, or none.
fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Uri>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let uri: Uri = text.parse().map_err(Error::custom)?;
    match uri.scheme_str() {
        Some("http" | "https") => Ok(Some(uri)),
        _ => Err(Error::custom("webhookUrl must be http:// or https://")),
    }
}
