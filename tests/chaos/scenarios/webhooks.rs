//! Events delivered to three endpoints, one of which is dead and one slow, while everything is killed five times.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use axum::{Router, body::Bytes, http::HeaderMap, http::StatusCode};
use pgdial::provider::signature::{self, Secrets};
use rustix::process::Signal;
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinSet, time::sleep};

use super::{Played, comes, ensure};
use crate::{
    load::lock,
    postgres,
    setup::{Setup, words},
    stage::Stage,
};

const CALLS: usize = 2500;
/// Enqueued together, every second: so many that the machine is not busy with dialing alone.
const AT_ONCE: usize = 25;
/// Of each call these, at least.
const KINDS: [&str; 4] = ["waiting", "active", "in_call", "completed"];
const KILLS: usize = 5;
/// How long the slow one takes to respond.
const SLOWLY: Duration = Duration::from_secs(15);
/// Limit of the time from an event to the good one, at the median.
const SOON: Duration = Duration::from_secs(1);

/// What an endpoint got, in order: id, call, kind, and how long after the event.
#[derive(Debug, Clone)]
struct Got {
    id: String,
    call: String,
    kind: String,
    after: Duration,
}

#[derive(Debug)]
struct Receiver {
    address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
    secret: Arc<Mutex<String>>,
    _server: JoinSet<()>,
}

impl Receiver {
    async fn start(takes: Duration) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (got, secret) = (
            Arc::<Mutex<Vec<Got>>>::default(),
            Arc::<Mutex<String>>::default(),
        );
        let (kept, its_secret) = (Arc::clone(&got), Arc::clone(&secret));
        let take = move |headers: HeaderMap, body: Bytes| {
            let received = read(&headers, &body, &lock(&its_secret));
            let kept = Arc::clone(&kept);
            async move {
                let Some(received) = received else {
                    return StatusCode::UNAUTHORIZED;
                };
                lock(&kept).push(received);
                sleep(takes).await;
                StatusCode::NO_CONTENT
            }
        };
        let mut server = JoinSet::new();
        let router = Router::new().fallback(take);
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            got,
            secret,
            _server: server,
        }
    }

    fn got(&self) -> Vec<Got> {
        lock(&self.got).clone()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the receiver is another system, with a clock of its own"
)]
fn read(headers: &HeaderMap, body: &[u8], secret: &str) -> Option<Got> {
    let secrets: Secrets = secret.parse().ok()?;
    let verified = signature::verify(headers, body, &secrets).ok()?;
    let body: Value = serde_json::from_slice(body).ok()?;
    let data = &body["data"];
    let at: chrono::DateTime<chrono::Utc> = data["at"].as_str()?.parse().ok()?;
    Some(Got {
        id: verified.event_id,
        call: data["callId"].as_str()?.to_owned(),
        kind: data["kind"].as_str()?.to_owned(),
        after: SystemTime::now()
            .duration_since(SystemTime::from(at))
            .unwrap_or_default(),
    })
}

pub(super) async fn play() -> Played {
    let mut setup = Setup {
        provider: words(&["--ring", "20ms..50ms", "--talk", "50ms..100ms"]),
        ..Setup::small("webhooks")
    };
    setup.trunks[0].slots = 10;
    let stage = Arc::new(Stage::full(&setup).await);
    let good = Receiver::start(Duration::ZERO).await;
    let slow = Receiver::start(SLOWLY).await;
    let dead = crate::processes::free_address();
    let kinds = KINDS.map(|kind| format!("\"{kind}\"")).join(", ");
    for (name, address, secret) in [
        ("good", good.address, Some(&good.secret)),
        ("slow", slow.address, Some(&slow.secret)),
        ("dead", dead, None),
    ] {
        let changes = format!("{{\"url\": \"http://{address}/\", \"kinds\": [{kinds}]}}");
        let sql = format!("pgdial.create_endpoint('{name}', '{changes}')");
        let made = stage.text(&sql).await;
        if let Some(secret) = secret {
            *lock(secret) = made;
        }
    }
    let caller = Arc::clone(&stage);
    let mut callers = JoinSet::new();
    callers.spawn_local(async move { enqueue(&caller).await });
    let over = "select count(*) from pgdial.calls where ended_at is not null";
    for kill in 1..=KILLS {
        let so_far = CALLS * kill / (KILLS + 1);
        let has_come = format!("{so_far} calls are over");
        comes(&has_come, Duration::from_mins(5), async || {
            stage.text(over).await.parse::<usize>().unwrap() >= so_far
        })
        .await?;
        for process in stage.workers.iter().chain(&stage.apis) {
            process.signal(Signal::KILL);
        }
        stage.postgres.crash().await;
    }
    callers.join_all().await;
    stage.until_all_over(Duration::from_mins(5)).await?;
    let unfinished = "select count(*) from pgdial.deliveries d join pgdial.endpoints e on e.id = d.endpoint \
                      where e.name = 'good' and d.state in ('queued', 'pending')";
    comes(
        "the good endpoint has everything",
        Duration::from_mins(2),
        async || {
            let all = stage.text(&has_all(&good)).await == "true";
            all && stage.text(unfinished).await == "0"
        },
    )
    .await?;
    judge(&stage, &good.got(), slow.got().len()).await
}

