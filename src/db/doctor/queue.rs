//! What stops the queue from moving, or will.

use serde::Deserialize;
use sqlx::PgConnection;

use super::{Check, Looked, rows};

/// Whether the database runs where pgdial last saw it.
pub(super) async fn place(connection: &mut PgConnection) -> Looked {
    let (changed, untold): (Option<String>, Option<String>) =
        sqlx::query_as("select pgdial.cluster_changed(), (select p.untold from pgdial.place() p)")
            .fetch_one(connection)
            .await?;
    if let Some(how) = changed {
        return Ok(vec![Check::fail(
            "place",
            format!("nothing is dialled: {how}"),
            "run `pgdial recover`, which asks the providers what the database may have lost; after pg_upgrade, which loses nothing, it finds nothing",
        )]);
    }
    Ok(vec![match untold {
        Some(refusal) => Check::warn(
            "place",
            format!(
                "the server does not tell all of where it runs, so a copy, a restore or a failover may not be noticed: {refusal}"
            ),
            "grant execute on that function to the schema's owner; where nobody can, run `pgdial recover` yourself after a restore or a failover",
        ),
        None => Check::ok("place", "the database runs where it was noted"),
    }])
}

#[derive(Deserialize)]
struct Workers {
    known: i64,
    alive: i64,
    last: Option<String>,
    others: Option<String>,
    due: bool,
}

#[derive(Deserialize)]
struct Unserved {
    trunk: String,
}

/// Whether a live worker claims for every trunk.
pub(super) async fn workers(connection: &mut PgConnection) -> Looked {
    let workers: Vec<Workers> = rows(
        &mut *connection,
        concat!(
            "select count(*) as known, count(*) filter (where w.alive) as alive, \
                exists (select from pgdial.calls c where c.state = 'waiting' and c.run_at <= (select pgdial.now())) as due, \
                (array_agg(format('on %s, %s ago', w.host, date_trunc('second', w.now - w.seen_at)) \
                           order by w.seen_at desc))[1] as last, \
                string_agg(distinct w.release, ', ') filter (where w.alive and w.release <> '",
            env!("CARGO_PKG_VERSION"),
            "') as others \
         from (select w.*, n.now, a.id is not null as alive \
               from pgdial.workers w left join pgdial.live_workers a on a.id = w.id, (select pgdial.now()) n (now)) w"
        ),
    )
    .await?;
    let Some(workers) = workers.into_iter().next() else {
        return Ok(Vec::new());
    };
    let start = "start `pgdial serve`, or `pgdial work`, and look at its log";
    if workers.known == 0 {
        let message = "no worker has ever been here: nothing is dialled";
        // A new installation is fine without a worker; one with calls due is not.
        let check = if workers.due {
            Check::fail
        } else {
            Check::warn
        };
        return Ok(vec![check("workers", message, start)]);
    }
    if workers.alive == 0 {
        let last = workers.last.unwrap_or_default();
        let message =
            format!("no worker is alive, so nothing is dialled; the last one was seen {last}");
        return Ok(vec![Check::fail("workers", message, start)]);
    }
    let mut found = vec![Check::ok("workers", format!("{} alive", workers.alive))];
    if let Some(others) = workers.others {
        let message = format!("live workers have another release than this one: {others}");
        found.push(Check::warn(
            "workers",
            message,
            "finish the upgrade: restart them with this release",
        ));
    }
    let unserved: Vec<Unserved> = rows(
        connection,
        "select t.name as trunk from pgdial.trunks t \
         where not t.paused and exists (select from pgdial.campaigns g where g.trunk = t.name) \
           and not exists (select from pgdial.live_workers w where not w.draining and t.name = any (w.trunks)) order by 1",
    )
    .await?;
    found.extend(unserved.into_iter().map(|Unserved { trunk }| {
        let variable = if trunk == "default" {
            "PGDIAL_PROVIDER_URL".to_owned()
        } else {
            format!("PGDIAL_TRUNK_{}_PROVIDER_URL", trunk.to_ascii_uppercase())
        };
        Check::fail(
            "workers",
            format!("no live worker knows the trunk {trunk}: its calls wait"),
            format!("set {variable} for a worker, and restart it; or move its campaigns to another trunk"),
        )
    }));
    Ok(found)
}

