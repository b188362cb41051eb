//! Results of a scenario: samples rather than single numbers.

use std::{collections::BTreeMap, fmt};

use serde_json::{Value, json};

use super::{bare::Bare, usage::Used};

/// Which direction is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// For rates.
    Higher,
    /// For times and sizes.
    Lower,
}

/// The bare limit measured beside a figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    /// What the bare script does.
    pub what: &'static str,
    /// One value per run, in the unit of the measure.
    pub samples: Vec<f64>,
}

/// One figure over all runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// What was measured; the scenario's name if it has only this figure.
    pub name: String,
    /// For example `calls/s` or `ms`.
    pub unit: &'static str,
    /// Which direction is better.
    pub better: Better,
    /// One value per run.
    pub samples: Vec<f64>,
    /// The bare limit, if there is one.
    pub limit: Option<Limit>,
    /// CPU microseconds per call, by process (`postgres`, `pgdial`, ...), for each run.
    pub cpu: BTreeMap<&'static str, Vec<f64>>,
    /// CPU microseconds per call of the limit.
    pub limit_cpu: BTreeMap<&'static str, Vec<f64>>,
    /// Peak memory in bytes, by process (`pgdial`, ...), for each run.
    pub peak_rss: BTreeMap<&'static str, Vec<f64>>,
    /// Remarks for the reader.
    pub notes: Vec<String>,
}

impl Measure {
    /// A figure of one run.
    pub fn new(name: impl Into<String>, unit: &'static str, better: Better, sample: f64) -> Self {
        Self::of(name, unit, better, vec![sample])
    }

    /// A figure of several runs.
    pub fn of(
        name: impl Into<String>,
        unit: &'static str,
        better: Better,
        samples: Vec<f64>,
    ) -> Self {
        Self {
            name: name.into(),
            unit,
            better,
            samples,
            limit: None,
            cpu: BTreeMap::new(),
            limit_cpu: BTreeMap::new(),
            peak_rss: BTreeMap::new(),
            notes: Vec::new(),
        }
    }

    /// A rate in calls per second, with CPU and memory used.
    pub fn rate(name: impl Into<String>, calls: usize, used: &Used) -> Self {
        Self::new(name, "calls/s", Better::Higher, used.per_second(calls)).with_use(calls, used)
    }

    /// Adds the CPU and memory used.
    #[must_use]
    pub fn with_use(mut self, calls: usize, used: &Used) -> Self {
        add_cpu(&mut self.cpu, calls, used);
        for (who, bytes) in &used.peak_rss {
            self.peak_rss.entry(who).or_default().push(*bytes);
        }
        self
    }

    /// Adds this run's bare limit.
    #[must_use]
    pub fn with_limit(mut self, what: &'static str, sample: f64) -> Self {
        self.limit = Some(Limit {
            what,
            samples: vec![sample],
        });
        self
    }

    /// Adds the rate and cost of the bare script in this run.
    #[must_use]
    pub fn with_bare(self, bare: &Bare) -> Self {
        let Some(best) = bare.best() else { return self };
        let mut measure = self.with_limit(bare.what, best.used.per_second(best.calls));
        add_cpu(&mut measure.limit_cpu, best.calls, &best.used);
        measure.note(format!("limit: {}; faster: {}", bare.what, best.how))
    }

    /// Adds a remark.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// Ratio to the bare limit: 1 is equally good, whichever direction is better.
    pub fn ratio(&self) -> Option<f64> {
        let limit = median(&self.limit.as_ref()?.samples)?;
        let own = median(&self.samples)?;
        let (part, whole) = match self.better {
            Better::Higher => (own, limit),
            Better::Lower => (limit, own),
        };
        (whole > 0.0).then(|| part / whole)
    }

    /// As JSON, with medians.
    pub fn to_json(&self) -> Value {
        let medians = |by: &BTreeMap<&'static str, Vec<f64>>| -> BTreeMap<&'static str, Value> {
            by.iter()
                .map(|(who, samples)| (*who, summary(samples)))
                .collect()
        };
        let mut json = summary(&self.samples);
        let more = json!({
            "name": self.name,
            "unit": self.unit,
            "better": match self.better { Better::Higher => "higher", Better::Lower => "lower" },
            "limit": self.limit.as_ref().map(|limit| {
                let mut json = summary(&limit.samples);
                if let Some(fields) = json.as_object_mut() {
                    fields.insert("what".to_owned(), limit.what.into());
                    fields.insert("cpuMicrosPerCall".to_owned(), json!(medians(&self.limit_cpu)));
                }
                json
            }),
            "ratio": self.ratio(),
            "cpuMicrosPerCall": medians(&self.cpu),
            "peakRssBytes": medians(&self.peak_rss),
            "notes": self.notes,
        });
        if let (Some(json), Value::Object(more)) = (json.as_object_mut(), more) {
            json.extend(more);
        }
        json
    }
}

