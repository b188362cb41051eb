//! Pickup: how long after a call was accepted its number is dialled, on an idle system. One call every 20 ms, timed
//! from the moment its caller has the response until the provider's adapter is entered, by one clock in one process.
//! A dial may begin before the response is read, because the commit wakes the worker; that counts as 0.

use std::{collections::HashMap, time::Duration};

use hyper::StatusCode;
use pgdial::{domain::CallId, flow::Queue};
use serde_json::Value;
use tokio::{task::JoinSet, time::MissedTickBehavior};

use super::{
    Bed, Error, Measure, Options,
    bed::secret,
    client::Client,
    dials::{Answer, Dials, Served, Witness, ms, new_call, percentiles, request},
    process::{Folder, Process, free_address},
};

const CALLS: usize = 500;
/// Unmeasured calls before, during which connections are opened and plans made.
const WARM_UP: usize = 20;
const EVERY: Duration = Duration::from_millis(20);
const SLOTS: usize = 30;

/// How calls are enqueued.
enum Caller<'a> {
    Library(&'a Queue),
    Http(Client),
}

impl Caller<'_> {
    /// Enqueues one call; returns its id, and when it was requested and answered.
    async fn ask(&mut self, nth: usize, dials: &Dials) -> Result<Asked, Error> {
        let request = request(nth);
        match self {
            Self::Library(calls) => {
                let sent = dials.now();
                let (result, _) = calls.enqueue_one("lab", &request).await?;
                let answered = dials.now();
                Ok(Asked {
                    call: new_call(result)?,
                    sent,
                    answered,
                })
            }
            Self::Http(client) => {
                let body = request.to_string();
                let sent = dials.now();
                let (status, answer) = client.post("/api/v1/calls", body).await?;
                let answered = dials.now();
                let call = serde_json::from_slice::<Value>(&answer)
                    .ok()
                    .and_then(|answer| answer.get("id")?.as_str()?.parse().ok());
                match call {
                    Some(call) if status == StatusCode::CREATED => Ok(Asked {
                        call: CallId(call),
                        sent,
                        answered,
                    }),
                    _ => Err(Error::Wrong(format!("POST /calls was answered {status}"))),
                }
            }
        }
    }
}

struct Asked {
    call: CallId,
    sent: Duration,
    answered: Duration,
}

/// API and worker in this process, as in `pgdial serve`.
pub(super) async fn in_one_process(bed: &Bed, options: &Options) -> Result<Vec<Measure>, Error> {
    let calls = options.scaled(CALLS);
    bed.set_slots(SLOTS).await?;
    let (witness, mut dials) = Witness::new(Answer::Refuse);
    let served = Served::start(bed, witness, SLOTS).await?;
    let mut measures = Vec::new();
    let (mut taken, mut samples) = (0, Vec::new());
    for name in ["pickup-one", "pickup-one over HTTP"] {
        let mut caller = match name {
            "pickup-one" => Caller::Library(&bed.calls),
            _ => Caller::Http(Client::connect(served.api, "lab").await?),
        };
        let turn = measure(&mut caller, &mut dials, taken, calls).await?;
        taken += turn.calls.len();
        samples.extend(turn.calls);
        measures.extend(percentiles(name, &turn.from_answer));
        measures.extend(percentiles(
            &format!("{name}, from the request"),
            &turn.from_request,
        ));
    }
    check(bed, &mut dials, &samples).await?;
    served.stop().await?;
    Ok(measures)
}

/// `pgdial api` as a separate process: the worker in this one learns of a call by notification.
pub(super) async fn in_two_processes(bed: &Bed, options: &Options) -> Result<Vec<Measure>, Error> {
    let calls = options.scaled(CALLS);
    bed.set_slots(SLOTS).await?;
    let (witness, mut dials) = Witness::new(Answer::Refuse);
    let worker = bed.start_worker(witness, SLOTS).await?;
    let (folder, address) = (Folder::new()?, free_address()?);
    let key = secret();
    let variables = [
        ("PGDIAL_LISTEN", address.to_string()),
        ("PGDIAL_PUBLIC_URL", format!("http://{address}")),
        ("PGDIAL_PROVIDER_URL", "http://127.0.0.1:9".to_owned()),
        ("PGDIAL_WEBHOOK_SECRETS", secret()),
        ("PGDIAL_API_KEYS", format!("lab:{key}")),
    ];
    let mut api = Process::start(
        bed,
        &folder,
        &["api"],
        &variables
            .each_ref()
            .map(|(name, value)| (*name, value.as_str())),
    )?;
    api.until_listening(address).await?;
    let mut caller = Caller::Http(Client::connect(address, &key).await?);
    let turn = measure(&mut caller, &mut dials, 0, calls).await?;
    drop(caller);
    check(bed, &mut dials, &turn.calls).await?;
    api.stop().await?;
    worker.stop().await?;
    let mut measures = percentiles("pickup-two", &turn.from_answer);
    measures.extend(percentiles(
        "pickup-two, from the request",
        &turn.from_request,
    ));
    Ok(measures)
}

