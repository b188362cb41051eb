//! Idle: what processes cost while no call is waiting, in flight or parked. `serve`, `api` and `work` run side by
//! side as separate processes, each behind a door of its own that counts its statements.

use std::{fs, time::Duration};

use pgdial::provider::Stopwatch;

use super::{
    Bed, Error, Measure, Options,
    bed::secret,
    door::Door,
    measure::Better,
    process::{Folder, Process, free_address},
    usage::kilobytes,
};

const WINDOW: Duration = Duration::from_mins(1);
/// Before measuring, so that start-up does not count.
const SETTLE: Duration = Duration::from_secs(10);

pub(super) async fn idle(bed: &Bed, options: &Options) -> Result<Vec<Measure>, Error> {
    let folder = Folder::new()?;
    let mut running = Vec::new();
    for role in ["serve", "api", "work"] {
        let door = Door::open(&bed.url).await?;
        let address = free_address()?;
        let variables = [
            ("DATABASE_URL", door.url.clone()),
            ("PGDIAL_LISTEN", address.to_string()),
            ("PGDIAL_PUBLIC_URL", format!("http://{address}")),
            ("PGDIAL_PROVIDER_URL", "http://127.0.0.1:9".to_owned()),
            ("PGDIAL_WEBHOOK_SECRETS", secret()),
            ("PGDIAL_API_KEYS", format!("lab:{}", secret())),
        ];
        let variables = variables
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let mut process = Process::start(bed, &folder, &[role], &variables)?;
        if role != "work" {
            process.until_listening(address).await?;
        }
        running.push((role, process, door));
    }
    until_working(bed).await?;
    let factor = options.scale.clamp(0.01, 1.0);
    tokio::time::sleep(SETTLE.mul_f64(factor)).await;
    let mut meter = bed.meter();
    for (role, process, _) in &running {
        meter = meter.with(role, process.pid);
    }
    let before: Vec<u64> = running
        .iter()
        .map(|(_, _, door)| door.statements())
        .collect();
    tokio::time::sleep(WINDOW.mul_f64(factor)).await;
    let used = meter.stop();

    let seconds = used.elapsed.as_secs_f64();
    let mut measures = Vec::new();
    for ((role, process, door), before) in running.iter_mut().zip(before) {
        if let Some(status) = process.ended()? {
            return Err(process.failed(status));
        }
        // Every process reads the schema's version at its start, so a door that counted nothing is broken.
        if door.connections() == 0 || before == 0 {
            return Err(Error::Wrong(format!(
                "pgdial {role} is not connected through its door"
            )));
        }
        let mut add = |what: &str, unit, value| {
            measures.push(Measure::new(
                format!("idle {role} {what}"),
                unit,
                Better::Lower,
                value,
            ));
        };
        add(
            "statements",
            "/s",
            number(door.statements() - before) / seconds,
        );
        let cpu = used.cpu.get(role).copied().unwrap_or_default();
        add("CPU", "%", cpu / seconds * 100.0);
        if let Some(bytes) = resident(process.pid) {
            add("resident", "MB", bytes / 1e6);
        }
        add("connections", "", number(door.connections()));
    }
    if let Some(postgres) = used.cpu.get("postgres") {
        let note = "what all three together, and its own chores, cost the server";
        measures.push(
            Measure::new(
                "idle postgres CPU",
                "%",
                Better::Lower,
                postgres / seconds * 100.0,
            )
            .note(note),
        );
    }
    check(bed).await?;
    for (_, process, _) in running {
        process.stop().await?;
    }
    Ok(measures)
}

/// Waits until both workers have registered.
async fn until_working(bed: &Bed) -> Result<(), Error> {
    let clock = Stopwatch::start();
    while bed.number("select count(*) from pgdial.workers").await? < 2 {
        if clock.elapsed() > Duration::from_secs(30) {
            return Err(Error::Slow("the start of a worker"));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Checks that there were no calls, and that two of the three processes are workers.
async fn check(bed: &Bed) -> Result<(), Error> {
    let calls = bed.number("select count(*) from pgdial.calls").await?;
    let workers = bed.number("select count(*) from pgdial.workers").await?;
    if (calls, workers) == (0, 2) {
        Ok(())
    } else {
        Err(Error::Wrong(format!(
            "{workers} workers instead of 2, and {calls} calls where none should be"
        )))
    }
}

/// Resident memory in bytes; `None` if the process is gone.
fn resident(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    kilobytes(&status, "VmRSS:").map(|kb| kb * 1024.0)
}

#[expect(clippy::cast_precision_loss, reason = "nobody counts to 2^52 here")]
pub(super) fn number(count: u64) -> f64 {
    count as f64
}
