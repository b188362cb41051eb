//! resend: delivers events to an endpoint once more.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use utoipa::ToSchema;

use super::{Queue, groups::ChangeError, known_word};

/// What became of a request to deliver one event once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resent {
    /// It is delivered once more.
    Resent,
    /// It was on its way, and is due at once.
    Pending,
    /// No such event is kept.
    UnknownEvent,
    /// There is no such endpoint.
    NotFound,
}

/// Which events of a span are delivered once more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[derive(clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum ResendOnly {
    /// All that are for the endpoint.
    #[default]
    All,
    /// Those whose delivery was given up.
    GivenUp,
}

impl ResendOnly {
    const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::GivenUp => "given_up",
        }
    }
}

/// Events from an instant until before another.
#[derive(Debug, Clone)]
pub struct Span {
    /// Instant of the first.
    pub from: DateTime<Utc>,
    /// Instant after the last.
    pub until: DateTime<Utc>,
    /// Which of them.
    pub only: ResendOnly,
    /// Where the batch before ended.
    pub cursor: Option<String>,
}

/// One batch of a span.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResentSpan {
    /// How many events are delivered once more.
    pub events: i64,
    /// `cursor` of the next batch; null after the last.
    pub cursor: Option<String>,
    /// True: the endpoint has so many deliveries unfinished that this batch has to wait.
    pub full: bool,
}

/// Events in a batch.
const BATCH: i32 = 1000;

impl Queue {
    /// Delivers one event once more.
    pub async fn resend(
        &self,
        endpoint: &str,
        event: &str,
        by: &str,
        why: Option<&str>,
    ) -> Result<Resent, ChangeError> {
        let answer = sqlx::query_as("select pgdial.resend($1, $2, $3, $4)")
            .bind(endpoint)
            .bind(event)
            .bind(why)
            .bind(by)
            .fetch_one(&self.pool)
            .await;
        let (word,): (String,) = answer.map_err(ChangeError::of)?;
        Ok(known_word("resend", &word)?)
    }

    /// Delivers the next batch of a span once more; none: there is no such endpoint.
    pub async fn resend_span(
        &self,
        endpoint: &str,
        span: &Span,
        by: &str,
        why: Option<&str>,
    ) -> Result<Option<ResentSpan>, ChangeError> {
        let answer = sqlx::query_as("select pgdial.resend_span($1, $2, $3, $4, $5, $6, $7, $8)")
            .bind(endpoint)
            .bind(span.from)
            .bind(span.until)
            .bind(span.only.as_str())
            .bind(span.cursor.as_deref())
            .bind(BATCH)
            .bind(why)
            .bind(by)
            .fetch_one(&self.pool)
            .await;
        let (sent,): (Option<Json<ResentSpan>>,) = answer.map_err(ChangeError::of)?;
        Ok(sent.map(|sent| sent.0))
    }
}
