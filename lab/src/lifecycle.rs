//! Lifecycle: waiting to completed over real HTTP and signed webhooks, with every part in a process of its own. As in
//! production, except that the provider's calls take no time.

use std::time::Duration;

use pgdial::provider::Stopwatch;
use pgdial_fake_provider::ledger;

use super::{
    Bed, Better, Error, Measure, Options,
    bed::{PATIENCE, secret},
    measure,
    process::{Folder, Process, free_address},
};

/// Slots, and permits of the worker.
const SLOTS: usize = 200;
/// Calls at scale 1.
const CALLS: usize = 20_000;
/// Unmeasured calls before them.
const WARM_UP: usize = 2_000;
/// Poll interval for the end; its time is then read from the rows.
const LOOK: Duration = Duration::from_millis(100);

pub(super) async fn run(bed: &Bed, options: &Options) -> Result<Vec<Measure>, Error> {
    let calls = options.scaled(CALLS).max(SLOTS);
    let warm_up = options.scaled(WARM_UP).max(SLOTS);
    let folder = Folder::new()?;
    let (at_provider, at_pgdial) = (free_address()?, free_address()?);
    let (provider_address, address) = (at_provider.to_string(), at_pgdial.to_string());
    let ledger = folder.file("ledger.jsonl");
    let secrets = secret();
    let mut provider = Process::start(
        bed,
        &folder,
        &[
            "fake-provider",
            "--listen",
            &provider_address,
            "--ledger",
            &ledger.to_string_lossy(),
            "--ring",
            "0s",
            "--talk",
            "0s",
        ],
        &[("PGDIAL_WEBHOOK_SECRETS", &secrets)],
    )?;
    provider.until_listening(at_provider).await?;
    bed.set_slots(0).await?;
    bed.guard("10").await?;
    let mut pgdial = Process::start(
        bed,
        &folder,
        &["serve"],
        &[
            ("PGDIAL_LISTEN", &address),
            ("PGDIAL_PUBLIC_URL", &format!("http://{address}")),
            ("PGDIAL_PROVIDER_URL", &format!("http://{provider_address}")),
            ("PGDIAL_WEBHOOK_SECRETS", &secrets),
            ("PGDIAL_API_KEYS", &format!("lab:{}", secret())),
            ("PGDIAL_PERMITS", &SLOTS.to_string()),
            ("PGDIAL_KEEP_FINISHED", "forever"),
        ],
    )?;
    pgdial.until_listening(at_pgdial).await?;

    bed.seed_waiting(warm_up).await?;
    bed.set_slots(SLOTS).await?;
    until_over(bed, warm_up).await?;
    bed.set_slots(0).await?;
    bed.seed_more_waiting(warm_up, calls).await?;

    let meter = bed
        .meter_as("lab")
        .with("pgdial", pgdial.pid)
        .with("provider", provider.pid);
    // By the database's clock: polling often enough to see the end would cost too much.
    let (begun,): (f64,) = sqlx::query_as("select extract(epoch from pgdial.now())::float8")
        .fetch_one(&bed.pool)
        .await?;
    bed.set_slots(SLOTS).await?;
    until_over(bed, warm_up + calls).await?;
    let mut used = meter.stop();
    let (ended,): (f64,) =
        sqlx::query_as("select extract(epoch from max(ended_at))::float8 from pgdial.calls")
            .fetch_one(&bed.pool)
            .await?;
    used.elapsed = Duration::from_secs_f64((ended - begun).max(0.001));
    used.cpu.remove("lab");
    used.peak_rss.remove("lab");

    let webhooks = bed
        .number("select count(*) from pgdial.webhook_events")
        .await?;
    pgdial.stop().await?;
    provider.stop().await?;
    check(bed, &ledger, warm_up + calls).await?;
    let latency = bed
        .number(
            "select percentile_cont(0.5) within group (order by extract(epoch from ended_at - claimed_at)) * 1000000 \
             from pgdial.calls",
        )
        .await?;
    #[expect(clippy::cast_precision_loss, reason = "a figure")]
    let (latency, webhooks) = (
        latency as f64 / 1000.0,
        webhooks as f64 / measure::count(warm_up + calls),
    );
    Ok(vec![
        Measure::rate("lifecycle", calls, &used)
            .note(format!(
                "{SLOTS} slots; `pgdial serve` (API and worker) and `pgdial fake-provider`, one process each"
            ))
            .note(format!("{webhooks:.1} signed webhooks a call, each a request of its own")),
        Measure::new("lifecycle-claim-to-end", "ms", Better::Lower, latency)
            .note("median of a call from its claim to its end, with all slots in use"),
    ])
}

async fn until_over(bed: &Bed, calls: usize) -> Result<(), Error> {
    let clock = Stopwatch::start();
    let expected = i64::try_from(calls).unwrap_or(i64::MAX);
    while bed
        .number("select count(*) from pgdial.calls where ended_at is not null")
        .await?
        < expected
    {
        if clock.elapsed() > PATIENCE {
            return Err(Error::Slow("the lifecycle"));
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

async fn check(bed: &Bed, path: &std::path::Path, calls: usize) -> Result<(), Error> {
    bed.check_lives_among(calls, "completed", &["waiting", "active", "completed"])
        .await?;
    let rings = ledger::read(path).map_err(Error::io("cannot read the provider's ledger"))?;
    let verdict = ledger::judge(&rings);
    if verdict.rings != calls || !verdict.holds(SLOTS) {
        return Err(Error::Wrong(format!(
            "the provider's ledger shows for {calls} calls: {verdict:?}"
        )));
    }
    Ok(())
}
