//! claim: waiting → dialing, behind the gate.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use sqlx::{FromRow, postgres::PgRow, types::Json};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    Error, Queue, accounts_of,
    claim_with::{self, Offer},
    health::{Health, Work},
    shares::Shares,
};
use crate::domain::{CallId, ClaimedCall, Phone, Reference};
use crate::{
    db::{
        Lent, Pool,
        pool::{SHORT_ANSWER, answered},
    },
    metrics::Metrics,
    provider::{Stopwatch, deadline::SHORTEST_LEASE},
    trunks::Declared,
};

/// Result of a claim.
#[derive(Debug)]
pub struct Claim {
    /// Claimed calls, now this worker's; at most as many as wanted.
    pub calls: Vec<ClaimedCall>,
    /// Claimed, but unreadable by this release, which therefore cannot dial them: settle them.
    pub unreadable: Vec<Reference>,
    /// If fewer were claimed than wanted: how long until time alone can make another one claimable.
    pub wait: Option<Duration>,
    /// The queue was not looked at: another claimer held the gate for 2 s, or, with an offer, at that moment, or the
    /// claim failed beside it. Try again soon.
    pub gate_timeout: bool,
}

/// Claims of one worker, one after another.
///
/// Consecutive claims keep their connection: its session remembers where to begin reading
/// (`sql/rules/in_flight.sql`, `heads.sql`), and returning it costs a round trip.
#[derive(Debug)]
pub struct Claimer {
    pool: Pool,
    worker: Uuid,
    trunks: Arc<BTreeMap<String, Declared>>,
    connection: Option<(Lent, Instant)>,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
}

/// Without a claim for this long the connection goes back to the pool, which checks that it is alive before
/// lending it again.
const KEPT: Duration = Duration::from_secs(1);

/// Shown by readiness: the database responds, but nothing is dialed.
const GATE_KEPT: &str = "another session keeps the gate of the claims; `pgdial doctor` names it";

impl Queue {
    /// A claimer for this worker.
    pub fn claimer(&self, worker: Uuid) -> Claimer {
        Claimer {
            pool: self.pool.clone(),
            worker,
            trunks: Arc::clone(&self.trunks),
            connection: None,
            metrics: Arc::clone(&self.metrics),
            health: Arc::clone(&self.health),
        }
    }

    /// A single claim, see [`Claimer::claim`].
    pub async fn claim(
        &self,
        worker: Uuid,
        trunks: &[String],
        wanted: usize,
    ) -> Result<Claim, Error> {
        let shares = trunks.iter().map(|trunk| (trunk.clone(), wanted)).collect();
        self.claimer(worker).claim(&shares, wanted, None).await
    }
}

impl Claimer {
    /// Claims up to `wanted` due calls, of each trunk at most its share, in one round trip; with an offer, after its
    /// items were recorded, and in the same commit.
    pub(crate) async fn claim(
        &mut self,
        shares: &Shares,
        wanted: usize,
        offer: Option<Offer>,
    ) -> Result<Claim, Error> {
        let trying = self.health.trying(Work::Claim);
        // With an offer the gate is only tried.
        let waits = offer.is_none();
        let claimed = self.claim_now(shares, wanted, offer).await;
        match &claimed {
            Ok(claim) if claim.gate_timeout && waits => trying.failed(GATE_KEPT.to_owned()),
            ended => trying.ended(ended),
        }
        claimed
    }

