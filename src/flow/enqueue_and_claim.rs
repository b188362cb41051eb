//! enqueue and claim with one commit: requests that come while the worker of the same process rests are enqueued by its
//! next claim, which may take them at once.
//!
//! A request to a resting worker saves a commit and a wake. The worker that has something else to do takes none:
//! then requests are enqueued as always (`Singles`), and wake it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::value::{RawValue, to_raw_value};
use sqlx::{Row as _, postgres::PgRow};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{
    Error, Queue,
    claim::claiming,
    enqueue::{CREATED, Row, in_order},
};
use crate::db::pool::is_broken;

pub(super) const SQL: &str = claiming!(
    ", ordinal, request, call, detail",
    "pgdial.enqueue_and_claim($7, $8, $1, $2, $3, $4, $5, $6)"
);

/// Answer to the requests: their rows, and whether all new calls were claimed, so that nobody else need know.
type Answer = Result<(Vec<Row>, bool), Error>;

/// Requests for a worker that rests. If it is dropped they are not enqueued, and whoever offered them does that.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(super) owners: Vec<String>,
    pub(super) requests: Box<RawValue>,
    count: usize,
    answer: oneshot::Sender<Answer>,
}

impl Offer {
    /// Whether somebody still waits for the answer. Nobody does once whoever offered it has given up, and said so.
    pub(super) fn is_wanted(&self) -> bool {
        !self.answer.is_closed()
    }

    /// Answers the requests; returns the rows of the claim.
    pub(super) fn answer(self, rows: Result<Vec<PgRow>, sqlx::Error>) -> Result<Vec<PgRow>, Error> {
        let read = match rows {
            // Undone, so it can be done again, by whoever offered them. Why it failed, they will hear. Not when the
            // session ended with it: a pooler says so after a commit too.
            Err(error @ sqlx::Error::Database(_)) if !is_broken(&error) => {
                tracing::debug!(%error, "not enqueued together with a claim");
                return Ok(Vec::new());
            }
            Err(error) => Err(error),
            Ok(rows) => self.read(rows),
        };
        let (enqueued, claim) = match read {
            Ok((enqueued, claim)) => (Ok(enqueued), Ok(claim)),
            // Whether it was done is unknown: neither may do it again.
            Err(error) => {
                let error = Arc::new(Error::from(error));
                (
                    Err(Error::Shared(Arc::clone(&error))),
                    Err(Error::Shared(error)),
                )
            }
        };
        let enqueued = enqueued.and_then(|mut rows| {
            in_order(&mut rows, self.count)?;
            let claimed: Vec<Option<Uuid>> = claim
                .iter()
                .flatten()
                .filter_map(|row| row.try_get("id").ok())
                .collect();
            let mut new = rows.iter().filter(|row| row.1 == CREATED);
            let all_claimed = new.all(|row| claimed.contains(&row.2));
            Ok((rows, all_claimed))
        });
        // A caller that has gone needs no result.
        self.answer.send(enqueued).unwrap_or_default();
        claim
    }

    /// The rows of the requests, and those of the claim.
    fn read(&self, rows: Vec<PgRow>) -> Result<(Vec<Row>, Vec<PgRow>), sqlx::Error> {
        let (mut enqueued, mut claim) = (Vec::with_capacity(self.count), Vec::new());
        for row in rows {
            match row.try_get::<&str, _>("verdict")? {
                "enqueued" => enqueued.push((
                    row.try_get("ordinal")?,
                    row.try_get("request")?,
                    row.try_get("call")?,
                    row.try_get("detail")?,
                )),
                "failed" => {
                    let why: String = row.try_get("detail")?;
                    tracing::warn!(why, "claim failed; trying again");
                }
                _ => claim.push(row),
            }
        }
        Ok((enqueued, claim))
    }
}

/// Where a worker that rests takes requests. It has room for one worker of the process.
#[derive(Debug, Default)]
pub(super) struct Seat(Mutex<Option<oneshot::Sender<Offer>>>);

impl Seat {
    fn taker(&self) -> MutexGuard<'_, Option<oneshot::Sender<Offer>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the requests enqueued by the worker that rests. None: nobody rests, or the worker has not done it.
    pub(super) async fn enqueue(&self, owners: &[&str], requests: &[&RawValue]) -> Option<Answer> {
        let taker = self.taker().take()?;
        let (answer, answered) = oneshot::channel();
        let offer = Offer {
            owners: owners.iter().map(|owner| (*owner).to_owned()).collect(),
            requests: to_raw_value(requests).ok()?,
            count: requests.len(),
            answer,
        };
        taker.send(offer).ok()?;
        answered.await.ok()
    }
}

impl Queue {
    /// Waits for requests to claim with. Cancel-safe: what is offered meanwhile goes back to whoever offers it.
    pub(crate) async fn offered(&self) -> Offer {
        let (taker, offered) = oneshot::channel();
        *self.wakes.seat.taker() = Some(taker);
        match offered.await {
            Ok(offer) => offer,
            Err(_another_worker_rests) => std::future::pending().await,
        }
    }
}
