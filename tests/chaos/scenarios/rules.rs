//! Calls over twelve countries, while the database's clock is taken to closing times, clock changes and holidays, and
//! workers die there. Who may be rung when, `scripts/judge-rules` reads from tables that were written by hand.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use chrono::{DateTime, Utc};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::{Played, ensure, judge};
use crate::{
    setup::{CAMPAIGN, Setup, words},
    stage::{Stage, until},
};

const CALLS: usize = 20_000;
/// Numbers of each place, at most: a number is rung again and again.
const NUMBERS: usize = 500;
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/chaos/rules");

/// Campaigns and their calling hours; those without a date are made here.
const CAMPAIGNS: [(&str, &str); 4] = [
    ("world", "world@2026-11"),
    ("strict", "us-strict@2026-11"),
    ("night", "night"),
    ("feast", "feast"),
];
const HOURS: &str = "insert into pgdial.calling_hours (name, week, calendar) values
    ('night', pgdial.read_hours('mon-sun 00:00-01:30 03:00-05:00'), null),
    ('feast', pgdial.read_hours('mon-sun 00:00-24:00'), 'us@2026-11')";

/// Of the campaign that has few numbers.
const LIMIT: &str = r#"select pgdial.set_contact_limit('thrice', '{"counts": "attempts", "atMost": 3, "period": "24 hours"}');
    update pgdial.campaigns set contact_limits = '{thrice}' where name = 'feast'"#;

/// What becomes of hours at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edge {
    /// Nothing may ring from then on; no dial is begun in the minute before.
    Close,
    Open,
}

/// Where the clock is taken. In the last year of the calendars, and so ahead of the provider's clock: it refuses a dial
/// that is late by its own.
const STOPS: [(&str, Edge, &str); 12] = [
    ("France has lunch", Edge::Close, "2031-02-04T12:00:00Z"),
    ("and works again", Edge::Open, "2031-02-04T13:00:00Z"),
    (
        "the strictest of all states",
        Edge::Close,
        "2031-02-04T23:00:00Z",
    ),
    ("an evening in Florida", Edge::Close, "2031-02-05T01:00:00Z"),
    ("the last of Australia", Edge::Open, "2031-02-05T02:30:00Z"),
    (
        "the first of Australia",
        Edge::Close,
        "2031-02-05T09:00:00Z",
    ),
    (
        "a morning after clocks went forward",
        Edge::Open,
        "2031-03-10T12:00:00Z",
    ),
    (
        "London's clock skips the hours that were open, Berlin's those that were closed",
        Edge::Close,
        "2031-03-30T01:00:00Z",
    ),
    (
        "midnight before a holiday",
        Edge::Close,
        "2031-07-04T04:00:00Z",
    ),
    (
        "London has the same hour again",
        Edge::Open,
        "2031-10-26T01:00:00Z",
    ),
    (
        "a short evening in the Netherlands",
        Edge::Close,
        "2031-12-24T17:30:00Z",
    ),
    (
        "a holiday nearly everywhere",
        Edge::Close,
        "2031-12-25T15:30:00Z",
    ),
];
const TICK: Duration = Duration::from_millis(500);

impl Edge {
    /// How long before it the clock is set, and how long it then runs.
    const fn stay(self) -> (Duration, Duration) {
        match self {
            Self::Close => (Duration::from_secs(75), Duration::from_secs(85)),
            Self::Open => (Duration::from_secs(10), Duration::from_secs(30)),
        }
    }
}

/// A line of `places.tsv`: what the suite needs of it.
struct Place {
    campaign: String,
    numbers: String,
    given: String,
    hours: String,
}

impl Place {
    fn all() -> Vec<Self> {
        let file = std::fs::read_to_string(Path::new(FOLDER).join("places.tsv")).unwrap();
        let lines = file.lines().filter(|line| !line.starts_with('#')).skip(1);
        lines
            .map(|line| {
                let cells: Vec<&str> = line.split('\t').collect();
                let [campaign, _, numbers, _, given, hours, _] = cells[..] else {
                    panic!("not seven cells: {line}");
                };
                Self {
                    campaign: campaign.to_owned(),
                    numbers: numbers.to_owned(),
                    given: given.to_owned(),
                    hours: hours.to_owned(),
                }
            })
            .collect()
    }