    async fn claim_now(
        &mut self,
        shares: &Shares,
        wanted: usize,
        offer: Option<Offer>,
    ) -> Result<Claim, Error> {
        let wanted = i32::try_from(wanted).unwrap_or(i32::MAX);
        // Shares that do not limit add no cost to the claim, nor do leases of the usual length.
        let most = shares.counts();
        let most = most.iter().any(|count| *count < wanted).then_some(most);
        let leases: Vec<i32> = shares
            .trunks()
            .iter()
            .map(|trunk| lease_sec(&self.trunks, trunk).cast_signed())
            .collect();
        let is_usual = |lease: &i32| u64::from(lease.unsigned_abs()) == SHORTEST_LEASE.as_secs();
        let leases = (!leases.iter().all(is_usual)).then_some(leases);
        let kept = self.connection.take();
        let kept = kept.filter(|(_, used)| used.elapsed() < KEPT);
        let mut connection = if let Some((connection, _)) = kept {
            connection
        } else {
            let asked = Stopwatch::start();
            let connection = self.pool.acquire().await?;
            let wait = &self.metrics.pool_wait_seconds;
            wait.observe(asked.elapsed().as_secs_f64());
            connection
        };
        let offer = offer.filter(Offer::is_wanted);
        let sql = if offer.is_some() {
            claim_with::SQL
        } else {
            SQL
        };
        let mut claiming = sqlx::query(sql)
            .bind(self.worker)
            .bind(shares.trunks())
            .bind(wanted)
            .bind(most)
            .bind(accounts_of(&self.trunks, shares.trunks()))
            .bind(leases);
        if let Some(offer) = &offer {
            claiming = claiming
                .bind(offer.verb)
                .bind(&offer.owners)
                .bind(Json(&offer.items));
        }
        let claiming = claiming.fetch_all(&mut *connection);
        let rows: Result<Vec<PgRow>, sqlx::Error> = answered(SHORT_ANSWER, claiming).await;
        connection.after(&rows);
        let is_good = rows.is_ok();
        let rows = match offer {
            Some(offer) => offer.answer(rows)?,
            None => rows?,
        };
        let rows: Vec<Row> = rows
            .iter()
            .map(FromRow::from_row)
            .collect::<Result<_, _>>()?;
        for due_ms in rows.iter().filter_map(|row| row.13) {
            let due_for = Duration::from_millis(due_ms.try_into().unwrap_or(0));
            self.metrics.pickup_seconds.observe(due_for.as_secs_f64());
        }
        self.connection = is_good.then(|| (connection, Instant::now()));
        Ok(read_claim(rows, &self.trunks))
    }
}

/// The columns that [`Row`] reads.
macro_rules! claiming {
    ($and:literal, $function:literal) => {
        concat!(
            "select verdict, wait_ms, id, claim_no, attempt, phone, from_number, script_id, metadata::text, \
                    trunk, campaign, lease_until, array[ring_timeout_sec, max_duration_sec], due_ms, traceparent, \
                    answering_machine",
            $and,
            " from ",
            $function
        )
    };
}

pub(super) use claiming;

const SQL: &str = claiming!("", "pgdial.claim($1, $2, $3, $4, $5, $6)");

fn read_claim(rows: Vec<Row>, trunks: &BTreeMap<String, Declared>) -> Claim {
    let mut claim = Claim {
        calls: Vec::with_capacity(rows.len()),
        unreadable: Vec::new(),
        wait: None,
        gate_timeout: rows.is_empty(),
    };
    for row in rows {
        let (verdict, wait_ms, id, claim_no) = (&row.0, row.1, row.2, row.3);
        claim.gate_timeout = verdict == "gate_timeout";
        claim.wait = wait_ms.map(|ms| Duration::from_millis(ms.try_into().unwrap_or(0)));
        let (Some(id), Some(claim_no)) = (id, claim_no) else {
            continue;
        };
        let id = CallId(id);
        match read_call(id, claim_no, row, trunks) {
            Some(call) => claim.calls.push(call),
            None => claim.unreadable.push(Reference { call: id, claim_no }),
        }
    }
    claim
}

type Row = (
    String,
    Option<i64>,
    Option<Uuid>,
    Option<i64>,
    Option<i32>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<DateTime<Utc>>,
    Option<Vec<Option<i32>>>,
    Option<i64>,
    Option<String>,
    Option<String>,
);

/// Length of the lease of a dial on this trunk, in seconds.
fn lease_sec(known: &BTreeMap<String, Declared>, trunk: &str) -> u32 {
    let known = known.get(trunk).map(|known| known.capabilities);
    let lease = known.unwrap_or_default().lease();
    u32::try_from(lease.as_secs()).unwrap_or(u32::MAX)
}

/// None if this release cannot read the call.
fn read_call(
    id: CallId,
    claim_no: i64,
    row: Row,
    trunks: &BTreeMap<String, Declared>,
) -> Option<ClaimedCall> {
    let (
        _,
        _,
        _,
        _,
        attempt,
        phone,
        from_number,
        script_id,
        metadata,
        trunk,
        campaign,
        until,
        limits,
        _,
        traceparent,
        answering_machine,
    ) = row;
    let trunk = trunk?;
    let [ring, max] = limits?.try_into().ok()?;
    Some(ClaimedCall {
        id,
        claim_no,
        attempt: attempt?,
        phone: Phone::stored(&phone?).ok()?,
        from_number: from_number
            .map(|from| Phone::stored(&from))
            .transpose()
            .ok()?,
        script_id: script_id?,
        metadata: RawValue::from_string(metadata?).ok()?,
        lease_sec: lease_sec(trunks, &trunk),
        trunk,
        campaign: campaign?,
        lease_until: until?,
        ring_timeout_sec: ring?,
        max_duration_sec: max?,
        answering_machine: answering_machine?.parse().ok()?,
        traceparent,
    })
}
