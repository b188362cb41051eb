//! Contact limits as the API shows them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Length;

/// How often a number may be rung.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContactLimit {
    /// Name of the limit.
    #[schema(example = "us-fl@2026-11")]
    pub name: String,
    /// What it counts: `attempts` (every dial), `conversations`, `voicemails`, or the dials with this outcome or
    /// disposition.
    #[schema(example = "attempts")]
    pub counts: String,
    /// How many of them there may be within the period before another dial.
    pub at_most: i32,
    /// How long a dial counts.
    pub period: Length,
    /// `rolling`: the period before now; `local_day`: today and the days before it, by the callee's clock.
    #[schema(example = "rolling")]
    pub boundary: String,
    /// Which dials of a number count together: `number` (all), `number_and_topic` or `number_and_campaign`.
    #[schema(example = "number_and_topic")]
    pub per: String,
    /// Holds only for callees who may be in one of these regions (ISO 3166); null means for all.
    #[schema(example = json!(["US-FL"]))]
    pub regions: Option<Vec<String>>,
    /// Holds for every campaign, whether or not it names the limit.
    pub all_campaigns: bool,
    /// Presets of a campaign that include it.
    #[schema(example = json!(["us-fl@2026-11"]))]
    pub presets: Vec<String>,
    /// Where the rule comes from.
    #[schema(example = "Fla. Stat. 501.616(6)")]
    pub source: Option<String>,
    /// Campaigns that name it.
    #[schema(example = json!([]))]
    pub campaigns: Vec<String>,
}
