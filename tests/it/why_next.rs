//! why and the claim must agree: in random small situations a claim with enough permits takes every call for which
//! `why` says `next`, and none for which it says anything else. Only `in_turn` leaves it open.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use proptest::{
    collection::vec,
    option::weighted,
    prelude::*,
    test_runner::{Config, TestError, TestRunner},
};
use sqlx::{Connection, PgConnection};

use crate::support::{TestDb, run};

const CASES: u32 = 150;

/// Everything the claim looks at.
#[derive(Debug, Clone)]
struct Situation {
    slots: u8,
    per_second: Option<u8>,
    trunk: Odd,
    campaigns: Vec<Campaign>,
    calls: Vec<Call>,
}

/// What may be odd about a trunk.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Odd {
    Nothing,
    Paused,
    Held,
    Probing,
    Open,
    NoWorker,
}

#[derive(Debug, Clone)]
struct Campaign {
    cap: Option<u8>,
    weight: u8,
    paused: bool,
}

#[derive(Debug, Clone)]
struct Call {
    campaign: usize,
    number: u8,
    priority: u8,
    /// When it is due, in minutes from now.
    due: i8,
    kind: Kind,
}

/// A waiting call, with what may be wrong with it alone, or a call in another state.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Waiting,
    Expired,
    Unclaimable,
    Forbidden,
    HoldsItself,
    InCall,
    Held,
}

fn situations() -> impl Strategy<Value = Situation> {
    use Kind::{Expired, Forbidden, Held, HoldsItself, InCall, Unclaimable, Waiting};
    let kind = prop_oneof![
        12 => Just(Waiting), 1 => Just(Expired), 1 => Just(Unclaimable), 1 => Just(Forbidden),
        1 => Just(HoldsItself), 2 => Just(InCall), 1 => Just(Held),
    ];
    let trunk = prop_oneof![
        14 => Just(Odd::Nothing), 1 => Just(Odd::Paused), 1 => Just(Odd::Held),
        2 => Just(Odd::Probing), 1 => Just(Odd::Open), 1 => Just(Odd::NoWorker),
    ];
    let campaign = (weighted(0.4, 0..4_u8), 1..4_u8, weighted(0.1, Just(())));
    let campaigns = vec(
        campaign.prop_map(|(cap, weight, paused)| Campaign {
            cap,
            weight,
            paused: paused.is_some(),
        }),
        1..4,
    );
    let call = (0..3_usize, 0..14_u8, 0..3_u8, -4..2_i8, kind).prop_map(
        |(campaign, number, priority, due, kind)| Call {
            campaign,
            number,
            priority,
            due,
            kind,
        },
    );
    let paces = weighted(0.2, 1..40_u8);
    (0..9_u8, paces, trunk, campaigns, vec(call, 1..14)).prop_map(
        |(slots, per_second, trunk, campaigns, calls)| Situation {
            slots,
            per_second,
            trunk,
            campaigns,
            calls,
        },
    )
}

impl Situation {
    /// Statements that create the situation.
    fn sql(&self) -> String {
        let mut sql = format!(
            "update pgdial.trunks set slots = {}, calls_per_second = {};",
            self.slots,
            self.per_second
                .map_or("null".to_owned(), |pace| pace.to_string()),
        );
        sql += match self.trunk {
            Odd::Nothing | Odd::NoWorker => "",
            Odd::Paused => "update pgdial.trunks set paused = true;",
            Odd::Held => "update pgdial.trunks set held_until = pgdial.now() + interval '1 hour';",
            Odd::Probing => {
                "insert into pgdial.trunk_breaker values ('default', 5, 'x', 1, pgdial.now(), pgdial.now());"
            }
            Odd::Open => {
                "insert into pgdial.trunk_breaker values ('default', 5, 'x', 1, pgdial.now(), pgdial.now() + interval '1 hour');"
            }
        };
        if self.trunk != Odd::NoWorker {
            sql += "insert into pgdial.workers values \
                    (gen_random_uuid(), 'host', 7, '0', 1000, '{default}', pgdial.now(), pgdial.now());";
        }
        for (at, campaign) in self.campaigns.iter().enumerate() {
            let cap = campaign
                .cap
                .map_or("null".to_owned(), |cap| cap.to_string());
            write!(
                sql,
                "insert into pgdial.campaigns (name, trunk, cap, weight, paused) \
                 values ('c{at}', 'default', {cap}, {}, {});",
                campaign.weight, campaign.paused
            )
            .unwrap();
        }
        let mut taken = BTreeSet::new();
        for (at, call) in self.calls.iter().enumerate() {
            // The schema forbids two calls in flight to one number.
            let kind = match call.kind {
                Kind::InCall if !taken.insert(call.number) => Kind::Held,
                kind => kind,
            };
            sql += &call.sql(at, kind, self.campaigns.len());
        }
        sql
    }
}

