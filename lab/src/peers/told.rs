//! What a peer's program prints: a line of JSON.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{DRAIN, ENQUEUE, FROM_ANSWER, FROM_REQUEST, What, named};
use crate::{
    Error, Measure,
    measure::{count, percentile},
};

/// The result of one run of a peer.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Told {
    /// Its version, and that of what it runs on.
    with: String,
    /// As its own session sees them.
    settings: BTreeMap<String, String>,
    /// Jobs that are stored, or that were handled: each counts once.
    done: usize,
    /// Of an enqueue or a drain.
    seconds: Option<f64>,
    /// Of a pickup, in ms.
    #[serde(default)]
    from_request: Vec<f64>,
    #[serde(default)]
    from_answer: Vec<f64>,
}

impl Told {
    /// `None` for anything else.
    pub(super) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Whether every job was done, with settings as durable as they should be.
    pub(super) fn check(
        &self,
        peer: &str,
        settings: &[(&str, &str)],
        jobs: usize,
    ) -> Result<(), Error> {
        for (name, value) in settings {
            let found = self.settings.get(*name).map_or("unknown", String::as_str);
            if found != *value {
                return Err(Error::Refused(format!(
                    "{peer} would be measured with {name} {found}: set it to {value}"
                )));
            }
        }
        if self.done != jobs {
            return Err(Error::Wrong(format!(
                "{peer} did {} of {jobs} jobs",
                self.done
            )));
        }
        Ok(())
    }

    /// Its figures; none for what was not measured.
    pub(super) fn measures(self, peer: &str, what: What, jobs: usize) -> Vec<Measure> {
        let rate = |seconds: f64| count(jobs) / seconds;
        let rate: Vec<f64> = self.seconds.map(rate).into_iter().collect();
        let p50 = |samples: &[f64]| percentile(samples, 0.5).into_iter().collect();
        match what {
            What::Enqueue => vec![named(peer, ENQUEUE, rate).note(self.with)],
            What::Drain => vec![named(peer, DRAIN, rate)],
            What::Pickup => vec![
                named(peer, FROM_REQUEST, p50(&self.from_request)),
                named(peer, FROM_ANSWER, p50(&self.from_answer)),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: [(&str, &str); 1] = [("fsync", "on")];

    fn told(fsync: &str, done: usize) -> Told {
        let line = format!(
            r#"{{"with":"q 1.2.3","settings":{{"fsync":"{fsync}"}},"seconds":0.5,"done":{done}}}"#
        );
        Told::read(&line).unwrap()
    }

    #[test]
    fn a_rate_is_of_the_jobs_that_were_done() {
        let told = told("on", 300);
        told.check("q", &SETTINGS, 300).unwrap();
        let measures = told.measures("q", What::Enqueue, 300);
        let [enqueue] = measures.as_slice() else {
            panic!("{measures:?}")
        };
        assert_eq!(
            (enqueue.name.as_str(), enqueue.samples.as_slice()),
            ("q: enqueue /s", &[600.0][..])
        );
        assert_eq!(enqueue.notes, ["q 1.2.3"]);
    }

    #[test]
    fn a_lost_job_and_a_weaker_setting_yield_no_figure() {
        let lost = told("on", 299).check("q", &SETTINGS, 300).unwrap_err();
        assert!(
            matches!(&lost, Error::Wrong(words) if words == "q did 299 of 300 jobs"),
            "{lost}"
        );
        for weak in [
            told("off", 300),
            Told {
                settings: BTreeMap::new(),
                ..told("on", 300)
            },
        ] {
            let weak = weak.check("q", &SETTINGS, 300).unwrap_err();
            assert!(
                matches!(&weak, Error::Refused(words) if words.contains("fsync")),
                "{weak}"
            );
        }
    }

    #[test]
    fn anything_but_one_result_is_none() {
        for line in ["", "Error: no such host", r#"{"with":"q"}"#] {
            assert_eq!(Told::read(line), None, "{line}");
        }
    }
}
