//! Parsers of single command line values.

use std::{str::FromStr, time::Duration};

use serde_json::{Value, json};

use super::Failure;
pub(crate) use crate::lists::object;
use crate::{
    config::{self, Variables},
    domain::{CallId, Outcome, Phone, Region},
    flow::{Queue, listing::Named},
};

/// A duration on its way to a Postgres interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval(pub Duration);

impl Interval {
    /// As an SQL interval: `300 seconds`, or `1500 milliseconds`.
    pub fn to_sql(self) -> String {
        if self.0.subsec_nanos() == 0 {
            format!("{} seconds", self.0.as_secs())
        } else {
            format!("{} milliseconds", self.0.as_millis())
        }
    }
}

/// `90s`, `5m`, `1h 30m`.
pub fn interval(text: &str) -> Result<Interval, String> {
    config::duration(text).map(Interval)
}

/// `true`, `false`, or `declared`: what the adapter of a trunk declares.
pub fn bool_or_declared(text: &str) -> Result<Limit<bool>, String> {
    match text {
        "declared" => Ok(Limit::Unlimited),
        "true" => Ok(Limit::Of(true)),
        "false" => Ok(Limit::Of(false)),
        _ => Err("true, false, or declared".to_owned()),
    }
}

/// A duration, `none`, or `declared`.
pub fn interval_or_declared(text: &str) -> Result<Limit<String>, String> {
    match text {
        "declared" => Ok(Limit::Unlimited),
        "none" => Ok(Limit::Of("0 seconds".to_owned())),
        text => interval(text).map(|time| Limit::Of(time.to_sql())),
    }
}

/// A duration, or `none`.
pub fn interval_or_none(text: &str) -> Result<Limit<Interval>, String> {
    match text {
        "none" => Ok(Limit::Unlimited),
        text => interval(text).map(Limit::Of),
    }
}

/// What is set, or null in SQL.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit<N> {
    /// This much.
    Of(N),
    /// No limit, or what the adapter declares.
    Unlimited,
}

impl<N: Into<Value>> Limit<N> {
    /// The number, or null for no limit.
    pub fn into_json(self) -> Value {
        match self {
            Self::Of(number) => number.into(),
            Self::Unlimited => Value::Null,
        }
    }
}

/// `12`, or `none`. How large it may be the database says.
pub fn number_or_none<N: FromStr>(text: &str) -> Result<Limit<N>, String> {
    match text {
        "none" => Ok(Limit::Unlimited),
        text => match text.parse() {
            Ok(number) => Ok(Limit::Of(number)),
            Err(_no_number) => Err("a number, or none".to_owned()),
        },
    }
}

/// An instant (RFC 3339).
pub fn instant(text: &str) -> Result<chrono::DateTime<chrono::Utc>, String> {
    chrono::DateTime::parse_from_rfc3339(text)
        .map(|at| at.to_utc())
        .map_err(|_not_one| "write an instant as in 2026-01-02T03:04:05Z".to_owned())
}

/// A text, or `none`.
pub fn text_or_none(text: &str) -> Result<Limit<String>, String> {
    Ok(match text {
        "none" => Limit::Unlimited,
        text => Limit::Of(text.to_owned()),
    })
}

/// What tells where a callee may be, or `hours`. Which there are the database says.
pub fn basis_or_hours(text: &str) -> Result<Limit<String>, String> {
    Ok(match text {
        "hours" => Limit::Unlimited,
        text => Limit::Of(text.to_owned()),
    })
}

/// Region by its two letters, as in `US`, or `none`.
pub fn region_or_none(text: &str) -> Result<Limit<Region>, String> {
    match text {
        "none" => Ok(Limit::Unlimited),
        text => text
            .parse()
            .map(Limit::Of)
            .map_err(|error| format!("{error}; or none")),
    }
}

/// A JSON list, or `none`.
pub fn list_or_none(text: &str) -> Result<Limit<Value>, String> {
    if text == "none" {
        return Ok(Limit::Unlimited);
    }
    match serde_json::from_str(text) {
        Ok(list @ Value::Array(_)) => Ok(Limit::Of(list)),
        Ok(_other) => Err("a JSON list, or none".to_owned()),
        Err(error) => Err(format!("{error}; a JSON list, or none")),
    }
}

