//! Bodies about keys.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{
    domain::{Scope, Sight, Why},
    flow::view::Key,
};

/// What a key may do.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OwnKey {
    /// Its name; `anonymous` on a server without keys.
    #[schema(example = "crm")]
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// The campaigns that it is bound to; null: to none.
    #[schema(example = json!(["spring"]))]
    pub campaigns: Option<Vec<String>>,
    /// Whether it sees numbers whole.
    pub numbers: Sight,
}

/// All keys.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Keys {
    /// By name.
    pub keys: Vec<Key>,
}

/// A new key.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateKeyRequest {
    /// Of whoever is to use it: calls and idempotency keys belong to it, and acts show it.
    #[schema(example = "crm", pattern = "^[A-Za-z0-9._-]{1,60}$")]
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// Names of the campaigns to bind it to, but not an `admin`; null: to none.
    #[schema(example = json!(null), min_items = 1)]
    pub campaigns: Option<Vec<String>>,
    /// Whether it sees numbers whole; default `masked`.
    #[serde(default)]
    pub numbers: Sight,
    /// When it ends (RFC 3339); null means never.
    pub expires_at: Option<DateTime<Utc>>,
    /// Reason, kept with the act.
    pub why: Option<Why>,
}

impl CreateKeyRequest {
    /// The key, as the verb takes it.
    pub(in crate::http) fn key(&self) -> Value {
        let expires_at = self.expires_at;
        json!({
            "scope": self.scope, "campaigns": self.campaigns, "numbers": self.numbers,
            "expiresAt": expires_at.map(|at| at.to_rfc3339_opts(SecondsFormat::Micros, true)),
        })
    }
}

/// Another key of the same name.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RotateKeyRequest {
    /// How long the key before it stays valid, up to 90 days; default `1 day`.
    #[schema(example = "1 day", pattern = r"^[^\u0000]*$")]
    pub keep: String,
    /// Reason, kept with the act.
    pub why: Option<Why>,
}

impl Default for RotateKeyRequest {
    fn default() -> Self {
        Self {
            keep: "1 day".to_owned(),
            why: None,
        }
    }
}

/// A key, shown once.
#[derive(Clone, Serialize, ToSchema)]
pub struct NewKey {
    /// Its name.
    #[schema(example = "crm")]
    pub name: String,
    /// The key. Nobody can show it again.
    #[schema(example = "pgdial_0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f6071")]
    pub key: String,
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewKey")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Signing in.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenSessionRequest {
    /// The key to sign in with.
    #[serde(deserialize_with = "secret")]
    #[schema(value_type = String, example = "pgdial_0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f6071")]
    pub key: SecretString,
}

fn secret<'de, D: Deserializer<'de>>(text: D) -> Result<SecretString, D::Error> {
    String::deserialize(text).map(SecretString::from)
}

/// A session.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenedSession {
    /// For the header `Pgdial-Csrf`; null without a session.
    #[schema(example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    pub csrf_token: Option<String>,
    /// What its key may do.
    pub key: OwnKey,
}

/// Result of a revocation.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RevokeKeyResponse {
    /// Keys of the name that were in use.
    pub revoked: i32,
}
