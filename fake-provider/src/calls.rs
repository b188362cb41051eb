//! The fake provider's memory: its calls, and their idempotency keys.
//!
//! It is lost with the process, as a carrier's switch would lose its calls; what rang is in the ledger.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hyper::Uri;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::{
    clock,
    ledger::Ring,
    options::{FakeOptions, Span, Weights},
    rules::{Asked, Behaviour, Ending, Plan, Refusal, Rule},
};

/// Upper bound of a call whose webhooks are all sent before the response.
const IN_NO_TIME: Duration = Duration::from_millis(20);

/// What a caller asks for, in no protocol's words.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// E.164.
    pub(super) to: String,
    pub(super) from: Option<String>,
    pub(super) script: Option<String>,
    pub(super) metadata: Map<String, Value>,
    pub(super) webhook_url: Option<Uri>,
    /// The caller's name for the dial, by which the ledger judges; without one it is the call's id.
    pub(super) reference: Option<String>,
    pub(super) max_duration_sec: Option<u64>,
    pub(super) ring_timeout_sec: Option<u64>,
    pub(super) on_machine: OnMachine,
    /// Whatever else the protocol repeats in its reports.
    pub(super) echo: Value,
}

/// What is done if a machine answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OnMachine {
    /// The script talks to it.
    #[default]
    Ignore,
    /// The call ends at once.
    HangUp,
    /// A message is left.
    LeaveMessage,
}

/// One call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) number: String,
    pub(super) from: Option<String>,
    pub(super) script: Option<String>,
    pub(super) metadata: Map<String, Value>,
    pub(super) echo: Value,
    pub(super) reference: String,
    pub(super) webhook_url: Option<Uri>,
    pub(super) plan: Plan,
    pub(super) ending: Ending,
    pub(super) ring: Duration,
    pub(super) ring_timeout: Duration,
    pub(super) talk: Duration,
    pub(super) on_machine: OnMachine,
    /// Cancelled when the caller asks to end the call.
    pub(super) hang_up: CancellationToken,
    /// Cancelled when every webhook has had its first attempt.
    pub(super) reported: CancellationToken,
    /// Unix milliseconds.
    pub(super) placed_at: i64,
    phase: Mutex<Phase>,
}

/// Progress of a call, as a look-up shows it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Phase {
    Queued,
    Ringing,
    /// Since then, Unix milliseconds.
    InProgress(i64),
    Over(End),
}

/// How a call ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    pub(super) ending: Ending,
    pub(super) talked: Option<Duration>,
    /// Unix milliseconds.
    pub(super) at: i64,
}

impl End {
    /// Ends now, without a conversation.
    pub(super) fn by(ending: Ending) -> Self {
        Self {
            ending,
            talked: None,
            at: clock::unix_ms(),
        }
    }
}

impl Call {
    pub(super) fn ring(&self) -> Ring<'_> {
        Ring {
            call_id: &self.id,
            number: &self.number,
            reference: &self.reference,
        }
    }

    /// When it was answered, Unix milliseconds.
    pub(super) fn answered_at(&self) -> Option<i64> {
        match self.phase() {
            Phase::Queued | Phase::Ringing => None,
            Phase::InProgress(since) => Some(since),
            Phase::Over(end) => {
                let talked = i64::try_from(end.talked?.as_millis()).unwrap_or(i64::MAX);
                Some(end.at.saturating_sub(talked))
            }
        }
    }

    pub(super) fn phase(&self) -> Phase {
        *lock(&self.phase)
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.phase(), Phase::Over(_))
    }

    pub(super) fn goes_on(&self, phase: Phase) {
        *lock(&self.phase) = phase;
    }
}

/// Result of a dial request.
#[derive(Debug)]
pub(super) enum Taken {
    /// A new call.
    New(Arc<Call>),
    /// The same key came before with the same request.
    Replayed(Arc<Call>),
    /// The same key came before with another request.
    KeyReused,
    /// A rule refuses it.
    Refused(Refusal),
    /// Every slot holds a call.
    Full,
}

