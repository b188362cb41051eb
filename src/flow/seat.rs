//! What an operator's screens ask: has anything changed, is it dialling, how did calls end lately, how far is a campaign.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::types::Json;

use super::{Error, Queue, groups::GroupKind, read::Reason, view::Estimate};
use crate::domain::CallId;

/// What happened last: it differs whenever something has happened since.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latest {
    /// Position of the newest event in the order of events.
    pub event: String,
    /// `seq` of the newest act; 0: there is none.
    pub act: i64,
}

/// Whether anything is dialled, and what keeps it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dialling {
    /// Time of the answer, by the database's clock.
    pub now: DateTime<Utc>,
    /// Workers that are alive and not draining.
    pub workers: i64,
    /// Campaigns with due calls.
    pub due_campaigns: i64,
    /// When the next call falls due that is not due yet.
    pub next_due_at: Option<DateTime<Utc>>,
    /// Of at most ten campaigns with due calls, the first due call.
    pub first: Vec<FirstDue>,
    /// Trunks and campaigns that something keeps from dialling, or from dialling more.
    pub groups: Vec<KeptGroup>,
    /// Trunks on which dials in doubt hold many slots.
    pub doubts: Vec<Doubts>,
}

/// The first due call of a campaign.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FirstDue {
    /// Name of the campaign.
    pub campaign: String,
    /// Id of the call.
    pub call: CallId,
    /// Since when it is due.
    pub due_at: DateTime<Utc>,
    /// What `pgdial.why` says of it.
    pub reasons: Vec<Reason>,
}

/// A trunk or a campaign, and what keeps it.
#[derive(Debug, Clone, Deserialize)]
pub struct KeptGroup {
    /// Which of the two it is.
    pub kind: GroupKind,
    /// Its name.
    pub name: String,
    /// Every reason, in the order in which they must change.
    pub reasons: Vec<Reason>,
}

impl Dialling {
    /// Every reason that keeps this trunk or campaign from dialling, or from dialling more.
    #[must_use]
    pub fn reasons(&self, kind: GroupKind, name: &str) -> &[Reason] {
        let mut groups = self.groups.iter();
        groups
            .find(|group| group.kind == kind && group.name == name)
            .map_or(&[], |group| &group.reasons)
    }
}

/// Dials in doubt that hold more than a third of a trunk's slots.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Doubts {
    /// Name of the trunk.
    pub trunk: String,
    /// Its slots.
    pub slots: i64,
    /// How many of them hold dials in doubt.
    pub in_doubt: i64,
    /// What would avoid that.
    pub advice: String,
}

/// How calls ended lately: by outcome, or by state where an outcome says less.
#[derive(Debug, Clone, Deserialize)]
pub struct Lately {
    /// Time of the answer, by the database's clock.
    pub now: DateTime<Utc>,
    /// When the oldest counted call ended, if not all of a day are counted.
    pub since: Option<DateTime<Utc>>,
    /// Minutes of the last hour in which calls ended, the oldest first.
    pub minutes: Vec<Minute>,
    /// Calls of the last day, by campaign.
    pub campaigns: BTreeMap<String, Ends>,
    /// How fast calls ended in the last hour, by campaign.
    pub pace: BTreeMap<String, Pace>,
}

/// How fast calls of a campaign ended.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Pace {
    /// How many ended in the last hour.
    pub calls: i64,
    /// The first of them.
    pub since: DateTime<Utc>,
}

/// How many calls ended how.
pub type Ends = BTreeMap<String, i64>;

/// A minute of the last hour.
#[derive(Debug, Clone, Deserialize)]
pub struct Minute {
    /// How many minutes ago it was, from 0.
    pub ago: usize,
    /// How calls ended in it.
    pub ends: Ends,
}

/// How far a campaign is.
#[derive(Debug, Clone, Deserialize)]
pub struct Progress {
    /// Waiting calls; 50,001 stands for more than 50,000.
    pub waiting: i64,
    /// Calls that are over, by state, each up to 50,001.
    pub over: Ends,
    /// How long the waiting ones take.
    pub estimate: Estimate,
}

impl Queue {
    /// What happened last.
    pub async fn latest(&self) -> Result<Latest, Error> {
        let (event, act) = sqlx::query_as(include_str!("../../sql/read/latest.sql"))
            .fetch_one(&self.pool)
            .await?;
        Ok(Latest { event, act })
    }

    /// Whether anything is dialled, and what keeps it.
    pub async fn dialling(&self) -> Result<Dialling, Error> {
        let (answer,): (Json<Dialling>,) =
            sqlx::query_as(include_str!("../../sql/read/dialling.sql"))
                .fetch_one(&self.pool)
                .await?;
        Ok(answer.0)
    }

    /// How calls ended lately.
    pub async fn lately(&self) -> Result<Lately, Error> {
        let (answer,): (Json<Lately>,) = sqlx::query_as(include_str!("../../sql/read/lately.sql"))
            .fetch_one(&self.pool)
            .await?;
        Ok(answer.0)
    }

    /// How far a campaign is; none if there is none with this name.
    pub async fn progress(&self, campaign: &str) -> Result<Option<Progress>, Error> {
        let answer: Option<(Json<Progress>,)> =
            sqlx::query_as(include_str!("../../sql/read/progress.sql"))
                .bind(campaign)
                .fetch_optional(&self.pool)
                .await?;
        Ok(answer.map(|answer| answer.0.0))
    }
}