    fn number(&self, at: usize) -> String {
        let digits = self.numbers.trim_end_matches('x');
        let width = self.numbers.len() - digits.len();
        let numbers = NUMBERS.min(10_usize.pow(width.try_into().unwrap()));
        format!("{digits}{:0width$}", at % numbers)
    }

    fn call(&self, at: usize) -> Value {
        let mut call =
            json!({"to": self.number(at), "scriptId": "chaos", "campaign": self.campaign});
        if self.given != "-" {
            call["timezone"] = json!(self.given);
        }
        call
    }
}

/// The run, and the plain files that the judge reads.
struct Run {
    stage: Stage,
    places: Vec<Place>,
    clock: PathBuf,
    opted_out: PathBuf,
    asked: usize,
}

pub(super) async fn play() -> Played {
    let setup = Setup {
        workers: 3,
        provider: words(&[
            "--ring",
            "50ms..150ms",
            "--talk",
            "50ms..200ms",
            // The other scheme signs a time, and that of the database is years ahead.
            "--scheme",
            "x-signature",
        ]),
        ..Setup::small("rules")
    };
    // A platform may take its time: what is claimed in the last moment would ring too late.
    let setup = setup.rules(&["25%=queued:20s"]);
    let stage = Stage::full(&setup).await;
    stage.sql(HOURS).await;
    for (campaign, hours) in CAMPAIGNS {
        let sql = format!(
            "select pgdial.create_campaign('{campaign}');
             select pgdial.set_campaign('{campaign}', '{CAMPAIGN}');
             update pgdial.campaigns set calling_hours = '{hours}' where name = '{campaign}'"
        );
        stage.sql(&sql).await;
    }
    stage.sql(LIMIT).await;
    let mut run = Run {
        clock: stage.path().join("clock.tsv"),
        opted_out: stage.path().join("opted-out.tsv"),
        places: Place::all(),
        stage,
        asked: 0,
    };
    std::fs::write(&run.clock, "from\tuntil\tahead\n").unwrap();
    std::fs::write(&run.opted_out, "number\tsince\n").unwrap();
    run.stage.sql(PAUSE).await;
    let mut judged = Judged::default();
    for (at, (what, edge, when)) in STOPS.into_iter().enumerate() {
        run.stop(edge, when.parse().unwrap(), (at + 1) * CALLS / STOPS.len())
            .await;
        run.opt_out(at).await;
        judged = run
            .judge()
            .map_err(|broken| format!("P9: {what}: {broken}"))?;
    }
    let rings = judge(&run.stage).await?;
    let open = run.places.iter().filter(|place| place.hours != "closed");
    let open = open.count();
    ensure(
        judged.places == open && judged.before > 100 && judged.after > 100 && judged.limited > 10,
        || format!("the run proves too little, where hours of {open} places were open: {judged:?}"),
    )?;
    Ok(format!(
        "{} calls, {} rings; {} in the minute before a closing, {} just after an opening; {} numbers at a limit",
        run.asked, rings.count, judged.before, judged.after, judged.limited
    ))
}

const PAUSE: &str = "update pgdial.trunks set paused = true";

impl Run {
    /// Takes the clock there, and lets it run past the edge, while calls come in, until `calls` have.
    async fn stop(&mut self, edge: Edge, when: DateTime<Utc>, calls: usize) {
        let (before, stay) = edge.stay();
        self.move_clock(when - before).await;
        let began = Instant::now();
        let ticks = (stay.as_millis() / TICK.as_millis()) as usize;
        let first = self.asked;
        for tick in 1..=ticks {
            self.enqueue(first + (calls - first) * tick / ticks).await;
            self.hurt(edge, tick).await;
            sleep_until(began + TICK * u32::try_from(tick).unwrap()).await;
        }
        self.quiet().await;
    }

    /// Nobody dials any more, and nothing rings.
    async fn quiet(&self) {
        self.stage.sql(PAUSE).await;
        // A claimed dial is sent within 30 s, or never.
        let begun = "select count(*) from pgdial.calls where claimed_at > pgdial.now() - '30 seconds'::interval
                     and state in ('dialing', 'unresolved')";
        until("no dial can begin", Duration::from_mins(1), async || {
            self.stage.text(begun).await == "0"
        })
        .await;
        self.stage.until_silent().await;
    }