fn add_cpu(cpu: &mut BTreeMap<&'static str, Vec<f64>>, calls: usize, used: &Used) {
    for (who, seconds) in &used.cpu {
        let each = seconds * 1e6 / count(calls);
        cpu.entry(who).or_default().push(each);
    }
}

/// One line for the person waiting.
impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let median = median(&self.samples).map_or_else(|| "nothing".to_owned(), figure);
        write!(f, "{} {median} {}", self.name, self.unit)?;
        match self.ratio() {
            Some(ratio) => write!(f, ", {ratio:.2} of the limit"),
            None => Ok(()),
        }
    }
}

/// Three significant digits, or all digits before the decimal point.
pub fn figure(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

fn summary(samples: &[f64]) -> Value {
    let (least, most) = spread(samples).unzip();
    json!({ "median": median(samples), "min": least, "max": most, "runs": samples.len(), "samples": samples })
}

/// The median; `None` without samples.
pub fn median(samples: &[f64]) -> Option<f64> {
    let sorted = sorted(samples);
    let half = sorted.len() / 2;
    let upper = sorted.get(half)?;
    if sorted.len().is_multiple_of(2) {
        Some(f64::midpoint(*sorted.get(half.checked_sub(1)?)?, *upper))
    } else {
        Some(*upper)
    }
}

/// Minimum and maximum.
pub fn spread(samples: &[f64]) -> Option<(f64, f64)> {
    let sorted = sorted(samples);
    Some((*sorted.first()?, *sorted.last()?))
}

/// The value below which this fraction (0 to 1) of the samples lies, by nearest rank.
pub fn percentile(samples: &[f64], part: f64) -> Option<f64> {
    let sorted = sorted(samples);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank is small and not negative"
    )]
    let rank = (part * count(sorted.len())).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

fn sorted(samples: &[f64]) -> Vec<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// A count as a float.
#[expect(clippy::cast_precision_loss, reason = "nobody counts to 2^52 here")]
pub fn count(number: usize) -> f64 {
    number as f64
}

/// Adds the samples of one more run to those before.
pub(super) fn merge(all: &mut Vec<Measure>, more: Vec<Measure>) {
    for measure in more {
        let Some(known) = all.iter_mut().find(|known| known.name == measure.name) else {
            all.push(measure);
            continue;
        };
        known.samples.extend(measure.samples);
        match (&mut known.limit, measure.limit) {
            (Some(known), Some(more)) => known.samples.extend(more.samples),
            (known @ None, more) => *known = more,
            (Some(_), None) => {}
        }
        for (known, more) in [
            (&mut known.cpu, measure.cpu),
            (&mut known.limit_cpu, measure.limit_cpu),
            (&mut known.peak_rss, measure.peak_rss),
        ] {
            for (who, samples) in more {
                known.entry(who).or_default().extend(samples);
            }
        }
        for note in measure.notes {
            if !known.notes.contains(&note) {
                known.notes.push(note);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(sample: f64, limit: f64) -> Measure {
        Measure::new("drain", "calls/s", Better::Higher, sample).with_limit("bare", limit)
    }

    #[test]
    fn runs_become_one_measure_with_all_their_samples() {
        let mut all = Vec::new();
        merge(&mut all, vec![rate(10.0, 40.0).note("a")]);
        merge(&mut all, vec![rate(30.0, 20.0).note("a")]);
        merge(&mut all, vec![rate(20.0, 50.0).note("b")]);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].samples, [10.0, 30.0, 20.0]);
        assert_eq!(all[0].notes, ["a", "b"]);
        assert_eq!(all[0].ratio(), Some(0.5));
        let json = all[0].to_json();
        assert_eq!(
            (&json["median"], &json["limit"]["max"]),
            (&json!(20.0), &json!(50.0))
        );
    }

    #[test]
    fn figures_show_what_counts() {
        for (value, shown) in [
            (12_345.6, "12346"),
            (12.34, "12.3"),
            (1.234, "1.23"),
            (0.0456, "0.046"),
        ] {
            assert_eq!(figure(value), shown);
        }
        assert_eq!(
            rate(100.0, 400.0).to_string(),
            "drain 100 calls/s, 0.25 of the limit"
        );
    }

    #[test]
    fn a_ratio_of_times_is_the_other_way_round() {
        let time = Measure::new("pickup", "ms", Better::Lower, 4.0).with_limit("bare", 1.0);
        assert_eq!(time.ratio(), Some(0.25));
    }

    #[test]
    fn medians_spreads_and_percentiles_are_those_of_the_sorted_samples() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Some((1.0, 3.0)));
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&hundred, 0.5), Some(50.0));
        assert_eq!(percentile(&hundred, 0.99), Some(99.0));
        assert_eq!(percentile(&hundred, 1.0), Some(100.0));
    }
}
