//! Another verb and a claim with one commit: requests to this process, and ends of dials, are recorded by the next claim
//! of the worker that rests, which may take the new calls, or the freed slots, at once.
//!
//! This saves a commit and a wake. A worker that has something else to do takes none: then they are recorded as always,
//! and wake it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::value::RawValue;
use sqlx::{Row as _, postgres::PgRow};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{Error, Queue, claim::claiming};
use crate::db::pool::is_broken;

pub(super) const SQL: &str = claiming!(
    ", ordinal, word, call, detail",
    "pgdial.claim_with($7, $8, $9, $1, $2, $3, $4, $5, $6)"
);

/// The verb for requests; its items have owners.
pub(super) const ENQUEUE: &str = "enqueue";

/// Ordinal of an item, the verb's verdict, call and detail.
pub(super) type Row = (i32, String, Option<Uuid>, Option<String>);

/// What became of the items, in any order.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) rows: Vec<Row>,
    /// Calls that were claimed with them.
    pub(super) claimed: Vec<Uuid>,
}

/// Items of a verb, for a worker that rests. If it is dropped they are not recorded, and whoever offered them does that.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(super) verb: &'static str,
    /// Of requests.
    pub(super) owners: Vec<String>,
    pub(super) items: Box<RawValue>,
    answer: oneshot::Sender<Result<Done, Error>>,
}

impl Offer {
    /// Whether these are requests.
    pub(crate) fn asks(&self) -> bool {
        self.verb == ENQUEUE
    }

    /// Whether somebody still waits for the answer. Nobody does once whoever offered it has given up, and said so.
    pub(super) fn is_wanted(&self) -> bool {
        !self.answer.is_closed()
    }

    /// Answers whoever offered it; returns the rows of the claim.
    pub(super) fn answer(self, rows: Result<Vec<PgRow>, sqlx::Error>) -> Result<Vec<PgRow>, Error> {
        let read = match rows {
            // Undone, so it can be done again, by whoever offered it. Why it failed, they will hear. Not when the
            // session ended with it: a pooler says so after a commit too.
            Err(error @ sqlx::Error::Database(_)) if !is_broken(&error) => {
                tracing::debug!(verb = self.verb, %error, "not recorded together with a claim");
                return Ok(Vec::new());
            }
            Err(error) => Err(error),
            Ok(rows) => read(rows),
        };
        let (done, claim) = match read {
            Ok((done, claim)) => (Ok(done), Ok(claim)),
            // Whether it was done is unknown: neither may do it again.
            Err(error) => {
                let error = Arc::new(Error::from(error));
                (
                    Err(Error::Shared(Arc::clone(&error))),
                    Err(Error::Shared(error)),
                )
            }
        };
        // A caller that has gone needs no result.
        self.answer.send(done).unwrap_or_default();
        claim
    }
}

/// What became of the items, and the rows of the claim.
fn read(rows: Vec<PgRow>) -> Result<(Done, Vec<PgRow>), sqlx::Error> {
    let (mut items, mut claimed, mut claim) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        if let Some(ordinal) = row.try_get("ordinal")? {
            items.push((
                ordinal,
                row.try_get("word")?,
                row.try_get("call")?,
                row.try_get("detail")?,
            ));
        } else if row.try_get::<&str, _>("verdict")? == "failed" {
            let why: String = row.try_get("detail")?;
            tracing::warn!(why, "claim failed; trying again");
        } else {
            claimed.extend(row.try_get::<Option<Uuid>, _>("id")?);
            claim.push(row);
        }
    }
    let done = Done {
        rows: items,
        claimed,
    };
    Ok((done, claim))
}

/// Where a worker that rests takes items. It has room for one worker of the process.
#[derive(Debug, Default)]
pub(super) struct Seat(Mutex<Option<Taker>>);

#[derive(Debug)]
struct Taker {
    offer: oneshot::Sender<Offer>,
    takes_requests: bool,
}

impl Seat {
    fn taker(&self) -> MutexGuard<'_, Option<Taker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the items recorded by the worker that rests. None: nobody rests who takes them, or the worker has not done it.
    pub(super) async fn record(
        &self,
        verb: &'static str,
        owners: &[&str],
        items: &[&RawValue],
    ) -> Option<Result<Done, Error>> {
        let is_taken = |taker: &mut Taker| verb != ENQUEUE || taker.takes_requests;
        let taker = self.taker().take_if(is_taken)?;
        let (answer, answered) = oneshot::channel();
        let offer = Offer {
            verb,
            owners: owners.iter().map(|owner| (*owner).to_owned()).collect(),
            items: serde_json::value::to_raw_value(items).ok()?,
            answer,
        };
        taker.offer.send(offer).ok()?;
        answered.await.ok()
    }
}

impl Queue {
    /// Waits for items to claim with. Cancel-safe: what is offered meanwhile goes back to whoever offers it.
    pub(crate) async fn offered(&self, takes_requests: bool) -> Offer {
        let (offer, offered) = oneshot::channel();
        *self.wakes.seat.taker() = Some(Taker {
            offer,
            takes_requests,
        });
        match offered.await {
            Ok(offer) => offer,
            Err(_another_worker_rests) => std::future::pending().await,
        }
    }
}
