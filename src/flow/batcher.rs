//! The batcher: items of many tasks are written in one statement.
//!
//! A commit costs about the same for one row as for a hundred. While a statement is under way, further items
//! gather; when it is done, they go as one. An item that arrives when nothing is under way is sent at once:
//! there is no timer, so batches are as large as the load makes them.
//!
//! - Each caller gets its own result, after the commit and never before.
//! - A caller that goes away affects nobody; its item is written all the same.
//! - What is queued and unfinished is bounded, in bytes; beyond that a caller waits its turn.
//! - An item that makes the statement fail, or whose row is locked, is retried alone, beside the following
//!   batches. A lost connection is an error for every caller, which knows what it may repeat. So is a
//!   connection that does not respond: it is abandoned after a while, and the next batch uses another.
//! - Nothing runs while nothing is queued, and nothing has to be closed: a caller that waits keeps the
//!   process.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use sqlx::PgConnection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{
    Error,
    health::{Health, Work},
};
use crate::{
    db::{
        Lent, Pool,
        pool::{SHORT_ANSWER, answered},
    },
    metrics::{Batches, Metrics},
    provider::Stopwatch,
};

/// Items retried alone at the same time: each may wait half a second for its row.
const ALONE: usize = 2;
/// Stored items that may queue for a retry alone.
const MOST_KEPT: usize = 4;
/// Turns of the runtime a writer yields at most before each statement.
const MOST_TURNS: usize = 16;
/// Batches that may be queued or unfinished before callers wait.
const QUEUED: u32 = 4;

/// What a batcher writes.
pub(crate) trait Verb: Send + Sync + 'static {
    /// Input of one caller.
    type Item: Send + Sync + 'static;
    /// Result for one caller.
    type Answer: Send + 'static;

    /// Size of an item in bytes.
    fn bytes(item: &Self::Item) -> usize;

    /// An item was left as stored: wake the loop that takes it up.
    fn left(&self) {}

    /// Writes the items in one statement and sends the necessary wakes once; returns a result for each, in
    /// their order. `Try::Gathered` must not wait for rows; with `Try::Alone` there is a single item.
    fn write(
        &self,
        connection: &mut PgConnection,
        items: &[&Self::Item],
        how: Try,
    ) -> impl Future<Output = Result<Vec<Written<Self::Answer>>, Error>> + Send;
}

/// Which try of an item this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Try {
    /// First try, with all that has gathered.
    Gathered,
    /// Last try, by itself.
    Alone,
}

/// Result of writing one item.
#[derive(Debug)]
pub(crate) enum Written<A> {
    /// Durable, with this result.
    Done(A),
    /// Not written yet: retry it alone. After `Try::Alone` the item is abandoned.
    NotYet,
    /// Durable, with this result; a retry alone may do more, unless many are waiting for one.
    Kept(A),
}

/// Limits of a batch. Batch and queue are bounded by weight: an item weighs its bytes, and at least the share
/// that makes `items` of them a full batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Items in one statement.
    pub(crate) items: u32,
    /// Bytes in one statement.
    pub(crate) bytes: u32,
    /// Concurrent statements (and connections), not counting items retried alone.
    pub(crate) writers: usize,
}

/// Gathers items for one verb on one pool. Cheap to clone.
pub(crate) struct Batcher<V: Verb>(Arc<Shared<V>>);

struct Shared<V: Verb> {
    verb: V,
    pool: Pool,
    limits: Limits,
    batches: Option<Batches>,
    metrics: Arc<Metrics>,
    name: &'static str,
    health: Arc<Health>,
    room: Arc<Semaphore>,
    alone: Semaphore,
    waiting_alone: AtomicUsize,
    queue: Mutex<Gathering<V>>,
}

struct Gathering<V: Verb> {
    items: VecDeque<Waiting<V>>,
    writers: usize,
}

struct Waiting<V: Verb> {
    item: V::Item,
    weight: u32,
    caller: oneshot::Sender<Result<V::Answer, Error>>,
    _room: OwnedSemaphorePermit,
}

