//! Twilio's reports: its callbacks, which are forms, and the call resource of a look-up.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::{
    domain::{Facts, Outcome, Report, ReportKind},
    provider::{
        platform::{sip_outcome, text},
        protocol,
    },
};

/// Fields of a callback kept in the result beside the facts.
const KEPT: [&str; 6] = [
    "ErrorCode",
    "ErrorMessage",
    "MachineDetectionDuration",
    "RecordingSid",
    "SipResponseCode",
    "StirStatus",
];
/// Fields of a call resource kept in the result.
const KEPT_OF_CALL: [&str; 3] = ["end_time", "queue_time", "start_time"];

/// Reads a callback.
///
/// Its event id is made of signed fields: the `I-Twilio-Idempotency-Token` is not signed, so a replay could
/// choose another.
pub(super) fn of_webhook(body: &[u8]) -> Report {
    let form = form(body);
    let field = |name: &str| form.get(name).and_then(Value::as_str);
    let Some(id) = field("CallSid").filter(|id| !id.is_empty()) else {
        return Report::new(ReportKind::Unparsable);
    };
    let said = Said {
        status: field("CallStatus").unwrap_or_default(),
        answered_by: field("AnsweredBy").unwrap_or_default(),
        seconds: field("CallDuration"),
        sip: field("SipResponseCode"),
    };
    let mut kept = form.clone();
    kept.retain(|name, _| KEPT.contains(&name.as_str()));
    let facts = Facts {
        recording_url: field("RecordingUrl").map(str::to_owned),
        ..Facts::default()
    };
    let report = said.report(facts, kept);
    // Only the result of machine detection, which has its own request.
    let is_detection = said.status.is_empty() && !said.answered_by.is_empty();
    let event = if is_detection { "amd" } else { said.status };
    let sequence = field("SequenceNumber").unwrap_or_default();
    let is_answer = said.status == "in-progress";
    Report {
        answered_at: field("Timestamp").and_then(instant).filter(|_| is_answer),
        provider_call_id: protocol::name(Some(id.into())),
        event_id: protocol::name(Some(format!("{id}/{event}/{sequence}").into())),
        status: protocol::name(Some(event.into())),
        ..report
    }
}

/// Reads a call resource; none if it is not one.
pub(super) fn of_call(call: &Value) -> Option<Report> {
    let provider_call_id = protocol::name(call.get("sid").cloned())?;
    let field = |name: &str| call.get(name).and_then(Value::as_str);
    let said = Said {
        status: field("status")?,
        answered_by: field("answered_by").unwrap_or_default(),
        seconds: field("duration"),
        sip: None,
    };
    let mut kept: Map<_, _> = KEPT_OF_CALL
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), text(call, &format!("/{name}"))?.into())))
        .collect();
    // Available minutes after the end, as a change of the account's balance. A missing price does not mean
    // free.
    let cost = field("price").and_then(|price| price.parse::<f64>().ok());
    let cost = cost.filter(|cost| cost.is_finite()).map(f64::abs);
    if let (Some(_), Some(unit)) = (cost, text(call, "/price_unit")) {
        kept.insert("costCurrency".to_owned(), unit.to_uppercase().into());
    }
    let facts = Facts {
        cost,
        ..Facts::default()
    };
    Some(Report {
        provider_call_id: Some(provider_call_id),
        ..said.report(facts, kept)
    })
}

/// What both shapes have, each under its own names.
struct Said<'a> {
    status: &'a str,
    answered_by: &'a str,
    seconds: Option<&'a str>,
    sip: Option<&'a str>,
}

impl Said<'_> {
    fn report(&self, facts: Facts, kept: Map<String, Value>) -> Report {
        let seconds = self.seconds.and_then(|text| text.parse::<f64>().ok());
        let seconds = seconds.filter(|seconds| seconds.is_finite());
        // A call with a duration was picked up, unless the status says otherwise; only what was picked up is
        // checked for a machine.
        let lasted = seconds.is_some_and(|seconds| seconds > 0.0);
        let was_answered =
            !self.answered_by.is_empty() || lasted && !["busy", "no-answer"].contains(&self.status);
        let report = match self.status {
            "queued" | "initiated" | "ringing" => Report::new(ReportKind::Progress),
            "in-progress" => Report::new(ReportKind::Answered),
            "" if was_answered => Report::new(ReportKind::Answered),
            "completed" | "busy" | "no-answer" | "failed" | "canceled" => {
                Report::ended(self.outcome(was_answered))
            }
            _ => Report::new(ReportKind::Unknown),
        };
        let is_over = report.kind == ReportKind::Ended;
        let answered = report.answered || is_over && was_answered;
        let facts = Facts {
            // The ringing of an unanswered call does not count as duration.
            duration_sec: seconds.filter(|_| is_over && answered),
            answered_by: self.who(),
            ended_reason: is_over.then(|| self.status.to_owned()),
            ..facts
        };
        Report {
            answered,
            status: protocol::name(Some(self.status.into())),
            result: protocol::result(&facts, kept),
            ..report
        }
    }

    fn outcome(&self, was_answered: bool) -> Outcome {
        let sip = self.sip.and_then(|code| code.parse().ok());
        let outcome = match (self.status, sip) {
            ("completed", _) if self.is_machine() => Outcome::Voicemail,
            ("completed", _) => Outcome::Answered,
            ("busy", Some(603)) => Outcome::Declined,
            ("busy", _) => Outcome::Busy,
            ("no-answer", _) => Outcome::NoAnswer,
            ("canceled", _) => Outcome::Canceled,
            // Rejected on the way, not by the callee.
            (_, Some(603 | 607)) => Outcome::Blocked,
            // A failed call was not answered, whatever the code.
            (_, Some(200) | None) => Outcome::Unreachable,
            (_, Some(code)) => sip_outcome(code).unwrap_or(Outcome::Unreachable),
        };
        match outcome {
            Outcome::Account | Outcome::Capacity if was_answered => Outcome::Answered,
            outcome => outcome,
        }
    }

    fn is_machine(&self) -> bool {
        self.answered_by.starts_with("machine") || self.answered_by == "fax"
    }

    fn who(&self) -> Option<String> {
        let who = match self.answered_by {
            "" => return None,
            who if who.starts_with("machine") => "machine",
            who => who,
        };
        protocol::name(Some(who.into()))
    }
}

/// Fields of a form; of a repeated one the first counts.
fn form(body: &[u8]) -> Map<String, Value> {
    let stored = |text: &str| text.replace('\0', "\u{fffd}");
    let mut fields = Map::new();
    for (name, value) in form_urlencoded::parse(body) {
        let value = stored(&value);
        fields.entry(stored(&name)).or_insert_with(|| value.into());
    }
    fields
}

/// Parses `Mon, 03 Aug 2026 09:15:42 +0000`.
fn instant(text: &str) -> Option<DateTime<Utc>> {
    Some(DateTime::parse_from_rfc2822(text).ok()?.to_utc())
}