#[derive(Deserialize)]
struct Elsewhere {
    trunk: String,
    account: String,
    calls: i64,
}

/// Dials of accounts that no live worker has, so that nobody can be asked about them.
pub(super) async fn accounts(connection: &mut PgConnection) -> Looked {
    let elsewhere: Vec<Elsewhere> = rows(
        connection,
        "select c.trunk, c.account, count(*) as calls from pgdial.calls c \
         where c.state in ('dialing', 'unresolved', 'in_call') and pgdial.account_is_gone(c) \
         group by 1, 2 order by 1, 2",
    )
    .await?;
    let warn = |Elsewhere {
                    trunk,
                    account,
                    calls,
                }| {
        Check::warn(
            "accounts",
            format!(
                "{calls} calls of trunk {trunk} were dialled at {account}, and its live workers dial elsewhere: nobody asks about them or ends them"
            ),
            "their webhooks or their deadlines end them; run a worker with the old PGDIAL_..._PROVIDER_URL until then",
        )
    };
    Ok(elsewhere.into_iter().map(warn).collect())
}

/// Claims pass the gate one at a time, so a session stuck inside stops them all.
pub(super) async fn gate(connection: &mut PgConnection) -> Looked {
    let (holder,): (Option<String>,) = sqlx::query_as("select pgdial.gate_holder()")
        .fetch_one(connection)
        .await?;
    let fail = |holder| {
        Check::fail(
            "gate",
            format!("nothing is dialled: {holder} keeps the gate of the claims"),
            "end it: select pg_terminate_backend(PID); if it stays, its process is stopped, and kill -CONT on the server lets it end",
        )
    };
    Ok(holder.map(fail).into_iter().collect())
}

#[derive(Deserialize)]
struct Pause {
    kind: String,
    name: String,
    told: String,
}

/// Pauses may be intended, but are the first thing to know when nothing is dialled.
pub(super) async fn pauses(connection: &mut PgConnection) -> Looked {
    let pauses: Vec<Pause> = rows(
        connection,
        "select l.kind, l.name, format('by %s since %s: %s', l.paused_by, pgdial.in_utc(l.paused_at), \
                                       coalesce(pgdial.masked(l.paused_why), 'no reason given')) as told \
         from (select 'trunk' as kind, name, paused_by, paused_at, paused_why from pgdial.trunks where paused \
               union all \
               select 'campaign', name, paused_by, paused_at, paused_why from pgdial.campaigns where paused) l \
         order by l.kind desc, l.name limit 20",
    )
    .await?;
    let told = |Pause { kind, name, told }| {
        Check::warn(
            "pauses",
            format!("the {kind} {name} is paused {told}"),
            format!("when that is over: `pgdial {kind}s resume {name}`; it does not end by itself"),
        )
    };
    Ok(pauses.into_iter().map(told).collect())
}

#[derive(Deserialize)]
struct Trunk {
    name: String,
    slots: i32,
    in_flight: i64,
    stuck: i64,
    fault: Option<String>,
    is_full: bool,
    permits: Option<i64>,
}