impl Call {
    fn sql(&self, at: usize, kind: Kind, campaigns: usize) -> String {
        let id = format!("'0197f5e0-0000-7000-8000-{at:012}'");
        let number = format!("'+1415555{:04}'", self.number);
        let (mut columns, mut values) = (String::new(), String::new());
        let mut set = |column: &str, value: &str| {
            write!(columns, ", {column}").unwrap();
            write!(values, ", {value}").unwrap();
        };
        match kind {
            Kind::Expired => set("expires_at", "n.now"),
            Kind::HoldsItself => set("hold_until", "n.now + interval '5 minutes'"),
            Kind::InCall => {
                for (column, value) in [
                    ("state", "'in_call'"),
                    ("claim_no", "1"),
                    ("claimed_at", "n.now"),
                    ("claimed_by", "gen_random_uuid()"),
                    ("trunk", "'default'"),
                    ("deadline_at", "n.now + interval '1 hour'"),
                ] {
                    set(column, value);
                }
            }
            Kind::Held => {
                for (column, value) in [
                    ("state", "'failed'"),
                    ("outcome", "'unknown'"),
                    ("ended_at", "n.now"),
                    ("hold_until", "n.now + interval '5 minutes'"),
                ] {
                    set(column, value);
                }
            }
            Kind::Waiting | Kind::Unclaimable | Kind::Forbidden => {}
        }
        let mut sql = format!(
            "insert into pgdial.calls (id, phone, campaign, script_id, priority, run_at, max_attempts, owner, request_hash, \
                                       created_at{columns}) \
             select {id}, {number}, 'c{}', 's', {}, n.now + {} * interval '1 minute', 3, 't', '', n.now{values} \
             from (select pgdial.now() as now) n;",
            self.campaign % campaigns,
            self.priority,
            self.due,
        );
        match kind {
            Kind::Unclaimable => write!(
                sql,
                "insert into pgdial.unclaimable values ({id}, pgdial.now() + interval '1 minute', 'x');"
            )
            .unwrap(),
            Kind::Forbidden => write!(
                sql,
                "insert into pgdial.do_not_call (phone, reason, by) values ({number}, 'r', 'b') on conflict do nothing;"
            )
            .unwrap(),
            _ => {}
        }
        sql
    }
}

/// What was said and what was done, for each waiting call; several times, because turns are random.
async fn disagreement(
    session: &mut PgConnection,
    situation: &Situation,
    seen: &mut BTreeMap<String, u32>,
) -> Option<String> {
    run(session, "begin").await.unwrap();
    run(session, &situation.sql()).await.unwrap();
    let mut wrong = None;
    for _ in 0..2 {
        let said: Vec<(String, String)> = sqlx::query_as(
            "select c.id::text, w.reason from pgdial.calls c cross join lateral pgdial.why(c.id) w \
             where c.state = 'waiting' and w.ord = 1",
        )
        .fetch_all(&mut *session)
        .await
        .unwrap();
        run(session, "savepoint claim").await.unwrap();
        let claimed: Vec<(Option<String>,)> = sqlx::query_as(
            "select id::text from pgdial.claim(gen_random_uuid(), '{default}', 1000)",
        )
        .fetch_all(&mut *session)
        .await
        .unwrap();
        run(session, "rollback to claim").await.unwrap();
        for (id, reason) in said {
            let taken = claimed
                .iter()
                .any(|claimed| claimed.0.as_ref() == Some(&id));
            let word = match &*reason {
                // Without a worker, the claim can still be made by hand.
                "no_worker" | "in_turn" => true,
                "next" => taken,
                _ => !taken,
            };
            *seen.entry(reason.clone()).or_default() += 1;
            if !word {
                wrong = Some(format!("{id}: why says {reason}; taken: {taken}"));
            }
        }
    }
    run(session, "rollback").await.unwrap();
    wrong
}

#[test]
fn why_says_next_exactly_of_what_a_claim_takes() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let db = runtime.block_on(TestDb::new());
    let session = runtime.block_on(PgConnection::connect(&db.url)).unwrap();
    let (session, seen) = (Cell::new(Some(session)), Cell::new(BTreeMap::new()));
    let default = Config::default();
    let config = Config {
        cases: match std::env::var_os("PROPTEST_CASES") {
            Some(_) => default.cases,
            None => CASES,
        },
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..default
    };
    let told = TestRunner::new(config).run(&situations(), |situation| {
        let (mut connection, mut counts) = (session.take().unwrap(), seen.take());
        let wrong = runtime.block_on(disagreement(&mut connection, &situation, &mut counts));
        session.set(Some(connection));
        seen.set(counts);
        match wrong {
            Some(wrong) => Err(TestCaseError::fail(wrong)),
            None => Ok(()),
        }
    });
    match told {
        Ok(()) => {}
        Err(TestError::Fail(why, situation)) => panic!("{why}\n{situation:#?}"),
        Err(abort) => panic!("{abort}"),
    }
    let seen = seen.take();
    for reason in [
        "next",
        "in_line",
        "in_turn",
        "twin",
        "number_taken",
        "scheduled",
    ] {
        assert!(seen.contains_key(reason), "{reason} never came: {seen:?}");
    }
    assert!(
        seen["in_turn"] < seen["next"],
        "it is left open too often: {seen:?}"
    );
}
