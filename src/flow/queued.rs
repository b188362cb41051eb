//! Numbers that have a call waiting or in flight in their campaign.

use serde_json::Value;
use uuid::Uuid;

use super::{Error, Queue};
use crate::domain::{CallId, Phone};

/// The numbers of a call to be.
#[derive(Debug, Clone)]
pub struct Wanted {
    phones: Vec<Phone>,
    campaign: String,
    key: Option<String>,
}

impl Wanted {
    /// Numbers of a request; none if they are not valid.
    pub fn of(request: &Value) -> Option<Self> {
        let text = |name: &str| request.get(name).and_then(Value::as_str);
        let phone = |to: &Value| Phone::parse(to.as_str()?).ok();
        let phones = match request.get("to")? {
            Value::Array(list) => list.iter().map(phone).collect::<Option<_>>()?,
            one => vec![phone(one)?],
        };
        Some(Self {
            phones,
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
        let (mut places, mut phones, mut campaigns, mut keys) = (vec![], vec![], vec![], vec![]);
        for (place, one) in (0_i64..).zip(wanted) {
            for phone in &one.phones {
                places.push(place);
                phones.push(phone.as_e164());
                campaigns.push(one.campaign.as_str());
                keys.push(one.key.as_deref());
            }
        }
        let rows: Vec<(i64, Uuid)> = sqlx::query_as(include_str!("../../sql/read/queued.sql"))
            .bind(places)
            .bind(phones)
            .bind(campaigns)
            .bind(owner)
            .bind(keys)
            .fetch_all(&self.pool)
            .await?;
        let places = rows.into_iter().map(|(place, id)| {
            let at = usize::try_from(place).unwrap_or(usize::MAX);
            (at, CallId(id))
        });
        Ok(places.collect())
    }
}