/// A telephone number as typed. Which number it is depends on the region it is dialled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number(String);

impl From<String> for Number {
    fn from(spelled: String) -> Self {
        Self(spelled)
    }
}

impl Number {
    /// The text as typed.
    pub fn spelled(&self) -> &str {
        &self.0
    }

    /// Parses it, taking a number without + and country code as one of `region`.
    pub fn dialled_in(&self, region: Option<Region>) -> Result<Phone, Failure> {
        Phone::parse_in(&self.0, region)
            .map_err(|error| Failure::usage(format!("{:?} is {error}", self.0)))
    }
}

/// Start of a range of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// The oldest event that is kept.
    Start,
    /// At this instant.
    Instant(chrono::DateTime<chrono::Utc>),
    /// This long before now, by the database's clock.
    Ago(Duration),
}

/// Start of a range: `start`, an instant (RFC 3339), or a duration before now as in `10m`.
pub fn since(text: &str) -> Result<Since, String> {
    if text == "start" {
        return Ok(Since::Start);
    }
    if let Ok(at) = chrono::DateTime::parse_from_rfc3339(text) {
        return Ok(Since::Instant(at.to_utc()));
    }
    config::duration(text).map(Since::Ago).map_err(|_neither| {
        "write an instant, a length of time, or `start`, as in 2026-01-02T03:04:05Z or 10m"
            .to_owned()
    })
}

/// A call's id, or its beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallName(String);

impl CallName {
    /// The call that it names.
    pub async fn id(&self, calls: &Queue) -> Result<CallId, Failure> {
        let several = |ids: Vec<CallId>| {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            Failure::failed(format!("several calls begin with {}", self.0))
                .hint(format!("the newest of them: {}", ids.join(", ")))
        };
        match calls.named(&self.0).await? {
            Named::One(id) => Ok(id),
            Named::Several(ids) => Err(several(ids)),
            Named::Nothing => Err(super::calls::no_such_call(&self.0)),
        }
    }

    /// The calls that these name.
    pub async fn ids(names: &[Self], calls: &Queue) -> Result<Vec<CallId>, Failure> {
        let mut ids = Vec::with_capacity(names.len());
        for name in names {
            ids.push(name.id(calls).await?);
        }
        Ok(ids)
    }
}

/// A call's id, or at least four digits of its beginning.
pub fn call_name(text: &str) -> Result<CallName, String> {
    let is_digits = text.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    if is_digits && (4..=36).contains(&text.len()) {
        return Ok(CallName(text.to_owned()));
    }
    Err(
        "not the id of a call, as in 0197f5e0-0000-7000-8000-000000000001, nor its beginning"
            .to_owned(),
    )
}

/// An outcome by its stable word, as in `no_answer`.
pub fn outcome(text: &str) -> Result<Outcome, String> {
    serde_json::from_value(Value::from(text)).map_err(|_no_outcome| {
        let known = Outcome::ALL.map(Outcome::as_str);
        format!("one of {}", known.join(", "))
    })
}

/// An instant, or `never`, which becomes null and so clears the field.
pub fn instant_or_never(text: &str) -> Result<Value, String> {
    Ok(match text {
        "never" => Value::Null,
        text => Value::from(text),
    })
}

/// An instant, or `none`, which becomes null and so clears the setting.
pub fn instant_or_none(text: &str) -> Result<Value, String> {
    Ok(match text {
        "none" => Value::Null,
        text => Value::from(text),
    })
}

/// `answered=500`, or `interested=50`: an outcome or a disposition; or `none`.
pub fn goal_or_none(text: &str) -> Result<Value, String> {
    let wanted = || {
        "an outcome or a disposition, and how many, as in answered=500 or interested=50, or none"
            .to_owned()
    };
    if text == "none" {
        return Ok(Value::Null);
    }
    let (word, count) = text.split_once('=').ok_or_else(wanted)?;
    let count: i64 = count.parse().map_err(|_no_number| wanted())?;
    Ok(match word {
        "answered" | "voicemail" => json!({ "outcome": word, "count": count }),
        _ => json!({ "disposition": word, "count": count }),
    })
}

