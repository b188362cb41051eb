//! deliver: what this process is to send to endpoints now.

use std::collections::HashMap;

use serde::Deserialize;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Error, Queue, health::Work};

/// What a process delivers.
#[derive(Debug, Clone, Deserialize)]
pub struct Deliveries {
    /// To send now, each once.
    pub due: Vec<Delivery>,
    /// How many endpoints this process delivers to.
    pub mine: u32,
    /// How many others do, or nobody yet.
    pub others: u32,
    /// Whether the log has more events for them.
    pub more: bool,
}

/// One attempt to deliver an event, signed.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// The endpoint, under any name.
    pub endpoint: i64,
    /// Its present name.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Id of the event, the same in every attempt.
    pub id: String,
    /// When it was signed, in seconds since 1970.
    pub signed_at: i64,
    /// The `webhook-signature` header.
    pub signature: String,
    /// What is signed, and sent.
    pub body: String,
    pub(super) xid: String,
    pub(super) seq: i64,
    pub(super) attempt: i32,
}

/// Its URL may contain a token, its body has a number.
impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery")
            .field("name", &self.name)
            .field("id", &self.id)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

impl Queue {
    /// Hands out what is due. `in_flight` says how many deliveries this process has under way to each endpoint, `follow`
    /// whether to look for new events too.
    pub async fn deliver(
        &self,
        sender: Uuid,
        in_flight: &HashMap<i64, usize>,
        follow: bool,
    ) -> Result<Deliveries, Error> {
        let trying = self.health.trying(Work::Deliver);
        let row: Result<(Json<Deliveries>,), Error> =
            sqlx::query_as("select pgdial.deliver($1, $2, $3)")
                .bind(sender)
                .bind(Json(in_flight))
                .bind(follow)
                .fetch_one(&self.pool)
                .await
                .map_err(Error::from);
        trying.ended(&row);
        Ok(row?.0.0)
    }

    /// Lets other processes take over at once.
    pub async fn deliver_no_more(&self, sender: Uuid) -> Result<(), Error> {
        sqlx::query("select pgdial.deliver_no_more($1)")
            .bind(sender)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}
