//! The calls the bare script writes: the same as pgdial is given.

use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use pgdial::provider::Stopwatch;
use sha2::{Digest, Sha256};
use sqlx::types::Uuid;

use crate::{Bed, Error, number};

/// Generates rows; ids sort by time on the database's clock, as pgdial's do.
#[derive(Debug)]
pub(super) struct Rows {
    begun: DateTime<Utc>,
    clock: Stopwatch,
}

impl Rows {
    pub(super) async fn new(bed: &Bed) -> Result<Self, Error> {
        let (begun,) = sqlx::query_as("select clock_timestamp()")
            .fetch_one(&bed.pool)
            .await?;
        let clock = Stopwatch::start();
        Ok(Self { begun, clock })
    }

    fn now(&self) -> DateTime<Utc> {
        let passed = TimeDelta::from_std(self.clock.elapsed()).unwrap_or_default();
        self.begun + passed
    }

    pub(super) fn id(&self) -> Uuid {
        let ms = u64::try_from(self.now().timestamp_millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(ms, &rand::random()).into_uuid()
    }

    pub(super) fn metadata(nth: usize) -> String {
        format!(r#"{{"name": "Person {nth}", "order": {nth}}}"#)
    }

    pub(super) fn hash(nth: usize) -> Vec<u8> {
        Sha256::digest(nth.to_be_bytes()).to_vec()
    }

    /// Line of a call for COPY, in text format. The only text that needs escaping is the hash. Deterministic, so that
    /// rows need not be kept.
    pub(super) fn call_line(&self, nth: usize, lines: &mut String) {
        let (id, at) = self.name(nth);
        let (phone, metadata, hash) = (
            number(nth),
            Self::metadata(nth),
            hex::encode(Self::hash(nth)),
        );
        // Writing to a `String` cannot fail.
        writeln!(
            lines,
            "{id}\t{phone}\tdefault\twelcome\t{metadata}\t{at}\t3\tbench\t\\\\x{hash}\t{at}"
        )
        .unwrap_or_default();
    }

    /// Line of the call's event.
    pub(super) fn event_line(&self, nth: usize, lines: &mut String) {
        let (id, at) = self.name(nth);
        writeln!(
            lines,
            "{at}\t{id}\t0\t0\twaiting\t{{\"by\": \"lab\", \"run_at\": \"{at}\"}}"
        )
        .unwrap_or_default();
    }

    /// Id and time; rows are a microsecond apart.
    fn name(&self, nth: usize) -> (Uuid, String) {
        let at = self.begun + TimeDelta::microseconds(i64::try_from(nth).unwrap_or(0));
        let ms = u64::try_from(at.timestamp_millis()).unwrap_or(0);
        let mut random = [0; 10];
        for (byte, of) in random.iter_mut().zip(Self::hash(nth)) {
            *byte = of;
        }
        let id = uuid::Builder::from_unix_timestamp_millis(ms, &random).into_uuid();
        (id, at.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}