impl<V: Verb> fmt::Debug for Batcher<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batcher").finish_non_exhaustive()
    }
}

impl<V: Verb> Clone for Batcher<V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<V: Verb> Batcher<V> {
    pub(crate) fn new(
        verb: V,
        pool: Pool,
        limits: Limits,
        name: &'static str,
        metrics: Arc<Metrics>,
        health: Arc<Health>,
    ) -> Self {
        Self(Arc::new(Shared {
            verb,
            pool,
            limits,
            batches: metrics.batches(name),
            metrics,
            name,
            health,
            room: Arc::new(Semaphore::new((limits.bytes * QUEUED) as usize)),
            alone: Semaphore::new(ALONE),
            waiting_alone: AtomicUsize::new(0),
            queue: Mutex::new(Gathering {
                items: VecDeque::new(),
                writers: 0,
            }),
        }))
    }

    pub(crate) fn verb(&self) -> &V {
        &self.0.verb
    }

    /// Writes an item together with what else has gathered; durable when this returns. If it is dropped
    /// before, the item may or may not be written.
    pub(crate) async fn submit(&self, item: V::Item) -> Result<V::Answer, Error> {
        let shared = &self.0;
        let Limits { items, bytes, .. } = shared.limits;
        let weight = u32::try_from(V::bytes(&item)).unwrap_or(u32::MAX);
        let weight = weight.clamp(bytes / items, bytes * QUEUED);
        let room = Arc::clone(&shared.room).acquire_many_owned(weight).await;
        let (caller, answer) = oneshot::channel();
        shared.enqueue(Waiting {
            item,
            weight,
            caller,
            _room: room.map_err(|_never_closed| Error::Abandoned)?,
        });
        answer
            .await
            .unwrap_or_else(|_its_writer_died| Err(Error::Abandoned))
    }
}

impl<V: Verb> Shared<V> {
    fn queue(&self) -> MutexGuard<'_, Gathering<V>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueue(self: &Arc<Self>, waiting: Waiting<V>) {
        let mut queue = self.queue();
        queue.items.push_back(waiting);
        if queue.writers < self.limits.writers {
            queue.writers += 1;
            let writer = Writer {
                shared: Arc::clone(self),
                is_open: true,
            };
            start(writer.run());
        }
    }

    /// Sends one statement and its results. Keeps the connection while batches follow one another.
    async fn write(self: &Arc<Self>, kept: &mut Option<Lent>, batch: Vec<Waiting<V>>, how: Try) {
        let items: Vec<&V::Item> = batch.iter().map(|waiting| &waiting.item).collect();
        let trying = self.health.trying(Work::Verb(self.name));
        let written = match self.connection(kept).await {
            Ok(connection) => {
                let sent = Stopwatch::start();
                let writing = self.verb.write(&mut *connection, &items, how);
                let written = answered(SHORT_ANSWER, writing).await;
                connection.after(&written);
                self.measure(sent, items.len());
                written
            }
            Err(error) => Err(error),
        };
        trying.ended(&written);
        if let (Err(_), Some(batches)) = (&written, &self.batches) {
            batches.errors.inc();
        }
        match written {
            Ok(written) => {
                for (waiting, written) in batch.into_iter().zip(written) {
                    match (written, how) {
                        (Written::Done(answer), _) => tell(waiting, Ok(answer)),
                        (Written::NotYet, Try::Gathered) => self.try_alone(vec![waiting]),
                        (Written::Kept(_), Try::Gathered)
                            if self.waiting_alone.load(Ordering::Relaxed) < MOST_KEPT =>
                        {
                            self.try_alone(vec![waiting]);
                        }
                        (Written::Kept(answer), _) => {
                            self.verb.left();
                            tell(waiting, Ok(answer));
                        }
                        (Written::NotYet, Try::Alone) => tell(waiting, Err(Error::Abandoned)),
                    }
                }
            }
            Err(error) => {
                *kept = None; // if it is broken, it is closed
                if batch.len() > 1 && error.may_be_of_one_item() {
                    self.try_alone(batch);
                } else {
                    tell_all(batch, error);
                }
            }
        }
    }

    fn measure(&self, sent: Stopwatch, items: usize) {
        if let Some(batches) = &self.batches {
            batches.seconds.observe(sent.elapsed().as_secs_f64());
            let items = u32::try_from(items).unwrap_or(u32::MAX);
            batches.items.observe(f64::from(items));
        }
    }

    async fn connection<'a>(&self, kept: &'a mut Option<Lent>) -> Result<&'a mut Lent, Error> {
        let connection = if let Some(connection) = kept.take() {
            connection
        } else {
            let asked = Stopwatch::start();
            let connection = self.pool.acquire().await?;
            let wait = &self.metrics.pool_wait_seconds;
            wait.observe(asked.elapsed().as_secs_f64());
            connection
        };
        Ok(kept.insert(connection))
    }

    /// Retries beside the writers, one after another, so that items keep their order.
    fn try_alone(self: &Arc<Self>, batch: Vec<Waiting<V>>) {
        let shared = Arc::clone(self);
        shared
            .waiting_alone
            .fetch_add(batch.len(), Ordering::Relaxed);
        start(async move {
            let _turn = shared.alone.acquire().await;
            shared
                .waiting_alone
                .fetch_sub(batch.len(), Ordering::Relaxed);
            let mut connection = None;
            for waiting in batch {
                shared
                    .write(&mut connection, vec![waiting], Try::Alone)
                    .await;
            }
        });
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the callers watch it: when it dies, they are told"
)]
fn start(task: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(task));
}

