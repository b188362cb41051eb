//! A key of the API as the API shows it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::{Scope, Sight};

/// A key of the API. The key itself was shown when it was created, and is kept nowhere.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Key {
    /// Owner of the calls and of the idempotency keys of whoever uses it.
    #[schema(example = "crm")]
    pub name: String,
    /// How the key begins.
    #[schema(example = "pgdial_0a1b2c")]
    pub hint: String,
    /// What it may do.
    pub scope: Scope,
    /// The campaigns that it is bound to; null: none.
    #[schema(example = json!(["spring"]))]
    pub campaigns: Option<Vec<String>>,
    /// Whether it sees numbers whole.
    pub numbers: Sight,
    /// Whether it is taken.
    pub state: KeyState,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// Who created it, as in an act's `by`.
    #[schema(example = "cli:ann")]
    pub created_by: String,
    /// When it expires; null means never.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// Its latest use, to the minute; null if there was none.
    pub used_at: Option<DateTime<Utc>>,
}

/// Whether a key is taken.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum KeyState {
    /// It is.
    Valid,
    /// No longer.
    Expired,
    /// Somebody has ended it.
    Revoked,
}

impl KeyState {
    /// The state as in JSON.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
