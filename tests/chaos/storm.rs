//! The storm: callers on one side, faults from every side on the other, and then the calm in which every call must
//! end.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use pgdial_fake_provider::Speak;
use tokio::time::{Instant, sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    faults::Faults,
    load::{Load, MARKED, Marked, lock},
    plan::{TRACKS, plan},
    postgres,
    setup::{CAMPAIGN, Setup, TrunkSetup, words},
    stage::{Stage, until},
    verdict::Verdict,
};

/// Calls enqueued per second.
const PER_SECOND: f64 = 32.0;
/// Long enough for unexplained calls: two deadlines, a hold, and their retries.
pub(crate) const CALM: Duration = Duration::from_mins(5);

fn setup(speak: Speak, seed: u64) -> Setup {
    // At a platform 503 leaves a doubt, which lasts to its deadline, and one that meets another outlasts the calm.
    let marked = MARKED
        .iter()
        .filter(|mark| speak == Speak::Http || mark.does != "reject:503");
    let rules: Vec<String> = marked.map(Marked::rule).collect();
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    let seed = (seed % 1_000_000).to_string();
    Setup {
        name: "storm",
        trunks: if speak == Speak::Http {
            vec![
                TrunkSetup::new("default", "none"),
                TrunkSetup::new("hint", "hint"),
                TrunkSetup::new("sure", "authoritative"),
                TrunkSetup {
                    idempotent: true,
                    ..TrunkSetup::new("echo", "none")
                },
            ]
        } else {
            // Two accounts: what is said to one is not said to the other.
            vec![
                TrunkSetup::declared("default"),
                TrunkSetup::declared("second"),
            ]
        },
        speak,
        campaign: CAMPAIGN,
        provider: words(&[
            "--ring",
            "50ms..150ms",
            "--talk",
            "50ms..300ms",
            "--endings",
            "completed=72,busy=9,no_answer=7,failed=5,fault=2,voicemail=3,declined=2",
            "--seed",
            &seed,
        ]),
        apis: 2,
        apis_dial: false,
        workers: 4,
    }
    .rules(&rules)
}

/// Storms for this long, waits for the calm, and judges. With `hurry` the calm does not wait for deadlines.
pub(crate) async fn storm(
    speak: Speak,
    seed: u64,
    duration: Duration,
    hurry: bool,
) -> (Arc<Stage>, Verdict) {
    let stage = Arc::new(Stage::full(&setup(speak, seed)).await);
    stage
        .postgres
        .start_standby(&stage.path().join("standby"))
        .await;
    let faults = Faults::new(&stage);
    let load = Load::start(&stage, seed, PER_SECOND);
    let watch = Watch::start(&stage);
    let (stop, tracks) = (CancellationToken::new(), TaskTracker::new());
    for track in 0..TRACKS.len() {
        let (faults, stop) = (faults.clone(), stop.clone());
        let track = plan(seed, track, duration, hurry);
        tracks.spawn_local(async move { faults.follow(track, stop).await });
    }
    tracks.close();
    sleep(duration).await;
    stop.cancel();
    tracks.wait().await;
    load.stop().await;
    let began = Instant::now();
    let paused = stage.text(PAUSED).await;
    if hurry {
        pass_deadlines(&stage).await;
    }
    let calm = CancellationToken::new();
    let person = tend(&stage, calm.clone(), hurry);
    let (recoveries, drained, ()) = tokio::join!(
        faults.recoveries.finish(),
        async {
            let drained = stage.until_all_over(CALM).await;
            calm.cancel();
            drained
        },
        person
    );
    let drained_in = began.elapsed();
    stage.until_silent().await;
    let most = watch.finish().await;
    let known = std::mem::take(&mut *lock(&load.known));
    let mut verdict = Verdict::of(&stage, &known, most).await;
    verdict.faults = lock(&faults.done).clone();
    verdict.recoveries = recoveries;
    verdict.drained_in = drained_in;
    verdict.broken.extend(drained.err());
    verdict
        .broken
        .extend((!paused.is_empty()).then(|| format!("P7: while others were accepted: {paused}")));
    (stage, verdict)
}

