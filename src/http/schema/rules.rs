//! Bodies about calling hours and calendars.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::Why;
use crate::flow::view::{Calendar, CallingHours};

/// All calling hours.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallingHoursList {
    /// Sorted by name.
    pub calling_hours: Vec<CallingHours>,
}

/// All calendars.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CalendarList {
    /// Sorted by name.
    pub calendars: Vec<Calendar>,
}

/// Calling hours as they are to be. Omitted fields take their defaults.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetCallingHoursRequest {
    /// Hours of the local week, at quarters of an hour: days, then their slots; `closed` for none. Days without any
    /// are closed.
    #[schema(
        example = "mon-fri 10:00-13:00 14:00-20:00, sat 09:00-17:00",
        pattern = r"^[^\u0000]*$"
    )]
    pub week: String,
    /// IANA time zone whose clock counts instead of the callee's.
    #[schema(example = json!(null), pattern = r"^[^\u0000]*$")]
    pub timezone: Option<String>,
    /// Calendar of days with hours of their own.
    #[schema(example = json!(null), pattern = r"^[^\u0000]*$")]
    pub calendar: Option<String>,
    /// What tells where the callee may be: `given_or_number` (what the caller gave, else the number; the default),
    /// `given_and_number` (both: open only where both are) or `given` (calls without it are refused).
    #[schema(
        example = "given_or_number",
        pattern = "^given(_or_number|_and_number)?$"
    )]
    pub zone_basis: Option<String>,
    /// Where the rule was read.
    #[schema(max_length = 1000, pattern = r"^[^\u0000]*$")]
    pub source: Option<String>,
    /// Hours that count instead, for callees who may be in these regions: ISO 3166, a country or a part of one.
    #[schema(example = json!({"US-FL": {"week": "mon-sun 08:00-20:00"}}))]
    pub regions: Option<BTreeMap<String, SetRegionHours>>,
    /// Reason, kept with the act.
    pub why: Option<Why>,
}

/// Hours of a region. Nothing of the hours that it is part of counts beside them.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetRegionHours {
    /// Hours of the local week; `closed` for none.
    #[schema(example = "mon-sun 08:00-20:00", pattern = r"^[^\u0000]*$")]
    pub week: String,
    /// IANA time zone whose clock counts instead of the callee's.
    #[schema(example = json!(null), pattern = r"^[^\u0000]*$")]
    pub timezone: Option<String>,
    /// Calendar of days with hours of their own.
    #[schema(example = json!(null), pattern = r"^[^\u0000]*$")]
    pub calendar: Option<String>,
    /// Where the rule was read.
    #[schema(max_length = 1000, pattern = r"^[^\u0000]*$")]
    pub source: Option<String>,
}

/// A calendar as it is to be.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetCalendarRequest {
    /// First day that it knows: what lies before is closed. Default: the first of January of the first day's year.
    #[schema(example = "2026-01-01")]
    pub first_day: Option<NaiveDate>,
    /// Last day that it knows: what lies after it is closed. Default: the last of December of the last day's year.
    #[schema(example = "2026-12-31")]
    pub last_day: Option<NaiveDate>,
    /// Where the days were read.
    #[schema(max_length = 1000, pattern = r"^[^\u0000]*$")]
    pub source: Option<String>,
    /// Days with hours of their own.
    pub days: Vec<SetSpecialDay>,
    /// Reason, kept with the act.
    pub why: Option<Why>,
}

/// A day with hours of its own.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetSpecialDay {
    /// The local date.
    #[schema(example = "2026-12-25")]
    pub day: NaiveDate,
    /// Name of the day.
    #[schema(
        example = "Christmas Day",
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\u0000]*$"
    )]
    pub name: String,
    /// Its hours, as in `10:00-12:00 14:00-18:00`; default `closed`.
    #[schema(example = "closed", pattern = r"^[^\u0000]*$")]
    pub hours: Option<String>,
}