/// Requests a second.
const LOADS: [u32; 5] = [10, 100, 500, 1_000, 2_000];
/// How long each load lasts at scale 1.
const LASTS: usize = 10;
/// More than any of these loads takes, so that no call waits for a slot.
const MANY_SLOTS: usize = 2_000;

/// Calls that are requested at a steady rate, whether or not earlier ones were answered: from the moment at which each
/// was due to be requested, so that a system that falls behind shows it.
pub(super) async fn under_load(bed: &Bed, options: &Options) -> Result<Vec<Measure>, Error> {
    bed.set_slots(MANY_SLOTS).await?;
    let (witness, mut dials) = Witness::new(Answer::Refuse);
    let served = Served::start(bed, witness, SLOTS).await?;
    let (mut measures, mut all) = (Vec::new(), Vec::new());
    let mut caller = Caller::Library(&bed.calls);
    all.extend(measure(&mut caller, &mut dials, 0, 0).await?.calls);
    for load in LOADS {
        let calls = options.scaled(LASTS * usize::try_from(load).unwrap_or(usize::MAX));
        let requested = request_steadily(bed, &dials, load, all.len(), calls).await?;
        let mut due: HashMap<CallId, Duration> = requested.into_iter().collect();
        let mut samples = Vec::new();
        for _ in 0..calls {
            let dial = dials.next().await?;
            let due = due
                .remove(&dial.reference.call)
                .ok_or_else(|| Error::Wrong(format!("nobody asked for {}", dial.reference)))?;
            all.push(dial.reference.call);
            samples.push(ms(due, dial.at));
        }
        measures.extend(percentiles(&format!("pickup at {load}/s"), &samples));
    }
    check(bed, &mut dials, &all).await?;
    served.stop().await?;
    Ok(measures)
}

/// Requests `calls` calls, `load` a second; returns when each was due.
async fn request_steadily(
    bed: &Bed,
    dials: &Dials,
    load: u32,
    first: usize,
    calls: usize,
) -> Result<Vec<(CallId, Duration)>, Error> {
    let (begun, mut due) = (dials.now(), Duration::ZERO);
    let mut asking = JoinSet::new();
    for nth in 0..calls {
        // Never a sleep of nothing: it lasts until the timer's next millisecond, and the requests would fall behind.
        if let Some(early) = (begun + due).checked_sub(dials.now()) {
            tokio::time::sleep(early).await;
        }
        let (queue, at) = (bed.calls.clone(), begun + due);
        asking.spawn(async move {
            let (result, _) = queue.enqueue_one("lab", &request(first + nth)).await?;
            Ok::<_, Error>((new_call(result)?, at))
        });
        due += Duration::from_secs(1) / load;
    }
    let mut requested = Vec::new();
    while let Some(done) = asking.join_next().await {
        requested.push(done??);
    }
    Ok(requested)
}

/// Median from the request, in one process, through the library; for other scenarios.
pub(super) async fn median_in_one_process(bed: &Bed, calls: usize) -> Result<f64, Error> {
    let (witness, mut dials) = Witness::new(Answer::Refuse);
    let served = Served::start(bed, witness, SLOTS).await?;
    let mut caller = Caller::Library(&bed.calls);
    let turn = measure(&mut caller, &mut dials, 0, calls).await?;
    bed.until_ended(&turn.calls.iter().map(|call| call.0).collect::<Vec<_>>())
        .await?;
    dials.none_more()?;
    served.stop().await?;
    super::measure::median(&turn.from_request).ok_or(Error::Slow("a dial"))
}

struct Turn {
    /// All calls, including the warm-up.
    calls: Vec<CallId>,
    from_answer: Vec<f64>,
    from_request: Vec<f64>,
}

async fn measure(
    caller: &mut Caller<'_>,
    dials: &mut Dials,
    first: usize,
    calls: usize,
) -> Result<Turn, Error> {
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut turn = Turn {
        calls: Vec::new(),
        from_answer: Vec::new(),
        from_request: Vec::new(),
    };
    for nth in 0..WARM_UP + calls {
        every.tick().await;
        let asked = caller.ask(first + nth, dials).await?;
        // One at a time: the system is idle, so the next dial is this call's.
        let dial = dials.next().await?;
        if dial.reference.call != asked.call {
            return Err(Error::Wrong(format!(
                "{} was dialled for {}",
                dial.reference, asked.call
            )));
        }
        turn.calls.push(asked.call);
        if nth >= WARM_UP {
            turn.from_answer.push(ms(asked.answered, dial.at));
            turn.from_request.push(ms(asked.sent, dial.at));
        }
    }
    Ok(turn)
}

/// Checks that each call was dialled once and ended there, and no other was dialled.
async fn check(bed: &Bed, dials: &mut Dials, calls: &[CallId]) -> Result<(), Error> {
    let ids: Vec<_> = calls.iter().map(|call| call.0).collect();
    bed.until_ended(&ids).await?;
    dials.none_more()?;
    bed.check_lives(ids.len(), "failed", &["waiting", "active", "failed"])
        .await
}