/// Slots in use, and recent refusals of the provider.
pub(super) async fn slots(connection: &mut PgConnection) -> Looked {
    let trunks: Vec<Trunk> = rows(
        &mut *connection,
        "select t.name, t.slots, f.in_flight, f.stuck, \
                case when b.opened_at is not null then coalesce(b.last_fault, 'no words') end as fault, \
                coalesce(b.opened_at is null and b.not_before > n.now, false) as is_full, \
                (select sum(w.permits) from pgdial.live_workers w where not w.draining and t.name = any (w.trunks)) as permits \
         from (select pgdial.now() as now) n cross join pgdial.trunks t \
              left join pgdial.trunk_breaker b on b.trunk = t.name \
              cross join lateral (select count(*) as in_flight, count(*) filter (where c.deadline_at < n.now) as stuck \
                                  from pgdial.calls c where c.trunk = t.name \
                                    and c.state in ('dialing', 'unresolved', 'in_call')) f order by 1",
    )
    .await?;
    let mut found: Vec<Check> = trunks.iter().flat_map(of_trunk).collect();
    found.extend(doubts(connection).await?);
    Ok(found)
}

#[derive(Deserialize)]
struct Doubts {
    trunk: String,
    slots: i32,
    in_doubt: i32,
    advice: String,
}

/// Dials in doubt that hold more than a third of the slots.
async fn doubts(connection: &mut PgConnection) -> Looked {
    let doubts: Vec<Doubts> = rows(connection, "select * from pgdial.doubts()").await?;
    let told = |doubts: Doubts| {
        let (of, trunk) = (doubts.slots, doubts.trunk);
        let message = format!(
            "dials in doubt hold {} of {of} slots of {trunk}",
            doubts.in_doubt
        );
        Check::warn("slots", message, doubts.advice)
    };
    Ok(doubts.into_iter().map(told).collect())
}

fn of_trunk(trunk: &Trunk) -> Vec<Check> {
    let Trunk {
        name,
        slots,
        in_flight,
        stuck,
        ..
    } = trunk;
    let mut found = Vec::new();
    if let Some(fault) = &trunk.fault {
        found.push(Check::fail(
            "provider",
            format!("the provider of {name} fails, and one call at a time probes it; it said: {fault}"),
            "see whether it can be reached, which is asked here too, and ask the provider; the first call that it accepts opens the trunk again",
        ));
    }
    if trunk.is_full {
        found.push(Check::warn(
            "slots",
            format!("the provider of {name} has no room for more, with {in_flight} of {slots} slots used"),
            format!("`pgdial trunks set {name} --slots N`, not above what the provider admits"),
        ));
    }
    if *stuck > 0 {
        found.push(Check::warn(
            "slots",
            format!("{stuck} calls of {name} are past their deadline and hold a slot each"),
            "`pgdial calls list --state in_call`, and `pgdial calls why ID`; do webhooks arrive?",
        ));
    }
    if i64::from(*slots) <= *in_flight {
        found.push(Check::warn(
            "slots",
            format!("{name} has none of its {slots} slots free"),
            format!("wait until calls end, or `pgdial trunks set {name} --slots N`"),
        ));
    } else if !trunk.is_full {
        let free = i64::from(*slots) - in_flight;
        let permits = trunk.permits.map_or_else(String::new, |permits| {
            format!("; live workers dial {permits} at once")
        });
        found.push(Check::ok(
            "slots",
            format!("{name}: {free} of {slots} are free{permits}"),
        ));
    }
    found
}

/// Events waiting for their call.
pub(super) async fn inbox(connection: &mut PgConnection) -> Looked {
    let (parked, old): (i64, bool) = sqlx::query_as(
        "select count(*), coalesce(min(w.received_at) < (select pgdial.now()) - interval '5 minutes', false) \
         from pgdial.webhook_events w where w.verdict = 'parked' and w.call_id is not null",
    )
    .fetch_one(connection)
    .await?;
    Ok(vec![if old {
        Check::warn(
            "inbox",
            format!("{parked} webhook events wait for their call, some for more than 5 minutes"),
            "`pgdial webhooks list --verdict parked`: does somebody hold their rows, or does a constraint forbid the change?",
        )
    } else {
        Check::ok("inbox", format!("{parked} webhook events are parked"))
    }])
}
