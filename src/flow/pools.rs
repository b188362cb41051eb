//! How full the pools of this process are, for whoever scrapes it.

use std::sync::{Mutex, PoisonError};

use sqlx::PgPool;

use super::Calls;
use crate::metrics::queue::PoolUse;

/// The pools that verbs of this process go through: one, or two where it serves and works.
#[derive(Debug, Default)]
pub(super) struct Pools(Mutex<Vec<PgPool>>);

impl Pools {
    pub(super) fn add(&self, pool: &PgPool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(pool.clone());
    }
}

impl Calls {
    /// One line for each pool, by the name that its sessions show.
    pub(crate) fn pool_use(&self) -> Vec<PoolUse> {
        let all = self.pools.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(of).collect()
    }
}

fn of(pool: &PgPool) -> PoolUse {
    let options = pool.connect_options();
    let name = options.get_application_name().unwrap_or_default();
    let (size, idle) = (pool.size() as usize, pool.num_idle());
    PoolUse {
        name: name.strip_prefix("pgdial ").unwrap_or(name).to_owned(),
        idle,
        used: size.saturating_sub(idle),
        most: pool.options().get_max_connections(),
    }
}
