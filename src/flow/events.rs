//! Events in an order that never skips one, for programs that follow.
//!
//! Order and cursors are those of `pgdial.events_after` (`sql/views/events_after.sql`): an event is returned
//! once everything before it is final, so one open writing transaction holds back all later events;
//! [`Heartbeat`] says for how long, and whose it is.
//!
//! ```no_run
//! use pgdial::{EventError, Queue, Since};
//!
//! async fn follow(queue: &Queue, kept: Option<String>) -> Result<(), EventError> {
//!     let since = kept.map_or(Since::Now, |cursor| Since::Cursor(cursor.into()));
//!     let mut events = queue.events().since(since).kind("completed").kind("failed").subscribe().await?;
//!     while let Some(event) = events.next().await {
//!         let event = event?;
//!         println!("{} {} {:?}", event.call_id, event.kind, event.outcome);
//!         // Keep event.cursor with what you did, in one transaction: then it is done once.
//!     }
//!     Ok(())
//! }
//! ```

// One reader for all subscriptions that are up to date.
mod tail;

// Subscriptions and handlers.
mod subscription;

use std::{fmt, sync::OnceLock, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

pub use self::subscription::{Follow, Handlers, Subscription};
pub(super) use self::tail::Tail;
use super::{
    Error, Queue,
    view::{Detail, EventKind},
};
use crate::{
    db::Pool,
    domain::{CallId, CallState, Phone},
};

/// Position in the order of events, as the database wrote it. Opaque.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct EventCursor(String);

impl EventCursor {
    /// The cursor as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Parses `1-PLACE-TIMELINE-XID-SEQ-AT`, in hex. Only cursors of one database can be compared.
    fn position(&self) -> Position {
        let mut parts = self.0.split('-').skip(3);
        let mut number = || {
            parts
                .next()
                .and_then(|part| u64::from_str_radix(part, 16).ok())
                .unwrap_or(0)
        };
        (number(), number())
    }
}

type Position = (u64, u64);

impl From<String> for EventCursor {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for EventCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where to begin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Since {
    /// At the oldest event that is kept.
    Start,
    /// At events from now on.
    #[default]
    Now,
    /// At this instant; a few earlier events may come too.
    Instant(DateTime<Utc>),
    /// After the event of this cursor.
    Cursor(EventCursor),
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("start"),
            Self::Now => f.write_str("now"),
            Self::Instant(at) => f.write_str(&at.to_rfc3339_opts(SecondsFormat::Micros, true)),
            Self::Cursor(cursor) => cursor.fmt(f),
        }
    }
}

/// Filter of events; the default is all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of these kinds; empty means all.
    pub kinds: Vec<String>,
    /// Of calls of this campaign.
    pub campaign: Option<String>,
    /// Of calls on this trunk.
    pub trunk: Option<String>,
    /// Of this call.
    pub call: Option<CallId>,
}

impl EventFilter {
    /// As `pgdial.events_after` takes it.
    fn to_json(&self) -> Value {
        let mut filter = json!({});
        let wishes = [
            ("campaign", self.campaign.clone().map(Value::from)),
            ("trunk", self.trunk.clone().map(Value::from)),
            ("call", self.call.map(|call| json!(call))),
            ("kind", (!self.kinds.is_empty()).then(|| json!(self.kinds))),
        ];
        if let Some(fields) = filter.as_object_mut() {
            fields.extend(
                wishes
                    .into_iter()
                    .filter_map(|(name, wish)| Some((name.to_owned(), wish?))),
            );
        }
        filter
    }

    /// The same filter, for an event that was read for all subscriptions.
    fn lets_pass(&self, event: &Event) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&event.kind))
            && (self.campaign.is_none() || self.campaign == event.campaign)
            && (self.trunk.is_none() || self.trunk == event.trunk)
            && self.call.is_none_or(|call| call == event.call_id)
    }
}

/// An event: a change of a call.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Event {
    /// Cursor of the event, opaque.
    #[schema(value_type = String, example = "7-42")]
    pub cursor: EventCursor,
    /// When it happened, by the database's clock.
    pub at: DateTime<Utc>,
    /// What happened.
    #[schema(value_type = EventKind)]
    pub kind: String,
    /// Id of the call.
    pub call_id: CallId,
    /// Reference of the dial it belongs to; null before the first claim.
    pub reference: Option<String>,
    /// Claim it belongs to; 0 before the first.
    pub claim_no: i64,
    /// Attempt it belongs to.
    pub attempt: i32,
    /// Campaign of the call; null if the call has been removed.
    pub campaign: Option<String>,
    /// Trunk of the dial, if any.
    pub trunk: Option<String>,
    /// Number of the call; null if the call was removed after its retention.
    #[schema(value_type = Option<String>)]
    pub to: Option<Phone>,
    /// Present state of the call, which may be later than the event; null if it was removed.
    pub state: Option<CallState>,
    /// Outcome of the attempt, if the event ended one.
    pub outcome: Option<String>,
    /// Further fields, such as the provider's words, who did it and why.
    pub detail: Detail,
    #[serde(skip)]
    text: OnceLock<String>,
}

impl Event {
    /// One line of JSON, built once for all that share the event.
    pub fn json(&self) -> &str {
        self.text
            .get_or_init(|| serde_json::to_string(self).unwrap_or_default())
    }
}

