//! What is written together comes to the same as what is written one by one: the same random
//! story, once in one statement and once in many, each undone before the other.

use base64::{Engine, prelude::BASE64_STANDARD};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::support::{TestDb, ask, number, run};
use pgdial::domain::Outcome;

/// Stories in a plain `cargo test`, unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 64;
/// Calls of a story; the last was dialled before.
const CALLS: usize = 3;

/// What a batch leaves behind, but for what was drawn by lot, the order among calls, and the evidence, which
/// rests on that order.
const LEFT: &str = "jsonb_build_object( \
    'calls', (select jsonb_agg(to_jsonb(c) - array['run_at', 'claim_seq'] order by c.id) from pgdial.calls c), \
    'events', (select jsonb_agg(jsonb_build_array(e.call_id, e.kind, e.claim_no, e.attempt, \
                                e.detail - array['run_at', 'delay_ms']) order by e.call_id, e.seq) from pgdial.call_events e), \
    'inbox', (select jsonb_agg(to_jsonb(w) - array['id', 'try_at'] order by w.trunk, w.reference, w.event_id, w.body_digest) \
              from pgdial.webhook_events w))";

/// From here on each event of a batch goes the way of those that are not plain.
const NOTHING_IS_PLAIN: &str = "create or replace function pgdial.apply_together( \
    p_items jsonb, p_locked uuid[], p_now timestamptz, out done int[], out noted int[], out freed int[]) \
    language sql as $$ select '{}'::int[], '{}'::int[], '{}'::int[] $$";

#[derive(Debug, Clone)]
struct Event {
    call: usize,
    /// Of its claims, the newest first.
    claim: i64,
    id: u8,
    name: Option<u8>,
    says: Says,
    answered: bool,
    other_trunk: bool,
}

#[derive(Debug, Clone)]
enum Says {
    Progress,
    Answered,
    Ended(Outcome),
    UnknownWord,
    Garbage,
}

#[derive(Debug, Clone)]
struct Accepted {
    call: usize,
    claim: i64,
    name: u8,
}

#[derive(Debug, Clone)]
enum Batch {
    Events(Vec<Event>),
    Accepted(Vec<Accepted>),
}

#[derive(Debug, Clone)]
struct Story {
    /// Which calls the provider's events name by its own id, and not by their reference.
    by_name: [bool; CALLS],
    called_off: [bool; CALLS],
    poisoned: [bool; CALLS],
    before: Vec<Batch>,
    batch: Batch,
}

fn event() -> impl Strategy<Value = Event> {
    let ended = proptest::sample::select(&Outcome::ALL[..]);
    let says = prop_oneof![
        3 => Just(Says::Progress),
        3 => Just(Says::Answered),
        4 => ended.prop_map(Says::Ended),
        1 => Just(Says::UnknownWord),
        1 => Just(Says::Garbage),
    ];
    let rarely = || prop::bool::weighted(0.1);
    let name = prop_oneof![1 => Just(None), 4 => Just(Some(0)), 1 => Just(Some(1))];
    let shape = (
        0..CALLS,
        rarely(),
        0..5_u8,
        name,
        says,
        any::<bool>(),
        rarely(),
    );
    shape.prop_map(
        |(call, earlier, id, name, says, answered, other_trunk)| Event {
            call,
            claim: i64::from(earlier),
            id,
            name,
            says,
            answered,
            other_trunk,
        },
    )
}

fn accepted() -> impl Strategy<Value = Accepted> {
    let shape = (0..CALLS, prop::bool::weighted(0.1), 0..2_u8);
    shape.prop_map(|(call, earlier, name)| Accepted {
        call,
        claim: i64::from(earlier),
        name,
    })
}

fn batch(most: usize) -> impl Strategy<Value = Batch> {
    prop_oneof![
        vec(event(), 1..=most).prop_map(Batch::Events),
        vec(accepted(), 1..=most).prop_map(Batch::Accepted),
    ]
}

fn story() -> impl Strategy<Value = Story> {
    let some = || proptest::array::uniform3(prop::bool::weighted(0.2));
    let shape = (some(), some(), some(), vec(batch(1), 0..4), batch(8));
    shape.prop_map(|(by_name, called_off, poisoned, before, batch)| Story {
        by_name,
        called_off,
        poisoned,
        before,
        batch,
    })
}

/// The calls of every story: their ids and their claims.
type Calls = Vec<(String, i64)>;

impl Story {
    fn items(&self, batch: &Batch, calls: &Calls) -> (&'static str, Vec<Value>) {
        match batch {
            Batch::Events(events) => {
                let items = events.iter().map(|event| self.event(event, calls));
                ("webhook", items.collect())
            }
            Batch::Accepted(accepted) => {
                let item = |one: &Accepted| {
                    let (id, claims) = &calls[one.call];
                    json!({ "id": id, "claim_no": claims - one.claim, "provider_call_id": name(one.call, one.name) })
                };
                ("dialed", accepted.iter().map(item).collect())
            }
        }
    }

