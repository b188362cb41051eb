//! The loop that delivers events to endpoints. Every worker runs it, and any of them may die.
//!
//! The database decides what is sent, when, by which process and how it is signed (`sql/flow/deliver.sql`); this loop
//! sends it and records how that ended. It never waits for an endpoint: each request is a task of its own, at most 32
//! for each endpoint, and none lives longer than its time limit. So an endpoint that is slow or dead costs the others
//! nothing, and memory is bounded by the number of endpoints.

use std::{collections::HashMap, time::Duration};

use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

// One request to one endpoint.
mod send;

use self::send::Sender;
use crate::{
    domain::Networks,
    flow::{
        Error, Queue,
        deliver::{Deliveries, Delivery},
        delivered::Attempted,
    },
    provider::Stopwatch,
};

/// Pause while this process delivers to an endpoint, and nothing is due.
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);
/// Pause while other processes deliver to all: one of them may have died.
const STANDBY: Duration = Duration::from_secs(1);
/// Pause while there is no endpoint.
const IDLE: Duration = Duration::from_secs(5);
/// Longest pause after failures of the database.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A delivery begins at most this long after it was asked for: within the lease of its endpoint (`deliver_to`), and such
/// that it is over before it counts as lost (`take_due`), when another process may send it and its call's next event.
const LATEST_START: Duration = Duration::from_secs(3);

/// Delivers events to endpoints.
#[derive(Debug)]
pub struct Deliverer {
    calls: Queue,
    /// Name of this process in the database.
    id: Uuid,
    sender: Sender,
    sending: JoinSet<Option<Attempted>>,
    /// Which endpoint each task sends to.
    endpoints: HashMap<Id, i64>,
    /// Attempts that are not recorded yet.
    ended: Vec<Attempted>,
    /// When it last looked for new events; none: there were more.
    followed: Option<Stopwatch>,
}

impl Deliverer {
    /// `networks` are those that may be connected to although they are not public.
    pub fn new(calls: Queue, networks: Networks) -> Self {
        Self {
            calls,
            id: Uuid::new_v4(),
            sender: Sender::new(networks),
            sending: JoinSet::new(),
            endpoints: HashMap::new(),
            ended: Vec::new(),
            followed: None,
        }
    }

    /// Delivers until stopped, and then until what is under way is recorded.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        let mut pause = BETWEEN_LOOKS;
        while !stop.is_cancelled() {
            let rest = match self.look().await {
                Ok(rest) => {
                    pause = BETWEEN_LOOKS;
                    rest
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "deliveries stand still; trying again"
                    );
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    pause
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.one_ended() => {}
                () = tokio::time::sleep(rest) => {}
            }
        }
        while !self.sending.is_empty() {
            self.one_ended().await;
        }
        if let Err(error) = self.hand_over().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "not handed over; another process delivers soon"
            );
        }
        Ok(())
    }

    /// Records what has ended, and sends what is due. Returns how long to rest.
    async fn look(&mut self) -> Result<Duration, Error> {
        self.record().await?;
        let asked = Stopwatch::start();
        let mut in_flight = HashMap::new();
        for endpoint in self.endpoints.values() {
            *in_flight.entry(*endpoint).or_default() += 1;
        }
        // Whenever a request ends there is room for another, which is no reason to look for new events.
        let follow = self.followed.is_none_or(|at| at.elapsed() >= BETWEEN_LOOKS);
        let mut handed = self.calls.deliver(self.id, &in_flight, follow).await?;
        if follow {
            self.followed = (!handed.more).then_some(asked);
        }
        for delivery in std::mem::take(&mut handed.due) {
            self.begin(delivery, asked);
        }
        Ok(match handed {
            Deliveries { more: true, .. } => Duration::ZERO,
            Deliveries { mine: 1.., .. } => BETWEEN_LOOKS,
            Deliveries { others: 1.., .. } => STANDBY,
            Deliveries { .. } => IDLE,
        })
    }

    fn begin(&mut self, delivery: Delivery, asked: Stopwatch) {
        let (calls, sender, endpoint) =
            (self.calls.clone(), self.sender.clone(), delivery.endpoint);
        let task = self.sending.spawn(async move {
            if asked.elapsed() > LATEST_START {
                return None;
            }
            let began = Stopwatch::start();
            let ended = sender.send(&delivery).await;
            let took = began.elapsed();
            calls.metrics().delivery_seconds.observe(took.as_secs_f64());
            if let Err(error) = &ended {
                tracing::debug!(endpoint = delivery.name, event = delivery.id, %error, "not delivered");
            }
            Some(Attempted::new(&delivery, took, ended))
        });
        self.endpoints.insert(task.id(), endpoint);
    }

    /// Waits until a request has ended, and takes all that have. Cancel-safe. Never returns while there is none.
    async fn one_ended(&mut self) {
        let Some(ended) = self.sending.join_next_with_id().await else {
            return std::future::pending().await;
        };
        let mut ended = Some(ended);
        while let Some(one) = ended {
            match one {
                Ok((task, attempted)) => {
                    self.endpoints.remove(&task);
                    self.ended.extend(attempted);
                }
                Err(panic) => {
                    self.endpoints.remove(&panic.id());
                    tracing::error!(%panic, "a delivery was dropped; it is sent again later");
                }
            }
            ended = self.sending.try_join_next_with_id();
        }
    }

    async fn record(&mut self) -> Result<(), Error> {
        if self.ended.is_empty() {
            return Ok(());
        }
        for verdict in self.calls.delivered(&self.ended).await? {
            self.calls.metrics().deliveries.add(verdict.into());
        }
        self.ended.clear();
        Ok(())
    }

    async fn hand_over(&mut self) -> Result<(), Error> {
        self.record().await?;
        self.calls.deliver_no_more(self.id).await
    }
}
