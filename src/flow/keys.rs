//! Keys of the API: list, create, rotate, revoke, and what a process needs to know one.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use secrecy::SecretString;
use serde_json::Value;
use sqlx::{Executor, postgres::PgListener, types::Json};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Error, Queue, groups::ChangeError, view::Key};
use crate::{
    db::pool::answered,
    domain::{Scope, Sight},
};

const CHANNEL: &str = "pgdial_keys";
/// A connection that has heard nothing for this long is checked.
const QUIET: Duration = Duration::from_secs(15);
/// Limit for a listening connection to respond.
const ANSWER: Duration = Duration::from_secs(5);
/// Between two attempts to listen.
const PAUSE: Duration = Duration::from_secs(2);

/// How often this process has heard that keys changed.
#[derive(Debug, Default)]
pub(crate) struct KeyChanges(AtomicU64);

/// A key as a process recognises it.
#[derive(Clone)]
pub struct KnownKey {
    /// Number of the key.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// SHA-256 of the key.
    pub hash: [u8; 32],
    /// What it may do.
    pub scope: Scope,
    /// The campaigns that it is bound to; none means to none.
    pub campaigns: Option<Vec<String>>,
    /// Whether it sees numbers whole.
    pub numbers: Sight,
    /// Somebody has ended it.
    pub is_revoked: bool,
    /// How long it is valid from the moment that it was read; negative once it has expired.
    pub expires_ms: Option<i64>,
    /// How long before that moment it was last noted as used.
    pub used_ms: Option<i64>,
}

impl fmt::Debug for KnownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownKey")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

type Row = (
    i64,
    String,
    Vec<u8>,
    String,
    Option<Vec<String>>,
    String,
    bool,
    Option<i64>,
    Option<i64>,
);

fn known(row: Row) -> Result<KnownKey, Error> {
    let odd = |got: String| Error::Contract {
        verb: "known_keys",
        got,
    };
    let word = |word: String| Value::String(word);
    Ok(KnownKey {
        id: row.0,
        hash: row
            .2
            .try_into()
            .map_err(|hash: Vec<u8>| odd(format!("a hash of {} bytes", hash.len())))?,
        scope: serde_json::from_value(word(row.3.clone())).map_err(|_unknown| odd(row.3))?,
        numbers: serde_json::from_value(word(row.5.clone())).map_err(|_unknown| odd(row.5))?,
        name: row.1,
        campaigns: row.4,
        is_revoked: row.6,
        expires_ms: row.7,
        used_ms: row.8,
    })
}

impl Queue {
    /// Keys by name, or those of this name; `all` also those that are revoked or expired.
    pub async fn keys(&self, name: Option<&str>, all: bool) -> Result<Vec<Key>, Error> {
        let rows: Vec<(Json<Key>,)> = sqlx::query_as(include_str!("../../sql/read/keys.sql"))
            .bind(name)
            .bind(all)
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.into_iter().map(|row| row.0.0).collect())
    }

    /// Keys as a process recognises them. Not empty if there ever was a key.
    pub async fn known_keys(&self) -> Result<Vec<KnownKey>, Error> {
        let rows: Vec<Row> = sqlx::query_as(include_str!("../../sql/read/known_keys.sql"))
            .fetch_all(&self.pool)
            .await?;
        rows.into_iter().map(known).collect()
    }

    /// Creates a key; none if one of this name is in use. Nobody can show it again.
    pub async fn create_key(
        &self,
        name: &str,
        key: &Value,
        by: &str,
        why: Option<&str>,
    ) -> Result<Option<SecretString>, ChangeError> {
        let created = sqlx::query_as("select pgdial.create_key($1, $2, $3, $4)")
            .bind(name)
            .bind(Json(key))
            .bind(why)
            .bind(by)
            .fetch_one(&self.pool)
            .await;
        shown_once(created)
    }

    /// Creates another key of the same name, that may do the same; those before it end after `keep`, an interval. None
    /// if no key of this name is in use.
    pub async fn rotate_key(
        &self,
        name: &str,
        keep: &str,
        by: &str,
        why: Option<&str>,
    ) -> Result<Option<SecretString>, ChangeError> {
        let rotated = sqlx::query_as("select pgdial.rotate_key($1, $2, $3, $4)")
            .bind(name)
            .bind(keep)
            .bind(why)
            .bind(by)
            .fetch_one(&self.pool)
            .await;
        shown_once(rotated)
    }

    /// Ends all keys of this name; returns how many were in use.
    pub async fn revoke_key(
        &self,
        name: &str,
        by: &str,
        why: Option<&str>,
    ) -> Result<i32, ChangeError> {
        let revoked = sqlx::query_as("select pgdial.revoke_key($1, $2, $3)")
            .bind(name)
            .bind(why)
            .bind(by)
            .fetch_one(&self.pool)
            .await;
        revoked.map(|(count,)| count).map_err(ChangeError::of)
    }

    /// Notes that these keys are used, at most once a minute.
    pub async fn used_keys(&self, ids: &[i64]) -> Result<(), Error> {
        sqlx::query("select pgdial.used_keys($1)")
            .bind(ids)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Records that somebody sees whole what their key shows masked.
    pub async fn note_unmasking(
        &self,
        key: &str,
        request: &Value,
        by: &str,
        why: &str,
    ) -> Result<(), Error> {
        sqlx::query("select pgdial.note_unmasking($1, $2, $3, $4)")
            .bind(key)
            .bind(Json(request))
            .bind(why)
            .bind(by)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// How often this process has heard that keys changed.
    pub fn key_changes(&self) -> u64 {
        self.key_changes.0.load(Ordering::Acquire)
    }

    /// Loop: hears at once when keys change, until stopped. Without it a process finds out by asking, which it does
    /// every other second.
    pub async fn run_key_listener(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let heard = stop
                .run_until_cancelled(Box::pin(self.hear_of_keys()))
                .await;
            if let Some(Err(error)) = heard {
                tracing::warn!(%error, "cannot hear of changed keys; asking for them meanwhile");
                stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
            }
        }
    }

    async fn hear_of_keys(&self) -> Result<(), Error> {
        let connecting = Box::pin(async {
            let mut listener = PgListener::connect_with(&self.pool.for_listener()).await?;
            listener.listen(CHANNEL).await?;
            Ok::<_, Error>(listener)
        });
        let mut listener = answered(ANSWER, connecting).await?;
        self.keys_have_changed(); // perhaps, before it listened
        loop {
            let Ok(heard) = timeout(QUIET, listener.try_recv()).await else {
                // A silently lost connection is not reported by the socket.
                answered(ANSWER, listener.execute("select")).await?;
                continue;
            };
            // None: the connection was lost. Not reconnected by the library, so that we notice.
            if heard?.is_none() {
                return Err(Error::Database(sqlx::Error::WorkerCrashed));
            }
            self.keys_have_changed();
        }
    }

    fn keys_have_changed(&self) {
        self.key_changes.0.fetch_add(1, Ordering::AcqRel);
    }
}

fn shown_once(
    made: Result<(Option<String>,), sqlx::Error>,
) -> Result<Option<SecretString>, ChangeError> {
    let (key,) = made.map_err(ChangeError::of)?;
    Ok(key.map(SecretString::from))
}