/// How far the stream lags, and which sessions hold it back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Heartbeat {
    /// How long the oldest event has been withheld, in milliseconds; 0 if none is, null if the database does
    /// not respond.
    #[schema(required)]
    pub lag_ms: Option<i64>,
    /// Sessions whose open transactions withhold events, or would.
    #[schema(required)]
    pub held_by: Option<Holder>,
}

/// A session with an open transaction that has written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    /// Process id on the server; null if the transaction is prepared or has just ended.
    pub pid: Option<i32>,
    /// Application name of the session.
    pub application_name: Option<String>,
    /// Start of the transaction; null if the database role may not see other sessions.
    pub since: Option<DateTime<Utc>>,
}

/// Events after a cursor.
#[derive(Debug, Clone)]
pub struct EventPage {
    /// In order.
    pub events: Vec<Event>,
    /// Where to continue, even if no event matched.
    pub next: EventCursor,
    /// More events are available now.
    pub more: bool,
    /// How far they lag.
    pub heartbeat: Heartbeat,
}

/// Why events cannot be followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// The cursor or the filter is not valid.
    #[error("{0}")]
    Refused(String),
    /// Events after the cursor are gone: it is older than the retention, or of another database.
    #[error("{0}")]
    Gone(String),
    /// The database failed.
    #[error(transparent)]
    Flow(#[from] Error),
}

impl From<sqlx::Error> for EventError {
    fn from(error: sqlx::Error) -> Self {
        let told = error.as_database_error();
        let told = told.map(|told| (told.code().unwrap_or_default(), told.message().to_owned()));
        match told {
            Some((code, words)) if code == "PDGON" || code == "PDMOV" => Self::Gone(words),
            Some((code, words)) if code.starts_with("22") => Self::Refused(words),
            _ => Self::Flow(error.into()),
        }
    }
}

type Row = (
    String,
    DateTime<Utc>,
    String,
    Option<Uuid>,
    Option<String>,
    Option<i64>,
    Option<i32>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Json<Value>,
);

async fn read(
    pool: &Pool,
    after: &str,
    limit: i32,
    filter: &EventFilter,
) -> Result<EventPage, EventError> {
    let rows: Vec<Row> = sqlx::query_as(
        "select cursor, at, kind, call_id, reference, claim_no, attempt, campaign, trunk, phone, state, \
                outcome, detail \
         from pgdial.events_after($1, $2, $3)",
    )
    .bind(after)
    .bind(limit)
    .bind(Json(filter.to_json()))
    .fetch_all(pool)
    .await?;
    read_page(rows)
}

/// The last row is the heartbeat.
fn read_page(mut rows: Vec<Row>) -> Result<EventPage, EventError> {
    let odd = || Error::Contract {
        verb: "events_after",
        got: "no heartbeat".to_owned(),
    };
    let last = rows.pop().ok_or_else(odd)?;
    let heartbeat = serde_json::from_value(last.12.0.clone()).map_err(Error::encoding)?;
    let more = last
        .12
        .0
        .get("more")
        .and_then(Value::as_bool)
        .unwrap_or(false);
    let events = rows.into_iter().filter_map(read_event).collect();
    Ok(EventPage {
        events,
        next: last.0.into(),
        more,
        heartbeat,
    })
}

fn read_event(row: Row) -> Option<Event> {
    Some(Event {
        cursor: row.0.into(),
        at: row.1,
        kind: row.2,
        call_id: CallId(row.3?),
        reference: row.4,
        claim_no: row.5?,
        attempt: row.6?,
        campaign: row.7,
        trunk: row.8,
        to: row.9.and_then(|phone| Phone::stored(&phone).ok()),
        state: row
            .10
            .and_then(|word| serde_json::from_value(word.into()).ok()),
        outcome: row.11,
        // An unreadable detail must not suppress its event.
        detail: serde_json::from_value(row.12.0).unwrap_or_default(),
        text: OnceLock::new(),
    })
}

impl Queue {
    /// A page of events.
    pub async fn events_after(
        &self,
        since: &Since,
        limit: i32,
        filter: &EventFilter,
    ) -> Result<EventPage, EventError> {
        read(&self.pool, &since.to_string(), limit, filter).await
    }

    /// Follows events as they happen, see [`crate::flow::events`].
    pub fn events(&self) -> Follow {
        Follow::new(std::sync::Arc::clone(&self.tail))
    }
}

/// Pause before asking the database again, longer each time.
fn longer(pause: &mut Duration) -> Duration {
    let now = *pause;
    *pause = (now * 2).min(Duration::from_secs(5));
    now
}

#[cfg(test)]
impl Event {
    /// An event that no database wrote.
    pub(crate) fn for_tests(fields: &Value) -> Self {
        let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
        Self {
            cursor: "1-a-1-2-3-4".to_owned().into(),
            at: serde_json::from_value(fields["at"].clone()).unwrap(),
            kind: text("kind").unwrap(),
            call_id: text("callId").unwrap().parse().unwrap(),
            reference: None,
            claim_no: 0,
            attempt: 0,
            campaign: text("campaign"),
            trunk: None,
            to: text("to").map(|to| to.parse().unwrap()),
            state: None,
            outcome: text("outcome"),
            detail: Detail::default(),
            text: OnceLock::new(),
        }
    }
}