/// All calls of this process.
#[derive(Debug)]
pub(super) struct Calls {
    ring: Span,
    talk: Span,
    endings: Weights,
    rules: Vec<Rule>,
    slots: Option<usize>,
    webhook_url: Option<Uri>,
    /// How a call ends that finds none free; none: it is refused.
    overflow: Option<Ending>,
    /// For how long a repeated key is the same call.
    keys_kept: Duration,
    pages: Mutex<Pages>,
}

#[derive(Debug)]
struct Pages {
    rng: StdRng,
    active: usize,
    by_id: HashMap<String, Arc<Call>>,
    in_order: Vec<Arc<Call>>,
    by_key: HashMap<String, (Vec<u8>, Arc<Call>)>,
    placed: HashMap<String, usize>,
}

impl Calls {
    /// `keys_kept` and `overflow` are the protocol's; see there.
    pub(super) fn new(
        options: &FakeOptions,
        keys_kept: Option<Duration>,
        overflow: Option<Ending>,
    ) -> Self {
        let keys_kept = if options.idempotent {
            Duration::MAX
        } else {
            keys_kept.unwrap_or_default()
        };
        Self {
            ring: options.ring,
            talk: options.talk,
            endings: options.endings.clone(),
            rules: options.rules.clone(),
            slots: options.slots,
            webhook_url: options.webhook_url.clone(),
            overflow,
            keys_kept,
            pages: Mutex::new(Pages {
                rng: StdRng::seed_from_u64(options.seed.unwrap_or_else(rand::random)),
                active: 0,
                by_id: HashMap::new(),
                in_order: Vec::new(),
                by_key: HashMap::new(),
                placed: HashMap::new(),
            }),
        }
    }

    /// Whether a call has this key, and keys are honored.
    pub(super) fn knows(&self, key: Option<&str>) -> bool {
        self.replay_in(&lock(&self.pages), key, &[]).is_some()
    }

    fn replay_in(&self, pages: &Pages, key: Option<&str>, body: &[u8]) -> Option<Taken> {
        let (earlier, call) = pages.by_key.get(key?)?;
        let age = u64::try_from(clock::unix_ms() - call.placed_at).unwrap_or(0);
        if Duration::from_millis(age) >= self.keys_kept {
            return None;
        }
        Some(if earlier == body {
            Taken::Replayed(Arc::clone(call))
        } else {
            Taken::KeyReused
        })
    }

    /// Accepts or refuses the request. Under one lock, so that neither a slot nor a key can be taken twice.
    pub(super) fn take(
        &self,
        order: Order,
        call_id: String,
        key: Option<&str>,
        body: &[u8],
    ) -> Taken {
        let mut pages = lock(&self.pages);
        if let Some(replayed) = self.replay_in(&pages, key, body) {
            return replayed;
        }
        let nth = pages.placed.get(&order.to).copied().unwrap_or(0);
        let asked = Asked {
            to: &order.to,
            from: order.from.as_deref(),
            script: order.script.as_deref(),
            metadata: Some(&order.metadata),
        };
        let rng = &mut pages.rng;
        let mut plan = Plan::read(&self.rules, asked, nth, || rng.random_range(0.0..100.0));
        if let (Some(refusal), false) = (&plan.refusal, plan.does(&Behaviour::PlacesAnyway)) {
            return Taken::Refused(refusal.clone());
        }
        if self.slots.is_some_and(|slots| pages.active >= slots) {
            plan.ending = match self.overflow {
                None => return Taken::Full,
                ending => ending,
            };
        }
        let call = Arc::new(self.plan_call(&mut pages.rng, order, call_id, plan));
        pages.active += 1;
        *pages.placed.entry(call.number.clone()).or_default() += 1;
        pages.by_id.insert(call.id.clone(), Arc::clone(&call));
        pages.in_order.push(Arc::clone(&call));
        if let Some(key) = key {
            pages
                .by_key
                .insert(key.to_owned(), (body.to_owned(), Arc::clone(&call)));
        }
        Taken::New(call)
    }