/// Lanes that have paused themselves.
const PAUSED: &str = "select string_agg(concat_ws(' ', a.act, a.kind, a.name, a.why), '; ')
    from pgdial.acts a where a.by = 'pgdial' and a.act like 'pause%'";

/// In the calm a person resumes what pauses itself: hardly any calls are left by then but refused ones, and those do
/// speak about the trunk. With `hurry` retries are not awaited either.
async fn tend(stage: &Stage, calm: CancellationToken, hurry: bool) {
    let resume = "select pgdial.resume('trunk', t.name) from pgdial.trunks t where t.paused;
                  select pgdial.resume('campaign', g.name) from pgdial.campaigns g where g.paused";
    let skip = "update pgdial.clock k set ahead = k.ahead + w.rest
        from (select min(c.run_at) - pgdial.now() as rest from pgdial.calls c where c.state = 'waiting') w
        where w.rest > '0' and not exists (
            select from pgdial.calls c where c.state in ('dialing', 'unresolved', 'in_call'))";
    while !calm.is_cancelled() {
        stage.sql(resume).await;
        if hurry {
            stage.sql(skip).await;
        }
        calm.run_until_cancelled(sleep(Duration::from_millis(500)))
            .await;
    }
}

/// Moves the database's clock past every deadline while nothing rings and nothing is dialled: what is in flight then
/// will never be explained.
async fn pass_deadlines(stage: &Stage) {
    stage.sql("update pgdial.trunks set paused = true").await;
    // A claimed dial is sent within 30 s, or never.
    let begun =
        "select count(*) from pgdial.calls where claimed_at > pgdial.now() - '30 seconds'::interval
                 and state in ('dialing', 'unresolved')";
    until("no dial can begin", Duration::from_mins(1), async || {
        stage.text(begun).await == "0"
    })
    .await;
    stage.until_silent().await;
    let deadlines = "update pgdial.clock set ahead = ahead + '150 seconds';
                     update pgdial.trunks set paused = false";
    stage.sql(deadlines).await;
}

/// Samples how many calls each trunk has in flight.
pub(crate) struct Watch {
    most: Arc<std::sync::Mutex<BTreeMap<String, usize>>>,
    stop: CancellationToken,
    task: TaskTracker,
}

impl Watch {
    pub(crate) fn start(stage: &Arc<Stage>) -> Self {
        let watch = Self {
            most: Arc::default(),
            stop: CancellationToken::new(),
            task: TaskTracker::new(),
        };
        let (stage, most, stop) = (
            Arc::clone(stage),
            Arc::clone(&watch.most),
            watch.stop.clone(),
        );
        watch.task.spawn_local(async move {
            let mut connection = None;
            while stop
                .run_until_cancelled(sleep(Duration::from_millis(150)))
                .await
                .is_some()
            {
                if connection.is_none() {
                    connection = stage.postgres.direct().await.ok();
                }
                let Some(open) = &mut connection else {
                    continue;
                };
                match postgres::text(open, IN_FLIGHT).await {
                    Ok(counts) => note(&most, &counts),
                    Err(_) => connection = None,
                }
            }
        });
        watch.task.close();
        watch
    }

    pub(crate) async fn finish(self) -> BTreeMap<String, usize> {
        self.stop.cancel();
        self.task.wait().await;
        lock(&self.most).clone()
    }
}

const IN_FLIGHT: &str = "select string_agg(trunk || '=' || n, ' ') from (
    select trunk, count(*) n from pgdial.calls where state in ('dialing', 'unresolved', 'in_call') group by 1) t";

fn note(most: &std::sync::Mutex<BTreeMap<String, usize>>, counts: &str) {
    for (trunk, count) in counts.split(' ').filter_map(|one| one.split_once('=')) {
        let mut most = lock(most);
        let most = most.entry(trunk.to_owned()).or_default();
        *most = (*most).max(count.parse().unwrap());
    }
}
