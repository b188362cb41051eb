//! Use of this process's pools, for metrics.

use std::sync::{Mutex, PoisonError};

use super::Queue;
use crate::{
    db::{Pool, Refusal},
    metrics::queue::PoolUse,
};

/// Pools that verbs of this process use: one, or two if it both serves and works.
#[derive(Debug, Default)]
pub(super) struct Pools(Mutex<Vec<Pool>>);

impl Pools {
    pub(super) fn add(&self, pool: &Pool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(pool.clone());
    }
}

impl Pools {
    pub(super) fn all(&self) -> Vec<Pool> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.clone()
    }

    /// Why one of the pools cannot open a session.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.all().iter().find_map(Pool::refusal)
    }

    /// Whether commits wait for a standby.
    pub(super) fn await_standby(&self) -> bool {
        self.all().iter().any(Pool::awaits_standby)
    }
}

impl Queue {
    /// Use of each pool, by the name that its sessions show.
    pub(crate) fn pool_use(&self) -> Vec<PoolUse> {
        self.pools.all().iter().map(of).collect()
    }
}

fn of(pool: &Pool) -> PoolUse {
    let (name, sessions) = (pool.application(), pool.sessions());
    PoolUse {
        name: name.strip_prefix("pgdial ").unwrap_or(name).to_owned(),
        idle: sessions.idle,
        used: sessions.lent,
        most: sessions.most,
    }
}
