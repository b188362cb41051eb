//! Calling hours and calendars as the API shows them.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// When people may be rung, by their own clocks.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallingHours {
    /// Name of the calling hours. Presets end in the month in which their rules were read.
    #[schema(example = "us-tcpa@2026-11")]
    pub name: String,
    /// Hours of the local week; `closed` for none.
    #[schema(example = "mon-fri 09:00-20:00, sat 09:00-17:00")]
    pub week: String,
    /// IANA time zone whose clock counts instead of the callee's; null means the callee's.
    #[schema(example = "America/Chicago")]
    pub timezone: Option<String>,
    /// Calendar of days with hours of their own; null means none.
    #[schema(example = "us-federal")]
    pub calendar: Option<String>,
    /// What tells where the callee may be: `given_or_number` (what the caller gave, else the number),
    /// `given_and_number` (both: open only where both are) or `given`.
    #[schema(example = "given_or_number")]
    pub zone_basis: String,
    /// Where the rule was read.
    pub source: Option<String>,
    /// Hours that count instead, for callees who may be in these regions: ISO 3166, a country or a part of one.
    #[schema(example = json!({"US-FL": {"week": "mon-sun 08:00-20:00", "timezone": null, "calendar": null, "source": null}}))]
    pub regions: BTreeMap<String, RegionHours>,
    /// Campaigns that have these hours.
    #[schema(example = json!(["spring"]))]
    pub campaigns: Vec<String>,
}

/// Hours of a region. Nothing of the hours that it is part of counts beside them.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegionHours {
    /// Hours of the local week; `closed` for none.
    #[schema(example = "mon-sun 08:00-20:00")]
    pub week: String,
    /// IANA time zone whose clock counts instead of the callee's; null means the callee's.
    pub timezone: Option<String>,
    /// Calendar of days with hours of their own; null means none.
    pub calendar: Option<String>,
    /// Where the rule was read.
    pub source: Option<String>,
}

/// Days with hours of their own.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Calendar {
    /// Name of the calendar.
    #[schema(example = "us-federal")]
    pub name: String,
    /// First day that it knows; earlier ones are closed.
    #[schema(example = "2026-01-01")]
    pub first_day: NaiveDate,
    /// Last day that it knows; later ones are closed.
    #[schema(example = "2030-12-31")]
    pub last_day: NaiveDate,
    /// Where the days were read.
    pub source: Option<String>,
    /// By date.
    pub days: Vec<SpecialDay>,
    /// Calling hours that name it.
    #[schema(example = json!(["us-tcpa@2026-11"]))]
    pub calling_hours: Vec<String>,
}

/// A day with hours of its own.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SpecialDay {
    /// The local date.
    #[schema(example = "2026-12-25")]
    pub day: NaiveDate,
    /// Name of the day.
    #[schema(example = "Christmas Day")]
    pub name: String,
    /// Its hours, instead of those of the week.
    #[schema(example = "closed")]
    pub hours: String,
}

/// What calling hours say of one callee at one instant.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HoursAnswer {
    /// The hours that were asked.
    pub hours: String,
    /// The basis by which zones and regions were found.
    pub zone_basis: String,
    /// The instant.
    pub at: DateTime<Utc>,
    /// Whether the callee may be rung.
    pub open: bool,
    /// Why not.
    pub reason: Option<String>,
    /// Why not, in words.
    pub message: Option<String>,
    /// When it opens; `at` if it is open, none if it is not known or later than 60 days.
    pub opens_at: Option<DateTime<Utc>>,
    /// Zones whose clocks count.
    pub zones: Vec<String>,
    /// Regions whose rules count.
    pub regions: Vec<String>,
}
