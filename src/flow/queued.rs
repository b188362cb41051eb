//! Numbers that have a call waiting or in flight in their campaign.

use serde_json::Value;
use uuid::Uuid;

use super::{Error, Queue};
use crate::domain::{CallId, Phone};

/// A number to be called.
#[derive(Debug, Clone)]
pub struct Wanted {
    phone: Phone,
    campaign: String,
    key: Option<String>,
}

impl Wanted {
    /// Number of a request; none if it is not a valid number.
    pub fn of(request: &Value) -> Option<Self> {
        let text = |name: &str| request.get(name).and_then(Value::as_str);
        Some(Self {
            phone: Phone::parse(text("to")?).ok()?,
            campaign: text("campaign").unwrap_or("default").to_owned(),
            key: text("idempotencyKey").map(str::to_owned),
        })
    }
}

impl Queue {
    /// Positions of those that are waiting or in flight already, each with such a call. A request whose own
    /// key is known is not among them: enqueue returns its call.
    pub async fn queued(
        &self,
        owner: &str,
        wanted: &[Wanted],
    ) -> Result<Vec<(usize, CallId)>, Error> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let phones: Vec<&str> = wanted.iter().map(|one| one.phone.as_e164()).collect();
        let campaigns: Vec<&str> = wanted.iter().map(|one| one.campaign.as_str()).collect();
        let keys: Vec<Option<&str>> = wanted.iter().map(|one| one.key.as_deref()).collect();
        let rows: Vec<(i64, Uuid)> = sqlx::query_as(include_str!("../../sql/read/queued.sql"))
            .bind(phones)
            .bind(campaigns)
            .bind(owner)
            .bind(keys)
            .fetch_all(&self.pool)
            .await?;
        let places = rows.into_iter().map(|(place, id)| {
            let at = usize::try_from(place - 1).unwrap_or(usize::MAX);
            (at, CallId(id))
        });
        Ok(places.collect())
    }
}
