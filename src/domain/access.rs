//! What the key of a client allows.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};
use utoipa::ToSchema;

/// What a key may do. Each scope includes those before it.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    ToSchema,
    IntoStaticStr,
    VariantArray,
    clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[clap(rename_all = "snake_case")]
pub enum Scope {
    /// See calls, campaigns, trunks and what became of them.
    Read,
    /// Order calls, change and cancel them, and put numbers on the do-not-call list.
    Enqueue,
    /// Run the queue: campaigns, trunks, rules, pauses, redrives, doubts.
    Operate,
    /// Forget people, and make and revoke keys.
    Admin,
}

impl Scope {
    /// Whether a key of this scope may do what needs the other.
    pub fn includes(self, needed: Self) -> bool {
        self >= needed
    }

    /// The scope as in JSON.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Whether a key sees telephone numbers whole, and metadata, results and webhooks at all.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    ToSchema,
    IntoStaticStr,
    VariantArray,
    clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[clap(rename_all = "snake_case")]
pub enum Sight {
    /// Never.
    #[default]
    Masked,
    /// In requests that give a reason, each of which is an act.
    OnRequest,
    /// Always.
    Whole,
}

impl Sight {
    /// The word as in JSON.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_includes_those_before_it_and_no_other() {
        for (at, scope) in Scope::VARIANTS.iter().enumerate() {
            for (needed_at, needed) in Scope::VARIANTS.iter().enumerate() {
                assert_eq!(
                    scope.includes(*needed),
                    at >= needed_at,
                    "{scope:?} {needed:?}"
                );
            }
        }
        assert_eq!(
            Scope::VARIANTS.first().map(|scope| scope.as_str()),
            Some("read")
        );
    }
}
