//! The verbs that many tasks use concurrently, each with its batcher.

use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};
use sqlx::{PgConnection, types::Json};

use super::{
    Answer, Error, Row,
    batcher::{Batcher, Try, Verb, Written},
    defer, dialed, doubt,
    enqueue::Singles,
    health::Health,
    known_word, read_row, settle,
    statement::{Concerns, Statement},
    wake::{Wake, Wakes},
    webhook,
};
use crate::{db::Pool, metrics::Metrics};

/// Batchers of one pool. One per verb, since a statement belongs to a verb, and a batch of one must not wait
/// behind another verb's large one.
#[derive(Debug)]
pub(super) struct Batchers {
    pub(super) dialed: Batcher<Gathered>,
    pub(super) settle: Batcher<Gathered>,
    pub(super) defer: Batcher<Gathered>,
    pub(super) doubt: Batcher<Gathered>,
    pub(super) webhook: Batcher<Gathered>,
    pub(super) enqueue: Batcher<Singles>,
}

impl Batchers {
    pub(super) fn new(
        pool: &Pool,
        wakes: &Arc<Wakes>,
        metrics: &Arc<Metrics>,
        health: &Arc<Health>,
    ) -> Self {
        let batcher = |statement: &'static Statement| {
            let (wakes, metrics) = (Arc::clone(wakes), Arc::clone(metrics));
            let verb = Gathered {
                statement,
                wakes,
                metrics: Arc::clone(&metrics),
            };
            Batcher::new(
                verb,
                pool.clone(),
                statement.limits,
                statement.verb,
                metrics,
                Arc::clone(health),
            )
        };
        Self {
            dialed: batcher(&dialed::STATEMENT),
            settle: batcher(&settle::STATEMENT),
            defer: batcher(&defer::STATEMENT),
            doubt: batcher(&doubt::STATEMENT),
            webhook: batcher(&webhook::STATEMENT),
            enqueue: Singles::batcher(pool, wakes, metrics, health),
        }
    }
}

/// A verb in its batcher.
#[derive(Debug)]
pub(super) struct Gathered {
    statement: &'static Statement,
    wakes: Arc<Wakes>,
    metrics: Arc<Metrics>,
}

/// An item as it is sent.
#[derive(Debug)]
pub(super) struct Item {
    json: Box<RawValue>,
    /// Whether it ends a dial, so that a claim may follow with the same commit.
    ends: bool,
}

impl Gathered {
    /// The verdicts, and whether a claim followed.
    async fn send(
        &self,
        connection: &mut PgConnection,
        items: &[&Item],
        how: Try,
    ) -> Result<(Vec<Row>, bool), Error> {
        let statement = self.statement;
        let sent: Vec<&RawValue> = items.iter().map(|item| &*item.json).collect();
        // Tried alone, it waits for its row, and a worker has other things to do.
        if how == Try::Gathered && items.iter().any(|item| item.ends) {
            let taken = self.wakes.seat.record(statement.verb, &[], &sent);
            if let Some(done) = taken.await {
                let rows = done?.rows.into_iter().map(|(ordinal, word, _, detail)| {
                    let detail = detail.map(|detail| serde_json::from_str(&detail));
                    let detail = detail.transpose().map_err(Error::encoding)?;
                    Ok((ordinal, word, detail.map(Json)))
                });
                return Ok((rows.collect::<Result<_, Error>>()?, true));
            }
        }
        let rows = sqlx::query_as(statement.sql)
            .bind(Json(sent))
            .bind(how == Try::Alone)
            .fetch_all(connection)
            .await?;
        Ok((rows, false))
    }
}

impl Verb for Gathered {
    type Item = Item;
    type Answer = Result<(String, Value), Error>;

    fn bytes(item: &Self::Item) -> usize {
        item.json.get().len()
    }

    fn left(&self) {
        let statement = self.statement;
        let concerned = |(_, concerns): &&(Wake, Concerns)| concerns(statement.held, &Value::Null);
        for (wake, _) in statement.wakes.iter().filter(concerned) {
            self.wakes.wake(*wake);
        }
    }

    async fn write(
        &self,
        connection: &mut PgConnection,
        items: &[&Self::Item],
        how: Try,
    ) -> Result<Vec<Written<Self::Answer>>, Error> {
        let statement = self.statement;
        let (mut rows, has_claimed) = self.send(connection, items, how).await?;
        rows.sort_by_key(|row| row.0);
        let is_held = |row: &Row| how == Try::Gathered && row.1 == statement.held;
        // Before any caller has its result, so that a short-lived process knows which wakes to send.
        for (wake, concerns) in statement.wakes {
            let concerned = |row: &Row| {
                let detail = row.2.as_ref().map_or(&Value::Null, |detail| &detail.0);
                concerns(&row.1, detail)
            };
            if !rows.iter().filter(|row| !is_held(row)).any(concerned) {
                continue;
            }
            if has_claimed && *wake == Wake::Claim {
                // The worker of this process claims again until there is nothing left.
                self.wakes.wake_others(*wake);
            } else {
                self.wakes.wake(*wake);
            }
        }
        let written = rows.into_iter().map(|row| {
            if is_held(&row) && row.1 == webhook::PARKED {
                Written::Kept(read_row(row.1, row.2))
            } else if is_held(&row) {
                Written::NotYet
            } else {
                Written::Done(read_row(row.1, row.2))
            }
        });
        Ok(written.collect())
    }
}

impl Batcher<Gathered> {
    /// Writes one item, batched with concurrent ones.
    pub(super) async fn apply<I: Serialize, V: DeserializeOwned>(
        &self,
        item: &I,
    ) -> Result<Answer<V>, Error> {
        self.write(item, false).await
    }

    /// The same for an item that ends a dial: a worker that rests claims with the same commit.
    pub(super) async fn apply_end<I: Serialize, V: DeserializeOwned>(
        &self,
        item: &I,
    ) -> Result<Answer<V>, Error> {
        self.write(item, true).await
    }

    async fn write<I: Serialize, V: DeserializeOwned>(
        &self,
        item: &I,
        ends: bool,
    ) -> Result<Answer<V>, Error> {
        let json = to_raw_value(item).map_err(Error::encoding)?;
        let (word, detail) = self.submit(Item { json, ends }).await??;
        let verb = self.verb();
        // P6: counts verdicts, stale ones above all.
        verb.metrics.verdict(verb.statement.verb, &word);
        let verdict = known_word(verb.statement.verb, &word)?;
        Ok(Answer { verdict, detail })
    }
}
