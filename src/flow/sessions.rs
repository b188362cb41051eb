//! Sessions of people who signed in with a key.

use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretString;

use super::{Error, Queue, sweep::interval};

/// A session that was just opened.
#[derive(Debug)]
pub struct Opened {
    /// What its cookie holds. Nobody can show it again.
    pub secret: SecretString,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}

impl Queue {
    /// Opens a session for whoever has shown this key.
    pub async fn open_session(
        &self,
        key: &str,
        key_hash: &[u8; 32],
        life: Duration,
        by: &str,
    ) -> Result<Opened, Error> {
        let (secret, expires_at): (String, _) =
            sqlx::query_as("select secret, expires_at from pgdial.open_session($1, $2, $3, $4)")
                .bind(key)
                .bind(key_hash.as_slice())
                .bind(interval(life))
                .bind(by)
                .fetch_one(&self.pool)
                .await?;
        Ok(Opened {
            secret: secret.into(),
            expires_at,
        })
    }

    /// Hash of the key that this session was opened with; none if there is no such session.
    pub async fn key_of_session(&self, hash: &[u8; 32]) -> Result<Option<[u8; 32]>, Error> {
        let row: Option<(Vec<u8>,)> = sqlx::query_as(include_str!("../../sql/read/session.sql"))
            .bind(hash.as_slice())
            .fetch_optional(&self.pool)
            .await?;
        let odd = |hash: Vec<u8>| Error::Contract {
            verb: "session",
            got: format!("a hash of {} bytes", hash.len()),
        };
        row.map(|(hash,)| hash.try_into().map_err(odd)).transpose()
    }

    /// Ends a session; false if there was none.
    pub async fn end_session(&self, hash: &[u8; 32]) -> Result<bool, Error> {
        let (ended,) = sqlx::query_as("select pgdial.end_session($1)")
            .bind(hash.as_slice())
            .fetch_one(&self.pool)
            .await?;
        Ok(ended)
    }
}