fn tell_all<V: Verb>(mut batch: Vec<Waiting<V>>, error: Error) {
    if let [_] = *batch
        && let Some(waiting) = batch.pop()
    {
        tell(waiting, Err(error));
        return;
    }
    let error = Arc::new(error);
    for waiting in batch {
        tell(waiting, Err(Error::Shared(Arc::clone(&error))));
    }
}

fn tell<V: Verb>(waiting: Waiting<V>, answer: Result<V::Answer, Error>) {
    // A caller that has gone needs no result.
    waiting.caller.send(answer).unwrap_or_default();
}

/// Permission for one statement at a time, while something is queued.
struct Writer<V: Verb> {
    shared: Arc<Shared<V>>,
    is_open: bool,
}

impl<V: Verb> Writer<V> {
    async fn run(mut self) {
        let mut connection = None;
        loop {
            self.gather().await;
            let Some(batch) = self.next_batch() else {
                return;
            };
            self.shared
                .write(&mut connection, batch, Try::Gathered)
                .await;
        }
    }

    /// Lets items that become ready at the same moment join the batch.
    ///
    /// Thirty dials that end together make one statement, not one and then one of twenty-nine. Continues while each
    /// turn of the runtime brings more, so a busier process makes larger batches; an idle one yields a single turn.
    async fn gather(&self) {
        let mut before = 0;
        for _ in 0..MOST_TURNS {
            let queued = self.shared.queue().items.len();
            if queued == before {
                return;
            }
            before = queued;
            tokio::task::yield_now().await;
        }
    }

    /// At least one item, however large; none once the writer has ended.
    fn next_batch(&mut self) -> Option<Vec<Waiting<V>>> {
        let mut queue = self.shared.queue();
        if queue.items.is_empty() {
            queue.writers -= 1;
            self.is_open = false;
            return None;
        }
        let mut weight = 0_u32;
        let fitting = queue.items.iter().take_while(|waiting| {
            weight = weight.saturating_add(waiting.weight);
            weight <= self.shared.limits.bytes
        });
        let count = fitting.count().max(1);
        Some(queue.items.drain(..count).collect())
    }
}

impl<V: Verb> Drop for Writer<V> {
    /// The writer panicked, or the runtime is gone. Waiting callers get an error; the next item starts a new
    /// writer.
    fn drop(&mut self) {
        if self.is_open {
            let mut queue = self.shared.queue();
            queue.writers -= 1;
            queue.items.clear();
        }
    }
}