    fn event(&self, event: &Event, calls: &Calls) -> Value {
        let (id, claims) = &calls[event.call];
        let by_name = self.by_name[event.call];
        let (kind, outcome) = match event.says {
            Says::Progress => ("progress", None),
            Says::Answered => ("answered", None),
            Says::Ended(outcome) => ("ended", Some(outcome)),
            Says::UnknownWord => ("unknown", None),
            Says::Garbage => ("unparsable", None),
        };
        let its_name = event.name.or(by_name.then_some(0));
        let report = json!({
            "kind": kind, "outcome": outcome, "answered": event.answered, "status": kind, "result": { "n": event.id },
            "provider_call_id": its_name.map(|one| name(event.call, one)),
        });
        json!({
            "trunk": if event.other_trunk { "other" } else { "default" },
            "reference": (!by_name).then(|| format!("{id}-{}", claims - event.claim)),
            "event_id": event.id.to_string(),
            "body": BASE64_STANDARD.encode(report.to_string()),
            "report": report,
        })
    }

    /// What is said to each item, and what is left behind; undone.
    async fn tell(
        &self,
        session: &mut PgConnection,
        calls: &Calls,
        together: bool,
    ) -> (Vec<String>, Value) {
        run(session, "begin").await.unwrap();
        if !together {
            run(session, NOTHING_IS_PLAIN).await.unwrap();
        }
        for (at, (id, _)) in calls.iter().enumerate() {
            if self.called_off[at] {
                run(session, &format!("select pgdial.cancel('{id}')"))
                    .await
                    .unwrap();
            }
        }
        for batch in &self.before {
            let (verb, items) = self.items(batch, calls);
            said(session, verb, &items).await;
        }
        for (at, (id, _)) in calls.iter().enumerate() {
            if self.poisoned[at] {
                let poison = format!(
                    "update pgdial.calls set script_id = 'poison' where id = '{id}' and state <> 'completed'"
                );
                run(session, &poison).await.unwrap();
            }
        }
        let (verb, items) = self.items(&self.batch, calls);
        let mut verdicts = Vec::new();
        for part in items.chunks(if together { items.len() } else { 1 }) {
            verdicts.extend(said(session, verb, part).await);
        }
        let left = ask(session, LEFT).await;
        run(session, "rollback").await.unwrap();
        (verdicts, serde_json::from_str(&left).unwrap())
    }
}

fn name(call: usize, name: u8) -> String {
    format!("p{call}-{name}")
}

async fn said(session: &mut PgConnection, verb: &str, items: &[Value]) -> Vec<String> {
    let sql = format!(
        "select string_agg(concat(verdict, detail ->> 'conflict', detail ->> 'cancel'), ' ' order by ordinal) \
         from pgdial.{verb}('{}')",
        json!(items)
    );
    let words = ask(session, &sql).await;
    words.split(' ').map(ToOwned::to_owned).collect()
}

#[test]
fn what_is_written_together_comes_to_the_same_as_one_by_one() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (db, calls, session) = runtime.block_on(prepare());
    let session = std::cell::RefCell::new(session);
    let default = Config::default();
    let config = Config {
        cases: std::env::var_os("PROPTEST_CASES").map_or(CASES, |_| default.cases),
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..default
    };
    TestRunner::new(config)
        .run(&story(), |story| {
            let mut session = session.borrow_mut();
            let (together, alone) = runtime.block_on(async {
                let together = story.tell(&mut session, &calls, true).await;
                (together, story.tell(&mut session, &calls, false).await)
            });
            if together == alone {
                Ok(())
            } else {
                Err(TestCaseError::fail(format!("{together:#?}\n{alone:#?}")))
            }
        })
        .unwrap_or_else(|failed| panic!("{failed}"));
    drop(db);
}

async fn prepare() -> (TestDb, Calls, PgConnection) {
    let db = TestDb::new().await;
    db.stop_clock().await;
    db.poison("completed").await;
    db.sql("select pgdial.create_trunk('other')").await;
    let first = db.dialing(&number(CALLS)).await;
    db.settle(&first, Outcome::Busy).await;
    db.forward("1 hour").await;
    for n in 1..CALLS {
        db.enqueue(&number(n)).await;
    }
    let mut claimed = db.claim(CALLS).await;
    claimed.sort_by_key(|call| call.claim_no);
    assert_eq!(claimed.len(), CALLS);
    let calls = claimed
        .iter()
        .map(|call| (call.id.to_string(), call.claim_no));
    let session = db.session().await;
    (db, calls.collect(), session)
}