/// `0.05/50`, or `none`.
pub fn answer_guard_or_none(text: &str) -> Result<Value, String> {
    let wanted = || "a part and of how many attempts, as in 0.05/50, or none".to_owned();
    if text == "none" {
        return Ok(Value::Null);
    }
    let (below, last) = text.split_once('/').ok_or_else(wanted)?;
    let below: f64 = below.parse().map_err(|_no_number| wanted())?;
    let last: i64 = last.parse().map_err(|_no_number| wanted())?;
    Ok(json!({ "last": last, "answeredBelow": below }))
}

/// `2+2/10m`, or `none`.
pub fn ramp_or_none(text: &str) -> Result<Value, String> {
    let wanted = || "a first cap, a step and how often, as in 2+2/10m, or none".to_owned();
    if text == "none" {
        return Ok(Value::Null);
    }
    let (caps, every) = text.split_once('/').ok_or_else(wanted)?;
    let (from, step) = caps.split_once('+').ok_or_else(wanted)?;
    let from: i64 = from.parse().map_err(|_no_number| wanted())?;
    let step: i64 = step.parse().map_err(|_no_number| wanted())?;
    Ok(json!({ "from": from, "step": step, "every": interval(every)?.to_sql() }))
}

/// Default of `--by`: `cli:` and the user of this shell, or in a container the user's number.
pub fn default_by(variables: &Variables) -> String {
    let user = variables.get("USER").or_else(|| variables.get("LOGNAME"));
    match user {
        Some(user) => format!("cli:{user}"),
        None => format!("cli:uid{}", rustix::process::getuid().as_raw()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_go_to_sql_in_its_words() {
        for (text, sql) in [
            ("90s", "90 seconds"),
            ("5m", "300 seconds"),
            ("1h 30m", "5400 seconds"),
            ("1500ms", "1500 milliseconds"),
        ] {
            assert_eq!(interval(text).unwrap().to_sql(), sql);
        }
    }

    #[test]
    fn lengths_of_time_without_a_unit_are_refused() {
        assert!(interval("90").unwrap_err().contains("without a unit"));
        assert!(interval("soon").is_err());
    }

    #[test]
    fn what_is_no_call_is_refused_with_an_example_of_one() {
        for text in ["", "019", "lead", "0197f5e0-0000-7000-8000-00000000000x"] {
            assert!(call_name(text).unwrap_err().contains("as in 0197f5e0-"));
        }
        for text in [
            "0197",
            "0197f5e0-00",
            "0197f5e0-0000-7000-8000-000000000001",
        ] {
            assert!(call_name(text).is_ok());
        }
    }

    #[test]
    fn a_limit_is_a_number_or_none() {
        assert_eq!(number_or_none::<i64>("none"), Ok(Limit::Unlimited));
        assert_eq!(number_or_none("0"), Ok(Limit::Of(0)));
        assert_eq!(number_or_none("2.5"), Ok(Limit::Of(2.5)));
        assert!(number_or_none::<i64>("lots").is_err());
        let none = number_or_none::<i64>("none").unwrap();
        assert_eq!(none.into_json(), Value::Null);
    }

    #[test]
    fn goals_guards_and_ramps_are_written_in_one_word() {
        assert_eq!(
            goal_or_none("answered=500").unwrap(),
            json!({ "outcome": "answered", "count": 500 })
        );
        assert_eq!(
            goal_or_none("interested=50").unwrap(),
            json!({ "disposition": "interested", "count": 50 })
        );
        assert_eq!(
            answer_guard_or_none("0.05/50").unwrap(),
            json!({ "last": 50, "answeredBelow": 0.05 })
        );
        assert_eq!(
            ramp_or_none("2+3/10m").unwrap(),
            json!({ "from": 2, "step": 3, "every": "600 seconds" })
        );
        for parse in [goal_or_none, answer_guard_or_none, ramp_or_none] {
            assert_eq!(parse("none").unwrap(), Value::Null);
            assert!(parse("2").unwrap_err().contains("as in "));
        }
    }

    #[test]
    fn who_asks_is_the_user_unless_there_is_none() {
        let ada = Variables::from_iter([("USER", "ada")]);
        assert_eq!(default_by(&ada), "cli:ada");
        assert!(default_by(&Variables::default()).starts_with("cli:uid"));
    }
}