    async fn move_clock(&self, to: DateTime<Utc>) {
        let from = real_ms();
        let ahead = to.timestamp_millis() - from;
        self.stage
            .sql(&format!(
                "update pgdial.clock set ahead = '{ahead} milliseconds'"
            ))
            .await;
        append(&self.clock, &format!("{from}\t{}\t{ahead}\n", real_ms()));
        // What comes with time, and would take a minute: the workers' signs of life, the weeks' partitions.
        self.stage
            .sql(
                "select pgdial.ensure_partitions(pgdial.now(), 1);
                 update pgdial.workers set seen_at = pgdial.now();
                 select pgdial.resume('trunk', t.name) from pgdial.trunks t where t.paused",
            )
            .await;
    }

    /// Enqueues until so many calls were asked for, of all places in turn.
    async fn enqueue(&mut self, until: usize) {
        let places = self.places.len();
        let calls: Vec<Value> = (self.asked..until)
            .map(|at| self.places[at % places].call(at / places))
            .collect();
        self.asked = until;
        if !calls.is_empty() {
            let calls = json!(calls);
            let sql = format!("select pgdial.enqueue_many(array['rules'], '{calls}')");
            self.stage.sql(&sql).await;
        }
    }

    /// A worker dies, and another sleeps between claim and dial while its hours end.
    async fn hurt(&self, edge: Edge, tick: usize) {
        let workers = &self.stage.workers;
        match (edge, tick) {
            (Edge::Close, 8) | (Edge::Open, 24) => {
                workers[0].signal(Signal::KILL);
            }
            (Edge::Close, 24) => {
                // It sleeps there, or has no claim to sleep after.
                workers[1].order("claimed", "stop", TICK * 8).await;
            }
            (Edge::Close, 160) => {
                workers[1].signal(Signal::CONT);
            }
            _ => {}
        }
    }

    /// Two more of every place want no more calls.
    async fn opt_out(&self, stop: usize) {
        for place in &self.places {
            for number in [place.number(stop * 7), place.number(stop * 7 + 3)] {
                let sql = format!("select pgdial.do_not_call_add('{number}', 'told us')");
                self.stage.sql(&sql).await;
                append(&self.opted_out, &format!("{number}\t{}\n", real_ms()));
            }
        }
    }

    fn judge(&self) -> Result<Judged, String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/judge-rules");
        let output = Command::new(script)
            .args(self.stage.trunks.iter().map(|trunk| &trunk.ledger))
            .args(["--rules", FOLDER, "--clock"])
            .arg(&self.clock)
            .arg("--opted-out")
            .arg(&self.opted_out)
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&output.stdout);
        if output.status.success() {
            return Ok(Judged::read(&words));
        }
        let mut broken = String::from_utf8_lossy(&output.stderr).into_owned();
        for line in words.lines().filter(|line| line.starts_with('!')).take(4) {
            write!(broken, "{line} ").unwrap();
        }
        Err(broken)
    }
}

/// What the script counted.
#[derive(Debug, Default)]
struct Judged {
    before: usize,
    after: usize,
    /// Numbers that were rung as often as they may be.
    limited: usize,
    /// Places where somebody was rung.
    places: usize,
}

impl Judged {
    fn read(words: &str) -> Self {
        let number = |name: &str| {
            let line = words.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap().trim().parse().unwrap()
        };
        Self {
            before: number("before a closing "),
            after: number("after an opening "),
            limited: number("numbers at a limit "),
            places: words.lines().filter(|line| line.starts_with("  ")).count(),
        }
    }
}

fn append(path: &Path, line: &str) {
    use std::io::Write as _;
    let mut file = std::fs::File::options().append(true).open(path).unwrap();
    file.write_all(line.as_bytes()).unwrap();
}

/// As the provider's ledger has it: it runs on this host.
#[expect(
    clippy::disallowed_methods,
    reason = "the judge may not rest on the database's clock"
)]
fn real_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}
