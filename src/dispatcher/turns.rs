//! Divides a process's permits among its trunks.
//!
//! A provider that takes 20 s to respond holds a permit that long, and would soon hold all of them: each permit that
//! comes free goes to whichever trunk is claimed for, and only the slow one keeps it. So no trunk exceeds its share
//! while others have work, and while it alone has work it leaves one in sixteen: a call on another trunk is then
//! dialled at once.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, OwnedSemaphorePermit};

use crate::{domain::ClaimedCall, flow::shares::Shares};

#[derive(Debug)]
pub(super) struct Turns {
    permits: usize,
    trunks: Mutex<BTreeMap<String, Trunk>>,
    ended: Notify,
}

#[derive(Debug, Clone, Copy, Default)]
struct Trunk {
    held: usize,
    /// The last claim that could have brought calls of this trunk did.
    has_work: bool,
}

/// Which trunks to claim for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// How many more permits each trunk may have now.
    pub(super) shares: Shares,
    /// Some trunk has used its share and is not claimed for.
    pub(super) leaves_out: bool,
    /// Some trunk that is claimed for is believed to have work.
    pub(super) expects_work: bool,
}

/// A permit held by a dial.
#[derive(Debug)]
pub(super) struct Taken {
    turns: Arc<Turns>,
    trunk: String,
    permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// All permits free.
    pub(super) fn new(trunks: &[String], permits: usize) -> Self {
        let trunks = trunks.iter().cloned();
        Self {
            permits,
            trunks: Mutex::new(trunks.map(|trunk| (trunk, Trunk::default())).collect()),
            ended: Notify::new(),
        }
    }

    /// How many more permits each trunk may have.
    pub(super) fn room(&self) -> Room {
        let trunks = self.lock();
        let room = |(name, trunk): (&String, &Trunk)| {
            let most = self.most(&trunks, *trunk);
            (name.clone(), most.saturating_sub(trunk.held))
        };
        let shares: Shares = trunks.iter().map(room).collect();
        let has_room = |name: &String| shares.trunks().contains(name);
        Room {
            leaves_out: shares.trunks().len() < trunks.len(),
            expects_work: trunks
                .iter()
                .any(|(name, trunk)| trunk.has_work && has_room(name)),
            shares,
        }
    }

    fn most(&self, trunks: &BTreeMap<String, Trunk>, of: Trunk) -> usize {
        let has_work = trunks.values().filter(|trunk| trunk.has_work).count();
        let sharers = has_work + usize::from(!of.has_work);
        if has_work == trunks.len() || trunks.len() == 1 {
            self.permits.div_ceil(sharers)
        } else {
            ((self.permits - self.permits / 16) / sharers).max(1)
        }
    }

    /// Learns which trunks have work from a claim for `room` that asked for `wanted` calls.
    pub(super) fn claimed(&self, room: &Room, wanted: usize, calls: &[ClaimedCall]) {
        let mut trunks = self.lock();
        for name in room.shares.trunks() {
            let Some(trunk) = trunks.get_mut(name) else {
                continue;
            };
            if calls.iter().any(|call| call.trunk == *name) {
                trunk.has_work = true;
            } else if calls.len() < wanted {
                trunk.has_work = false;
            }
        }
    }

    /// Counts the permit against the trunk until the returned value is dropped.
    pub(super) fn take(
        self: &Arc<Self>,
        trunk: &str,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Taken {
        if let Some(trunk) = self.lock().get_mut(trunk) {
            trunk.held += 1;
        }
        Taken {
            turns: Arc::clone(self),
            trunk: trunk.to_owned(),
            permit,
        }
    }

    /// Returns when the next dial ends.
    pub(super) async fn dial_ended(&self) {
        self.ended.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Trunk>> {
        self.trunks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(trunk) = self.turns.lock().get_mut(&self.trunk) {
            trunk.held = trunk.held.saturating_sub(1);
        }
        // Free the permit first, so that whoever is notified finds it.
        drop(self.permit.take());
        self.turns.ended.notify_one();
    }
}

#[cfg(test)]
mod tests;
