//! Questions to providers that are under way, limited per trunk, so that a provider that hangs delays only its own
//! trunk.

use std::{collections::BTreeMap, sync::Arc};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};

use crate::flow::shares::Shares;

/// Questions under way per trunk.
const MOST_ASKS: usize = 8;

/// Never awaited by the sweep, which a provider that hangs must not stop.
#[derive(Debug)]
pub(super) struct Asks {
    free: BTreeMap<String, Arc<Semaphore>>,
    under_way: JoinSet<()>,
}

impl Asks {
    /// Trunks by name, with no questions under way.
    pub(super) fn new(trunks: Vec<String>) -> Self {
        let free = |trunk| (trunk, Arc::new(Semaphore::new(MOST_ASKS)));
        Self {
            free: trunks.into_iter().map(free).collect(),
            under_way: JoinSet::new(),
        }
    }

    /// How many more questions each trunk may be asked.
    pub(super) fn free(&self) -> Shares {
        let free =
            |(trunk, free): (&String, &Arc<Semaphore>)| (trunk.clone(), free.available_permits());
        self.free.iter().map(free).collect()
    }

    /// Whether this trunk may be asked one more question.
    pub(super) fn has_room(&self, trunk: &str) -> bool {
        self.free
            .get(trunk)
            .is_some_and(|free| free.available_permits() > 0)
    }

    /// Asks, unless the trunk has reached its limit.
    pub(super) fn spawn(&mut self, trunk: &str, ask: impl Future<Output = ()> + Send + 'static) {
        while self.under_way.try_join_next().is_some() {}
        let Some(permit) = self.permit(trunk) else {
            return;
        };
        self.under_way.spawn(async move {
            ask.await;
            drop(permit);
        });
    }

    fn permit(&self, trunk: &str) -> Option<OwnedSemaphorePermit> {
        let free = self.free.get(trunk)?;
        Arc::clone(free).try_acquire_owned().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_trunk_whose_provider_hangs_takes_no_others_room() {
        let mut asks = Asks::new(vec!["slow".to_owned(), "quick".to_owned()]);
        for _ in 0..=MOST_ASKS {
            asks.spawn("slow", std::future::pending());
        }
        assert!(!asks.has_room("slow") && asks.has_room("quick"));
        let free = asks.free();
        assert_eq!(
            (free.trunks(), free.counts()),
            (&["quick".to_owned()][..], &[8][..])
        );
        asks.spawn("quick", async {});
        while asks.free().counts() != [8] {
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn an_unknown_trunk_is_asked_nothing() {
        assert!(!Asks::new(vec![]).has_room("other"));
        assert!(Asks::new(vec![]).free().is_empty());
    }
}
