//! The witness: every ring, recorded by the party that rings.
//!
//! One JSON line when a ring starts and one when it ends, each handed to the kernel before anything else
//! happens, so that a killed process still leaves its evidence. A ring lasts from the moment a telephone
//! begins to ring until the call is over, and its end is written **before** the last webhook is sent:
//! whatever pgdial starts because of that webhook comes after it in the file.
//!
//! `scripts/judge-ledger` reads the same file without any of this code; [`judge`] is for the demo and for
//! tests.

use std::{
    collections::{HashMap, HashSet},
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::clock;

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<T> {
    event: Event,
    at: i64,
    /// Process that wrote it: a ring that a killed process left open ended with that process.
    run: Uuid,
    call_id: T,
    number: T,
    reference: T,
}

/// Start or end of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Event {
    RingStarted,
    RingEnded,
}

/// Identifies a ring.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ring<'a> {
    pub(super) call_id: &'a str,
    pub(super) number: &'a str,
    pub(super) reference: &'a str,
}

/// Writer of the file. Lines are written one at a time, so their order is the order of events.
#[derive(Debug)]
pub(super) struct Ledger {
    path: PathBuf,
    run: Uuid,
    file: Mutex<File>,
}

impl Ledger {
    /// Opens the file for appending. What an earlier process wrote stays.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)?;
        // A process killed in the middle of a line must not spoil our first one.
        if file.seek(SeekFrom::End(0))? > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
            }
        }
        Ok(Self {
            path: path.to_owned(),
            run: Uuid::new_v4(),
            file: Mutex::new(file),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes one line and hands it to the kernel.
    pub(super) async fn write(&self, event: Event, ring: Ring<'_>) -> io::Result<()> {
        // The time is read under the lock, so that times never go down within the file. The write blocks,
        // briefly: a dropped future must not interrupt it.
        let mut file = self.file.lock().await;
        let line = Line {
            event,
            at: clock::unix_ms(),
            run: self.run,
            call_id: ring.call_id,
            number: ring.number,
            reference: ring.reference,
        };
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        file.write_all(&bytes)
    }
}

/// One ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Interval {
    /// Number that rang, E.164.
    pub number: String,
    /// Reference of the dial.
    pub reference: String,
    /// The fake provider's id of the call.
    pub call_id: String,
    /// Start of the ringing, Unix milliseconds.
    pub from: i64,
    /// End of the call, Unix milliseconds; `None` if its process was killed, or the call is still up.
    pub to: Option<i64>,
    /// `to`, or just after the last line of its process if that is `None`: the ring counts as on until then.
    pub until: i64,
}

/// Reads every ring in a ledger file.
pub fn read(path: &Path) -> io::Result<Vec<Interval>> {
    Ok(intervals(&std::fs::read_to_string(path)?))
}

/// Rings in the text of a ledger, in the order of their starts. A torn line, the last of a killed process, is
/// skipped.
pub fn intervals(text: &str) -> Vec<Interval> {
    let mut rings: Vec<Interval> = Vec::new();
    let mut runs: Vec<Uuid> = Vec::new();
    let mut open: HashMap<(Uuid, String), usize> = HashMap::new();
    let mut last_seen: HashMap<Uuid, i64> = HashMap::new();
    for line in text
        .lines()
        .filter_map(|line| serde_json::from_str::<Line<String>>(line).ok())
    {
        last_seen.insert(line.run, line.at);
        match line.event {
            Event::RingStarted => {
                open.insert((line.run, line.call_id.clone()), rings.len());
                runs.push(line.run);
                rings.push(Interval {
                    number: line.number,
                    reference: line.reference,
                    call_id: line.call_id,
                    from: line.at,
                    to: None,
                    until: line.at,
                });
            }
            Event::RingEnded => {
                let started = open.remove(&(line.run, line.call_id));
                if let Some(ring) = started.and_then(|at| rings.get_mut(at)) {
                    ring.to = Some(line.at);
                }
            }
        }
    }
    for (ring, run) in rings.iter_mut().zip(runs) {
        let alive = last_seen.get(&run).copied().unwrap_or(ring.from);
        ring.until = ring.to.unwrap_or(alive.saturating_add(1));
    }
    rings
}

/// What the ledger shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Number of rings.
    pub rings: usize,
    /// Number of distinct telephone numbers.
    pub numbers: usize,
    /// References that rang more than once (P1 says none).
    pub references_rung_twice: usize,
    /// Rings that began while the same number was already ringing or talking (P1 says none).
    pub overlaps: usize,
    /// Maximum of concurrent calls (P3 says at most the cap).
    pub peak: usize,
    /// Rings without an end.
    pub unfinished: usize,
}

impl Verdict {
    /// True if no reference and no number was rung twice, and never more than `cap` calls were up at once.
    pub const fn holds(&self, cap: usize) -> bool {
        self.references_rung_twice == 0 && self.overlaps == 0 && self.peak <= cap
    }
}

/// Counts violations. An end and a start in the same millisecond do not overlap.
pub fn judge(rings: &[Interval]) -> Verdict {
    let mut by_reference: HashMap<&str, usize> = HashMap::new();
    for ring in rings {
        *by_reference.entry(&ring.reference).or_default() += 1;
    }
    let numbers: HashSet<&str> = rings.iter().map(|ring| ring.number.as_str()).collect();
    Verdict {
        rings: rings.len(),
        numbers: numbers.len(),
        references_rung_twice: by_reference.values().filter(|count| **count > 1).count(),
        overlaps: overlaps(rings),
        peak: peak(rings),
        unfinished: rings.iter().filter(|ring| ring.to.is_none()).count(),
    }
}

fn overlaps(rings: &[Interval]) -> usize {
    let mut sorted: Vec<_> = rings.iter().collect();
    sorted.sort_by_key(|ring| (&ring.number, ring.from));
    let mut count = 0;
    let mut taken: Option<(&str, i64)> = None;
    for ring in sorted {
        let until = match taken {
            Some((number, until)) if number == ring.number => {
                count += usize::from(ring.from < until);
                until.max(ring.until)
            }
            _ => ring.until,
        };
        taken = Some((&ring.number, until));
    }
    count
}

fn peak(rings: &[Interval]) -> usize {
    // In one millisecond ends sort before starts, but a ring that is over within it must begin first.
    let ends = rings
        .iter()
        .map(|ring| (ring.until, if ring.until > ring.from { 0 } else { 2 }));
    let starts = rings.iter().map(|ring| (ring.from, 1));
    let mut steps: Vec<(i64, u8)> = ends.chain(starts).collect();
    steps.sort_unstable();
    let (mut on, mut most) = (0_usize, 0);
    for (_at, step) in steps {
        on = if step == 1 {
            on + 1
        } else {
            on.saturating_sub(1)
        };
        most = most.max(on);
    }
    most
}

#[cfg(test)]
mod tests;
