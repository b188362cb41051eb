//! Dial requests.

use hyper::Uri;
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Map, Value};

/// A dial request. Unknown fields are accepted: other programs speak this protocol too.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Wish {
    pub(crate) to: String,
    #[serde(default)]
    pub(crate) from: Option<String>,
    #[serde(default)]
    pub(crate) script_id: Option<String>,
    #[serde(default)]
    pub(crate) metadata: Option<Map<String, Value>>,
    #[serde(default, deserialize_with = "address")]
    pub(crate) webhook_url: Option<Uri>,
    #[serde(default)]
    pub(crate) reference: Option<String>,
    #[serde(default)]
    pub(crate) max_duration_sec: Option<u64>,
    #[serde(default)]
    pub(crate) ring_timeout_sec: Option<u64>,
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