    fn plan_call(&self, rng: &mut StdRng, order: Order, id: String, plan: Plan) -> Call {
        let ending = plan.ending.unwrap_or_else(|| self.endings.draw(rng));
        let is_hung_up = ending == Ending::Voicemail && order.on_machine == OnMachine::HangUp;
        let longest_talk = if is_hung_up {
            IN_NO_TIME
        } else {
            Duration::MAX
        };
        let most = if plan.does(&Behaviour::Early) {
            IN_NO_TIME
        } else {
            Duration::MAX
        };
        let limit = |seconds: Option<u64>| seconds.map_or(Duration::MAX, Duration::from_secs);
        Call {
            reference: order.reference.unwrap_or_else(|| id.clone()),
            id,
            from: order.from,
            script: order.script,
            metadata: order.metadata,
            echo: order.echo,
            number: order.to,
            webhook_url: order.webhook_url.or_else(|| self.webhook_url.clone()),
            ending,
            ring: self.ring.draw(rng).min(most),
            ring_timeout: limit(order.ring_timeout_sec),
            talk: self
                .talk
                .draw(rng)
                .min(most)
                .min(longest_talk)
                .min(limit(order.max_duration_sec)),
            on_machine: order.on_machine,
            plan,
            hang_up: CancellationToken::new(),
            reported: CancellationToken::new(),
            placed_at: clock::unix_ms(),
            phase: Mutex::new(Phase::Queued),
        }
    }

    /// Marks the end of a call and frees its slot. The ledger already has the end.
    pub(super) fn end(&self, call: &Call, end: End) {
        call.goes_on(Phase::Over(end));
        let mut pages = lock(&self.pages);
        pages.active = pages.active.saturating_sub(1);
    }

    pub(super) fn find(&self, id: &str) -> Option<Arc<Call>> {
        lock(&self.pages).by_id.get(id).cloned()
    }

    /// Erases a call for all look-ups. It goes on.
    pub(super) fn forget(&self, id: &str) {
        let mut pages = lock(&self.pages);
        pages.by_id.remove(id);
        pages.in_order.retain(|call| call.id != id);
    }

    /// The selected calls, in the order of their placement.
    pub(super) fn select(&self, wanted: impl Fn(&Arc<Call>) -> bool) -> Vec<Arc<Call>> {
        let pages = lock(&self.pages);
        let found = pages.in_order.iter().filter(|call| wanted(call));
        found.cloned().collect()
    }

    /// Whether the account has this script: every one that no rule calls unknown.
    pub(super) fn has_script(&self, script: &str) -> bool {
        let asked = Asked {
            to: "",
            from: None,
            script: Some(script),
            metadata: None,
        };
        let plan = Plan::read(&self.rules, asked, 0, || 100.0);
        plan.refusal
            .is_none_or(|refusal| !matches!(refusal.status, 404 | 422))
    }

    pub(super) const fn slots(&self) -> Option<usize> {
        self.slots
    }

    /// Where the account's webhooks go.
    pub(super) const fn webhook_url(&self) -> Option<&Uri> {
        self.webhook_url.as_ref()
    }

    pub(super) fn active(&self) -> usize {
        lock(&self.pages).active
    }
}

/// A panic leaves nothing half-changed here, so a poisoned lock can be used.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_key_is_the_same_call_as_long_as_it_is_kept() {
        let options = FakeOptions::new("ledger.jsonl".into(), "secret");
        let mut calls = Calls::new(&options, None, None);
        let place =
            |calls: &Calls| calls.take(Order::default(), "call".to_owned(), Some("key"), b"body");
        assert!(matches!(place(&calls), Taken::New(_)));
        assert!(matches!(place(&calls), Taken::New(_)));
        calls.keys_kept = Duration::from_mins(1);
        assert!(matches!(place(&calls), Taken::Replayed(_)));
    }
}
