//! CPU time and memory of processes, from `/proc`: wall time says how long it took on a shared machine, CPU time says
//! what it cost.
//!
//! Postgres means the whole server (backends, WAL writer, checkpointer, autovacuum): what its living children have
//! used, and what ended ones left with the postmaster. It is visible only if the server runs on this machine;
//! otherwise that figure is missing.

use std::{collections::BTreeMap, fs, time::Duration};

use pgdial::provider::Stopwatch;

/// Cost of a window of time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Used {
    /// Length of the window.
    pub elapsed: Duration,
    /// CPU seconds, user and system, by process.
    pub cpu: BTreeMap<&'static str, f64>,
    /// Peak memory in bytes, by process.
    pub peak_rss: BTreeMap<&'static str, f64>,
}

impl Used {
    /// How many of them in a second.
    #[expect(clippy::cast_precision_loss, reason = "nobody counts to 2^52 here")]
    pub fn per_second(&self, calls: usize) -> f64 {
        calls as f64 / self.elapsed.as_secs_f64()
    }
}

/// A running measurement.
#[derive(Debug)]
pub struct Meter {
    clock: Stopwatch,
    watched: Vec<Watched>,
}

#[derive(Debug, Clone, Copy)]
struct Watched {
    who: &'static str,
    pid: u32,
    /// Includes all its children, living and ended.
    family: bool,
    /// CPU seconds at the start, and at the last look.
    cpu: (f64, f64),
    peak: Option<f64>,
}

impl Watched {
    const fn new(who: &'static str, pid: u32, family: bool) -> Self {
        let (cpu, peak) = ((0.0, 0.0), None);
        Self {
            who,
            pid,
            family,
            cpu,
            peak,
        }
    }

    /// Keeps the last values of a process that has ended.
    fn look(&mut self) {
        self.cpu.1 = self.cpu.1.max(cpu_of(self.pid, self.family));
        if !self.family {
            self.peak = [self.peak, peak_rss(self.pid)]
                .into_iter()
                .flatten()
                .reduce(f64::max);
        }
    }
}

impl Meter {
    /// Starts now, with this process and, if visible, Postgres.
    pub(super) fn start(postmaster: Option<u32>) -> Self {
        Self::start_as("pgdial", postmaster)
    }

    /// As [`Self::start`], with this process under another name.
    pub(super) fn start_as(who: &'static str, postmaster: Option<u32>) -> Self {
        let own = Watched::new(who, std::process::id(), false);
        let postgres = postmaster.map(|pid| Watched::new("postgres", pid, true));
        // Resets the peak, which may be an earlier scenario's. If that is refused, it stays.
        fs::write("/proc/self/clear_refs", "5").ok();
        let mut meter = Self {
            clock: Stopwatch::start(),
            watched: [Some(own), postgres].into_iter().flatten().collect(),
        };
        meter.restart();
        meter
    }

    /// Also watches an existing process, and restarts the measurement.
    #[must_use]
    pub fn with(mut self, who: &'static str, pid: u32) -> Self {
        self.watched.push(Watched::new(who, pid, false));
        self.restart();
        self
    }

    /// Also watches a process that was just started, all of which counts.
    #[must_use]
    pub fn also(mut self, who: &'static str, pid: u32) -> Self {
        self.watched.push(Watched::new(who, pid, false));
        self
    }

    /// Discards what was measured so far.
    pub fn restart(&mut self) {
        for watched in &mut self.watched {
            watched.cpu = (cpu_of(watched.pid, watched.family), 0.0);
        }
        self.clock = Stopwatch::start();
    }

    /// Samples all processes, for those that may end before the meter is stopped.
    pub fn look(&mut self) {
        self.watched.iter_mut().for_each(Watched::look);
    }

    /// What was used since the start.
    pub fn stop(mut self) -> Used {
        let mut used = Used {
            elapsed: self.clock.elapsed(),
            ..Used::default()
        };
        self.look();
        for watched in self.watched {
            let spent = (watched.cpu.1 - watched.cpu.0).max(0.0);
            *used.cpu.entry(watched.who).or_default() += spent;
            if let Some(peak) = watched.peak {
                let most = used.peak_rss.entry(watched.who).or_default();
                *most = most.max(peak);
            }
        }
        used
    }
}

/// CPU seconds of a process, or of it and all its children.
fn cpu_of(pid: u32, family: bool) -> f64 {
    let own = stat(pid);
    let ticks = if family {
        let ended = own.map_or(0, |own| own.of_ended_children);
        let alive = children(pid).into_iter().filter_map(stat);
        own.map_or(0, |own| own.own) + ended + alive.map(|child| child.own).sum::<u64>()
    } else {
        own.map_or(0, |own| own.own)
    };
    #[expect(clippy::cast_precision_loss, reason = "2^52 ticks are a million years")]
    let (ticks, in_second) = (ticks as f64, rustix::param::clock_ticks_per_second() as f64);
    ticks / in_second
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// Clock ticks, user and system.
    own: u64,
    of_ended_children: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The program's name is in parentheses, and may itself contain spaces and parentheses.
fn parse_stat(line: &str) -> Option<Stat> {
    let (_, rest) = line.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        own: ticks(11)? + ticks(12)?,
        of_ended_children: ticks(13)? + ticks(14)?,
    })
}

fn children(of: u32) -> Vec<u32> {
    let Ok(all) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| stat(*pid).is_some_and(|stat| stat.parent == of))
        .collect()
}

/// The postmaster of this backend, if it runs on this machine. The process title is compared, because on another
/// machine the pid belongs to something else.
pub(super) fn postmaster_of(backend: u32, database: &str) -> Option<u32> {
    let title = fs::read(format!("/proc/{backend}/cmdline")).ok()?;
    let title = String::from_utf8_lossy(&title).into_owned();
    (title.contains("postgres") && title.contains(database))
        .then(|| stat(backend).map(|stat| stat.parent))
        .flatten()
}

/// Peak memory in bytes.
fn peak_rss(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    kilobytes(&status, "VmHWM:").map(|kb| kb * 1024.0)
}

/// Memory in bytes of a process and its living children: each page divided by the number of processes that map it.
pub(super) fn proportional(pid: u32) -> Option<f64> {
    let each = |pid: u32| {
        // One that has just ended has none.
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        kilobytes(&text, "Pss:").map(|kb| kb * 1024.0)
    };
    Some(each(pid)? + children(pid).into_iter().filter_map(each).sum::<f64>())
}

/// The value of a line `name  123 kB`.
pub(super) fn kilobytes(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_past_any_name() {
        let line = "7 (a ) b) S 3 7 7 0 -1 4194304 1 0 0 0 11 22 33 44 20 0 1 0 5";
        assert_eq!(
            parse_stat(line),
            Some(Stat {
                parent: 3,
                own: 33,
                of_ended_children: 77
            })
        );
        assert_eq!(parse_stat("nothing"), None);
    }

    #[test]
    fn this_process_has_memory_and_a_parent() {
        assert!(peak_rss(std::process::id()).unwrap() > 1e5);
        assert!(stat(std::process::id()).unwrap().parent > 0);
        assert!(proportional(std::process::id()).unwrap() > 1e5);
    }
}