/// Whether the log has no more events than the endpoint has got.
fn has_all(good: &Receiver) -> String {
    let ids: BTreeSet<_> = good.got().into_iter().map(|got| got.id).collect();
    let kinds = KINDS.map(|kind| format!("'{kind}'")).join(", ");
    format!(
        "(select count(*) from pgdial.call_events where kind in ({kinds})) <= {}",
        ids.len()
    )
}

async fn enqueue(stage: &Stage) {
    let campaign = stage.trunks[0].name;
    for from in (0..CALLS).step_by(AT_ONCE) {
        let sql = format!(
            "select pgdial.enqueue('+1415' || lpad((2000000 + n)::text, 7, '0'), 'chaos', p_campaign => '{campaign}') \
             from generate_series({from}, {}) n",
            from + AT_ONCE - 1
        );
        // While Postgres is down, again: a statement that was cut off left nothing, or everything.
        loop {
            if let Ok(mut connection) = stage.through_the_network().await
                && postgres::run(&mut connection, &sql).await.is_ok()
            {
                break;
            }
            sleep(Duration::from_millis(200)).await;
        }
        sleep(Duration::from_secs(1)).await;
    }
}

async fn judge(stage: &Stage, got: &[Got], slow: usize) -> Played {
    let events = log(stage).await;
    let mut first: HashMap<&str, &Got> = HashMap::new();
    let mut in_order: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for one in got {
        if let std::collections::hash_map::Entry::Vacant(new) = first.entry(&one.id) {
            new.insert(one);
            in_order.entry(&one.call).or_default().push(&one.kind);
        }
    }
    for (call, kinds) in &events {
        let come = in_order.get(call.as_str()).cloned().unwrap_or_default();
        ensure(come == *kinds, || {
            format!("call {call} had {kinds:?}, and the endpoint got {come:?}")
        })?;
    }
    let many: usize = events.values().map(Vec::len).sum();
    ensure(first.len() == many, || {
        format!("{many} events, and {} ids came", first.len())
    })?;
    let mut times: Vec<_> = first.values().map(|got| got.after).collect();
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    ensure(at(50) <= SOON, || {
        format!("the median event came after {:.2} s", at(50).as_secs_f64())
    })?;
    let dead = "select count(*) from pgdial.deliveries d join pgdial.endpoints e on e.id = d.endpoint \
                where e.name = 'dead' and d.state = 'delivered'";
    ensure(stage.text(dead).await == "0", || {
        "the dead endpoint is said to have got something".to_owned()
    })?;
    Ok(format!(
        "{many} events in order, {} twice, the median after {:.2} s, 99 % after {:.1} s; the slow endpoint got {slow}",
        got.len() - first.len(),
        at(50).as_secs_f64(),
        at(99).as_secs_f64()
    ))
}

/// The kinds of each call's events, in the order of the log.
async fn log(stage: &Stage) -> BTreeMap<String, Vec<String>> {
    let kinds = KINDS.map(|kind| format!("'{kind}'")).join(", ");
    let sql = format!(
        "select jsonb_object_agg(call_id, kinds) from (select call_id, jsonb_agg(kind order by xid, seq) as kinds \
         from pgdial.call_events where kind in ({kinds}) group by call_id) c"
    );
    serde_json::from_str(&stage.text(&sql).await).unwrap()
}
